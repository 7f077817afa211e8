"""Resampling by phases: gaps between samples, and strides, fall apart into plain correlations."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch

# Outputs of one phase in one band: its samples and sums stay in a second-level cache.
_BAND = 1 << 13


def supports(problem: Problem) -> str:
    """Return "" or why phases do not serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.ndim != 1 or problem.boundary != ("zero",) or problem.dilation != (1,):
        return "one axis, zeros outside and no dilation only"
    if problem.dtype not in KERNELS["rows"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    if problem.up == 1:
        return "gaps between samples only"
    return "" if problem.shared_filter else "one filter for all signals only"


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for floats, exact for integers and bool."""
    return "componentwise" if is_float(problem.dtype) else "exact"


def work(problem: Problem) -> Work:
    """Return the products, and the bytes of taking phases apart and together."""
    size = np.dtype(problem.dtype).itemsize
    return Work(
        calls=len(problem.phases()) * problem.stride[0],
        multiply_adds=problem.multiply_adds,
        bytes_moved=size
        * (3 * problem.outputs + 2 * problem.batch * prod(problem.signal) * problem.inner),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop that the problem needs."""
    return (("columns" if problem.inner > 1 else "rows", problem.dtype),)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    for first, step, taps, part in problem.phases():
        w = np.ascontiguousarray(operands.w[0, taps])
        if problem.inner > 1:
            _columns(part, kernel, operands, w, first, step)
        else:
            _rows(part, kernel, operands, w, operands.out[:, first::step])
    return []


def _columns(part: Problem, kernel: Any, operands: Operands, w: Any, first: int, step: int) -> None:
    """Run the loop over interleaved signals; the rows of other phases lie between its own."""
    (n,), (k,), (m,), inner = part.signal, part.filter, part.output, part.inner
    (s,), (p,) = part.stride, part.pad
    x, out = operands.x.reshape(part.batch, -1), operands.out.reshape(part.batch, -1)

    def some(lo: int, hi: int) -> None:
        for b in range(part.batch):
            into = out[b, (first + lo * step) * inner :]
            kernel(x[b], w, into, 1, 0, 0, 0, n, k, hi - lo, inner, inner, step * inner,
                   s, 1, p - lo * s)  # fmt: skip

    threads.run(some, geometry.bands(m, max(16, _BAND // inner)), operands.workers)


def _rows(part: Problem, kernel: Any, operands: Operands, w: Any, out: Any) -> None:
    """Run the loop over each signal, a band of outputs at a time."""
    (n,), (k,), (m,) = part.signal, part.filter, part.output
    (s,), (p,) = part.stride, part.pad

    def some(lo: int, hi: int) -> None:
        sums = scratch(hi - lo, out.dtype)
        for b in range(part.batch):
            kernel(operands.x[b], w, sums, 1, 0, 0, 0, n, k, hi - lo, s, 1, p - lo * s)
            out[b, lo:hi] = sums

    threads.run(some, geometry.bands(m, _BAND), operands.workers)


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
