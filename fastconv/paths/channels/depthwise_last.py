"""Depthwise layers with channels last: lanes are channels of one pixel."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands
from ...records import NamedTuple
from ...runtime import load, threads
from ...runtime.scratch import scratch
from .slab import activation_of, apply_callable, kernel_dtype, no_bias, slope_of

# Products that take some 50 us make a band.
_BAND_PRODUCTS = 1 << 21


def is_square(layer: Layer) -> bool:
    """Return whether the windows are 3 x 3 neighbours, which have loops of their own."""
    ones = all(s == d == 1 for s, d in zip(layer.stride, layer.dilation, strict=True))
    return ones and layer.filter == (3, 3)


def _has_own_loop(layer: Layer) -> bool:
    return is_square(layer) and kernel_dtype(layer.dtype) in KERNELS["square_last"].dtypes


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loop."""
    name = "square_last" if _has_own_loop(layer) else "depthwise_last"
    return ((name, kernel_dtype(layer.dtype)),)


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs of a layer with two axes, from the image itself."""
    dtype, channels, epilogue = kernel_dtype(layer.dtype), layer.groups, operands.epilogue
    arrays = operands.x, operands.w.array, operands.out
    x, w, out = (a.reshape(-1) for a in arrays)
    if dtype != layer.dtype:
        x, w, out = x.view(dtype), w.view(dtype), out.view(dtype)
    found, square = _plan(layer), _has_own_loop(layer)
    kernel = load.kernel("square_last" if square else "depthwise_last", dtype)
    bias, slope = bias_of(layer, operands, dtype), slope_of(epilogue.negative_slope, dtype)
    activation, zeros = activation_of(layer, epilogue), no_bias(channels, dtype)
    tables = (zeros,) if square else (found.offsets, zeros)
    x_image, out_image = prod(layer.signal) * channels, layer.pixels * channels

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, band = divmod(job, len(found.bands))
            out_at, rows, counts = found.bands[band]
            samples = x[image * x_image :] if image else x
            goal = out[image * out_image + out_at :]
            work = scratch(layer.taps * channels, dtype, "frame")
            kernel(samples, w, goal, bias, slope, *tables, work, *counts, activation)
            if not epilogue.compiled:
                flat = operands.out.reshape(-1)[image * out_image + out_at :]
                size, steps = (channels, rows, layer.output[1]), (1, found.out_row, channels)
                apply_callable(epilogue, flat, size, steps)

    threads.run_all(some, layer.images * len(found.bands), operands.workers)


def bias_of(layer: Layer, operands: LayerOperands, dtype: str) -> Any:
    """Return one number per output channel."""
    bias = operands.epilogue.bias
    return no_bias(layer.groups * layer.outputs, dtype) if bias is None else bias.view(dtype)


class _Band(NamedTuple):
    """Some rows: where their outputs begin, how many they are, and the kernel's integers."""

    out_at: int
    rows: int
    counts: tuple[int, ...]


class _Plan(NamedTuple):
    """The bands of an image, and where the taps of a window lie, in bytes."""

    bands: tuple[_Band, ...]
    offsets: Any
    out_row: int


@lru_cache(maxsize=1024)
def _plan(layer: Layer) -> _Plan:
    channels = layer.groups
    (height, across), (up, left), (rows, width) = layer.signal, layer.pad, layer.output
    (kh, kw), (dil_r, dil_c), (step_r, step_c) = layer.filter, layer.dilation, layer.stride
    line, out_row = across * channels, width * channels
    high = max(8, _BAND_PRODUCTS // (kh * kw * out_row) // 2 * 2)
    bands = []
    for first, last in geometry.bands(rows, high):
        top = up - first * step_r
        x_at = -top * line - left * channels
        inside = top, top + height, left, left + across
        size = last - first, width
        after = channels, out_row, channels
        counts: tuple[int, ...]
        if _has_own_loop(layer):
            counts = x_at, line, channels, *inside, *size, *after
        else:
            how = kh, kw, step_r, step_c, dil_r, dil_c
            steps = step_c * channels, step_r * line
            counts = *how, x_at, *steps, *inside, *size, channels, out_row, channels
        bands.append(_Band(first * out_row, last - first, counts))
    table = (np.arange(kh) * dil_r * across)[:, None] + np.arange(kw) * dil_c
    table = (table * channels).reshape(-1) * np.dtype(layer.dtype).itemsize
    offsets = table.astype(np.int64)
    offsets.flags.writeable = False
    return _Plan(tuple(bands), offsets, out_row)
