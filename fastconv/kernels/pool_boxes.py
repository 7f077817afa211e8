"""Pooling over windows of any widths: each output has its own list of rows and range of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .emit import I64, Values, function, index, loop
from .scalar import get, put
from .window_lanes import BOX, MAX, Lanes
from .workspace import address

# Vectors of columns that are reduced side by side: one addition takes several cycles.
_WIDE = 4


def make_pool_box_mean(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_box_mean``.

    ::

        out[b, i, j] = (sum over the rows r of window i and firsts[j] <= t < stops[j] of
                        x[b, offsets[r] + t]) / (shares[i] * columns[j])

    for b < planes, i < height, j < outputs. The rows of window i are offsets[starts[i]] to
    offsets[starts[i+1] - 1]; all of them are added up first.

    Assumes: planes of x and out are x_step and height*outputs apart; work has room for a row of
    `width` and a vector; the dtype is real.
    """
    down = make_down(Lanes.of(target, dtype, BOX))

    def pool_box_mean(
        x: Any, out: Any, work: Any, shares: Any, columns: Any, offsets: Any, starts: Any,
        firsts: Any, stops: Any, planes: int, x_step: int, height: int, width: int, outputs: int,
    ) -> None:
        for b in range(planes):
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                down(x, b * x_step, offsets, first, rows, width, work, 0)
                share, at = get(shares, i), (b * height + i) * outputs
                for j in range(outputs):
                    total = get(work, get(firsts, j))
                    for t in range(get(firsts, j) + 1, get(stops, j)):
                        total = total + get(work, t)
                    put(out, at + j, total / (share * get(columns, j)))

    return pool_box_mean


def make_pool_box_max(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_box_max``.

    ::

        out[b, i, j] = max over the rows r of window i and firsts[j] <= t < stops[j] of
                       x[b, offsets[r] + t]
        places[b, i, j] = offsets[r] + t of the first such sample; of NaN, the last

    with rows, windows and work as for ``pool_box_mean``, every window meeting a sample; places
    are only stored if `placed`.
    """
    down = make_down(Lanes.of(target, dtype, MAX))

    @inline
    def find(
        x: Any, xi: int, offsets: Any, first: int, end: int, low: int, high: int, best: Any,
        wild: bool,
    ) -> int:
        """Return the place of the first sample that is `best`, or of the last NaN."""
        if wild:
            for r in range(end - 1, first - 1, -1):
                for t in range(high - 1, low - 1, -1):
                    value = get(x, xi + get(offsets, r) + t)
                    if value != value:
                        return get(offsets, r) + t
        for r in range(first, end):
            for t in range(low, high):
                if get(x, xi + get(offsets, r) + t) == best:
                    return get(offsets, r) + t
        return get(offsets, first) + low

    def pool_box_max(
        x: Any, out: Any, work: Any, places: Any, offsets: Any, starts: Any, firsts: Any,
        stops: Any, planes: int, x_step: int, height: int, width: int, outputs: int, placed: int,
    ) -> None:
        for b in range(planes):
            for i in range(height):
                first, end = get(starts, i), get(starts, i + 1)
                down(x, b * x_step, offsets, first, end - first, width, work, 0)
                for j in range(outputs):
                    low, high = get(firsts, j), get(stops, j)
                    best = get(work, low)
                    wild = best != best
                    for t in range(low + 1, high):
                        value = get(work, t)
                        # A NaN apart: the maxima's chain is one instruction per sample.
                        wild = wild or value != value
                        if value > best:
                            best = value
                    at = (b * height + i) * outputs + j
                    if wild or placed:
                        place = find(x, b * x_step, offsets, first, end, low, high, best, wild)
                        best = get(x, b * x_step + place)
                        if placed:
                            put(places, at, place)
                    put(out, at, best)

    return pool_box_max


def make_down(lanes: Lanes) -> Callable[..., Any]:
    """Return the intrinsic ``down``: some rows reduced to one.

    ::

        work[at + t] = reduction over r < rows of x[x_at + offsets[first + r] + t]   for t < width

    Assumes: rows >= 1; work may be written up to the end of a vector.
    """
    a = lanes.memory

    def model(
        x: Any, x_at: int, offsets: Any, first: int, rows: int, width: int, work: Any, at: int
    ) -> None:
        room = at + -(-width // a.lanes) * a.lanes
        if room > len(work):
            raise IndexError(f"work must have {room} elements, got {len(work)}")
        into = work[at : at + width]
        for r in range(rows):
            start = x_at + offsets[first + r]
            if start < 0 or start + width > len(x):
                raise IndexError(f"samples from {start} on must lie within {len(x)}")
            row = x[start : start + width]
            into[:] = lanes.model(into, row) if r else row

    @intrinsic(model=model)
    def down(
        typingctx: Any, x: Any, x_at: Any, offsets: Any, first: Any, rows: Any, width: Any,
        work: Any, at: Any,
    ) -> Any:
        n = types.intp

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            passed = [
                address(context, builder, kinds[0], args[0], args[1]),
                address(context, builder, kinds[2], args[2], args[3]), args[4], args[5],
                address(context, builder, kinds[6], args[6], args[7]),
            ]
            micro = function(
                builder.module, f"down{lanes.op}_{a.dtype}", [p.type for p in passed],
                lambda b, values: _emit(b, lanes, values),
            )
            builder.call(micro, passed)
            return context.get_dummy_value()

        return types.none(x, n, offsets, n, n, n, work, n), codegen

    return down


def _emit(builder: Any, lanes: Lanes, args: Values) -> None:
    a = lanes.memory
    x, offsets, rows, width, work = args

    def add_up(column: Any, vectors: int, load: Callable[[Any, int], Any]) -> None:
        def place(r: Any) -> Any:
            offset = builder.load(builder.gep(offsets, [r], source_etype=I64), typ=I64, align=8)
            return a.at(builder, x, builder.add(offset, column))

        def row(r: Any, totals: Values) -> Values:
            here = place(builder.add(r, index(1)))
            return [lanes.join(builder, t, load(here, v)) for v, t in enumerate(totals)]

        top = place(index(0))
        totals = [lanes.begin(builder, load(top, v)) for v in range(vectors)]
        totals = loop(builder, builder.sub(rows, index(1)), totals, row)
        for v, total in enumerate(totals):
            a.store(builder, total, a.at(builder, work, builder.add(column, index(v * a.lanes))))

    def whole(place: Any, v: int) -> Any:
        return a.load(builder, a.at(builder, place, v * a.lanes))

    block = _WIDE * a.lanes
    blocks = builder.sdiv(width, index(block))

    def many(k: Any, _: Values) -> Values:
        add_up(builder.mul(k, index(block)), _WIDE, whole)
        return []

    loop(builder, blocks, [], many)
    done = builder.mul(blocks, index(block))
    # The rest side by side as well, as far as it goes: lanes beyond it are left out.
    left = builder.sub(width, done)

    def some(place: Any, v: int) -> Any:
        return a.load_first(
            builder, a.at(builder, place, v * a.lanes), builder.sub(left, index(v * a.lanes))
        )

    count = builder.sdiv(builder.add(left, index(a.lanes - 1)), index(a.lanes))
    end = builder.append_basic_block("down.end")
    switch = builder.switch(count, end)
    for vectors in range(1, _WIDE + 1):
        part = builder.append_basic_block("down.rest")
        switch.add_case(index(vectors), part)
        builder.position_at_end(part)
        add_up(done, vectors, some)
        builder.branch(end)
    builder.position_at_end(end)
