"""The register tile: the last points of a block transform, times the filter's spectrum, and back.

A tile is R vectors of L lanes, complex. It is loaded and stored once:

1. radix R over the vectors, modulo (X^P - c), with twiddles broadcast from the table;
2. a transposition, so that lane s belongs to child s;
3. radix K over the vectors; lane s multiplies the scalar root of c by a constant root of unity;
4. the product of pairs modulo (X^2 - d): d is known from step 3;
5. steps 3, 2 and 1 backwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from ..records import NamedTuple
from .fft_butterflies import Complex, forward, inverse, multiply, run
from .fft_emit import vector_intrinsic
from .fft_layout import Tile, turns


def _load_tile(ops: Any, array: Any, index: Any, count: int) -> list[Complex]:
    width = 2 * ops.lanes
    return [
        (ops.load(array, ops.plus(index, width * r)),
         ops.load(array, ops.plus(index, width * r + ops.lanes)))
        for r in range(count)
    ]


def _store_tile(ops: Any, array: Any, index: Any, z: list[Complex]) -> None:
    width = 2 * ops.lanes
    for r, value in enumerate(z):
        ops.store(array, ops.plus(index, width * r), value[0])
        ops.store(array, ops.plus(index, width * r + ops.lanes), value[1])


def _scalar(ops: Any, table: Any, offset: Any, j: int) -> Complex:
    return (ops.broadcast(table, ops.plus(offset, 2 * j)),
            ops.broadcast(table, ops.plus(offset, 2 * j + 1)))


def _roots(ops: Any, tile: Tile, angles: list[float]) -> Complex:
    """Return the constant exp(2 pi i angles[s]), s the child that owns the lane."""
    unit = tile.lanes // tile.rows
    lanes = [angles[lane // unit] for lane in range(tile.lanes)]
    sines = [_cosine(a - 0.25) for a in lanes]
    return ops.constant([_cosine(a) for a in lanes]), ops.constant(sines)


def _cosine(angle: float) -> float:
    """Return cos(2 pi angle), exact at multiples of a quarter turn."""
    eighths = angle % 1.0 * 8
    octant = round(eighths)
    rest = (eighths - octant) * math.pi / 4
    root = math.sqrt(0.5)
    cosine = (1.0, root, 0.0, -root, -1.0, -root, 0.0, root)[octant % 8]
    sine = (0.0, root, 1.0, root, 0.0, -root, -1.0, -root)[octant % 8]
    return cosine * math.cos(rest) - sine * math.sin(rest)


def _inner_twiddles(ops: Any, tile: Tile, table: Any, offset: Any) -> list[Complex]:
    """Return the twiddles of step 3: one root of c per lane."""
    twiddles = []
    for k in range(1, tile.inner):
        angles = [s * k / (tile.rows * tile.inner) for s in turns(tile.rows)]
        scalar = _scalar(ops, table, offset, tile.rows - 2 + k)
        twiddles.append(multiply(ops, scalar, _roots(ops, tile, angles)))
    return twiddles


def _transpose(ops: Any, rows: list[Any], unit: int) -> list[Any]:
    """Transpose a square of len(rows) by len(rows) units of `unit` neighbouring lanes."""
    count, lanes = len(rows), ops.lanes

    def pick(a: Any, b: Any, choice: Any) -> Any:
        # choice: for each unit of the result, (0 or 1: a or b, which unit).
        mask = [source * lanes + u * unit + e for source, u in choice for e in range(unit)]
        return ops.shuffle(a, b, mask)

    # Neighbouring rows exchange odd and even units: unpack instructions.
    rows = list(rows)
    for i in range(0, count, 2):
        a, b = rows[i], rows[i + 1]
        for odd in (0, 1):
            rows[i + odd] = pick(
                a, b, [(u % 2, u - u % 2 + odd) for u in range(count)]
            )
    if count == 2:
        return rows
    if count == 4:
        for i in (0, 1):
            a, b = rows[i], rows[i + 2]
            rows[i] = pick(a, b, [(0, 0), (0, 1), (1, 0), (1, 1)])
            rows[i + 2] = pick(a, b, [(0, 2), (0, 3), (1, 2), (1, 3)])
        return rows
    # Then a 4 by 4 transposition of unit pairs, by shuffles of whole 128-bit parts.
    for i in (0, 1):
        a, b, c, d = rows[i], rows[i + 2], rows[i + 4], rows[i + 6]
        low, high = (0, 1, 2, 3), (4, 5, 6, 7)
        p = pick(a, b, [(0, u) for u in low] + [(1, u) for u in low])
        q = pick(c, d, [(0, u) for u in low] + [(1, u) for u in low])
        r = pick(a, b, [(0, u) for u in high] + [(1, u) for u in high])
        s = pick(c, d, [(0, u) for u in high] + [(1, u) for u in high])
        even = [(0, 0), (0, 1), (0, 4), (0, 5), (1, 0), (1, 1), (1, 4), (1, 5)]
        odd = [(k, u + 2) for k, u in even]
        rows[i], rows[i + 2] = pick(p, q, even), pick(p, q, odd)
        rows[i + 4], rows[i + 6] = pick(r, s, even), pick(r, s, odd)
    return rows


def _exchange(ops: Any, tile: Tile, z: list[Complex]) -> Iterator[None]:
    if tile.inner > 1:
        unit = tile.lanes // tile.rows
        re = _transpose(ops, [v[0] for v in z], unit)
        im = _transpose(ops, [v[1] for v in z], unit)
        z[:] = zip(re, im, strict=True)
        yield


def _inner(ops: Any, tile: Tile, z: list[Complex], step: Any, twiddles: Any) -> Iterator[None]:
    """Apply step 3, `forward` or `inverse`, to every residue of the vectors."""
    if tile.inner > 1:
        stride = tile.rows // tile.inner
        for e in range(stride):
            part = z[e::stride]
            yield from step(ops, part, twiddles)
            z[e::stride] = part


def _outer_twiddles(ops: Any, tile: Tile, table: Any, offset: Any) -> list[Complex]:
    return [_scalar(ops, table, offset, j) for j in range(tile.rows - 1)]


def _swap(ops: Any, a: Any) -> Any:
    return ops.shuffle(a, a, [lane ^ 1 for lane in range(ops.lanes)])


def _product(ops: Any, a: Complex, b: Complex, c: Complex, d: Complex) -> Complex:
    """Return a * b + c * d."""
    re = ops.fnma(c[1], d[1], ops.fms(a[0], b[0], ops.mul(a[1], b[1])))
    im = ops.fma(c[1], d[0], ops.fma(a[0], b[1], ops.mul(a[1], b[0])))
    return ops.fma(c[0], d[0], re), ops.fma(c[0], d[1], im)


def _product_tile(ops: Any, tile: Tile, args: Any, compact: bool = False) -> Iterator[None]:
    """Transform one tile, multiply it by the spectrum, transform it back, in place."""
    scratch, table, spectrum, index, offset, source = args
    z = _load_tile(ops, scratch, index, tile.rows)
    yield from forward(ops, z, _outer_twiddles(ops, tile, table, offset))
    yield from _exchange(ops, tile, z)
    inner = _inner_twiddles(ops, tile, table, offset)
    yield from _inner(ops, tile, z, forward, inner)
    _multiply_tile(ops, tile, z, table, spectrum, offset, source, inner, compact)
    yield
    yield from _inner(ops, tile, z, inverse, inner)
    yield from _exchange(ops, tile, z)
    # Read the broadcast twiddles once more: kept, they would be spilled.
    yield from inverse(ops, z, _outer_twiddles(ops, tile, table, ops.again(offset)))
    _store_tile(ops, scratch, index, z)


def _forward_tile(ops: Any, tile: Tile, args: Any, compact: bool = False) -> Iterator[None]:
    """Transform one tile in place, as far as the product needs: the first half of a product."""
    scratch, table, index, offset = args
    z = _load_tile(ops, scratch, index, tile.rows)
    yield from forward(ops, z, _outer_twiddles(ops, tile, table, offset))
    yield from _exchange(ops, tile, z)
    yield from _inner(ops, tile, z, forward, _inner_twiddles(ops, tile, table, offset))
    _store_tile(ops, scratch, index, z)


def _inverse_tile(ops: Any, tile: Tile, args: Any, compact: bool = False) -> Iterator[None]:
    """Multiply a transformed tile by a spectrum and transform it back: a product's second half."""
    held, scratch, table, spectrum, index, offset, source = args
    z = _load_tile(ops, held, index, tile.rows)
    inner = _inner_twiddles(ops, tile, table, offset)
    _multiply_tile(ops, tile, z, table, spectrum, offset, source, inner, compact)
    yield
    yield from _inner(ops, tile, z, inverse, inner)
    yield from _exchange(ops, tile, z)
    yield from inverse(ops, z, _outer_twiddles(ops, tile, table, offset))
    _store_tile(ops, scratch, index, z)


def _multiply_tile(
    ops: Any, tile: Tile, z: list[Complex], table: Any, spectrum: Any, offset: Any, source: Any,
    inner: list[Complex], compact: bool,
) -> None:
    """Multiply the pairs of a transformed tile by those of the spectrum."""

    def filter_value(j: int) -> Complex:
        at = ops.plus(source, 2 * ops.lanes * j)
        return ops.load(spectrum, at), ops.load(spectrum, ops.plus(at, ops.lanes))

    if compact:
        twiddles = inner or _outer_twiddles(ops, tile, table, offset)
        _compact_products(ops, tile, z, filter_value, twiddles)
    elif tile.paired:
        for k, a in enumerate(z):
            swapped = _swap(ops, a[0]), _swap(ops, a[1])
            z[k] = _product(ops, a, filter_value(2 * k), swapped, filter_value(2 * k + 1))
    else:
        for k in range(tile.inner):
            a0, a1 = z[2 * k], z[2 * k + 1]
            b0, b1, turned = (filter_value(3 * k + j) for j in range(3))
            z[2 * k] = _product(ops, a0, b0, a1, turned)
            z[2 * k + 1] = _product(ops, a0, b1, a1, b0)


def _compact_products(
    ops: Any, tile: Tile, z: list[Complex], filter_value: Any, twiddles: list[Complex]
) -> None:
    """Multiply the pairs by a spectrum as it was transformed: two reals per point to be read."""
    if not tile.paired:
        for k in range(tile.inner):
            a0, a1, b0, b1 = z[2 * k], z[2 * k + 1], filter_value(2 * k), filter_value(2 * k + 1)
            turned = multiply(ops, _modulus(ops, tile, twiddles, k), b1)
            z[2 * k] = _product(ops, a0, b0, a1, turned)
            z[2 * k + 1] = _product(ops, a0, b1, a1, b0)
        return
    lanes = range(ops.lanes)
    even, odd = [lane & ~1 for lane in lanes], [lane | 1 for lane in lanes]
    mixed = [lane if lane % 2 == 0 else lane + ops.lanes for lane in lanes]
    one, zero = ops.constant([1.0] * ops.lanes), ops.constant([0.0] * ops.lanes)
    for k, a in enumerate(z):
        re, im = filter_value(k)
        b0 = ops.shuffle(re, re, even), ops.shuffle(im, im, even)
        b1 = ops.shuffle(re, re, odd), ops.shuffle(im, im, odd)
        d = _modulus(ops, tile, twiddles, k)
        turned = multiply(ops, (ops.shuffle(d[0], one, mixed), ops.shuffle(d[1], zero, mixed)), b1)
        z[k] = _product(ops, a, b0, (_swap(ops, a[0]), _swap(ops, a[1])), turned)


def _spectrum_tile(
    ops: Any, tile: Tile, args: Any, compact: bool = False, scale: Any = 0
) -> Iterator[None]:
    """Transform one tile of the filter and store what the product needs, times ``table[scale]``."""
    scratch, table, spectrum, index, offset, target = args
    z = _load_tile(ops, scratch, index, tile.rows)
    factor = ops.broadcast(table, scale)
    z = [(ops.mul(re, factor), ops.mul(im, factor)) for re, im in z]
    outer = _outer_twiddles(ops, tile, table, offset)
    yield from forward(ops, z, outer)
    yield from _exchange(ops, tile, z)
    inner = _inner_twiddles(ops, tile, table, offset)
    yield from _inner(ops, tile, z, forward, inner)
    stored: list[Complex] = []
    if compact:
        stored = z
    elif tile.paired:
        lanes = range(ops.lanes)
        even, odd = [lane & ~1 for lane in lanes], [lane | 1 for lane in lanes]
        mixed = [lane if lane % 2 == 0 else lane + ops.lanes for lane in lanes]
        for k, (re, im) in enumerate(z):
            b1 = ops.shuffle(re, re, odd), ops.shuffle(im, im, odd)
            turned = multiply(ops, _modulus(ops, tile, inner or outer, k), b1)
            stored.append((ops.shuffle(re, re, even), ops.shuffle(im, im, even)))
            stored.append((ops.shuffle(turned[0], b1[0], mixed),
                           ops.shuffle(turned[1], b1[1], mixed)))
    else:
        for k in range(tile.inner):
            turned = multiply(ops, _modulus(ops, tile, inner, k), z[2 * k + 1])
            stored += [z[2 * k], z[2 * k + 1], turned]
    yield
    _store_tile(ops, spectrum, target, stored)


def _modulus(ops: Any, tile: Tile, twiddles: list[Complex], k: int) -> Complex:
    """Return d of pair k, modulo (X^2 - d): the first twiddle times a constant root of unity."""
    radix = len(twiddles) + 1
    angle = turns(radix)[k] / radix
    root = _cosine(angle), _cosine(angle - 0.25)
    return multiply(
        ops, twiddles[0], (ops.constant([root[0]] * ops.lanes), ops.constant([root[1]] * ops.lanes))
    )


def _side_by_side(tile: Tile, ops: Any, emit: Any, arrays: Any, places: Any, compact: bool) -> None:
    """Emit `emit` for the neighbouring tiles that share the registers.

    `places` are the tile's first real, its twiddles' and, where it has one, its spectrum's.
    """
    units = 2 * tile.points, 2 * tile.scalars, (2 if compact else tile.spectrum) * tile.points
    run(*(
        emit(ops, tile, (
            *arrays, *(ops.plus(p, unit * s) for p, unit in zip(places, units, strict=False)),
        ), compact)
        for s in range(tile.streams)
    ))


class Tiles(NamedTuple):
    """The intrinsics of one tile shape; each call does `tile.streams` neighbours.

    `index` is the tile's first real in scratch, `offset` its twiddles' in the table, `place` its
    first one in the spectrum.

    Parameters
    ----------
    product : intrinsic
        (lanes, rows, scratch, table, spectrum, index, offset, place): there and back.
    spectrum : intrinsic
        (lanes, rows, scratch, table, spectrum, index, offset, place, scale): of a filter.
    forward : intrinsic
        (lanes, rows, scratch, table, index, offset): of a signal, in place.
    inverse : intrinsic
        (lanes, rows, held, scratch, table, spectrum, index, offset, place): the product of what
        `forward` has left in `held`, and back.
    """

    product: Any
    spectrum: Any
    forward: Any
    inverse: Any


def tile_intrinsics(tile: Tile, compact: bool = False) -> Tiles:
    """Return the intrinsics of one tile shape.

    `compact`: 2 reals of spectrum per point, for blocks that leave the nearer caches.
    """

    def product(ops: Any, rows: int, args: Any) -> None:
        _side_by_side(tile, ops, _product_tile, args[:3], args[3:], compact)

    def spectrum(ops: Any, rows: int, args: Any) -> None:
        *rest, scale = args
        emit = partial(_spectrum_tile, scale=scale)
        _side_by_side(tile, ops, emit, rest[:3], rest[3:], compact)

    def there(ops: Any, rows: int, args: Any) -> None:
        _side_by_side(tile, ops, _forward_tile, args[:2], args[2:], compact)

    def back(ops: Any, rows: int, args: Any) -> None:
        _side_by_side(tile, ops, _inverse_tile, args[:4], args[4:], compact)

    return Tiles(
        vector_intrinsic(product, 3, 3), vector_intrinsic(spectrum, 3, 4),
        vector_intrinsic(there, 2, 2), vector_intrinsic(back, 4, 3),
    )
