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
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from .recalled import room_of

Array = npt.NDArray[Any]
# (samples, results, how many threads may be used)
_Run = Callable[[Array, Array, int], None]
Rows = tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]

_SHARED = {
    "bool": "uint8",
    "float16": "float32",
    "complex128": "float64",
    "complex64": "float32",
}
_OPS = {"box": 0, "max": 1, "min": 2}
# The kernels' work space: outputs of one chunk of a row, and a strip of four 64-byte vectors.
_CHUNK_BYTES, _STRIP_BYTES = 8192, 256
# Rows between two passes stay in a second-level cache of 1 MiB; a band of outputs has this much.
BAND_BYTES = 1 << 19
# Arrays of so many samples are reduced whole, one axis after the other.
_SMALL = 1 << 15
# Rows so short, of which there are so many, are reduced as columns: 100000 rows of three floats and
# windows of five 2.7 ms by rows, 0.9 so; of 16 floats 8.0 and 4.8.
_SHORT, _SHORT_BYTES, _MANY = 32, 96, 64
# Fewer columns than this are taken for one row whose samples are so far apart.
_NARROW_BYTES = 128


def supports(problem: Problem) -> str:
    """Return "" or why the problem is no running window."""
    if problem.reduction not in _OPS:
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
    if problem.ndim == 1 and problem.batch < _MANY:
        inner = problem.inner * _parts(problem.dtype)
        columns = _down(problem.stride[0], inner, np.dtype(dtype).itemsize)
        return (("window_columns" if columns else "window_rows", dtype),)
    return (("window_rows", dtype), ("window_columns", dtype))


def _loop_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`."""
    return _SHARED.get(dtype, dtype)


def _parts(dtype: str) -> int:
    """Return how many numbers one element holds."""
    return 1 + dtype.startswith("complex")


def _down(stride: int, inner: int, size: int) -> bool:
    """Return whether windows go down whole columns, or along a row with dilation `inner`."""
    if inner == 1:
        return False
    return stride > 1 or inner * size >= _NARROW_BYTES


# ---------------------------------------------------------------- the passes


class _Axis(NamedTuple):
    """One axis of a problem, and the value outside if samples there have none of the signal's."""

    n: int
    k: int
    m: int
    stride: int
    dilation: int
    pad: int
    rule: str

    @property
    def trivial(self) -> bool:
        return self.k == self.stride == 1 and self.pad == 0 and self.n == self.m

    @property
    def span(self) -> int:
        return geometry.span(self.k, self.dilation)

    @property
    def reach(self) -> int:
        """How many virtual samples all outputs read."""
        return (self.m - 1) * self.stride + self.span

    def part(self, lo: int, hi: int) -> _Axis:
        return _Axis(self.n, self.k, hi - lo, self.stride, self.dilation,
                     self.pad - lo * self.stride, self.rule)  # fmt: skip


class _Loops(NamedTuple):
    """How the passes of one request reduce: the loops, their number for it, and values outside."""

    name: str
    dtype: np.dtype[Any]
    op: int
    fill: Array
    nothing: Array

    def outside(self, rule: str) -> Array:
        """Return the value of samples that are no sample of the signal, many times over."""
        return self.fill if rule == "fill" else self.nothing

    def after(self, k: int) -> _Loops:
        """Return the loops for another axis: what lies outside it has been reduced like the rest.

        A window of k fill values is their sum, or any one of them.
        """
        if self.op != _OPS["box"] or self.fill is self.nothing or k == 1:
            return self
        return self._replace(fill=self.fill * np.asarray(k).astype(self.dtype))

    def rows(self) -> Any:
        return load.kernel("window_rows", self.name)

    def columns(self) -> Any:
        return load.kernel("window_columns", self.name)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    dtype = np.dtype(_loop_dtype(problem.dtype))
    x, out = operands.x, operands.out
    if problem.dtype == "float16":
        x, out = x.astype(dtype), np.empty(out.shape, dtype)
    x, target = x.view(dtype), out.view(dtype)
    reduction = "max" if problem.dtype == "bool" and problem.reduction == "box" else None
    reduction = reduction or problem.reduction
    loops = _loops(
        _loop_dtype(problem.dtype), reduction, _parts(problem.dtype), problem.dtype == "bool"
    )
    if "fill" in problem.boundary:
        fill = np.asarray(operands.fill).astype(problem.dtype)
        fill = fill.astype(dtype) if problem.dtype == "float16" else fill.reshape(1).view(dtype)
        loops = _Loops(
            dtype.name, dtype, loops.op, np.resize(fill, loops.nothing.shape), loops.nothing
        )
    inner = problem.inner * _parts(problem.dtype)
    if problem.outputs:
        run = _chain(loops, _axes(problem), problem.batch, inner)
        run(x.reshape(-1), target.reshape(-1), operands.workers)
    if out is not operands.out:
        with np.errstate(over="ignore"):
            operands.out[...] = out
    return []


@lru_cache(maxsize=64)
def _loops(dtype: str, reduction: str, parts: int, boolean: bool) -> _Loops:
    kind = np.dtype(dtype)
    nothing = {"box": 0, "max": lowest(kind), "min": highest(kind)}[reduction]
    if boolean and reduction == "min":
        nothing = 1
    count = max(_STRIP_BYTES // kind.itemsize, parts)
    values = np.full(count, nothing, kind)
    return _Loops(dtype, kind, _OPS[reduction], values, values)


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no maximum keeps: -inf or the least integer."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def highest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no minimum keeps: inf or the largest integer."""
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


@lru_cache(maxsize=512)
def _axes(problem: Problem) -> tuple[_Axis, ...]:
    columns = (problem.signal, problem.filter, problem.output, problem.stride, problem.dilation,
               problem.pad, problem.boundary)  # fmt: skip
    axes = tuple(_Axis(*row) for row in zip(*columns, strict=True))
    if "fill" not in problem.boundary:
        return axes
    # A sample outside any axis has the fill value, wherever it lies along the others.
    return tuple(axis._replace(rule="fill") if axis.rule == "zero" else axis for axis in axes)


def _chain(loops: _Loops, axes: tuple[_Axis, ...], batch: int, inner: int) -> _Run:
    """Return what reduces every axis, the last one first."""
    left = [a for a in reversed(range(len(axes))) if not axes[a].trivial] or [len(axes) - 1]
    shape = [axis.n for axis in axes]
    passes: list[tuple[_Run, int]] = []  # Each with the length of its result.
    last = len(axes) - 1
    if left[:2] == [last, last - 1] and axes[-2].stride > 1:
        left[:2] = [last - 1, last]  # So that the rows to go along are few.
    elif left[:2] == [last, last - 1] and inner == 1 and not _short(loops, axes[-1]):
        shape[-2:] = axes[-2].m, axes[-1].m
        one = _plane(loops, axes[-2], axes[-1], batch * prod(shape[:-2]))
        passes.append((one, batch * prod(shape)))
        left = left[2:]
        loops = loops.after(axes[-1].k * axes[-2].k)
    for a in left:
        shape[a] = axes[a].m
        one = _along(loops, axes[a], batch * prod(shape[:a]), prod(shape[a + 1 :]) * inner)
        passes.append((one, batch * prod(shape) * inner))
        loops = loops.after(axes[a].k)
    *before, (final, _) = passes
    dtype = loops.dtype

    def run(x: Array, out: Array, workers: int) -> None:
        for one, length in before:
            goal = np.empty(length, dtype)
            one(x, goal, workers)
            x = goal
        final(x, out, workers)

    return run


def _along(loops: _Loops, axis: _Axis, outer: int, inner: int) -> _Run:
    """Return what reduces one axis of x, of shape (outer, n, inner)."""
    if inner == 1 and outer >= _MANY and _short(loops, axis):
        return _turned(loops, axis, outer)
    if not _down(axis.stride, inner, loops.dtype.itemsize):
        return _long_rows(loops, axis, outer, inner)
    kernel, (n, m) = loops.columns(), (axis.n, axis.m)
    lines, outside = _lines(axis), loops.outside(axis.rule)
    # Whole blocks of two scans, so that a band's results are those of the whole.
    block = axis.k * axis.dilation
    height = max(1, BAND_BYTES // (inner * loops.dtype.itemsize) // block) * block

    length = axis.k * _STRIP_BYTES // loops.dtype.itemsize

    def some(x: Array, out: Array, lo: int, hi: int) -> None:
        room = scratch(length, loops.dtype)
        for band in range(lo, hi):
            b, i = divmod(band, per)
            first = i * height
            some = min(m - first, height)
            kernel(x[b * n * inner :], out[(b * m + first) * inner :], room, outside,
                   lines[first * axis.stride :], 1, 0, 0, inner, axis.k, some, axis.stride,
                   axis.dilation, loops.op)  # fmt: skip

    def tables(x: Array, out: Array, lo: int, hi: int) -> None:
        kernel(x[lo * n * inner :], out[lo * m * inner :], scratch(length, loops.dtype), outside,
               lines, hi - lo, n * inner, m * inner, inner, axis.k, m, axis.stride, axis.dilation,
               loops.op)  # fmt: skip

    per = -(-m // height)
    if outer * per > 1 and m * inner * loops.dtype.itemsize < BAND_BYTES // 8:
        # Many small tables: one call for a band of them.
        size = max(1, BAND_BYTES // (m * inner * loops.dtype.itemsize))
        return _banded(tables, geometry.bands(outer, size))
    return _banded(some, geometry.bands(outer * per, 1))


def _short(loops: _Loops, axis: _Axis) -> bool:
    """Return whether rows are so short that they are reduced as columns where they are many."""
    most = min(_SHORT, _SHORT_BYTES // loops.dtype.itemsize)
    return axis.stride == 1 and axis.n <= most


def _turned(loops: _Loops, axis: _Axis, outer: int) -> _Run:
    """Return what reduces many short rows: as columns of a transposed copy."""
    n, m, dtype = axis.n, axis.m, loops.dtype
    size = max(_MANY, BAND_BYTES // 4 // (n * dtype.itemsize))

    def some(x: Array, out: Array, lo: int, hi: int) -> None:
        between = np.empty(m * (hi - lo), dtype)
        source = x.reshape(outer, n)[lo:hi].T.reshape(-1)
        _along(loops, axis, 1, hi - lo)(source, between, 1)
        out.reshape(outer, m)[lo:hi] = between.reshape(m, hi - lo).T

    return _banded(some, geometry.bands(outer, size))


def _banded(task: Callable[[Array, Array, int, int], None], bands: list[tuple[int, int]]) -> _Run:
    """Return what runs a task band by band."""

    def run(x: Array, out: Array, workers: int) -> None:
        threads.run(lambda lo, hi: task(x, out, lo, hi), bands, workers)

    return run


def _long_rows(loops: _Loops, axis: _Axis, outer: int, inner: int) -> _Run:
    """Return what reduces rows of n*inner samples with dilation `inner`; long ones in bands."""
    kernel, size = loops.rows(), loops.dtype.itemsize
    row = axis.m * inner * size
    if row <= BAND_BYTES or outer > 16:
        rows = max(1, BAND_BYTES // max(row, 1))
        bands = [(b, min(b + rows, outer), axis, 0) for b in range(0, outer, rows)]
    else:
        step = BAND_BYTES // (inner * size)
        bands = [
            (b, b + 1, axis.part(i, min(i + step, axis.m)), i)
            for b in range(outer)
            for i in range(0, axis.m, step)
        ]

    def some(x: Array, out: Array, lo: int, hi: int) -> None:
        for first, last, part, i in bands[lo:hi]:
            at = out[(first * axis.m + i) * inner :]
            _rows(loops, kernel, part, x, at, _numbers(last)[first:], last - first, inner)

    return _banded(some, geometry.bands(len(bands), 1))


def _rows(
    loops: _Loops, kernel: Any, axis: _Axis, x: Array, out: Array, lines: Array, count: int,
    inner: int, room: Array | None = None,
) -> None:  # fmt: skip
    """Run the loop along rows for the lines x[lines[b]], to `out` one after the other."""
    lo, hi, left, right = _row_plan(axis, inner)
    if room is None:
        room = scratch(_row_room(axis, inner, loops.dtype), loops.dtype)
    kernel(x, out, room, loops.outside(axis.rule), lines, left, right, count, axis.n * inner,
           axis.k, axis.m * inner, lo * inner, hi * inner, axis.stride, axis.dilation * inner,
           axis.pad * inner, loops.op)  # fmt: skip


def _row_room(axis: _Axis, inner: int, dtype: np.dtype[Any]) -> int:
    _, _, left, right = _row_plan(axis, inner)
    rim = max(len(left), len(right))
    return rim + _CHUNK_BYTES // dtype.itemsize + max(axis.span * inner, axis.k)


def _plane(loops: _Loops, tall: _Axis, wide: _Axis, planes: int) -> _Run:
    """Return what reduces rows, then columns, a band at a time, whose rows stay in the cache."""
    along, down, dtype = loops.rows(), loops.columns(), loops.dtype
    lines = _lines(tall)
    outside = loops.outside("fill" if "fill" in (tall.rule, wide.rule) else "zero")
    lo, hi, left, right, height, per, between, room, order = _plane_plan(tall, wide, dtype)

    def some(x: Array, out: Array, first_band: int, last_band: int) -> None:
        space = scratch(between + room, dtype)
        work, rest = space[:between], space[between:]
        for band in range(first_band, last_band):
            plane, i = divmod(band, per)
            first = i * height
            rows = min(tall.m - first, height)
            start = first * tall.stride
            count = (rows - 1) * tall.stride + tall.span
            along(x[plane * tall.n * wide.n :], work, rest, outside, lines[start:], left, right,
                  count, wide.n, wide.k, wide.m, lo, hi, wide.stride, wide.dilation, wide.pad,
                  loops.op)  # fmt: skip
            down(work, out[(plane * tall.m + first) * wide.m :], rest, outside, order, 1, 0, 0,
                 wide.m, tall.k, rows, tall.stride, tall.dilation, loops.op)  # fmt: skip

    return _banded(some, geometry.bands(planes * per, 1))


@lru_cache(maxsize=256)
def _plane_plan(tall: _Axis, wide: _Axis, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return how `_plane` cuts a plane into bands, and the work space of one."""
    lo, hi, left, right = _row_plan(wide, 1)
    budget = BAND_BYTES // (wide.m * dtype.itemsize)
    # At least twice the rows that a band reads beside its own; whole blocks of two scans.
    height = max((budget - tall.span) // tall.stride, 2 * tall.span // tall.stride, 1)
    block = tall.k * tall.dilation
    height = -(-height // block) * block
    per = -(-tall.m // height)
    most = (min(height, tall.m) - 1) * tall.stride + tall.span
    between = most * wide.m
    room = max(_row_room(wide, 1, dtype), tall.k * _STRIP_BYTES // dtype.itemsize)
    order = _numbers(most)
    return lo, hi, left, right, height, per, between, room, order


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
    axes, size = _axes(problem), prod(problem.signal)
    if problem.output != problem.signal or max(*problem.stride, *problem.dilation) > 1:
        return None
    loops = _loops(problem.dtype, problem.reduction, 1, False)
    if "fill" in problem.boundary:
        loops = loops._replace(fill=np.full_like(loops.nothing, fill))
    if size > _SMALL:
        run = _chain(loops, axes, 1, 1)
        return lambda source, result: run(source, result, crew())
    return _small(loops, axes, problem)


def _small(
    loops: _Loops, axes: tuple[_Axis, ...], problem: Problem
) -> Callable[[Array, Array], None]:
    calls, room, size = [], 0, prod(problem.signal)
    for a in [a for a in reversed(range(len(axes))) if not axes[a].trivial] or [len(axes) - 1]:
        axis, outside = axes[a], loops.outside(axes[a].rule)
        outer, inner = prod(problem.signal[:a]), prod(problem.signal[a + 1 :])
        arrays: tuple[Array, ...]
        counts: tuple[int, ...]
        if inner == 1:
            lo, hi, left, right = _row_plan(axis, 1)
            kernel, arrays = loops.rows(), (outside, _numbers(outer), left, right)
            counts = (outer, axis.n, axis.k, axis.m, lo, hi, 1, 1, axis.pad, loops.op)
            room = max(room, _row_room(axis, 1, loops.dtype))
        else:
            step = axis.n * inner
            kernel, arrays = loops.columns(), (outside, _lines(axis))
            counts = (outer, step, step, inner, axis.k, axis.m, 1, 1, loops.op)
            room = max(room, axis.k * _STRIP_BYTES // loops.dtype.itemsize)
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


# ---------------------------------------------------------------- which samples


@lru_cache(maxsize=256)
def _lines(axis: _Axis) -> npt.NDArray[np.int64]:
    """Return the sample that each virtual sample of all outputs stands for."""
    return geometry.source_map(-axis.pad, axis.reach, axis.n, axis.rule)


@lru_cache(maxsize=64)
def _numbers(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)


@lru_cache(maxsize=512)
def _row_plan(axis: _Axis, inner: int) -> Rows:
    """Return the interior's outputs and the samples that the outputs on either side read."""
    n, m, s = axis.n, axis.m, axis.stride
    lo, hi = geometry.interior(n, axis.k, m, s, axis.dilation, axis.pad)
    if hi <= lo:
        lo = hi = m  # No window lies inside: all are the left rim.

    def samples(first: int, last: int) -> npt.NDArray[np.int64]:
        if last <= first:
            return np.zeros(0, np.int64)
        count = (last - 1 - first) * s + axis.span
        source = geometry.source_map(first * s - axis.pad, count, n, axis.rule)
        if inner == 1:
            return source
        spread = source[:, None] * inner + np.arange(inner)
        spread[source < 0] = -1
        return spread.reshape(-1)

    return lo, hi, samples(0, lo), samples(hi, m)


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
