"""Every second sample of a row, and those between: what windows with a stride of two read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from .arithmetic import Arithmetic
from .emit import Values, index, lanes, loop
from .workspace import address


def make_split(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``split``.

    ::

        work[even + j] = x[start + 2*j],  work[odd + j] = x[start + 2*j + 1]

    for samples before ``x[start + count]``, and zeros up to the whole vector that each last one
    lies in, or, of an odd vector, the one that its neighbour lies in.

    Assumes: the dtype is real; the vectors at `even` and at `odd` do not meet.
    """

    def model(x: Any, start: int, count: int, work: Any, even: int, odd: int) -> None:
        if count > 0 and not 0 <= start <= start + count <= len(x):
            raise IndexError(f"samples from {start} on must lie within {len(x)}")
        pairs = -(-max(count, 0) // (2 * a.lanes)) * a.lanes
        for first, goal in enumerate((even, odd)):
            if pairs and not 0 <= goal <= goal + pairs <= len(work):
                raise IndexError(f"samples at {goal} must lie within {len(work)}")
            own = x[start + first : start + max(count, first) : 2]
            work[goal : goal + pairs] = 0
            work[goal : goal + len(own)] = own

    @intrinsic(model=model)
    def split(
        typingctx: Any, x: Any, start: Any, count: Any, work: Any, even: Any, odd: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = address(context, builder, x, args[0], args[1])
            goals = [address(context, builder, work, args[3], args[k]) for k in (4, 5)]

            def put(at: Any, vectors: Values) -> None:
                for first, goal in enumerate(goals):
                    mask = lanes([first + 2 * j for j in range(a.lanes)])
                    own = builder.shuffle_vector(*vectors, mask)
                    a.store(builder, own, a.at(builder, goal, at))

            def pair(j: Any, _: Values) -> Values:
                at = builder.mul(j, index(a.lanes))
                place = a.at(builder, source, builder.add(at, at))
                put(at, [
                    builder.load(a.at(builder, place, v * a.lanes), typ=a.stored, align=a.size)
                    for v in range(2)
                ])  # fmt: skip
                return []

            whole = builder.sdiv(args[2], index(2 * a.lanes))
            loop(builder, whole, [], pair)
            done = builder.mul(whole, index(a.lanes))
            left = builder.sub(args[2], builder.add(done, done))
            with builder.if_then(builder.icmp_signed(">", left, index(0))):
                place = a.at(builder, source, builder.add(done, done))
                behind = builder.sub(left, index(a.lanes))
                none = builder.icmp_signed("<", behind, index(0))
                behind = builder.select(none, index(0), behind)
                put(done, [
                    a.load_first(builder, place, left),
                    a.load_first(builder, a.at(builder, place, a.lanes), behind),
                ])  # fmt: skip
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, work, i, i), codegen

    return split
