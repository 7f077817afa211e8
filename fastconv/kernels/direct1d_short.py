"""Short filters: one unrolled micro kernel per number of taps.

The taps stay in registers. Of the shifted vectors that a vector of outputs needs, half are loaded
(a load that crosses a cache line takes both load slots of a cycle) and half are shuffled from
aligned vectors, so that loads, shuffles and multiply-adds keep pace with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_tile import model_sum
from .emit import I64, POINTER, Values, choose, function, index, lanes, loop
from .simd import call_llvm
from .workspace import address

# Vectors of outputs per step: stored together at its end, which halves the loads that wait for a
# store to the same place in another page (x and out 4 KiB apart: 0.7 of the speed otherwise).
VECTORS = 4
# Filters up to this long wait for memory: lines so far ahead are asked for (n = 1e5, float64,
# 5 taps: 15.3 us without, 13.5 with; a copy takes 11.2).
_WAITING_TAPS, _BYTES_AHEAD, _LINE = 7, 1024, 64


def longest_short(target: Target, dtype: str) -> int:
    """Return the most taps that this file's kernels have; 0 where they are not used."""
    if not dtype.startswith("float"):
        return 0
    if target.registers < 32:
        return 8
    return 16


def make_short(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``short``.

    ::

        short(x, xi, w, wi, k, out, oi, steps, count)
        out[oi + i] = sum over t < k of x[xi + i + t] * w[wi + t]      for i < count

    Assumes: k is 1 .. longest_short; the samples of whole vectors of outputs exist (count rounded
    up to them); the first steps * VECTORS vectors, made in one go, may read up to the end of the
    vector that holds their last sample; then xi is that of an aligned sample.
    """
    a = Arithmetic.of(target, dtype)

    def model(
        x: Any, xi: int, w: Any, wi: int, k: int, out: Any, oi: int, steps: int, count: int
    ) -> None:
        whole = -(-count // a.lanes) * a.lanes
        if not 0 <= steps * VECTORS * a.lanes <= count <= len(out) - oi:
            raise IndexError(f"count must lie within out, got {count}")
        if steps and xi + (steps * VECTORS + _ahead(a, k)) * a.lanes > len(x):
            raise IndexError("aligned vectors must lie within x")
        out[oi : oi + count] = model_sum(x, xi, w, wi, 0, k, whole)[:count]

    @intrinsic(model=model)
    def short(
        typingctx: Any, x: Any, xi: Any, w: Any, wi: Any, k: Any, out: Any, oi: Any,
        steps: Any, count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointers = [
                address(context, builder, array, args[j], args[j + 1])
                for j, array in ((0, x), (2, w), (5, out))
            ]

            def case(taps: int) -> Callable[[Values], Values]:
                def call(_: Values) -> Values:
                    params = [POINTER] * 3 + [I64] * 2
                    micro = function(
                        builder.module, f"short{taps}_{dtype}", params,
                        lambda b, values: _emit(b, a, taps, *values),
                    )
                    builder.call(micro, [*pointers, args[7], args[8]])
                    return []

                return call

            cases = {t: case(t) for t in range(1, longest_short(target, dtype) + 1)}
            choose(builder, args[4], cases, [])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, i, i, out, i, i, i), codegen

    return short


def _shuffled(a: Arithmetic, k: int) -> set[int]:
    """Return the shifts, below one vector, whose vectors are shuffled: every other one."""
    shifts = min(k, a.lanes) - 1
    half = (shifts + 1) // 2
    return {s for s in range(1, shifts + 1) if s * half // shifts != (s - 1) * half // shifts}


def _ahead(a: Arithmetic, k: int) -> int:
    """Return how many aligned vectors after its own a vector of outputs needs."""
    aligned = [s // a.lanes + bool(s % a.lanes) for s in range(k)
               if s % a.lanes == 0 or s % a.lanes in _shuffled(a, k)]
    return max(aligned)


def _sum(
    b: Any, a: Arithmetic, taps: Values, outputs: int, shifted: Callable[[int, int], Any]
) -> Values:
    """Return `outputs` vectors of sums, tap by tap: an output's bits do not depend on its place."""
    totals = [a.zero()] * outputs
    for t, tap in enumerate(taps):
        totals = [a.multiply_add(b, shifted(v, t), tap, total) for v, total in enumerate(totals)]
    return totals


def _emit(b: Any, a: Arithmetic, k: int, x: Any, w: Any, out: Any, steps: Any, count: Any) -> None:
    taps = [a.tap(b, a.at(b, w, t))[0] for t in range(k)]
    shuffled, ahead, size = _shuffled(a, k), _ahead(a, k), VECTORS * a.lanes
    bits = ir.VectorType(ir.IntType(8 * a.size), a.lanes)

    def step(j: Any, carried: Values) -> Values:
        at = b.mul(j, index(size))
        p, q = a.at(b, x, at), a.at(b, out, at)
        if k <= _WAITING_TAPS:
            _prefetch(b, a, p, writing=False)
            _prefetch(b, a, q, writing=True)
        vectors = list(carried)
        vectors += [
            a.load(b, a.at(b, p, v * a.lanes), aligned=True)
            for v in range(ahead, ahead + VECTORS)
        ]
        known: dict[int, Any] = {v * a.lanes: value for v, value in enumerate(vectors)}

        def shifted(v: int, t: int) -> Any:
            at = v * a.lanes + t
            n, s = divmod(at, a.lanes)
            if at not in known:
                if s in shuffled:
                    # As integers: of floats LLVM makes a shuffle that needs a vector of indices.
                    mask, kind = lanes(list(range(s, s + a.lanes))), vectors[n].type
                    both = (b.bitcast(value, bits) for value in vectors[n : n + 2])
                    known[at] = b.bitcast(b.shuffle_vector(*both, mask), kind)
                else:
                    known[at] = a.load(b, a.at(b, p, at))
            return known[at]

        for v, total in enumerate(_sum(b, a, taps, VECTORS, shifted)):
            a.store(b, total, a.at(b, q, v * a.lanes))
        return vectors[VECTORS:]

    def all_steps(_: Values) -> Values:
        first = [a.load(b, a.at(b, x, v * a.lanes), aligned=True) for v in range(ahead)]
        loop(b, steps, first, step)
        return []

    choose(b, b.zext(b.icmp_signed(">", steps, index(0)), I64), {1: all_steps}, [])
    done = b.mul(steps, index(size))

    def single(j: Any, _: Values) -> Values:
        at = b.add(done, b.mul(j, index(a.lanes)))
        p, q, left = a.at(b, x, at), a.at(b, out, at), b.sub(count, at)
        (total,) = _sum(b, a, taps, 1, lambda v, t: a.load(b, a.at(b, p, t)))

        def whole(_: Values) -> Values:
            a.store(b, total, q)
            return []

        def part(_: Values) -> Values:
            a.store_first(b, total, q, left)
            return []

        full = b.zext(b.icmp_signed(">=", left, index(a.lanes)), I64)
        choose(b, full, {1: whole, 0: part}, [])
        return []

    left = b.sub(count, done)
    loop(b, b.udiv(b.add(left, index(a.lanes - 1)), index(a.lanes)), [], single)


def _prefetch(b: Any, a: Arithmetic, place: Any, *, writing: bool) -> None:
    """Ask for the lines of a later step; they may lie outside the array, where nothing is read."""
    number, size = ir.IntType(32), VECTORS * a.lanes * a.size
    flags = [ir.Constant(number, f) for f in (int(writing), 3, 1)]
    for line in range(0, size, _LINE):
        far = b.gep(place, [index(_BYTES_AHEAD + line)], source_etype=ir.IntType(8))
        call_llvm(b, "llvm.prefetch.p0", ir.VoidType(), [far, *flags])
