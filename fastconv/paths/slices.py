"""Pooling by whole-array operations: one NumPy pass per tap, axis by axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import geometry
from ..path import Box, Guarantee, Operands, Path, Work
from ..problem import Problem


def supports(problem: Problem) -> str:
    """Return "" for a maximum whose samples outside are left out."""
    if problem.reduction != "max":
        return "takes the maximum, does not add products"
    if any(rule != "zero" for rule in problem.boundary):
        return "leaves samples outside out"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return exact: a maximum is one of the samples."""
    return "exact"


def work(problem: Problem) -> Work:
    """Return one comparison per output and tap of each axis."""
    comparisons = sum(problem.filter) * problem.outputs
    return Work(calls=sum(problem.filter), multiply_adds=comparisons)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; NaN propagates; a window with no sample inside gets the lowest."""
    result: Any = operands.x
    for a in range(problem.ndim):
        result = _pool_axis(problem, result, a)
    operands.out[...] = result
    return []


def _pool_axis(problem: Problem, x: Any, a: int) -> Any:
    n, k, m = problem.signal[a], problem.filter[a], problem.output[a]
    s, d, p = problem.stride[a], problem.dilation[a], problem.pad[a]
    axis = a + 1
    pooled = np.full((*x.shape[:axis], m, *x.shape[axis + 1 :]), lowest(x.dtype), x.dtype)
    for t in range(k):
        # Those outputs whose tap t falls inside the signal.
        lo, hi = geometry.interior(n, 1, m, s, 1, p - t * d)
        if hi > lo:
            inside = (slice(None),) * axis + (slice(lo, hi),)
            start = lo * s + t * d - p
            samples = (slice(None),) * axis + (slice(start, start + (hi - lo - 1) * s + 1, s),)
            np.maximum(pooled[inside], x[samples], out=pooled[inside])
    return pooled


def lowest(dtype: Any) -> Any:
    """Return the value that no maximum keeps: -inf, the least integer, or False."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


PATH = Path(
    name="slices",
    summary="one NumPy pass per tap and axis",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
)
