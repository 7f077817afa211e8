"""Running windows: maxima, minima and plain sums, at a cost that hardly grows with the window.

How to ask for one: a `Problem` whose `reduction` is "max", "min" or "box" (a sum without weights).
Of `filter` only the sizes count; `Operands.w` is never looked at (``np.zeros(problem.filter)``).
Everything else means what it means for a convolution: any number of axes, any rule of
`geometry.BOUNDARIES` per axis, stride, dilation, pad, and signals that lie interleaved
(`Problem.inner`). With the rule "zero" a maximum or minimum leaves out what lies outside; a window
that meets nothing gets the least (largest) value of its dtype. A mean is the sum of a box divided
by the window's size::

    problem = Problem(dtype="float32", batch=1, shared_filter=True, signal=image.shape,
                      filter=(7, 7), output=image.shape, stride=(1, 1), dilation=(1, 1),
                      pad=(3, 3), boundary=("reflect", "reflect"), reduction="max")

Windows are separable: the last axis first, each other axis down the columns. NaN reaches the
windows that hold it and no other; of 0.0 and -0.0, which are equal, a maximum or minimum is the one
that comes first in its window, row by row (with strides, either of them). Sums start from +0, are
never taken back by subtraction, and err by at most gamma_(taps-1) relative to the window's sum of
magnitudes; integers wrap, and a sum of bool is its OR. float16 is compared and added in float32,
and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from .recalled import room_of
from .scan_axes import (
    OPS,
    STRIP_BYTES,
    Axis,
    Loops,
    axes_of,
    lines_of,
    loops_of,
    numbers,
    row_plan,
    row_room,
)
from .scan_passes import MANY, chain, goes_down

Array = npt.NDArray[Any]

_SHARED = {
    "bool": "uint8",
    "float16": "float32",
    "complex128": "float64",
    "complex64": "float32",
}
# Arrays of so many samples are reduced whole, one axis after the other.
_SMALL = 1 << 15


def supports(problem: Problem) -> str:
    """Return "" or why the problem is no running window."""
    if problem.reduction not in OPS:
        return "takes windows without weights only"
    if problem.up > 1:
        return "has no gaps between samples"
    if problem.inner > 1 and problem.ndim > 1:
        return "interleaved signals need one axis"
    if problem.dtype.startswith("complex") and problem.reduction != "box":
        return "complex numbers have no order"
    if _loop_dtype(problem.dtype) not in KERNELS["window_rows"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for sums of floats, exact for everything else."""
    box = problem.reduction == "box" and is_float(problem.dtype)
    return "componentwise" if box else "exact"


def work(problem: Problem) -> Work:
    """Return the passes over the data: each reads and writes everything once."""
    size = np.dtype(problem.dtype).itemsize
    samples = problem.batch * prod(problem.signal) * problem.inner
    passes = max(1, sum(k > 1 for k in problem.filter))
    return Work(
        calls=passes,
        multiply_adds=3 * passes * max(problem.outputs, samples),
        bytes_moved=size * passes * (problem.outputs + samples),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the loops along and across the rows that the problem needs."""
    dtype = _loop_dtype(problem.dtype)
    if problem.ndim == 1 and problem.batch < MANY:
        inner = problem.inner * _parts(problem.dtype)
        columns = goes_down(problem.stride[0], inner, np.dtype(dtype).itemsize)
        return (("window_columns" if columns else "window_rows", dtype),)
    return (("window_rows", dtype), ("window_columns", dtype))


def _loop_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`."""
    return _SHARED.get(dtype, dtype)


def _parts(dtype: str) -> int:
    """Return how many numbers one element holds."""
    return 1 + dtype.startswith("complex")


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    dtype = np.dtype(_loop_dtype(problem.dtype))
    x, out = operands.x, operands.out
    if problem.dtype == "float16":
        x, out = x.astype(dtype), np.empty(out.shape, dtype)
    x, target = x.view(dtype), out.view(dtype)
    reduction = "max" if problem.dtype == "bool" and problem.reduction == "box" else None
    reduction = reduction or problem.reduction
    loops = loops_of(
        _loop_dtype(problem.dtype), reduction, _parts(problem.dtype), problem.dtype == "bool"
    )
    if "fill" in problem.boundary:
        fill = np.asarray(operands.fill).astype(problem.dtype)
        fill = fill.astype(dtype) if problem.dtype == "float16" else fill.reshape(1).view(dtype)
        loops = Loops(
            dtype.name, dtype, loops.op, np.resize(fill, loops.nothing.shape), loops.nothing
        )
    inner = problem.inner * _parts(problem.dtype)
    if problem.outputs:
        run = chain(loops, axes_of(problem), problem.batch, inner)
        run(x.reshape(-1), target.reshape(-1), operands.workers)
    if out is not operands.out:
        with np.errstate(over="ignore"):
            operands.out[...] = out
    return []


# ---------------------------------------------------------------- plain arrays, settled once


def settled(
    problem: Problem, fill: float, crew: Callable[[], int]
) -> Callable[[Array, Array], None] | None:
    """Return what computes one array, a small one by a compiled call per axis, or None.

    Parameters
    ----------
    problem : Problem
        One array, as many outputs as samples along each axis, of a dtype with loops of its own.
    fill : float
        Samples outside, for the rule "fill".
    crew : callable
        Says how many threads may be used.

    Returns
    -------
    callable or None
        ``run(samples, results)`` of one piece each.
    """
    if problem.dtype in _SHARED or problem.batch * problem.inner > 1:
        return None
    axes, size = axes_of(problem), prod(problem.signal)
    if problem.output != problem.signal or max(*problem.stride, *problem.dilation) > 1:
        return None
    loops = loops_of(problem.dtype, problem.reduction, 1, False)
    if "fill" in problem.boundary:
        loops = loops._replace(fill=np.full_like(loops.nothing, fill))
    if size > _SMALL:
        run = chain(loops, axes, 1, 1)
        return lambda source, result: run(source, result, crew())
    return _small(loops, axes, problem)


def _small(
    loops: Loops, axes: tuple[Axis, ...], problem: Problem
) -> Callable[[Array, Array], None]:
    calls, room, size = [], 0, prod(problem.signal)
    for a in [a for a in reversed(range(len(axes))) if not axes[a].trivial] or [len(axes) - 1]:
        axis, outside = axes[a], loops.outside(axes[a].rule)
        outer, inner = prod(problem.signal[:a]), prod(problem.signal[a + 1 :])
        arrays: tuple[Array, ...]
        counts: tuple[int, ...]
        if inner == 1:
            lo, hi, left, right = row_plan(axis, 1)
            kernel, arrays = loops.rows(), (outside, numbers(outer), left, right)
            counts = (outer, axis.n, axis.k, axis.m, lo, hi, 1, 1, axis.pad, loops.op)
            room = max(room, row_room(axis, 1, loops.dtype))
        else:
            step = axis.n * inner
            kernel, arrays = loops.columns(), (outside, lines_of(axis))
            counts = (outer, step, step, inner, axis.k, axis.m, 1, 1, loops.op)
            room = max(room, axis.k * STRIP_BYTES // loops.dtype.itemsize)
        calls.append((kernel, arrays, counts))
        loops = loops.after(axis.k)
    last = len(calls) - 1
    space_of = room_of(room + min(last, 2) * size, loops.dtype)

    def run(source: Array, result: Array) -> None:
        space = space_of()
        for number, (kernel, arrays, counts) in enumerate(calls):
            goal = result if number == last else space[room + number % 2 * size :]
            kernel(source, goal, space, *arrays, *counts)
            source = goal

    return run


PATH = Path(
    name="scan",
    summary="compiled windows without weights, each axis by itself",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    interleaved=True,
)
