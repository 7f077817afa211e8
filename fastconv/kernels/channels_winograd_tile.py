"""The register tile of Winograd's products: one frequency of some tiles times some channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .channels_tile import Tiles
from .emit import I64, Values, function, index, loop
from .workspace import address

# Steps per turn of the loop where so many sums, or fewer, make the turn short. With 28 of them LLVM
# would mix the steps and run out of 32 registers.
_UNROLLED, _FEW_SUMS = 4, 12


def make_product(tiles: Tiles) -> Callable[..., Any]:
    """Return the intrinsic ``product``.

    ::

        out[out_at + p*out_px + o] =
            sum over k < steps of x[x_at + p*x_px + k] * w[w_at + k*block + o]

    for p < pixels and o < vectors * lanes. Every sum runs over k in order.

    Assumes: `pixels` is one of ``tiles.pixels``, `vectors` 1 or 2; the dtype is real.
    """
    a = tiles.arithmetic

    def model(
        pixels: int, vectors: int, x: Any, x_at: int, x_px: int, w: Any, w_at: int, steps: int,
        out: Any, out_at: int, out_px: int,
    ) -> None:
        lanes = vectors * a.lanes
        if pixels not in tiles.pixels or vectors not in (1, 2):
            raise ValueError(f"product must be one of {tiles}, got {pixels} x {vectors}")
        rows = np.lib.stride_tricks.as_strided(
            w[w_at:], (steps, lanes), (tiles.block * w.itemsize, w.itemsize)
        )
        if w_at < 0 or (steps and w_at + (steps - 1) * tiles.block + lanes > len(w)):
            raise IndexError(f"filters from {w_at} on must lie within {len(w)}")
        for p in range(pixels):
            at, to = x_at + p * x_px, out_at + p * out_px
            if min(at, to) < 0 or at + steps > len(x) or to + lanes > len(out):
                raise IndexError(f"samples at {at} and sums at {to} must lie within their arrays")
            total = np.zeros(lanes, x.dtype)
            for k in range(steps):
                total = total + x[at + k] * rows[k]
            out[to : to + lanes] = total

    @intrinsic(model=model)
    def product(
        typingctx: Any, pixels: Any, vectors: Any, x: Any, x_at: Any, x_px: Any,
        w: Any, w_at: Any, steps: Any, out: Any, out_at: Any, out_px: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(n, n, x, n, n, w, n, n, out, n, n)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            passed = [at(2, args[3]), args[4], at(5, args[6]), args[7], at(8, args[9]), args[10]]
            end = builder.append_basic_block("product.end")
            selector = builder.add(builder.mul(args[0], index(4)), args[1])
            switch = builder.switch(selector, end)
            for number in tiles.pixels:
                for wide in range(1, tiles.vectors + 1):
                    block = builder.append_basic_block("product.kind")
                    switch.add_case(I64(number * 4 + wide), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"product_{a.dtype}_{number}x{wide}",
                        [p.type for p in passed],
                        lambda b, v, number=number, wide=wide: _emit(b, tiles, number, wide, v),
                    )
                    builder.call(micro, passed)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return product


def _emit(builder: Any, tiles: Tiles, pixels: int, vectors: int, args: Values) -> None:
    x, x_px, w, steps, out, out_px = args
    a, byte = tiles.arithmetic, ir.IntType(8)
    pitch = builder.mul(x_px, index(a.size))
    twice = builder.add(pitch, pitch)
    hops = [None, pitch, twice, builder.add(twice, pitch)]
    four = builder.add(twice, twice)
    # Every fourth pixel has an address of its own; the others are some pitches away.
    bases = [x]
    for _ in range(4, pixels, 4):
        bases.append(builder.gep(bases[-1], [four], source_etype=byte))

    def turn(first: Any, count: int, held: Values) -> Values:
        """Add `count` steps from `first` on."""
        places = [a.at(builder, base, first) for base in bases]
        row = a.at(builder, w, builder.mul(first, index(tiles.block)))
        for k in range(count):
            filters = [
                a.load(builder, a.at(builder, row, k * tiles.block + v * a.lanes))
                for v in range(vectors)
            ]
            new = []
            for p in range(pixels):
                hop, place = hops[p % 4], places[p // 4]
                here = place if hop is None else builder.gep(place, [hop], source_etype=byte)
                (sample,) = a.tap(builder, a.at(builder, here, k))
                for v in range(vectors):
                    j = p * vectors + v
                    new.append(a.multiply_add(builder, filters[v], sample, held[j]))
            held = new
        return held

    sums: Values = [a.zero()] * (pixels * vectors)
    done = index(0)
    if len(sums) <= _FEW_SUMS:
        turns = builder.sdiv(steps, index(_UNROLLED))
        sums = loop(
            builder, turns, sums, lambda i, h: turn(builder.mul(i, index(_UNROLLED)), _UNROLLED, h)
        )
        done = builder.mul(turns, index(_UNROLLED))
    rest = builder.sub(steps, done)
    sums = loop(builder, rest, sums, lambda i, h: turn(builder.add(done, i), 1, h))
    for p in range(pixels):
        row = a.at(builder, out, builder.mul(out_px, index(p)))
        for v in range(vectors):
            a.store(builder, sums[p * vectors + v], a.at(builder, row, v * a.lanes))
