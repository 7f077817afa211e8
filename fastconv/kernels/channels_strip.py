"""The register tile of depthwise layers with channels first: lanes are columns of one channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .arithmetic import Arithmetic
from .channels_tile import LEAKY_RELU, RELU, activate
from .emit import I64, Values, function, index, loop
from .workspace import address

HEIGHTS, WIDTHS = (8, 4, 2, 1), (1, 2)


def make_strip(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``strip``.

    ::

        out[out_at + r*out_row + j] = act(bias[bias_at] +
            sum over t < taps of X(x_at + r*x_row + j*size + offsets[t]) * w[w_at + t])

    for r < rows, j < count; `offsets` and `x_row` count in bytes of x. `spare` elements behind the
    last row are stored by later calls, so that vectors may end there.

    Assumes: the dtype is real; `rows` is one of HEIGHTS, `vectors` one of WIDTHS,
    (vectors - 1) * lanes < count <= vectors * lanes; whole vectors of x may be read.
    """

    def model(
        rows: int, vectors: int, x: Any, x_at: int, x_row: int, w: Any, w_at: int,
        offsets: Any, taps: int, out: Any, out_at: int, out_row: int, count: int, spare: int,
        bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        lanes = vectors * a.lanes
        if rows not in HEIGHTS or vectors not in WIDTHS or not lanes - a.lanes < count <= lanes:
            raise ValueError(f"strip must fit, got {rows} x {vectors} for {count}")
        for r in range(rows):
            total = np.resize(bias[bias_at], lanes)
            for t in range(taps):
                byte = r * x_row + int(offsets[t])
                at = x_at + byte // x.itemsize
                samples = x[at : at + lanes]
                if at < 0 or len(samples) < lanes:
                    raise IndexError(f"samples from {at} on must lie within {len(x)}")
                total = total + samples * w[w_at + t]
            if activation == RELU:
                total = np.where(total <= 0, total.dtype.type(0), total)
            elif activation == LEAKY_RELU and total.dtype.kind == "f":
                total = np.where(total > 0, total, total * slope[0])
            at = out_at + r * out_row
            if at < 0 or at + count > len(out):
                raise IndexError(f"outputs from {at} on must lie within {len(out)}")
            out[at : at + count] = total[:count]

    @intrinsic(model=model)
    def strip(
        typingctx: Any, rows: Any, vectors: Any, x: Any, x_at: Any, x_row: Any,
        w: Any, w_at: Any, offsets: Any, taps: Any,
        out: Any, out_at: Any, out_row: Any, count: Any, spare: Any,
        bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(n, n, x, n, n, w, n, offsets, n, out, n, n, n, n, bias, n, n, slope)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            passed = [
                at(2, args[3]), args[4], at(5, args[6]), at(7, zero), args[8],
                at(9, args[10]), args[11], args[12], args[13], at(14, args[15]), args[16],
                at(17, zero),
            ]
            end = builder.append_basic_block("strip.end")
            selector = builder.add(builder.mul(args[0], index(4)), args[1])
            switch = builder.switch(selector, end)
            for high in HEIGHTS:
                for wide in WIDTHS:
                    block = builder.append_basic_block("strip.kind")
                    switch.add_case(I64(high * 4 + wide), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"strip_{a.dtype}_{high}x{wide}",
                        [p.type for p in passed],
                        lambda b, v, high=high, wide=wide: _emit(b, a, high, wide, v),
                    )
                    builder.call(micro, passed)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return strip


def _emit(builder: Any, a: Arithmetic, rows: int, wide: int, args: Values) -> None:
    x, x_row, w, offsets, taps, out, out_row, count, spare, bias, activation, slope = args
    byte = ir.IntType(8)
    twice = builder.add(x_row, x_row)
    hops = [None, x_row, twice, builder.add(twice, x_row)]
    four = builder.add(twice, twice)
    vectors = range(wide)

    (start,) = a.tap(builder, bias)
    sums: Values = [start] * (rows * wide)

    def tap(t: Any, held: Values) -> Values:
        offset = builder.load(builder.gep(offsets, [t], source_etype=I64), typ=I64, align=8)
        place = builder.gep(x, [offset], source_etype=byte)
        (factor,) = a.tap(builder, a.at(builder, w, t))
        new, j = [], 0
        for r in range(rows):
            if r and r % 4 == 0:
                place = builder.gep(place, [four], source_etype=byte)
            hop = hops[r % 4]
            here = place if hop is None else builder.gep(place, [hop], source_etype=byte)
            for v in vectors:
                samples = a.load(builder, a.at(builder, here, v * a.lanes))
                new.append(a.multiply_add(builder, samples, factor, held[j]))
                j += 1
        return new

    sums = loop(builder, taps, sums, tap)
    finished = activate(
        builder, a, [a.finish(builder, [total]) for total in sums], activation, slope
    )
    beyond = builder.sub(index(wide * a.lanes), count)
    whole = builder.icmp_signed("==", beyond, index(0))
    alone = builder.icmp_signed("==", count, out_row)

    def store_row(r: int) -> None:
        row = a.at(builder, out, builder.mul(out_row, index(r)))
        for v in vectors[:-1]:
            a.store(builder, finished[r * wide + v], a.at(builder, row, v * a.lanes))
        total, goal = finished[r * wide + wide - 1], a.at(builder, row, (wide - 1) * a.lanes)
        first = builder.sub(count, index((wide - 1) * a.lanes))
        if a.target.masks:
            a.store_first(builder, total, goal, first)
            return
        # What a vector stores beyond its row is stored again with the rows that follow.
        follows = builder.add(spare, builder.mul(out_row, index(rows - 1 - r)))
        mended = builder.and_(alone, builder.icmp_signed("<=", beyond, follows))
        with builder.if_else(mended) as (whole_vector, some_of_it):
            with whole_vector:
                a.store(builder, total, goal)
            with some_of_it:
                a.store_first(builder, total, goal, first)

    with builder.if_else(whole) as (all_lanes, some_lanes):
        with all_lanes:
            for r in range(rows):
                row = a.at(builder, out, builder.mul(out_row, index(r)))
                for v in vectors:
                    a.store(builder, finished[r * wide + v], a.at(builder, row, v * a.lanes))
        with some_lanes:
            for r in range(rows):
                store_row(r)
