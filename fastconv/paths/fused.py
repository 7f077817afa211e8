"""Overlap-save by our own fused kernel: transform, product and inverse in one pass over a block."""

from __future__ import annotations

from functools import lru_cache
from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..nonfinite import quarantine
from ..path import Box, Guarantee, Operands, Path, Work, everything
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables

DTYPES = ("float64", "float32")
# Nanoseconds per complex point that a block of M points costs in making the filter's spectrum, and
# per point and block in computing results. Measured on one core of an AMD Zen 5 server CPU with
# AVX-512 (2026-11, numba 0.68.1); the optimum is flat, so that one table serves other machines.
_BLOCK_COSTS: dict[str, dict[int, tuple[float, float]]] = {
    "float64": {
        64: (5.8, 1.02), 128: (3.4, 0.96), 256: (2.15, 1.07), 512: (1.7, 1.22),
        1024: (1.36, 1.30), 2048: (1.3, 1.58), 4096: (1.21, 1.60), 8192: (1.17, 1.74),
        16384: (1.25, 2.08), 32768: (1.33, 2.12), 65536: (1.37, 2.30), 81920: (1.49, 2.56),
        131072: (1.56, 2.80), 262144: (1.84, 3.98),
    },
    "float32": {
        256: (1.84, 0.64), 512: (1.12, 0.65), 1024: (0.82, 0.68), 2048: (0.72, 0.76),
        4096: (0.64, 0.85), 8192: (0.65, 0.90), 16384: (0.63, 1.00), 32768: (0.65, 1.12),
        65536: (0.71, 1.23), 131072: (0.72, 1.32), 262144: (0.76, 1.53),
    },
}  # fmt: skip
# Beyond the table each doubling costs this much more per point (memory).
_PER_DOUBLING = 1.15
# A first radix of 3 or 5 costs this much more than the power of two below it.
_ODD_RADIX = 1.06
# Outputs in one band; the blocks themselves do not depend on it.
_BAND = 1 << 16


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
def block_points(n: int, k: int, outputs: int, dtype: str) -> int:
    """Return the complex points M of a block that computes all results most cheaply."""
    sizes = fft_tables.sizes(dtype, max(1024, n + k))
    usable = [size for size in sizes if 2 * size >= k]
    return min(usable, key=lambda size: _cost(size, _blocks(size, n, k, outputs), dtype))


def _blocks(size: int, n: int, k: int, outputs: int) -> int:
    return 1 if n + k - 1 <= 2 * size else -(-outputs // (2 * size - k + 1))


def _cost(size: int, blocks: int, dtype: str) -> float:
    table = _BLOCK_COSTS[dtype]
    below = max((known for known in table if known <= size), default=min(table))
    spectrum, block = table[below]
    more = _PER_DOUBLING ** log2(max(1.0, size / max(table)))
    if size & (size - 1):
        more *= _ODD_RADIX
    return float(size * (spectrum + blocks * block) * more)


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def _size(problem: Problem) -> int:
    return block_points(problem.signal[0], problem.filter[0], _span(problem), problem.dtype)


def work(problem: Problem) -> Work:
    """Return two transforms of each block and one of each filter."""
    k, outputs = problem.filter[0], _span(problem)
    if outputs < 1:
        return Work(calls=0)
    size = _size(problem)
    blocks = _blocks(size, problem.signal[0], k, outputs)
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
    if np.isfinite(_compute(problem, operands, operands.x)).all():
        return []
    # The kernel met something that is not finite, or close to overflow. Now it is worth looking.
    clean, boxes = quarantine(problem, operands.x, operands.w, 2 * _size(problem))
    if boxes == everything(problem):
        return boxes
    again = _compute(problem, operands, clean)
    return boxes if np.isfinite(again).all() else everything(problem)


def _compute(problem: Problem, operands: Operands, x: Any) -> Any:
    """Run the kernel over all blocks; return a number per block that is finite if all is."""
    (n,), (k,), (pad,), (stride,) = problem.signal, problem.filter, problem.pad, problem.stride
    dtype, outputs, batch = problem.dtype, _span(problem), problem.batch
    plan = fft_tables.transform(_size(problem), dtype)
    form, room = (plan.size, plan.top, plan.levels), plan.scratch_length
    filters = len(operands.w)
    spectra = np.empty((filters, plan.spectrum_length), dtype)
    load.kernel("spectrum", dtype)(
        operands.w.reshape(-1), spectra.reshape(-1), plan.table, scratch(room, dtype),
        filters, k, k, 0, *form,
    )  # fmt: skip
    blocks = _blocks(plan.size, n, k, outputs)
    if blocks == 1 and n + k - 1 <= 2 * plan.size and 0 <= pad < k:
        # The whole signal and its tail fit into one block: nothing wraps, its head is good too.
        step, first, shift = outputs, pad - k + 1, k - 1 - pad
    else:
        step, first, shift = 2 * plan.size - k + 1, 1 - k, k - 1 - pad
        blocks = -(-outputs // step)
    norms = np.zeros((batch, blocks), dtype)
    out = operands.out if stride == 1 else np.empty((batch, outputs), dtype)
    kernel = load.kernel("overlap_save", dtype)

    def some_blocks(row: int, lo: int, hi: int) -> None:
        kernel(
            x[row], spectra[row % filters], plan.table, scratch(room, dtype), out[row],
            norms[row], 1, 0, 0, 0, n, lo * step, min(outputs, hi * step), first, step,
            shift, lo, hi, *form,
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
