"""One description of a vector computation, two readings: LLVM instructions or NumPy arrays.

The passes of the block transform are written once against these operations. `Emit` turns them
into straight LLVM code inside one intrinsic, so that a whole butterfly lives in named registers;
`Model` runs them on NumPy arrays: the intrinsic's Python model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..runtime.jit import intrinsic
from ..runtime.memory import data
from .simd import call_llvm, element_pointer, itemsize, multiply_add, overload_suffix

_INDEX = ir.IntType(64)


class Emit:
    """Operations that append LLVM instructions; a vector has `lanes` elements of `array`'s type.

    Integers may be Python ints or LLVM values. An array is a pair (Numba type, LLVM value).
    """

    def __init__(self, context: Any, builder: Any, array: Any, lanes: int) -> None:
        self.context, self.builder, self.lanes = context, builder, lanes
        self.element = context.get_data_type(array.dtype)
        self.bytes = itemsize(array)
        self.vector = ir.VectorType(self.element, lanes)

    # -- integers

    def whole(self, value: Any) -> Any:
        return ir.Constant(_INDEX, value) if isinstance(value, int) else value

    def plus(self, *terms: Any) -> Any:
        total = self.whole(terms[0])
        for term in terms[1:]:
            total = self.builder.add(total, self.whole(term), flags=["nsw"])
        return total

    def times(self, a: Any, b: Any) -> Any:
        return self.builder.mul(self.whole(a), self.whole(b), flags=["nsw"])

    def again(self, value: Any) -> Any:
        """Return the integer `value` as if it were another: what it leads to is loaded anew.

        A twiddle that is used at both ends of a tile would otherwise be kept, that is, spilled.
        """
        kind = ir.FunctionType(_INDEX, [_INDEX])
        return self.builder.asm(kind, "", "=r,0", [self.whole(value)], side_effect=False)

    # -- memory

    def _data(self, array: Any) -> Any:
        return data(self.builder, array[1])

    def _address(self, array: Any, index: Any, vtype: Any) -> Any:
        pointer = element_pointer(
            self.context, self.builder, array[0], array[1], self.whole(index)
        )
        return self.builder.bitcast(pointer, vtype.as_pointer())

    def load(self, array: Any, index: Any) -> Any:
        value = self.builder.load(self._address(array, index, self.vector))
        value.align = self.bytes
        return value

    def store(self, array: Any, index: Any, value: Any) -> None:
        pointer = self._address(array, index, self.vector)
        self.builder.store(value, pointer).align = self.bytes

    def broadcast(self, array: Any, index: Any) -> Any:
        """Return ``array[index]`` in every lane."""
        return self._splat(self.builder.load(self._address(array, index, self.element)))

    def prefetch(self, array: Any, index: Any, writing: bool) -> None:
        """Ask for the cache line of ``array[index]``, which may lie outside the array."""
        pointer = self.builder.gep(self._data(array), [self.whole(index)], inbounds=False)
        pointer = self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        flags = [ir.Constant(number, f) for f in (int(writing), 3, 1)]
        call_llvm(self.builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *flags])

    def add_total(self, array: Any, index: Any, vector: Any) -> None:
        """Add the sum of all lanes of `vector` to ``array[index]``."""
        pointer = self._address(array, index, self.element)
        total = self.builder.load(pointer)
        for lane in range(self.lanes):
            part = self.builder.extract_element(vector, ir.Constant(ir.IntType(32), lane))
            total = self.builder.fadd(total, part)
        self.builder.store(total, pointer)

    def _inside(self, array: Any, base: Any, index: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the address of ``array[base + index]`` and the mask of lanes in low..high-1."""
        place, mask = self._between(index, low, high)
        return self.builder.gep(self._data(array), [self.plus(base, place)], inbounds=False), mask

    def _between(self, index: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Return where to access and the mask of the lanes from `index` on in low..high-1.

        A masked access to a page that is not there takes a slow assist in the processor, even
        with no lane left: such an access goes to `low` instead.
        """
        b = self.builder
        narrow = ir.IntType(8 * self.bytes)
        limits, bounds = [], []
        for limit in (low, high):
            distance = b.sub(self.whole(limit), self.whole(index))
            for test, edge in ((">", self.lanes), ("<", 0)):
                beyond = b.icmp_signed(test, distance, self.whole(edge))
                distance = b.select(beyond, self.whole(edge), distance)
            limits.append(distance)
            bounds.append(self._splat(b.trunc(distance, narrow) if self.bytes < 8 else distance))
        lane = ir.Constant(bounds[0].type, list(range(self.lanes)))
        mask = b.and_(b.icmp_signed(">=", lane, bounds[0]), b.icmp_signed("<", lane, bounds[1]))
        empty = b.icmp_signed(">=", *limits)
        return b.select(empty, self.whole(low), self.whole(index)), mask

    def _splat(self, scalar: Any) -> Any:
        vtype = ir.VectorType(scalar.type, self.lanes)
        undefined = ir.Constant(vtype, ir.Undefined)
        single = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, mask)

    def load_inside(self, array: Any, base: Any, index: Any, low: Any, high: Any) -> Any:
        """Load ``array[base + index]``; lanes whose index is outside low..high-1 are +0, unread."""
        return self.load_lanes(array, base, index, low, high, self.vector)

    def load_lanes(
        self, array: Any, base: Any, index: Any, low: Any, high: Any, vector: Any
    ) -> Any:
        """`load_inside` of vectors of the type `vector`, the array's."""
        zero = ir.Constant(vector, [ir.Constant(vector.element, 0)] * self.lanes)
        align = array[0].dtype.bitwidth // 8

        def whole() -> Any:
            value = self.builder.load(self._address(array, self.plus(base, index), vector))
            value.align = align
            return value

        def some() -> Any:
            pointer, mask = self._inside(array, base, index, low, high)
            args = [pointer, ir.Constant(ir.IntType(32), align), mask, zero]
            name = f"llvm.masked.load.{overload_suffix(vector)}.p0"
            return call_llvm(self.builder, name, vector, args)

        return self.by_overlap(index, low, high, whole, some, zero)

    def store_inside(
        self, array: Any, base: Any, index: Any, low: Any, high: Any, value: Any
    ) -> None:
        """Store to ``array[base + index]`` the lanes whose index is inside low..high-1."""
        align = ir.Constant(ir.IntType(32), self.bytes)

        def some() -> None:
            pointer, mask = self._inside(array, base, index, low, high)
            name = f"llvm.masked.store.{overload_suffix(self.vector)}.p0"
            call_llvm(self.builder, name, ir.VoidType(), [value, pointer, align, mask])

        self.by_overlap(
            index, low, high, lambda: self.store(array, self.plus(base, index), value), some
        )

    def by_overlap(
        self, index: Any, low: Any, high: Any, whole: Any, some: Any, none: Any = None
    ) -> Any:
        """Return `whole()`, `some()` or `none` as all, some or no lanes are inside low..high-1.

        All vectors of a pass but one at each end of the signal are inside or outside as a whole.
        Where masks are dear (`Target.masks`) a well predicted branch takes a quarter of the time of
        a masked store and half that of a masked load.
        """
        if self.lanes * self.bytes == 64:
            return some()
        b = self.builder
        distance = b.sub(self.whole(index), self.whole(low))
        length = b.sub(self.whole(high), self.whole(low))
        places = b.sub(length, self.whole(self.lanes - 1))
        places = b.select(b.icmp_signed("<", places, self.whole(0)), self.whole(0), places)
        outcomes = []
        with b.if_else(b.icmp_unsigned("<", distance, places), likely=True) as (inside, other):
            with inside:
                outcomes.append((whole(), b.block))
            with other:
                touched = b.and_(
                    b.icmp_signed(">", distance, self.whole(-self.lanes)),
                    b.icmp_signed("<", distance, length),
                )
                before = b.block
                with b.if_then(touched, likely=False):
                    value, after = some(), b.block
                if none is not None:
                    phi = b.phi(none.type)
                    phi.add_incoming(none, before)
                    phi.add_incoming(value, after)
                    value = phi
                outcomes.append((value, b.block))
        if none is None:
            return None
        result = b.phi(none.type)
        for value, block in outcomes:
            result.add_incoming(value, block)
        return result

    # -- rows: places in one of two arrays, chosen at run time

    def integer(self, array: Any, index: Any) -> Any:
        """Return ``array[index]`` of an int64 array."""
        return self.builder.load(self._address(array, index, _INDEX))

    def row(self, first: Any, second: Any, position: Any) -> Any:
        """Return the place ``first[position]``, or ``second[-1 - position]`` if negative."""
        b = self.builder
        pointers = [
            b.gep(self._data(array), [at], inbounds=False)
            for array, at in ((first, position), (second, b.not_(position)))
        ]
        return b.select(b.icmp_signed(">=", position, self.whole(0)), *pointers)

    def load_row(self, row: Any, index: Any) -> Any:
        pointer = self.builder.gep(row, [self.whole(index)], inbounds=False)
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.bytes
        return value

    def store_row(self, row: Any, index: Any, value: Any) -> None:
        pointer = self.builder.gep(row, [self.whole(index)], inbounds=False)
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        self.builder.store(value, pointer).align = self.bytes

    def store_row_inside(self, row: Any, index: Any, low: Any, high: Any, value: Any) -> None:
        """Store from ``row[index]`` on the lanes whose index is inside low..high-1."""
        place, mask = self._between(index, low, high)
        pointer = self.builder.gep(row, [place], inbounds=False)
        align = ir.Constant(ir.IntType(32), self.bytes)
        name = f"llvm.masked.store.{overload_suffix(self.vector)}.p0"
        call_llvm(self.builder, name, ir.VoidType(), [value, pointer, align, mask])

    # -- arithmetic

    def constant(self, values: Any) -> Any:
        return ir.Constant(self.vector, [float(v) for v in values])

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b)

    def neg(self, a: Any) -> Any:
        return self.builder.fneg(a)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c."""
        return multiply_add(self.builder, a, b, c)

    def fms(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b - c."""
        return multiply_add(self.builder, a, b, self.builder.fneg(c))

    def fnma(self, a: Any, b: Any, c: Any) -> Any:
        """Return c - a * b."""
        return multiply_add(self.builder, self.builder.fneg(a), b, c)

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """Return the lanes numbered `lanes` of the pair a, b."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    # -- control

    def loop(self, count: Any, step: int, body: Callable[[Any], None]) -> None:
        """Call `body` with 0, step, 2 * step, ... below `count`."""
        with cgutils.for_range_slice(
            self.builder, self.whole(0), self.whole(count), self.whole(step), intp=_INDEX
        ) as (index, _):
            body(index)

    def variable(self) -> Any:
        """Return a vector variable that holds zero."""
        slot = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(ir.Constant(self.vector, [0.0] * self.lanes), slot)
        return slot

    def get(self, slot: Any) -> Any:
        return self.builder.load(slot)

    def put(self, slot: Any, value: Any) -> None:
        self.builder.store(value, slot)


class Model:
    """The same operations on NumPy arrays; an access outside its array is an IndexError."""

    def __init__(self, array: Any, lanes: int) -> None:
        self.dtype, self.lanes, self.bytes = array.dtype, lanes, array.itemsize

    def plus(self, *terms: int) -> int:
        return sum(terms)

    def times(self, a: int, b: int) -> int:
        return a * b

    def again(self, value: int) -> int:
        return value

    def load(self, array: Any, index: int) -> Any:
        self._check(array, index)
        return array[index : index + self.lanes].copy()

    def store(self, array: Any, index: int, value: Any) -> None:
        self._check(array, index)
        array[index : index + self.lanes] = value

    def _check(self, array: Any, index: int) -> None:
        if index < 0 or index + self.lanes > len(array):
            raise IndexError(f"lanes from {index} must lie within {len(array)} elements")

    def broadcast(self, array: Any, index: int) -> Any:
        if index < 0:
            raise IndexError(f"index must not be negative, got {index}")
        return np.full(self.lanes, array[index])

    def prefetch(self, array: Any, index: int, writing: bool) -> None:
        pass

    def add_total(self, array: Any, index: int, vector: Any) -> None:
        array[index] += vector.sum()

    def load_inside(self, array: Any, base: int, index: int, low: int, high: int) -> Any:
        value = np.zeros(self.lanes, self.dtype)
        for lane in range(max(0, low - index), min(self.lanes, high - index)):
            value[lane] = array[base + index + lane]
        return value

    def store_inside(
        self, array: Any, base: int, index: int, low: int, high: int, value: Any
    ) -> None:
        for lane in range(max(0, low - index), min(self.lanes, high - index)):
            array[base + index + lane] = value[lane]

    def integer(self, array: Any, index: int) -> int:
        return int(array[index])

    def row(self, first: Any, second: Any, position: int) -> Any:
        return (first, position) if position >= 0 else (second, -1 - position)

    def load_row(self, row: Any, index: int) -> Any:
        return self.load(row[0], row[1] + index)

    def store_row(self, row: Any, index: int, value: Any) -> None:
        self.store(row[0], row[1] + index, value)

    def store_row_inside(self, row: Any, index: int, low: int, high: int, value: Any) -> None:
        self.store_inside(row[0], row[1], index, low, high, value)

    def constant(self, values: Any) -> Any:
        return np.array(values, self.dtype)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def sub(self, a: Any, b: Any) -> Any:
        return a - b

    def mul(self, a: Any, b: Any) -> Any:
        return a * b

    def neg(self, a: Any) -> Any:
        return -a

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    def fms(self, a: Any, b: Any, c: Any) -> Any:
        return a * b - c

    def fnma(self, a: Any, b: Any, c: Any) -> Any:
        return c - a * b

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        return np.concatenate([a, b])[lanes]

    def loop(self, count: int, step: int, body: Callable[[int], None]) -> None:
        for index in range(0, count, step):
            body(index)

    def variable(self) -> Any:
        return [np.zeros(self.lanes, self.dtype)]

    def get(self, slot: Any) -> Any:
        return slot[0]

    def put(self, slot: Any, value: Any) -> None:
        slot[0] = value


def vector_intrinsic(emit: Callable[..., None], arrays: int, integers: int) -> Any:
    """Return ``emit(ops, radix, args)`` as an intrinsic of (lanes, radix, arrays..., integers...).

    `lanes` and `radix` are literals: each pair is straight code of its own.
    """

    def model(lanes: int, radix: int, *rest: Any) -> None:
        emit(Model(rest[0], lanes), radix, rest)

    def typing_function(typingctx: Any, lanes: Any, radix: Any, *rest: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            ops = Emit(context, builder, rest[0], lanes.literal_value)
            handles = zip(rest[:arrays], values[2 : 2 + arrays], strict=True)
            emit(ops, radix.literal_value, (*handles, *values[2 + arrays :]))
            return context.get_dummy_value()

        return types.none(lanes, radix, *rest[:arrays], *[types.int64] * integers), codegen

    # Numba counts the parameters: *rest must look like named ones.
    names = ["typingctx", "lanes", "radix", *(f"a{j}" for j in range(arrays + integers))]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    typing_function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return intrinsic(model=model)(typing_function)
