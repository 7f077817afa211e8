"""Layers by register tiles: filters in vectors of output channels, samples by an offset table."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...runtime import load, threads
from ...runtime.scratch import scratch
from ...runtime.target import host_target
from .block_plan import Band, BlockPlan, plan, reaches_outside
from .slab import (
    SLACK,
    activation_of,
    apply_callable,
    around,
    kernel_dtype,
    no_bias,
    slope_of,
)

# Filters that take some 0.1 ms to lay out make a band.
_FILTER_ELEMENTS = 1 << 19


def supports(layer: Layer) -> str:
    """Return "" or why there is no tile."""
    if kernel_dtype(layer.dtype) not in KERNELS["channels"].dtypes:
        return f"no compiled loop for {layer.dtype}"
    return ""


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loops over tiles, over filters and, where there are zeros outside, frames."""
    dtype = kernel_dtype(layer.dtype)
    framed = layer.ndim < 3 and reaches_outside(layer)
    names = ("channels", "filters", "frame") if framed else ("channels", "filters")
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


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs: bands of rows, each for all output channels."""
    dtype, whole = kernel_dtype(layer.dtype), operands.out.reshape(-1)
    x, w, out = operands.x.reshape(-1), operands.w.array.reshape(-1), whole
    if dtype != layer.dtype:
        x, w, out = x.view(dtype), w.view(dtype), out.view(dtype)
    workers = operands.workers
    found, epilogue = plan(layer, workers), operands.epilogue
    filters = _filters(layer, operands, w, dtype)
    activation, slope = activation_of(layer, epilogue), slope_of(epilogue.negative_slope, dtype)
    blocks = filters.shape[1] // found.taps if found.taps else block_of(dtype)
    bias = no_bias(layer.groups * blocks, dtype).reshape(layer.groups, blocks)
    if epilogue.bias is not None:
        bias = bias.copy()
        bias[:, : layer.outputs] = epilogue.bias.view(dtype).reshape(layer.groups, -1)
    channels, frame = load.kernel("channels", dtype), None
    inside = (found.taps, found.pixel, found.row)
    outside = (found.out_pixel, found.out_channel, found.out_row, 0, layer.outputs, activation)
    x_group, out_group = layer.inputs * found.channel, layer.outputs * found.out_channel
    if found.bands and found.bands[0].frame:
        frame = load.kernel("frame", dtype)

    def one(samples: Any, image: int, band: Band) -> None:
        if frame is not None:
            work = scratch(band.frame[0] + SLACK, dtype, "frame")
            frame(samples, work, *band.frame)
            samples = work
        start, at = band.x_at, image * found.out_image + band.out_at
        size = (band.rows, band.columns)
        for g in range(layer.groups):
            goal, own = out[at + g * out_group :], samples[start + g * x_group :]
            channels(own, filters[g], goal, bias[g], slope, found.offsets, *inside, *size, *outside)
        if not epilogue.compiled:
            steps = (found.out_channel, found.out_row, found.out_pixel)
            apply_callable(epilogue, whole[at:], (layer.groups * layer.outputs, *size), steps)

    if found.slab:
        images = operands.x.view(dtype)
        for image in range(layer.images):
            lead = np.moveaxis(images[image], -1, 0) if layer.input_last else images[image]
            _run(one, found, around(lead, *found.slab).reshape(-1), (image,), workers)
    else:
        _run(one, found, x, range(layer.images), workers)


def _run(one: Any, found: BlockPlan, x: Any, images: Any, workers: int) -> None:
    """Call ``one(samples, image, band)`` for every band of every image."""
    bands, step = found.bands, 0 if found.slab else found.x_image

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, band = divmod(job, len(bands))
            one(x[images[image] * step :], images[image], bands[band])

    jobs = len(images) * len(bands)
    if workers > 1:
        threads.run(some, geometry.bands(jobs, 1), workers)
    else:
        some(0, jobs)


def _filters(layer: Layer, operands: LayerOperands, w: Any, dtype: str) -> Any:
    """Return the filters of each group in blocks; in scratch unless the caller packed them."""
    if operands.w.keeps:
        key = ("blocks", layer.groups)
        return operands.w.form(key, lambda _: _lay_out(layer, operands, w, dtype, np.empty))
    return _lay_out(layer, operands, w, dtype, scratch)


def _lay_out(layer: Layer, operands: LayerOperands, w: Any, dtype: str, room: Any) -> Any:
    """Return all filters in blocks of output channels, in memory from ``room(length, dtype)``."""
    block, outputs, taps = block_of(dtype), layer.outputs, layer.taps
    length = -(-outputs // block) * block * taps
    into = room(layer.groups * length, dtype).reshape(layer.groups, length)
    kernel = load.kernel("filters", dtype)

    def some(lo: int, hi: int) -> None:
        for g in range(layer.groups):
            kernel(w[(g * outputs + lo) * taps :], into[g, lo * taps :], hi - lo, taps)

    rows = max(1, _FILTER_ELEMENTS // max(1, taps * block)) * block
    if operands.workers > 1:
        threads.run(some, geometry.bands(outputs, rows), operands.workers)
    else:
        some(0, outputs)
    return into


PATH = LayerPath(
    name="blocks",
    summary="compiled register tiles of pixels and output channels",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
