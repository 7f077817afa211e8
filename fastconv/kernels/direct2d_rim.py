"""The workspace of direct 2-D correlation: columns near the image's edge, laid out side by side.

A register tile reads whole vectors of neighbouring columns. Where the window crosses the left or
the right edge of the image, the columns that the boundary rule names are first copied here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..runtime.jit import inline, intrinsic
from .scalar import get, put
from .simd import element_pointer


@inline
def divide_columns(
    lanes: int, ow: int, width: int, pad_c: int, reach: int
) -> tuple[int, int, int, int, int]:
    """Return (c0, c1, sides, segment, packed_row).

    Output columns [c0, c1) are read from the image itself. On either side of them lie `sides`
    vectors of columns that are read from the workspace, where a source row takes `packed_row`
    elements: two segments, or one where the image is too narrow for anything but rim (c0 == c1).
    """
    first = min(max(pad_c, 0), ow)
    last = min(max(width + pad_c - reach, first), ow)
    left = (first + lanes - 1) // lanes
    right = (ow - last + lanes - 1) // lanes
    c0, c1 = left * lanes, ow - right * lanes
    if c1 - c0 < 2 * lanes:
        segment = max(ow, 2 * lanes) + reach
        return 0, 0, 0, segment, segment
    sides = max(left, right)
    segment = sides * lanes + reach
    return c0, c1, sides, segment, 2 * segment if sides else 0


def make_pack(lanes: int, itemsize: int) -> Callable[..., Any]:
    """Return ``pack``: copy part of one virtual row into the workspace.

    ::

        work[at + t] = X(row, first + t)      for t < count

    where X takes samples from the row that starts at x[start] through col_map, and is `outside`
    where col_map is -1. For begin <= t < end they are neighbours: col_map[c] == c - pad_c.
    """
    move = make_move(lanes, itemsize)

    @inline
    def pack(
        x: Any, start: int, col_map: Any, pad_c: int, outside: Any,
        work: Any, at: int, first: int, begin: int, end: int, count: int,
    ) -> None:
        for t in range(begin):
            column = get(col_map, first + t)
            put(work, at + t, outside if column < 0 else get(x, start + column))
        move(x, start + first + begin - pad_c, work, at + begin, end - begin)
        for t in range(end, count):
            column = get(col_map, first + t)
            put(work, at + t, outside if column < 0 else get(x, start + column))

    return pack


def make_move(lanes: int, itemsize: int) -> Callable[..., Any]:
    """Return the intrinsic ``move(source, i, target, j, count)``: copy `count` elements.

    Assumes: the two do not overlap.
    """

    def model(source: Any, i: int, target: Any, j: int, count: int) -> None:
        if count > 0:
            if min(i, j) < 0 or i + count > len(source) or j + count > len(target):
                raise IndexError(f"{count} elements from {i} to {j} must lie within the arrays")
            target[j : j + count] = source[i : i + count]

    @intrinsic(model=model)
    def move(typingctx: Any, source: Any, i: Any, target: Any, j: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = element_pointer(context, builder, source, args[0], args[1])
            second = element_pointer(context, builder, target, args[2], args[3])
            _emit_move(builder, first, second, args[4], lanes, itemsize)
            return context.get_dummy_value()

        n = types.intp
        return types.none(source, n, target, n, n), codegen

    return move


def _emit_move(builder: Any, source: Any, target: Any, count: Any, lanes: int,
               itemsize: int) -> None:
    byte, size = ir.IntType(8), count.type(itemsize)
    source, target = (builder.bitcast(p, byte.as_pointer()) for p in (source, target))

    def copy(at: Any, elements: int) -> None:
        vector = ir.VectorType(byte, elements * itemsize).as_pointer()
        offset = builder.mul(at, size)
        value = builder.load(builder.bitcast(builder.gep(source, [offset]), vector))
        value.align = 1
        builder.store(value, builder.bitcast(builder.gep(target, [offset]), vector)).align = 1

    zero, width = count.type(0), count.type(lanes)
    with builder.if_else(builder.icmp_signed(">=", count, width)) as (long, short):
        with long:
            last = builder.sub(count, width)
            with cgutils.for_range_slice(builder, zero, last, width) as (t, _):
                copy(t, lanes)
                # A fence for the compiler, or LLVM makes the loop a call of memcpy: slower here.
                builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
            copy(last, lanes)
        with short:
            at = zero
            left = builder.select(builder.icmp_signed("<", count, zero), zero, count)
            part = lanes // 2
            while part:
                with builder.if_then(
                    builder.icmp_unsigned("!=", builder.and_(left, count.type(part)), zero)
                ):
                    copy(at, part)
                at = builder.add(at, builder.and_(left, count.type(part)))
                part //= 2
