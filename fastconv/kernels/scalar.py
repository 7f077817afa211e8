"""Scalar operations for kernels: element access without wrap-around, and one typed multiply-add."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .simd import call_llvm, element_pointer

__all__ = ["get", "join", "madd", "misalignment", "put", "zero_like"]


def _model_get(array: Any, index: int) -> Any:
    if not 0 <= index < len(array):
        raise IndexError(f"index {index} must lie within {len(array)} elements")
    return array[index]


def _model_put(array: Any, index: int, value: Any) -> None:
    if not 0 <= index < len(array):
        raise IndexError(f"index {index} must lie within {len(array)} elements")
    array[index] = value


def _model_madd(a: Any, b: Any, c: Any) -> Any:
    return (a & b) | c if a.dtype.kind == "b" else a * b + c


@intrinsic(model=_model_get)
def get(typingctx: Any, array: Any, index: Any) -> Any:
    """Return ``array[index]``; a negative index does not wrap, nothing is checked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        return context.unpack_value(builder, array.dtype, pointer)

    return array.dtype(array, types.intp), codegen


@intrinsic(model=_model_put)
def put(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index]``; a negative index does not wrap, nothing is checked."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        context.pack_value(builder, array.dtype, args[2], pointer)
        return context.get_dummy_value()

    return types.none(array, types.intp, array.dtype), codegen


@intrinsic(model=lambda array: array.dtype.type(0))
def zero_like(typingctx: Any, array: Any) -> Any:
    """Return zero in the dtype of `array`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(context.get_value_type(array.dtype), None)

    return array.dtype(array), codegen


@intrinsic(model=_model_madd)
def madd(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c in the operands' own dtype: wrapping integers, OR of AND for booleans."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, a, *args)

    return a(a, a, a), codegen


@intrinsic(model=lambda a, b: a | b if a.dtype.kind == "b" else a + b)
def join(typingctx: Any, a: Any, b: Any) -> Any:
    """Return a + b in the operands' own dtype; OR for booleans."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right = args
        if isinstance(a, types.Boolean):
            return builder.or_(left, right)
        if isinstance(a, types.Integer):
            return builder.add(left, right)
        if isinstance(a, types.Float):
            return builder.fadd(left, right)
        for part in (0, 1):
            both = [builder.extract_value(z, part) for z in (left, right)]
            left = builder.insert_value(left, builder.fadd(*both), part)
        return left

    return a(a, a), codegen


def _multiply_add(builder: Any, kind: Any, a: Any, b: Any, c: Any) -> Any:
    if isinstance(kind, types.Boolean):
        return builder.or_(builder.and_(a, b), c)
    if isinstance(kind, types.Integer):
        return builder.add(builder.mul(a, b), c)
    if isinstance(kind, types.Float):
        return _fmuladd(builder, a, b, c)
    part = [builder.extract_value(z, p) for z in (a, b, c) for p in (0, 1)]
    real = _fmuladd(builder, part[0], part[2], part[4])
    real = _fmuladd(builder, builder.fneg(part[1]), part[3], real)
    imaginary = _fmuladd(builder, part[0], part[3], part[5])
    imaginary = _fmuladd(builder, part[1], part[2], imaginary)
    return builder.insert_value(builder.insert_value(c, real, 0), imaginary, 1)


def _fmuladd(builder: Any, a: Any, b: Any, c: Any) -> Any:
    suffix = "f64" if isinstance(a.type, ir.DoubleType) else "f32"
    return call_llvm(builder, f"llvm.fmuladd.{suffix}", a.type, [a, b, c])


def _model_misalignment(array: Any, index: int, size: int) -> int:
    return int(array.ctypes.data + index * array.itemsize) % size


@intrinsic(model=_model_misalignment)
def misalignment(typingctx: Any, array: Any, index: Any, size: Any) -> Any:
    """Return by how many bytes the address of ``array[index]`` exceeds a multiple of `size`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        return builder.urem(builder.ptrtoint(pointer, args[2].type), args[2])

    return types.intp(array, types.intp, types.intp), codegen
