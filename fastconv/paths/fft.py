"""One transform of the whole signal by scipy.fft, in any number of dimensions."""

from __future__ import annotations

from math import log2, prod
from typing import Any

import numpy as np

from .. import geometry
from ..nonfinite import quarantine
from ..path import Box, Guarantee, Operands, Path, Work, everything
from ..problem import Problem

DTYPES = ("float64", "float32", "complex128", "complex64")


def supports(problem: Problem) -> str:
    """Return "" or why a transform cannot serve: integers never pass through one."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in DTYPES:
        return f"{problem.dtype} would be rounded by a transform"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= c eps log2(L) ||x||_2 ||w||_2 over each signal."""
    return "normwise"


def work(problem: Problem) -> Work:
    """Return two transforms of each signal and one of each filter."""
    length = prod(_least_lengths(problem))
    filters = 1 if problem.shared_filter else problem.batch
    transforms = (2 * problem.batch + filters) * (2 if "complex" in problem.dtype else 1)
    return Work(
        calls=3,
        butterflies=transforms * length * log2(max(2, length)),
        bytes_moved=np.dtype(problem.dtype).itemsize * length * 4 * problem.batch,
    )


def _axes(problem: Problem) -> list[tuple[int, int, int, int, int, int]]:
    """Return n, k, m, stride, dilation, pad per axis; a boundary that is not zero adds to n."""
    axes = []
    for a in range(problem.ndim):
        n, k, m = problem.signal[a], problem.filter[a], problem.output[a]
        s, d, p = problem.stride[a], problem.dilation[a], problem.pad[a]
        if problem.boundary[a] != "zero":
            n, p = max(0, (m - 1) * s + geometry.span(k, d)), 0
        axes.append((n, k, m, s, d, p))
    return axes


def _least_lengths(problem: Problem) -> list[int]:
    """Return the least points per axis that leave the needed outputs free of wrap-around."""
    lengths = []
    for n, k, m, s, d, p in _axes(problem):
        lo, hi = geometry.needed(n, k, m, s, d, p)
        n, reach, p = hi - lo, geometry.span(k, d), p + lo
        first = max(0, reach - 1 - p)
        last = min(n + reach - 1, reach - p + (m - 1) * s)
        lengths.append(max(1, n, reach, last, n + reach - 1 - first))
    return lengths


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; windows that meet a NaN or an Inf are returned as boxes."""
    from scipy import fft

    out = operands.out
    if out.size == 0:
        return []
    if operands.x.size == 0:
        out[...] = 0
        return []
    real = operands.x.dtype.kind == "f"
    lengths = [
        fft.next_fast_len(least, real=real and axis == problem.ndim - 1)
        for axis, least in enumerate(_least_lengths(problem))
    ]
    clean, boxes = quarantine(problem, operands.x, operands.w, prod(lengths))
    if boxes == everything(problem):
        return boxes
    x, offsets, strides = _extend(problem, clean, operands.fill)
    w = _spread(problem, operands.w)
    axes = tuple(range(1, problem.ndim + 1))
    forward, backward = (fft.rfftn, fft.irfftn) if real else (fft.fftn, fft.ifftn)
    workers = operands.workers
    spectrum = forward(x, lengths, axes=axes, workers=workers)
    flipped = w[(slice(None), *(slice(None, None, -1),) * problem.ndim)]
    spectrum *= forward(flipped, lengths, axes=axes, workers=workers)
    result = backward(spectrum, lengths, axes=axes, workers=workers, overwrite_x=True)
    out[...] = 0
    target, source = [slice(None)], [slice(None)]
    for a in range(problem.ndim):
        reach = geometry.span(problem.filter[a], problem.dilation[a])
        size = x.shape[a + 1] + reach - 1
        first = max(0, -(offsets[a] // strides[a]))
        last = min(problem.output[a], (size - 1 - offsets[a]) // strides[a] + 1)
        if last <= first:
            return boxes
        target.append(slice(first, last))
        start = offsets[a] + first * strides[a]
        source.append(slice(start, start + (last - first - 1) * strides[a] + 1, strides[a]))
    out[tuple(target)] = result[tuple(source)]
    return boxes


def _extend(problem: Problem, x: Any, fill: Any) -> tuple[Any, list[int], list[int]]:
    """Return the samples that are read, and where in the full result output 0 lies, per axis."""
    offsets, strides = [], []
    for a, (n, k, m, s, d, p) in enumerate(_axes(problem)):
        axis, reach = a + 1, geometry.span(k, d)
        rule = problem.boundary[a]
        if rule != "zero":
            index = geometry.source_map(-problem.pad[a], n, problem.signal[a], rule)
            outside = index < 0
            x = np.take(x, np.maximum(index, 0), axis=axis)
            if outside.any():
                x[(slice(None),) * axis + (outside,)] = fill
        else:
            lo, hi = geometry.needed(n, k, m, s, d, p)
            x = x[(slice(None),) * axis + (slice(lo, hi),)]
            p += lo
        offsets.append(reach - 1 - p)
        strides.append(s)
    return x, offsets, strides


def _spread(problem: Problem, w: Any) -> Any:
    """Return the filter with dilation - 1 zeros between its taps."""
    if all(d == 1 for d in problem.dilation):
        return w
    reach = [geometry.span(k, d) for k, d in zip(problem.filter, problem.dilation, strict=True)]
    wide = np.zeros((len(w), *reach), w.dtype)
    wide[(slice(None), *(slice(None, None, d) for d in problem.dilation))] = w
    return wide


PATH = Path(
    name="fft",
    summary="one transform of the whole signal (scipy.fft)",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    imports="scipy.fft",
)
