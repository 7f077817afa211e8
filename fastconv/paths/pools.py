"""Pooling of planes: by the compiled loops where they are ready, by NumPy's passes elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..kernels import KERNELS
from ..runtime import load, threads
from ..runtime.scratch import scratch
from .pool_windows import SLACK, Axis, Boxes, Plan, Windows, along, indexed_plan, plan, table

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]

# Samples of one band, and what a core pools in a second: benchmark group pooling.
_BAND_BYTES, _BYTES_PER_SECOND = 1 << 20, 4e10


def seconds(x: Array) -> float:
    """Return how long one worker takes for all samples of x."""
    return x.nbytes / _BYTES_PER_SECOND


def maxima(windows: Windows, x: Array, out: Array, workers: int | None) -> bool:
    """Take the maxima of x (planes, *signal) into out, if a loop is ready; return whether it was.

    Every window must meet a sample.
    """
    return windows.plain and planned_maxima(plan(windows, x.itemsize, True), x, out, workers)


def planned_maxima(found: Plan, x: Array, out: Array, workers: int | None) -> bool:
    """Take the maxima of x into out, if a loop is ready; return whether it was."""
    dtype, outside = _beyond(x.dtype)
    if dtype not in KERNELS["pool_max"].dtypes:
        return False
    if (kernel := load.ready("pool_max", dtype)) is None:
        return False
    x, out = x.view(dtype).reshape(-1), out.view(dtype).reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        kernel(x[lo * plane :], out[lo * result :], outside, _frame(found, dtype), found.offsets,
               found.starts, hi - lo, plane, *found.counts)  # fmt: skip

    _shared(x, found.plane, found.result, workers, some)
    return True


def _frame(found: Plan, dtype: str) -> Array:
    return scratch(found.frame, dtype, "frame") if found.frame else nothing(dtype)


def means(
    windows: Windows, x: Array, out: Array, shares: Array, columns: Array, workers: int | None
) -> bool:
    """Take the sums of x over shares * columns into out, if a loop is ready for it.

    There are columns on to the end of a vector.
    """
    if not windows.plain:
        return False
    return planned_means(plan(windows, x.itemsize, True), x, out, shares, columns, workers)


def planned_means(
    found: Plan, x: Array, out: Array, shares: Array, columns: Array, workers: int | None
) -> bool:
    """Take the means of x into out, if a loop is ready for it."""
    dtype = x.dtype.name
    if dtype not in KERNELS["pool_mean"].dtypes:
        return False
    if (kernel := load.ready("pool_mean", dtype)) is None:
        return False
    outside = nothing(dtype)
    x, out = x.reshape(-1), out.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        kernel(x[lo * plane :], out[lo * result :], outside, _frame(found, dtype), shares, columns,
               found.offsets, found.starts, hi - lo, plane, *found.counts)  # fmt: skip

    _shared(x, found.plane, found.result, workers, some)
    return True


def window_maxima(windows: Windows, x: Array, out: Array, workers: int | None) -> bool:
    """Take the maxima of any windows that are worth a pass each, if a loop is ready for it.

    Every window must meet a sample.
    """
    dtype, outside = _beyond(x.dtype)
    if dtype not in KERNELS["pool_window_max"].dtypes or not _is_small(windows):
        return False
    if (kernel := load.ready("pool_window_max", dtype)) is None:
        return False
    offsets, starts = table(windows)
    counts, space = _window_counts(windows)
    x, out = x.view(dtype).reshape(-1), out.view(dtype).reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        work = scratch(space, dtype, "row")
        kernel(x[lo * plane :], out[lo * result :], outside, work, offsets, starts, hi - lo, plane,
               *counts)  # fmt: skip

    _bands(windows, x, workers, some)
    return True


def window_means(
    windows: Windows, x: Array, out: Array, shares: Array, columns: Array, workers: int | None
) -> bool:
    """Take the means of any windows that are worth a pass each, if a loop is ready for it."""
    dtype = x.dtype.name
    if dtype not in KERNELS["pool_window_mean"].dtypes or not _is_small(windows):
        return False
    if (kernel := load.ready("pool_window_mean", dtype)) is None:
        return False
    offsets, starts = table(windows)
    counts, space = _window_counts(windows)
    x, out = x.reshape(-1), out.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        work = scratch(space, dtype, "row")
        kernel(x[lo * plane :], out[lo * result :], nothing(dtype), work, shares, columns,
               offsets, starts, hi - lo, plane, *counts)  # fmt: skip

    _bands(windows, x, workers, some)
    return True


# Larger windows cost less by two scans, axis by axis.
_SMALL = 16


def _is_small(windows: Windows) -> bool:
    return prod(windows.size[:-1]) <= _SMALL and windows.size[-1] <= _SMALL


@lru_cache(maxsize=256)
def _window_counts(windows: Windows) -> tuple[tuple[int, ...], int]:
    """Return the kernel's integers behind the planes' step, and the work space."""
    width, outputs, k, s, pad, d = (
        f[-1] for f in (windows.signal, windows.output, windows.size, windows.stride, windows.pad,
                        windows.dilation)
    )  # fmt: skip
    count = (outputs - 1) * s + 1
    room = max(count + (k - 1) * d, pad + width) + SLACK
    return (prod(windows.output[:-1]), width, outputs, k, s, pad, d, room), room + count + SLACK


def maxima_and_places(
    windows: Windows, x: Array, out: Array, places: Numbers, workers: int | None
) -> None:
    """Take the maxima and the flat place of each in its plane: the first; of NaN the last."""
    if not places_by_loop(windows, x, out, places, workers):
        search(x, out, places, [along(windows, a) for a in range(len(windows.signal))])


def places_by_loop(
    windows: Windows, x: Array, out: Array, places: Numbers, workers: int | None
) -> bool:
    """Take the maxima and their places if a loop is ready; return whether it was."""
    return planned_places(indexed_plan(windows, x.itemsize), x, out, places, workers,
                          windows.dilation[-1])  # fmt: skip


def planned_places(
    found: Plan, x: Array, out: Array, places: Numbers, workers: int | None, dilation: int = 1
) -> bool:
    """Take the maxima and their places as a plan has it, if a loop is ready for it."""
    dtype, outside = _beyond(x.dtype)
    if dtype not in KERNELS["pool_max_index"].dtypes or found.plane >= 1 << 31:
        return False
    if (kernel := load.ready("pool_max_index", dtype)) is None:
        return False
    x, out, places = x.view(dtype).reshape(-1), out.view(dtype).reshape(-1), places.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        kernel(x[lo * plane :], out[lo * result :], outside, _frame(found, dtype),
               places[lo * result :], found.offsets, found.numbers, found.starts, hi - lo, plane,
               *found.counts, dilation, found.unit)  # fmt: skip

    _shared(x, found.plane, found.result, workers, some)
    return True


def _bands(windows: Windows, x: Array, workers: int | None, some: Any) -> None:
    """Call some(first plane, last, samples and outputs per plane) for bands of planes."""
    _shared(x, prod(windows.signal), prod(windows.output), workers, some)


def _shared(x: Array, plane: int, result: int, workers: int | None, some: Any) -> None:
    planes = x.size // plane
    if x.nbytes <= _BAND_BYTES:
        some(0, planes, plane, result)
        return
    many = threads.worthwhile(seconds(x), workers)
    size = max(1, _BAND_BYTES // (plane * x.itemsize)) if many > 1 else planes
    threads.run(lambda lo, hi: some(lo, hi, plane, result), geometry.bands(planes, size), many)


@lru_cache(maxsize=32)
def _beyond(dtype: np.dtype[Any]) -> tuple[str, Array]:
    """Return the dtype whose loops serve `dtype`, and what lies outside for a maximum."""
    name = "uint8" if dtype.kind == "b" else dtype.name
    outside = np.full(1, lowest(dtype)).astype(dtype).view(name)
    outside.flags.writeable = False
    return name, outside


@lru_cache(maxsize=32)
def nothing(dtype: str) -> Array:
    """Return one zero, which nobody writes to."""
    found = np.zeros(1, dtype)
    found.flags.writeable = False
    return found


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no maximum keeps."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def box_means(
    boxes: Boxes, x: Array, out: Array, shares: Array, columns: Array, workers: int | None
) -> bool:
    """Take the sums of x (planes, *signal) over shares * columns, if a loop is ready for it."""
    dtype = x.dtype.name
    if dtype not in KERNELS["pool_box_mean"].dtypes:
        return False
    if (kernel := load.ready("pool_box_mean", dtype)) is None:
        return False
    last, width = boxes.axes[-1], boxes.signal[-1]
    counts = (len(boxes.rows.starts) - 1, width, len(last.first))
    x, out = x.reshape(-1), out.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        work = scratch(width + SLACK, dtype, "row")
        kernel(x[lo * plane :], out[lo * result :], work, shares, columns, *boxes.rows,
               last.first, last.stop, hi - lo, plane, *counts)  # fmt: skip

    _shared(x, prod(boxes.signal), prod(boxes.output), workers, some)
    return True


def box_maxima(
    boxes: Boxes, x: Array, out: Array, places: Numbers | None, workers: int | None
) -> bool:
    """Take the maxima of x and, if asked, their places as `search` does, if a loop is ready."""
    dtype = "uint8" if x.dtype.kind == "b" else x.dtype.name
    if dtype not in KERNELS["pool_box_max"].dtypes:
        return False
    if (kernel := load.ready("pool_box_max", dtype)) is None:
        return False
    last, width = boxes.axes[-1], boxes.signal[-1]
    counts = (len(boxes.rows.starts) - 1, width, len(last.first), int(places is not None))
    x, out = x.view(dtype).reshape(-1), out.view(dtype).reshape(-1)
    where = nothing("int64") if places is None else places.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        work = scratch(width + SLACK, dtype, "row")
        goal = where if places is None else where[lo * result :]
        kernel(x[lo * plane :], out[lo * result :], work, goal, *boxes.rows, last.first,
               last.stop, hi - lo, plane, *counts)  # fmt: skip

    _shared(x, prod(boxes.signal), prod(boxes.output), workers, some)
    return True


def search(x: Array, out: Array, places: Numbers, axes: Sequence[Axis]) -> None:
    """Find the maxima of x (planes, *signal) over windows of any kind, one pass per tap."""
    reach = [int((-(-(axis.stop - axis.first) // axis.step)).max(initial=0)) for axis in axes]
    begin = True
    for t in product(*(range(r) for r in reach)):
        at, inside, place = x, np.ones((), bool), np.zeros((), np.int64)
        for a, axis in enumerate(axes):
            index = axis.first + t[a] * axis.step
            there = index < axis.stop
            index = np.minimum(index, axis.length - 1)
            at = np.take(at, index, a + 1)
            shape = [1] * len(axes)
            shape[a] = len(index)
            inside = inside & there.reshape(shape)
            place = place * axis.length + index.reshape(shape)
        if begin:
            out[...], places[...] = at, place
            begin = False
            continue
        wins = inside & ((at > out) | (at != at))
        np.copyto(out, at, where=wins)
        np.copyto(places, np.broadcast_to(place, places.shape), where=wins)
