"""Running windows along one axis: its samples, and the loops that reduce them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load

Array = npt.NDArray[Any]
Rows = tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]

OPS = {"box": 0, "max": 1, "min": 2}
# The kernels' work space: outputs of one chunk of a row, and a strip of four 64-byte vectors.
_CHUNK_BYTES, STRIP_BYTES = 8192, 256


class Axis(NamedTuple):
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

    def part(self, lo: int, hi: int) -> Axis:
        return Axis(self.n, self.k, hi - lo, self.stride, self.dilation,
                     self.pad - lo * self.stride, self.rule)  # fmt: skip


class Loops(NamedTuple):
    """How the passes of one request reduce: the loops, their number for it, and values outside."""

    name: str
    dtype: np.dtype[Any]
    op: int
    fill: Array
    nothing: Array

    def outside(self, rule: str) -> Array:
        """Return the value of samples that are no sample of the signal, many times over."""
        return self.fill if rule == "fill" else self.nothing

    def after(self, k: int) -> Loops:
        """Return the loops for another axis: what lies outside it has been reduced like the rest.

        A window of k fill values is their sum, or any one of them.
        """
        if self.op != OPS["box"] or self.fill is self.nothing or k == 1:
            return self
        return self._replace(fill=self.fill * np.asarray(k).astype(self.dtype))

    def rows(self) -> Any:
        return load.kernel("window_rows", self.name)

    def columns(self) -> Any:
        return load.kernel("window_columns", self.name)


@lru_cache(maxsize=64)
def loops_of(dtype: str, reduction: str, parts: int, boolean: bool) -> Loops:
    kind = np.dtype(dtype)
    nothing = {"box": 0, "max": lowest(kind), "min": highest(kind)}[reduction]
    if boolean and reduction == "min":
        nothing = 1
    count = max(STRIP_BYTES // kind.itemsize, parts)
    values = np.full(count, nothing, kind)
    return Loops(dtype, kind, OPS[reduction], values, values)


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no maximum keeps: -inf or the least integer."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def highest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no minimum keeps: inf or the largest integer."""
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


@lru_cache(maxsize=512)
def axes_of(problem: Problem) -> tuple[Axis, ...]:
    columns = (problem.signal, problem.filter, problem.output, problem.stride, problem.dilation,
               problem.pad, problem.boundary)  # fmt: skip
    axes = tuple(Axis(*row) for row in zip(*columns, strict=True))
    if "fill" not in problem.boundary:
        return axes
    # A sample outside any axis has the fill value, wherever it lies along the others.
    return tuple(axis._replace(rule="fill") if axis.rule == "zero" else axis for axis in axes)


@lru_cache(maxsize=256)
def lines_of(axis: Axis) -> npt.NDArray[np.int64]:
    """Return the sample that each virtual sample of all outputs stands for."""
    return geometry.source_map(-axis.pad, axis.reach, axis.n, axis.rule)


@lru_cache(maxsize=64)
def numbers(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)


@lru_cache(maxsize=512)
def row_plan(axis: Axis, inner: int) -> Rows:
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


def row_room(axis: Axis, inner: int, dtype: np.dtype[Any]) -> int:
    _, _, left, right = row_plan(axis, inner)
    rim = max(len(left), len(right))
    return rim + _CHUNK_BYTES // dtype.itemsize + max(axis.span * inner, axis.k)
