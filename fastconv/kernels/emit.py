"""Emit LLVM loops whose carried values stay in registers, and the arithmetic of each dtype.

A micro kernel is one internal LLVM function written by Python loops over a builder: its
accumulators are SSA values, so a tile of 16 of them is a tile of 16 registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .simd import call_llvm, multiply_add

I64 = ir.IntType(64)
POINTER = ir.PointerType()
Values = list[Any]


def index(value: int) -> Any:
    """Return `value` as an LLVM 64-bit constant."""
    return ir.Constant(I64, value)


def loop(
    builder: Any, count: Any, carried: Sequence[Any], body: Callable[[Any, Values], Values]
) -> Values:
    """Emit ``for i in range(count): carried = body(i, carried)`` and return what comes out."""
    entry = builder.block
    head, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, index(0)), head, done)
    builder.position_at_end(head)
    i = builder.phi(I64)
    phis = [builder.phi(v.type) for v in carried]
    values = body(i, list(phis))
    following = builder.add(i, index(1))
    latch = builder.block
    builder.cbranch(builder.icmp_signed("<", following, count), head, done)
    i.add_incoming(index(0), entry)
    i.add_incoming(following, latch)
    builder.position_at_end(done)
    results = []
    for before, phi, after in zip(carried, phis, values, strict=True):
        phi.add_incoming(before, entry)
        phi.add_incoming(after, latch)
        result = builder.phi(before.type)
        result.add_incoming(before, entry)
        result.add_incoming(after, latch)
        results.append(result)
    return results


def choose(
    builder: Any, selector: Any, cases: dict[int, Callable[[Values], Values]], carried: Values
) -> Values:
    """Emit a switch: carried values go through the case that `selector` names, if any."""
    entry, done = builder.block, builder.append_basic_block("joined")
    switch = builder.switch(selector, done)
    exits = [(entry, carried)]
    for value, case in cases.items():
        block = builder.append_basic_block("case")
        switch.add_case(ir.Constant(selector.type, value), block)
        builder.position_at_end(block)
        values = case(list(carried))
        exits.append((builder.block, values))
        builder.branch(done)
    builder.position_at_end(done)
    results = []
    for j, before in enumerate(carried):
        phi = builder.phi(before.type)
        for block, values in exits:
            phi.add_incoming(values[j], block)
        results.append(phi)
    return results


def function(
    module: Any, name: str, params: Sequence[Any], body: Callable[[Any, Values], None]
) -> Any:
    """Return the internal LLVM function `name` of `module`, emitting it on first use."""
    if name in module.globals:
        return module.globals[name]
    micro = ir.Function(module, ir.FunctionType(ir.VoidType(), params), name)
    micro.linkage = "internal"
    micro.attributes.add("noinline")
    micro.attributes.add("nounwind")
    for argument in micro.args:
        if argument.type == POINTER:
            argument.add_attribute("noalias")
    builder = ir.IRBuilder(micro.append_basic_block("entry"))
    body(builder, list(micro.args))
    builder.ret_void()
    return micro


_ELEMENTS: dict[str, Any] = {
    "float64": ir.DoubleType(),
    "float32": ir.FloatType(),
    "complex128": ir.DoubleType(),
    "complex64": ir.FloatType(),
    "bool": ir.IntType(8),
}


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
    """

    dtype: str
    lanes: int
    parts: int

    @staticmethod
    def of(target: Target, dtype: str) -> Arithmetic:
        """Return the arithmetic of `dtype` on `target`."""
        size = np.dtype(dtype).itemsize
        # There is no 8-bit multiplication: int8 is accumulated in 16-bit lanes, modulo 2^16.
        return Arithmetic(
            dtype, target.lanes(2 if dtype == "int8" else size), 1 + dtype.startswith("complex")
        )

    @property
    def size(self) -> int:
        """Bytes per element in memory."""
        return np.dtype(self.dtype).itemsize

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
        value = builder.load(pointer, typ=self.stored, align=align)
        return builder.zext(value, self.held) if self.held != self.stored else value

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
        return multiply_add(builder, x, tap, total)

    def add(self, builder: Any, a: Any, b: Any) -> Any:
        """Return the sum of two accumulators."""
        if self.dtype == "bool":
            return builder.or_(a, b)
        return (builder.add if isinstance(self.element, ir.IntType) else builder.fadd)(a, b)

    def finish(self, builder: Any, parts: Values) -> Any:
        """Return the vector to store: the accumulators' parts combined and narrowed."""
        if self.parts == 2:
            # Lanes of parts: (re*c, im*c) and (re*d, im*d); the result is (re*c - im*d, im*c + re*d).
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

    def store(self, builder: Any, vector: Any, pointer: Any) -> None:
        """Store a finished vector; any alignment."""
        builder.store(vector, pointer, align=self.size // self.parts)

    def store_first(self, builder: Any, vector: Any, pointer: Any, count: Any) -> None:
        """Store the first `count` (may be <= 0 or more than there are) elements of `vector`."""
        wide = ir.VectorType(I64, self.stored.count)
        real = builder.mul(count, index(self.parts)) if self.parts > 1 else count
        bound = splat(builder, real, wide)
        ids = ir.Constant(wide, list(range(self.stored.count)))
        mask = builder.icmp_signed("<", ids, bound)
        name = f"llvm.masked.store.{_suffix(self.stored)}.p0"
        align = ir.Constant(ir.IntType(32), self.size // self.parts)
        call_llvm(builder, name, ir.VoidType(), [vector, pointer, align, mask])


def lanes(positions: list[int]) -> Any:
    """Return a shuffle mask."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(positions)), positions)


def splat(builder: Any, value: Any, vector: Any) -> Any:
    """Return `value` in every lane of the LLVM type `vector`."""
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, lanes([0] * vector.count))


def _suffix(vector: Any) -> str:
    kinds = {ir.DoubleType: "f64", ir.FloatType: "f32"}
    name = kinds.get(type(vector.element)) or f"i{vector.element.width}"
    return f"v{vector.count}{name}"


@intrinsic(model=lambda array, count: np.full(count, 77).astype(array.dtype))
def stack(typingctx: Any, array: Any, count: Any) -> Any:
    """Return a workspace array of `count` (a literal) elements on the stack, not initialised."""
    kind = types.Array(array.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(array.dtype)
        room = cgutils.alloca_once(builder, ir.ArrayType(element, count.literal_value))
        room.align = 64
        size = context.get_constant(types.intp, context.get_abi_sizeof(element))
        length = context.get_constant(types.intp, count.literal_value)
        workspace = make_array(kind)(context, builder)
        populate_array(
            workspace, data=builder.bitcast(room, element.as_pointer()), shape=[length],
            strides=[size], itemsize=size, meminfo=None,
        )
        return workspace._getvalue()

    return kind(array, count), codegen


def address(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    """Return the address of an element; it may lie outside if nothing is read there."""
    data = make_array(array_type)(context, builder, array).data
    element = context.get_data_type(array_type.dtype)
    return builder.gep(builder.bitcast(data, POINTER), [position], source_etype=element)
