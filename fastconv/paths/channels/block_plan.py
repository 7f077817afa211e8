"""Where a layer's bands begin and end, and how far apart their samples lie: integers only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...layer import Layer
from ...runtime.target import host_target

# Pixels so many bytes apart, or a multiple, share few sets of the first cache; a frame keeps them a
# line further apart (512 channels on 7 x 7, channels last, 3 x 3: 10.3 ms to 5.6 on Zen 3).
_ALIAS_BYTES, _LINE_BYTES = 512, 64
# So far apart they share all, and are copied apart even where no window reaches outside.
_WORST_ALIAS_BYTES = 4096
# A band's samples stay in the second cache beside a block of filters.
BAND_BYTES = 320 << 10
# Bands of a single row are whole tiles of 14 and of 7 pixels.
_PIXELS = 56
# Vectors of pixels that lie beside each other in a tile: `kernels/channels_across`.
_BESIDE_VECTORS = 3


@dataclass(frozen=True, slots=True)
class Band:
    """Some rows and columns of one image's outputs; all counts in elements.

    Parameters
    ----------
    x_at : int
        The first sample of the first window, in the image, or in the frame if there is one.
    out_at : int
        The first output.
    rows, columns : int
        Its outputs, of each channel.
    frame : tuple of int
        What the kernel ``frame`` takes after its arrays, for the first image; empty where windows
        are read from the image itself.
    """

    x_at: int
    out_at: int
    rows: int
    columns: int
    frame: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How a layer is computed by tiles.

    Parameters
    ----------
    bands : tuple of Band
        The outputs of one image.
    offsets : ndarray of int64
        For each channel of a group and each tap, in bytes.
    taps : int
        How many offsets.
    channel, pixel, row : int
        From one channel, output column or output row to the next, in the samples.
    out_channel, out_pixel, out_row : int
        The same among the outputs.
    x_image, out_image : int
        From one image to the next.
    slab : tuple of (int, ...)
        For volumes with zeros around: where the samples that are copied start, and how many
        there are per axis; empty otherwise.
    """

    bands: tuple[Band, ...]
    offsets: Any
    taps: int
    channel: int
    pixel: int
    row: int
    out_channel: int
    out_pixel: int
    out_row: int
    x_image: int
    out_image: int
    slab: tuple[tuple[int, ...], ...] = ()


@lru_cache(maxsize=1024)
def plan(layer: Layer, workers: int) -> BlockPlan:
    """Return how `layer` is computed by so many workers.

    Where bands end changes no output: every sum is one tile's, whatever the tile.
    """
    if layer.is_matrix_product:
        n, one = layer.pixels, (1, 1)
        layer = replace(
            layer, signal=(1, n), filter=one, output=(1, n), stride=one, dilation=one, pad=(0, 0)
        )
    layer = layer.as_planes()
    if layer.ndim > 2:
        return _volumes(layer)
    return (_framed if is_framed(layer) else _in_place)(layer, workers)


def is_framed(layer: Layer) -> bool:
    """Return whether the samples of a layer's bands are copied: into zeros, or apart, or together.

    Where registers are few, pixels of channels that lie first are best beside each other.
    """
    if layer.ndim > 2 and not layer.is_matrix_product:
        return False
    if reaches_outside(layer):
        return True
    few = host_target().registers <= 16
    if layer.input_last:
        pixel = layer.groups * layer.inputs * np.dtype(layer.dtype).itemsize
        return few and pixel * layer.stride[-1] % _WORST_ALIAS_BYTES == 0
    return few and _is_thinned(layer)


def _is_thinned(layer: Layer) -> bool:
    """Return whether a layer takes single samples and leaves out those between."""
    single = all(k == 1 for k in layer.filter) and max(layer.stride) > 1
    return single and not layer.input_last


def reaches_outside(layer: Layer) -> bool:
    """Return whether any window sees zeros around the image."""
    return any(
        p > 0 or side - p > n
        for p, side, n in zip(layer.pad, _sides(layer, layer.output), layer.signal, strict=True)
    )


def _sides(layer: Layer, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many samples so many outputs see along each axis."""
    return tuple(
        (m - 1) * s + geometry.span(k, d)
        for m, s, k, d in zip(outputs, layer.stride, layer.filter, layer.dilation, strict=True)
    )


def _steps(
    layer: Layer, sides: tuple[int, ...], last: bool, pitch: int = 0
) -> tuple[int, tuple[int, ...]]:
    """Return how far apart channels, and samples along each axis, of such an image lie.

    Where channels lie last, pixels are `pitch` elements apart, if that is given.
    """
    unit = (pitch or layer.groups * layer.inputs) if last else 1
    axes = tuple(unit * prod(sides[a + 1 :]) for a in range(len(sides)))
    return 1 if last else prod(sides), axes


def _offsets(layer: Layer, channel: int, axes: tuple[int, ...]) -> Any:
    table: Any = np.arange(layer.inputs, dtype=np.int64) * channel
    for k, d, step in zip(layer.filter, layer.dilation, axes, strict=True):
        table = table[..., None] + np.arange(k) * (d * step)
    table = np.ascontiguousarray(table).reshape(-1) * np.dtype(layer.dtype).itemsize
    table.flags.writeable = False
    return table


def _whole(
    layer: Layer,
    bands: list[Band],
    sides: tuple[int, ...],
    last: bool,
    kept: Layer | None = None,
    pitch: int = 0,
) -> BlockPlan:
    """Return the plan of these bands, whose samples lie in images or frames with these sides.

    `kept` is the layer with the steps between windows that frames leave, if they leave out samples.
    """
    stride = (kept or layer).stride
    channel, axes = _steps(layer, sides, last, pitch)
    channels = layer.groups * layer.outputs
    pixel, out_channel = (channels, 1) if layer.output_last else (1, layer.pixels)
    return BlockPlan(
        tuple(bands),
        _offsets(layer, channel, axes),
        layer.taps,
        channel,
        stride[-1] * axes[-1],
        stride[-2] * axes[-2],
        out_channel,
        pixel,
        layer.output[-1] * pixel,
        layer.groups * layer.inputs * prod(layer.signal),
        channels * layer.pixels,
    )


def _cut(layer: Layer, workers: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the rows and columns of each band: rows, or parts of a single row."""
    a = 1 if layer.output[0] == 1 else 0
    count, across = layer.output[a], _sides(layer, layer.output)[1 - a]
    size = np.dtype(layer.dtype).itemsize
    line = layer.groups * layer.inputs * across * size * layer.stride[a]
    high = max(1, BAND_BYTES // max(1, line))
    # Also of a thinned image that is as wide as one pixel: there rows are not one after the other.
    if a == 1 and (span := _beside(layer)):
        # The kernel itself goes through samples and filters by parts: one band, or two a worker.
        blocks = -(-count // span)
        each = -(-blocks // (1 if workers == 1 or layer.images % workers == 0 else 2 * workers))
        return [((0, 1), r) for r in geometry.bands(count, each * span)]
    if a == 1:
        high = max(_PIXELS, high // _PIXELS * _PIXELS)
    parts = -(-count // high)
    if workers > 1 and layer.images % workers:  # As many bands for each worker.
        parts = -(-parts // workers) * workers
    high = -(-count // min(parts, count))
    rows, columns = (0, layer.output[0]), (0, layer.output[1])
    ranges = geometry.bands(count, high)
    return [(r, columns) if a == 0 else (rows, r) for r in ranges]


def _beside(layer: Layer) -> int:
    """Return how many pixels meet all channels at once, where they are lanes; else 0."""
    target, dtype = host_target(), np.dtype(layer.dtype)
    lanes = target.lanes(max(dtype.itemsize, 2))  # int8 is multiplied in 16-bit lanes.
    first = not (layer.input_last or layer.output_last) and dtype.kind != "c"
    return (
        _BESIDE_VECTORS * lanes
        if first and layer.is_matrix_product and target.registers <= 16
        else 0
    )


def _out_at(layer: Layer, rows: tuple[int, int], columns: tuple[int, int]) -> int:
    pixel = layer.groups * layer.outputs if layer.output_last else 1
    return (rows[0] * layer.output[1] + columns[0]) * pixel


def _in_place(layer: Layer, workers: int) -> BlockPlan:
    """Read windows where they are: all of them lie inside the image."""
    _, axes = _steps(layer, layer.signal, layer.input_last)
    bands = []
    for rows, columns in _cut(layer, workers):
        x_at = sum(
            (low * s - p) * step
            for low, s, p, step in zip(
                (rows[0], columns[0]), layer.stride, layer.pad, axes, strict=True
            )
        )
        out_at = _out_at(layer, rows, columns)
        bands.append(Band(x_at, out_at, rows[1] - rows[0], columns[1] - columns[0]))
    return _whole(layer, bands, layer.signal, layer.input_last)


def _framed(layer: Layer, workers: int) -> BlockPlan:
    """Copy the samples of each band into a frame of zeros."""
    bands = []
    x_channel, x_axes = _steps(layer, layer.signal, layer.input_last)
    thin = layer.stride if _is_thinned(layer) and host_target().registers <= 16 else (1, 1)
    kept = replace(layer, stride=tuple(s // t for s, t in zip(layer.stride, thin, strict=True)))
    cut, channels, pitch = _cut(kept, workers), layer.groups * layer.inputs, _pitch(layer)
    # All bands have frames of one size, so that one table serves them all.
    most = (max(r[1] - r[0] for r, _ in cut), max(c[1] - c[0] for _, c in cut))
    sides = _sides(kept, most)
    channel, axes = _steps(kept, sides, layer.input_last, pitch)
    for rows, columns in cut:
        at = x_at = 0
        counts = []
        for a, (low, high) in enumerate((rows, columns)):
            start = low * layer.stride[a] - layer.pad[a]
            side = (high - low - 1) * kept.stride[a]
            side += geometry.span(layer.filter[a], layer.dilation[a])
            # The first sample of the frame that lies in the image, and how many do.
            skipped = max(0, -(start // thin[a]))
            inside = -(-(layer.signal[a] - start) // thin[a])
            counts.append(max(0, min(side, inside) - skipped))
            at += min(skipped, side) * axes[a]
            x_at += (start + skipped * thin[a]) * x_axes[a]
        if not min(counts):
            at = x_at = 0
        if not layer.input_last:
            steps = x_channel, x_axes[0] * thin[0], channel, axes[0], thin[1]
            loops = (channels, *counts, *steps)
        elif pitch == channels:
            loops = (1, counts[0], counts[1] * channels, 0, x_axes[0], 0, axes[0], 1)
        else:
            loops = (*counts, channels, *x_axes, *axes, 1)
        total = sides[0] * axes[0] if layer.input_last else channels * channel
        out_at = _out_at(layer, rows, columns)
        frame = (total, x_at, at, *loops)
        bands.append(Band(0, out_at, rows[1] - rows[0], columns[1] - columns[0], frame))
    return _whole(layer, bands, sides, layer.input_last, kept, pitch)


def _pitch(layer: Layer) -> int:
    """Return the elements from one pixel of a frame to the next, where channels lie last."""
    unit, size = layer.groups * layer.inputs, np.dtype(layer.dtype).itemsize
    return unit if unit * size % _ALIAS_BYTES else unit + _LINE_BYTES // size


def _volumes(layer: Layer) -> BlockPlan:
    """Take one plane of outputs after the other; with zeros around, from a copy of the image."""
    framed = reaches_outside(layer)
    sides = _sides(layer, layer.output) if framed else layer.signal
    last = layer.input_last and not framed
    _, axes = _steps(layer, sides, last)
    start = 0 if framed else -sum(p * s for p, s in zip(layer.pad, axes, strict=True))
    pixel = layer.groups * layer.outputs if layer.output_last else 1
    bands = []
    for place, lead in enumerate(product(*(range(m) for m in layer.output[:-2]))):
        x_at = start + sum(
            i * s * step for i, s, step in zip(lead, layer.stride, axes, strict=False)
        )
        out_at = place * prod(layer.output[-2:]) * pixel
        bands.append(Band(x_at, out_at, layer.output[-2], layer.output[-1]))
    found = _whole(layer, bands, sides, last)
    if not framed:
        return found
    return replace(found, slab=(tuple(-p for p in layer.pad), sides))
