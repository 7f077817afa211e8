"""Means of windows along a line of doubles: sums by doubling, the last stage stores means."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, function, index, loop
from .mean_lanes import Mean
from .window_lanes import BOX, Lanes
from .window_stage import make_stage
from .workspace import address

# Vectors per step: their loads are under way together.
_VECTORS = 2


def make_mean_rows(target: Target, dtype: str) -> Any:
    """Return ``means(work, wi, room, out, oi, count, k, step, factor)``.

    ::

        out[oi + i] = mean over t < k of work[wi + i + t*step]       for i < count

    Assumes: all samples exist, and count + (k - 1)*step elements of work from `room` on, which
    hold none of them; out does not overlap work.
    """
    one, two, three, four = (_make_last(target, dtype, terms, 0) for terms in (1, 2, 3, 4))
    four1, four2, four3 = (_make_last(target, dtype, 4, singles) for singles in (1, 2, 3))
    sum2, sum3, sum4 = (make_stage(target, "float64", BOX, terms, 0) for terms in (2, 3, 4))
    sum41, sum42, sum43 = (make_stage(target, "float64", BOX, 4, singles) for singles in (1, 2, 3))

    @inline
    def means(
        work: Any, wi: int, room: int, out: Any, oi: int, count: int, k: int, step: int,
        factor: float,
    ) -> None:
        # The digits of k to base 4, highest first: 4r + d samples are four windows of r and d more.
        power = 1
        while 4 * power <= k:
            power *= 4
        reach, whole, si = k // power, (k - 1) * step, wi
        if power == 1:
            if reach == 1:
                one(work, wi, 0, 0, work, wi, 0, out, oi, count, factor)
            elif reach == 2:
                two(work, wi, step, step, work, wi, 0, out, oi, count, factor)
            else:
                three(work, wi, step, 2 * step, work, wi, 0, out, oi, count, factor)
            return
        if reach > 1:
            width, si = count + whole - (reach - 1) * step, room
            if reach == 2:
                sum2(work, wi, step, step, work, wi, 0, work, room, width)
            else:
                sum3(work, wi, step, 2 * step, work, wi, 0, work, room, width)
        while power > 4:
            power //= 4
            digit = k // power % 4
            shift, beyond = reach * step, wi + 4 * reach * step
            reach = 4 * reach + digit
            width = count + whole - (reach - 1) * step
            if digit == 0:
                sum4(work, si, shift, 3 * shift, work, beyond, step, work, room, width)
            elif digit == 1:
                sum41(work, si, shift, 3 * shift, work, beyond, step, work, room, width)
            elif digit == 2:
                sum42(work, si, shift, 3 * shift, work, beyond, step, work, room, width)
            else:
                sum43(work, si, shift, 3 * shift, work, beyond, step, work, room, width)
            si = room
        digit, shift, beyond = k % 4, reach * step, wi + 4 * reach * step
        if digit == 0:
            four(work, si, shift, 3 * shift, work, wi, step, out, oi, count, factor)
        elif digit == 1:
            four1(work, si, shift, 3 * shift, work, beyond, step, out, oi, count, factor)
        elif digit == 2:
            four2(work, si, shift, 3 * shift, work, beyond, step, out, oi, count, factor)
        else:
            four3(work, si, shift, 3 * shift, work, beyond, step, out, oi, count, factor)

    return means


def _make_last(target: Target, dtype: str, terms: int, singles: int) -> Any:
    """Return the micro kernel ``last``: what `make_stage` says, and then means.

    ::

        last(w, wi, step, shift, x, xi, xstep, out, oi, count, factor)

    Assumes: out overlaps neither w nor x.
    """
    a, mean = Lanes.of(target, "float64", BOX), Mean.of(target, dtype)
    element = Arithmetic("float64", 1, 1, target)

    def body(b: Any, args: Values) -> None:
        w, step, last, x, xstep, out, count, factor = args
        places = [w]
        for _ in range(terms - 2):
            places.append(a.memory.at(b, places[-1], step))
        if terms > 1:
            places.append(a.memory.at(b, w, last))
        for t in range(singles):
            places.append(a.memory.at(b, places[-1], xstep) if t else x)

        def put(memory: Any, starts: Values) -> None:
            totals = []
            for at in starts:
                values = [memory.load(b, memory.at(b, place, at)) for place in places]
                total = a.begin(b, values[0])
                for value in values[1:]:
                    total = a.join(b, total, value)
                totals.append(total)
            for at, total in zip(starts, totals, strict=True):
                mean.store(b, total, factor, mean.at(b, out, at))

        def several(j: Any, _: Values) -> Values:
            base = b.mul(j, index(_VECTORS * a.lanes))
            put(a.memory, [b.add(base, index(v * a.lanes)) for v in range(_VECTORS)])
            return []

        def single(j: Any, _: Values) -> Values:
            # The last vector overlaps the one before it: the same means again.
            at = b.add(done, b.mul(j, index(a.lanes)))
            most = b.sub(count, index(a.lanes))
            put(a.memory, [b.select(b.icmp_signed("<", at, most), at, most)])
            return []

        def few(j: Any, _: Values) -> Values:
            put(element, [j])
            return []

        short = b.icmp_signed("<", count, index(a.lanes))
        steps = b.sdiv(count, index(_VECTORS * a.lanes))
        loop(b, steps, [], several)
        done = b.mul(steps, index(_VECTORS * a.lanes))
        left = b.sdiv(b.add(b.sub(count, done), index(a.lanes - 1)), index(a.lanes))
        loop(b, b.select(short, index(0), left), [], single)
        loop(b, b.select(short, count, index(0)), [], few)

    def model(
        w: Any, wi: int, step: int, last: int, x: Any, xi: int, xstep: int, out: Any, oi: int,
        count: int, factor: float,
    ) -> None:
        starts = [wi + t * step for t in range(max(terms - 1, 1))] + [wi + last] * (terms > 1)
        starts += [xi + t * xstep for t in range(singles)]
        if count <= 0:
            return
        total = np.zeros(count)
        for first in starts:
            if not 0 <= first <= len(w) - count:
                raise IndexError(f"{first}..{first + count} must lie within {len(w)}")
            total = total + w[first : first + count]
        if oi < 0 or oi + count > len(out):
            raise IndexError(f"outputs {oi}..{oi + count} must lie within {len(out)}")
        out[oi : oi + count] = mean.model(total, factor)

    @intrinsic(model=model)
    def stage(
        typingctx: Any, w: Any, wi: Any, step: Any, last: Any, x: Any, xi: Any, xstep: Any,
        out: Any, oi: Any, count: Any, factor: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"means_{terms}_{singles}_{dtype}"
            params = [POINTER, I64, I64, POINTER, I64, POINTER, I64, ir.DoubleType()]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, w, args[0], args[1]), args[2], args[3],
                address(context, builder, x, args[4], args[5]), args[6],
                address(context, builder, out, args[7], args[8]), args[9], args[10],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(w, i, i, i, x, i, i, out, i, i, types.float64), codegen

    return stage
