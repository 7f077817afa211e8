"""The pooling itself: from settled windows to results, whichever loop is ready."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..path import Operands
from ..paths import pool_windows, pools
from ..paths.pool_windows import Boxes, Plan, Windows
from ..planner import selector
from ..problem import Problem
from ..runtime import threads
from .windows import Planes

Array = npt.NDArray[Any]


def maxima(planes: Planes, windows: Windows, out: Array | None, workers: int | None) -> Array:
    """Return the largest sample of each window."""
    result = planes.place(out, windows.output, False)
    if result.size == 0:
        return planes.deliver(result, out, False)
    if planes.channels_last:
        x = planes.as_it_lies()
        if not _maxima_last(planes, windows, x, result, workers):
            result[...] = _channels_last(planes, windows, "max", x, workers)
        return planes.deliver(result, out, False)
    x = planes.packed()
    into = result.reshape(planes.planes, *windows.output)
    if not _maxima_by_loops(windows, x, into, workers):
        _windows(windows, "max", x, into, workers)
    return planes.deliver(result, out, False)


def maxima_by_loops(planes: Planes, windows: Windows, result: Array, workers: int | None) -> bool:
    """Store the largest samples by compiled loops alone, or return False."""
    if not result.size:
        return False
    if planes.channels_last:
        return _maxima_last(planes, windows, planes.as_it_lies(), result, workers)
    into = result.reshape(planes.planes, *windows.output)
    return _maxima_by_loops(windows, planes.packed(), into, workers)


def _maxima_last(
    planes: Planes, windows: Windows, x: Array, into: Array, workers: int | None
) -> bool:
    found = _plan_last(planes, windows)
    return found is not None and pools.planned_maxima(found, x, into, workers)


def _plan_last(planes: Planes, windows: Windows) -> Plan | None:
    """Return how channels that lie last are pooled as they lie, or None."""
    if not planes.behind[0] or not _each_meets_some(windows):
        return None
    return pool_windows.plan_last(windows, planes.behind[0])


def _maxima_by_loops(windows: Windows, x: Array, into: Array, workers: int | None) -> bool:
    if _each_meets_some(windows) and pools.maxima(windows, x, into, workers):
        return True
    boxes = pool_windows.disjoint(windows)
    if boxes is not None and pools.box_maxima(boxes, x, into, None, workers):
        return True
    return _each_meets_some(windows) and pools.window_maxima(windows, x, into, workers)


def maxima_and_places(
    planes: Planes, windows: Windows, out: Array | None, workers: int | None
) -> tuple[Array, Array]:
    """Return the largest sample of each window and its place in its plane."""
    if not _each_meets_some(windows):
        raise ValueError(f"dilation must let every window meet a sample, got {windows.dilation}")
    if planes.channels_last and planes.dtype != np.float16:
        # As they lie, where a loop does so.
        result = planes.place(out, windows.output, False)
        places = np.empty(result.shape, np.int64)
        if places_by_loops(planes, windows, result, places, workers):
            return planes.deliver(result, out, False), places
    moved = planes.channels_last
    result = planes.place(out, windows.output, moved)
    places = np.empty(result.shape, np.int64)
    if result.size:
        x = planes.packed()
        shape = (planes.planes, *windows.output)
        values = result.reshape(shape)
        if x.dtype == np.float16:
            x, values = x.astype(np.float32), values.astype(np.float32)
        pools.maxima_and_places(windows, x, values, places.reshape(shape), workers)
        if not np.may_share_memory(values, result):
            result[...] = values.reshape(result.shape)
    return planes.deliver(result, out, moved), planes.deliver(places, None, moved)


def places_by_loops(
    planes: Planes, windows: Windows, result: Array, places: Array, workers: int | None
) -> bool:
    """Store the largest samples and their places by compiled loops alone, or return False."""
    if not result.size or not _each_meets_some(windows):
        return False
    if planes.channels_last:
        found = _plan_last(planes, windows)
        x = planes.as_it_lies()
        return found is not None and pools.planned_places(found, x, result, places, workers)
    shape = (planes.planes, *windows.output)
    into = result.reshape(shape), places.reshape(shape)
    return pools.places_by_loop(windows, planes.packed(), *into, workers)


def means(
    planes: Planes,
    windows: Windows,
    counts: tuple[Array, ...],
    out: Array | None,
    workers: int | None,
) -> Array:
    """Return the sum of each window over the product of its counts; integers truncate."""
    result = planes.place(out, windows.output, False)
    if result.size == 0:
        return planes.deliver(result, out, False)
    x = planes.as_it_lies() if planes.channels_last else planes.packed()
    into = result if planes.channels_last else result.reshape(planes.planes, *windows.output)
    if planes.channels_last:
        if _means_last(planes, _plan_last(planes, windows), counts, into, workers):
            return planes.deliver(result, out, False)
    elif _means_by_loops(windows, counts, x, into, workers):
        return planes.deliver(result, out, False)
    shares = _outer(counts[:-1])
    wide = np.dtype({"f": np.float32, "u": np.uint64}.get(x.dtype.kind, np.int64))
    if x.dtype.itemsize == wide.itemsize or (x.dtype.kind == "f" and x.dtype.itemsize > 2):
        wide = x.dtype
    sums: Array = np.empty(into.shape, wide)
    if planes.channels_last:
        sums = _channels_last(planes, windows, "box", x.astype(wide, copy=False), workers)
    else:
        _windows(windows, "box", x.astype(wide, copy=False), sums, workers)
    divisors = (shares[:, None] * counts[-1]).reshape(windows.output)
    divisors = divisors.reshape(*windows.output, *(1,) * len(planes.behind))
    with np.errstate(all="ignore"):
        into[...] = divide(sums, divisors)
    return planes.deliver(result, out, False)


def means_by_loops(
    planes: Planes,
    windows: Windows,
    counts: tuple[Array, ...],
    result: Array,
    workers: int | None,
) -> bool:
    """Store the means by compiled loops alone, or return False."""
    if not result.size:
        return False
    if planes.channels_last:
        found = _plan_last(planes, windows)
        return _means_last(planes, found, counts, result, workers)
    into = result.reshape(planes.planes, *windows.output)
    return _means_by_loops(windows, counts, planes.packed(), into, workers)


def _means_last(
    planes: Planes, found: Plan | None, counts: tuple[Array, ...], into: Array,
    workers: int | None,
) -> bool:  # fmt: skip
    if found is None or planes.dtype.kind != "f":
        return False
    x = planes.as_it_lies()
    shares = _shares_last(counts, x.dtype)
    return pools.planned_means(found, x, into, shares, _ones(planes.behind[0], x.dtype), workers)


def adaptive_last(
    planes: Planes, outputs: tuple[int, ...], reduction: str, workers: int | None, into: Array,
    places: Array | None,
) -> bool:  # fmt: skip
    """Pool channels that lie last to so many outputs by compiled loops alone, or return False."""
    if not planes.behind[0] or not into.size:
        return False
    found = pool_windows.adaptive_plan_last(planes.signal, outputs, planes.behind[0])
    if found is None:
        return False
    if reduction == "avg":
        lengths = pool_windows.adaptive(planes.signal, outputs).lengths
        return _means_last(planes, found, lengths, into, workers)
    x = planes.as_it_lies()
    if places is None:
        return pools.planned_maxima(found, x, into, workers)
    return pools.planned_places(found, x, into, places, workers)


def _means_by_loops(
    windows: Windows, counts: tuple[Array, ...], x: Array, into: Array, workers: int | None
) -> bool:
    if x.dtype.kind != "f" or x.dtype.itemsize == 2:
        return False
    shares, columns = divisors_of(counts, x.dtype)
    if _each_meets_some(windows) and pools.means(windows, x, into, shares, columns, workers):
        return True
    boxes = pool_windows.disjoint(windows)
    if boxes is not None and pools.box_means(boxes, x, into, shares, columns, workers):
        return True
    return pools.window_means(windows, x, into, shares, columns, workers)


# By the counts' identities, which they keep as long as they are here.
_kept_divisors: dict[tuple[Any, ...], tuple[Any, Array, Array]] = {}


def divisors_of(counts: tuple[Array, ...], dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return what the loops divide by: for each row of outputs and for each column."""
    key = (dtype, *map(id, counts))
    found = _kept_divisors.get(key)
    if found is None:
        shares = _outer(counts[:-1]).astype(dtype)
        columns = np.concatenate([counts[-1], np.ones(_MOST_LANES)]).astype(dtype)
        shares.flags.writeable = columns.flags.writeable = False
        if len(_kept_divisors) >= _MOST_DIVISORS:
            _kept_divisors.clear()
        found = _kept_divisors[key] = counts, shares, columns
    return found[1:]


def _shares_last(counts: tuple[Array, ...], dtype: np.dtype[Any]) -> Array:
    """Return what the loop divides the sums of each pixel by."""
    key = (dtype, None, *map(id, counts))
    found = _kept_divisors.get(key)
    if found is None:
        shares = _outer(counts).astype(dtype)
        shares.flags.writeable = False
        if len(_kept_divisors) >= _MOST_DIVISORS:
            _kept_divisors.clear()
        found = _kept_divisors[key] = counts, shares, shares
    return found[1]


@lru_cache(maxsize=64)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    found = np.ones(count + _MOST_LANES, dtype)
    found.flags.writeable = False
    return found


_MOST_DIVISORS = 256
# Loops take whole vectors of divisors.
_MOST_LANES = 16


def box_means_by_loops(x: Array, into: Array, boxes: Boxes, workers: int | None) -> bool:
    """Store the means of x over boxes by the compiled loop, or return False."""
    if x.dtype.kind != "f":
        return False
    return pools.box_means(boxes, x, into, *divisors_of(boxes.lengths, x.dtype), workers)


def box_means(x: Array, into: Array, boxes: Boxes, workers: int | None) -> None:
    """Store the means of x (planes, *signal) over boxes."""
    if box_means_by_loops(x, into, boxes, workers):
        return
    shares, columns = _outer(boxes.lengths[:-1]), boxes.lengths[-1].astype(np.float64)
    # Axis by axis; sums of float16 in float32, of integers in 64 bits.
    wide = {"f": np.float32, "u": np.uint64}.get(x.dtype.kind, np.int64)
    total = x.astype(np.result_type(x.dtype, wide), copy=False)
    for a, axis in enumerate(boxes.axes):
        reach = int((axis.stop - axis.first).max())
        sums: Any = 0
        for t in range(reach):
            index = axis.first + t
            inside = (index < axis.stop).reshape(-1, *(1,) * (len(boxes.axes) - 1 - a))
            samples = np.take(total, np.minimum(index, axis.length - 1), a + 1)
            sums = sums + np.where(inside, samples, np.zeros((), total.dtype))
        total = sums
    into[...] = divide(total, (shares[:, None] * columns).reshape(boxes.output))


def divide(sums: Array, divisors: Array) -> Array:
    """Return the quotients; of integers truncated, as C divides."""
    if sums.dtype.kind == "f":
        return np.asarray(sums / divisors.astype(sums.dtype))
    negative = sums < 0
    magnitude = np.where(negative, -sums, sums) // divisors.astype(sums.dtype)
    return np.asarray(np.where(negative, -magnitude, magnitude))


def _outer(counts: tuple[Array, ...]) -> Array:
    total, *others = counts or (np.ones(1),)
    for count in others:
        total = (total[:, None] * count).reshape(-1)
    return total


@lru_cache(maxsize=256)
def _each_meets_some(windows: Windows) -> bool:
    return all(
        pool_windows.met_samples(windows, a, i)
        for a in range(len(windows.signal))
        if windows.dilation[a] > 1 and windows.pad[a] > 0
        for i in range(windows.output[a])
    )


def _windows(
    windows: Windows, reduction: str, x: Array, into: Array, workers: int | None, inner: int = 1
) -> None:
    """Reduce x (batch, *signal) or, interleaved, (batch, n, inner) through the engine."""
    problem = Problem(
        x.dtype.name, len(x), True, windows.signal, windows.size, windows.output, windows.stride,
        windows.dilation, windows.pad, ("zero",) * len(windows.signal), reduction, inner,
    )  # fmt: skip
    many = threads.worthwhile(selector.rank(problem)[0].seconds, workers)
    w = np.zeros((1,) * len(windows.signal), x.dtype)  # A window has a size and no taps.
    selector.run(problem, Operands(x, w, into, 0, many))


def _channels_last(
    planes: Planes, windows: Windows, reduction: str, x: Array, workers: int | None
) -> Array:
    """Reduce each axis as it lies, the last one first."""
    lead, channels = prod(planes.lead), planes.behind[0]
    shape = list(windows.signal)
    for a in reversed(range(len(shape))):
        inner, outer = prod(shape[a + 1 :]) * channels, lead * prod(shape[:a])
        one = Windows(*((field[a],) for field in windows))
        into = np.empty((outer, windows.output[a], inner), x.dtype)
        x = x.reshape(outer, shape[a], inner)
        if inner == 1:
            _windows(one, reduction, x[:, :, 0], into[:, :, 0], workers)
        else:
            _windows(one, reduction, x, into, workers, inner)
        shape[a] = windows.output[a]
        x = into
    return x.reshape(planes.shape(windows.output))
