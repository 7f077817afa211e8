"""Phase-major register tiles: correlation of a contiguous row, one load for up to four products.

With L lanes, taps t and t + L need the same unaligned vectors of x, one vector apart. So the phase
s = t mod L is fixed, the taps s, s + L, s + 2L, s + 3L are held in registers beside the
accumulators, and each loaded vector feeds up to four of them. (One unaligned load per product
cannot pass half of the FMA peak.) The taps that are left in a phase go through a switch, never
through zero taps: 0 * NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, choose, function, index, loop, steps
from .workspace import address


@dataclass(frozen=True, slots=True)
class Tile:
    """The shape of a register tile.

    Parameters
    ----------
    vectors : int
        Vectors of consecutive outputs.
    taps : int
        Taps of one phase held in registers.
    sets : int
        Independent sets of accumulators, by phase: a narrow tile needs them to hide the latency
        of its additions. A power of two, at most the number of lanes.
    """

    vectors: int
    taps: int
    sets: int


def wide_tile(target: Target, a: Arithmetic) -> Tile:
    """Return the tile for long runs of outputs."""
    if target.registers >= 32:
        return Tile(16 // a.parts, 4, 1)
    return Tile(10 // a.parts, 2, 1)


def emit_taps(
    b: Any, a: Arithmetic, tile: Tile, x: Any, w: Any, taps: Any, totals: Values,
    within: tuple[Any, Any] | None = None,
) -> Values:
    """Emit ``totals += x[. + t] * w[t] for t < taps``; totals are ordered by set, vector, part.

    `within` are two offsets from x: vectors that lie wholly outside them hold zeros, and their
    products are skipped.
    """
    per_set = tile.vectors * a.parts

    def group(at: Any, count: int, totals: Values, chosen: int) -> Values:
        where, tap = a.at(b, x, at), a.at(b, w, at)
        held = [a.tap(b, a.at(b, tap, q * a.lanes)) for q in range(count)]

        def column(j: int, totals: Values) -> Values:
            value = a.load(b, a.at(b, where, j * a.lanes))
            for q in range(count):
                if 0 <= j - q < tile.vectors:
                    for part in range(a.parts):
                        n = chosen * per_set + (j - q) * a.parts + part
                        totals[n] = a.multiply_add(b, value, held[q][part], totals[n])
            return totals

        columns = [lambda t, j=j: column(j, t) for j in range(tile.vectors + count - 1)]
        if within is None:
            for emit in columns:
                totals = emit(totals)
            return totals
        low, high = (b.sub(bound, at) for bound in within)
        # Vector j spans j*lanes .. j*lanes + lanes-1.
        first = b.sdiv(b.select(b.icmp_signed(">", low, index(0)), low, index(0)), index(a.lanes))
        last = b.sdiv(b.add(high, index(a.lanes - 1)), index(a.lanes))
        return steps(b, columns, first, last, totals)

    def groups(start: Any, count: int, totals: Values) -> Values:
        for chosen in range(tile.sets):
            totals = group(b.add(start, index(chosen)), count, totals, chosen)
        return totals

    # Phases below `ragged` have one tap more than the others.
    full, ragged = b.udiv(taps, index(a.lanes)), b.urem(taps, index(a.lanes))
    some = b.select(b.icmp_signed(">", full, index(0)), index(a.lanes), ragged)
    rounds = b.udiv(b.add(some, index(tile.sets - 1)), index(tile.sets))

    def phases(step: Any, totals: Values) -> Values:
        start = b.mul(step, index(tile.sets))
        longer = b.icmp_signed("<=", b.add(start, index(tile.sets)), ragged)
        count = b.add(full, b.zext(longer, I64))
        times, rest = b.udiv(count, index(tile.taps)), b.urem(count, index(tile.taps))
        stride = index(tile.taps * a.lanes)
        totals = loop(
            b, times, totals,
            lambda g, t: groups(b.add(start, b.mul(g, stride)), tile.taps, t),
        )
        at = b.add(start, b.mul(times, stride))
        cases = {c: (lambda t, c=c: groups(at, c, t)) for c in range(1, tile.taps)}
        totals = choose(b, rest, cases, totals)
        if tile.sets == 1:
            return totals
        at = b.add(start, b.mul(count, index(a.lanes)))

        def single(chosen: int) -> Any:
            return lambda t: group(b.add(at, index(chosen)), 1, t, chosen)

        def mixed(totals: Values) -> Values:
            for chosen in range(tile.sets - 1):
                there = b.icmp_signed("<", b.add(start, index(chosen)), ragged)
                totals = choose(b, b.zext(there, I64), {1: single(chosen)}, totals)
            return totals

        left = b.and_(b.icmp_signed("<", start, ragged), b.not_(longer))
        return choose(b, b.zext(left, I64), {1: mixed}, totals)

    def unless_all_true(step: Any, totals: Values) -> Values:
        both = totals[0]
        for total in totals[1:]:
            both = b.and_(both, total)
        true = b.icmp_unsigned("!=", both, a.zero())
        bits = b.bitcast(true, ir.IntType(true.type.count))
        more = b.icmp_unsigned("!=", bits, ir.Constant(bits.type, -1))
        return choose(b, b.zext(more, I64), {1: lambda t: phases(step, t)}, totals)

    # A sum of products that is true stays so: NumPy's loop ends there, too.
    totals = loop(b, rounds, totals, unless_all_true if a.dtype == "bool" else phases)
    merged = totals[:per_set]
    for chosen in range(1, tile.sets):
        merged = [a.add(b, m, totals[chosen * per_set + j]) for j, m in enumerate(merged)]
    return merged + [a.zero()] * (per_set * (tile.sets - 1))


def finish(b: Any, a: Arithmetic, tile: Tile, totals: Values) -> Values:
    """Return the vectors to store."""
    return [
        a.finish(b, totals[v * a.parts : (v + 1) * a.parts]) for v in range(tile.vectors)
    ]


def make_run(target: Target, dtype: str) -> tuple[Any, int]:
    """Return the micro kernel ``run`` and how many outputs it makes at a time.

    ::

        run(x, xi, w, wi, taps, out, oi, blocks)
        out[oi + i] = sum over t < taps of x[xi + i + t] * w[wi + t]     for i < blocks * size

    Assumes: all of these samples exist; out overlaps neither x nor w.
    """
    a = Arithmetic.of(target, dtype)
    tile = wide_tile(target, a)
    size = tile.vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        x, w, taps, out, blocks = args

        def block(j: Any, _: Values) -> Values:
            start = b.mul(j, index(size))
            totals = [a.zero()] * (tile.vectors * a.parts * tile.sets)
            totals = emit_taps(b, a, tile, a.at(b, x, start), w, taps, totals)
            for v, value in enumerate(finish(b, a, tile, totals)):
                a.store(b, value, a.at(b, out, b.add(start, index(v * a.lanes))))
            return []

        loop(b, blocks, [], block)

    def model(x: Any, xi: int, w: Any, wi: int, taps: int, out: Any, oi: int, blocks: int) -> None:
        m = blocks * size
        if m:
            out[oi : oi + m] = model_sum(x, xi, w, wi, 0, taps, m)

    @intrinsic(model=model)
    def run(
        typingctx: Any, x: Any, xi: Any, w: Any, wi: Any, taps: Any, out: Any, oi: Any,
        blocks: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            micro = function(
                builder.module, f"run_{dtype}", [POINTER, POINTER, I64, POINTER, I64], body
            )
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, w, args[2], args[3]), args[4],
                address(context, builder, out, args[5], args[6]), args[7],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, i, i, out, i, i), codegen

    return run, size


def model_sum(x: Any, xi: int, w: Any, wi: int, start: int, stop: int, m: int) -> Any:
    """Return the sums of x[xi + i + t] * w[wi + t] over start <= t < stop, for i < m."""
    total = np.zeros(m, w.dtype)
    for t in range(start, stop):
        first = xi + t
        if first < 0 or first + m > len(x) or not 0 <= wi + t < len(w):
            raise IndexError(f"samples {first}..{first + m} must lie within {len(x)}")
        total += x[first : first + m] * w[wi + t]
    return total
