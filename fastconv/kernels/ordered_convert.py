"""Conversion of samples to doubles and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .emit import I64, POINTER, Values, function, index, loop
from .workspace import address


def to_double(b: Any, value: Any, dtype: str, count: int) -> Any:
    """Emit the conversion of a vector of `dtype` to doubles."""
    vector = ir.VectorType(ir.DoubleType(), count)
    if dtype == "float64":
        return value
    if dtype == "float32":
        return b.fpext(value, vector)
    return (b.uitofp if dtype.startswith("uint") else b.sitofp)(value, vector)


def from_double(b: Any, value: Any, dtype: str, count: int) -> Any:
    """Emit the conversion of a vector of doubles to `dtype`, as C compilers for x86 do it."""
    if dtype == "float64":
        return value
    if dtype == "float32":
        return b.fptrunc(value, ir.VectorType(ir.FloatType(), count))
    bits = 8 * np.dtype(dtype).itemsize
    # Through the signed type that holds all values of `dtype`, as those compilers go.
    through = 64 if dtype in ("uint32", "int64") else 32
    whole = b.fptosi(value, ir.VectorType(ir.IntType(through), count))
    return whole if bits == through else b.trunc(whole, ir.VectorType(ir.IntType(bits), count))


def element_of(dtype: str) -> Any:
    """Return the LLVM type of one element."""
    if dtype == "float64":
        return ir.DoubleType()
    if dtype == "float32":
        return ir.FloatType()
    return ir.IntType(8 * np.dtype(dtype).itemsize)


def make_convert(dtype: str, lanes: int) -> Any:
    """Return ``convert(x, xi, out, oi, count)``: out[oi + i] = double(x[xi + i]), i < count.

    Assumes: out does not overlap x.
    """
    element, double = element_of(dtype), ir.DoubleType()
    size = np.dtype(dtype).itemsize

    def model(x: Any, xi: int, out: Any, oi: int, count: int) -> None:
        if count > 0 and (min(xi, oi) < 0 or xi + count > len(x) or oi + count > len(out)):
            raise IndexError(f"{count} samples from {xi} must lie within {len(x)}, also outputs")
        out[oi : oi + count] = x[xi : xi + count]

    def body(b: Any, args: Values) -> None:
        x, out, count = args

        def piece(start: Any, length: int) -> None:
            vector = ir.VectorType(element, length)
            source = b.gep(x, [start], source_etype=element)
            value = to_double(b, b.load(source, typ=vector, align=size), dtype, length)
            b.store(value, b.gep(out, [start], source_etype=double), align=8)

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
    def convert(typingctx: Any, x: Any, xi: Any, out: Any, oi: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            micro = function(builder.module, f"convert_{dtype}", [POINTER, POINTER, I64], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, out, args[2], args[3]), args[4],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, out, i, i), codegen

    return convert
