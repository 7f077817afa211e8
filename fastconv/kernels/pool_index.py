"""Maxima of windows with the place of each: values and places in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, function, index, loop, splat
from .pool import make_framed, reach_of, whole
from .pool_row import Shape, model_samples, steps
from .scalar import get, put
from .strided_copy import make_line
from .window_lanes import MAX, Lanes
from .workspace import address

_I32 = ir.IntType(32)


def make_pool_max_index(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_max_index``: as ``pool_max``, for any window, with the places.

    ::

        places[b, i, j] = numbers[r] + unit * column of the first largest sample; of NaN the last

    Assumes: what ``pool_max`` assumes but for (k, s), with dilation along the row; places are less
    than 2**31; every window meets a sample.
    """
    a = Lanes.of(target, dtype, MAX).memory
    lanes, framed, line = a.lanes, make_framed(target, dtype), make_line(a)
    one_one = make_row(target, dtype, 1, 1)
    two_two, three_two = (make_row(target, dtype, k, 2) for k in (2, 3))
    three_one, three_three = (make_row(target, dtype, 3, s) for s in (1, 3))

    @inline
    def row(
        x: Any, xi: int, offsets: Any, numbers: Any, first: int, rows: int, width: int, pad: int,
        shift: int, outside: Any, out: Any, places: Any, oi: int, outputs: int, unit: int, k: int,
        s: int,
    ) -> None:
        if k == 2:
            two_two(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out, places,
                    oi, outputs, unit)
        elif k == 1:
            one_one(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out, places,
                    oi, outputs, unit)
        elif s == 2:
            three_two(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out,
                      places, oi, outputs, unit)
        elif s == 3:
            three_three(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out,
                        places, oi, outputs, unit)
        else:
            three_one(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out,
                      places, oi, outputs, unit)

    def pool_max_index(
        x: Any, out: Any, outside: Any, frame: Any, places: Any, offsets: Any, numbers: Any,
        starts: Any, planes: int, x_step: int, height: int, width: int, outputs: int, k: int,
        s: int, pad: int, step: int, dilation: int, unit: int,
    ) -> None:
        shaped = dilation == 1 and (
            (k == 2 and s == 2) or (k == 3 and s <= 3) or (k == 1 and s == 1)
        )
        wide = whole(outputs, lanes)
        reach, end = reach_of(wide, lanes, k, s), planes * height * outputs
        inside = pad == 0 and (outputs - 1) * s + k <= width
        if step > 0 and planes > 0:
            line(outside, 0, 0, frame, 0, 1, x_step // width * step)
        for b in range(planes):
            xi = b * x_step
            if step > 0:
                framed(x, xi, width, x_step // width, frame, step, pad)
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                oi = (b * height + i) * outputs
                there = oi + wide <= end
                if step > 0:
                    row(frame, 0, offsets, numbers, first, rows, step, 0, pad, outside, out,
                        places, oi, wide if there else outputs, unit, k, s)
                elif shaped:
                    last = xi + get(offsets, first + rows - 1)
                    there = there and inside and last + reach <= planes * x_step
                    row(x, xi, offsets, numbers, first, rows, reach if there else width, pad, pad,
                        outside, out, places, oi, wide if there else outputs, unit, k, s)
                else:
                    for j in range(outputs):
                        start = j * s - pad
                        left = 0
                        if start < 0:
                            left = (dilation - 1 - start) // dilation
                        stop = min(k, (width - 1 - start) // dilation + 1)
                        best = get(x, xi + get(offsets, first) + start + left * dilation)
                        place = get(numbers, first) + (start + left * dilation) * unit
                        for r in range(rows):
                            at = xi + get(offsets, first + r) + start
                            number = get(numbers, first + r) + start * unit
                            for t in range(left, stop):
                                value = get(x, at + t * dilation)
                                if value > best or value != value:
                                    best = value
                                    place = number + t * dilation * unit
                        put(out, oi + j, best)
                        put(places, oi + j, place)

    return pool_max_index


def make_row(target: Target, dtype: str, k: int, s: int) -> Any:
    """Return the micro kernel ``index_row``.

    ::

        index_row(x, xi, offsets, numbers, first, rows, width, pad, shift, outside, out, places,
                  oi, outputs, unit)

    what `make_pool_max_index` says, for one row of outputs; column j*s + t - shift of output j's
    tap t counts for its place.
    """
    a = Lanes.of(target, dtype, MAX)
    shape = Shape(a, k, s)
    numbers = ir.VectorType(_I32, a.lanes)
    wide = Arithmetic("int64", a.lanes, 1, target)

    def better(b: Any, value: Any, best: Any) -> Any:
        if dtype.startswith("float"):
            larger = b.fcmp_ordered(">", value, best)
            return b.or_(larger, b.fcmp_unordered("uno", value, value))
        compare = b.icmp_unsigned if dtype.startswith("uint") else b.icmp_signed
        return compare(">", value, best)

    def body(b: Any, args: Values) -> None:
        (x, offsets, marks, rows, width, pad, shift, outside, out, places, outputs, unit) = args
        beyond = b.load(outside, typ=a.memory.element, align=a.memory.size)

        def entry(table: Any, r: Any) -> Any:
            return b.load(b.gep(table, [r], source_etype=I64), typ=I64, align=8)

        back = b.sub(shift, pad)

        def spread(number: Any) -> Any:
            return splat(b, b.trunc(number, _I32), numbers)

        def search(load: Any, base: Any) -> Values:
            column = spread(b.sub(base, back))
            columns = b.add(column, ir.Constant(numbers, [s * j for j in range(a.lanes)]))
            inside = b.select(b.icmp_signed(">", columns, ir.Constant(numbers, None)), columns,
                              ir.Constant(numbers, None))
            units = spread(unit)
            columns, inside = b.mul(columns, units), b.mul(inside, units)
            found = [splat(b, beyond, a.memory.stored),
                     b.add(inside, spread(entry(marks, index(0))))]

            def row(r: Any, carried: Values) -> Values:
                best, place = carried
                here = a.memory.at(b, x, b.add(entry(offsets, r), base))
                number = entry(marks, r)
                groups = [load(here, g) for g in range(shape.groups)]
                for t in range(k):
                    value = shape.tap(b, groups, t)
                    wins = better(b, value, best)
                    best = b.select(wins, value, best)
                    at = b.add(columns, spread(b.add(number, b.mul(unit, index(t)))))
                    place = b.select(wins, at, place)
                return [best, place]

            return loop(b, rows, found, row)

        def store(vector: Any, j: Any, left: Any | None) -> None:
            values, place = b.sext(vector, wide.stored), wide.at(b, places, j)
            if left is None:
                wide.store(b, values, place)
            else:
                wide.store_first(b, values, place, left)

        def plain(base: Any, j: Any) -> None:
            best, place = search(lambda p, g: shape.load(b, p, g), base)
            a.memory.store(b, best, a.memory.at(b, out, j))
            store(place, j, None)

        def edge(base: Any, j: Any) -> None:
            best, place = search(
                lambda p, g: shape.load_inside(b, p, g, base, width, beyond), base
            )
            left = b.sub(outputs, j)
            a.memory.store_first(b, best, a.memory.at(b, out, j), left)
            store(place, j, left)

        steps(b, shape, width, pad, outputs, plain, edge)

    def model(
        x: Any, xi: int, offsets: Any, numbers: Any, first: int, rows: int, width: int, pad: int,
        shift: int, outside: Any, out: Any, places: Any, oi: int, outputs: int, unit: int,
    ) -> None:
        at, column = np.arange(outputs) * s - pad, np.arange(outputs) * s - shift
        best = np.full(outputs, outside[0], x.dtype)
        place = numbers[first] + np.maximum(column, 0) * unit
        for r in range(rows):
            for t in range(k):
                value = model_samples(x, xi + offsets[first + r], width, at + t, outside)
                wins = (value > best) | (value != value)
                mark = numbers[first + r] + (column + t) * unit
                best, place = np.where(wins, value, best), np.where(wins, mark, place)
        if oi < 0 or oi + outputs > min(len(out), len(places)):
            raise IndexError(f"outputs {oi}..{oi + outputs} must lie within {len(out)}")
        out[oi : oi + outputs] = best
        places[oi : oi + outputs] = place

    @intrinsic(model=model)
    def index_row(
        typingctx: Any, x: Any, xi: Any, offsets: Any, numbers: Any, first: Any, rows: Any,
        width: Any, pad: Any, shift: Any, outside: Any, out: Any, places: Any, oi: Any,
        outputs: Any, unit: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"pool_index_{k}_{s}_{dtype}"
            params = [POINTER, POINTER, POINTER, I64, I64, I64, I64, POINTER, POINTER, POINTER,
                      I64, I64]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, offsets, args[2], args[4]),
                address(context, builder, numbers, args[3], args[4]), *args[5:9],
                address(context, builder, outside, args[9], index(0)),
                address(context, builder, out, args[10], args[12]),
                address(context, builder, places, args[11], args[12]), *args[13:15],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(
            x, i, offsets, numbers, i, i, i, i, i, outside, out, places, i, i, i
        ), codegen

    return index_row
