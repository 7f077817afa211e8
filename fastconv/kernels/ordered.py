"""Sums of products in a stated order, one rounding per operation: the bits of a plain C loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop, splat
from .ordered_convert import element_of, from_double
from .simd import call_llvm, overload_suffix
from .workspace import address

# Accumulators of a wide strip: additions wait four cycles for each other, two start in each.
_WIDE, _MIDDLE = 8, 4


def make_ordered(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``ordered``.

    ::

        out[p, r, i] = ((w[0] + T_0) + T_1) + ...         over t < taps
        T_t = x[p, r, first[t] + i] * w[t + 1]                                     for t < singles
        T_t = (x[p, r, first[t] + i] + sign * x[p, r, second[t] + i]) * w[t + 1]   else

    for p < planes, r < rows, i < width. Each product and each sum is rounded by itself and in
    this order, so that the result has the bits of a loop compiled without fused operations.

    Assumes: x[p, r] starts at p*x_plane + r*x_row and is contiguous, likewise out; sign is 1 or
    -1; out overlaps neither x nor w.
    """
    lanes = target.lanes(8 if dtype == "float64" else 4)
    wide = make_strip(dtype, _WIDE, lanes)
    middle = make_strip(dtype, _MIDDLE, lanes)
    thin = make_strip(dtype, 1, lanes)
    single = make_strip(dtype, 1, 1)

    def ordered(
        x: Any, w: Any, out: Any, first: Any, second: Any, planes: int, rows: int, width: int,
        x_plane: int, x_row: int, out_plane: int, out_row: int, singles: int, taps: int, sign: int,
    ) -> None:
        for p in range(planes):
            for r in range(rows):
                at, goal, i = p * x_plane + r * x_row, p * out_plane + r * out_row, 0
                strips = width // (_WIDE * lanes)
                wide(x, at, w, out, goal, first, second, 1, strips, singles, taps, sign)
                i = strips * _WIDE * lanes
                strips = (width - i) // (_MIDDLE * lanes)
                middle(x, at + i, w, out, goal + i, first, second, 1, strips, singles, taps,
                       sign)
                i += strips * _MIDDLE * lanes
                strips = (width - i) // lanes
                thin(x, at + i, w, out, goal + i, first, second, 1, strips, singles, taps,
                       sign)
                i += strips * lanes
                if i < width:
                    if width >= lanes:
                        # The last vector overlaps the one before it: the same sums again.
                        i = width - lanes
                        thin(x, at + i, w, out, goal + i, first, second, 1, 1, singles, taps,
                             sign)
                    else:
                        single(x, at + i, w, out, goal + i, first, second, 1, width - i, singles,
                               taps, sign)

    return ordered


def make_strip(dtype: str, vectors: int, lanes: int, result: str = "") -> Any:
    """Return the micro kernel ``strip``: `strips` times `vectors` vectors of outputs.

    ::

        strip(x, xi, w, out, oi, first, second, scale, strips, singles, taps, sign)

    Offsets are multiplied by `scale`; sums are converted to the dtype `result`, `dtype` by default.

    Assumes: all of these samples exist.
    """
    result = result or dtype
    goal_element, goal_size = element_of(result), np.dtype(result).itemsize
    element = ir.DoubleType() if dtype == "float64" else ir.FloatType()
    vector = ir.VectorType(element, lanes)
    size = 8 if dtype == "float64" else 4

    def model(
        x: Any, xi: int, w: Any, out: Any, oi: int, first: Any, second: Any, scale: int,
        strips: int, singles: int, taps: int, sign: int,
    ) -> None:
        width = strips * vectors * lanes
        if width <= 0:
            return
        if oi < 0 or oi + width > len(out):
            raise IndexError(f"outputs {oi}..{oi + width} must lie within {len(out)}")
        total = w[0]
        for t in range(taps):
            term = _piece(x, xi + first[t] * scale, width)
            if t >= singles:
                other = _piece(x, xi + second[t] * scale, width)
                term = term + other if sign > 0 else term - other
            total = total + term * w[t + 1]
        with np.errstate(all="ignore"):
            out[oi : oi + width] = np.broadcast_to(total, (width,)).astype(result)

    def body(b: Any, args: Values) -> None:
        x, w, out, first, second, scale, strips, singles, taps, sign = args

        def at(pointer: Any, position: Any, kind: Any) -> Any:
            return b.gep(pointer, [position], source_etype=kind)

        def vectors_at(pointer: Any, position: Any) -> Values:
            base = at(pointer, position, element)
            return [
                b.load(at(base, index(v * lanes), element), typ=vector, align=size)
                for v in range(vectors)
            ]

        def offset(table: Any, t: Any) -> Any:
            return b.mul(b.load(at(table, t, I64), typ=I64), scale)

        def tap(t: Any) -> Any:
            return splat(b, b.load(at(w, t, element), typ=element), vector)

        def product(u: Any, v: Any) -> Any:
            # Numba marks every operation of a module as free to fuse; nothing fuses over a fence.
            name = "llvm.arithmetic.fence." + overload_suffix(vector)
            return call_llvm(b, name, vector, [b.fmul(u, v)])

        def strip(j: Any, _: Values) -> Values:
            across = b.mul(j, index(vectors * lanes))

            def one(t: Any, totals: Values) -> Values:
                held = tap(b.add(t, index(1)))
                loaded = vectors_at(x, b.add(across, offset(first, t)))
                return [b.fadd(s, product(v, held)) for s, v in zip(totals, loaded, strict=True)]

            def pair(join: Any) -> Any:
                def two(q: Any, totals: Values) -> Values:
                    t = b.add(q, singles)
                    held = tap(b.add(t, index(1)))
                    left = vectors_at(x, b.add(across, offset(first, t)))
                    right = vectors_at(x, b.add(across, offset(second, t)))
                    return [
                        b.fadd(s, product(join(u, v), held))
                        for s, u, v in zip(totals, left, right, strict=True)
                    ]

                return two

            pairs, none = b.sub(taps, singles), index(0)
            positive = b.icmp_signed(">", sign, none)
            totals = loop(b, singles, [tap(none)] * vectors, one)
            totals = loop(b, b.select(positive, pairs, none), totals, pair(b.fadd))
            totals = loop(b, b.select(positive, none, pairs), totals, pair(b.fsub))
            for v, total in enumerate(totals):
                where = at(out, b.add(across, index(v * lanes)), goal_element)
                b.store(from_double(b, total, result, lanes), where, align=goal_size)
            return []

        loop(b, strips, [], strip)

    @intrinsic(model=model)
    def strip(
        typingctx: Any, x: Any, xi: Any, w: Any, out: Any, oi: Any, first: Any, second: Any,
        scale: Any, strips: Any, singles: Any, taps: Any, sign: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"ordered{vectors}x{lanes}_{dtype}_{result}"
            params = [*[POINTER] * 5, *[I64] * 5]
            micro = function(builder.module, name, params, body)
            zero = index(0)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, w, args[2], zero),
                address(context, builder, out, args[3], args[4]),
                address(context, builder, first, args[5], zero),
                address(context, builder, second, args[6], zero),
                *args[7:],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, out, i, first, second, *[i] * 5), codegen

    return strip


def _piece(x: Any, start: int, width: int) -> Any:
    if start < 0 or start + width > len(x):
        raise IndexError(f"samples {start}..{start + width} must lie within {len(x)}")
    return x[start : start + width]
