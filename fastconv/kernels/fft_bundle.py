"""A bundle of blocks transformed together: products of every member with several spectra, summed.

Member a of a bundle of A stands at complex point ``a * step`` of scratch. With spectra H_b, b < B,

::

    result c = sum over a + b = c of member a times H_b,  c < C

takes A forward and C inverse transforms instead of A * B each. The digits of whole numbers are such
a bundle. (Several filters on one signal are in `fft_filters`: no result waits for another there.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_butterflies import Complex, inverse, run
from .fft_emit import vector_intrinsic
from .fft_layout import Tile, tile
from .fft_passes import join, split
from .fft_tile import (
    _exchange,
    _forward_tile,
    _inner,
    _inner_twiddles,
    _load_tile,
    _outer_twiddles,
    _store_tile,
    _swap,
)


def _inverse_tile(ops: Any, tile: Tile, z: list[Complex], args: Any) -> Iterator[None]:
    """Transform one tile of products back and store it."""
    scratch, table, target, offset = args
    yield from _inner(ops, tile, z, inverse, _inner_twiddles(ops, tile, table, offset))
    yield from _exchange(ops, tile, z)
    yield from inverse(ops, z, _outer_twiddles(ops, tile, table, offset))
    _store_tile(ops, scratch, target, z)


def _add_product(ops: Any, total: Complex, a: Complex, b: Complex) -> Complex:
    """Return total + a * b."""
    re = ops.fnma(a[1], b[1], ops.fma(a[0], b[0], total[0]))
    im = ops.fma(a[1], b[0], ops.fma(a[0], b[1], total[1]))
    return re, im


def _add_products(
    ops: Any, tile: Tile, totals: list[Complex], scratch: Any, spectra: Any, index: Any, source: Any
) -> Iterator[None]:
    """Add one member's tile times one spectrum, pair by pair."""
    z = _load_tile(ops, scratch, index, tile.rows)

    def filter_value(j: int) -> Complex:
        at = ops.plus(source, 2 * ops.lanes * j)
        return ops.load(spectra, at), ops.load(spectra, ops.plus(at, ops.lanes))

    if tile.paired:
        for k, a in enumerate(z):
            swapped = _swap(ops, a[0]), _swap(ops, a[1])
            half = _add_product(ops, totals[k], a, filter_value(2 * k))
            totals[k] = _add_product(ops, half, swapped, filter_value(2 * k + 1))
            yield
        return
    for k in range(tile.inner):
        b0, b1, turned = (filter_value(3 * k + j) for j in range(3))
        even, odd = z[2 * k], z[2 * k + 1]
        half = _add_product(ops, totals[2 * k], even, b0)
        totals[2 * k] = _add_product(ops, half, odd, turned)
        half = _add_product(ops, totals[2 * k + 1], even, b1)
        totals[2 * k + 1] = _add_product(ops, half, odd, b0)
        yield


def _product_tile(ops: Any, tile: Tile, args: Any) -> None:
    """Sum the products of `count` members with as many spectra and transform the sum back.

    The next member stands `step` reals further, its spectrum `back` reals before the last one.
    """
    (scratch, table, spectra, index, offset, source, target, count, step, back) = args
    streams = range(tile.streams)
    slots = [[(ops.variable(), ops.variable()) for _ in range(tile.rows)] for _ in streams]

    def totals(s: int) -> list[Complex]:
        return [(ops.get(re), ops.get(im)) for re, im in slots[s]]

    def body(i: Any) -> None:
        sums = [totals(s) for s in streams]
        run(*(
            _add_products(
                ops, tile, sums[s], scratch, spectra,
                ops.plus(index, ops.times(i, step), 2 * tile.points * s),
                ops.plus(source, ops.times(ops.times(i, back), -1),
                         tile.spectrum * tile.points * s),
            )
            for s in streams
        ))
        for s in streams:
            for (re, im), value in zip(slots[s], sums[s], strict=True):
                ops.put(re, value[0])
                ops.put(im, value[1])

    ops.loop(count, 1, body)
    run(*(
        _inverse_tile(ops, tile, totals(s), (
            scratch, table, ops.plus(target, 2 * tile.points * s),
            ops.plus(offset, 2 * tile.scalars * s),
        ))
        for s in streams
    ))


def _tile_intrinsics(tile: Tile) -> tuple[Any, Any]:
    """Return the intrinsics of one tile shape; each call does `tile.streams` neighbours.

    ``enter(lanes, rows, scratch, table, index, offset)`` and ``multiply(lanes, rows, scratch,
    table, spectra, index, offset, source, target, count, step, back)``.
    """

    def enter(ops: Any, rows: int, args: Any) -> None:
        scratch, table, index, offset = args
        run(*(
            _forward_tile(ops, tile, (
                scratch, table, ops.plus(index, 2 * tile.points * s),
                ops.plus(offset, 2 * tile.scalars * s),
            ))
            for s in range(tile.streams)
        ))

    def multiply(ops: Any, rows: int, args: Any) -> None:
        _product_tile(ops, tile, args)

    return vector_intrinsic(enter, 2, 2), vector_intrinsic(multiply, 3, 7)


def make_bundle_walk(target: Target, dtype: str) -> Any:
    """Return the walk over the passes below the first one, for all members of a bundle.

    The order of `fft_walk.make_walk`: a node is split just before its first tile and joined just
    after its last one. `step` is the distance of members in complex points; results c = 0, 1, ...
    take the members' places, which they need no longer: c is computed downwards.
    """
    shape = tile(target, np.dtype(dtype).itemsize)
    lanes, rows, streams = shape.lanes, shape.rows, shape.streams
    points, scalars, stored = shape.points, shape.scalars, shape.spectrum
    enter, multiply = _tile_intrinsics(shape)

    @inline
    def split_any(code: int, scratch: Any, table: Any, base: int, size: int, offset: int) -> None:
        if code == 3:
            split(lanes, 8, scratch, table, base, size, offset)
        elif code == 2:
            split(lanes, 4, scratch, table, base, size, offset)
        else:
            split(lanes, 2, scratch, table, base, size, offset)

    @inline
    def join_any(code: int, scratch: Any, table: Any, base: int, size: int, offset: int) -> None:
        if code == 3:
            join(lanes, 8, scratch, table, base, size, offset)
        elif code == 2:
            join(lanes, 4, scratch, table, base, size, offset)
        else:
            join(lanes, 2, scratch, table, base, size, offset)

    @inline
    def walk(
        scratch: Any, table: Any, spectra: Any, size: int, top: int, levels: int,
        step: int, members: int, filters: int, results: int,
    ) -> None:
        tiles = size // points
        top_bits = 0
        while top << top_bits < tiles:
            top_bits += 1
        offset, nodes, rest, depth, low = 2 * top - 2, top, levels, 0, top_bits
        while rest > 0:
            low = rest & 15
            offset += nodes * ((2 << low) - 2)
            nodes <<= low
            rest >>= 4
            depth += 1
        group = 1 << low if depth > 0 else tiles
        g = 0
        while g < tiles:
            at, nodes, bits, rest = 2 * top - 2, top, top_bits, levels
            while rest > 0:
                code = rest & 15
                weight = (2 << code) - 2
                if g & ((1 << bits) - 1) == 0:
                    children = points << (bits - code)
                    for a in range(members):
                        split_any(code, scratch, table, a * step + g * points, children,
                                  at + (g >> bits) * weight)
                at += nodes * weight
                nodes <<= code
                bits -= code
                rest >>= 4
            for pair in range(group // streams):
                b = g + pair * streams
                index, twiddle = 2 * points * b, offset + 2 * scalars * b
                place = stored * points * b
                for a in range(members):
                    enter(lanes, rows, scratch, table, index + 2 * a * step, twiddle)
                c = results - 1
                while c >= 0:
                    first = max(0, c - filters + 1)
                    count = min(c, members - 1) - first + 1
                    multiply(lanes, rows, scratch, table, spectra, index + 2 * first * step,
                             twiddle, place + (c - first) * stored * size, index + 2 * c * step,
                             count, 2 * step, stored * size)
                    c -= 1
            end, level = g + group, depth - 1
            while level >= 0:
                code = (levels >> (4 * level)) & 15
                weight = (2 << code) - 2
                nodes >>= code
                at -= nodes * weight
                bits += code
                if end & ((1 << bits) - 1) != 0:
                    break
                node = (end >> bits) - 1
                children = points << (bits - code)
                for c in range(results):
                    join_any(code, scratch, table, c * step + (node << bits) * points, children,
                             at + node * weight)
                level -= 1
            g += group

    return walk
