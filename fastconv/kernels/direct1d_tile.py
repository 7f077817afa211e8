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
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Arithmetic, Values, address, choose, function, index, loop


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


def narrow_tile(target: Target, a: Arithmetic, vectors: int) -> Tile:
    """Return the tile for `vectors` vectors of outputs at a rim or at a row's end."""
    sets = max(1, min(a.lanes, 8 // (vectors * a.parts)))
    return Tile(vectors, 4 if target.registers >= 32 else 2, sets)


def emit_taps(b: Any, a: Arithmetic, tile: Tile, x: Any, w: Any, taps: Any, totals: Values) -> Values:
    """Emit ``totals += x[. + t] * w[t] for t < taps``; totals are ordered by set, vector, part."""
    per_set = tile.vectors * a.parts

    def group(where: Any, tap: Any, count: int, totals: Values, chosen: int) -> Values:
        first = chosen * per_set
        held = [a.tap(b, a.at(b, tap, q * a.lanes)) for q in range(count)]
        for j in range(tile.vectors + count - 1):
            value = a.load(b, a.at(b, where, j * a.lanes))
            for q in range(count):
                if 0 <= j - q < tile.vectors:
                    for part in range(a.parts):
                        n = first + (j - q) * a.parts + part
                        totals[n] = a.multiply_add(b, value, held[q][part], totals[n])
        return totals

    def groups(start: Any, count: int, totals: Values) -> Values:
        for chosen in range(tile.sets):
            at = b.add(start, index(chosen))
            totals = group(a.at(b, x, at), a.at(b, w, at), count, totals, chosen)
        return totals

    # The last taps % sets taps go one by one, so that all phases of a step are equally long.
    odd = b.and_(taps, index(tile.sets - 1))
    whole = b.sub(taps, odd)
    full, ragged = b.udiv(whole, index(a.lanes)), b.urem(whole, index(a.lanes))
    few = b.icmp_signed("<", whole, index(a.lanes))
    steps = b.udiv(b.select(few, whole, index(a.lanes)), index(tile.sets))

    def phase(step: Any, totals: Values) -> Values:
        start = b.mul(step, index(tile.sets))
        longer = b.zext(b.icmp_signed("<", start, ragged), I64)
        count = b.add(full, longer)
        times, rest = b.udiv(count, index(tile.taps)), b.urem(count, index(tile.taps))
        stride = index(tile.taps * a.lanes)
        totals = loop(
            b, times, totals,
            lambda g, t: groups(b.add(start, b.mul(g, stride)), tile.taps, t),
        )
        start = b.add(start, b.mul(times, stride))
        cases = {c: (lambda t, c=c: groups(start, c, t)) for c in range(1, tile.taps)}
        return choose(b, rest, cases, totals)

    totals = loop(b, steps, totals, phase)
    if tile.sets > 1:
        def single(j: Any, t: Values) -> Values:
            at = b.add(whole, j)
            return group(a.at(b, x, at), a.at(b, w, at), 1, t, 0)

        totals = loop(b, odd, totals, single)
    merged = totals[:per_set]
    for chosen in range(1, tile.sets):
        merged = [a.add(b, m, totals[chosen * per_set + j]) for j, m in enumerate(merged)]
    return merged + [a.zero()] * (per_set * (tile.sets - 1))


def _finished(b: Any, a: Arithmetic, tile: Tile, totals: Values) -> Values:
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
            for v, value in enumerate(_finished(b, a, tile, totals)):
                a.store(b, value, a.at(b, out, b.add(start, index(v * a.lanes))))
            return []

        loop(b, blocks, [], block)

    def model(x: Any, xi: int, w: Any, wi: int, taps: int, out: Any, oi: int, blocks: int) -> None:
        m = blocks * size
        if m:
            out[oi : oi + m] = model_sum(x, xi, w, wi, 0, taps, m)

    @intrinsic(model=model)
    def run(typingctx: Any, x: Any, xi: Any, w: Any, wi: Any, taps: Any, out: Any, oi: Any, blocks: Any) -> Any:
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


def make_edge(target: Target, dtype: str, vectors: int) -> tuple[Any, int]:
    """Return the micro kernel ``edge`` for `vectors` vectors, and how many outputs those are.

    ::

        edge(x, rim, w, out, wi, left, mid, right, t0, t1, t2, t3, oi, count)
        out[oi + i] = sum of rim[left + i + t] * w[wi + t] over t0 <= t < t1
                    + sum of x[mid + i + t] * w[wi + t]    over t1 <= t < t2
                    + sum of rim[right + i + t] * w[wi + t] over t2 <= t < t3

    for i < min(count, size). Samples for i < size must exist, whatever count is.
    """
    a = Arithmetic.of(target, dtype)
    tile = narrow_tile(target, a, vectors)
    size = vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        left, mid, right, w, t0, t1, t2, t3, out, count = args

        def piece(j: Any, totals: Values) -> Values:
            head, middle = (b.icmp_signed("==", j, index(v)) for v in (0, 1))

            def pick(p: Any, q: Any, r: Any) -> Any:
                return b.select(head, p, b.select(middle, q, r))

            start, stop = pick(t0, t1, t2), pick(t1, t2, t3)
            base = a.at(b, pick(left, mid, right), start)
            return emit_taps(b, a, tile, base, a.at(b, w, start), b.sub(stop, start), totals)

        totals = [a.zero()] * (tile.vectors * a.parts * tile.sets)
        results = _finished(b, a, tile, loop(b, index(3), totals, piece))
        full, partial, done = (b.append_basic_block(n) for n in ("full", "partial", "stored"))
        b.cbranch(b.icmp_signed(">=", count, index(size)), full, partial)
        b.position_at_end(full)
        for v, value in enumerate(results):
            a.store(b, value, a.at(b, out, v * a.lanes))
        b.branch(done)
        b.position_at_end(partial)
        for v, value in enumerate(results):
            a.store_first(
                b, value, a.at(b, out, v * a.lanes), b.sub(count, index(v * a.lanes))
            )
        b.branch(done)
        b.position_at_end(done)

    def model(
        x: Any, rim: Any, w: Any, out: Any, wi: int, left: int, mid: int, right: int,
        t0: int, t1: int, t2: int, t3: int, oi: int, count: int,
    ) -> None:
        total = model_sum(rim, left, w, wi, t0, t1, size)
        total = total + model_sum(x, mid, w, wi, t1, t2, size)
        total = total + model_sum(rim, right, w, wi, t2, t3, size)
        if not 0 < count <= len(out) - oi:
            raise IndexError(f"count must lie within out, got {count}")
        out[oi : oi + min(count, size)] = total[:count]

    @intrinsic(model=model)
    def edge(
        typingctx: Any, x: Any, rim: Any, w: Any, out: Any, wi: Any, left: Any, mid: Any, right: Any,
        t0: Any, t1: Any, t2: Any, t3: Any, oi: Any, count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER] * 4 + [I64] * 4 + [POINTER, I64]
            micro = function(builder.module, f"edge{vectors}_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, rim, args[1], args[5]),
                address(context, builder, x, args[0], args[6]),
                address(context, builder, rim, args[1], args[7]),
                address(context, builder, w, args[2], args[4]),
                *args[8:12],
                address(context, builder, out, args[3], args[12]),
                args[13],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, rim, w, out, *[i] * 10), codegen

    return edge, size


def model_sum(x: Any, xi: int, w: Any, wi: int, start: int, stop: int, m: int) -> Any:
    """Return the sums of x[xi + i + t] * w[wi + t] over start <= t < stop, for i < m."""
    total = np.zeros(m, w.dtype)
    for t in range(start, stop):
        first = xi + t
        if first < 0 or first + m > len(x) or not 0 <= wi + t < len(w):
            raise IndexError(f"samples {first}..{first + m} must lie within {len(x)}")
        total += x[first : first + m] * w[wi + t]
    return total
