"""The register tile of layers: some pixels times some vectors of output channels.

A step is one input channel and one tap. It loads the filters' vectors for it once, and each pixel's
sample into all lanes; where the sample lies is one entry of an offset table, so that stride,
dilation and layout cost nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_vectors import nothing, transpose
from .emit import I64, Values, choose, function, index, loop, splat
from .workspace import address

RELU, LEAKY_RELU = 1, 2


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of one dtype on one target.

    Parameters
    ----------
    arithmetic : Arithmetic
        How the dtype multiplies and adds.
    vectors : int
        Vectors of output channels in a block of filters.
    pixels : tuple of int
        The numbers of pixels there are tiles for, the largest first.
    flat : bool
        Whether the pixels of a tile lie in any rows, see `channels_flat`.
    """

    arithmetic: Arithmetic
    vectors: int
    pixels: tuple[int, ...]
    flat: bool

    @staticmethod
    def of(target: Target, dtype: str) -> Tiles:
        """Return the tiles: two vectors times as many pixels as leave four registers free."""
        a = Arithmetic.of(target, dtype)
        most = (target.registers - 4) // (2 * a.parts)
        fewer = {most, 12, 10, 8, 7, 6, 4, 3, 2, 1}
        pixels = tuple(sorted((p for p in fewer if p <= most), reverse=True))
        # As many addresses as a small tile has pixels fit in general registers.
        return Tiles(a, 2, pixels, target.registers <= 16)

    @property
    def block(self) -> int:
        """Output channels in a block."""
        return self.vectors * self.arithmetic.lanes


def make_tile(tiles: Tiles) -> Callable[..., Any]:
    """Return the intrinsic ``tile``.

    ::

        out[out_at + p*out_px + c*out_ch] = act(bias[bias_at + c] +
            sum over k < steps of X(x_at + p*x_px + offsets[k]) * w[w_at + k*block + c])

    for p < pixels and c < count; `offsets` and, of these steps, only `x_px` count in bytes of x.

    Assumes: `pixels` is one of ``tiles.pixels``; `vectors` is 1 or 2 and has room for `count`
    channels; out_ch == 1, or out_px == 1; w holds whole blocks, bias whole vectors.
    """
    a = tiles.arithmetic

    @intrinsic(model=_make_model(tiles))
    def tile(
        typingctx: Any, pixels: Any, vectors: Any, x: Any, x_at: Any, x_px: Any,
        w: Any, w_at: Any, offsets: Any, steps: Any,
        out: Any, out_at: Any, out_px: Any, out_ch: Any, count: Any,
        bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(n, n, x, n, n, w, n, offsets, n, out, n, n, n, n, bias, n, n, slope)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            passed = [
                at(2, args[3]), args[4], at(5, args[6]), at(7, zero), args[8],
                at(9, args[10]), args[11], args[12], args[13], at(14, args[15]), args[16],
                at(17, zero),
            ]
            end = builder.append_basic_block("tile.end")
            selector = builder.add(builder.mul(args[0], index(4)), args[1])
            switch = builder.switch(selector, end)
            for number in tiles.pixels:
                for wide in range(1, tiles.vectors + 1):
                    block = builder.append_basic_block("tile.kind")
                    switch.add_case(I64(number * 4 + wide), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"channels_{a.dtype}_{number}x{wide}",
                        [p.type for p in passed], _Emitter(tiles, number, wide).emit,
                    )
                    builder.call(micro, passed)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return tile


class _Emitter:
    """Emits the function of one tile."""

    def __init__(self, tiles: Tiles, pixels: int, vectors: int) -> None:
        self.a, self.block = tiles.arithmetic, tiles.block
        self.pixels, self.vectors = pixels, vectors

    def emit(self, builder: Any, args: Values) -> None:
        """Emit the loop over the steps, then what happens to the sums."""
        a = self.a
        x, x_px, w, offsets, steps, out, out_px, out_ch, count, bias, activation, slope = args
        twice = builder.add(x_px, x_px)
        hops = [None, x_px, twice, builder.add(twice, x_px)]
        four = builder.add(twice, twice)
        sums: Values = []
        for _ in range(self.pixels):
            for v in range(self.vectors):
                start = a.load(builder, a.at(builder, bias, v * a.lanes))
                sums += [start, *[a.zero()] * (a.parts - 1)]

        def step(i: Any, held: Values) -> Values:
            offset = builder.load(builder.gep(offsets, [i], source_etype=I64), typ=I64, align=8)
            place = builder.gep(x, [offset], source_etype=ir.IntType(8))
            row = a.at(builder, w, builder.mul(i, index(self.block)))
            filters = [
                a.load(builder, a.at(builder, row, v * a.lanes)) for v in range(self.vectors)
            ]
            new, j = [], 0
            for p in range(self.pixels):
                if p and p % 4 == 0:
                    place = builder.gep(place, [four], source_etype=ir.IntType(8))
                hop = hops[p % 4]
                here = place if hop is None else builder.gep(
                    place, [hop], source_etype=ir.IntType(8)
                )
                sample = a.tap(builder, here)
                for v in range(self.vectors):
                    for part in sample:
                        new.append(a.multiply_add(builder, filters[v], part, held[j]))
                        j += 1
            return new

        sums = loop(builder, steps, sums, step)
        finished = [
            a.finish(builder, sums[j : j + a.parts]) for j in range(0, len(sums), a.parts)
        ]
        finished = activate(builder, a, finished, activation, slope)
        store_tile(
            builder, a, finished, self.pixels, self.vectors, out, out_px, out_ch, count
        )


def store_tile(
    builder: Any, a: Arithmetic, sums: Values, pixels: int, vectors: int,
    out: Any, out_px: Any, out_ch: Any, count: Any,
) -> None:
    """Emit the stores of a tile's finished sums, for each pixel the vectors of its channels."""
    last = builder.icmp_signed("==", out_ch, index(1))
    with builder.if_else(last) as (by_pixel, by_channel):
        with by_pixel:
            whole = builder.icmp_signed("==", count, index(vectors * a.lanes))
            with builder.if_else(whole) as (all_channels, some_channels):
                with all_channels:
                    _store_pixels(builder, a, sums, pixels, vectors, out, out_px, None)
                with some_channels:
                    _store_pixels(builder, a, sums, pixels, vectors, out, out_px, count)
        with by_channel:
            _store_channels(builder, a, sums, pixels, vectors, out, out_ch, count)


def _store_pixels(
    builder: Any, a: Arithmetic, sums: Values, pixels: int, vectors: int,
    out: Any, out_px: Any, count: Any,
) -> None:
    """Emit the stores of one row of channels, or of its first `count`, for each pixel."""
    for p in range(pixels):
        row = a.at(builder, out, builder.mul(out_px, index(p)))
        for v in range(vectors):
            total, goal = sums[p * vectors + v], a.at(builder, row, v * a.lanes)
            if count is None:
                a.store(builder, total, goal)
            else:
                left = builder.sub(count, index(v * a.lanes))
                a.store_first(builder, total, goal, left)


def _store_channels(
    builder: Any, a: Arithmetic, sums: Values, pixels: int, vectors: int,
    out: Any, out_ch: Any, count: Any,
) -> None:
    """Emit the stores of one row of pixels for each channel."""
    for v in range(vectors):
        for first in range(0, pixels, a.lanes):
            here = range(first, min(first + a.lanes, pixels))
            rows = [sums[p * vectors + v] for p in here]
            rows += [ir.Constant(a.stored, ir.Undefined)] * (a.lanes - len(rows))
            columns = transpose(builder, a, rows)
            for c in range(a.lanes):
                channel = v * a.lanes + c
                with builder.if_then(builder.icmp_signed("<", index(channel), count)):
                    row = a.at(builder, out, builder.mul(out_ch, index(channel)))
                    goal = a.at(builder, row, first)
                    if len(here) == a.lanes:
                        a.store(builder, columns[c], goal)
                    else:
                        a.store_first(builder, columns[c], goal, index(len(here)))


def activate(
    builder: Any, a: Arithmetic, sums: Values, activation: Any, slope: Any
) -> Values:
    """Emit the activation of finished vectors; NaN stays NaN, complex numbers as they are."""
    if a.parts == 2:
        return sums
    compare = builder.icmp_signed if a.is_integer else builder.fcmp_unordered
    zero = nothing(a)

    def relu(held: Values) -> Values:
        return [builder.select(compare(">", s, zero), s, zero) for s in held]

    def leaky(held: Values) -> Values:
        factor = splat(builder, builder.load(slope, typ=a.element, align=a.size), a.stored)
        return [builder.select(compare(">", s, zero), s, builder.fmul(s, factor)) for s in held]

    cases = {RELU: relu} if a.is_integer else {RELU: relu, LEAKY_RELU: leaky}
    return choose(builder, activation, cases, sums)


def _make_model(tiles: Tiles) -> Callable[..., Any]:
    """Return ``tile`` in NumPy, every index checked."""

    def model(
        pixels: int, vectors: int, x: Any, x_at: int, x_px: int,
        w: Any, w_at: int, offsets: Any, steps: int,
        out: Any, out_at: int, out_px: int, out_ch: int, count: int,
        bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        lanes = vectors * tiles.arithmetic.lanes
        if pixels not in tiles.pixels or count > lanes or (out_ch != 1 and out_px != 1):
            raise ValueError(f"tile must be one of {tiles}, got {pixels} x {vectors} for {count}")
        for p in range(pixels):
            total = bias[bias_at : bias_at + lanes].copy()
            for k in range(steps):
                byte = p * x_px + int(offsets[k])
                at = x_at + byte // x.itemsize
                row = w[w_at + k * tiles.block :][:lanes]
                if byte % x.itemsize or not 0 <= at < len(x) or len(row) < lanes:
                    raise IndexError(f"sample {at} and filter {k} must lie within their arrays")
                total = total + x[at] * row
            store_pixel(total, activation, slope, out, out_at + p * out_px, out_ch, count)

    return model


def store_pixel(
    total: Any, activation: int, slope: Any, out: Any, out_at: int, out_ch: int, count: int
) -> None:
    """Activate and store one pixel's sums in NumPy, every index checked."""
    total = activated(total, activation, slope)
    for c in range(count):
        at = out_at + c * out_ch
        if not 0 <= at < len(out):
            raise IndexError(f"output {at} must lie within {len(out)}")
        out[at] = total[c]


def activated(total: Any, activation: int, slope: Any) -> Any:
    """Return finished sums activated by NumPy."""
    if total.dtype.kind == "c":
        return total
    if activation == RELU:
        return np.where(total <= 0, total.dtype.type(0), total)
    if activation == LEAKY_RELU and total.dtype.kind == "f":
        return np.where(total > 0, total, total * slope[0])
    return total
