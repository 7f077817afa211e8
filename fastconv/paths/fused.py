"""Overlap-save by our own fused kernel: transform, product and inverse in one pass over a block."""

from __future__ import annotations

import threading
from functools import lru_cache
from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..nonfinite import quarantine
from ..path import Box, Guarantee, Operands, Path, Work, everything
from ..problem import Problem
from ..runtime import load, threads
from . import fft_tables

DTYPES = ("float64", "float32")
# A block and what belongs to it stay in the second cache up to here; beyond, a point costs more.
_CACHE_BYTES = 1 << 20
_BEYOND_CACHE = 1.6
# What reading and writing a block costs, in halvings of its transform.
_PASSES = 5
# Outputs in one band; the blocks themselves do not depend on it.
_BAND = 1 << 16
# Scratch up to this size is kept by each thread.
_KEPT_BYTES = 1 << 23

_here = threading.local()


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in DTYPES:
        return f"no fused transform for {problem.dtype}"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= 9 (1 + log2 M) eps ||x||_2 ||w||_2 over blocks of 2M samples."""
    return "normwise"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter and the loop over blocks."""
    return (("spectrum", problem.dtype), ("overlap_save", problem.dtype))


@lru_cache(maxsize=4096)
def block_points(outputs: int, k: int, dtype: str) -> int:
    """Return the complex points M of a block that computes `outputs` results most cheaply."""
    itemsize = np.dtype(dtype).itemsize
    best, least = 0, np.inf
    for size in fft_tables.sizes(dtype, 2 * max(k, (outputs + k) // 2 + 1) + 1024):
        step = 2 * size - k + 1
        if step < 1:
            continue
        beyond = _BEYOND_CACHE if 6 * size * itemsize > _CACHE_BYTES else 1.0
        cost = -(-outputs // step) * size * (log2(size) + _PASSES) * beyond
        # The filter's own transform is half of a block's work.
        cost += size * log2(size)
        if cost < least:
            best, least = size, cost
    return best


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def work(problem: Problem) -> Work:
    """Return two transforms of each block and one of each filter."""
    k, outputs = problem.filter[0], _span(problem)
    if outputs < 1:
        return Work(calls=0)
    size = block_points(outputs, k, problem.dtype)
    blocks = -(-outputs // (2 * size - k + 1))
    filters = 1 if problem.shared_filter else problem.batch
    itemsize = np.dtype(problem.dtype).itemsize
    return Work(
        calls=1 + filters,
        butterflies=(2 * blocks * problem.batch + filters) * size * log2(size),
        bytes_moved=4 * itemsize * problem.batch * blocks * size,
    )


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; windows that meet a NaN or an Inf are returned as boxes."""
    if operands.out.size == 0:
        return []
    if operands.x.size == 0:
        operands.out[...] = 0
        return []
    if np.isfinite(_blocks(problem, operands, operands.x)).all():
        return []
    # The kernel met something that is not finite, or close to overflow. Now it is worth looking.
    size = block_points(_span(problem), problem.filter[0], problem.dtype)
    clean, boxes = quarantine(problem, operands.x, operands.w, 2 * size)
    if boxes == everything(problem):
        return boxes
    again = _blocks(problem, operands, clean)
    return boxes if np.isfinite(again).all() else everything(problem)


def _blocks(problem: Problem, operands: Operands, x: Any) -> Any:
    """Run the kernel over all blocks; return a number per block that is finite if all is."""
    (n,), (k,), (pad,), (stride,) = problem.signal, problem.filter, problem.pad, problem.stride
    dtype, outputs, batch = problem.dtype, _span(problem), problem.batch
    plan = fft_tables.transform(block_points(outputs, k, dtype), dtype)
    form = (plan.size, plan.top, plan.levels)
    filters = len(operands.w)
    spectra = np.empty((filters, plan.spectrum_length), dtype)
    load.kernel("spectrum", dtype)(
        operands.w.reshape(-1), spectra.reshape(-1), plan.table, _scratch(plan, dtype),
        filters, k, k, 0, *form,
    )  # fmt: skip
    step = 2 * plan.size - k + 1
    blocks = -(-outputs // step)
    norms = np.zeros((batch, blocks), dtype)
    out = operands.out if stride == 1 else np.empty((batch, outputs), dtype)
    kernel = load.kernel("overlap_save", dtype)

    def some_blocks(row: int, lo: int, hi: int) -> None:
        kernel(
            x[row], spectra[row % filters], plan.table, _scratch(plan, dtype), out[row],
            norms[row], 1, 0, 0, 0, n, lo * step, min(outputs, hi * step), 1 - k, step,
            k - 1 - pad, lo, hi, *form,
        )  # fmt: skip

    if batch == 1:
        bands = geometry.bands(blocks, max(1, _BAND // step))
        threads.run(lambda lo, hi: some_blocks(0, lo, hi), bands, operands.workers)
    else:

        def some_rows(lo: int, hi: int) -> None:
            for row in range(lo, hi):
                some_blocks(row, 0, blocks)

        bands = geometry.bands(batch, max(1, _BAND // outputs))
        threads.run(some_rows, bands, operands.workers)
    if stride != 1:
        operands.out[...] = out[:, ::stride]
    return norms


def _scratch(plan: fft_tables.Transform, dtype: str) -> Any:
    """Return work space on a 64-byte boundary; small ones belong to the thread and are kept."""
    itemsize = np.dtype(dtype).itemsize
    size = plan.scratch_length * itemsize
    kept = getattr(_here, "bytes", None)
    if kept is None or len(kept) < size + 64:
        kept = np.empty(size + 64, np.uint8)
        if size <= _KEPT_BYTES:
            _here.bytes = kept
    start = -kept.ctypes.data % 64
    return kept[start : start + size].view(dtype)


PATH = Path(
    name="fused",
    summary="overlap-save blocks in one compiled kernel",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
