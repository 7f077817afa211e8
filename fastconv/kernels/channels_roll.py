"""A column of 3 x 3 windows: every row of samples is loaded once for the three rows it belongs to.

The sums of two unfinished rows are carried down the column. Zeros outside the image are lanes that
a masked load leaves out, where the target has masks; elsewhere columns lie in a frame of zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_tile import LEAKY_RELU, RELU, activate
from .emit import I64, Values, function, index, loop, splat
from .simd import call_llvm, overload_suffix
from .workspace import address

# Added to a width: the first and the last columns of samples may lie outside.
EDGE = 8


def widths(target: Target) -> tuple[int, ...]:
    """Return the vectors in a column.

    A sum takes three multiply-adds of each row one after the other, so that two vectors of columns
    wait for them. Where two rows of four vectors and nine taps do not fit in registers, taps are
    loaded again for each row of samples.
    """
    return (4, 2, 1) if target.registers > 16 else (4, 3, 2, 1)


def edges(target: Target) -> tuple[int, ...]:
    """Return the vectors in a column whose first and last samples may lie outside."""
    return (2, 1) if target.registers > 16 else (4, 3, 2, 1)


def make_roll(target: Target, a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``roll``.

    ::

        out[out_at + r*out_row + j] = act(bias[bias_at] +
            sum over u, v < 3 of X(r + u, j + v) * w[w_at + 3*u + v])

    for r < rows, j < count, where ``X(s, i) = x[x_at + s*x_row + i]`` if top <= s < bottom and,
    with ``wide + EDGE``, low <= i < end, else 0. Every sum runs over the taps in order.

    `spare` elements behind the last row are stored by later calls, so that vectors may end there.

    Assumes: the dtype is real; `wide` is one of ``widths(target)``, with EDGE one of
    ``edges(target)`` and where ``target.has_load_masks``, and the samples of all its vectors but
    the first and the last lie inside; (wide - 1) * lanes < count <= wide * lanes; if any row is
    outside, `zeros` begins with as many zeros as wide vectors have and two more; without EDGE,
    whole vectors of x may be read.
    """

    def model(
        wide: int, x: Any, x_at: int, x_row: int, top: int, bottom: int, low: int, end: int,
        zeros: Any, w: Any, w_at: int, out: Any, out_at: int, out_row: int, rows: int, count: int,
        spare: int, bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        edge, wide = wide > EDGE, wide % EDGE
        lanes = wide * a.lanes
        outside = top > 0 or bottom < rows + 2
        if not lanes - a.lanes < count <= lanes or (outside and np.any(zeros[: lanes + 2])):
            raise ValueError(f"roll must fit, got {wide} for {count}")
        columns = np.arange(lanes + 2)
        if edge and wide > 2 and (low > a.lanes or end < lanes - a.lanes + 2):
            raise ValueError(f"all but the first and last vectors must lie in {low}..{end}")
        inside = (columns >= low) & (columns < end) if edge else columns >= 0
        samples = np.zeros((rows + 2, lanes + 2), x.dtype)
        for s in range(max(top, 0), min(bottom, rows + 2)):
            at = x_at + s * x_row + columns[inside]
            if at.size and not (at[0] >= 0 and at[-1] < len(x)):
                raise IndexError(f"samples from {at[0]} on must lie within {len(x)}")
            samples[s, inside] = x[at]
        for r in range(rows):
            total = np.resize(bias[bias_at], lanes)
            for t in range(9):
                factors = samples[r + t // 3, t % 3 : t % 3 + lanes]
                total = total + factors * w[w_at + t]
            if activation == RELU:
                total = np.where(total <= 0, total.dtype.type(0), total)
            elif activation == LEAKY_RELU and total.dtype.kind == "f":
                total = np.where(total > 0, total, total * slope[0])
            at = out_at + r * out_row
            if at < 0 or at + count > len(out):
                raise IndexError(f"outputs from {at} on must lie within {len(out)}")
            out[at : at + count] = total[:count]

    @intrinsic(model=model)
    def roll(
        typingctx: Any, wide: Any, x: Any, x_at: Any, x_row: Any, top: Any, bottom: Any,
        low: Any, end: Any, zeros: Any, w: Any, w_at: Any, out: Any, out_at: Any, out_row: Any,
        rows: Any, count: Any, spare: Any, bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(
            n, x, n, n, n, n, n, n, zeros, w, n, out, n, n, n, n, n, bias, n, n, slope
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            passed = [
                at(1, args[2]), args[3], args[4], args[5], args[6], args[7], at(8, zero),
                at(9, args[10]), at(11, args[12]), args[13], args[14], args[15],
                args[16], at(17, args[18]), args[19], at(20, zero),
            ]
            done = builder.append_basic_block("roll.end")
            switch = builder.switch(args[0], done)
            masked = edges(target) if target.has_load_masks(a.size) else ()
            kinds_of = [*widths(target), *(EDGE + n for n in masked)]
            for number in kinds_of:
                block = builder.append_basic_block("roll.kind")
                switch.add_case(I64(number), block)
                builder.position_at_end(block)
                micro = function(
                    builder.module, f"roll_{a.dtype}_{number}", [p.type for p in passed],
                    lambda b, v, number=number: _emit(b, a, number % EDGE, number > EDGE, v),
                )
                builder.call(micro, passed)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return roll


def _emit(builder: Any, a: Arithmetic, wide: int, edge: bool, args: Values) -> None:
    x, x_row, top, bottom, low, end, zeros, w, out, out_row, rows, count, *after = args
    spare, bias, activation, slope = after
    vectors = range(wide)
    factors = [a.tap(builder, a.at(builder, w, t))[0] for t in range(9)]
    start = a.tap(builder, bias)[0]
    masks = [[_mask(builder, a, q * a.lanes + v, low, end) for v in range(3)] for q in vectors]
    whole = builder.icmp_signed("==", count, index(wide * a.lanes))
    mended = None if a.target.masks else _mended(builder, a, wide, out_row, rows, count, spare)

    def sample(row: Any, q: int, v: int) -> Any:
        place = a.at(builder, row, q * a.lanes + v)
        if not edge or 0 < q < wide - 1:
            return a.load(builder, place)
        align = ir.Constant(ir.IntType(32), a.size)
        name = f"llvm.masked.load.{overload_suffix(a.stored)}.p0"
        nothing = ir.Constant(a.stored, None)
        loaded = call_llvm(builder, name, a.stored, [place, align, masks[q][v], nothing])
        return a.widen(builder, loaded)

    def row_of(s: Any) -> Any:
        above = builder.icmp_signed(">=", s, top)
        here = builder.and_(above, builder.icmp_signed("<", s, bottom))
        return builder.select(here, a.at(builder, x, builder.mul(s, x_row)), zeros)

    def add(row: Any, sums: list[Values]) -> list[Values]:
        """Add a row of samples to sums that it is the last, the middle or the first row of."""
        new = [list(held) for held in sums]
        for v in range(3):
            for q in vectors:
                value = sample(row, q, v)
                for j, held in enumerate(new):
                    u = len(new) - 1 - j
                    held[q] = a.multiply_add(builder, value, factors[3 * u + v], held[q])
        return new

    fresh = [start] * wide
    (first,) = add(row_of(index(0)), [fresh])
    first, second = add(row_of(index(1)), [first, fresh])

    def body(r: Any, carried: Values) -> Values:
        held = [carried[:wide], carried[wide:], fresh]
        done, *rest = add(row_of(builder.add(r, index(2))), held)
        finished = [a.finish(builder, [total]) for total in done]
        finished = activate(builder, a, finished, activation, slope)
        goal = a.at(builder, out, builder.mul(r, out_row))
        for q in vectors[:-1]:
            a.store(builder, finished[q], a.at(builder, goal, q * a.lanes))
        last = a.at(builder, goal, (wide - 1) * a.lanes)
        fits = whole if mended is None else builder.icmp_signed("<", r, mended)
        with builder.if_else(fits) as (all_lanes, some_lanes):
            with all_lanes:
                a.store(builder, finished[-1], last)
            with some_lanes:
                left = builder.sub(count, index((wide - 1) * a.lanes))
                a.store_first(builder, finished[-1], last, left)
        return [total for sums in rest for total in sums]

    loop(builder, rows, [*first, *second], body)


def _mended(
    builder: Any, a: Arithmetic, wide: int, out_row: Any, rows: Any, count: Any, spare: Any
) -> Any:
    """Return how many rows may be stored in whole vectors: the rows that follow store again what is
    beyond, if they begin there."""
    zero = index(0)
    alone = builder.icmp_signed("==", count, out_row)
    beyond = builder.sub(index(wide * a.lanes), count)
    uncovered = builder.sub(beyond, spare)
    uncovered = builder.select(builder.icmp_signed(">", uncovered, zero), uncovered, zero)
    held = builder.sdiv(builder.add(uncovered, builder.sub(out_row, index(1))), out_row)
    some = builder.select(alone, builder.sub(rows, held), zero)
    return builder.select(builder.icmp_signed("==", beyond, zero), rows, some)


def _mask(builder: Any, a: Arithmetic, at: int, low: Any, end: Any) -> Any:
    """Return which lanes of the vector at column `at` lie in low..end-1."""
    narrow, most = ir.VectorType(ir.IntType(16), a.lanes), index(1 << 10)
    columns = ir.Constant(narrow, [at + lane for lane in range(a.lanes)])
    found = []
    for bound, relation in ((low, ">="), (end, "<")):
        near = builder.select(builder.icmp_signed("<", bound, most), bound, most)
        near = builder.select(builder.icmp_signed(">", near, index(0)), near, index(0))
        limit = splat(builder, builder.trunc(near, ir.IntType(16)), narrow)
        found.append(builder.icmp_signed(relation, columns, limit))
    return builder.and_(*found)
