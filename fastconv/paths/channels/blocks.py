"""Layers by register tiles: filters in vectors of output channels, samples by an offset table."""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...records import NamedTuple
from ...runtime import load, threads
from ...runtime.scratch import scratch
from ...runtime.target import host_target
from .block_plan import BlockPlan, is_framed, plan
from .slab import (
    SLACK,
    activation_of,
    apply_callable,
    around_in_scratch,
    kernel_dtype,
    no_bias,
    slope_of,
)

# Filters that take some 0.1 ms to lay out make a band.
_FILTER_ELEMENTS = 1 << 19
# Filters are laid out for so many bytes at a time: what `scratch` does not keep is fresh pages in
# every call (512 x 7 x 7 3 x 3, 9.4 MB: 0.9 of 4.9 ms on Zen 3, and 0.2 to give them back).
_FILTER_BYTES = 4 << 20


def supports(layer: Layer) -> str:
    """Return "" or why there is no tile."""
    if kernel_dtype(layer.dtype) not in KERNELS["channels"].dtypes:
        return f"no compiled loop for {layer.dtype}"
    return ""


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loops over tiles, over filters and, where there are zeros outside, frames."""
    dtype = kernel_dtype(layer.dtype)
    names = ("channels", "filters", "frame") if is_framed(layer) else ("channels", "filters")
    return tuple((name, dtype) for name in names)


def work(layer: Layer) -> Work:
    """Return the products that the tiles compute, empty lanes included, and the bytes."""
    lanes = block_of(kernel_dtype(layer.dtype)) // 2
    wide = -(-layer.outputs // lanes) * lanes
    size = np.dtype(layer.dtype).itemsize
    return Work(
        calls=layer.images * layer.groups * prod(layer.output[:-2]),
        multiply_adds=layer.multiply_adds // max(layer.outputs, 1) * wide,
        bytes_moved=size * layer.elements,
    )


@cache
def block_of(dtype: str) -> int:
    """Return the output channels in one block of filters: two vectors."""
    # int8 is multiplied in 16-bit lanes.
    return 2 * host_target().lanes(max(np.dtype(dtype).itemsize, 2))


class _Call(NamedTuple):
    """A group's part of a band: where it begins in each array, and the kernel's integers."""

    x_at: int
    w_at: int
    out_at: int
    bias_at: int
    counts: tuple[int, ...]


class _Ready(NamedTuple):
    """What a call does, apart from its numbers.

    Parameters
    ----------
    dtype : str
        Whose kernels serve it.
    found : BlockPlan
        The bands of an image.
    calls : tuple of tuple of _Call
        For each band, one for each group.
    blocks : int
        The output channels of a group, in whole blocks of filters.
    portions : list of (int, int)
        The ranges of output channels whose filters are laid out at once.
    """

    dtype: str
    found: BlockPlan
    calls: tuple[tuple[_Call, ...], ...]
    blocks: int
    portions: list[tuple[int, int]]


@lru_cache(maxsize=1024)
def _ready(layer: Layer, workers: int, keeps: bool) -> _Ready:
    dtype, found = kernel_dtype(layer.dtype), plan(layer, workers)
    block = block_of(dtype)
    blocks = -(-layer.outputs // block) * block
    steps = found.out_pixel, found.out_channel, found.out_row, 0
    calls = tuple(
        tuple(
            _Call(
                band.x_at + g * layer.inputs * found.channel,
                g * blocks * found.taps,
                band.out_at + g * layer.outputs * found.out_channel,
                g * blocks,
                (found.taps, found.pixel, found.row, band.rows, band.columns, *steps),
            )
            for g in range(layer.groups)
        )
        for band in found.bands
    )
    each = _FILTER_BYTES // max(1, layer.taps * np.dtype(dtype).itemsize * block) * block
    whole = keeps or layer.groups > 1 or layer.outputs <= each
    portions = geometry.bands(layer.outputs, layer.outputs if whole else max(block, each))
    return _Ready(dtype, found, calls, blocks, portions)


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs: bands of rows, each for all output channels."""
    workers, epilogue = operands.workers, operands.epilogue
    dtype, found, calls, blocks, portions = _ready(layer, workers, operands.w.keeps)
    x, w, whole = operands.x.reshape(-1), operands.w.array.reshape(-1), operands.out.reshape(-1)
    out = whole
    if dtype != layer.dtype:
        x, w, out = x.view(dtype), w.view(dtype), out.view(dtype)
    bias = no_bias(layer.groups * blocks, dtype)
    if epilogue.bias is not None:
        bias = _in_blocks(layer, epilogue.bias.view(dtype), blocks, dtype)
    activation, slope = activation_of(layer, epilogue), slope_of(epilogue.negative_slope, dtype)
    channels, bands, offsets = load.kernel("channels", dtype), found.bands, found.offsets
    frame = load.kernel("frame", dtype) if bands and bands[0].frame else None

    def one(samples: Any, image: int, place: int) -> None:
        if frame is not None:
            band = bands[place].frame
            work = scratch(band[0] + SLACK, dtype, "frame")
            frame(samples, work, *band)
            samples = work
        at = image * found.out_image + first * found.out_channel
        for x_at, w_at, out_at, bias_at, counts in calls[place]:
            own, goal = samples[x_at:], out[at + out_at :]
            taps, start = filters[w_at:], bias[bias_at + first :]
            channels(own, taps, goal, start, slope, offsets, *counts, last - first, activation)
        if not epilogue.compiled:
            own_channels = layer.groups * (last - first)
            size = own_channels, bands[place].rows, bands[place].columns
            steps = (found.out_channel, found.out_row, found.out_pixel)
            apply_callable(epilogue, whole[at + bands[place].out_at :], size, steps)

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, place = divmod(job, len(bands))
            one(x[image * found.x_image :] if image else x, image, place)

    for first, last in portions:
        filters = _filters(layer, operands, w, dtype, first, last)
        if found.slab:
            _volumes(layer, operands, found, one)
        else:
            threads.run_all(some, layer.images * len(bands), workers)


def _in_blocks(layer: Layer, bias: Any, blocks: int, dtype: str) -> Any:
    """Return the bias of each group in whole blocks."""
    if layer.outputs == blocks:
        return bias
    wide, kernel = scratch(layer.groups * blocks, dtype, "bias"), load.kernel("filters", dtype)
    for g in range(layer.groups):  # As filters of one tap.
        kernel(bias[g * layer.outputs :], wide[g * blocks :], layer.outputs, 1)
    return wide


def _volumes(layer: Layer, operands: LayerOperands, found: BlockPlan, one: Any) -> None:
    """Call ``one(samples, image, place)`` for all bands of all images, copied into zeros."""
    images = operands.x.view(kernel_dtype(layer.dtype))
    for image in range(layer.images):
        lead = np.moveaxis(images[image], -1, 0) if layer.input_last else images[image]
        samples = around_in_scratch(images[image], lead, *found.slab).reshape(-1)
        _all_bands(one, samples, image, len(found.bands), operands.workers)


def _all_bands(one: Any, samples: Any, image: int, bands: int, workers: int) -> None:
    """Call ``one(samples, image, place)`` for all bands of an image that was copied."""

    def some(lo: int, hi: int) -> None:
        for place in range(lo, hi):
            one(samples, image, place)

    threads.run_all(some, bands, workers)


def _filters(
    layer: Layer, operands: LayerOperands, w: Any, dtype: str, first: int, last: int
) -> Any:
    """Return filters first..last-1 of each group in blocks; in scratch unless the caller packed."""
    if operands.w.keeps:
        key = ("blocks", layer.groups)
        return operands.w.form(key, lambda _: _kept(layer, operands, w, dtype))
    return _lay_out(layer, operands, w, dtype, scratch, first, last)


def _kept(layer: Layer, operands: LayerOperands, w: Any, dtype: str) -> Any:
    """Return all filters in blocks, in memory that nobody writes to any more."""
    made = _lay_out(layer, operands, w, dtype, np.empty, 0, layer.outputs)
    made.flags.writeable = False
    return made


def _lay_out(
    layer: Layer, operands: LayerOperands, w: Any, dtype: str, room: Any, first: int, last: int
) -> Any:
    """Return filters in blocks of output channels, in memory from ``room(length, dtype)``."""
    outputs, taps, block = layer.outputs, layer.taps, block_of(dtype)
    length, kernel = -(-(last - first) // block) * block * taps, load.kernel("filters", dtype)
    into = room(layer.groups * length, dtype)
    if layer.groups == operands.workers == 1:
        kernel(w[first * taps :], into, last - first, taps)
        return into

    def some(lo: int, hi: int) -> None:
        for g in range(layer.groups):
            start = g * outputs + first + lo
            kernel(w[start * taps :], into[g * length + lo * taps :], hi - lo, taps)

    rows = max(1, _FILTER_ELEMENTS // max(1, taps * block)) * block
    threads.run(some, geometry.bands(last - first, rows), operands.workers)
    return into


PATH = LayerPath(
    name="blocks",
    summary="compiled register tiles of pixels and output channels",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    by_kernels=lambda epilogue: epilogue.compiled,
)
