"""The register tile of layers where registers are few: some pixels of any rows, some steps of all.

Rows end anywhere in a tile of six pixels: each has an address of its own, which general registers
hold. Steps are taken in parts whose filters stay in the first cache; between parts the sums of a
tile wait in memory, as they are, so that parts change no bit of any sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .channels_tile import Tiles, activate, store_pixel, store_tile
from .emit import I64, Values, by_pairs, choose, function, index
from .workspace import address

FIRST, LAST = 1, 2
# The filters of a part take half of a first cache of 32 KiB.
_PART_BYTES = 1 << 14


def shapes(tiles: Tiles, vectors: int) -> tuple[int, ...]:
    """Return the numbers of pixels in tiles of so many vectors of channels, the largest first.

    One vector alone needs more pixels: an accumulator is free again after four cycles, in which
    eight multiply-adds begin.
    """
    return (8, *tiles.pixels) if vectors == 1 and tiles.pixels[0] == 6 else tiles.pixels


def part_of(tiles: Tiles) -> int:
    """Return the most steps in a part."""
    return _PART_BYTES // (tiles.block * tiles.arithmetic.size)


def room(tiles: Tiles) -> int:
    """Return how many elements' room the sums of a tile take, in whole lines of the cache."""
    a = tiles.arithmetic
    wider = 2 if a.held != a.stored else 1
    return max(n * shapes(tiles, n)[0] for n in (1, 2)) * a.lanes * a.parts * wider


def make_flat_tile(tiles: Tiles) -> Callable[..., Any]:
    """Return the intrinsic ``flat_tile``.

    ::

        sums[p, c] = bias[bias_at + c] if stage & FIRST else work[work_at..][p, c]
        sums[p, c] += sum over k < steps of X(x_at + place(p) + offsets[k_at + k]) *
            w[w_at + k*block + c]
        out[out_at + p*out_px + c*out_ch] = act(sums[p, c]) if stage & LAST
        else work[work_at..][p, c] = sums[p, c]

    for p < pixels and c < count; ``place(p)`` is p pixels of `x_px` bytes after the one in
    `column` of a row of `width`, and where a row ends, `wrap` bytes instead.

    Assumes: `pixels` is one of ``shapes(tiles, vectors)``; `vectors` is 1 or 2 and has room for
    `count` channels; out_ch == 1, or out_px == 1; w holds whole blocks, bias whole vectors, `work`
    ``room(tiles)`` elements from work_at on.
    """

    @intrinsic(model=_make_model(tiles))
    def flat_tile(
        typingctx: Any, pixels: Any, vectors: Any, stage: Any, x: Any, x_at: Any, x_px: Any,
        column: Any, width: Any, wrap: Any, w: Any, w_at: Any, offsets: Any, k_at: Any, steps: Any,
        work: Any, work_at: Any, out: Any, out_at: Any, out_px: Any, out_ch: Any, count: Any,
        bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(
            n, n, n, x, n, n, n, n, n, w, n, offsets, n, n, work, n, out, n, n, n, n, bias, n, n,
            slope,
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            passed = [
                args[2], at(3, args[4]), *args[5:9], at(9, args[10]), at(11, args[12]), args[13],
                at(14, args[15]), at(16, args[17]), args[18], args[19], args[20],
                at(21, args[22]), args[23], at(24, index(0)),
            ]
            end = builder.append_basic_block("tile.end")
            selector = builder.add(builder.mul(args[0], index(4)), args[1])
            switch = builder.switch(selector, end)
            for wide in range(1, tiles.vectors + 1):
                for number in shapes(tiles, wide):
                    block = builder.append_basic_block("tile.kind")
                    switch.add_case(I64(number * 4 + wide), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"flat_{tiles.arithmetic.dtype}_{number}x{wide}",
                        [p.type for p in passed],
                        lambda b, v, number=number, wide=wide: _emit(b, tiles, number, wide, v),
                    )
                    builder.call(micro, passed)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return flat_tile


def _emit(builder: Any, tiles: Tiles, pixels: int, wide: int, args: Values) -> None:
    """Emit where the pixels lie, the loop over the steps, then what happens to the sums."""
    a, byte = tiles.arithmetic, ir.IntType(8)
    stage, x, x_px, column, width, wrap, w, offsets, steps, work, *after = args
    out, out_px, out_ch, count, bias, activation, slope = after
    slots = [
        builder.gep(work, [index(j)], source_etype=a.held)
        for j in range(pixels * wide * a.parts)
    ]
    align = a.lanes * a.parts * a.size

    def from_bias(_: Values) -> Values:
        sums: Values = []
        for _ in range(pixels):
            for v in range(wide):
                start = a.load(builder, a.at(builder, bias, v * a.lanes))
                sums += [start, *[a.zero()] * (a.parts - 1)]
        return sums

    def from_work(_: Values) -> Values:
        return [builder.load(slot, typ=a.held, align=align) for slot in slots]

    begins = builder.and_(stage, index(FIRST))
    sums = choose(
        builder, begins, {0: from_work, FIRST: from_bias}, [a.zero()] * len(slots)
    )
    places = [x]
    for _ in range(pixels - 1):
        column = builder.add(column, index(1))
        ends = builder.icmp_signed("==", column, width)
        column = builder.select(ends, index(0), column)
        hop = builder.select(ends, wrap, x_px)
        places.append(builder.gep(places[-1], [hop], source_etype=byte))

    def step(i: Any, held: Values) -> Values:
        offset = builder.load(builder.gep(offsets, [i], source_etype=I64), typ=I64, align=8)
        row = a.at(builder, w, builder.mul(i, index(tiles.block)))
        filters = [a.load(builder, a.at(builder, row, v * a.lanes)) for v in range(wide)]
        new: Values = []
        for place in places:
            sample = a.tap(builder, builder.gep(place, [offset], source_etype=byte))
            for v in range(wide):
                for part in sample:
                    new.append(a.multiply_add(builder, filters[v], part, held[len(new)]))
        return new

    sums = by_pairs(builder, steps, sums, step)
    ends = builder.icmp_signed(">=", stage, index(LAST))
    with builder.if_else(ends) as (all_steps, some_steps):
        with all_steps:
            finished = [
                a.finish(builder, sums[j : j + a.parts]) for j in range(0, len(sums), a.parts)
            ]
            finished = activate(builder, a, finished, activation, slope)
            store_tile(builder, a, finished, pixels, wide, out, out_px, out_ch, count)
        with some_steps:
            for total, slot in zip(sums, slots, strict=True):
                builder.store(total, builder.bitcast(slot, a.held.as_pointer()), align=align)


def _make_model(tiles: Tiles) -> Callable[..., Any]:
    """Return ``flat_tile`` in NumPy, every index checked."""

    def model(
        pixels: int, vectors: int, stage: int, x: Any, x_at: int, x_px: int,
        column: int, width: int, wrap: int, w: Any, w_at: int, offsets: Any, k_at: int, steps: int,
        work: Any, work_at: int, out: Any, out_at: int, out_px: int, out_ch: int, count: int,
        bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        lanes = vectors * tiles.arithmetic.lanes
        if pixels not in shapes(tiles, vectors) or count > lanes or (out_ch != 1 and out_px != 1):
            raise ValueError(f"tile must be one of {tiles}, got {pixels} x {vectors} for {count}")
        if work_at + room(tiles) > len(work):
            raise IndexError(f"sums from {work_at} on must lie within {len(work)}")
        place = 0
        for p in range(pixels):
            slot = work[work_at + p * lanes :][:lanes]
            total = (bias[bias_at : bias_at + lanes] if stage & FIRST else slot).copy()
            for k in range(steps):
                byte = place + int(offsets[k_at + k])
                at = x_at + byte // x.itemsize
                row = w[w_at + k * tiles.block :][:lanes]
                if byte % x.itemsize or not 0 <= at < len(x) or len(row) < lanes:
                    raise IndexError(f"sample {at} and filter {k} must lie within their arrays")
                total = total + x[at] * row
            column += 1
            place += wrap if column == width else x_px
            column = 0 if column == width else column
            if not stage & LAST:
                slot[:] = total
                continue
            store_pixel(total, activation, slope, out, out_at + p * out_px, out_ch, count)

    return model
