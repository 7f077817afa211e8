"""One filter along one axis of samples of any dtype: continue, add in order, convert back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .emit import I64, index
from .fetch import make_fetch
from .ordered_convert import make_convert
from .ordered_rows import make_rows
from .ordered_run import make_run
from .scalar import get, put
from .workspace import address

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


# Outputs between the ends of a line that are worth three runs, not one of a copy: rows of 2000
# doubles with 5 taps 1.6 us each, not 1.1, when they were copied first.
_LONG = 256


def _same_model(x: Any, y: Any) -> bool:
    return bool(x.ctypes.data != y.ctypes.data)


@intrinsic(model=_same_model)
def separate(typingctx: Any, x: Any, y: Any) -> Any:
    """Return whether two arrays begin at different addresses."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = index(0)
        places = [
            builder.ptrtoint(address(context, builder, kind, array, zero), I64)
            for kind, array in zip((x, y), args, strict=True)
        ]
        return builder.icmp_unsigned("!=", *places)

    return types.boolean(x, y), codegen


def _make_collect(target: Target, dtype: str) -> Any:
    """Return ``collect``: samples first..last-1 of a continued line, as doubles, at work[0]."""
    gather = make_convert(dtype, target.lanes(8))
    ahead, fetch = 4 if target.has_row_tiles else 0, make_fetch(dtype)

    @inline
    def collect(
        x: Any, start: int, inner: int, width: int, source: Any, first: int, last: int, begin: int,
        end: int, outside: Any, work: Any, pitch: int,
    ) -> None:
        v = first
        while v < last:
            j, at = get(source, v), (v - first) * pitch
            if j < 0:
                for e in range(width):
                    put(work, at + e, outside)
                v += 1
            else:
                # Samples that follow each other in memory go as one run.
                run_length = 1
                if pitch == width == inner and begin <= v < end:
                    run_length = min(end, last) - v
                if ahead and width >= 64:
                    fetch(x, start + (j + ahead) * inner, run_length * width)
                gather(x, start + j * inner, work, at, run_length * width)
                v += run_length

    return collect


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
    spread, rows = make_rows(target, dtype)
    direct = target.has_row_tiles and dtype == "float64"
    run = make_run(target, dtype)
    collect = _make_collect(target, dtype)

    def ordered_line(
        x: Any, w: Any, out: Any, first: Any, second: Any, source: Any, fill: Any, work: Any,
        outer: int, x_outer: int, out_outer: int, inner: int, lo: int, hi: int, reach: int,
        panel: int, begin: int, end: int, singles: int, taps: int, sign: int,
    ) -> None:
        if hi <= lo:
            return
        outside = get(fill, 0)
        inside = direct and inner == 1 and hi - lo >= _LONG + 2 * reach and separate(x, out)
        for b in range(outer):
            start = b * x_outer
            if inside and begin >= lo and hi + reach >= end:
                # The ends are continued, what lies between them is met where it is.
                goal, last = b * out_outer, end - reach
                for low, high in ((lo, begin), (last, hi)):
                    collect(x, start, 1, 1, source, low, high + reach, begin, end, outside, work, 1)
                    run(work, 0, w, out, goal + low, first, second, 1, high - low, singles, taps,
                        sign)
                run(x, start + get(source, begin), w, out, goal + begin, first, second, 1,
                    last - begin, singles, taps, sign)
                continue
            for c in range(0, inner, panel):
                width = min(panel, inner - c)
                pitch = spread(width, hi - lo, reach)
                goal = b * out_outer + lo * inner + c
                if direct and begin <= lo and hi + reach <= end and stay(inner, reach):
                    rows(x, start + get(source, lo) * inner + c, inner, w, out, goal, inner, first,
                         second, width, hi - lo, singles, taps, sign, reach)
                    continue
                collect(x, start + c, inner, width, source, lo, hi + reach, begin, end, outside,
                        work, pitch)
                rows(work, 0, pitch, w, out, goal, inner, first, second, width, hi - lo, singles,
                     taps, sign, reach)

    return ordered_line
