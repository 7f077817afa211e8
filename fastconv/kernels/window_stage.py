"""One stage of a window by doubling: each vector of outputs from a few shifted vectors."""

from __future__ import annotations

from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop
from .window_lanes import BOX, Lanes
from .workspace import address

# Vectors per step: their loads are under way together.
_VECTORS = 2


def make_stage(target: Target, dtype: str, op: int, terms: int, singles: int) -> Any:
    """Return the micro kernel ``stage``.

    ::

        stage(w, wi, step, last, x, xi, xstep, out, oi, count)
        out[oi + i] = w[wi + i] + w[wi + i + step] + ... (terms - 1 of them) + w[wi + i + last]
                      + x[xi + i] + x[xi + i + xstep] + ... (singles)          for i < count

    where + is the reduction `op`; with one term there is no `last`.

    Assumes: all of these elements exist. out may be w itself, at the same place: vectors are made
    in ascending order and each reads nothing before itself.
    """
    a = Lanes.of(target, dtype, op)

    def body(b: Any, args: Values) -> None:
        w, step, last, x, xstep, out, count = args
        memory, lanes = a.memory, a.lanes

        def sources(at: Any) -> list[Any]:
            places = [w]
            for _ in range(terms - 2):
                places.append(memory.at(b, places[-1], step))
            if terms > 1:
                places.append(memory.at(b, w, last))
            where = x
            for t in range(singles):
                places.append(where)
                if t + 1 < singles:
                    where = memory.at(b, where, xstep)
            return [memory.at(b, place, at) for place in places]

        def reduced(load: Any, at: Any) -> Any:
            first, *rest = [load(place) for place in sources(at)]
            return a.reduce(b, [a.begin(b, first), *rest])

        def several(j: Any, _: Values) -> Values:
            base = b.mul(j, index(_VECTORS * lanes))
            places = [b.add(base, index(v * lanes)) for v in range(_VECTORS)]
            totals = [reduced(lambda p: memory.load(b, p), at) for at in places]
            for at, total in zip(places, totals, strict=True):
                memory.store(b, total, memory.at(b, out, at))
            return []

        def single(j: Any, _: Values) -> Values:
            at = b.add(done, b.mul(j, index(lanes)))
            memory.store(b, reduced(lambda p: memory.load(b, p), at), memory.at(b, out, at))
            return []

        steps = b.sdiv(count, index(_VECTORS * lanes))
        loop(b, steps, [], several)
        done = b.mul(steps, index(_VECTORS * lanes))
        singles_left = b.sdiv(b.sub(count, done), index(lanes))
        loop(b, singles_left, [], single)
        at = b.add(done, b.mul(singles_left, index(lanes)))
        left = b.sub(count, at)
        with b.if_then(b.icmp_signed(">", left, index(0))):
            total = reduced(lambda p: memory.load_first(b, p, left), at)
            memory.store_first(b, total, memory.at(b, out, at), left)

    def model(
        w: Any, wi: int, step: int, last: int, x: Any, xi: int, xstep: int, out: Any, oi: int,
        count: int,
    ) -> None:
        starts = [(w, wi + t * step) for t in range(max(terms - 1, 1))]
        starts += [(w, wi + last)] * (terms > 1)
        starts += [(x, xi + t * xstep) for t in range(singles)]
        for array, first in starts:
            if count > 0 and not 0 <= first <= len(array) - count:
                raise IndexError(f"{first}..{first + count} must lie within {len(array)}")
        if count > 0:
            values = [array[first : first + count].copy() for array, first in starts]
            total = values[0] + values[0].dtype.type(0) if op == BOX else values[0]
            for value in values[1:]:
                total = a.model(total, value)
            if oi < 0 or oi + count > len(out):
                raise IndexError(f"outputs {oi}..{oi + count} must lie within {len(out)}")
            out[oi : oi + count] = total

    @intrinsic(model=model)
    def stage(
        typingctx: Any, w: Any, wi: Any, step: Any, last: Any, x: Any, xi: Any, xstep: Any,
        out: Any, oi: Any, count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"stage{op}_{terms}_{singles}_{dtype}"
            params = [POINTER, I64, I64, POINTER, I64, POINTER, I64]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, w, args[0], args[1]), args[2], args[3],
                address(context, builder, x, args[4], args[5]), args[6],
                address(context, builder, out, args[7], args[8]), args[9],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(w, i, i, i, x, i, i, out, i, i), codegen

    return stage
