"""Correlation with a constant filter over an image: sums down the columns, then along the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .lane_scans import Panel, make_collect, make_scans, make_spread
from .row_sums import (
    ROWS,
    make_add_row,
    make_begin_row,
    make_join_row,
    make_prefix_rows,
    make_suffix_rows,
)
from .scalar import get, join, put, zero_like


def make_box_plane(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``box_plane``.

    ::

        out[i, j] = factor[0] * sum over u < kh, v < kw of X(row_map[i + u], col_map[j + v])

    for first <= i < last, j < ow; a map entry of -1 is outside the image: ``fill[0]``. wild[i]
    becomes 1 where a result of row i, or of one of a few rows near it, is NaN or infinite.

    Sums down the columns of `height` rows at a time, blocks of kh rows sharing two scans of whole
    rows, lie in the workspace; along the rows they are added up `lines_of` rows at a time and `per`
    columns, see `lane_scans`.

    Assumes: kh, kw, height, per, strip >= 1, height a multiple of kh; rows of x are contiguous and
    x_row apart, those of out out_row; col_map[v] == col_map[begin] + v - begin for begin <= v <
    end, all of them samples; pitch >= width; work has height + 2 rows of `pitch` elements and per +
    kw - 1 rows of a panel; out overlaps nothing else.
    """
    lines = Panel.of(target, dtype).lines
    spread, scans = make_spread(target, dtype), make_scans(target, dtype)
    collect = make_collect(target, dtype)
    begin_row, add_row = make_begin_row(target, dtype), make_add_row(target, dtype)
    join_row = make_join_row(target, dtype)
    suffix_rows, prefix_rows = make_suffix_rows(target, dtype), make_prefix_rows(target, dtype)

    @inline
    def down(
        x: Any, row_map: Any, work: Any, x_row: int, i: int, here: int, kh: int, at: int,
        count: int, pitch: int, height: int,
    ) -> None:
        """Add up `count` columns from `at` on, for rows i .. i + here - 1."""
        prefix, outside = height * pitch + at, (height + 1) * pitch + at
        for block in range(0, here, kh):
            some = min(kh, here - block)
            t = 0
            while t < kh:
                # From the block's end; what lies beyond the last row that is wanted goes there.
                u = kh - 1 - t
                line = get(row_map, i + block + u)
                if 0 < t <= kh - ROWS and u < some - 1:
                    top = u - ROWS + 1
                    first = get(row_map, i + block + top)
                    if first >= 0 and line == first + ROWS - 1:
                        suffix_rows(x, first * x_row + at, x_row, work,
                                    (block + top) * pitch + at, pitch, count)
                        t += ROWS
                        continue
                t += 1
                goal = (block + min(u, some - 1)) * pitch + at
                source = (block + min(u + 1, some - 1)) * pitch + at
                if line < 0:
                    if t == 1:
                        begin_row(work, outside, work, goal, count)
                    else:
                        add_row(work, outside, work, source, work, goal, count)
                elif t == 1:
                    begin_row(x, line * x_row + at, work, goal, count)
                else:
                    add_row(x, line * x_row + at, work, source, work, goal, count)
            u = 0
            while u < some - 1:
                u += 1
                line, goal = get(row_map, i + block + kh + u - 1), (block + u) * pitch + at
                straight = False
                if line >= 0 and 1 < u <= some - ROWS:
                    end = get(row_map, i + block + kh + u + ROWS - 2)
                    straight = end == line + ROWS - 1
                if straight:
                    prefix_rows(x, line * x_row + at, x_row, work, prefix, work, goal, pitch, count)
                    u += ROWS - 1
                    continue
                if line < 0:
                    if u == 1:
                        begin_row(work, outside, work, prefix, count)
                        add_row(work, prefix, work, goal, work, goal, count)
                    else:
                        join_row(work, outside, work, prefix, work, goal, count)
                elif u == 1:
                    begin_row(x, line * x_row + at, work, prefix, count)
                    add_row(work, prefix, work, goal, work, goal, count)
                else:
                    join_row(x, line * x_row + at, work, prefix, work, goal, count)

    @inline
    def across(
        factor: Any, out: Any, col_map: Any, wild: Any, work: Any, beyond: Any, out_row: int,
        i: int, here: int, kw: int, ow: int, begin: int, end: int, pitch: int, panel: int,
        per: int,
    ) -> None:
        """Add up along the rows that `down` made, and store."""
        for r in range(0, here, lines):
            some = min(lines, here - r)
            for c in range(0, ow, per):
                count = min(per, ow - c)
                stop = c + count + kw - 1
                low = min(max(begin, c), stop)
                high = max(min(end, stop), low)
                if high > low:
                    spread(work, r * pitch + get(col_map, low), pitch, some, work,
                           panel + (low - c) * lines, high - low)
                for v in range(c, stop - high + low):
                    to = v if v < low else v + high - low
                    j = get(col_map, to)
                    for q in range(lines):
                        value = beyond
                        if j >= 0:
                            value = get(work, (r + min(q, some - 1)) * pitch + j)
                        put(work, panel + (to - c) * lines + q, value)
                scans(work, panel, kw, count)
                collect(work, panel, factor, out, (i + r) * out_row + c, out_row, some, count,
                        wild, i + r)
            if get(wild, i + r) != 0:
                for q in range(some):
                    put(wild, i + r + q, 1)

    def box_plane(
        x: Any, factor: Any, out: Any, fill: Any, row_map: Any, col_map: Any, wild: Any, work: Any,
        x_row: int, out_row: int, width: int, ow: int, kh: int, kw: int, first: int, last: int,
        begin: int, end: int, height: int, pitch: int, per: int, strip: int,
    ) -> None:
        if ow <= 0 or last <= first:
            return
        beyond, outside = zero_like(fill), (height + 1) * pitch
        for _ in range(kh):
            beyond = join(beyond, get(fill, 0))
        for c in range(width):
            put(work, outside + c, get(fill, 0))
        for i in range(first, last, height):
            here = min(height, last - i)
            for at in range(0, width, strip):
                down(x, row_map, work, x_row, i, here, kh, at, min(strip, width - at), pitch,
                     height)
            across(factor, out, col_map, wild, work, beyond, out_row, i, here, kw, ow, begin, end,
                   pitch, (height + 2) * pitch, per)

    return box_plane
