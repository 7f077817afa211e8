"""What all kernels emit: addresses into arrays, calls of LLVM's intrinsics, multiply-add."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from ..runtime.memory import data


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the LLVM address of ``array[index]``; 1-D contiguous, no wrap-around, no check."""
    return builder.gep(data(builder, array), [index], inbounds=True)


def itemsize(array_type: Any) -> int:
    """Return the bytes in one element of a Numba array type."""
    return int(np.dtype(str(array_type.dtype)).itemsize)


def call_llvm(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    """Call the LLVM intrinsic `name` (overload suffix included)."""
    signature = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), args)


def overload_suffix(vector: ir.VectorType) -> str:
    """Return LLVM's name mangling for a vector type: ``v8f64``, ``v16i32``."""
    element = vector.element
    if isinstance(element, ir.DoubleType):
        name = "f64"
    elif isinstance(element, ir.FloatType):
        name = "f32"
    else:
        name = f"i{element.width}"
    return f"v{vector.count}{name}"


def low_half(builder: Any, value: Any) -> Any:
    """Emit the low half of each lane with its sign: x86 multiplies two of them at once."""
    half = ir.VectorType(ir.IntType(value.type.element.width // 2), value.type.count)
    return builder.sext(builder.trunc(value, half), value.type)


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a * b + c: one rounding where the machine has FMA, wrapping for integers."""
    # llvm.fmuladd, not llvm.fma: the latter is a libm call where there is no FMA.
    if isinstance(a.type.element, ir.IntType):
        return builder.add(builder.mul(a, b), c)
    return call_llvm(builder, "llvm.fmuladd." + overload_suffix(a.type), a.type, [a, b, c])
