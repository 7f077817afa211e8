"""Activations by themselves: one pass over an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_tile import activate, activated
from .emit import Values, function, index, loop
from .workspace import address

# Vectors of one round, so that a branch back is paid for so many.
_WIDE = 4


def make_activation(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``activation``.

    ::

        out[i] = act(x[i])   for i < n

    act is the identity (0), relu (1) or, for floats, leaky_relu with ``slope[0]`` (2). NaN stays
    NaN.

    Assumes: the dtype is real; out overlaps nothing.
    """
    act = _make_act(Arithmetic.of(target, dtype))

    def activation(x: Any, out: Any, slope: Any, n: int, which: int) -> None:
        act(x, out, slope, n, which)

    return activation


def _make_act(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``act``: the loop itself."""

    def model(x: Any, out: Any, slope: Any, n: int, which: int) -> None:
        if max(n, 0) > min(len(x), len(out)):
            raise IndexError(f"{n} elements must lie within {len(x)} and {len(out)}")
        out[: max(n, 0)] = activated(x[: max(n, 0)], which, slope)

    @intrinsic(model=model)
    def act(typingctx: Any, x: Any, out: Any, slope: Any, n: Any, which: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zero = index(0)
            passed = [
                *(address(context, builder, signature.args[j], args[j], zero) for j in range(3)),
                args[3],
                args[4],
            ]
            # A function for each activation, so that no vector waits for the choice.
            for kind in range(3):
                with builder.if_then(builder.icmp_signed("==", args[4], index(kind))):
                    micro = function(
                        builder.module,
                        f"activate_{a.dtype}_{kind}",
                        [p.type for p in passed],
                        lambda b, values, kind=kind: _emit(b, a, kind, values),
                    )
                    builder.call(micro, passed)
            return context.get_dummy_value()

        return types.none(x, out, slope, types.intp, types.intp), codegen

    return act


def _emit(builder: Any, a: Arithmetic, kind: int, args: Values) -> None:
    x, out, slope, n, _ = args
    span = _WIDE * a.lanes

    def some(at: Any, load: Callable[[Any], Any], store: Callable[[Any, Any], None]) -> None:
        held = load(a.at(builder, x, at))
        store(activate(builder, a, [held], index(kind), slope)[0], a.at(builder, out, at))

    def load(place: Any) -> Any:
        return builder.load(place, typ=a.stored, align=a.size)

    def store(value: Any, place: Any) -> None:
        a.store(builder, value, place)

    def several(i: Any, _: Values) -> Values:
        first = builder.mul(i, index(span))
        for v in range(_WIDE):
            some(builder.add(first, index(v * a.lanes)), load, store)
        return []

    def one(i: Any, _: Values) -> Values:
        some(builder.add(done, builder.mul(i, index(a.lanes))), load, store)
        return []

    rounds = builder.sdiv(n, index(span))
    loop(builder, rounds, [], several)
    done = builder.mul(rounds, index(span))
    vectors = builder.sdiv(builder.sub(n, done), index(a.lanes))
    loop(builder, vectors, [], one)
    done = builder.add(done, builder.mul(vectors, index(a.lanes)))
    left = builder.sub(n, done)
    with builder.if_then(builder.icmp_signed(">", left, index(0))):
        some(
            done,
            lambda place: a.load_first(builder, place, left),
            lambda value, place: a.store_first(builder, value, place, left),
        )
