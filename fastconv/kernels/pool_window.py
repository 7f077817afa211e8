"""Pooling by windows of any size, stride and dilation: down the rows first, then across columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .emit import Values, function, index, loop
from .pool_boxes import make_down
from .scalar import get, put
from .strided_copy import make_line
from .window_lanes import BOX, MAX, Lanes
from .workspace import address

# Vectors that are reduced side by side: one comparison takes several cycles.
_WIDE = 4


def make_pool_window_max(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_window_max``.

    ::

        out[b, i, j] = max over the rows r of window i and t < k of
                       x[b, offsets[r] + j*s + t*dilation - pad]

    for b < planes, i < height, j < outputs; rows and what lies outside as for ``pool_max``.

    Assumes: work has room for a padded row, from its beginning, and for all maxima at stride one,
    from `room` on, and behind each for a vector.
    """
    reduced = _make_reduced(target, dtype, MAX)

    def pool_window_max(
        x: Any, out: Any, outside: Any, work: Any, offsets: Any, starts: Any, planes: int,
        x_step: int, height: int, width: int, outputs: int, k: int, s: int, pad: int,
        dilation: int, room: int,
    ) -> None:
        for b in range(planes):
            for i in range(height):
                reduced(x, b * x_step, outside, work, offsets, get(starts, i), get(starts, i + 1),
                        width, outputs, k, s, pad, dilation, room)
                oi = (b * height + i) * outputs
                for j in range(outputs):
                    put(out, oi + j, get(work, room + j * s))

    return pool_window_max


def make_pool_window_mean(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_window_mean``: as ``pool_window_max``, but sums over shares.

    ::

        out[b, i, j] = (sum of the window's samples) / (shares[i] * columns[j])
    """
    reduced = _make_reduced(target, dtype, BOX)

    def pool_window_mean(
        x: Any, out: Any, outside: Any, work: Any, shares: Any, columns: Any, offsets: Any,
        starts: Any, planes: int, x_step: int, height: int, width: int, outputs: int, k: int,
        s: int, pad: int, dilation: int, room: int,
    ) -> None:
        for b in range(planes):
            for i in range(height):
                reduced(x, b * x_step, outside, work, offsets, get(starts, i), get(starts, i + 1),
                        width, outputs, k, s, pad, dilation, room)
                oi, share = (b * height + i) * outputs, get(shares, i)
                for j in range(outputs):
                    put(out, oi + j, get(work, room + j * s) / (share * get(columns, j)))

    return pool_window_mean


def _make_reduced(target: Target, dtype: str, op: int) -> Any:
    """Return ``reduced``: the windows of one row of outputs, at stride one."""
    lanes = Lanes.of(target, dtype, op)
    down, across, line = make_down(lanes), _make_across(lanes), make_line(lanes.memory)

    @inline
    def reduced(
        x: Any, xi: int, outside: Any, work: Any, offsets: Any, first: int, end: int, width: int,
        outputs: int, k: int, s: int, pad: int, dilation: int, room: int,
    ) -> None:
        if outputs < 1:
            return
        count = (outputs - 1) * s + 1
        line(outside, 0, 0, work, 0, 1, pad)
        down(x, xi, offsets, first, end - first, width, work, pad)
        line(outside, 0, 0, work, pad + width, 1, count + (k - 1) * dilation - pad - width)
        across(work, k, dilation, count, room)

    return reduced


def _make_across(lanes: Lanes) -> Callable[..., Any]:
    """Return the intrinsic ``across``.

    ::

        work[room + j] = reduction over t < k of work[j + t*dilation]   for j < count
    """
    a = lanes.memory

    def model(work: Any, k: int, dilation: int, count: int, room: int) -> None:
        padded = -(-count // a.lanes) * a.lanes
        if padded + (k - 1) * dilation > room or room + padded > len(work):
            raise IndexError(f"work must have {room + padded} elements, got {len(work)}")
        total = work[:count] + work.dtype.type(0) if lanes.op == BOX else work[:count]
        for t in range(1, k):
            total = lanes.model(total, work[t * dilation :][:count])
        work[room : room + count] = total

    @intrinsic(model=model)
    def across(
        typingctx: Any, work: Any, k: Any, dilation: Any, count: Any, room: Any
    ) -> Any:
        n = types.intp

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            passed = [
                address(context, builder, work, args[0], index(0)),
                address(context, builder, work, args[0], args[4]), *args[1:4],
            ]  # fmt: skip
            micro = function(
                builder.module, f"across{lanes.op}_{a.dtype}", [p.type for p in passed],
                lambda b, values: _emit(b, lanes, values),
            )  # fmt: skip
            builder.call(micro, passed)
            return context.get_dummy_value()

        return types.none(work, n, n, n, n), codegen

    return across


def _emit(builder: Any, lanes: Lanes, args: Values) -> None:
    a = lanes.memory
    x, out, k, dilation, count = args

    def reduce(first: Any, vectors: int) -> None:
        def load(at: Any, v: int) -> Any:
            place = a.at(builder, x, builder.add(at, index(v * a.lanes)))
            return builder.load(place, typ=a.stored, align=a.size)

        def tap(t: Any, totals: Values) -> Values:
            at = builder.add(first, builder.mul(builder.add(t, index(1)), dilation))
            return [lanes.join(builder, total, load(at, v)) for v, total in enumerate(totals)]

        totals = [lanes.begin(builder, load(first, v)) for v in range(vectors)]
        totals = loop(builder, builder.sub(k, index(1)), totals, tap)
        for v, total in enumerate(totals):
            a.store(builder, total, a.at(builder, out, builder.add(first, index(v * a.lanes))))

    block = _WIDE * a.lanes

    def many(i: Any, _: Values) -> Values:
        reduce(builder.mul(i, index(block)), _WIDE)
        return []

    def single(i: Any, _: Values) -> Values:
        reduce(builder.add(done, builder.mul(i, index(a.lanes))), 1)
        return []

    blocks = builder.sdiv(count, index(block))
    loop(builder, blocks, [], many)
    done = builder.mul(blocks, index(block))
    left = builder.sub(count, done)
    # The last vector reaches beyond them, into room of its own.
    loop(builder, builder.sdiv(builder.add(left, index(a.lanes - 1)), index(a.lanes)), [], single)
