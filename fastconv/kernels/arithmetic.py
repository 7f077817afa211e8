"""How each dtype is loaded, multiplied, added and stored in vector registers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from llvmlite import ir

from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, lanes, splat
from .simd import call_llvm, low_half, multiply_add, overload_suffix
from .some_lanes import lanes_between, load_first

_ELEMENTS: dict[str, Any] = {
    "float64": ir.DoubleType(),
    "float32": ir.FloatType(),
    "complex128": ir.DoubleType(),
    "complex64": ir.FloatType(),
    "bool": ir.IntType(8),
}


# int64 whose numbers fit into 32 bits, as the dtype of loops that multiply their low halves only.
LOW = "int64low"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How one dtype multiplies and adds in vector registers.

    Parameters
    ----------
    dtype : str
        The dtype in memory.
    lanes : int
        Elements of it in one accumulator.
    parts : int
        Accumulators per vector of outputs: 2 for complex (the sums with the real and with the
        imaginary parts of the taps), else 1.
    target : Target
        What the vectors are of.
    low : bool
        Whether factors fit into the low half of a lane.
    """

    dtype: str
    lanes: int
    parts: int
    target: Target
    low: bool = False

    @staticmethod
    def of(target: Target, dtype: str) -> Arithmetic:
        """Return the arithmetic of `dtype` on `target`."""
        if dtype == LOW:
            return replace(Arithmetic.of(target, "int64"), low=True)
        size = np.dtype(dtype).itemsize
        # There is no 8-bit multiplication: int8 is accumulated in 16-bit lanes, modulo 2^16.
        lanes, parts = target.lanes(2 if dtype == "int8" else size), 1 + dtype.startswith("complex")
        return Arithmetic(dtype, lanes, parts, target)

    @property
    def size(self) -> int:
        """Bytes per element in memory."""
        return np.dtype(self.dtype).itemsize

    @property
    def is_integer(self) -> bool:
        """Whether elements are integers or booleans."""
        return isinstance(self.element, ir.IntType)

    @property
    def element(self) -> Any:
        """The LLVM type of an element in memory; of its real part if complex."""
        return _ELEMENTS.get(self.dtype) or ir.IntType(8 * self.size)

    @property
    def stored(self) -> Any:
        """The LLVM type of one vector in memory."""
        return ir.VectorType(self.element, self.lanes * self.parts)

    @property
    def held(self) -> Any:
        """The LLVM type of one accumulator."""
        element = ir.IntType(16) if self.dtype == "int8" else self.element
        return ir.VectorType(element, self.lanes * self.parts)

    def at(self, builder: Any, pointer: Any, count: Any) -> Any:
        """Return the address `count` (a value or an int) elements after `pointer`."""
        if isinstance(count, int):
            if count == 0:
                return pointer
            count = index(count)
        step = ir.ArrayType(ir.IntType(8), self.size)
        return builder.gep(pointer, [count], source_etype=step)

    def load(self, builder: Any, pointer: Any, aligned: bool = False) -> Any:
        """Return one vector from memory, widened to an accumulator's lanes."""
        align = self.size * self.lanes if aligned else self.size // self.parts
        return self.widen(builder, builder.load(pointer, typ=self.stored, align=align))

    def widen(self, builder: Any, vector: Any) -> Any:
        """Return a vector from memory in an accumulator's lanes."""
        return builder.zext(vector, self.held) if self.held != self.stored else vector

    def tap(self, builder: Any, pointer: Any) -> Values:
        """Return the parts of one tap, each in all lanes."""
        splats = []
        for part in range(self.parts):
            where = builder.gep(pointer, [index(part)], source_etype=self.element)
            value = builder.load(where, typ=self.element, align=self.size // self.parts)
            if self.held.element != self.element:
                value = builder.zext(value, self.held.element)
            splats.append(splat(builder, value, self.held))
        return splats

    def zero(self) -> Any:
        """Return an accumulator of zeros."""
        return ir.Constant(self.held, None)

    def multiply_add(self, builder: Any, x: Any, tap: Any, total: Any) -> Any:
        """Return total + x * tap; OR of AND for booleans."""
        if self.dtype == "bool":
            return builder.or_(total, builder.and_(x, tap))
        if self.low:
            x, tap = low_half(builder, x), low_half(builder, tap)
        return multiply_add(builder, x, tap, total)

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        """Return the sum of two accumulators."""
        if self.dtype == "bool":
            return builder.or_(a, b)
        return (builder.add if self.is_integer else builder.fadd)(a, b)

    def finish(self, builder: Any, parts: Values) -> Any:
        """Return the vector to store: the accumulators' parts combined and narrowed."""
        if self.parts == 2:
            # Lanes (re*c, im*c) and (re*d, im*d) make (re*c - im*d, im*c + re*d).
            mask = [lane ^ 1 for lane in range(self.held.count)]
            crossed = builder.shuffle_vector(
                parts[1], ir.Constant(self.held, ir.Undefined), lanes(mask)
            )
            plus, minus = builder.fadd(parts[0], crossed), builder.fsub(parts[0], crossed)
            pick = [lane if lane % 2 else self.held.count + lane for lane in range(self.held.count)]
            return builder.shuffle_vector(plus, minus, lanes(pick))
        if self.held != self.stored:
            return builder.trunc(parts[0], self.stored)
        return parts[0]

    def store(self, builder: Any, vector: Any, pointer: Any) -> Any:
        """Store a finished vector, at any alignment, and return the instruction."""
        pointer = builder.bitcast(pointer, vector.type.as_pointer())
        return builder.store(vector, pointer, align=self.size // self.parts)

    def store_first(self, builder: Any, vector: Any, pointer: Any, count: Any) -> None:
        """Store the first `count` (may be <= 0 or more than there are) elements of `vector`."""
        if not self.target.masks:
            self._store_pieces(builder, vector, pointer, count)
            return
        total = builder.mul(count, index(self.parts)) if self.parts > 1 else count
        mask = lanes_between(builder, index(0), total, self.stored.count)
        name = f"llvm.masked.store.{overload_suffix(self.stored)}.p0"
        align = ir.Constant(ir.IntType(32), self.size // self.parts)
        call_llvm(builder, name, ir.VoidType(), [vector, pointer, align, mask])

    def _store_pieces(self, builder: Any, vector: Any, pointer: Any, count: Any) -> None:
        """Store the first elements of `vector` by halves, quarters and so on, as they are needed.

        A known count is a store or two in line. Else it is a function of its own, which keeps the
        loops around it short.
        """
        if isinstance(count, ir.Constant):
            self._halve(builder, vector, pointer, min(max(count.constant, 0), self.lanes))
            return

        def body(b: Any, args: Values) -> None:
            value, place, wanted = args
            whole = b.icmp_signed(">=", wanted, index(self.lanes))
            with b.if_else(whole) as (all_lanes, some_lanes):
                with all_lanes:
                    self.store(b, value, place)
                with some_lanes:
                    none = b.icmp_signed("<", wanted, index(0))
                    self._halve(b, value, place, b.select(none, index(0), wanted))

        name = f"store_first_{self.dtype}_{self.lanes}"
        micro = function(builder.module, name, [vector.type, POINTER, I64], body)
        builder.call(micro, [vector, builder.bitcast(pointer, POINTER), count])

    def _halve(self, builder: Any, vector: Any, pointer: Any, count: Any) -> None:
        """Store the first `count` elements, at least 0, as many as its binary digits say."""
        b, size = builder, self.lanes
        if isinstance(count, int) and count == size:
            self.store(b, vector, pointer)
            return
        while size > 1:
            size //= 2
            nothing = ir.Constant(vector.type, ir.Undefined)
            half = size * self.parts
            low, high = (
                b.shuffle_vector(vector, nothing, lanes(list(range(first, first + half))))
                for first in (0, half)
            )
            beyond = self.at(b, pointer, size)
            if isinstance(count, int):
                if count & size:
                    self.store(b, low, pointer)
                vector, pointer = (high, beyond) if count & size else (low, pointer)
                continue
            before = b.block
            with b.if_then(b.icmp_unsigned("!=", b.and_(count, index(size)), index(0))):
                self.store(b, low, pointer)
                inside = b.block
            vector, place = b.phi(low.type), b.phi(pointer.type)
            for phi, skipped, stored in ((vector, low, high), (place, pointer, beyond)):
                phi.add_incoming(skipped, before)
                phi.add_incoming(stored, inside)
            pointer = place

    def load_first(self, builder: Any, pointer: Any, count: Any) -> Any:
        """Return a vector of the first `count` (>= 0) elements in memory and zeros."""
        total = builder.mul(count, index(self.parts)) if self.parts > 1 else count
        align = self.size // self.parts
        return load_first(builder, self.target, pointer, total, self.stored, align)
