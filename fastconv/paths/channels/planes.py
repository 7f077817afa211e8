"""Layers as sums of planes: each pair of an input and an output channel by the 2-D direct loop."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Epilogue, Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...runtime import load, threads
from .slab import kernel_dtype

# Sums that fit into the second cache are activated there.
_BAND_BYTES = 256 << 10
# Products of one band where a plane is larger than that: some 0.1 ms.
_BAND_PRODUCTS = 1 << 23
_STORE, _ADD = 0, 1
# Windows whose columns lie apart are computed one by one: 2.5 to 3.9 ns for a product instead of
# 0.06 (float32, AVX2).
_STRIDED = 40


def supports(layer: Layer) -> str:
    """Return "" or why the loop over planes does not suit."""
    if kernel_dtype(layer.dtype) not in KERNELS["plane"].dtypes:
        return f"no compiled loop for {layer.dtype}"
    if layer.ndim > 2:
        return "images with one or two axes only"
    if layer.inputs == 0:
        return "needs an input channel"
    return ""


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the 2-D loop."""
    return (("plane", kernel_dtype(layer.dtype)),)


def work(layer: Layer) -> Work:
    """Return the products, and a pass over `out` for each input channel."""
    size = np.dtype(layer.dtype).itemsize
    channels = layer.groups * layer.outputs
    passes = layer.inputs + 4 * (_is_last(layer, output=True) + _is_last(layer, output=False))
    return Work(
        # Each pair of planes has its own rims and its own start.
        calls=layer.images * channels * layer.inputs,
        multiply_adds=layer.multiply_adds * (1 if layer.stride[-1] == 1 else _STRIDED),
        bytes_moved=size * layer.images * channels * layer.pixels * passes,
    )


def _is_last(layer: Layer, output: bool) -> bool:
    """Return whether channels lie beside each other; a single one does not."""
    if output:
        return layer.output_last and layer.groups * layer.outputs > 1
    return layer.input_last and layer.groups * layer.inputs > 1


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs, some planes at a time."""
    dtype = kernel_dtype(layer.dtype)
    x, w, out = (a.view(dtype) for a in (operands.x, operands.w.array, operands.out))
    if _is_last(layer, output=False):
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    whole = out
    if _is_last(layer, output=True):
        whole = np.empty((layer.images, layer.groups * layer.outputs, *layer.output), dtype)
    # Seen as they were given: an unsigned bias adds as a signed one does, but activates otherwise.
    results = whole.view(layer.dtype).reshape(layer.images, layer.groups, layer.outputs, -1)
    layer = layer.as_planes()
    sums = _Sums(layer, load.kernel("plane", dtype), x.reshape(-1), w.reshape(-1), whole, results)
    groups, rows = _bands(layer)
    jobs = [(n, g, r) for n in range(layer.images) for g in groups for r in rows]

    def some(lo: int, hi: int) -> None:
        for n, g, r in jobs[lo:hi]:
            sums.compute(n, g, r, operands.epilogue)

    threads.run(some, geometry.bands(len(jobs), 1), operands.workers)
    if whole is not out:
        out[...] = np.moveaxis(whole, 1, -1)


def _bands(layer: Layer) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return ranges of groups, and of rows where a plane is large."""
    size = np.dtype(layer.dtype).itemsize
    plane = layer.outputs * layer.pixels
    high = max(30, _BAND_PRODUCTS // (layer.taps * layer.outputs * layer.output[1]) // 30 * 30)
    return (
        geometry.bands(layer.groups, max(1, _BAND_BYTES // (plane * size))),
        geometry.bands(layer.output[0], high),
    )


class _Sums:
    """The sums of one layer, in arrays with channels first."""

    def __init__(self, layer: Layer, kernel: Any, x: Any, w: Any, whole: Any, results: Any) -> None:
        self.layer, self.kernel, self.results = layer, kernel, results
        self.x, self.w, self.out = x, w, whole.reshape(-1)
        self.rows, self.columns, self.zero = _maps(layer, x.dtype)

    def compute(
        self, n: int, group: tuple[int, int], rows: tuple[int, int], epilogue: Epilogue
    ) -> None:
        """Compute some rows of all outputs of some groups of image n, and activate them."""
        layer, (first, last) = self.layer, group
        size, pixels, taps = prod(layer.signal), layer.pixels, prod(layer.filter)
        x_at = (n * layer.groups + first) * layer.inputs * size
        out_at = (n * layer.groups + first) * layer.outputs * pixels
        w_at = first * layer.outputs * layer.taps
        steps = layer.inputs * size, layer.outputs * layer.taps, layer.outputs * pixels
        width, (kh, kw) = layer.signal[1], layer.filter
        rest = (
            width, layer.output[1], width, kh, kw, *rows, layer.output[1],
            *layer.stride, *layer.dilation, layer.pad[1], 0,
        )  # fmt: skip
        for o in range(layer.outputs):
            for c in range(layer.inputs):
                self.kernel(
                    self.x[x_at + c * size :],
                    self.w[w_at + o * layer.taps + c * taps :],
                    self.out[out_at + o * pixels :],
                    self.rows,
                    self.columns,
                    self.zero,
                    last - first,
                    *steps,
                    *rest,
                    _STORE if c == 0 else _ADD,
                )
        if epilogue.bias is None and epilogue.activation is None:
            return
        part = slice(rows[0] * layer.output[1], rows[1] * layer.output[1])
        for g in range(first, last):
            bias = epilogue.bias
            if bias is not None:
                bias = bias.reshape(layer.groups, layer.outputs)[g]
            after = Epilogue(bias, epilogue.activation, epilogue.negative_slope)
            after.apply(self.results[n, g, :, part])


@lru_cache(maxsize=256)
def _maps(layer: Layer, dtype: Any) -> tuple[Any, Any, Any]:
    """Return, for the virtual rows and columns, the image's own; -1 where a zero stands."""
    maps = [
        geometry.source_map(-p, (m - 1) * s + geometry.span(k, d), n, "fill")
        for n, k, m, s, d, p in zip(
            layer.signal,
            layer.filter,
            layer.output,
            layer.stride,
            layer.dilation,
            layer.pad,
            strict=True,
        )
    ]
    return maps[0], maps[1], np.zeros(1, dtype)


PATH = LayerPath(
    name="planes",
    summary="each pair of channels by the compiled 2-D loop; channels first",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
