"""Correlation with separable filters: columns first, into a workspace of a few rows, then rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_columns import make_column_band
from .direct1d_rim import make_tiled_row, room
from .direct1d_short import longest_short
from .direct1d_taps import make_short_row
from .scalar import get, join, madd, put, zero_like
from .workspace import make_copy, make_finite, stack


def make_separable(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``separable``.

    ::

        out[i, j] = sum over q < rank, v < kw of
            (sum over u < kh of X(row_map[i + u], col_map[j + v]) * down[q, u]) * across[q, v]

    for row_begin <= i < row_end, j < ow. A map entry of -1 is outside the image: its sample is
    ``fill[0]``, which stands for zero where products are left out. The inner sums of a few
    output rows at a time, ends included, lie in the workspace: no array of the image's size.
    ``wild[i]`` becomes 1 where a result of row i is NaN or infinite, 0 elsewhere: there a sum of
    several terms, or an inner sum that overflows, may not be what a single sum would be.

    Assumes: rank, kh, kw >= 1; taps are finite; a row of x is contiguous and `x_row` from the
    next, likewise out; col_map[c] == c - pad_c wherever 0 <= c - pad_c < width, and every other
    entry is -1 or one of these samples; `work` has ``workspace_size`` elements (see
    `paths.separable`); out overlaps nothing else.
    """
    lanes = Arithmetic.of(target, dtype).lanes
    column_band, height, widest = make_column_band(target, dtype)
    longest, elements = longest_short(target, dtype), room(target, dtype)
    prepare, row = make_tiled_row(target, dtype)
    short_prepare, short_row = prepare, row
    if longest:
        short_prepare, short_row = make_short_row(target, dtype)
    copy, finite = make_copy(target, dtype), make_finite(target, dtype)

    @inline
    def gather(
        x: Any, row_map: Any, first: int, rows: int, x_row: int, at: int, count: int,
        outside: Any, work: Any, place: int, step: int,
    ) -> None:
        """Copy the rows that a rim's windows read into the workspace."""
        for r in range(rows):
            m = -1
            if first + r < len(row_map):
                m = get(row_map, first + r)
            if m >= 0:
                copy(x, m * x_row + at, m * x_row + at + count, work, place + r * step)
            else:
                for c in range(count):
                    put(work, place + r * step + c, outside)

    def separable(
        x: Any, down: Any, across: Any, out: Any, work: Any, row_map: Any, col_map: Any,
        fill: Any, wild: Any, x_row: int, out_row: int, width: int, rank: int,
        kh: int, kw: int, row_begin: int, row_end: int, ow: int, pad_c: int,
    ) -> None:
        if ow <= 0 or row_end <= row_begin:
            return
        stage = stack(out, elements)
        # Virtual columns [lo, hi) are columns of the image.
        total = ow + kw - 1
        lo = min(max(pad_c, 0), total)
        hi = min(max(width + pad_c, lo), total)
        inside, at = hi - lo, lo - pad_c
        # The workspace: inner sums, the sums of earlier ranks, gathered rows.
        step = (total + 2 * lanes - 1) // lanes * lanes
        further = height * step
        wide = (ow + lanes - 1) // lanes * lanes
        gathered = further + height * wide
        gather_step = (inside + lanes - 1) // lanes * lanes
        outside, reads = get(fill, 0), height + kh - 1
        if kw <= longest:
            short_prepare(stage, total, kw, ow, 0)
        else:
            prepare(stage, total, kw, ow, 0)
        begin = row_begin
        while begin < row_end:
            # The last rows go with some that are already made, if there are any.
            i = max(min(begin, row_end - height), row_begin)
            count = min(height, row_end - i)
            source, straight = get(row_map, i), False
            if source >= 0 and count == height:
                straight = get(row_map, i + reads - 1) - source == reads - 1
            if not straight:
                gather(x, row_map, i, reads, x_row, at, inside, outside, work, gathered,
                       gather_step)
            for q in range(rank):
                panel = 0
                while panel < inside:
                    # Source rows under one panel stay in the second-level cache.
                    share = min(inside - panel, max((1 << 17) // reads // widest, 1) * widest)
                    if straight:
                        column_band(x, source * x_row + at + panel, down, q * kh, kh, work,
                                    lo + panel, share, x_row, step, height, 0)
                    else:
                        column_band(work, gathered + panel, down, q * kh, kh, work,
                                    lo + panel, share, gather_step, step, height, 0)
                    panel += share
                if lo > 0 or hi < total:
                    beyond = zero_like(fill)
                    for u in range(kh):
                        beyond = madd(outside, get(down, q * kh + u), beyond)
                    for r in range(count):
                        for c in range(total - inside):
                            j = c if c < lo else c + inside
                            m = get(col_map, j)
                            value = beyond
                            if m >= 0:
                                value = get(work, r * step + m + pad_c)
                            put(work, r * step + j, value)
                for r in range(count):
                    goal = (i + r) * out_row
                    place, place_at = out, goal
                    if q > 0:
                        place, place_at = work, further + r * wide
                    if kw <= longest:
                        short_row(work, across, place, stage, r * step, q * kw, place_at,
                                  total, kw, ow, 0)
                    else:
                        row(work, across, place, stage, r * step, q * kw, place_at,
                            total, kw, ow, 0)
                    if q > 0:
                        for c in range(ow):
                            put(out, goal + c,
                                join(get(out, goal + c), get(work, place_at + c)))
            for r in range(count):
                put(wild, i + r, 0 if finite(out, (i + r) * out_row, ow) else 1)
            begin = i + count

    return separable
