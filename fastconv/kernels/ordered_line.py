"""One filter along one axis of samples of any dtype: continue, add in order, convert back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .ordered import make_strip
from .ordered_convert import make_convert
from .scalar import get, put

_WIDE, _MIDDLE = 8, 4


def make_ordered_line(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``ordered_line``.

    ::

        out[b, i, c] = T(sum in the order of kernel `ordered` of X(b, i + t, c) * w)
        X(b, v, c) = x[b, source[v], c] as a double, fill[0] where source[v] < 0

    for b < outer, lo <= i < hi, c < inner. T truncates to integers, which wrap at 8 and 16 bits.

    Assumes: x[b, j, c] is at b*x_outer + j*inner + c, out[b, i, c] at b*out_outer + i*inner + c;
    source has hi + k - 1 entries, `reach` = k - 1; first and second are offsets in samples; work
    holds (hi - lo + reach) * min(panel, inner) doubles. out may be x where lo..hi is the whole
    axis, or where no output of it is read again.
    """
    lanes = target.lanes(8)
    gather = make_convert(dtype, lanes)
    wide = make_strip("float64", _WIDE, lanes, dtype)
    middle = make_strip("float64", _MIDDLE, lanes, dtype)
    thin = make_strip("float64", 1, lanes, dtype)
    single = make_strip("float64", 1, 1, dtype)

    @inline
    def run(
        work: Any, at: int, w: Any, out: Any, goal: int, first: Any, second: Any, scale: int,
        width: int, singles: int, taps: int, sign: int,
    ) -> None:
        """Make `width` outputs that lie one after the other."""
        strips = width // (_WIDE * lanes)
        wide(work, at, w, out, goal, first, second, scale, strips, singles, taps, sign)
        i = strips * _WIDE * lanes
        strips = (width - i) // (_MIDDLE * lanes)
        middle(work, at + i, w, out, goal + i, first, second, scale, strips, singles, taps, sign)
        i += strips * _MIDDLE * lanes
        strips = (width - i) // lanes
        thin(work, at + i, w, out, goal + i, first, second, scale, strips, singles, taps, sign)
        i += strips * lanes
        if i < width:
            if width >= lanes:
                i = width - lanes
                thin(work, at + i, w, out, goal + i, first, second, scale, 1, singles, taps, sign)
            else:
                single(work, at + i, w, out, goal + i, first, second, scale, width - i, singles,
                       taps, sign)

    def ordered_line(
        x: Any, w: Any, out: Any, first: Any, second: Any, source: Any, fill: Any, work: Any,
        outer: int, x_outer: int, out_outer: int, inner: int, lo: int, hi: int, reach: int,
        panel: int, singles: int, taps: int, sign: int,
    ) -> None:
        if hi <= lo:
            return
        outside = get(fill, 0)
        for b in range(outer):
            for c in range(0, inner, panel):
                width, v = min(panel, inner - c), lo
                while v < hi + reach:
                    j, at = get(source, v), (v - lo) * width
                    if j < 0:
                        for e in range(width):
                            put(work, at + e, outside)
                        v += 1
                    else:
                        # Samples that follow each other in memory go as one run.
                        run_length = 1
                        if width == inner:
                            while v + run_length < hi + reach and (
                                get(source, v + run_length) == j + run_length
                            ):
                                run_length += 1
                        gather(x, b * x_outer + j * inner + c, work, at, run_length * width)
                        v += run_length
                goal = b * out_outer + lo * inner + c
                if width == inner:
                    run(work, 0, w, out, goal, first, second, width, (hi - lo) * width, singles,
                        taps, sign)
                else:
                    for i in range(hi - lo):
                        run(work, i * width, w, out, goal + i * inner, first, second, width,
                            width, singles, taps, sign)

    return ordered_line
