"""Depthwise layers: one input channel per group, each by a compiled loop of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ... import geometry
from ...filters import Filters
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands, LayerPath, guarantee
from ...path import Work
from ...records import NamedTuple
from ...runtime import load, threads
from ...runtime.scratch import scratch
from ...runtime.target import host_target
from . import depthwise_last
from .depthwise_last import bias_of, is_square
from .slab import SLACK, activation_of, apply_callable, kernel_dtype, slope_of

# One channel's frame stays in the first cache beside its outputs.
_FRAME_BYTES = 24 << 10
# What it takes to begin a column of 3 x 3 windows, and a strip of any, in products: with bands of
# eight rows, as 512 columns have them, twice the time of the sums (float32, AVX2).
_ROLL_START, _STRIP_START = 1024, 512
# The kernel's highest strip.
_STRIP_ROWS = 8
# Products that take some 50 us make a band.
_BAND_PRODUCTS = 1 << 21


def supports(layer: Layer) -> str:
    """Return "" or why the layer is not depthwise, or lies badly for it."""
    dtype = kernel_dtype(layer.dtype)
    if dtype not in KERNELS["depthwise"].dtypes:
        return f"no compiled loop for {layer.dtype}"
    if layer.inputs != 1:
        return "one input channel per group only"
    if layer.ndim > 2:
        return "images with one or two axes only"
    if layer.groups * layer.outputs == 1:
        return ""
    if layer.input_last != layer.output_last:
        return "the same layout before and after only"
    if layer.output_last and (layer.outputs != 1 or layer.groups < _lanes(dtype)):
        return "channels last: as many outputs as inputs, and enough for a vector"
    return ""


def _lanes(dtype: str) -> int:
    # int8 is multiplied in 16-bit lanes.
    return host_target().lanes(max(np.dtype(dtype).itemsize, 2))


def _is_last(layer: Layer) -> bool:
    return layer.output_last and layer.groups * layer.outputs > 1


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loops for the layout."""
    if _is_last(layer):
        return depthwise_last.kernels(layer)
    names = ("depthwise", "frame") if _is_shared(layer) else ("depthwise",)
    return tuple((name, kernel_dtype(layer.dtype)) for name in names)


def work(layer: Layer) -> Work:
    """Return the products, empty lanes and tiles' starts included, and the bytes and frames."""
    width, starts = layer.output[-1], 0
    whole = width
    if not _is_last(layer):
        lanes = _lanes(kernel_dtype(layer.dtype))
        whole = -(-width // lanes) * lanes
        starts = _starts(layer.as_planes(), -(-width // (2 * lanes)))
    return Work(
        calls=1 if _is_shared(layer) else layer.images,
        multiply_adds=layer.multiply_adds // max(width, 1) * whole + starts,
        bytes_moved=np.dtype(layer.dtype).itemsize * layer.elements * max(layer.stride),
    )


def _starts(layer: Layer, columns: int) -> int:
    """Return what beginning so many columns of tiles costs, in products."""
    bands = _frames(layer).bands
    if is_square(layer):
        each = _ROLL_START * len(bands)
    else:
        each = _STRIP_START * sum(-(-rows.count // _STRIP_ROWS) for rows in bands)
    return layer.images * layer.groups * layer.outputs * columns * each


def execute(layer: Layer, operands: LayerOperands) -> None:
    """Compute all outputs."""
    layer = layer.as_planes()
    if _is_last(layer):
        depthwise_last.execute(layer, operands)
    elif _is_shared(layer):
        _channels_first(_images_as_groups(layer), _repeated(layer, operands))
    else:
        _channels_first(layer, operands)


def _is_shared(layer: Layer) -> bool:
    """Return whether many images meet the same filters, which are less than the outputs."""
    return layer.images > 1 and layer.groups == 1 and layer.taps <= layer.pixels


@lru_cache(maxsize=256)
def _images_as_groups(layer: Layer) -> Layer:
    """Return the layer of one image whose channels are the images of this: one call, not many."""
    return replace(layer, images=1, groups=layer.images)


def _repeated(layer: Layer, operands: LayerOperands) -> LayerOperands:
    """Return the operands with the filters and the bias of every image."""
    w, epilogue = _copies(layer, operands.w.array, "taps"), operands.epilogue
    if epilogue.bias is not None:
        epilogue = epilogue._replace(bias=_copies(layer, epilogue.bias, "bias"))
    return operands._replace(w=Filters(w), epilogue=epilogue)


def _copies(layer: Layer, array: Any, purpose: str) -> Any:
    """Return an array once for every image, in `scratch`."""
    dtype, size, count = kernel_dtype(layer.dtype), array.size, layer.images
    work = scratch(count * size + SLACK, dtype, purpose)
    frame = load.kernel("frame", dtype)
    frame(array.reshape(-1).view(dtype), work, 0, 0, 0, count, 1, size, 0, 0, size, 0, 1)
    return work[: count * size].view(layer.dtype)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some output rows of every channel, and the frame they are computed from."""

    first: int
    count: int
    frame: tuple[int, ...]  # What the kernel takes from `total` to `x_row`.


@dataclass(frozen=True, slots=True)
class _Frames:
    """The bands of rows of one layer with channels first."""

    bands: tuple[_Rows, ...]
    offsets: Any
    pitch: int
    half: int


def _is_rolled(layer: Layer) -> bool:
    """Return whether the loop reads the image itself: 3 x 3 windows, and loads that have masks."""
    return is_square(layer) and host_target().name == "x86-64-v4"


@lru_cache(maxsize=1024)
def _frames(layer: Layer) -> _Frames:
    (height, width), (kh, kw) = layer.signal, layer.filter
    (dr, dc), (sr, sc), (pr, pc) = layer.dilation, layer.stride, layer.pad
    size = np.dtype(layer.dtype).itemsize
    columns = (layer.output[1] - 1) * sc + geometry.span(kw, dc)
    low, end = min(max(pc, 0), columns), max(0, min(width + pc, columns))
    half = -(-columns // sc)
    if sc == 2:  # Whole vectors are copied.
        lanes = _lanes(kernel_dtype(layer.dtype))
        half = max(half, (low + 1) // 2 + -(-max(end - low, 0) // (2 * lanes)) * lanes)
    pitch = sc * half
    most = max(1, (_FRAME_BYTES // (pitch * size) - geometry.span(kh, dr)) // sr + 1)
    if _is_rolled(layer):
        most = max(8, _BAND_PRODUCTS // (layer.output[1] * layer.taps))
    even = -(-layer.output[0] // -(-layer.output[0] // most))
    high = -(-even // _STRIP_ROWS) * _STRIP_ROWS
    bands = []
    for first, last in geometry.bands(layer.output[0], high):
        start = first * sr - pr
        rows = (last - first - 1) * sr + geometry.span(kh, dr)
        top = min(max(start, 0), height)
        count = max(0, min(start + rows, height) - top) if end > low else 0
        bands.append(
            _Rows(
                first,
                last - first,
                (
                    rows * pitch + SLACK,
                    top * width + low - pc,
                    (top - start) * pitch if count else 0,
                    count,
                    low,
                    max(low, end),
                    width,
                ),
            )
        )
    column = np.arange(kw) * dc
    table = (np.arange(kh) * (dr * pitch))[:, None] + column % sc * half + column // sc
    offsets = (table.reshape(-1) * size).astype(np.int64)
    offsets.flags.writeable = False
    return _Frames(tuple(bands), offsets, pitch, half)


class _Job(NamedTuple):
    """Some rows of some channels of an image: where they begin in each array, and how many."""

    x_at: int
    w_at: int
    out_at: int
    first: int
    frame: int
    counts: tuple[int, ...]
    shape: tuple[int, ...]


@lru_cache(maxsize=1024)
def _jobs(layer: Layer) -> tuple[_Job, ...]:
    """Return what the kernel is called for in each image, with its integers but the activation."""
    found, filters, pixels, taps = _frames(layer), layer.outputs, layer.pixels, layer.taps
    size, width = prod(layer.signal), layer.output[1]
    each = max(1, _BAND_PRODUCTS * len(found.bands) // (filters * pixels * taps))
    jobs = []
    for first, last in geometry.bands(layer.groups, each):
        for rows in found.bands:
            before = last - first, filters, taps, size, filters * pixels, pixels
            behind = found.pitch, layer.stride[1], found.half, layer.stride[0], rows.count, width
            job = _Job(
                first * size,
                first * filters * taps,
                first * filters * pixels + rows.first * width,
                first * filters,
                rows.frame[0] + SLACK,
                (*before, *rows.frame, *behind),
                ((last - first) * filters, rows.count, width),
            )
            jobs.append(job)
    return tuple(jobs)


def _channels_first(layer: Layer, operands: LayerOperands) -> None:
    dtype, epilogue = kernel_dtype(layer.dtype), operands.epilogue
    arrays = operands.x, operands.w.array, operands.out
    x, w, out = (a.reshape(-1) for a in arrays)
    if dtype != layer.dtype:
        x, w, out = x.view(dtype), w.view(dtype), out.view(dtype)
    kernel, offsets, jobs = load.kernel("depthwise", dtype), _frames(layer).offsets, _jobs(layer)
    bias, slope = bias_of(layer, operands, dtype), slope_of(epilogue.negative_slope, dtype)
    activation = activation_of(layer, epilogue)
    x_image, out_image = len(x) // layer.images, len(out) // layer.images

    def some(lo: int, hi: int) -> None:
        for number in range(lo, hi):
            image, place = divmod(number, len(jobs))
            x_at, w_at, out_at, first, frame, counts, shape = jobs[place]
            samples, goal = x[image * x_image + x_at :], out[image * out_image + out_at :]
            work, taps = scratch(frame, dtype, "frame"), w[w_at:]
            kernel(samples, taps, goal, bias[first:], slope, offsets, work, *counts, activation)
            if not epilogue.compiled:
                flat = operands.out.reshape(-1)[image * out_image + out_at :]
                apply_callable(epilogue, flat, shape, (layer.pixels, shape[2], 1))

    threads.run_all(some, layer.images * len(jobs), operands.workers)


PATH = LayerPath(
    name="depthwise",
    summary="each channel by a compiled loop of its own",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    by_kernels=lambda epilogue: epilogue.compiled,
)
