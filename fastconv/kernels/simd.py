"""Vector operations for kernels: Numba intrinsics that emit LLVM vectors, each with its model.

The number of lanes is always a literal (a closure constant of the kernel's factory), so one
source serves every vector width. Without the JIT the models run: a vector is then a short NumPy
array, and a load or store outside its array is an IndexError.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model
from numba.np.arrayobj import make_array

from ..runtime.jit import intrinsic

__all__ = ["VectorType", "add", "fma", "load", "mul", "shift", "splat", "store", "store_past_cache"]


class VectorType(types.Type):
    """`lanes` elements of the Numba scalar type `element`, in one LLVM vector."""

    def __init__(self, element: Any, lanes: int) -> None:
        self.element = element
        self.lanes = lanes
        super().__init__(name=f"vector({element}, {lanes})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: VectorType) -> None:
        element = manager.lookup(vector.element).get_data_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def llvm_vector(context: Any, vector: VectorType) -> ir.VectorType:
    """Return the LLVM type of `vector`."""
    return ir.VectorType(context.get_data_type(vector.element), vector.lanes)


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the LLVM address of ``array[index]``; 1-D contiguous, no wrap-around, no check."""
    data = make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


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


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a * b + c: one rounding where the machine has FMA, wrapping for integers."""
    # llvm.fmuladd, not llvm.fma: the latter is a libm call where there is no FMA.
    if isinstance(a.type.element, ir.IntType):
        return builder.add(builder.mul(a, b), c)
    return call_llvm(builder, "llvm.fmuladd." + overload_suffix(a.type), a.type, [a, b, c])


def _model_load(array: Any, index: int, lanes: int) -> Any:
    _check(array, index, lanes)
    return array[index : index + lanes].copy()


def _model_store(array: Any, index: int, vector: Any) -> None:
    _check(array, index, len(vector))
    array[index : index + len(vector)] = vector


def _check(array: Any, index: int, lanes: int) -> None:
    if index < 0 or index + lanes > len(array):
        raise IndexError(f"lanes {index}..{index + lanes} must lie within {len(array)} elements")


@intrinsic(model=_model_load)
def load(typingctx: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Return ``array[index : index + lanes]`` as one vector; any alignment."""
    vector = VectorType(array.dtype, lanes.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        pointer = builder.bitcast(pointer, llvm_vector(context, vector).as_pointer())
        value = builder.load(pointer)
        value.align = itemsize(array)
        return value

    return vector(array, types.intp, lanes), codegen


@intrinsic(model=_model_store)
def store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Store `vector` to ``array[index : index + lanes]``; any alignment."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        pointer = builder.bitcast(pointer, llvm_vector(context, vector).as_pointer())
        builder.store(args[2], pointer).align = itemsize(array)
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


@intrinsic(model=_model_store)
def store_past_cache(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Store `vector` without bringing its line into the cache; the address must be aligned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, array, args[0], args[1])
        pointer = builder.bitcast(pointer, llvm_vector(context, vector).as_pointer())
        instruction = builder.store(args[2], pointer)
        instruction.align = itemsize(array) * vector.lanes
        one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        instruction.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), codegen


@intrinsic(model=lambda value, lanes: np.full(lanes, value))
def splat(typingctx: Any, value: Any, lanes: Any) -> Any:
    """Return a vector with `value` in every lane."""
    vector = VectorType(value, lanes.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vtype = llvm_vector(context, vector)
        single = builder.insert_element(
            ir.Constant(vtype, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
        return builder.shuffle_vector(single, ir.Constant(vtype, ir.Undefined), mask)

    return vector(value, lanes), codegen


@intrinsic(model=lambda a, b, c: a * b + c)
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return multiply_add(builder, *args)

    return a(a, a, a), codegen


@intrinsic(model=lambda a, b: a + b)
def add(typingctx: Any, a: Any, b: Any) -> Any:
    """Return a + b, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = isinstance(a.element, types.Integer)
        return (builder.add if integer else builder.fadd)(*args)

    return a(a, a), codegen


@intrinsic(model=lambda a, b: a * b)
def mul(typingctx: Any, a: Any, b: Any) -> Any:
    """Return a * b, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = isinstance(a.element, types.Integer)
        return (builder.mul if integer else builder.fmul)(*args)

    return a(a, a), codegen


@intrinsic(model=lambda a, b, lanes: np.concatenate([a, b])[lanes : lanes + len(a)])
def shift(typingctx: Any, a: Any, b: Any, lanes: Any) -> Any:
    """Return the vector that starts `lanes` (a literal) into the pair a, b."""
    count = lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        width = a.lanes
        mask = ir.Constant(
            ir.VectorType(ir.IntType(32), width), list(range(count, count + width))
        )
        return builder.shuffle_vector(args[0], args[1], mask)

    return a(a, a, lanes), codegen
