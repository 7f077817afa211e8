"""Means of windows along one axis of samples of any dtype: continue, add up, divide, convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop
from .ordered_convert import element_of, from_double, make_convert
from .scalar import get, put
from .window_doubling import make_doubling
from .window_lanes import BOX
from .workspace import address

# Outputs of one chunk, at least: with the samples under their windows they stay in a first cache.
_CHUNK = 1024
# A chunk is longer than what its windows share with the next one by this factor.
_LONGER = 4


def make_mean_line(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``mean_line``.

    ::

        out[b, i, c] = T((sum over t <= reach of X(b, i + t, c)) / size[0])
        X(b, v, c) = x[b, source[v], c] as a double, fill[0] where source[v] < 0

    for b < outer, lo <= i < hi, c < inner. Sums start from +0 and never take a sample back. T
    truncates to integers, which wrap at 8 and 16 bits.

    Assumes: what `ordered_line` assumes, and work of twice as many doubles.
    """
    gather = make_convert(dtype, target.lanes(8))
    sums = make_doubling(target, "float64", BOX)
    divide = _make_divide(dtype, target.lanes(8))

    def mean_line(
        x: Any, size: Any, out: Any, source: Any, fill: Any, work: Any,
        outer: int, x_outer: int, out_outer: int, inner: int, lo: int, hi: int, reach: int,
        panel: int, begin: int, end: int,
    ) -> None:
        if hi <= lo:
            return
        outside, divisor = get(fill, 0), get(size, 0)
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
                        gather(x, b * x_outer + j * inner + c, work, at, width)
                    v += 1
                sums_at, total = (hi - lo + reach) * width, (hi - lo) * width
                goal = b * out_outer + lo * inner + c
                # Rows of a panel are written one by one, whole rows in chunks of any length.
                unit = 1 if width == inner else width
                chunk = max(_CHUNK, _LONGER * reach * width) // unit * unit
                chunk = max(chunk, unit)
                for first in range(0, total, chunk):
                    here = min(chunk, total - first)
                    sums(work, first, work, sums_at, here, work, sums_at, reach + 1, width)
                    if width == inner:
                        divide(work, sums_at, divisor, out, goal + first, here)
                    else:
                        for r in range(here // width):
                            row = first // width + r
                            divide(work, sums_at + r * width, divisor, out, goal + row * inner,
                                   width)

    return mean_line


def _make_divide(dtype: str, lanes: int) -> Any:
    """Return ``divide(x, xi, divisor, out, oi, count)``: out[oi + i] = T(x[xi + i] / divisor).

    Assumes: out does not overlap x.
    """
    element, double = element_of(dtype), ir.DoubleType()
    align = np.dtype(dtype).itemsize

    def model(x: Any, xi: int, divisor: float, out: Any, oi: int, count: int) -> None:
        if count > 0 and (min(xi, oi) < 0 or xi + count > len(x) or oi + count > len(out)):
            raise IndexError(f"{count} sums from {xi} must lie within {len(x)}, also outputs")
        means = x[xi : xi + count] / divisor
        if out.dtype.kind in "iu":
            means = means.astype(np.int64)
        out[oi : oi + count] = means.astype(out.dtype)

    def body(b: Any, args: Values) -> None:
        x, divisor, out, count = args

        def piece(start: Any, length: int) -> None:
            vector = ir.VectorType(double, length)
            value = b.load(b.gep(x, [start], source_etype=double), typ=vector, align=8)
            splat: Any = ir.Constant(vector, ir.Undefined)
            for lane in range(length):
                splat = b.insert_element(splat, divisor, index(lane))
            result = from_double(b, b.fdiv(value, splat), dtype, length)
            b.store(result, b.gep(out, [start], source_etype=element), align=align)

        def whole(j: Any, _: Values) -> Values:
            piece(b.mul(j, index(lanes)), lanes)
            return []

        def one(j: Any, _: Values) -> Values:
            piece(b.add(j, b.sub(count, rest)), 1)
            return []

        rest = b.urem(count, index(lanes))
        loop(b, b.udiv(count, index(lanes)), [], whole)
        loop(b, rest, [], one)

    @intrinsic(model=model)
    def divide(
        typingctx: Any, x: Any, xi: Any, divisor: Any, out: Any, oi: Any, count: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, ir.DoubleType(), POINTER, I64]
            micro = function(builder.module, f"divide_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2],
                address(context, builder, out, args[3], args[4]), args[5],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, types.float64, out, i, i), codegen

    return divide
