"""Windows without weights by whole-array operations: one NumPy pass per tap, axis by axis.

What answers where no compiled loop can run.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem

_REDUCE = {"box": np.add, "max": np.maximum, "min": np.minimum}


def supports(problem: Problem) -> str:
    """Return "" for a maximum, a minimum or a plain sum."""
    if problem.reduction not in _REDUCE:
        return "takes windows without weights only"
    if problem.up > 1:
        return "has no gaps between samples"
    if problem.dtype.startswith("complex") and problem.reduction != "box":
        return "complex numbers have no order"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for sums of floats, exact for everything else."""
    box = problem.reduction == "box" and is_float(problem.dtype)
    return "componentwise" if box else "exact"


def work(problem: Problem) -> Work:
    """Return one comparison or addition per output and tap of each axis, the last one first."""
    shape, steps = list(problem.signal), 0
    for a in reversed(range(problem.ndim)):
        shape[a] = problem.output[a]
        steps += problem.filter[a] * prod(shape)
    return Work(calls=sum(problem.filter), multiply_adds=steps * problem.batch * problem.inner)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; NaN propagates; a window with no sample inside gets the neutral value.

    A sum of bool is its OR.
    """
    result: Any = operands.x
    if problem.dtype == "float16":
        result = result.astype(np.float32)  # Rounded once, at the end.
    outside: Any = neutral(result.dtype, problem.reduction)
    if "fill" in problem.boundary:
        outside = operands.fill
    with np.errstate(invalid="ignore", over="ignore"):
        for a in reversed(range(problem.ndim)):
            result, outside = _along(problem, result, np.asarray(outside, result.dtype), a)
    operands.out[...] = result
    return []


def _along(problem: Problem, x: Any, outside: Any, a: int) -> tuple[Any, Any]:
    """Reduce one axis; also return what samples outside the others have become."""
    n, k, m = problem.signal[a], problem.filter[a], problem.output[a]
    s, d, p = problem.stride[a], problem.dilation[a], problem.pad[a]
    combine = _REDUCE[problem.reduction]
    source = geometry.source_map(
        -p, (m - 1) * s + geometry.span(k, d) if m else 0, n, problem.boundary[a]
    )
    axis = a + 1
    result, beyond = None, outside
    shape = [1] * x.ndim
    shape[axis] = m
    for t in range(k):
        at = source[t * d : t * d + (m - 1) * s + 1 : s] if m else source
        if n:
            samples = np.take(x, np.maximum(at, 0), axis)
            samples = np.where((at < 0).reshape(shape), outside, samples)
        else:
            samples = np.full((*x.shape[:axis], m, *x.shape[axis + 1 :]), outside)
        result = samples if result is None else combine(result, samples)
        beyond = outside if t == 0 else combine(beyond, outside)
    if problem.reduction == "box" and is_float(problem.dtype):
        result = result + x.dtype.type(0)  # Sums start from +0.
    return result, beyond


def neutral(dtype: Any, reduction: str) -> Any:
    """Return the value that changes no reduction: 0, the least or the largest number."""
    if reduction == "box":
        return 0
    if dtype.kind == "f":
        return -np.inf if reduction == "max" else np.inf
    if dtype.kind == "b":
        return reduction == "min"
    return getattr(np.iinfo(dtype), "min" if reduction == "max" else "max")


PATH = Path(
    name="slices",
    summary="one NumPy pass per tap and axis",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    interleaved=True,
)
