"""The register tile of depthwise layers: lanes that each meet their own samples and taps.

Lanes are columns of one channel, which share a tap, or channels of one pixel, which do not.
"""

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

HEIGHTS = (8, 4, 2, 1)


def make_strip(a: Arithmetic, shared: bool, widths: tuple[int, ...]) -> Callable[..., Any]:
    """Return the intrinsic ``strip``.

    ::

        out[out_at + r*out_row + j] = act(bias[bias_at (+ j)] +
            sum over t < taps of X(x_at + r*x_row + j*size + offsets[t]) * w[w_at + t*w_step (+ j)])

    for r < rows, j < count, with the terms in parentheses unless taps and bias are `shared` by
    all lanes; `offsets` and `x_row` count in bytes of x.

    Assumes: the dtype is real; `rows` is one of HEIGHTS, `vectors` one of `widths`,
    (vectors - 1) * lanes < count <= vectors * lanes; whole vectors of x may be read, of w and bias
    too where they are not shared.
    """

    def model(
        rows: int, vectors: int, x: Any, x_at: int, x_row: int, w: Any, w_at: int, w_step: int,
        offsets: Any, taps: int, out: Any, out_at: int, out_row: int, count: int,
        bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        lanes = vectors * a.lanes
        if rows not in HEIGHTS or vectors not in widths or not lanes - a.lanes < count <= lanes:
            raise ValueError(f"strip must fit, got {rows} x {vectors} for {count}")
        own = 1 if shared else lanes
        for r in range(rows):
            total = np.resize(bias[bias_at : bias_at + own], lanes)
            for t in range(taps):
                byte = r * x_row + int(offsets[t])
                at = x_at + byte // x.itemsize
                samples, filters = x[at : at + lanes], w[w_at + t * w_step :][:own]
                if at < 0 or len(samples) < lanes or len(filters) < own:
                    raise IndexError(f"samples from {at} on must lie within {len(x)}")
                total = total + samples * filters
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
        w: Any, w_at: Any, w_step: Any, offsets: Any, taps: Any,
        out: Any, out_at: Any, out_row: Any, count: Any,
        bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(n, n, x, n, n, w, n, n, offsets, n, out, n, n, n, bias, n, n, slope)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            passed = [
                at(2, args[3]), args[4], at(5, args[6]), args[7], at(8, zero), args[9],
                at(10, args[11]), args[12], args[13], at(14, args[15]), args[16], at(17, zero),
            ]
            end = builder.append_basic_block("strip.end")
            selector = builder.add(builder.mul(args[0], index(4)), args[1])
            switch = builder.switch(selector, end)
            for high in HEIGHTS:
                for wide in widths:
                    block = builder.append_basic_block("strip.kind")
                    switch.add_case(I64(high * 4 + wide), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"strip_{a.dtype}_{high}x{wide}_{int(shared)}",
                        [p.type for p in passed],
                        lambda b, v, high=high, wide=wide: _emit(b, a, shared, high, wide, v),
                    )
                    builder.call(micro, passed)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return strip


def _emit(builder: Any, a: Arithmetic, shared: bool, rows: int, wide: int, args: Values) -> None:
    x, x_row, w, w_step, offsets, taps, out, out_row, count, bias, activation, slope = args
    byte = ir.IntType(8)
    twice = builder.add(x_row, x_row)
    hops = [None, x_row, twice, builder.add(twice, x_row)]
    four = builder.add(twice, twice)
    vectors = range(wide)

    def own(base: Any) -> Values:
        """Return what each vector's lanes take from `base` on."""
        if shared:
            return a.tap(builder, base) * wide
        return [a.load(builder, a.at(builder, base, v * a.lanes)) for v in vectors]

    start = own(bias)
    sums: Values = []
    for _ in range(rows):
        for v in vectors:
            sums.append(start[v])

    def tap(t: Any, held: Values) -> Values:
        offset = builder.load(builder.gep(offsets, [t], source_etype=I64), typ=I64, align=8)
        place = builder.gep(x, [offset], source_etype=byte)
        factors = own(a.at(builder, w, builder.mul(t, w_step)))
        new, j = [], 0
        for r in range(rows):
            if r and r % 4 == 0:
                place = builder.gep(place, [four], source_etype=byte)
            hop = hops[r % 4]
            here = place if hop is None else builder.gep(place, [hop], source_etype=byte)
            for v in vectors:
                samples = a.load(builder, a.at(builder, here, v * a.lanes))
                new.append(a.multiply_add(builder, samples, factors[v], held[j]))
                j += 1
        return new

    sums = loop(builder, taps, sums, tap)
    finished = activate(
        builder, a, [a.finish(builder, [total]) for total in sums], activation, slope
    )
    whole = builder.icmp_signed("==", count, index(wide * a.lanes))
    with builder.if_else(whole) as (all_lanes, some_lanes):
        for branch, masked in ((all_lanes, False), (some_lanes, True)):
            with branch:
                for r in range(rows):
                    row = a.at(builder, out, builder.mul(out_row, index(r)))
                    for v in vectors:
                        goal, total = a.at(builder, row, v * a.lanes), finished[r * wide + v]
                        if masked and v == wide - 1:
                            left = builder.sub(count, index(v * a.lanes))
                            a.store_first(builder, total, goal, left)
                        else:
                            a.store(builder, total, goal)
