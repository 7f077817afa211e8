"""Which of Winograd's tiles a layer takes, and where its bands of tiles begin and end: integers."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from ... import geometry
from ...layer import Layer
from ...path import Work
from ...records import NamedTuple
from ...runtime.target import host_target

SIZES = (4, 2)
# A band's frequencies of samples stay in the second cache, or nearly: the optimum is flat from 0.4
# to 1.2 MB, since a frequency's samples are used at once for all filters. Below 32 tiles, reading
# the filters' frequencies would take longer than the products (512 channels: 1.2x at 16).
_BAND_BYTES, _LEAST_TILES = 640 << 10, 32
# What an element of a transform, and a byte that is streamed, cost in multiply-adds.
_TRANSFORMED, _STREAMED = 10.0, 2.5
_LINE = 64


class Band(NamedTuple):
    """Some tiles of some images.

    Parameters
    ----------
    image, images : int
        The first image, and how many.
    rows, columns : int
        Tiles of each image.
    at : tuple of int
        The first output, per axis.
    high, wide : int
        Outputs of each image, without those of tiles that reach beyond.
    """

    image: int
    images: int
    rows: int
    columns: int
    at: tuple[int, int]
    high: int
    wide: int


class WinogradPlan(NamedTuple):
    """How a layer is computed by Winograd's tiles; lengths in elements.

    Parameters
    ----------
    m : int
        Outputs of a tile along each axis.
    bands : tuple of Band
        All outputs.
    block, blocks : int
        Output channels of a block of filters, and blocks of each group.
    u_pitch, v_pitch, p_pitch : int
        From one frequency to the next: of a block of filters, of a band's samples and products.
    after : int
        Where the samples' frequencies end.
    work : int
        The work space of a band.
    """

    m: int
    bands: tuple[Band, ...]
    block: int
    blocks: int
    u_pitch: int
    v_pitch: int
    p_pitch: int
    after: int
    work: int

    @property
    def frequencies(self) -> int:
        """Products of a tile."""
        return (self.m + 2) ** 2

    @property
    def filters(self) -> int:
        """Elements of the frequencies of one group's filters."""
        return self.blocks * self.frequencies * self.u_pitch


@lru_cache(maxsize=1024)
def plan(layer: Layer, workers: int, packed: bool) -> WinogradPlan:
    """Return how `layer` is computed by so many workers.

    Tiles are the same for any number of workers, and bands change no output.
    """
    return _plan(layer, _size(layer, packed), workers)


@lru_cache(maxsize=1024)
def _size(layer: Layer, packed: bool) -> int:
    """Return the outputs of a tile along each axis that cost least."""

    def cost(m: int) -> float:
        work = work_of(layer, _plan(layer, m, 1), packed)
        passed = _TRANSFORMED * work.butterflies + _STREAMED * work.bytes_moved
        return work.multiply_adds + passed

    return min(SIZES, key=cost)


def work_of(layer: Layer, found: WinogradPlan, packed: bool) -> Work:
    """Return the products, the transforms' elements as butterflies, and what is streamed."""
    tiles = sum(b.images * b.rows * b.columns for b in found.bands) * found.frequencies
    wide, size = found.blocks * found.block, np.dtype(layer.dtype).itemsize
    samples = layer.images * layer.groups * layer.inputs * prod(layer.signal)
    outputs = layer.images * layer.groups * layer.outputs * layer.pixels
    filters = layer.groups * found.filters
    # Those that are not packed are transformed, written, and read again.
    fresh = 0 if packed else filters
    return Work(
        calls=layer.groups * (len(found.bands) + (0 if packed else 2 * found.blocks)),
        multiply_adds=layer.groups * tiles * layer.inputs * wide,
        butterflies=float(layer.groups * tiles * (layer.inputs + wide) + fresh),
        bytes_moved=size * (samples + outputs + filters * len(found.bands) + 2 * fresh),
    )


def _plan(layer: Layer, m: int, workers: int) -> WinogradPlan:
    size = np.dtype(layer.dtype).itemsize
    lanes, frequencies = host_target().lanes(size), (m + 2) ** 2
    block = 2 * lanes
    blocks, room = -(-layer.outputs // block), -(-layer.inputs // lanes) * lanes
    most = max(_LEAST_TILES, _BAND_BYTES // (frequencies * room * size))
    bands = tuple(_cut(layer, m, most, workers))
    tiles = max((b.images * b.rows * b.columns for b in bands), default=0)
    v_pitch, p_pitch = _spread(tiles * room, size), _spread(tiles * blocks * block, size)
    windows = [b.images * (m * b.rows + 2) * (m * b.columns + 2) for b in bands]
    products = frequencies * p_pitch + (tiles * m * m + lanes) * block
    after = frequencies * v_pitch
    work = after + max(products, max(windows, default=0) * room)
    pitch = _spread(layer.inputs * block, size)
    return WinogradPlan(m, bands, block, blocks, pitch, v_pitch, p_pitch, after, work)


def _spread(length: int, size: int) -> int:
    """Return a pitch of at least `length` whose multiples fall into all sets of a cache."""
    lines = -(-length * size // _LINE) | 1
    return lines * _LINE // size


def _cut(layer: Layer, m: int, most: int, workers: int) -> list[Band]:
    """Return bands of some `most` tiles: whole images, rows of tiles, or parts of rows."""
    rows, columns = (-(-n // m) for n in layer.output)
    images, high, wide = 1, rows, columns
    if most >= rows * columns:
        images = most // max(1, rows * columns)
    elif most >= columns:
        high = most // columns
    else:
        high = min(2, rows)  # Of a single row, half as many samples again would be copied.
        wide = most // high
    lengths = [(layer.images, images), (rows, high), (columns, wide)]
    parts = [-(-count // max(1, length)) for count, length in lengths]
    if workers > 1:  # As many bands for each worker, rather somewhat larger ones than more.
        axis = 1 if layer.images % workers else 0
        parts[axis] = min(lengths[axis][0], workers * max(1, parts[axis] // workers))
    found = []
    ranges = [
        geometry.bands(count, -(-count // max(1, part)))
        for (count, _), part in zip(lengths, parts, strict=True)
    ]
    for (n0, n1), (r0, r1), (c0, c1) in product(*ranges):
        at = r0 * m, c0 * m
        stop = min(r1 * m, layer.output[0]), min(c1 * m, layer.output[1])
        found.append(Band(n0, n1 - n0, r1 - r0, c1 - c0, at, stop[0] - at[0], stop[1] - at[1]))
    return found
