"""Loads of some lanes of a vector, where the memory of the others may be another's or nobody's."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop, splat
from .simd import call_llvm, overload_suffix

_BYTE, _I32 = ir.IntType(8), ir.IntType(32)
# Bytes that are copied at a time, and those of the narrowest lanes that AVX2 loads under a mask.
_PIECE, _WORD = 32, 4


def load_some(
    builder: Any, target: Target, pointer: Any, first: Any, last: Any, others: Any, align: int
) -> Any:
    """Return a vector whose lanes first <= l < last lie at `pointer`; the rest are of `others`.

    The bounds may be any integers. Without masked loads LLVM would branch at every lane: 32 times
    for bytes, which made maxima of bytes 128 kB of code. A copy takes a call.
    """
    b, kind = builder, others.type
    if target.has_load_masks(align):
        mask = lanes_between(b, first, last, kind.count)
        name = f"llvm.masked.load.{overload_suffix(kind)}.p0"
        return call_llvm(b, name, kind, [pointer, ir.Constant(_I32, align), mask, others])
    first, last = (_clipped(b, bound, kind.count) for bound in (first, last))
    with b.goto_entry_block():
        room = b.alloca(kind)
    b.store(others, room, align=align)
    size = index(align)
    goal, source = (
        b.gep(b.bitcast(p, POINTER), [b.mul(first, size)], source_etype=_BYTE)
        for p in (room, pointer)
    )
    count = b.mul(b.sub(last, first), size)
    b.call(function(b.module, "copy_bytes", [POINTER, POINTER, I64], _copy), [goal, source, count])
    return b.load(room, typ=kind, align=align)


def load_first(
    builder: Any, target: Target, pointer: Any, count: Any, kind: Any, align: int
) -> Any:
    """Return a vector whose first `count` lanes, any integer, lie at `pointer`; the rest are 0."""
    nothing = ir.Constant(kind, None)
    if target.has_load_masks(align) or not target.has_load_masks(_WORD):
        return load_some(builder, target, pointer, index(0), count, nothing, align)
    # Words under a mask, and what is left of one: before a call a loop would have to put all of its
    # vectors away.
    b = builder
    size = b.mul(_clipped(b, count, kind.count), index(align))
    words, vector = b.lshr(size, index(2)), ir.VectorType(_I32, kind.count * align // _WORD)
    whole = load_some(b, target, pointer, index(0), words, ir.Constant(vector, None), _WORD)
    place = b.gep(pointer, [b.and_(size, index(-_WORD))], source_etype=_BYTE)
    rest = _if_bit(b, size, 2, place, ir.Constant(_I32, 0), index(0))
    if align == 1:
        at = b.and_(size, index(2))
        last = b.gep(place, [at], source_etype=_BYTE)
        rest = _if_bit(b, size, 1, last, rest, b.shl(at, index(3)))
    numbers = ir.Constant(vector, list(range(vector.count)))
    here = b.icmp_signed("==", numbers, splat(b, b.trunc(words, _I32), vector))
    return b.bitcast(b.select(here, splat(b, rest, vector), whole), kind)


def _if_bit(b: Any, size: Any, bit: int, place: Any, before: Any, shift: Any) -> Any:
    """Return `before` with the `bit` bytes at `place` from bit `shift` on, if `size` has `bit`."""
    entry = b.block
    with b.if_then(b.icmp_unsigned("!=", b.and_(size, index(bit)), index(0))):
        part = b.zext(b.load(place, typ=ir.IntType(8 * bit), align=1), _I32)
        joined, inside = b.or_(before, b.shl(part, b.trunc(shift, _I32))), b.block
    result = b.phi(_I32)
    result.add_incoming(before, entry)
    result.add_incoming(joined, inside)
    return result


def lanes_between(builder: Any, first: Any, last: Any, count: int) -> Any:
    """Return the mask of the lanes first <= l < last of `count`, whatever integers these are."""
    # Narrow lane numbers: a mask of 32 lanes from 64-bit numbers would take four vectors.
    narrow = ir.VectorType(_BYTE if count < 128 else ir.IntType(16), count)
    low, high = (
        splat(builder, builder.trunc(_clipped(builder, bound, count), narrow.element), narrow)
        for bound in (first, last)
    )
    numbers = ir.Constant(narrow, list(range(count)))
    return builder.and_(
        builder.icmp_signed(">=", numbers, low), builder.icmp_signed("<", numbers, high)
    )


def _clipped(b: Any, bound: Any, count: int) -> Any:
    bound = b.select(b.icmp_signed("<", bound, index(count)), bound, index(count))
    return b.select(b.icmp_signed(">", bound, index(0)), bound, index(0))


def _copy(b: Any, args: Values) -> None:
    """Copy so many bytes: by the widest pieces that fit, of which the last may overlap another."""
    goal, source, count = args

    def move(at: Any, size: int) -> Values:
        kind = ir.VectorType(_BYTE, size)
        place, other = (b.gep(p, [at], source_etype=_BYTE) for p in (goal, source))
        b.store(b.load(other, typ=kind, align=1), b.bitcast(place, kind.as_pointer()), align=1)
        # LLVM would make the loop a call of memcpy.
        b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)
        return []

    def pieces(size: int) -> None:
        with b.if_else(b.icmp_signed(">=", count, index(size))) as (fit, others):
            with fit:
                if size == _PIECE:
                    loop(b, b.udiv(count, index(size)), [],
                         lambda j, _: move(b.mul(j, index(size)), size))
                else:
                    move(index(0), size)
                move(b.sub(count, index(size)), size)
            with others:
                if size > 1:
                    pieces(size // 2)

    pieces(_PIECE)
