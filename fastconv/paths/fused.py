"""Overlap-save by our own fused kernel: transform, product and inverse in one pass over a block."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import geometry
from ..path import BAND_BYTES, SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from . import fft_tables, one_signal
from .block_costs import FIRST_HALF, costs, together

DTYPES = ("float64", "float32")
# From here on the spectrum is kept at 2 reals per point instead of 4, and spread in registers: that
# takes 15 % off a filter's transform (more where it would be in fresh pages), and costs the rest
# nothing; smaller blocks, which are in the cache, would lose 3 %.
_COMPACT = 1 << 16
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
    if problem.room is not None and min(problem.output) > 0 and not _fitting(problem):
        return f"no block that fits into {problem.room} bytes"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= 9 (1 + log2 M) eps ||x||_2 ||w||_2 over blocks of 2M samples."""
    return "normwise"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter and the loop over blocks."""
    if min(problem.output) < 1:
        return ()
    return tuple((name, problem.dtype) for name in _loops(_size(problem), problem.shared_signal))


def _loops(size: int, several: bool = False) -> tuple[str, str]:
    """Return the loops for blocks of `size` points, of one signal with several filters or one."""
    of_signal = "overlap_save_filters" if several else "overlap_save"
    if size >= _COMPACT:
        return "spectrum_compact", f"{of_signal}_compact"
    return "spectrum", of_signal


@lru_cache(maxsize=4096)
def block_points(n: int, k: int, outputs: int, dtype: str, most: int | None = None) -> int:
    """Return the complex points M of a block that computes all results most cheaply.

    Of those of at most `most` points, if there is one; else the smallest that holds a window.
    """
    sizes = np.array(fft_tables.sizes(dtype, max(1024, n + k)))
    sizes = sizes[2 * sizes >= k]
    if most is not None:
        sizes = sizes[: max(1, int(np.count_nonzero(sizes <= most)))]
    blocks = np.where(n + k - 1 <= 2 * sizes, 1, -(-outputs // np.maximum(2 * sizes - k + 1, 1)))
    spectrum, block = costs(sizes, dtype)
    return int(sizes[np.argmin(spectrum + blocks * block)])


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
    itemsize, filters = np.dtype(problem.dtype).itemsize, 1
    if not problem.shared_filter:
        filters = problem.batch
    need = fft_tables.lengths(size, problem.dtype)
    spectrum = 2 * size if size >= _COMPACT else need.spectrum
    held = _together(problem, size) if problem.shared_signal else filters
    between = problem.batch * _span(problem) if problem.stride != (1,) else 0
    cut = _cut(problem, size)
    norms = 2 * problem.batch * cut.number
    bands = BAND_BYTES * (problem.batch + cut.number * cut.step * held // _BAND + 1)
    reals = held * spectrum + need.table + between + norms
    each = need.scratch * (2 if problem.shared_signal else 1)
    return Space(itemsize * reals + bands + SLACK, itemsize * each + SLACK)


def work(problem: Problem) -> Work:
    """Return two transforms of each block and one of each filter, weighed by cache."""
    outputs = _span(problem)
    if outputs < 1:
        return Work(calls=0)
    size = _size(problem)
    filters = 1 if problem.shared_filter else problem.batch
    spectrum, block = costs(size, problem.dtype)
    itemsize = np.dtype(problem.dtype).itemsize
    signals = 1 if problem.shared_signal else problem.batch
    halves = problem.batch - FIRST_HALF * (problem.batch - signals)
    calls = 1 + filters
    if problem.shared_signal:
        calls = 2 * -(-filters // _together(problem, size))
    return Work(
        calls=calls,
        butterflies=float(filters * spectrum + _cut(problem, size).number * halves * block),
        bytes_moved=itemsize * (problem.batch * outputs + signals * problem.signal[0]),
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
    clean, boxes = quarantine(problem, operands.x, operands.w, 2 * _size(problem), taken)
    if boxes == everything(problem):
        return boxes
    again = _compute(problem, operands, clean)
    return boxes if np.isfinite(again).all() else everything(problem)


def _cut(problem: Problem, size: int) -> geometry.Blocks:
    (n,), (k,), (pad,) = problem.signal, problem.filter, problem.pad
    return geometry.blocks(n, k, pad, _span(problem), 2 * size)


def _compute(problem: Problem, operands: Operands, x: Any) -> Any:
    """Run the kernel over all blocks; return a number per block that is finite if all is."""
    if not problem.shared_signal:
        return one_signal.compute(problem, operands, x, signal(problem))
    from . import several_filters

    one, dtype = signal(problem), problem.dtype
    _, of_blocks = _loops(one.plan.size, several=True)
    made = several_filters.Several(
        one.plan, dtype, of_blocks, one.apart, _together(problem, one.plan.size),
        partial(one_signal.transform, one),
    )  # fmt: skip
    return several_filters.compute(problem, operands, x, made, one.blocks)


def _together(problem: Problem, size: int) -> int:
    """Return how many filters' spectra there are at a time where all filters meet one signal."""
    reals = fft_tables.lengths(size, problem.dtype).spectrum if size < _COMPACT else 2 * size
    return together(problem.batch, reals * np.dtype(problem.dtype).itemsize)


def signal(problem: Problem) -> one_signal.Signal:
    """Return how each signal and its filter are computed, with all outputs before a stride."""
    (n,), (k,), dtype, size = problem.signal, problem.filter, problem.dtype, _size(problem)
    plan = fft_tables.transform(size, dtype)
    apart = 2 * size if size >= _COMPACT else plan.spectrum_length
    return one_signal.Signal(
        plan, dtype, *_loops(size), (k, k, 0), apart, _cut(problem, size), _BAND, n, _span(problem)
    )


PATH = Path(
    name="fused",
    summary="overlap-save blocks in one compiled kernel",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
    one_signal=signal,
)
