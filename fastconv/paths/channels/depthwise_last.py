"""Depthwise layers with channels last: lanes are channels of one pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands
from ...runtime import load, threads
from ...runtime.scratch import scratch
from .block_plan import plan, reaches_outside
from .slab import SLACK, activation_of, apply_callable, kernel_dtype, no_bias, slope_of

# Products that take some 50 us make a band.
_BAND_PRODUCTS = 1 << 21


def is_square(layer: Layer) -> bool:
    """Return whether the windows are 3 x 3 neighbours, which have loops of their own."""
    ones = all(s == d == 1 for s, d in zip(layer.stride, layer.dilation, strict=True))
    return ones and layer.filter == (3, 3)


def _reads_image(layer: Layer) -> bool:
    return is_square(layer) and kernel_dtype(layer.dtype) in KERNELS["square_last"].dtypes


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loops; those over any windows need frames where there are zeros."""
    dtype = kernel_dtype(layer.dtype)
    if _reads_image(layer):
        return (("square_last", dtype),)
    if reaches_outside(layer):
        return (("depthwise_last", dtype), ("frame", dtype))
    return (("depthwise_last", dtype),)


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs of a layer with two axes."""
    (_square if _reads_image(layer) else _any)(layer, operands)


def bias_of(layer: Layer, operands: LayerOperands, dtype: str) -> Any:
    """Return one number per output channel."""
    bias = operands.epilogue.bias
    return no_bias(layer.groups * layer.outputs, dtype) if bias is None else bias.view(dtype)


def _taps(operands: LayerOperands, w: Any) -> Any:
    """Return the taps, those of all channels beside each other."""

    def lay_out(_: Any) -> Any:
        return np.ascontiguousarray(w.reshape(len(w), -1).T).reshape(-1)

    keeps = operands.w.keeps
    return operands.w.form("depthwise_last", lay_out) if keeps else lay_out(None)


def _square(layer: Layer, operands: LayerOperands) -> None:
    """Compute 3 x 3 windows from the image itself."""
    dtype, channels = layer.dtype, layer.groups
    x, out, epilogue = operands.x.reshape(-1), operands.out.reshape(-1), operands.epilogue
    kernel, taps = load.kernel("square_last", dtype), _taps(operands, operands.w.array)
    bias, slope = bias_of(layer, operands, dtype), slope_of(epilogue.negative_slope, dtype)
    activation, zeros = activation_of(layer, epilogue), no_bias(channels, dtype)
    (height, across), (up, left), (rows, width) = layer.signal, layer.pad, layer.output
    x_row, out_row = across * channels, width * channels
    high = max(8, _BAND_PRODUCTS // (9 * out_row) // 2 * 2)
    bands = geometry.bands(rows, high)

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, band = divmod(job, len(bands))
            first, last = bands[band]
            x_at = ((image * height + first - up) * across - left) * channels
            at = (image * rows + first) * out_row
            inside = (up - first, up - first + height, left, left + across)
            size = (last - first, width)
            goal, after = out[at:], (channels, out_row, channels, activation)
            kernel(x, taps, goal, bias, slope, zeros, x_at, x_row, channels, *inside, *size, *after)
            if not epilogue.compiled:
                apply_callable(epilogue, goal, (channels, *size), (1, out_row, channels))

    threads.run(some, geometry.bands(layer.images * len(bands), 1), operands.workers)


def _any(layer: Layer, operands: LayerOperands) -> None:
    """Compute any windows, from frames where there are zeros around."""
    dtype, channels = kernel_dtype(layer.dtype), layer.groups
    x, out = (a.view(dtype).reshape(-1) for a in (operands.x, operands.out))
    kernel, found = load.kernel("depthwise_last", dtype), plan(layer, operands.workers)

    taps = _taps(operands, operands.w.array.view(dtype))
    bias, slope = bias_of(layer, operands, dtype), slope_of(operands.epilogue.negative_slope, dtype)
    activation = activation_of(layer, operands.epilogue)

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, band = divmod(job, len(found.bands))
            b = found.bands[band]
            samples = x[image * found.x_image :]
            if b.frame:
                room = scratch(b.frame[0] + SLACK, dtype, "frame")
                load.kernel("frame", dtype)(samples, room, *b.frame)
                samples = room
            at = image * found.out_image + b.out_at
            kernel(
                samples[b.x_at :],
                taps,
                out[at:],
                bias,
                slope,
                found.offsets,
                layer.taps,
                found.pixel,
                found.row,
                b.rows,
                b.columns,
                found.out_pixel,
                found.out_row,
                channels,
                activation,
            )
            if not operands.epilogue.compiled:
                steps = (1, found.out_row, found.out_pixel)
                shape = (channels, b.rows, b.columns)
                apply_callable(operands.epilogue, operands.out.reshape(-1)[at:], shape, steps)

    threads.run(some, geometry.bands(layer.images * len(found.bands), 1), operands.workers)
