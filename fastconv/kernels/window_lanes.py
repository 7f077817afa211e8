"""How one dtype is added up or compared in vector registers: sums, maxima, minima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic

# What a kernel's argument `op` means.
BOX, MAX, MIN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Lanes:
    """The vectors of one dtype under one reduction.

    Parameters
    ----------
    dtype : str
        The dtype in memory.
    op : int
        BOX, MAX or MIN.
    memory : Arithmetic
        How vectors are loaded and stored; integers count as unsigned, so none is widened.
    marks : bool
        Whether a NaN is let through by setting all bits of its lane: without mask registers a
        blend takes the same units as a comparison, or more of them; an OR takes any.
    """

    dtype: str
    op: int
    memory: Arithmetic
    marks: bool = False

    @staticmethod
    def of(target: Target, dtype: str, op: int) -> Lanes:
        """Return the vectors of `dtype` on `target`."""
        size = np.dtype(dtype).itemsize
        name = dtype if dtype.startswith("float") else f"uint{8 * size}"
        marks = dtype.startswith("float") and op != BOX and not target.masks
        return Lanes(dtype, op, Arithmetic(name, target.lanes(size), 1, target), marks)

    @property
    def lanes(self) -> int:
        """Elements in one vector."""
        return self.memory.lanes

    def begin(self, builder: Any, vector: Any) -> Any:
        """Return what a reduction of one vector starts with: sums start from +0."""
        if self.op == BOX and not self.memory.is_integer:
            return builder.fadd(vector, ir.Constant(vector.type, [0.0] * vector.type.count))
        return vector

    def join(self, builder: Any, first: Any, second: Any) -> Any:
        """Return the two reduced; of equals the first, and NaN wherever one of them is NaN."""
        return self.reduce(builder, [first, second])

    def reduce(self, builder: Any, vectors: Sequence[Any]) -> Any:
        """Return all reduced, in this order."""
        total, *rest = vectors
        if not self.marks:
            for vector in rest:
                total = join(builder, self.dtype, self.op, total, vector)
            return total
        # x86's maximum keeps a NaN in `total` and drops one in `vector`: one comparison tells of
        # two vectors whether there was one.
        sign = ">" if self.op == MAX else "<"
        for vector in rest:
            better = builder.fcmp_ordered(sign, vector, total)
            total = builder.select(better, vector, total)
        bits = ir.VectorType(ir.IntType(8 * self.memory.size), total.type.count)
        marked = builder.bitcast(total, bits)
        for v in range(0, len(rest), 2):
            wild = builder.fcmp_unordered("uno", rest[v], rest[min(v + 1, len(rest) - 1)])
            marked = builder.or_(marked, builder.sext(wild, bits))
        return builder.bitcast(marked, total.type)

    def model(self, first: Any, second: Any) -> Any:
        """Return the same of NumPy arrays."""
        if self.op == BOX:
            return first + second
        better = second > first if self.op == MAX else second < first
        # Nothing but NaN differs from itself.
        return np.where(better | (second != second), second, first).astype(first.dtype)


def join(builder: Any, dtype: str, op: int, first: Any, second: Any) -> Any:
    """Return two LLVM values (scalars or vectors) reduced."""
    real = dtype.startswith("float")
    if op == BOX:
        return (builder.fadd if real else builder.add)(first, second)
    sign = ">" if op == MAX else "<"
    if not real:
        compare = builder.icmp_unsigned if dtype.startswith("uint") else builder.icmp_signed
        return builder.select(compare(sign, second, first), second, first)
    # One comparison that keeps a NaN in `first`, one more that lets a NaN in `second` through.
    better = builder.select(builder.fcmp_ordered(sign, second, first), second, first)
    return builder.select(builder.fcmp_ordered("ord", second, second), better, second)


def make_join(dtype: str, op: int) -> Callable[..., Any]:
    """Return ``join(first, second)`` of two scalars, as an intrinsic."""

    def model(first: Any, second: Any) -> Any:
        if op == BOX:
            return first + second
        better = second > first if op == MAX else second < first
        return second if better or second != second else first

    @intrinsic(model=model)
    def scalars(typingctx: Any, first: Any, second: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return join(builder, dtype, op, *args)

        return first(first, first), codegen

    return scalars


def make_begin(dtype: str, op: int) -> Callable[..., Any]:
    """Return ``begin(value)``: what a reduction of one scalar starts with."""

    @intrinsic(model=lambda value: value + value.dtype.type(0) if op == BOX else value)
    def begin(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            if op == BOX and isinstance(value, types.Float):
                return builder.fadd(args[0], ir.Constant(args[0].type, 0.0))
            return args[0]

        return value(value), codegen

    return begin
