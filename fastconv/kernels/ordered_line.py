"""One filter along one axis of samples of any dtype: continue, add in order, convert back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .fetch import make_fetch
from .ordered_convert import make_convert
from .ordered_rows import make_rows
from .scalar import get, put

# Rows of samples whose pages a first level of address translation keeps (of 64).
_PAGES = 32


@inline
def stay(inner: int, reach: int) -> bool:
    """Return whether the samples of a column are met where they are: few fall into a cache's set.

    1000x2000 doubles with 5 taps 4.3 ms when they were copied first, 2.5 so; with 31 taps 8.4 and
    7.1, with 63 taps 14.0 and 14.8.
    """
    if reach < 1 or reach > _PAGES:
        return False
    lines = inner // 8
    return inner % 8 != 0 or (reach + 3) * min(lines & -lines, 64) <= 8 * 64


def make_ordered_line(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``ordered_line``.

    ::

        out[b, i, c] = T(sum in the order of kernel `ordered` of X(b, i + t, c) * w)
        X(b, v, c) = x[b, source[v], c] as a double, fill[0] where source[v] < 0

    for b < outer, lo <= i < hi, c < inner. T truncates to integers, which wrap at 8 and 16 bits.

    Assumes: source[v + 1] == source[v] + 1 for begin <= v < end - 1;
    x[b, j, c] is at b*x_outer + j*inner + c, out[b, i, c] at b*out_outer + i*inner + c;
    source has hi + k - 1 entries, `reach` = k - 1; first and second are offsets in samples; work
    holds (hi - lo + reach) * (min(panel, inner) + 16) doubles; terms are those of a line. out may
    be x where lo..hi is the whole axis, or where no output of it is read again.
    """
    gather = make_convert(dtype, target.lanes(8), target.has_row_tiles)
    spread, rows = make_rows(target, dtype)
    direct = target.has_row_tiles and dtype == "float64"
    ahead, fetch = 4 if target.has_row_tiles else 0, make_fetch(dtype)

    def ordered_line(
        x: Any, w: Any, out: Any, first: Any, second: Any, source: Any, fill: Any, work: Any,
        outer: int, x_outer: int, out_outer: int, inner: int, lo: int, hi: int, reach: int,
        panel: int, begin: int, end: int, singles: int, taps: int, sign: int,
    ) -> None:
        if hi <= lo:
            return
        outside = get(fill, 0)
        for b in range(outer):
            for c in range(0, inner, panel):
                width, v = min(panel, inner - c), lo
                pitch = spread(width, hi - lo, reach)
                goal = b * out_outer + lo * inner + c
                if direct and begin <= lo and hi + reach <= end and stay(inner, reach):
                    at = b * x_outer + get(source, lo) * inner + c
                    rows(x, at, inner, w, out, goal, inner, first, second, width, hi - lo,
                         singles, taps, sign, reach)
                    continue
                while v < hi + reach:
                    j, at = get(source, v), (v - lo) * pitch
                    if j < 0:
                        for e in range(width):
                            put(work, at + e, outside)
                        v += 1
                    else:
                        # Samples that follow each other in memory go as one run.
                        run_length = 1
                        if pitch == inner and begin <= v < end:
                            run_length = min(end, hi + reach) - v
                        if ahead and width >= 64:
                            fetch(x, b * x_outer + (j + ahead) * inner + c, run_length * width)
                        gather(x, b * x_outer + j * inner + c, work, at, run_length * width)
                        v += run_length
                rows(work, 0, pitch, w, out, goal, inner, first, second, width, hi - lo, singles,
                     taps, sign, reach)

    return ordered_line
