"""Twiddle tables for the block transform: made accurately, kept within bounds, thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from math import prod

import numpy as np

from ..kernels.fft_layout import Tile, tile, turns
from ..records import NamedTuple
from ..runtime.locks import new_lock
from ..runtime.target import Target, host_target

# A table has about 0.4 M reals, so this keeps a few block sizes: at most 16 MB in float64 beside
# the newest one, which is kept whatever its size.
MAX_KEPT_REALS = 1 << 21

# Kernels see complex numbers as pairs of reals.
PARTS = {"complex128": "float64", "complex64": "float32"}

_TURN = 8 * np.arctan(np.longdouble(1))
# Twiddles are worked on in pieces that stay in the second cache.
_PIECE = 4096


class Transform(NamedTuple):
    """How blocks of one size are transformed, and the twiddles for it.

    Parameters
    ----------
    size : int
        Complex points M; a block has 2M real samples.
    top : int
        Radix of the first pass: 2, 3, 4, 5 or 8.
    levels : int
        Log2 of the radices below it, 4 bits each, the uppermost first in the lowest bits.
    table : ndarray
        What the kernels ``spectrum`` and ``overlap_save`` take; read-only.
    spectrum_length : int
        Reals in one filter's spectrum.
    scratch_length : int
        Reals of work space.
    """

    size: int
    top: int
    levels: int
    table: np.ndarray
    spectrum_length: int
    scratch_length: int


_kept: OrderedDict[tuple[int, str, str], Transform] = OrderedDict()
_lock = new_lock()


def transform(size: int, dtype: str) -> Transform:
    """Return the transform of `size` complex points for this machine.

    Raises
    ------
    ValueError
        If `size` is not one of `sizes`.
    """
    target = host_target()
    key = (size, dtype, target.name)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
            return found
    made = make_transform(size, dtype, target)
    with _lock:
        _kept[key] = made
        total = sum(t.table.size for t in _kept.values())
        while total > MAX_KEPT_REALS and len(_kept) > 1:
            total -= _kept.popitem(last=False)[1].table.size
    return made


def make_transform(
    size: int, dtype: str, target: Target, radices: tuple[int, ...] | None = None
) -> Transform:
    """Return the transform of `size` points for `target`, made anew; `radices` to override."""
    shape = tile(target, np.dtype(dtype).itemsize)
    top, *below = radices or schedule(size, shape)
    levels = sum((r.bit_length() - 1) << (4 * j) for j, r in enumerate(below))
    table = twiddles(shape, (top, *below), dtype, 2 / size)
    table.flags.writeable = False
    return Transform(size, top, levels, table, shape.spectrum * size, 2 * size)


class Lengths(NamedTuple):
    """Reals that a transform takes: a filter's spectrum, work space, the table; and its `top`."""

    spectrum: int
    scratch: int
    table: int
    top: int


@lru_cache(maxsize=256)
def lengths(size: int, dtype: str) -> Lengths:
    """Return what `transform` would, as to lengths, without making a table."""
    shape = tile(host_target(), np.dtype(dtype).itemsize)
    radices = schedule(size, shape)
    nodes, roots = 1, 0
    for radix in radices:
        roots, nodes = roots + nodes * (radix - 1), nodes * radix
    table = 2 * (roots + nodes * (shape.rows + shape.inner - 2)) + 1
    return Lengths(shape.spectrum * size, 2 * size, table, radices[0])


def sizes(dtype: str, limit: int) -> list[int]:
    """Return every block size of this machine up to `limit`, ascending."""
    shape = tile(host_target(), np.dtype(dtype).itemsize)
    unit = shape.points * shape.streams
    powers = [1 << bits for bits in range(48)]
    return sorted(
        unit * odd * power
        for odd in (1, 3, 5)
        for power in powers
        if unit * odd * power <= limit and odd * power * shape.streams > 1
    )


def schedule(size: int, shape: Tile) -> tuple[int, ...]:
    """Return the radices from the first pass down to the tile."""
    tiles, rest = divmod(size, shape.points)
    odd = next((r for r in (3, 5) if tiles % r == 0), 1)
    power = tiles // odd if tiles else 0
    if rest or power & (power - 1) or power < shape.streams or tiles < 2:
        raise ValueError(
            f"size must be {shape.points * shape.streams} times 1, 3 or 5 times a power of two, "
            f"got {size}"
        )
    bits = power.bit_length() - 1
    if odd > 1:
        return odd, *_radices(bits)
    # Radix 8 on top of a long power of two meets too few ways of the first cache.
    first = min(bits, 3) if bits < 4 else 2
    return 1 << first, *_radices(bits - first)


def _radices(bits: int) -> tuple[int, ...]:
    """Return radices of 8 below a 2 or one or two 4s."""
    if bits == 1:
        return (2,)
    fours = -bits % 3
    return (4,) * fours + (8,) * ((bits - 2 * fours) // 3)


def twiddles(shape: Tile, radices: tuple[int, ...], dtype: str, scale: float) -> np.ndarray:
    """Return the table: for each level every node's t, t^2, ..., the tiles' the same, the scale."""
    passes = [(tuple(range(1, radix)), radix) for radix in radices]
    # Inside the tile: powers of c^(1/R), then the scalar part of those of c^(1/RK).
    inside = (*(k * shape.inner for k in range(1, shape.rows)), *range(1, shape.inner))
    passes.append((inside, shape.rows * shape.inner))
    counts = [prod(radices[:level]) * len(powers) for level, (powers, _) in enumerate(passes)]
    table = np.empty(2 * sum(counts) + 1, dtype)
    start = 0
    for level, (powers, radix) in enumerate(passes):
        part = table[start : start + 2 * counts[level]].view(np.result_type(dtype, np.complex64))
        _fill(part.reshape(-1, len(powers)), radices[:level], powers, radix)
        start += 2 * counts[level]
    table[-1] = scale
    return table


def _fill(out: np.ndarray, above: tuple[int, ...], powers: tuple[int, ...], radix: int) -> None:
    """Set ``out[node, k]`` to the node's ``c^(powers[k] / radix)``.

    `above` are the radices of the passes above it. A node's angle is the sum of what each of them
    adds, little in the uppermost ones, which come first in its number: a long table is a product
    of two short ones. M = 2^20: 6 ms, one by one 22.
    """
    if out.size <= _PIECE:
        angle, whole = _angles(above, 1)
        out[...] = _roots(angle[:, None] * np.array(powers), whole * radix)
        return
    split = max(j for j in range(1, len(above)) if j == 1 or prod(above[:j]) ** 2 <= len(out))
    fine, part = _angles(above[:split], 1)
    coarse, whole = _angles(above[split:], 0, part)
    # exp(i a) = 1 + turned for the small angles a; exp(i b) = large + low for the others.
    small = np.multiply.outer(np.array(powers), fine) * _TURN / (whole * radix)
    turned = np.empty(small.shape, np.complex128)
    turned.real, turned.imag = -2 * np.sin(small / 2) ** 2, np.sin(small)
    large, low = _precise_roots(np.multiply.outer(np.array(powers), coarse), whole * radix)
    nodes = out.reshape(len(fine), len(coarse), len(powers))
    some = max(1, _PIECE // len(coarse))
    for u in range(0, len(fine), some):
        for k in range(len(powers)):
            product = turned[k, u : u + some, None] * large[k]
            product += low[k]
            product += large[k]
            nodes[u : u + some, :, k] = product


def _angles(radices: tuple[int, ...], first: int, whole: int = 4) -> tuple[np.ndarray, int]:
    """Return the nodes' angles, in turns exactly angle / whole, after some passes, and `whole`.

    The root has the angle `first`: 1 / 4 where it is the modulus X^M - i.
    """
    angle = np.array([first], np.int64)
    for radix in radices:
        children = np.array(turns(radix), np.int64)
        angle = (angle[:, None] + whole * children[None, :]).ravel()
        whole *= radix
    return angle, whole


def _precise_roots(angle: np.ndarray, whole: int) -> tuple[np.ndarray, np.ndarray]:
    """Return exp(2 pi i angle / whole) as the nearest double and what is missing from it.

    Where long doubles are no longer than doubles nothing is: twiddles made of these are then within
    1.6 units instead of 0.7, which the bound on a transform's errors has room for.
    """
    rest = np.rint(angle * (8 / whole))
    small = (angle - rest * (whole / 8)) * _TURN / whole
    octant = rest.astype(np.intp) & 7
    root = np.sqrt(np.longdouble(0.5))
    corners = np.array([1, root, 0, -root, -1, -root, 0, root], np.longdouble)
    cosine, sine = corners[octant], corners[octant - 2]
    x, y = np.cos(small), np.sin(small)
    real, imag = cosine * x - sine * y, sine * x + cosine * y
    large = real.astype(np.float64) + 1j * imag.astype(np.float64)
    low = (real - large.real).astype(np.float64) + 1j * (imag - large.imag).astype(np.float64)
    return large, low


def _roots(angle: np.ndarray, whole: int) -> np.ndarray:
    """Return exp(2 pi i angle / whole), each part within 1.4 units of roundoff.

    The nearest quarter turn is taken out exactly, so that the angles left are small.
    """
    rest = angle.astype(np.float64)
    quarter = np.rint(rest * (4 / whole))
    rest -= quarter * (whole / 4)
    rest *= 2 * np.pi / whole
    out = np.empty(rest.shape, np.complex128)
    out.real, out.imag = np.cos(rest), np.sin(rest)
    out *= np.array([1, 1j, -1, -1j]).take(quarter.astype(np.intp) & 3)
    return out
