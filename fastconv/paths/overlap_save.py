"""Overlap-save: a long signal in blocks that fit the cache, transformed by scipy.fft."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import geometry
from ..nonfinite import quarantine
from ..path import Box, Guarantee, Operands, Path, Work, everything
from ..problem import Problem

DTYPES = ("float64", "float32", "complex128", "complex64")
# Samples transformed in one call: the chunk's spectra stay within the last-level cache.
_CHUNK = 1 << 17


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in DTYPES:
        return f"{problem.dtype} would be rounded by a transform"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= c eps log2(L) ||x||_2 ||w||_2 over each block of L samples."""
    return "normwise"


def block_length(problem: Problem) -> int:
    """Return the transform length: about eight filters, where the cost per output is flat."""
    k = problem.filter[0]
    return 1 << max(9, (8 * k - 1).bit_length())


def work(problem: Problem) -> Work:
    """Return two transforms of each block and one of each filter."""
    length = block_length(problem)
    step = length - problem.filter[0] + 1
    blocks = -(-(geometry.strided(problem.output[0], 1) * problem.stride[0]) // step)
    filters = 1 if problem.shared_filter else problem.batch
    transforms = (2 * blocks * problem.batch + filters) * (2 if "complex" in problem.dtype else 1)
    size = np.dtype(problem.dtype).itemsize
    return Work(
        calls=2 + max(1, problem.batch * blocks * length // _CHUNK),
        butterflies=transforms * length * log2(length),
        bytes_moved=4 * size * problem.batch * blocks * length,
    )


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; windows that meet a NaN or an Inf are returned as boxes."""
    from scipy import fft

    from ..runtime import threads

    (k,), (m,) = problem.filter, problem.output
    (s,), (p,) = problem.stride, problem.pad
    out = operands.out
    if out.size == 0:
        return []
    if operands.x.size == 0:
        out[...] = 0
        return []
    length = block_length(problem)
    clean, boxes = quarantine(problem, operands.x, operands.w, length)
    if boxes == everything(problem):
        return boxes
    if clean.dtype.kind == "c":
        forward, backward = fft.fft, fft.ifft
    else:
        forward, backward = fft.rfft, fft.irfft
    spectra = forward(operands.w[:, ::-1], length, axis=1)
    step = length - k + 1
    blocks = -(-((m - 1) * s + 1) // step)
    group = max(1, _CHUNK // length)

    def some_blocks(lo: int, hi: int) -> None:
        for b in range(problem.batch):
            spectrum = spectra[b % len(spectra)]
            chunk = _blocks(clean[b], lo * step - p, hi - lo, step, length)
            result = backward(forward(chunk, axis=1) * spectrum, length, axis=1, overwrite_x=True)
            _keep(result[:, k - 1 :], out[b], lo * step, s)

    threads.run(some_blocks, geometry.bands(blocks, group), operands.workers)
    return boxes


def _blocks(x: Any, start: int, count: int, step: int, length: int) -> Any:
    """Return `count` overlapping blocks from sample `start` on, with zeros outside the signal."""
    total = (count - 1) * step + length
    lo, hi = max(0, start), min(len(x), start + total)
    if start < 0 or start + total > len(x):
        around = np.zeros(total, x.dtype)
        if hi > lo:
            around[lo - start : hi - start] = x[lo:hi]
    else:
        around = x[lo:hi]
    size = x.itemsize
    return as_strided(around, (count, length), (step * size, size), writeable=False)


def _keep(result: Any, out: Any, position: int, stride: int) -> None:
    """Store the outputs of consecutive blocks, the first at stride-1 output `position`."""
    if stride == 1:
        step = result.shape[1]
        whole = min(len(result), (len(out) - position) // step)
        end = position + whole * step
        out[position:end].reshape(whole, step)[...] = result[:whole]
        if whole < len(result):
            out[end : end + step] = result[whole, : len(out) - end]
        return
    flat = result.reshape(-1)
    first = -(-position // stride)
    last = min(len(out), (position + len(flat) - 1) // stride + 1)
    if last > first:
        start = first * stride - position
        out[first:last] = flat[start : start + (last - first - 1) * stride + 1 : stride]


PATH = Path(
    name="overlap_save",
    summary="blocks transformed by scipy.fft",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    imports="scipy.fft",
)
