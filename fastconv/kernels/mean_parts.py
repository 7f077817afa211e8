"""Means along a line of doubles whose parts lie side by side, one in each lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index
from .lane_scans import Panel, make_scans, make_spread, places_of, squares
from .lane_transpose import transposed
from .mean_lanes import Mean
from .workspace import address


def make_mean_parts(target: Target, dtype: str) -> Any:
    """Return ``means(work, wi, room, out, oi, count, k, factor)``.

    ::

        out[oi + i] = mean over t < k of work[wi + i + t]       for i < count

    Assumes: count is a multiple of the panel's lines; all samples exist, and count + lines*(k - 1)
    elements of work from `room` on, which hold none of them; out does not overlap work.
    """
    lines = Panel.of(target, "float64").lines
    spread, scans = make_spread(target, "float64"), make_scans(target, "float64")
    collect = _make_collect(target, dtype)

    @inline
    def means(
        work: Any, wi: int, room: int, out: Any, oi: int, count: int, k: int, factor: float
    ) -> None:
        each = count // lines
        spread(work, wi, each, lines, work, room, each + k - 1)
        scans(work, room, k, each)
        collect(work, room, out, oi, each, factor)

    return means


def _make_collect(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``collect``: means of a panel's sums, part after part.

    ::

        collect(work, wi, out, oi, each, factor)
        out[oi + l*each + i] = mean of the sum work[wi + i*lines + l]       for i < each, l < lines

    Assumes: out does not overlap work.
    """
    panel, mean = Panel.of(target, "float64"), Mean.of(target, dtype)
    memory, lines, lanes = panel.lanes.memory, panel.lines, panel.lanes.lanes
    one = type(memory)("float64", 1, 1, memory.target)

    def body(b: Any, args: Values) -> None:
        work, out, each, factor = args
        places = places_of(b, panel, lambda count: mean.at(b, out, count), each, index(lines))

        def source(at: Any, lane: int) -> Any:
            return memory.at(b, work, b.add(b.mul(at, index(lines)), index(lane)))

        def square(at: Any, first: int) -> None:
            base = source(at, first)
            columns = [memory.load(b, memory.at(b, base, v * lines)) for v in range(lanes)]
            for lane, row in enumerate(transposed(b, columns)):
                mean.store(b, row, factor, mean.at(b, places[first + lane], at))

        def single(at: Any, lane: int) -> None:
            total = one.load(b, source(at, lane))
            mean.store(b, total, factor, mean.at(b, places[lane], at))

        squares(b, panel, each, square, single)

    def model(work: Any, wi: int, out: Any, oi: int, each: int, factor: float) -> None:
        if each <= 0:
            return
        if oi < 0 or oi + each * lines > len(out) or wi + each * lines > len(work):
            raise IndexError(f"{each * lines} outputs from {oi} must lie within {len(out)}")
        sums = work[wi : wi + each * lines].reshape(each, lines)
        out[oi : oi + each * lines] = mean.model(np.ascontiguousarray(sums.T).reshape(-1), factor)

    @intrinsic(model=model)
    def collect(
        typingctx: Any, work: Any, wi: Any, out: Any, oi: Any, each: Any, factor: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, POINTER, I64, ir.DoubleType()]
            micro = function(builder.module, f"collect_means_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, work, args[0], args[1]),
                address(context, builder, out, args[2], args[3]), args[4], args[5],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(work, i, out, i, i, types.float64), codegen

    return collect
