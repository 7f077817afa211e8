"""Means of windows along one axis of samples of any dtype: continue, convert, take means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .fetch import make_fetch
from .lane_scans import Panel
from .mean_columns import make_mean_columns
from .mean_lanes import Mean
from .mean_parts import make_mean_parts
from .mean_rows import make_mean_rows
from .ordered_convert import make_convert
from .scalar import get, put

# Outputs of one chunk, at least: with the samples under their windows they stay in a first cache.
_CHUNK = 1024
# A chunk is longer than what its windows share with the next one by this factor.
_LONGER = 4
# From so long a window on a line's parts go side by side, so many outputs of each: an odd number of
# cache lines. Windows of fewer samples take one or two stages of doubling.
_SHORTEST, _PART = 8, 1016
# How many rows ahead a panel's samples are asked for (1024x1024 float64, 3 rows: 2.4 ms, 2.1 so).
_AHEAD_ROWS = 4
# Columns side by side, fewer than which are taken for one line.
_NARROW = 16


def make_mean_line(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``mean_line``.

    ::

        out[b, i, c] = T((sum over t <= reach of X(b, i + t, c)) / size[0])     see `Mean`
        X(b, v, c) = x[b, source[v], c] as a double, fill[0] where source[v] < 0

    for b < outer, lo <= i < hi, c < inner. Sums start from +0 and never take a sample back. T
    truncates to integers, which wrap at 8 and 16 bits.

    Assumes: what `ordered_line` assumes, and work of twice as many doubles and 768 more; panel is
    inner if that is below 16.
    """
    gather = make_convert(dtype, target.lanes(8))
    rows, columns = make_mean_rows(target, dtype), make_mean_columns(target, dtype)
    parts, lines = make_mean_parts(target, dtype), Panel.of(target, "float64").lines
    shortest = _SHORTEST if target.has_line_panels else 1 << 40
    fetch = make_fetch(dtype)
    factor_of = _make_factor(Mean.of(target, dtype))

    def mean_line(
        x: Any, size: Any, out: Any, source: Any, fill: Any, work: Any, outer: int, x_outer: int,
        out_outer: int, inner: int, lo: int, hi: int, reach: int, panel: int, begin: int, end: int,
    ) -> None:
        if hi <= lo:
            return
        outside, factor = get(fill, 0), factor_of(get(size, 0))
        for b in range(outer):
            for c in range(0, inner, panel):
                width, v, run_at, run_from, run_to = min(panel, inner - c), lo, 0, 0, 0
                if width == inner and max(begin, lo) < min(end, hi + reach):
                    # Samples that follow each other in memory go as one run, before the others.
                    first_v, last_v = max(begin, lo), min(end, hi + reach)
                    run_from, run_at = get(source, first_v), (first_v - lo) * width
                    run_to = run_from + last_v - first_v
                    gather(x, b * x_outer + run_from * inner, work, run_at,
                           (last_v - first_v) * width)
                while v < hi + reach:
                    j, at = get(source, v), (v - lo) * width
                    if at == run_at and run_from < run_to:
                        v += run_to - run_from
                        continue
                    if j < 0:
                        for e in range(width):
                            put(work, at + e, outside)
                    elif run_from <= j < run_to:
                        for e in range(width):
                            put(work, at + e, get(work, run_at + (j - run_from) * width + e))
                    else:
                        at_x = b * x_outer + j * inner + c
                        fetch(x, at_x + _AHEAD_ROWS * inner, width)
                        gather(x, at_x, work, at, width)
                    v += 1
                m, goal = hi - lo, b * out_outer + lo * inner + c
                if inner >= _NARROW:
                    columns(work, width, out, goal, inner, reach + 1, m, factor)
                    continue
                # Few columns are one line whose samples lie so far apart, in chunks of any length.
                # Sums go half a page from their samples, modulo a page: a load whose address ends
                # like that of a store under way waits for it (1024 float32, k=15: 1.8 ms to 1.3).
                room, total = ((m + reach) * width + 511) // 512 * 512 + 256, m * width
                done = 0
                while width == 1 and reach + 1 >= shortest:
                    # Parts of a line side by side: they cost no more for a longer window.
                    each = min((total - done) // lines, _PART)
                    if each < reach + 1 or room + lines * (each + reach) > len(work):
                        break
                    parts(work, done, room, out, goal + done, lines * each, reach + 1, factor)
                    done += lines * each
                chunk = max(_CHUNK, _LONGER * reach * width)
                for first in range(done, total, chunk):
                    here = min(chunk, total - first)
                    rows(work, first, room, out, goal + first, here, reach + 1, width, factor)

    return mean_line


def _make_factor(mean: Mean) -> Callable[..., Any]:
    """Return ``factor(divisor)``: what sums are multiplied with, or divided by."""
    more, divides = mean.more, mean.divides

    @inline
    def factor(divisor: float) -> float:
        return divisor if divides else more / divisor

    return factor
