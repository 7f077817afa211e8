"""Layers by register tiles: filters in vectors of output channels, samples by an offset table."""

from __future__ import annotations

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
from .slab import SLACK, activation_of, apply_callable, around, kernel_dtype, slope_of

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


def block_of(dtype: str) -> int:
    """Return the output channels in one block of filters: two vectors."""
    # int8 is multiplied in 16-bit lanes.
    return 2 * host_target().lanes(max(np.dtype(dtype).itemsize, 2))


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs: bands of rows, each for all output channels."""
    dtype = kernel_dtype(layer.dtype)
    x, w, out = (a.view(dtype).reshape(-1) for a in (operands.x, operands.w.array, operands.out))
    found = plan(layer, operands.workers)
    filters = _filters(layer, operands, w, dtype)
    epilogue = operands.epilogue
    activation, slope = activation_of(layer, epilogue), slope_of(epilogue, dtype)
    bias = np.zeros((layer.groups, len(filters[0]) // max(layer.taps, 1)), dtype)
    if epilogue.bias is not None:
        bias[:, : layer.outputs] = epilogue.bias.view(dtype).reshape(layer.groups, -1)
    channels = load.kernel("channels", dtype)
    inside = (layer.taps, found.pixel, found.row)
    outside = (found.out_pixel, found.out_channel, found.out_row, 0, layer.outputs, activation)

    def one(samples: Any, image: int, band: Band) -> None:
        at = image * found.out_image + band.out_at
        for g in range(layer.groups):
            channels(
                samples[g * layer.inputs * found.channel :],
                filters[g],
                out[at + g * layer.outputs * found.out_channel :],
                bias[g],
                slope,
                found.offsets,
                *inside,
                band.rows,
                band.columns,
                *outside,
            )
        if not epilogue.compiled:
            steps = (found.out_channel, found.out_row, found.out_pixel)
            shape = (layer.groups * layer.outputs, band.rows, band.columns)
            apply_callable(epilogue, operands.out.reshape(-1)[at:], shape, steps)

    if found.slab:
        images = operands.x.view(dtype)
        for image in range(layer.images):
            whole = np.moveaxis(images[image], -1, 0) if layer.input_last else images[image]
            _run(one, found, around(whole, *found.slab).reshape(-1), (image,), operands.workers)
    else:
        _run(one, found, x, range(layer.images), operands.workers)


def _run(one: Any, found: BlockPlan, x: Any, images: Any, workers: int) -> None:
    """Call ``one(samples, image, band)`` for every band of every image."""
    bands, step = found.bands, 0 if found.slab else found.x_image

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, band = images[job // len(bands)], bands[job % len(bands)]
            samples = x[image * step :]
            if band.frame:
                samples = _frame(samples, band)
            one(samples[band.x_at :], image, band)

    threads.run(some, geometry.bands(len(images) * len(bands), 1), workers)


def _frame(x: Any, band: Band) -> Any:
    """Return the samples of a band with the zeros around them."""
    work = scratch(band.frame[0] + SLACK, x.dtype, "frame")
    load.kernel("frame", x.dtype.name)(x, work, *band.frame)
    return work


def _filters(layer: Layer, operands: LayerOperands, w: Any, dtype: str) -> Any:
    """Return the filters of each group in blocks; in scratch unless the caller packed them."""
    block = block_of(dtype)
    shape = (layer.groups, -(-layer.outputs // block) * block * layer.taps)
    kernel, taps = load.kernel("filters", dtype), layer.taps

    def lay_out(into: Any) -> Any:
        def some(lo: int, hi: int) -> None:
            for g in range(layer.groups):
                kernel(w[(g * layer.outputs + lo) * taps :], into[g, lo * taps :], hi - lo, taps)

        rows = max(1, _FILTER_ELEMENTS // max(1, taps * block)) * block
        threads.run(some, geometry.bands(layer.outputs, rows), operands.workers)
        return into

    if operands.w.keeps:
        return operands.w.form(("blocks", layer.groups), lambda _: lay_out(np.empty(shape, dtype)))
    return lay_out(scratch(prod(shape), dtype, "filters").reshape(shape))


PATH = LayerPath(
    name="blocks",
    summary="compiled register tiles of pixels and output channels",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
