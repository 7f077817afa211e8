"""Numbers copied from one order of axes to another: filters turned round, phases put in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import POINTER, Values, function, index, loop, splat
from .scalar import get
from .workspace import address

# Elements of one round where they do not lie beside each other.
_SEVERAL = 4


def make_strided_copy(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``strided_copy``.

    ::

        out[at + sum of j_a*s_a] = x[x_at + sum of j_a*x_a]   for j_a < n_a over six axes a

    Assumes: no element of out is stored twice; x and out share no memory.
    """
    line = make_line(Arithmetic.of(target, dtype))

    def strided_copy(
        x: Any, out: Any, x_at: int, at: int, n0: int, n1: int, n2: int, n3: int, n4: int, n5: int,
        x0: int, x1: int, x2: int, x3: int, x4: int, x5: int,
        s0: int, s1: int, s2: int, s3: int, s4: int, s5: int,
    ) -> None:
        for j0 in range(n0):
            for j1 in range(n1):
                for j2 in range(n2):
                    for j3 in range(n3):
                        start = x_at + j0 * x0 + j1 * x1 + j2 * x2 + j3 * x3
                        goal = at + j0 * s0 + j1 * s1 + j2 * s2 + j3 * s3
                        for j4 in range(n4):
                            line(x, start + j4 * x4, x5, out, goal + j4 * s4, s5, n5)

    return strided_copy


def make_line(a: Arithmetic) -> Callable[..., Any]:
    """Return ``line(x, start, x_step, out, goal, step, n)``: the innermost axis."""

    def model(x: Any, start: int, x_step: int, out: Any, goal: int, step: int, n: int) -> None:
        for j in range(n):
            if not 0 <= goal + j * step < len(out):
                raise IndexError(f"element {goal + j * step} must lie within {len(out)}")
            out[goal + j * step] = get(x, start + j * x_step)

    @intrinsic(model=model)
    def line(
        typingctx: Any, x: Any, start: Any, x_step: Any, out: Any, goal: Any, step: Any, n: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = address(context, builder, signature.args[0], args[0], args[1])
            place = address(context, builder, signature.args[3], args[3], args[4])
            passed = [source, place, args[2], args[5], args[6]]
            b, one = builder, index(1)
            beside = b.icmp_signed("==", args[5], one)
            along = b.and_(beside, b.icmp_signed("==", args[2], one))
            same = b.and_(beside, b.icmp_signed("==", args[2], index(0)))
            wide = b.icmp_signed(">=", args[6], index(a.lanes))
            kinds = ((b.and_(along, wide), _along), (b.and_(same, wide), _same))
            for chosen, emit in kinds:
                with b.if_then(chosen):
                    b.call(_micro(b, emit, a, passed), passed)
            rest = b.not_(b.and_(b.or_(along, same), wide))
            with b.if_then(rest):
                b.call(_micro(b, _apart, a, passed), passed)
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, out, i, i, i), codegen

    return line


def _micro(builder: Any, emit: Callable[..., None], a: Arithmetic, passed: Values) -> Any:
    return function(
        builder.module, f"copy{emit.__name__}_{a.dtype}", [p.type for p in passed],
        lambda b, values: emit(b, a, *values),
    )  # fmt: skip


def _along(b: Any, a: Arithmetic, x: Any, out: Any, x_step: Any, step: Any, n: Any) -> None:
    """Copy at least a vector; the last one reaches back over its neighbour."""

    def load(at: Any) -> Any:
        return b.load(a.at(b, x, at), typ=a.stored, align=a.size // a.parts)

    _vectors(b, a, out, n, load)


def _same(b: Any, a: Arithmetic, x: Any, out: Any, x_step: Any, step: Any, n: Any) -> None:
    """Store one number at least a vector of times."""
    value = splat(b, b.load(x, typ=a.element, align=a.size), a.stored)
    _vectors(b, a, out, n, lambda at: value)


def _vectors(b: Any, a: Arithmetic, out: Any, n: Any, load: Callable[[Any], Any]) -> None:
    last = b.sub(n, index(a.lanes))

    def vector(j: Any, _: Values) -> Values:
        at = b.mul(j, index(a.lanes))
        at = b.select(b.icmp_signed("<", at, last), at, last)
        a.store(b, load(at), a.at(b, out, at))
        return []

    loop(b, b.sdiv(b.add(n, index(a.lanes - 1)), index(a.lanes)), [], vector)


def _apart(b: Any, a: Arithmetic, x: Any, out: Any, x_step: Any, step: Any, n: Any) -> None:
    """Copy one by one."""

    def one(j: Any) -> None:
        value = b.load(a.at(b, x, b.mul(j, x_step)), typ=a.element, align=a.size)
        place = b.bitcast(a.at(b, out, b.mul(j, step)), POINTER)
        b.store(value, place, align=a.size)

    def several(i: Any, _: Values) -> Values:
        first = b.mul(i, index(_SEVERAL))
        for k in range(_SEVERAL):
            one(b.add(first, index(k)))
        return []

    def single(i: Any, _: Values) -> Values:
        one(b.add(done, i))
        return []

    rounds = b.sdiv(n, index(_SEVERAL))
    loop(b, rounds, [], several)
    done = b.mul(rounds, index(_SEVERAL))
    loop(b, b.sub(n, done), [], single)


