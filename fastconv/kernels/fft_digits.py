"""First and last passes of the block transform for whole numbers: digits in, digits out.

Digit a of x, to the base 2^b, is ``((x + bias) >> a*b) mod 2^b - 2^(b-1)`` with
``bias = sum over a of 2^(b-1) 2^(a*b)``: digits lie in -2^(b-1) .. 2^(b-1) - 1 and sum, times their
weights, to x modulo 2^64 (or exactly, where x + bias lies within the digits).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from .fft_butterflies import forward, inverse, run
from .fft_emit import Model, vector_intrinsic
from .fft_passes import load_point, load_twiddles, store_point
from .simd import call_llvm, overload_suffix

_WHOLE = ir.IntType(64)
# A float64 at 2^52 + j holds the integer j < 2^52 in its low bits; at 1.5 * 2^52 + j also j < 0.
_AT_52, _AT_SIGNED_52 = 0x4330000000000000, 0x4338000000000000


def _integers(ops: Any, array: Any) -> Any:
    width = ir.IntType(array[0].dtype.bitwidth)
    return ir.VectorType(width, ops.lanes)


def _align(array: Any) -> Any:
    return ir.Constant(ir.IntType(32), array[0].dtype.bitwidth // 8)


def _splat(ops: Any, value: Any) -> Any:
    return ops._splat(ops.whole(value))


def load_whole(ops: Any, array: Any, base: Any, index: Any, low: Any, high: Any) -> Any:
    """Load ``array[base + index]`` as 64-bit integers; 0, unread, outside low..high-1.

    Without limits (`low` None) everything is inside.
    """
    if isinstance(ops, Model):
        value = np.zeros(ops.lanes, np.int64)
        for lane in range(ops.lanes):
            if low is None or low <= index + lane < high:
                value[lane] = array[base + index + lane]
        return value
    kind, b = _integers(ops, array), ops.builder
    if low is None:
        value = b.load(ops._address(array, ops.plus(base, index), kind))
        value.align = array[0].dtype.bitwidth // 8
    else:
        value = ops.load_lanes(array, base, index, low, high, kind)
    return value if kind.element.width == 64 else b.sext(value, ir.VectorType(_WHOLE, ops.lanes))


def digit(ops: Any, value: Any, bias: Any, shift: Any, mask: Any) -> Any:
    """Return one balanced digit of 64-bit integers as float64; mask is 2^b - 1."""
    if isinstance(ops, Model):
        with np.errstate(over="ignore"):
            biased = (value + np.int64(bias)).view(np.uint64)
        part = (biased >> np.uint64(shift)) & np.uint64(mask)
        return part.astype(np.float64) - (mask + 1) / 2
    b, whole = ops.builder, ops.whole
    part = b.lshr(b.add(value, _splat(ops, bias)), _splat(ops, shift))
    part = b.or_(b.and_(part, _splat(ops, mask)), _splat(ops, _AT_52))
    half = b.lshr(b.add(whole(mask), whole(1)), whole(1))
    start = _splat(ops, b.or_(half, whole(_AT_52)))
    return b.fsub(b.bitcast(part, ops.vector), b.bitcast(start, ops.vector))


def add_whole(
    ops: Any, array: Any, base: Any, index: Any, low: Any, high: Any, value: Any, shift: Any,
    keep: Any,
) -> None:
    """Set ``array[base + index]`` to (itself and `keep`) + (`value` rounded << `shift`), wrapping.

    Only inside low..high-1 where there are limits. Assumes |value| < 2^51.
    """
    if isinstance(ops, Model):
        for lane in range(ops.lanes):
            at = base + index + lane
            if low is None or low <= index + lane < high:
                total = (int(array[at]) & keep) + (int(np.rint(value[lane])) << shift)
                bits = 8 * array.itemsize
                total &= (1 << bits) - 1
                array[at] = total - (1 << bits) if total >> (bits - 1) else total
        return
    kind, b = _integers(ops, array), ops.builder
    rounded = b.bitcast(b.fadd(value, ops.constant([1.5 * 2.0**52] * ops.lanes)),
                        ir.VectorType(_WHOLE, ops.lanes))
    term = b.shl(b.sub(rounded, _splat(ops, _AT_SIGNED_52)), _splat(ops, shift))
    kept = _splat(ops, keep)
    if kind.element.width < 64:
        term, kept = b.trunc(term, kind), b.trunc(kept, kind)

    def whole() -> None:
        pointer = ops._address(array, ops.plus(base, index), kind)
        old = b.load(pointer)
        old.align = array[0].dtype.bitwidth // 8
        b.store(b.add(b.and_(old, kept), term), pointer).align = old.align

    def some() -> None:
        pointer, mask = ops._inside(array, base, index, low, high)
        suffix, zero = overload_suffix(kind), ir.Constant(kind, [0] * ops.lanes)
        old = call_llvm(
            b, f"llvm.masked.load.{suffix}.p0", kind, [pointer, _align(array), mask, zero]
        )
        total = b.add(b.and_(old, kept), term)
        call_llvm(b, f"llvm.masked.store.{suffix}.p0", ir.VoidType(),
                  [total, pointer, _align(array), mask])

    if low is None:
        whole()
    else:
        ops.by_overlap(index, low, high, whole, some)


def _read(ops: Any, radix: int, args: Any, inside: bool) -> None:
    (scratch, signal, table, norms, base, start, points, low, high, bias, shift, mask, place,
     at) = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    size = ops.times(points, radix)
    totals = [ops.variable(), ops.variable()]

    def fetch(index: Any) -> Any:
        limits = (None, None) if inside else (low, high)
        return digit(ops, load_whole(ops, signal, base, index, *limits), bias, shift, mask)

    def body(j: Any) -> None:
        z = []
        for row in rows:
            index = ops.plus(start, row, j)
            z.append((fetch(index), fetch(ops.plus(index, size))))
        for part in (0, 1):
            total = ops.get(totals[part])
            for value in z:
                total = ops.fma(value[part], value[part], total)
            ops.put(totals[part], total)
        run(forward(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            store_point(ops, scratch, ops.plus(place, row, j), value)

    ops.loop(points, ops.lanes, body)
    ops.add_total(norms, at, ops.add(ops.get(totals[0]), ops.get(totals[1])))


def _write(ops: Any, radix: int, args: Any, inside: bool) -> None:
    scratch, out, table, base, start, points, low, high, place, shift, keep = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    size = ops.times(points, radix)

    def put(index: Any, value: Any) -> None:
        limits = (None, None) if inside else (low, high)
        add_whole(ops, out, base, index, *limits, value, shift, keep)

    def body(j: Any) -> None:
        z = [load_point(ops, scratch, ops.plus(place, row, j)) for row in rows]
        run(inverse(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            index = ops.plus(start, row, j)
            put(index, value[0])
            put(ops.plus(index, size), value[1])

    ops.loop(points, ops.lanes, body)


# (scratch, signal, table, norms, base, start, points, low, high, bias, shift, mask, place, at): the
# first pass over one digit, to complex point `place`; the sum of squares is added to norms[at].
read_digit = vector_intrinsic(partial(_read, inside=True), 4, 10)
read_digit_rim = vector_intrinsic(partial(_read, inside=False), 4, 10)
# (scratch, out, table, base, start, points, low, high, place, shift, keep): the last pass.
write_digit = vector_intrinsic(partial(_write, inside=True), 3, 8)
write_digit_rim = vector_intrinsic(partial(_write, inside=False), 3, 8)
