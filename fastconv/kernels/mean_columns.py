"""Means of windows down columns of doubles: two scans, or row by row where windows are short."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .emit import I64, POINTER, Values, function, index, loop
from .mean_lanes import Mean
from .window_lanes import BOX, Lanes
from .workspace import address

# Vectors side by side: additions wait three or four cycles for each other.
_WIDE = 4
# Up to so many rows a window is added up row by row: no more loads than two scans take.
_FEW = 4


def make_mean_columns(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``mean_columns``.

    ::

        mean_columns(work, width, out, oi, row, k, m, factor)
        out[oi + i*row + c] = mean over t < k of work[(i + t)*width + c]

    for i < m, c < width. Blocks of k windows share a suffix scan, made in place, and a prefix
    scan: three additions per mean, whatever k.

    Assumes: work has (m + k - 1)*width elements, which are overwritten; out does not overlap it.
    """
    a, mean = Lanes.of(target, "float64", BOX), Mean.of(target, dtype)

    def body(b: Any, args: Values) -> None:
        work, width, out, row, k, m, factor = args
        blocks = b.sdiv(b.add(m, b.sub(k, index(1))), k)

        def strip(lanes: int, vectors: int, c: Any) -> None:
            memory = Arithmetic("float64", lanes, 1, target)

            def place(i: Any) -> Any:
                return memory.at(b, work, b.add(b.mul(i, width), c))

            def vectors_at(i: Any) -> Values:
                base = place(i)
                return [memory.load(b, memory.at(b, base, v * lanes)) for v in range(vectors)]

            def put(i: Any, totals: Values) -> None:
                base = mean.at(b, out, b.add(b.mul(i, row), c))
                for v, total in enumerate(totals):
                    mean.store(b, total, factor, mean.at(b, base, index(v * lanes)))

            def added(totals: Values, more: Values) -> Values:
                return [b.fadd(u, v) for u, v in zip(totals, more, strict=True)]

            def fold(i: Any, _: Values) -> Values:
                totals = loop(
                    b,
                    b.sub(k, index(1)),
                    [a.begin(b, v) for v in vectors_at(i)],
                    lambda t, totals: added(totals, vectors_at(b.add(b.add(i, t), index(1)))),
                )
                put(i, totals)
                return []

            def block(q: Any, _: Values) -> Values:
                first, last = b.mul(q, k), b.sub(k, index(1))
                count = b.sub(m, first)
                count = b.select(b.icmp_signed("<", count, k), count, k)

                def suffix(t: Any, totals: Values) -> Values:
                    i = b.add(first, b.sub(last, b.add(t, index(1))))
                    totals = added(totals, vectors_at(i))
                    for v, total in enumerate(totals):
                        memory.store(b, total, memory.at(b, place(i), v * lanes))
                    return totals

                end = b.add(first, last)
                start = [a.begin(b, v) for v in vectors_at(end)]
                for v, total in enumerate(start):
                    memory.store(b, total, memory.at(b, place(end), v * lanes))
                whole = loop(b, last, start, suffix)
                put(first, whole)

                def prefix(t: Any, totals: Values) -> Values:
                    i = b.add(b.add(first, t), index(1))
                    totals = added(totals, vectors_at(b.add(i, last)))
                    put(i, added(vectors_at(i), totals))
                    return totals

                nothing = [ir.Constant(v.type, [0.0] * lanes) for v in start]
                loop(b, b.sub(count, index(1)), nothing, prefix)
                return []

            with b.if_else(b.icmp_signed("<=", k, index(_FEW))) as (then, otherwise):
                with then:
                    loop(b, m, [], fold)
                with otherwise:
                    loop(b, blocks, [], block)

        def strips(lanes: int, vectors: int, done: Any) -> Any:
            size = lanes * vectors
            count = b.sdiv(b.sub(width, done), index(size))

            def one(j: Any, _: Values) -> Values:
                strip(lanes, vectors, b.add(done, b.mul(j, index(size))))
                return []

            loop(b, count, [], one)
            return b.add(done, b.mul(count, index(size)))

        done = strips(a.lanes, _WIDE, index(0))
        done = strips(a.lanes, 1, done)
        strips(1, 1, done)

    def model(
        work: Any, width: int, out: Any, oi: int, row: int, k: int, m: int, factor: float
    ) -> None:
        if m <= 0 or width <= 0:
            return
        if (m + k - 1) * width > len(work):
            raise IndexError(f"work must have {(m + k - 1) * width} elements, got {len(work)}")
        if oi < 0 or oi + (m - 1) * row + width > len(out):
            raise IndexError(f"{m} rows of outputs from {oi} must lie within {len(out)}")
        lines = work[: (m + k - 1) * width].reshape(-1, width)
        total = np.zeros((m, width))
        for t in range(k):
            total = total + lines[t : t + m]
        for i in range(m):
            out[oi + i * row : oi + i * row + width] = mean.model(total[i], factor)
        lines[...] = np.nan

    @intrinsic(model=model)
    def mean_columns(
        typingctx: Any, work: Any, width: Any, out: Any, oi: Any, row: Any, k: Any, m: Any,
        factor: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, I64, POINTER, I64, I64, I64, ir.DoubleType()]
            micro = function(builder.module, f"mean_columns_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, work, args[0], index(0)), args[1],
                address(context, builder, out, args[2], args[3]), *args[4:],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(work, i, out, i, i, i, i, types.float64), codegen

    return mean_columns
