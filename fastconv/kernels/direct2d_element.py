"""How one dtype is held in vector registers: its lanes, its loads and stores, its multiply-add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from ..runtime.target import Target
from .simd import low_half, multiply_add

# Bytes in a line of the cache.
_LINE = 64
_I32 = ir.IntType(32)
_REAL = {"float64": ir.DoubleType(), "float32": ir.FloatType()}
_PART = {"complex128": ir.DoubleType(), "complex64": ir.FloatType()}


@dataclass(frozen=True, slots=True)
class Element:
    """One dtype's vectors.

    A vector covers `lanes` elements of the array. Real numbers are one LLVM value each. int8 is
    held and multiplied in 16-bit lanes, since no machine multiplies bytes; the surplus bits are
    dropped by the store. A complex vector holds (re, im) pairs; beside it its quarter turn
    (-im, re), so that a tap c + di costs two multiply-adds and no shuffle per output row.

    `streams` says whether sums may be stored past the cache: where a register is as long as a line
    of it. A line stored in parts is often lost half filled: 4096^2 float64 * 3 x 3 by AVX2's halves
    took 80 ms so, 33 through the cache; with whole lines of two halves each still 56.
    """

    dtype: str
    lanes: int
    stored: Any
    held: Any
    streams: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes from one element of the array to the next."""
        bits = {"bool": 8, "float64": 64, "float32": 32, "complex128": 128, "complex64": 64}
        return (bits.get(self.dtype) or int(self.dtype[3:])) // 8

    @property
    def alignment(self) -> int:
        """The bytes that any address of this dtype is aligned to."""
        return self.itemsize // 2 if self.dtype in _PART else self.itemsize

    def zero(self) -> Any:
        """Return an empty sum."""
        return ir.Constant(self.held, None)

    def load(self, builder: Any, address: Any) -> list[Any]:
        """Emit the load of one vector of samples from a byte address."""
        value = builder.load(builder.bitcast(address, self.stored.as_pointer()))
        value.align = self.alignment
        if self.dtype == "int8":
            return [builder.sext(value, self.held)]
        if self.dtype not in _PART:
            return [value]
        count = self.held.count
        swapped = ir.Constant(ir.VectorType(_I32, count), [j ^ 1 for j in range(count)])
        turned = builder.shuffle_vector(value, value, swapped)
        negative = builder.fneg(turned)
        keep = ir.Constant(ir.VectorType(_I32, count), [j + (0 if j & 1 else count)
                                                        for j in range(count)])
        return [value, builder.shuffle_vector(turned, negative, keep)]

    def tap(self, builder: Any, address: Any) -> list[Any]:
        """Emit the load of one tap into every lane."""
        scalar = self.stored.element
        address = builder.bitcast(address, scalar.as_pointer())
        parts = 2 if self.dtype in _PART else 1
        values = []
        for part in range(parts):
            value = builder.load(builder.gep(address, [ir.Constant(_I32, part)]))
            value.align = self.alignment
            if self.dtype == "int8":
                value = builder.sext(value, self.held.element)
            single = builder.insert_element(
                ir.Constant(self.held, ir.Undefined), value, ir.Constant(_I32, 0)
            )
            mask = ir.Constant(ir.VectorType(_I32, self.held.count), [0] * self.held.count)
            values.append(
                builder.shuffle_vector(single, ir.Constant(self.held, ir.Undefined), mask)
            )
        return values

    def madd(
        self, builder: Any, sample: list[Any], tap: list[Any], total: Any, low: bool = False
    ) -> Any:
        """Emit total + sample * tap; with `low`, of factors that fit into half a lane."""
        if self.dtype == "bool":
            return builder.or_(total, builder.and_(sample[0], tap[0]))
        if low:
            sample, tap = ([low_half(builder, v) for v in values] for values in (sample, tap))
        for s, t in zip(sample, tap, strict=True):
            total = multiply_add(builder, s, t, total)
        return total

    def join(self, builder: Any, total: Any, address: Any) -> Any:
        """Emit what the array holds at a byte address, plus total."""
        held = self.load(builder, address)[0]
        if self.dtype == "bool":
            return builder.or_(held, total)
        integer = isinstance(self.held.element, ir.IntType)
        return (builder.add if integer else builder.fadd)(held, total)

    def store(self, builder: Any, total: Any, address: Any, *, past_cache: bool = False) -> None:
        """Emit the store of one vector of sums; past the cache only to an aligned address."""
        if self.dtype == "int8":
            total = builder.trunc(total, self.stored)
        instruction = builder.store(total, builder.bitcast(address, self.stored.as_pointer()))
        instruction.align = self.alignment
        if past_cache:
            instruction.align = self.lanes * self.itemsize
            one = builder.module.add_metadata([ir.Constant(_I32, 1)])
            instruction.set_metadata("nontemporal", one)


def element_of(target: Target, dtype: str) -> Element:
    """Return how `dtype` is held in the vectors of `target`."""
    streams = target.vector_bytes >= _LINE
    if dtype in _REAL or dtype in _PART:
        scalar = _REAL.get(dtype) or _PART[dtype]
        count = target.lanes(8 if isinstance(scalar, ir.DoubleType) else 4)
        vector = ir.VectorType(scalar, count)
        return Element(dtype, count if dtype in _REAL else count // 2, vector, vector, streams)
    if dtype == "int8":
        count = target.lanes(2)
        return Element(dtype, count, ir.VectorType(ir.IntType(8), count),
                       ir.VectorType(ir.IntType(16), count), streams)
    bits = 8 if dtype == "bool" else int(dtype[3:])
    vector = ir.VectorType(ir.IntType(bits), target.lanes(bits // 8))
    return Element(dtype, vector.count, vector, vector, streams)
