"""Two loops that reach the machine's limits: what its FMA units and its memory levels can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, function, index, loop
from .workspace import address

# So many independent sums keep two FMA units of four to five cycles' latency busy.
CHAINS = 12
# Vectors moved per step of the loop.
_STEP = 8


def make_peak(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``peak``: 12 chains of ``x -> x*x0 + x0``, each ``2*rounds`` steps long.

    ::

        out[j] = sum of the chains

    Assumes: out holds one vector, and x0 = out[0]. It does ``2 * 12 * lanes * 2*rounds`` flops.
    """
    a = Arithmetic.of(target, dtype)

    def model(out: Any, rounds: int) -> None:
        start = out[0]
        total = start
        for _ in range(2 * rounds):
            total = total * start + start
        out[: a.lanes] = CHAINS * total

    @intrinsic(model=model)
    def chains(typingctx: Any, out: Any, rounds: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = address(context, builder, out, args[0], index(0))
            (factor,) = a.tap(builder, place)

            def step(_: Any, sums: Values) -> Values:
                for _ in range(2):
                    sums = [a.multiply_add(builder, s, factor, factor) for s in sums]
                return sums

            first, *rest = loop(builder, args[1], [factor] * CHAINS, step)
            for other in rest:
                first = a.add(builder, first, other)
            a.store(builder, first, place)
            return context.get_dummy_value()

        return types.none(out, types.int64), codegen

    def peak(out: Any, rounds: int) -> None:
        chains(out, rounds)

    return peak


def make_copy(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``copy``: ``out[:n] = x[:n]``, ``rounds`` times over.

    Assumes: n is a multiple of 8 vectors; x and out do not overlap.
    """
    a = Arithmetic.of(target, dtype)

    def model(x: Any, out: Any, n: int, rounds: int) -> None:
        for _ in range(rounds):
            out[:n] = x[:n]

    @intrinsic(model=model)
    def passes(typingctx: Any, x: Any, out: Any, n: Any, rounds: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def sweep(inner: Any, params: Values) -> None:
                source, goal, count = params

                def step(i: Any, _: Values) -> Values:
                    first = inner.mul(i, index(_STEP * a.lanes))
                    places = [inner.add(first, index(v * a.lanes)) for v in range(_STEP)]
                    loaded = [a.load(inner, a.at(inner, source, p)) for p in places]
                    for place, vector in zip(places, loaded, strict=True):
                        a.store(inner, vector, a.at(inner, goal, place))
                    return []

                loop(inner, inner.sdiv(count, index(_STEP * a.lanes)), [], step)

            # A function of its own, so that the passes are not merged into one.
            name = f"fastconv_copy_{dtype}"
            once = function(builder.module, name, [POINTER, POINTER, I64], sweep)
            source = address(context, builder, x, args[0], index(0))
            goal = address(context, builder, out, args[1], index(0))

            def again(_: Any, carried: Values) -> Values:
                builder.call(once, [source, goal, args[2]])
                return carried

            loop(builder, args[3], [], again)
            return context.get_dummy_value()

        return types.none(x, out, types.int64, types.int64), codegen

    def copy(x: Any, out: Any, n: int, rounds: int) -> None:
        passes(x, out, n, rounds)

    return copy
