"""Layers as matrix products: windows side by side in a matrix, times the filters, by NumPy."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...layer import Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...runtime import threads
from .slab import around

# A band's windows and its sums stay in the last cache.
BAND_BYTES = 4 << 20


def supports(layer: Layer) -> str:
    """Return "": there is nothing that NumPy cannot multiply."""
    return ""


def work(layer: Layer) -> Work:
    """Return the products, and the windows that are written and read again."""
    size = np.dtype(layer.dtype).itemsize
    windows = 0 if layer.is_matrix_product else layer.groups * layer.taps * layer.pixels
    return Work(
        calls=layer.images * len(_bands(layer)),
        multiply_adds=layer.multiply_adds,
        bytes_moved=size * (layer.elements + 2 * layer.images * windows),
    )


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs: one matrix product per group, image and band of rows."""
    w = operands.w.array.reshape(layer.groups, layer.outputs, layer.taps)
    x, out = operands.x, operands.out
    if layer.input_last:
        x = np.moveaxis(x, -1, 1)
    if layer.output_last:
        out = np.moveaxis(out, -1, 1)
    rows = _bands(layer)
    # BLAS brings its own threads, as many as the caller has allowed it.
    workers = 1 if np.dtype(layer.dtype).char in "fdFD" else operands.workers

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            image, (begin, end) = job // len(rows), rows[job % len(rows)]
            windows = _windows(layer, x[image], begin, end)
            with np.errstate(all="ignore"):
                sums = np.matmul(w, windows).reshape(layer.groups * layer.outputs, -1)
            operands.epilogue.apply(sums)
            shape = (len(sums), end - begin, *layer.output[1:])
            out[image][:, begin:end] = sums.reshape(shape)

    threads.run(some, geometry.bands(layer.images * len(rows), 1), workers)


def _bands(layer: Layer) -> list[tuple[int, int]]:
    row = prod(layer.output[1:]) * layer.groups * (layer.taps + layer.outputs)
    size = np.dtype(layer.dtype).itemsize
    return geometry.bands(layer.output[0], max(1, BAND_BYTES // max(1, row * size)))


def _windows(layer: Layer, x: Any, begin: int, end: int) -> Any:
    """Return the windows of output rows begin..end-1 of one image: (groups, taps, pixels)."""
    shape = (layer.groups, layer.inputs)
    if layer.is_matrix_product:
        return np.ascontiguousarray(x[:, begin:end]).reshape(*shape, -1)
    first = begin * layer.stride[0] - layer.pad[0]
    starts = (first, *(-p for p in layer.pad[1:]))
    output = (end - begin, *layer.output[1:])
    axes = range(layer.ndim)
    sides = [
        (output[a] - 1) * layer.stride[a] + geometry.span(layer.filter[a], layer.dilation[a])
        for a in axes
    ]
    slab = around(x, starts, sides).reshape(*shape, *sides)
    steps = slab.strides[2:]
    windows = np.lib.stride_tricks.as_strided(
        slab,
        (*shape, *layer.filter, *output),
        (
            *slab.strides[:2],
            *(steps[a] * layer.dilation[a] for a in axes),
            *(steps[a] * layer.stride[a] for a in axes),
        ),
    )
    return windows.reshape(layer.groups, layer.taps, -1)


PATH = LayerPath(
    name="matrix",
    summary="windows side by side, times the filters, by NumPy and its BLAS",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
)
