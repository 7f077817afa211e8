"""Maxima of windows with the place of each: values and places in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, function, index, loop, splat
from .pool_row import Shape, model_samples, steps
from .scalar import get, put
from .window_lanes import MAX, Lanes
from .workspace import address

_I32 = ir.IntType(32)


def make_pool_max_index(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_max_index``: as ``pool_max``, for any window, with the places.

    ::

        places[b, i, j] = offset and column of the first largest sample; of NaN the last

    Assumes: what ``pool_max`` assumes but for (k, s), with dilation along the row; planes of x
    have fewer than 2**31 samples; every window meets a sample.
    """
    two_two, three_two = (make_row(target, dtype, k, 2) for k in (2, 3))
    three_one, three_three = (make_row(target, dtype, 3, s) for s in (1, 3))

    def pool_max_index(
        x: Any, out: Any, outside: Any, places: Any, offsets: Any, starts: Any, planes: int,
        x_step: int, height: int, width: int, outputs: int, k: int, s: int, pad: int,
        dilation: int,
    ) -> None:
        for b in range(planes):
            xi = b * x_step
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                oi = (b * height + i) * outputs
                if dilation == 1 and k == 2 and s == 2:
                    two_two(x, xi, offsets, first, rows, width, pad, outside, out, places, oi,
                            outputs)
                elif dilation == 1 and k == 3 and s == 2:
                    three_two(x, xi, offsets, first, rows, width, pad, outside, out, places, oi,
                              outputs)
                elif dilation == 1 and k == 3 and s == 3:
                    three_three(x, xi, offsets, first, rows, width, pad, outside, out, places, oi,
                                outputs)
                elif dilation == 1 and k == 3 and s == 1:
                    three_one(x, xi, offsets, first, rows, width, pad, outside, out, places, oi,
                              outputs)
                else:
                    for j in range(outputs):
                        start = j * s - pad
                        left = 0
                        if start < 0:
                            left = (dilation - 1 - start) // dilation
                        stop = min(k, (width - 1 - start) // dilation + 1)
                        place = get(offsets, first) + start + left * dilation
                        best = get(x, xi + place)
                        for r in range(rows):
                            at = get(offsets, first + r) + start
                            for t in range(left, stop):
                                value = get(x, xi + at + t * dilation)
                                if value > best or value != value:
                                    best = value
                                    place = at + t * dilation
                        put(out, oi + j, best)
                        put(places, oi + j, place)

    return pool_max_index


def make_row(target: Target, dtype: str, k: int, s: int) -> Any:
    """Return the micro kernel ``index_row``.

    ::

        index_row(x, xi, offsets, first, rows, width, pad, outside, out, places, oi, outputs)

    what `make_pool_max_index` says, for one row of outputs.
    """
    a = Lanes.of(target, dtype, MAX)
    shape = Shape(a, k, s)
    numbers = ir.VectorType(_I32, a.lanes)
    wide = Arithmetic("int64", a.lanes, 1, target.masks)

    def better(b: Any, value: Any, best: Any) -> Any:
        if dtype.startswith("float"):
            larger = b.fcmp_ordered(">", value, best)
            return b.or_(larger, b.fcmp_unordered("uno", value, value))
        compare = b.icmp_unsigned if dtype.startswith("uint") else b.icmp_signed
        return compare(">", value, best)

    def body(b: Any, args: Values) -> None:
        x, offsets, rows, width, pad, outside, out, places, outputs = args
        beyond = b.load(outside, typ=a.memory.element, align=a.memory.size)

        def offset_of(r: Any) -> Any:
            return b.load(b.gep(offsets, [r], source_etype=I64), typ=I64, align=8)

        def spread(number: Any) -> Any:
            return splat(b, b.trunc(number, _I32), numbers)

        def search(load: Any, base: Any) -> Values:
            columns = b.add(spread(base), ir.Constant(numbers, [s * j for j in range(a.lanes)]))
            inside = b.select(b.icmp_signed(">", columns, ir.Constant(numbers, None)), columns,
                              ir.Constant(numbers, None))
            found = [splat(b, beyond, a.memory.stored), b.add(inside, spread(offset_of(index(0))))]

            def row(r: Any, carried: Values) -> Values:
                best, place = carried
                offset = offset_of(r)
                here = a.memory.at(b, x, b.add(offset, base))
                groups = [load(here, g) for g in range(shape.groups)]
                for t in range(k):
                    value = shape.tap(b, groups, t)
                    wins = better(b, value, best)
                    best = b.select(wins, value, best)
                    at = b.add(columns, spread(b.add(offset, index(t))))
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
        x: Any, xi: int, offsets: Any, first: int, rows: int, width: int, pad: int, outside: Any,
        out: Any, places: Any, oi: int, outputs: int,
    ) -> None:
        at = np.arange(outputs) * s - pad
        best = np.full(outputs, outside[0], x.dtype)
        place = offsets[first] + np.maximum(at, 0)
        for r in range(rows):
            for t in range(k):
                offset = offsets[first + r]
                value = model_samples(x, xi + offset, width, at + t, outside)
                wins = (value > best) | (value != value)
                best, place = np.where(wins, value, best), np.where(wins, offset + at + t, place)
        if oi < 0 or oi + outputs > min(len(out), len(places)):
            raise IndexError(f"outputs {oi}..{oi + outputs} must lie within {len(out)}")
        out[oi : oi + outputs] = best
        places[oi : oi + outputs] = place

    @intrinsic(model=model)
    def index_row(
        typingctx: Any, x: Any, xi: Any, offsets: Any, first: Any, rows: Any, width: Any,
        pad: Any, outside: Any, out: Any, places: Any, oi: Any, outputs: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"pool_index_{k}_{s}_{dtype}"
            params = [POINTER, POINTER, I64, I64, I64, POINTER, POINTER, POINTER, I64]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, offsets, args[2], args[3]), *args[4:7],
                address(context, builder, outside, args[7], index(0)),
                address(context, builder, out, args[8], args[10]),
                address(context, builder, places, args[9], args[10]), args[11],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, offsets, i, i, i, i, outside, out, places, i, i), codegen

    return index_row
