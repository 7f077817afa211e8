"""Narrow register tiles for windows that cross an edge of the signal, and for short rows."""

from __future__ import annotations

from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_tile import Tile, emit_taps, finish, model_sum
from .emit import I64, POINTER, Values, function, index, loop
from .workspace import address


def make_edge(target: Target, dtype: str, vectors: int) -> tuple[Any, int]:
    """Return the micro kernel ``edge`` for `vectors` vectors, and how many outputs those are.

    ::

        edge(x, work, w, out, wi, left, mid, right, t0, t1, t2, t3, start, n, oi, count)
        out[oi + i] = sum of work[left + i + t] * w[wi + t]  over t0 <= t < t1
                    + sum of x[mid + i + t] * w[wi + t]      over t1 <= t < t2
                    + sum of work[right + i + t] * w[wi + t] over t2 <= t < t3

    for i < min(count, size). All three read sample start + i + t, which is zero if not in 0..n-1.

    Assumes: the samples for i < size exist in memory, whatever count is.
    """
    a = Arithmetic.of(target, dtype)
    tile = _narrow_tile(target, a, vectors)
    size = vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        left, mid, right, w, t0, t1, t2, t3, start, n, out, count = args

        def piece(j: Any, totals: Values) -> Values:
            head, middle = (b.icmp_signed("==", j, index(v)) for v in (0, 1))

            def pick(p: Any, q: Any, r: Any) -> Any:
                return b.select(head, p, b.select(middle, q, r))

            first, stop = pick(t0, t1, t2), pick(t1, t2, t3)
            base = a.at(b, pick(left, mid, right), first)
            low = b.neg(b.add(start, first))
            return emit_taps(
                b, a, tile, base, a.at(b, w, first), b.sub(stop, first), totals,
                within=(low, b.add(low, n)),
            )

        totals = [a.zero()] * (tile.vectors * a.parts * tile.sets)
        results = finish(b, a, tile, loop(b, index(3), totals, piece))
        whole, partial, done = (b.append_basic_block(n) for n in ("whole", "partial", "stored"))
        b.cbranch(b.icmp_signed(">=", count, index(size)), whole, partial)
        b.position_at_end(whole)
        for v, value in enumerate(results):
            a.store(b, value, a.at(b, out, v * a.lanes))
        b.branch(done)
        b.position_at_end(partial)
        for v, value in enumerate(results):
            left = b.sub(count, index(v * a.lanes))
            a.store_first(b, value, a.at(b, out, v * a.lanes), left)
        b.branch(done)
        b.position_at_end(done)

    def model(
        x: Any, work: Any, w: Any, out: Any, wi: int, left: int, mid: int, right: int,
        t0: int, t1: int, t2: int, t3: int, start: int, n: int, oi: int, count: int,
    ) -> None:
        total = model_sum(work, left, w, wi, t0, t1, size)
        total = total + model_sum(x, mid, w, wi, t1, t2, size)
        total = total + model_sum(work, right, w, wi, t2, t3, size)
        if not 0 < count <= len(out) - oi:
            raise IndexError(f"count must lie within out, got {count}")
        out[oi : oi + min(count, size)] = total[:count]

    @intrinsic(model=model)
    def edge(
        typingctx: Any, x: Any, work: Any, w: Any, out: Any, wi: Any, left: Any, mid: Any,
        right: Any, t0: Any, t1: Any, t2: Any, t3: Any, start: Any, n: Any, oi: Any, count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER] * 4 + [I64] * 6 + [POINTER, I64]
            micro = function(builder.module, f"edge{vectors}_{dtype}", params, body)
            pairs = ((work, 1, 5), (x, 0, 6), (work, 1, 7), (w, 2, 4))
            builder.call(micro, [
                *(address(context, builder, kind, args[j], args[i]) for kind, j, i in pairs),
                *args[8:14],
                address(context, builder, out, args[3], args[14]), args[15],
            ])
            return context.get_dummy_value()

        return types.none(x, work, w, out, *[types.intp] * 12), codegen

    return edge, size


def _narrow_tile(target: Target, a: Arithmetic, vectors: int) -> Tile:
    """Return the tile for `vectors` vectors of outputs at a rim or at a row's end."""
    # An integer addition has a latency of one cycle, a multiply-add of four.
    most = 1 if a.is_integer else 4
    sets = max(1, min(a.lanes, most, target.registers // 2 // (vectors * a.parts)))
    return Tile(vectors, 4 if target.registers >= 32 else 2, sets)
