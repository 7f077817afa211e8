"""Overlap-save for complex samples by our own fused kernel."""

from __future__ import annotations

from functools import lru_cache, partial
from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..path import BAND_BYTES, SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from . import fft_tables, one_signal
from .block_costs import FIRST_HALF, together
from .fft_tables import PARTS

# Nanoseconds per point of a block of M points, as in `fused`: (filter's spectrum, results). One
# core of an AMD Zen 5 server CPU with AVX-512 (2026-11, numba 0.68.1); the optimum is flat.
_BLOCK_COSTS: dict[str, dict[int, tuple[float, float]]] = {
    "complex128": {
        1: (2.5, 1.15), 512: (1.8, 1.35), 1024: (1.5, 1.42), 2048: (1.4, 1.64), 4096: (1.3, 1.72),
        8192: (1.3, 1.88), 16384: (1.3, 2.29), 32768: (1.4, 3.0), 65536: (1.4, 3.1),
        131072: (1.8, 3.8), 262144: (3.0, 4.4),
    },
    "complex64": {
        1: (1.9, 0.75), 1024: (0.9, 0.8), 4096: (0.7, 0.95), 16384: (0.7, 1.1),
        65536: (0.75, 1.35), 262144: (0.9, 1.8),
    },
}  # fmt: skip
_PER_DOUBLING, _ODD_RADIX = 1.15, 1.06
_BAND = 1 << 15


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in PARTS:
        return f"complex numbers only, not {problem.dtype}"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    if problem.room is not None and min(problem.output) > 0 and not _fitting(problem):
        return f"no block that fits into {problem.room} bytes"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= 9 (1 + log2 M) eps ||x||_2 ||w||_2 over blocks of M samples."""
    return "normwise"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter and the loop over blocks."""
    part = PARTS[problem.dtype]
    loop = "complex_filters" if problem.shared_signal else "complex_blocks"
    return (("complex_spectrum", part), (loop, part))


@lru_cache(maxsize=4096)
def block_points(n: int, k: int, outputs: int, dtype: str, most: int | None = None) -> int:
    """Return the points M of a block that computes all results most cheaply.

    Of those of at most `most` points, if there is one; else the smallest that holds a window.
    """
    sizes = fft_tables.sizes(PARTS[dtype], max(1024, 2 * (n + k)))
    usable = [size for size in sizes if size >= k]
    if most is not None:
        usable = [size for size in usable if size <= most] or usable[:1]
    return min(usable, key=lambda size: _cost(size, _blocks(size, n, k, outputs), dtype))


def _blocks(size: int, n: int, k: int, outputs: int) -> int:
    return 1 if n + k - 1 <= size else -(-outputs // (size - k + 1))


def _cost(size: int, blocks: int, dtype: str) -> float:
    table = _BLOCK_COSTS[dtype]
    spectrum, block = table[max(known for known in table if known <= size)]
    more = _PER_DOUBLING ** log2(max(1.0, size / max(table)))
    if size & (size - 1):
        more *= _ODD_RADIX
    return float(size * (spectrum + blocks * block) * more)


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def _size(problem: Problem) -> int:
    if problem.room is not None:
        return _fitting(problem)
    return _best(problem, None)


def _best(problem: Problem, most: int | None) -> int:
    (n,), (k,) = problem.signal, problem.filter
    return block_points(n, k, _span(problem), problem.dtype, most)


@lru_cache(maxsize=1024)
def _fitting(problem: Problem) -> int:
    """Return the points of the cheapest block that keeps within the room; 0 if there is none."""
    assert problem.room is not None
    size = _best(problem, None)
    while _space(problem, size).least > problem.room:
        smaller = _best(problem, size * 7 // 8)
        if smaller >= size:
            return 0
        size = smaller
    return size


def space(problem: Problem) -> Space:
    """Return 2 to 3 blocks' bytes for each filter, and one or two for each worker."""
    return _space(problem, _size(problem)) if _span(problem) > 0 else Space()


def _space(problem: Problem, size: int) -> Space:
    (n,), (k,), outputs = problem.signal, problem.filter, _span(problem)
    part = PARTS[problem.dtype]
    filters = 1 if problem.shared_filter else problem.batch
    need = fft_tables.lengths(size, part)
    between = problem.batch * outputs if problem.stride != (1,) else 0
    # A block may be counted as the only one and be cut after all, where the pad is odd.
    blocks = max(_blocks(size, n, k, outputs), -(-outputs // (size - k + 1)))
    norms = 2 * problem.batch * blocks
    bands = BAND_BYTES * (problem.batch + blocks * size // _BAND + 1)
    held = _together(problem, size) if problem.shared_signal else filters
    reals = held * (need.spectrum + 2 * k) + need.table + 2 * between + norms
    each = need.scratch * (2 if problem.shared_signal else 1)
    itemsize = np.dtype(part).itemsize
    return Space(itemsize * reals + bands + SLACK, itemsize * each + SLACK)


def _together(problem: Problem, size: int) -> int:
    """Return how many filters' spectra there are at a time where all filters meet one signal."""
    part = PARTS[problem.dtype]
    reals = fft_tables.lengths(size, part).spectrum
    return together(problem.batch, reals * np.dtype(part).itemsize)


def work(problem: Problem) -> Work:
    """Return two transforms of each block and one of each filter."""
    k, outputs = problem.filter[0], _span(problem)
    if outputs < 1:
        return Work(calls=0)
    size = _size(problem)
    blocks = _blocks(size, problem.signal[0], k, outputs)
    filters = 1 if problem.shared_filter else problem.batch
    itemsize = np.dtype(problem.dtype).itemsize
    again, calls = 0, 1 + filters
    if problem.shared_signal:
        again, calls = problem.batch - 1, 2 * -(-filters // _together(problem, size))
    halves = problem.batch - FIRST_HALF * again
    return Work(
        calls=calls,
        butterflies=(2 * blocks * halves + filters) * size * log2(size),
        bytes_moved=itemsize * (2 * problem.batch - again) * blocks * size,
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
    from ..nonfinite import quarantine

    shared, each = space(problem)
    taken = shared + operands.workers * each
    clean, boxes = quarantine(problem, operands.x, operands.w, _size(problem), taken)
    if boxes == everything(problem):
        return boxes
    again = _compute(problem, operands, clean)
    return boxes if np.isfinite(again).all() else everything(problem)


def _compute(problem: Problem, operands: Operands, x: Any) -> Any:
    """Run the kernel over all blocks; return a number per block that is finite if all is."""
    if not problem.shared_signal:
        return one_signal.compute(problem, operands, x, signal(problem))
    from . import several_filters

    one = signal(problem)
    made = several_filters.Several(
        one.plan, one.part, "complex_filters", one.apart, _together(problem, one.plan.size),
        partial(one_signal.transform, one),
    )  # fmt: skip
    return several_filters.compute(problem, operands, x, made, one.blocks)


def signal(problem: Problem) -> one_signal.Signal:
    """Return how each signal and its filter are computed, with all outputs before a stride."""
    (n,), (k,), (pad,), size = problem.signal, problem.filter, problem.pad, _size(problem)
    plan, outputs = fft_tables.transform(size, PARTS[problem.dtype]), _span(problem)
    return one_signal.Signal(
        plan, problem.dtype, "complex_spectrum", "complex_blocks", (k, k), plan.spectrum_length,
        geometry.blocks(n, k, pad, outputs, size), _BAND, n, outputs,
    )  # fmt: skip


PATH = Path(
    name="fused_complex",
    summary="complex overlap-save blocks in one compiled kernel",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
    one_signal=signal,
)
