"""Layers of 3 x 3 windows by Winograd's tiles: fewer products, for an error relative to the tile.

``|error| <= (inputs + 20) * eps * K^2 * sum over c of max|x[c]| * max|w[c]|``, plus half a unit of
the bias, where the maxima run over the tile's own (m + 2)^2 samples and the filter's nine taps, and
K = 8 for tiles of 2 x 2 outputs, 22.3 for 4 x 4: the largest sum of a row of ``|A'| (|G| 1 * |B'|
1)``. Proof: with exact matrices, each product and each of the `inputs` additions rounds once, the
transforms of samples, taps and sums in both axes at most 4, 8 and 6 times, each time relative to
what the absolute matrices make of absolute values (Higham, 3.1), which factor as said.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from ... import geometry
from ...kernels import KERNELS
from ...layer import Layer, LayerOperands, LayerPath
from ...path import Box, Guarantee, Work
from ...records import NamedTuple
from ...runtime import load, threads
from ...runtime.scratch import aligned, scratch
from .slab import activation_of, apply_callable, no_bias, slope_of
from .winograd_plan import WinogradPlan, plan, work_of

# Nothing grows by more than this in the transforms and their products, beside the channels.
_GROWTH = 2.0**13


class _Frequencies(NamedTuple):
    """The filters' frequencies of each group, and how large a sample may be."""

    u: Any
    limit: float


def supports(layer: Layer) -> str:
    """Return "" or why there are no tiles."""
    if layer.dtype not in KERNELS["winograd"].dtypes:
        return f"no compiled loop for {layer.dtype}"
    if layer.filter != (3, 3):
        return "3 x 3 windows only"
    if layer.stride != (1, 1) or layer.dilation != (1, 1):
        return "stride and dilation 1 only"
    return "" if layer.inputs else "needs an input channel"


def guarantee(layer: Layer) -> Guarantee:
    """Return normwise: an error is relative to the largest samples of its tile."""
    return "normwise"


def kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return the loops over tiles, and those that lay out filters."""
    return tuple((name, layer.dtype) for name in ("winograd", "winograd_filters", "filters"))


def work(layer: Layer) -> Work:
    """Return the products, the transforms' elements as butterflies, and the bytes."""
    return work_of(layer, plan(layer, 1, False), False)


def packed_work(layer: Layer) -> Work:
    """Return the same with the filters' frequencies at hand."""
    return work_of(layer, plan(layer, 1, True), True)


def execute(layer: Layer, operands: LayerOperands) -> list[Box]:
    """Compute all outputs; return images with NaN, infinities or magnitudes that may overflow."""
    everything = tuple((0, n) for n in layer.output)
    found, bias = plan(layer, operands.workers, operands.w.keeps), operands.epilogue.bias
    filters = _filters(layer, operands, found)
    if not filters.limit > 0 or (bias is not None and not _modest(bias)):
        return [(0, layer.images, everything)]
    peaks = _compute(layer, operands, found, filters)
    if peaks.max(initial=0) <= filters.limit:  # False for NaN.
        return []
    # Which images are mended must not depend on with whom they share a band.
    doubtful = {
        image
        for band, peak in zip(found.bands, peaks, strict=True)
        if not (peak <= filters.limit).all()
        for image in range(band.image, band.image + band.images)
    }
    bad = [
        (image, image + 1)
        for image in sorted(doubtful)
        if not _peak(layer, found.m, operands.x[image]) <= filters.limit
    ]
    images = geometry.merge(np.array(bad, np.int64).reshape(-1, 2))
    return [(lo, hi, everything) for lo, hi in images]


def _modest(bias: Any) -> bool:
    """Return whether adding `bias` overflows in no other place than where a sum does."""
    size = np.abs(bias)
    return bool(((size <= _largest(size.dtype.name) / 4) | ~np.isfinite(size)).all())


def _peak(layer: Layer, m: int, image: Any) -> Any:
    """Return the largest magnitude that the tiles' windows see; NaN if one is."""
    lead = np.moveaxis(image, -1, 0) if layer.input_last else image
    seen: list[Any] = [slice(None)]
    for outputs, pad in zip(layer.output, layer.pad, strict=True):
        stop = -(-outputs // m) * m + 2 - pad
        seen.append(slice(max(0, -pad), max(0, stop)))
    return np.abs(lead[tuple(seen)]).max(initial=0)


def _compute(
    layer: Layer, operands: LayerOperands, found: WinogradPlan, filters: _Frequencies
) -> Any:
    """Run all bands, and return the largest magnitude of the samples of each and each group."""
    dtype, epilogue, whole = layer.dtype, operands.epilogue, operands.out.reshape(-1)
    kernel, x = load.kernel("winograd", dtype), operands.x.reshape(-1)
    activation, slope = activation_of(layer, epilogue), slope_of(epilogue.negative_slope, dtype)
    wide = found.blocks * found.block
    bias = no_bias(layer.groups * wide, dtype).reshape(layer.groups, wide)
    if epilogue.bias is not None:
        bias = bias.copy()
        bias[:, : layer.outputs] = epilogue.bias.reshape(layer.groups, -1)
    x_steps = _steps(layer.groups * layer.inputs, layer.signal, layer.input_last)
    steps = _steps(layer.groups * layer.outputs, layer.output, layer.output_last)
    x_group, out_group = layer.inputs * x_steps[3], layer.outputs * steps[3]
    pitches = (found.v_pitch, found.u_pitch, found.p_pitch, found.after)
    peaks = np.zeros((len(found.bands), layer.groups), dtype)

    def one(job: int) -> None:
        band, work = found.bands[job], scratch(found.work, dtype, "winograd")
        samples = x[band.image * x_steps[0] :]
        at = band.image * steps[0] + band.at[0] * steps[1] + band.at[1] * steps[2]
        for g in range(layer.groups):
            kernel(
                samples[g * x_group :], filters.u[g], whole[at + g * out_group :], bias[g], slope,
                peaks[job, g:], work, found.m, *x_steps,
                band.at[0] - layer.pad[0], band.at[1] - layer.pad[1], *layer.signal, layer.inputs,
                band.images, band.rows, band.columns, *steps, band.high, band.wide,
                layer.outputs, *pitches, activation,
            )  # fmt: skip
        if not epilogue.compiled:
            size = (band.images, layer.groups * layer.outputs, band.high, band.wide)
            order = (steps[0], steps[3], steps[1], steps[2])
            for n in range(band.images):
                apply_callable(epilogue, whole[at + n * steps[0] :], size[1:], order[1:])

    def some(lo: int, hi: int) -> None:
        for job in range(lo, hi):
            one(job)

    if operands.workers > 1:
        threads.run(some, geometry.bands(len(found.bands), 1), operands.workers)
    else:
        some(0, len(found.bands))
    return peaks


def _steps(channels: int, sides: tuple[int, ...], last: bool) -> tuple[int, int, int, int]:
    """Return how far apart images, rows, pixels and channels lie."""
    rows, columns = sides
    pixel, channel = (channels, 1) if last else (1, rows * columns)
    return rows * columns * channels, columns * pixel, pixel, channel


def _filters(layer: Layer, operands: LayerOperands, found: WinogradPlan) -> _Frequencies:
    """Return the filters' frequencies; in scratch unless the caller packed them."""
    if operands.w.keeps:
        make = partial(_transform, layer, found, aligned, operands.workers)
        return operands.w.form(("winograd", found.m, layer.groups), make)  # type: ignore[no-any-return]
    return _transform(layer, found, scratch, operands.workers, operands.w.array)


def _transform(
    layer: Layer, found: WinogradPlan, room: Any, workers: int, weights: Any
) -> _Frequencies:
    """Return all filters' frequencies, in memory from ``room(length, dtype)``."""
    dtype, taps, block = layer.dtype, layer.taps, found.block
    w, outputs, each = weights.reshape(-1), layer.outputs, found.frequencies * found.u_pitch
    u = room(layer.groups * found.filters, dtype).reshape(layer.groups, found.blocks, each)
    lay_out, transform = load.kernel("filters", dtype), load.kernel("winograd_filters", dtype)
    peaks = np.zeros((layer.groups, found.blocks), dtype)

    def some(lo: int, hi: int) -> None:
        spread = scratch(taps * block, dtype, "winograd_taps")
        for job in range(lo, hi):
            g, b = divmod(job, found.blocks)
            first = b * block
            own = w[(g * outputs + first) * taps :]
            lay_out(own, spread, min(block, outputs - first), taps)
            transform(spread, u[g, b], peaks[g, b:], layer.inputs, found.m, found.u_pitch)

    jobs = layer.groups * found.blocks
    if workers > 1:
        threads.run(some, geometry.bands(jobs, 1), workers)
    else:
        some(0, jobs)
    return _Frequencies(u.reshape(layer.groups, -1), _limit(layer, peaks))


def _limit(layer: Layer, peaks: Any) -> float:
    """Return the largest magnitude of samples for which nothing overflows; 0 if there is none."""
    # Python's floats: in float32 the product might overflow itself.
    most, weight = _largest(layer.dtype), float(peaks.max(initial=0))
    return most / (_GROWTH * layer.inputs * max(1.0, weight)) if weight <= most / 4 else 0.0


@cache
def _largest(dtype: str) -> float:
    return float(np.finfo(dtype).max)


PATH = LayerPath(
    name="winograd",
    summary="tiles of 3 x 3 windows in fewer products, by Winograd's transforms",
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    packed_work=packed_work,
    opt_in=True,
)
