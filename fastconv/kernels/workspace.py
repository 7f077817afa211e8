"""A workspace on the stack, and how signals are copied into it."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.memory import Memory, data, memory
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, index, loop

# Vectors that are looked at together.
_SIDES = 4


@intrinsic(model=lambda array, count: np.full(count, 77).astype(array.dtype))
def stack(typingctx: Any, array: Any, count: Any) -> Any:
    """Return `count` (a literal) elements of an array's dtype on the stack, not initialised."""
    return _stacked(array.dtype, array, count)


@intrinsic(model=lambda count: np.full(count, 77, np.float32))
def singles(typingctx: Any, count: Any) -> Any:
    """Return `count` (a literal) float32 on the stack, not initialised."""
    return _stacked(types.float32, count)


def _stacked(dtype: Any, *arguments: Any) -> Any:
    kind, number = Memory(dtype), arguments[-1].literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(dtype)
        # Numba's own alloca_once clears what it makes, element by element: a minute of LLVM's time
        # for 50,000 of them.
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(element, number))
            room.align = 64
        return memory(context, builder, kind, builder.bitcast(room, element.as_pointer()), number)

    return kind(*arguments), codegen


def address(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    """Return the address of an element; it may lie outside if nothing is read there."""
    element = context.get_data_type(array_type.dtype)
    pointer = builder.gep(data(builder, array), [position], source_etype=element)
    return builder.bitcast(pointer, POINTER)


def _to_aligned_model(array: Any, position: int, lanes: int) -> int:
    return int(-(array.ctypes.data // array.itemsize + position) % lanes)


@intrinsic(model=_to_aligned_model)
def to_aligned(typingctx: Any, array: Any, position: Any, lanes: Any) -> Any:
    """Return how many elements after ``array[position]`` the next aligned vector begins."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = builder.ptrtoint(address(context, builder, array, args[0], args[1]), I64)
        size = np.dtype(str(array.dtype)).itemsize
        elements = builder.udiv(at, index(size))
        return builder.and_(builder.neg(elements), index(lanes.literal_value - 1))

    return types.intp(array, types.intp, lanes), codegen


def make_clear(target: Target, dtype: str) -> Any:
    """Return ``clear(work, start, stop)``: zeros, in whole vectors: up to one vector too many."""
    a = Arithmetic.of(target, dtype)

    def model(work: Any, start: int, stop: int) -> None:
        end = start + -(-max(stop - start, 0) // a.lanes) * a.lanes
        if start < 0 or end > len(work):
            raise IndexError(f"work must have {end} elements, got {len(work)}")
        work[start:end] = 0

    @intrinsic(model=model)
    def clear(typingctx: Any, work: Any, start: Any, stop: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base = address(context, builder, work, args[0], args[1])

            def vector(j: Any, _: Values) -> Values:
                at = a.at(builder, base, builder.mul(j, index(a.lanes)))
                _store(builder, a, ir.Constant(a.stored, None), at)
                return []

            vectors = builder.add(builder.sub(args[2], args[1]), index(a.lanes - 1))
            loop(builder, builder.sdiv(vectors, index(a.lanes)), [], vector)
            return context.get_dummy_value()

        return types.none(work, types.intp, types.intp), codegen

    return clear


def make_copy(target: Target, dtype: str) -> Any:
    """Return ``copy(x, start, stop, work, at)``: x[start:stop] and zeros up to a whole vector."""
    a = Arithmetic.of(target, dtype)

    def model(x: Any, start: int, stop: int, work: Any, at: int) -> None:
        count = max(stop - start, 0)
        end = at + -(-count // a.lanes) * a.lanes
        if start < 0 or start + count > len(x) or at < 0 or end > len(work):
            raise IndexError(f"x must have {stop} elements and work {end}")
        work[at : at + count] = x[start : start + count]
        work[at + count : end] = 0

    @intrinsic(model=model)
    def copy(typingctx: Any, x: Any, start: Any, stop: Any, work: Any, at: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = address(context, builder, x, args[0], args[1])
            goal = address(context, builder, work, args[3], args[4])
            count = builder.sub(args[2], args[1])
            whole = builder.sdiv(count, index(a.lanes))

            def vector(j: Any, _: Values) -> Values:
                at = builder.mul(j, index(a.lanes))
                value = builder.load(
                    a.at(builder, source, at), typ=a.stored, align=a.size // a.parts
                )
                _store(builder, a, value, a.at(builder, goal, at))
                return []

            loop(builder, whole, [], vector)
            done = builder.mul(whole, index(a.lanes))
            left = builder.sub(count, done)
            with builder.if_then(builder.icmp_signed(">", left, index(0))):
                value = a.load_first(builder, a.at(builder, source, done), left)
                _store(builder, a, value, a.at(builder, goal, done))
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, work, i), codegen

    return copy


def _store(builder: Any, a: Arithmetic, vector: Any, pointer: Any) -> None:
    a.store(builder, vector, pointer)
    # LLVM would make the loop a call of memset or memcpy, which costs more than a few stores;
    # empty assembly that may touch any memory stops it.
    barrier = ir.FunctionType(ir.VoidType(), [])
    builder.asm(barrier, "", "~{memory}", [], side_effect=True)


def sweep(builder: Any, a: Arithmetic, base: Any, count: Any, step: Any, merge: Any) -> Any:
    """Emit ``total = step(vector, total)`` over `count` elements, and zeros up to a whole vector.

    The total starts from zeros; several go side by side, and are merged.
    """

    def vectors(side: int, done: Any, totals: Values) -> tuple[Any, Values]:
        size = index(side * a.lanes)
        times = builder.sdiv(builder.sub(count, done), size)

        def some(j: Any, totals: Values) -> Values:
            at = a.at(builder, base, builder.add(done, builder.mul(j, size)))
            return [step(a.load(builder, a.at(builder, at, v * a.lanes)), total)
                    for v, total in enumerate(totals)]

        return builder.add(done, builder.mul(times, size)), loop(builder, times, totals, some)

    # Side by side: an addition waits three or four cycles for the one before it.
    done, totals = vectors(_SIDES, index(0), [a.zero()] * _SIDES)
    done, (total,) = vectors(1, done, [reduce(merge, totals)])
    rest = a.load_first(builder, a.at(builder, base, done), builder.sub(count, done))
    return step(rest, total)


def make_finite(target: Target, dtype: str) -> Any:
    """Return ``finite(w, start, k)``: whether w[start : start + k] has no NaN and no infinity."""
    a = Arithmetic.of(target, dtype)

    def model(w: Any, start: int, k: int) -> bool:
        return bool(np.isfinite(w[start : start + k]).all())

    @intrinsic(model=model)
    def finite(typingctx: Any, w: Any, start: Any, k: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            if a.is_integer:
                return context.get_constant(types.boolean, True)
            base = address(context, builder, w, args[0], args[1])

            def differences(value: Any, total: Any) -> Any:
                # Zero in every lane, or NaN where v - v is NaN, which stays.
                return builder.fadd(total, builder.fsub(value, value))

            total = sweep(builder, a, base, args[2], differences, builder.fadd)
            wild = builder.fcmp_unordered("uno", total, total)
            bits = builder.bitcast(wild, ir.IntType(wild.type.count))
            return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))

        return types.boolean(w, types.intp, types.intp), codegen

    return finite
