"""One row of pooled outputs: whole vectors down the window's rows, then across its columns.

A vector of L outputs with stride s meets s*L neighbouring samples of each row. They are loaded as
they lie, reduced down the rows, and taken apart by shuffles; where the window is wider than the
stride the next s samples make another such group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, lanes, loop, splat
from .simd import call_llvm
from .some_lanes import load_some
from .window_lanes import BOX, Lanes
from .workspace import address

# The windows (size, stride) along a row that have loops of their own; others are no affair of ours.
SHAPES = ((2, 2), (3, 2), (3, 3), (2, 1), (3, 1), (1, 1))

# How far ahead samples are asked for: 64 planes of 224 x 224, 2x2, 205 us instead of 357.
_AHEAD_BYTES, _LINE_BYTES = 4096, 64


@dataclass(frozen=True, slots=True)
class Shape:
    """A window along the row, in vectors.

    Parameters
    ----------
    a : Lanes
        The vectors and their reduction.
    k, s : int
        Size and stride.
    """

    a: Lanes
    k: int
    s: int

    @property
    def groups(self) -> int:
        """How many groups of s*L samples a vector of outputs meets."""
        return -(-self.k // self.s)

    @property
    def overlaps(self) -> bool:
        """Whether windows share one sample with the next: the second group is one vector, its last.

        Its other samples are the first group's, one output on.
        """
        return self.k == self.s + 1 and self.s > 1

    @property
    def reach(self) -> int:
        """Samples from the first to the last that a vector of outputs loads."""
        return self.s * self.a.lanes + (1 if self.overlaps else (self.groups - 1) * self.s)

    def vector(self, group: int) -> Any:
        """Return the LLVM type of one group."""
        single = self.overlaps and group > 0
        return ir.VectorType(self.a.memory.element, (1 if single else self.s) * self.a.lanes)

    def first(self, group: int) -> int:
        """Return where a group's samples begin."""
        if self.overlaps and group > 0:
            return self.reach - self.a.lanes
        return group * self.s

    def load(self, b: Any, pointer: Any, group: int) -> Any:
        """Return the samples of a group; pointer is that of the first output's first sample."""
        place = self.a.memory.at(b, pointer, self.first(group))
        if group == 0:
            self.fetch(b, place)
        return b.load(place, typ=self.vector(group), align=self.a.memory.size)

    def fetch(self, b: Any, pointer: Any) -> None:
        """Ask for the samples some rows on: planes are streamed, a few rows side by side."""
        numbers = [ir.Constant(ir.IntType(32), v) for v in (0, 3, 1)]
        lanes, size = self.a.lanes, self.a.memory.size
        for v in range(0, self.s, max(1, _LINE_BYTES // (lanes * size))):
            ahead = _AHEAD_BYTES // size + v * lanes
            place = self.a.memory.at(b, pointer, ahead)
            call_llvm(b, "llvm.prefetch.p0", ir.VoidType(), [place, *numbers])

    def load_inside(self, b: Any, pointer: Any, group: int, base: Any, width: Any, outside: Any
                    ) -> Any:
        """Return the same where column `base` + lane lies in 0..width-1, else `outside`."""
        wide = self.vector(group)
        first = b.add(base, index(self.first(group)))
        place = self.a.memory.at(b, pointer, self.first(group))
        return load_some(b, self.a.memory.target, place, b.neg(first), b.sub(width, first),
                         splat(b, outside, wide), self.a.memory.size)

    def tap(self, b: Any, groups: Values, t: int) -> Any:
        """Return the samples under tap t of each output."""
        size = self.a.lanes
        if self.overlaps and t == self.s:
            return b.shuffle_vector(self.tap(b, groups, 0), groups[1],
                                    lanes([*range(1, size), 2 * size - 1]))
        wide = groups[t // self.s]
        pick = [t % self.s + self.s * j for j in range(size)]
        return b.shuffle_vector(wide, ir.Constant(wide.type, ir.Undefined), lanes(pick))


def steps(b: Any, shape: Shape, width: Any, pad: Any, outputs: Any, plain: Any, edge: Any) -> None:
    """Emit one row: plain(base, j) where all samples and outputs exist, else edge(base, j)."""
    size, s, reach = shape.a.lanes, shape.s, shape.reach
    zero, across = index(0), index(size * s)

    def least(one: Any, other: Any) -> Any:
        return b.select(b.icmp_signed("<", one, other), one, other)

    # Vectors first..last-1 are plain: what is tested once need not be tested for each.
    count = b.sdiv(b.add(outputs, index(size - 1)), index(size))
    first = least(b.sdiv(b.add(pad, index(size * s - 1)), across), count)
    room = b.sub(b.add(width, pad), index(reach))
    fit = b.select(b.icmp_signed("<", room, zero), zero, b.add(b.sdiv(room, across), index(1)))
    last = least(fit, b.sdiv(outputs, index(size)))
    last = b.select(b.icmp_signed("<", last, first), first, last)
    # The last outputs are less than a vector, which may reach back over its neighbour.
    most = b.sub(outputs, index(size))
    back = b.sub(b.mul(most, index(s)), pad)
    reaches = b.and_(b.icmp_signed(">=", most, zero), b.icmp_signed(">=", back, zero))
    reaches = b.and_(reaches, b.icmp_signed("<=", b.add(back, index(reach)), width))
    reaches = b.and_(reaches, b.icmp_signed("==", last, b.sub(count, index(1))))
    inside = b.add(b.sub(last, first), b.zext(reaches, zero.type))

    def at(v: Any, body: Any, most: Any = None) -> Values:
        j = b.mul(v, index(size))
        j = j if most is None else least(j, most)
        body(b.sub(b.mul(j, index(s)), pad), j)
        return []

    def outer(e: Any, _: Values) -> Values:
        before = b.icmp_signed("<", e, first)
        return at(b.select(before, e, b.add(e, inside)), edge)

    loop(b, inside, [], lambda v, _: at(b.add(first, v), plain, most))
    loop(b, b.sub(count, inside), [], outer)


def make_pool_row(target: Target, dtype: str, op: int, k: int, s: int) -> Any:
    """Return the micro kernel ``pool_row``.

    ::

        pool_row(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                 columns, shares, i)
        out[oi + j] = reduction over r < rows, t < k of x[xi + offsets[first + r] + j*s + t - pad]

    for j < outputs; columns outside 0..width-1 are ``outside[0]``. op BOX divides the sum by
    ``shares[i] * columns[j]``.

    Assumes: rows >= 1.
    """
    a = Lanes.of(target, dtype, op)
    shape = Shape(a, k, s)

    def body(b: Any, args: Values) -> None:
        x, offsets, rows, width, pad, outside, out, outputs, columns, share = args
        beyond = b.load(outside, typ=a.memory.element, align=a.memory.size)
        if op == BOX:
            divisor = b.load(share, typ=a.memory.element, align=a.memory.size)

        def row(r: Any, base: Any) -> Any:
            offset = b.load(b.gep(offsets, [r], source_etype=I64), typ=I64, align=8)
            return a.memory.at(b, x, b.add(offset, base))

        def down(load: Any, base: Any, count: int | None) -> Values:
            start = row(index(0), base)
            groups = [a.begin(b, load(start, g)) for g in range(shape.groups)]

            def further(r: Any, totals: Values) -> Values:
                here = row(r, base)
                return [a.join(b, total, load(here, g)) for g, total in enumerate(totals)]

            if count is None:
                return loop(b, b.sub(rows, index(1)), groups,
                            lambda r, totals: further(b.add(r, index(1)), totals))
            lines = [row(index(r), base) for r in range(1, count)]
            return [
                a.reduce(b, [group, *(load(line, g) for line in lines)])
                for g, group in enumerate(groups)
            ]

        def across(groups: Values) -> Any:
            return a.reduce(b, [shape.tap(b, groups, t) for t in range(k)])

        def finish(total: Any, counts: Any) -> Any:
            if op != BOX:
                return total
            return b.fdiv(total, b.fmul(splat(b, divisor, total.type), counts))

        def plain(base: Any, j: Any) -> None:
            def whole(count: int | None) -> None:
                total = across(down(lambda p, g: shape.load(b, p, g), base, count))
                counts = a.memory.load(b, a.memory.at(b, columns, j)) if op == BOX else None
                a.memory.store(b, finish(total, counts), a.memory.at(b, out, j))

            with b.if_else(b.icmp_signed("==", rows, index(k))) as (then, otherwise):
                with then:
                    whole(k)
                with otherwise:
                    whole(None)

        def edge(base: Any, j: Any) -> None:
            total = across(down(
                lambda p, g: shape.load_inside(b, p, g, base, width, beyond), base, None
            ))
            left = b.sub(outputs, j)
            counts = None
            if op == BOX:
                counts = a.memory.load_first(b, a.memory.at(b, columns, j), left)
            a.memory.store_first(b, finish(total, counts), a.memory.at(b, out, j), left)

        steps(b, shape, width, pad, outputs, plain, edge)

    def model(
        x: Any, xi: int, offsets: Any, first: int, rows: int, width: int, pad: int, outside: Any,
        out: Any, oi: int, outputs: int, columns: Any, shares: Any, i: int,
    ) -> None:
        _model_within(out, oi, outputs)
        at = np.arange(outputs) * s - pad
        total = None
        for r in range(rows):
            for t in range(k):
                values = model_samples(x, xi + offsets[first + r], width, at + t, outside)
                if total is None:
                    total = values + values.dtype.type(0) if op == BOX else values
                else:
                    total = a.model(total, values)
        if op == BOX:
            total = total / (shares[i] * columns[:outputs])
        out[oi : oi + outputs] = total

    @intrinsic(model=model)
    def pool_row(
        typingctx: Any, x: Any, xi: Any, offsets: Any, first: Any, rows: Any, width: Any,
        pad: Any, outside: Any, out: Any, oi: Any, outputs: Any, columns: Any, shares: Any,
        i: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"pool{op}_{k}_{s}_{dtype}"
            params = [POINTER, POINTER, I64, I64, I64, POINTER, POINTER, I64, POINTER, POINTER]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, offsets, args[2], args[3]), *args[4:7],
                address(context, builder, outside, args[7], index(0)),
                address(context, builder, out, args[8], args[9]), args[10],
                address(context, builder, columns, args[11], index(0)),
                address(context, builder, shares, args[12], args[13]),
            ])
            return context.get_dummy_value()

        n = types.intp
        arrays = types.none(x, n, offsets, n, n, n, n, outside, out, n, n, columns, shares, n)
        return arrays, codegen

    return pool_row


def model_samples(x: Any, start: int, width: int, columns: Any, outside: Any) -> Any:
    """Return the samples of one row at `columns`, or `outside`."""
    inside = (columns >= 0) & (columns < width)
    values = np.full(len(columns), outside[0], x.dtype)
    values[inside] = x[start + columns[inside]]
    return values


def _model_within(out: Any, oi: int, count: int) -> None:
    if oi < 0 or oi + count > len(out):
        raise IndexError(f"outputs {oi}..{oi + count} must lie within {len(out)}")
