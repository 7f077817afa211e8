"""Layers as sums of planes: each pair of an input and an output channel by the 2-D direct loop."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Epilogue, Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...records import NamedTuple
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
    # Two for each input, but the first only stores.
    passes = (
        2 * layer.inputs - 1 + 8 * (_is_last(layer, output=True) + _is_last(layer, output=False))
    )
    return Work(
        # Each pair of planes has its own rims and its own start.
        calls=layer.images * channels * layer.inputs,
        multiply_adds=layer.multiply_adds * (1 if layer.stride[-1] == 1 else _STRIDED),
        bytes_moved=size * layer.images * channels * layer.pixels * passes // 2,
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
    kernel, jobs, epilogue = load.kernel("plane", dtype), _jobs(layer), operands.epilogue
    maps, filter_taps = _maps(layer, x.dtype), prod(layer.filter)
    x, w, sums = x.reshape(-1), w.reshape(-1), whole.reshape(-1)
    x_image, out_image = len(x) // layer.images, len(sums) // layer.images
    size, pixels, pairs = (
        prod(layer.signal),
        layer.pixels,
        (range(layer.outputs), range(layer.inputs)),
    )
    bare = epilogue.bias is None and epilogue.activation is None

    def some(lo: int, hi: int) -> None:
        for number in range(lo, hi):
            n, place = divmod(number, len(jobs))
            job = jobs[place]
            x_at, out_at = n * x_image + job.x_at, n * out_image + job.out_at
            for o, c in product(*pairs):
                samples, goal = x[x_at + c * size :], sums[out_at + o * pixels :]
                taps = w[job.w_at + o * layer.taps + c * filter_taps :]
                kernel(samples, taps, goal, *maps, *job.counts, _STORE if c == 0 else _ADD, 0)
            if not bare:
                _activate(layer, epilogue, results[n], job)

    threads.run_all(some, layer.images * len(jobs), operands.workers)
    if whole is not out:
        out[...] = np.moveaxis(whole, 1, -1)


def _activate(layer: Layer, epilogue: Epilogue, results: Any, job: _Job) -> None:
    """Apply the epilogue to some rows of all outputs of some groups of an image."""
    for g in range(*job.groups):
        bias = epilogue.bias
        if bias is not None:
            bias = bias.reshape(layer.groups, layer.outputs)[g]
        after = Epilogue(bias, epilogue.activation, epilogue.negative_slope)
        after.apply(results[g, :, job.part])


class _Job(NamedTuple):
    """Some rows of all outputs of some groups of an image, and the kernel's integers."""

    x_at: int
    w_at: int
    out_at: int
    counts: tuple[int, ...]
    groups: tuple[int, int]
    part: slice


@lru_cache(maxsize=1024)
def _jobs(layer: Layer) -> tuple[_Job, ...]:
    size, pixels, width = prod(layer.signal), layer.pixels, layer.signal[1]
    steps = layer.inputs * size, layer.outputs * layer.taps, layer.outputs * pixels
    groups, rows = _bands(layer)
    jobs = []
    for (first, last), (low, high) in product(groups, rows):
        counts = (
            last - first, *steps, width, layer.output[1], width, *layer.filter, low, high,
            layer.output[1], *layer.stride, *layer.dilation, layer.pad[1], 0,
        )  # fmt: skip
        at = first * layer.inputs * size, first * layer.outputs * layer.taps
        part = slice(low * layer.output[1], high * layer.output[1])
        goal = first * layer.outputs * pixels
        jobs.append(_Job(*at, goal, counts, (first, last), part))
    return tuple(jobs)


def _bands(layer: Layer) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return ranges of groups, and of rows where a plane is large."""
    size = np.dtype(layer.dtype).itemsize
    plane = layer.outputs * layer.pixels
    high = max(30, _BAND_PRODUCTS // (layer.taps * layer.outputs * layer.output[1]) // 30 * 30)
    return (
        geometry.bands(layer.groups, max(1, _BAND_BYTES // (plane * size))),
        geometry.bands(layer.output[0], high),
    )


@lru_cache(maxsize=256)
def _maps(layer: Layer, dtype: Any) -> tuple[Any, ...]:
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
    found = maps[0], maps[1], np.zeros(1, dtype), np.empty(0, np.int64)
    for array in found:
        array.flags.writeable = False
    return found


PATH = LayerPath(
    name="planes",
    summary="each pair of channels by the compiled 2-D loop; channels first",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    by_kernels=lambda epilogue: epilogue.bias is None and epilogue.activation is None,
)
