"""The passes of running windows: which axis first, in what bands, by which loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..runtime import threads
from ..runtime.scratch import scratch
from .scan_axes import STRIP_BYTES, Axis, Loops, lines_of, numbers, row_plan, row_room

Array = npt.NDArray[Any]
# (samples, results, how many threads may be used)
Run = Callable[[Array, Array, int], None]

# Rows between two passes stay in a second-level cache of 1 MiB; a band of outputs has this much.
BAND_BYTES = 1 << 19
# Rows so short, of which there are so many, are reduced as columns: 100000 rows of three floats and
# windows of five 2.7 ms by rows, 0.9 so; of 16 floats 8.0 and 4.8.
_SHORT, _SHORT_BYTES, MANY = 32, 96, 64
# Fewer columns than this are taken for one row whose samples are so far apart.
_NARROW_BYTES = 128


def goes_down(stride: int, inner: int, size: int) -> bool:
    """Return whether windows go down whole columns, or along a row with dilation `inner`."""
    if inner == 1:
        return False
    return stride > 1 or inner * size >= _NARROW_BYTES


def chain(loops: Loops, axes: tuple[Axis, ...], batch: int, inner: int) -> Run:
    """Return what reduces every axis, the last one first."""
    left = [a for a in reversed(range(len(axes))) if not axes[a].trivial] or [len(axes) - 1]
    shape = [axis.n for axis in axes]
    passes: list[tuple[Run, int]] = []  # Each with the length of its result.
    last = len(axes) - 1
    if left[:2] == [last, last - 1] and axes[-2].stride > 1:
        left[:2] = [last - 1, last]  # So that the rows to go along are few.
    elif left[:2] == [last, last - 1] and inner == 1 and not _short(loops, axes[-1]):
        shape[-2:] = axes[-2].m, axes[-1].m
        small = 8 * axes[-2].n * axes[-1].m * loops.dtype.itemsize <= BAND_BYTES
        planes = _small_planes if small else _plane
        one = planes(loops, axes[-2], axes[-1], batch * prod(shape[:-2]))
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


def _along(loops: Loops, axis: Axis, outer: int, inner: int) -> Run:
    """Return what reduces one axis of x, of shape (outer, n, inner)."""
    if inner == 1 and outer >= MANY and _short(loops, axis):
        return _turned(loops, axis, outer)
    if not goes_down(axis.stride, inner, loops.dtype.itemsize):
        return _long_rows(loops, axis, outer, inner)
    kernel, (n, m) = loops.columns(), (axis.n, axis.m)
    lines, outside = lines_of(axis), loops.outside(axis.rule)
    # Whole blocks of two scans, so that a band's results are those of the whole.
    block = axis.k * axis.dilation
    height = max(1, BAND_BYTES // (inner * loops.dtype.itemsize) // block) * block

    length = axis.k * STRIP_BYTES // loops.dtype.itemsize

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


def _short(loops: Loops, axis: Axis) -> bool:
    """Return whether rows are so short that they are reduced as columns where they are many."""
    most = min(_SHORT, _SHORT_BYTES // loops.dtype.itemsize)
    return axis.stride == 1 and axis.n <= most


def _turned(loops: Loops, axis: Axis, outer: int) -> Run:
    """Return what reduces many short rows: as columns of a transposed copy."""
    n, m, dtype = axis.n, axis.m, loops.dtype
    size = max(MANY, BAND_BYTES // 4 // (n * dtype.itemsize))

    def some(x: Array, out: Array, lo: int, hi: int) -> None:
        between = np.empty(m * (hi - lo), dtype)
        source = x.reshape(outer, n)[lo:hi].T.reshape(-1)
        _along(loops, axis, 1, hi - lo)(source, between, 1)
        out.reshape(outer, m)[lo:hi] = between.reshape(m, hi - lo).T

    return _banded(some, geometry.bands(outer, size))


def _banded(task: Callable[[Array, Array, int, int], None], bands: list[tuple[int, int]]) -> Run:
    """Return what runs a task band by band."""

    def run(x: Array, out: Array, workers: int) -> None:
        threads.run(lambda lo, hi: task(x, out, lo, hi), bands, workers)

    return run


def _long_rows(loops: Loops, axis: Axis, outer: int, inner: int) -> Run:
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
            _rows(loops, kernel, part, x, at, numbers(last)[first:], last - first, inner)

    return _banded(some, geometry.bands(len(bands), 1))


def _rows(
    loops: Loops, kernel: Any, axis: Axis, x: Array, out: Array, lines: Array, count: int,
    inner: int, room: Array | None = None,
) -> None:  # fmt: skip
    """Run the loop along rows for the lines x[lines[b]], to `out` one after the other."""
    lo, hi, left, right = row_plan(axis, inner)
    if room is None:
        room = scratch(row_room(axis, inner, loops.dtype), loops.dtype)
    kernel(x, out, room, loops.outside(axis.rule), lines, left, right, count, axis.n * inner,
           axis.k, axis.m * inner, lo * inner, hi * inner, axis.stride, axis.dilation * inner,
           axis.pad * inner, loops.op)  # fmt: skip


def _plane(loops: Loops, tall: Axis, wide: Axis, planes: int) -> Run:
    """Return what reduces rows, then columns, a band at a time, whose rows stay in the cache."""
    along, down, dtype = loops.rows(), loops.columns(), loops.dtype
    lines = lines_of(tall)
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


def _small_planes(loops: Loops, tall: Axis, wide: Axis, planes: int) -> Run:
    """Return what reduces rows, then columns, of as many planes as stay in the cache."""
    along, down, dtype = loops.rows(), loops.columns(), loops.dtype
    some_planes = max(1, BAND_BYTES // (tall.n * wide.m * dtype.itemsize))
    lo, hi, left, right = row_plan(wide, 1)
    lines, order = lines_of(tall), numbers(min(planes, some_planes) * tall.n)
    outside, beyond = loops.outside(wide.rule), loops.after(wide.k).outside(tall.rule)
    between = len(order) * wide.m
    room = max(row_room(wide, 1, dtype), tall.k * STRIP_BYTES // dtype.itemsize)

    def some(x: Array, out: Array, first: int, last: int) -> None:
        space = scratch(between + room, dtype)
        work, rest = space[:between], space[between:]
        along(x[first * tall.n * wide.n :], work, rest, outside, order, left, right,
              (last - first) * tall.n, wide.n, wide.k, wide.m, lo, hi, wide.stride, wide.dilation,
              wide.pad, loops.op)  # fmt: skip
        down(work, out[first * tall.m * wide.m :], rest, beyond, lines, last - first,
             tall.n * wide.m, tall.m * wide.m, wide.m, tall.k, tall.m, tall.stride, tall.dilation,
             loops.op)  # fmt: skip

    return _banded(some, geometry.bands(planes, some_planes))


@lru_cache(maxsize=256)
def _plane_plan(tall: Axis, wide: Axis, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return how `_plane` cuts a plane into bands, and the work space of one."""
    lo, hi, left, right = row_plan(wide, 1)
    budget = BAND_BYTES // (wide.m * dtype.itemsize)
    # At least twice the rows that a band reads beside its own; whole blocks of two scans.
    height = max((budget - tall.span) // tall.stride, 2 * tall.span // tall.stride, 1)
    block = tall.k * tall.dilation
    height = -(-height // block) * block
    per = -(-tall.m // height)
    most = (min(height, tall.m) - 1) * tall.stride + tall.span
    between = most * wide.m
    room = max(row_room(wide, 1, dtype), tall.k * STRIP_BYTES // dtype.itemsize)
    order = numbers(most)
    return lo, hi, left, right, height, per, between, room, order
