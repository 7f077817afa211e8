"""Micro kernels that add up whole rows, element by element: sums down the columns of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop
from .window_lanes import BOX, Lanes
from .workspace import address

# Vectors per step: their loads are under way together.
_VECTORS = 2
# Rows that go together: their samples are under way at once, and sums stay in registers.
ROWS = 4


def make_begin_row(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``begin(x, xi, out, oi, count)``: out = 0 + x, which has no -0.

    Assumes: out does not overlap x.
    """
    a = Lanes.of(target, dtype, BOX)

    def step(b: Any, places: Values, one: Any) -> None:
        x, out = places
        one.store(b, a.begin(b, one.load(b, x)), out)

    def model(x: Any, xi: int, out: Any, oi: int, count: int) -> None:
        _within(count, (x, xi), (out, oi))
        out[oi : oi + count] = x[xi : xi + count] + out.dtype.type(0)

    @intrinsic(model=model)
    def begin(typingctx: Any, x: Any, xi: Any, out: Any, oi: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = [address(context, builder, x, *args[:2]),
                      address(context, builder, out, *args[2:4])]  # fmt: skip
            _call(builder, f"begin_row_{dtype}", a, step, places, args[4])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, out, i, i), codegen

    return begin


def make_add_row(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``add(x, xi, s, si, out, oi, count)``: out = x + s.

    Assumes: out does not overlap x; it may be s itself, at the same place.
    """
    a = Lanes.of(target, dtype, BOX)

    def step(b: Any, places: Values, one: Any) -> None:
        x, s, out = places
        one.store(b, a.join(b, one.load(b, x), one.load(b, s)), out)

    def model(x: Any, xi: int, s: Any, si: int, out: Any, oi: int, count: int) -> None:
        _within(count, (x, xi), (s, si), (out, oi))
        with np.errstate(all="ignore"):
            out[oi : oi + count] = x[xi : xi + count] + s[si : si + count]

    @intrinsic(model=model)
    def add(typingctx: Any, x: Any, xi: Any, s: Any, si: Any, out: Any, oi: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = [address(context, builder, x, *args[:2]),
                      address(context, builder, s, *args[2:4]),
                      address(context, builder, out, *args[4:6])]  # fmt: skip
            _call(builder, f"add_row_{dtype}", a, step, places, args[6])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, s, i, out, i, i), codegen

    return add


def make_join_row(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``join(x, xi, p, pi, s, si, count)``: p = p + x, then s = s + p.

    Assumes: none of the three overlaps another.
    """
    a = Lanes.of(target, dtype, BOX)

    def step(b: Any, places: Values, one: Any) -> None:
        x, p, s = places
        prefix = a.join(b, one.load(b, p), one.load(b, x))
        one.store(b, prefix, p)
        one.store(b, a.join(b, one.load(b, s), prefix), s)

    def model(x: Any, xi: int, p: Any, pi: int, s: Any, si: int, count: int) -> None:
        _within(count, (x, xi), (p, pi), (s, si))
        with np.errstate(all="ignore"):
            p[pi : pi + count] += x[xi : xi + count]
            s[si : si + count] += p[pi : pi + count]

    @intrinsic(model=model)
    def join(
        typingctx: Any, x: Any, xi: Any, p: Any, pi: Any, s: Any, si: Any, count: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = [address(context, builder, x, *args[:2]),
                      address(context, builder, p, *args[2:4]),
                      address(context, builder, s, *args[4:6])]  # fmt: skip
            _call(builder, f"join_row_{dtype}", a, step, places, args[6])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, p, i, s, i, i), codegen

    return join


def make_suffix_rows(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``suffixes(x, xi, x_step, s, si, s_step, count)``.

    ::

        s[r] = x[r] + s[r + 1]      for r = ROWS - 1 ... 0

    where row r of x begins at xi + r*x_step, of s at si + r*s_step.

    Assumes: x does not overlap s.
    """
    a = Lanes.of(target, dtype, BOX)

    def step(b: Any, places: Values, one: Any) -> None:
        x, s = places[:ROWS], places[ROWS:]
        total = one.load(b, s[ROWS])
        for r in reversed(range(ROWS)):
            total = a.join(b, one.load(b, x[r]), total)
            one.store(b, total, s[r])

    def model(x: Any, xi: int, x_step: int, s: Any, si: int, s_step: int, count: int) -> None:
        _within(count, (x, xi), (x, xi + (ROWS - 1) * x_step), (s, si), (s, si + ROWS * s_step))
        with np.errstate(all="ignore"):
            for r in reversed(range(ROWS)):
                at, below = si + r * s_step, si + (r + 1) * s_step
                row = x[xi + r * x_step :][:count]
                s[at : at + count] = row + s[below : below + count]

    @intrinsic(model=model)
    def suffixes(
        typingctx: Any, x: Any, xi: Any, x_step: Any, s: Any, si: Any, s_step: Any, count: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = _rows(context, builder, x, args[:3], ROWS)
            places += _rows(context, builder, s, args[3:6], ROWS + 1)
            _call(builder, f"suffix_rows_{dtype}", a, step, places, args[6])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, s, i, i, i), codegen

    return suffixes


def make_prefix_rows(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``prefixes(x, xi, x_step, p, pi, s, si, s_step, count)``.

    ::

        p = p + x[r], then s[r] = s[r] + p      for r = 0 ... ROWS - 1

    Assumes: none of the three overlaps another.
    """
    a = Lanes.of(target, dtype, BOX)

    def step(b: Any, places: Values, one: Any) -> None:
        x, (p, *s) = places[:ROWS], places[ROWS:]
        prefix = one.load(b, p)
        for r in range(ROWS):
            prefix = a.join(b, prefix, one.load(b, x[r]))
            one.store(b, a.join(b, one.load(b, s[r]), prefix), s[r])
        one.store(b, prefix, p)

    def model(
        x: Any, xi: int, x_step: int, p: Any, pi: int, s: Any, si: int, s_step: int, count: int
    ) -> None:
        last = (ROWS - 1) * s_step
        _within(count, (x, xi), (x, xi + (ROWS - 1) * x_step), (p, pi), (s, si), (s, si + last))
        with np.errstate(all="ignore"):
            for r in range(ROWS):
                p[pi : pi + count] += x[xi + r * x_step :][:count]
                s[si + r * s_step :][:count] += p[pi : pi + count]

    @intrinsic(model=model)
    def prefixes(
        typingctx: Any, x: Any, xi: Any, x_step: Any, p: Any, pi: Any, s: Any, si: Any,
        s_step: Any, count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = _rows(context, builder, x, args[:3], ROWS)
            places.append(address(context, builder, p, *args[3:5]))
            places += _rows(context, builder, s, args[5:8], ROWS)
            _call(builder, f"prefix_rows_{dtype}", a, step, places, args[8])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, p, i, s, i, i, i), codegen

    return prefixes


def _rows(context: Any, builder: Any, array: Any, args: Values, count: int) -> Values:
    """Return where `count` rows of (array, first, step) begin."""
    values, first, step = args
    starts = [first]
    for _ in range(count - 1):
        starts.append(builder.add(starts[-1], step))
    return [address(context, builder, array, values, start) for start in starts]


def _call(builder: Any, name: str, a: Lanes, step: Any, places: Values, count: Any) -> None:
    """Call the function that takes `step` for every element, by vectors as long as there are."""

    def body(b: Any, args: Values) -> None:
        *bases, total = args
        lanes = a.lanes
        single = type(a.memory)(a.memory.dtype, 1, 1, a.memory.target)

        def take(at: Any, one: Any) -> None:
            step(b, [a.memory.at(b, base, at) for base in bases], one)

        def several(j: Any, _: Values) -> Values:
            first = b.mul(j, index(_VECTORS * lanes))
            for v in range(_VECTORS):
                take(b.add(first, index(v * lanes)), a.memory)
            return []

        def one(j: Any, _: Values) -> Values:
            take(b.add(done, j), single)
            return []

        steps = b.sdiv(total, index(_VECTORS * lanes))
        loop(b, steps, [], several)
        done = b.mul(steps, index(_VECTORS * lanes))
        loop(b, b.sub(total, done), [], one)

    micro = function(builder.module, name, [*[POINTER] * len(places), I64], body)
    builder.call(micro, [*places, count])


def _within(count: int, *places: tuple[Any, int]) -> None:
    for array, at in places:
        if count > 0 and not 0 <= at <= len(array) - count:
            raise IndexError(f"{at}..{at + count} must lie within {len(array)}")
