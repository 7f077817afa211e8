"""Micro kernels of running sums along lines that lie side by side, one line in each lane.

A scan takes one sample after the other, so vectors take one sample of each of several lines:
rows of an image, or parts of one long line. `spread` transposes their samples into a panel whose
row v has sample v of all lines; `scans` adds up windows down the panel, by two scans of which no
sum is ever taken back [van Herk 1992]; `collect` transposes the results back, times a factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop, splat
from .lane_transpose import transposed
from .window_lanes import BOX, Lanes
from .workspace import address

# Lines side by side, at least: two vectors of doubles on AVX2, whose additions do not wait for each
# other.
_LINES = 8
_LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines side by side.

    Parameters
    ----------
    lanes : Lanes
        How sums are added up.
    vectors : int
        Vectors in one row of the panel.
    """

    lanes: Lanes
    vectors: int

    @staticmethod
    def of(target: Target, dtype: str) -> Panel:
        """Return the panel for sums of `dtype` on `target`."""
        lanes = Lanes.of(target, dtype, BOX)
        return Panel(lanes, max(1, _LINES // lanes.lanes))

    @property
    def lines(self) -> int:
        """Lines side by side: elements in one row of the panel."""
        return self.vectors * self.lanes.lanes


def places_of(b: Any, panel: Panel, at: Any, step: Any, rows: Any) -> Values:
    """Return where each lane's line begins; lanes without a line share the last one.

    ``at(count)`` is the address so many elements after the first line's.
    """
    last = b.sub(rows, index(1))
    places = []
    for lane in range(panel.lines):
        number = index(lane)
        number = b.select(b.icmp_signed("<", number, last), number, last)
        places.append(at(b.mul(number, step)))
    return places


def squares(b: Any, panel: Panel, count: Any, square: Any, single: Any) -> None:
    """Go through `count` columns by squares of registers, the last of which overlaps another.

    ``square(at, first lane)`` and ``single(at, lane)`` do it; the latter where columns are few.
    """
    lanes = panel.lanes.lanes
    # Squares side by side make whole cache lines: rows that lie a multiple of 4 KiB apart would
    # drive halves of them out of the first cache (1024x1024 float64: 2.1 ms to 1.7).
    side = max(1, _LINE_BYTES // (lanes * panel.lanes.memory.size))

    def line(j: Any, _: Values) -> Values:
        at = b.mul(j, index(side * lanes))
        for v in range(panel.vectors):
            for s in range(side):
                square(b.add(at, index(s * lanes)), v * lanes)
        return []

    def some(j: Any, _: Values) -> Values:
        at, most = b.add(done, b.mul(j, index(lanes))), b.sub(count, index(lanes))
        at = b.select(b.icmp_signed("<", at, most), at, most)
        for v in range(panel.vectors):
            square(at, v * lanes)
        return []

    def few(j: Any, _: Values) -> Values:
        for lane in range(panel.lines):
            single(j, lane)
        return []

    whole = b.sdiv(count, index(side * lanes))
    loop(b, whole, [], line)
    done = b.mul(whole, index(side * lanes))
    short = b.icmp_signed("<", count, index(lanes))
    squares = b.sdiv(b.add(b.sub(count, done), index(lanes - 1)), index(lanes))
    loop(b, b.select(short, index(0), squares), [], some)
    loop(b, b.select(short, count, index(0)), [], few)


def make_spread(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``spread``.

    ::

        spread(x, xi, step, rows, work, wi, count)
        work[wi + v*lines + l] = x[xi + min(l, rows - 1)*step + v]      for v < count, l < lines

    Assumes: rows >= 1; work does not overlap x.
    """
    panel = Panel.of(target, dtype)
    memory, lines, lanes = panel.lanes.memory, panel.lines, panel.lanes.lanes

    def body(b: Any, args: Values) -> None:
        x, step, rows, work, count = args
        places = places_of(b, panel, lambda n: memory.at(b, x, n), step, rows)

        def goal(at: Any, lane: int) -> Any:
            return memory.at(b, work, b.add(b.mul(at, index(lines)), index(lane)))

        def square(at: Any, first: int) -> None:
            rows = [
                memory.load(b, memory.at(b, place, at)) for place in places[first : first + lanes]
            ]
            place = goal(at, first)
            for v, column in enumerate(transposed(b, rows)):
                memory.store(b, column, memory.at(b, place, v * lines))

        def single(at: Any, lane: int) -> None:
            one = memory.at(b, places[lane], at)
            value = b.load(one, typ=memory.element, align=memory.size)
            b.store(value, goal(at, lane), align=memory.size)

        squares(b, panel, count, square, single)

    def model(x: Any, xi: int, step: int, rows: int, work: Any, wi: int, count: int) -> None:
        if count <= 0:
            return
        for lane in range(lines):
            at = xi + min(lane, rows - 1) * step
            if not 0 <= at <= len(x) - count or wi + count * lines > len(work):
                raise IndexError(f"samples {at}..{at + count} must lie within {len(x)}")
            work[wi + lane : wi + count * lines : lines] = x[at : at + count]

    @intrinsic(model=model)
    def spread(
        typingctx: Any, x: Any, xi: Any, step: Any, rows: Any, work: Any, wi: Any, count: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, I64, I64, POINTER, I64]
            micro = function(builder.module, f"spread_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2], args[3],
                address(context, builder, work, args[4], args[5]), args[6],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, i, work, i, i), codegen

    return spread


def make_scans(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``scans``, which works in place.

    ::

        scans(work, wi, k, count)
        work[wi + i*lines + l] = sum over t < k of work[wi + (i + t)*lines + l]      for i < count

    Blocks of k sums share a scan from the block's end and one from the next block's beginning:
    three additions for each sum, whatever k. Sums start from +0.

    Assumes: count + k - 1 rows of work, all of which are overwritten or left; k >= 1.
    """
    panel = Panel.of(target, dtype)
    a, lines, lanes = panel.lanes, panel.lines, panel.lanes.lanes
    memory = a.memory

    def body(b: Any, args: Values) -> None:
        work, k, count = args
        last = b.sub(k, index(1))

        def place(i: Any) -> Any:
            return memory.at(b, work, b.mul(i, index(lines)))

        def row(i: Any) -> Values:
            base = place(i)
            return [memory.load(b, memory.at(b, base, v * lanes)) for v in range(panel.vectors)]

        def put(i: Any, totals: Values) -> None:
            base = place(i)
            for v, total in enumerate(totals):
                memory.store(b, total, memory.at(b, base, v * lanes))

        def added(totals: Values, more: Values) -> Values:
            return [a.join(b, u, v) for u, v in zip(totals, more, strict=True)]

        def block(q: Any, _: Values) -> Values:
            first = b.mul(q, k)
            end = b.add(first, last)
            here = b.sub(count, first)
            here = b.select(b.icmp_signed("<", here, k), here, k)

            def suffix(t: Any, totals: Values) -> Values:
                i = b.sub(end, b.add(t, index(1)))
                totals = added(totals, row(i))
                put(i, totals)
                return totals

            def prefix(t: Any, totals: Values) -> Values:
                i = b.add(b.add(first, t), index(1))
                totals = added(totals, row(b.add(i, last)))
                put(i, added(row(i), totals))
                return totals

            start = [a.begin(b, v) for v in row(end)]
            put(end, start)
            loop(b, last, start, suffix)
            nothing = [ir.Constant(v.type, None) for v in start]
            loop(b, b.sub(here, index(1)), nothing, prefix)
            return []

        loop(b, b.sdiv(b.add(count, last), k), [], block)

    def model(work: Any, wi: int, k: int, count: int) -> None:
        if count <= 0:
            return
        if wi + (count + k - 1) * lines > len(work):
            raise IndexError(f"work must have {count + k - 1} rows")
        rows = work[wi : wi + (count + k - 1) * lines].reshape(-1, lines)
        total = np.zeros((count, lines), rows.dtype)
        with np.errstate(all="ignore"):
            for t in range(k):
                total = total + rows[t : t + count]
        rows[...] = 77
        rows[:count] = total

    @intrinsic(model=model)
    def scans(typingctx: Any, work: Any, wi: Any, k: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, I64, I64]
            micro = function(builder.module, f"lane_scans_{dtype}", params, body)
            place = address(context, builder, work, args[0], args[1])
            builder.call(micro, [place, args[2], args[3]])
            return context.get_dummy_value()

        i = types.intp
        return types.none(work, i, i, i), codegen

    return scans


def make_collect(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``collect``.

    ::

        collect(work, wi, factor, out, oi, step, rows, count, wild, mark)
        out[oi + l*step + i] = work[wi + i*lines + l] * factor[0]       for i < count, l < rows

    wild[mark] becomes 1 if one of them is NaN or infinite.

    Assumes: rows >= 1; out does not overlap work.
    """
    panel = Panel.of(target, dtype)
    memory, lines, lanes = panel.lanes.memory, panel.lines, panel.lanes.lanes
    whole = memory.is_integer

    def body(b: Any, args: Values) -> None:
        work, factor, out, step, rows, count, wild = args
        places = places_of(b, panel, lambda n: memory.at(b, out, n), step, rows)
        scale = b.load(factor, typ=memory.element, align=memory.size)
        multiply = b.mul if whole else b.fmul
        # Products less themselves are zero, or NaN where they are not finite.
        rests = b.alloca(memory.stored)
        b.store(ir.Constant(memory.stored, None), rests)

        def source(at: Any, lane: int) -> Any:
            return memory.at(b, work, b.add(b.mul(at, index(lines)), index(lane)))

        def square(at: Any, first: int) -> None:
            base = source(at, first)
            columns = [memory.load(b, memory.at(b, base, v * lines)) for v in range(lanes)]
            scales = splat(b, scale, memory.stored)
            values = [multiply(row, scales) for row in transposed(b, columns)]
            for place, value in zip(places[first : first + lanes], values, strict=True):
                memory.store(b, value, memory.at(b, place, at))
            if not whole:
                # As a tree: one after the other they would wait for each other.
                found = [b.fsub(value, value) for value in values]
                while len(found) > 1:
                    found = [b.fadd(u, v) for u, v in zip(found[::2], found[1::2], strict=True)]
                b.store(b.fadd(b.load(rests), found[0]), rests)

        def single(at: Any, lane: int) -> None:
            value = b.load(source(at, lane), typ=memory.element, align=memory.size)
            value = multiply(value, scale)
            b.store(value, memory.at(b, places[lane], at), align=memory.size)
            if not whole:
                rest = splat(b, b.fsub(value, value), memory.stored)
                b.store(b.fadd(b.load(rests), rest), rests)

        squares(b, panel, count, square, single)
        if not whole:
            total = b.load(rests)
            marked = b.fcmp_unordered("uno", total, total)
            bits = b.bitcast(marked, ir.IntType(lanes))
            with b.if_then(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))):
                b.store(index(1), wild, align=8)

    def model(
        work: Any, wi: int, factor: Any, out: Any, oi: int, step: int, rows: int, count: int,
        wild: Any, mark: int,
    ) -> None:
        for lane in range(rows if count > 0 else 0):
            at = oi + lane * step
            if not 0 <= at <= len(out) - count:
                raise IndexError(f"outputs {at}..{at + count} must lie within {len(out)}")
            with np.errstate(all="ignore"):
                values = work[wi + lane : wi + count * lines : lines][:count] * factor[0]
            out[at : at + count] = values
            if not np.isfinite(values).all():
                wild[mark] = 1

    @intrinsic(model=model)
    def collect(
        typingctx: Any, work: Any, wi: Any, factor: Any, out: Any, oi: Any, step: Any, rows: Any,
        count: Any, wild: Any, mark: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, POINTER, POINTER, I64, I64, I64, POINTER]
            micro = function(builder.module, f"collect_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, work, args[0], args[1]),
                address(context, builder, factor, args[2], index(0)),
                address(context, builder, out, args[3], args[4]), args[5], args[6], args[7],
                address(context, builder, wild, args[8], args[9]),
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(work, i, factor, out, i, i, i, i, wild, i), codegen

    return collect
