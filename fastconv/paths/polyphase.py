"""Resampling by phases: gaps between samples, and strides, fall apart into plain correlations."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import gcd, prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch

# Outputs in one band, and the samples and sums of one stretch, which stay in a second-level cache.
_BAND = 1 << 16
_WORK_BYTES = 1 << 18
# The same of short rows, which are moved a sample of each at a time: in a first-level cache (426
# rows of 90 float32, 5 taps, 2/5: 125 us, so 58).
_SHORT_ROWS_BYTES = 1 << 15


def supports(problem: Problem) -> str:
    """Return "" or why phases do not serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.ndim != 1 or problem.boundary != ("zero",) or problem.dilation != (1,):
        return "one axis, zeros outside and no dilation only"
    if problem.dtype not in KERNELS["polyphase"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    if problem.up == 1 and problem.stride == (1,):
        return "gaps between samples or strides only"
    return "" if problem.shared_filter else "one filter for all signals only"


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for floats, exact for integers and bool."""
    return "componentwise" if is_float(problem.dtype) else "exact"


def work(problem: Problem) -> Work:
    """Return the products, and the bytes of taking phases apart and together."""
    size = np.dtype(problem.dtype).itemsize
    return Work(
        calls=1 if problem.inner == 1 else problem.up // gcd(problem.up, problem.stride[0]),
        multiply_adds=problem.multiply_adds,
        bytes_moved=size
        * (3 * problem.outputs + 2 * problem.batch * prod(problem.signal) * problem.inner),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop that the problem needs."""
    return (("columns" if problem.inner > 1 else "polyphase", problem.dtype),)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    if problem.inner == 1:
        run = row_runner(problem, kernel)
        run(operands.x.reshape(-1), operands.w[0], operands.out.reshape(-1), operands.workers)
        return []
    for first, step, taps, part in problem.phases():
        w = np.ascontiguousarray(operands.w[0, taps])
        _columns(part, kernel, operands, w, first, step)
    return []


def _columns(part: Problem, kernel: Any, operands: Operands, w: Any, first: int, step: int) -> None:
    """Run the loop over interleaved signals; the rows of other phases lie between its own."""
    (n,), (k,), (m,), inner = part.signal, part.filter, part.output, part.inner
    (s,), (p,) = part.stride, part.pad
    x, out = operands.x.reshape(-1), operands.out.reshape(-1)
    out_step = out.size // max(1, part.batch)

    def some(lo: int, hi: int) -> None:
        kernel(x, w, out[(first + lo * step) * inner :], part.batch, n * inner, 0, out_step, n, k,
               hi - lo, inner, inner, step * inner, s, 1, p - lo * s)  # fmt: skip

    threads.run(some, geometry.bands(m, max(16, _BAND // inner)), operands.workers)


def column_runner(problem: Problem, kernel: Any) -> Callable[[Any, Any, Any, int], None]:
    """Return what runs the loop over interleaved signals on (x, w, out, workers), on this thread.

    The arrays have one dimension, samples and results lie contiguous, and the filter is in
    correlation order.
    """
    (n,), (m,), inner, outer = problem.signal, problem.output, problem.inner, problem.batch
    parts = []
    for first, step, taps, part in problem.phases():
        (k,), (rows,), (s,), (p,) = part.filter, part.output, part.stride, part.pad
        parts.append((first * inner, taps, (
            outer, n * inner, 0, m * inner, n, k, rows, inner, inner, step * inner, s, 1, p
        )))  # fmt: skip

    def run(x: Any, w: Any, out: Any, workers: int) -> None:
        for begin, taps, counts in parts:
            kernel(x, np.ascontiguousarray(w[taps]), out[begin:], *counts)

    return run


class _Layout(NamedTuple):
    """Which samples and taps each phase of a resampling meets, as the kernel reads it.

    Parameters
    ----------
    stride, phases : int
        Samples and outputs in one group.
    order : ndarray of int
        The taps' numbers in the order of the runs.
    table, heads : ndarray of int64
        (row, column, taps) of each run; (first run, runs, first tap) of each phase.
    first, reach : int
        The first column that any run of group 0 reads, and how many columns after it.
    lo, hi : int
        The groups whose samples and outputs all exist.
    """

    stride: int
    phases: int
    order: Any
    table: Any
    heads: Any
    first: int
    reach: int
    lo: int
    hi: int


@lru_cache(maxsize=256)
def _layout(problem: Problem) -> _Layout:
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    parts = problem.phases()
    phases = problem.up // gcd(problem.up, problem.stride[0])
    stride = problem.stride[0] * phases // problem.up
    order: list[int] = []
    runs: list[tuple[int, int, int]] = []
    heads: list[tuple[int, int, int]] = []
    lo, hi = 0, m // phases
    for _, _, taps, part in parts:
        numbers, (pad,) = list(range(k))[taps], part.pad
        heads.append((len(runs), 0, len(order)))
        for t0 in range(min(stride, len(numbers))):
            # Taps t0, t0 + stride, ... lie over one row, one column after the other.
            column, row = divmod(t0 - pad, stride)
            mine = numbers[t0::stride]
            runs.append((row, column, len(mine)))
            order += mine
        heads[-1] = (heads[-1][0], len(runs) - heads[-1][0], heads[-1][2])
        if numbers:
            lo = max(lo, -(-pad // stride))
            hi = min(hi, (n - len(numbers) + pad) // stride + 1)
    first = min((column for _, column, _ in runs), default=0)
    reach = max((column + count for _, column, count in runs), default=0) - first
    table = np.array([(row, column - first, count) for row, column, count in runs], np.int64)
    return _Layout(
        stride, phases, np.array(order, np.intp), table.reshape(-1),
        np.array(heads, np.int64).reshape(-1), first, reach, lo, max(lo, hi),
    )  # fmt: skip


def row_runner(problem: Problem, kernel: Any) -> Callable[[Any, Any, Any, int], None]:
    """Return what runs the loop over all phases on (x, w, out, workers); all else is settled once.

    The arrays have one dimension, samples and results lie contiguous, and the filter is in
    correlation order.
    """
    layout = _layout(problem if problem.batch == 1 else problem._replace(batch=1))
    (n,), (m,) = problem.signal, problem.output
    stride, phases = layout.stride, layout.phases
    step = stretch(problem.dtype)
    groups = -(-m // phases)
    kind = np.dtype(problem.dtype)
    columns, most = groups, _WORK_BYTES
    if problem.batch > 1 and groups + layout.reach <= -(-groups // step) * step:
        # Short rows lie side by side.
        columns, most = problem.batch * (groups + layout.reach), _SHORT_ROWS_BYTES
    room = most // (kind.itemsize * (stride + phases)) // step
    width = step * max(1, min(room, -(-columns // step)))
    pitch = width + layout.reach
    space = stride * pitch + phases * width
    order, table, heads = layout.order, layout.table, layout.heads
    rest = (n, len(order), m, stride, phases, layout.first, layout.reach, layout.lo, layout.hi)

    def run(x: Any, w: Any, out: Any, workers: int) -> None:
        taps = w[order]

        def some_rows(lo: int, hi: int) -> None:
            kernel(x[lo * n :], taps, out[lo * m :], scratch(space, kind), table, heads, hi - lo,
                   n, m, *rest, 0, groups, width, pitch)  # fmt: skip

        def some_groups(lo: int, hi: int) -> None:
            kernel(x, taps, out, scratch(space, kind), table, heads, 1, 0, 0, *rest, lo, hi, width,
                   pitch)  # fmt: skip

        if problem.batch == 1 and m <= _BAND:
            some_groups(0, groups)
        elif problem.batch * m <= _BAND:
            some_rows(0, problem.batch)
        elif problem.batch > 1:
            each = max(1, _BAND // max(m, 1))
            threads.run(some_rows, geometry.bands(problem.batch, each), workers)
        else:
            each = max(1, _BAND // phases // width) * width
            threads.run(some_groups, geometry.bands(groups, each), workers)

    return run


def stretch(dtype: str) -> int:
    """Return how many groups the loop makes at once: a whole number of its register tiles."""
    # Eight accumulators of up to 64 bytes; a multiple serves narrower vectors, too.
    return 512 // np.dtype(dtype).itemsize


PATH = Path(
    name="polyphase",
    summary="gaps and strides taken apart into phases",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    interleaved=True,
    gaps=True,
)
