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
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]

# Windows along a row (size, stride) that the loops are unrolled for, and the most rows of a window
# that are read one by one: beyond them two scans cost less.
SHAPES = ((2, 2), (3, 2), (3, 3), (2, 1), (3, 1), (1, 1))
_MOST_ROWS = 9
# Planes that are copied between what lies outside, so that no window meets an end, are this small.
_FRAME_BYTES, _FRAMED_OUTPUTS = 64 << 10, 64
# Samples of one band, and what a core pools in a second: benchmark group pooling.
_BAND_BYTES, _BYTES_PER_SECOND = 1 << 20, 4e10


def seconds(x: Array) -> float:
    """Return how long one worker takes for all samples of x."""
    return x.nbytes / _BYTES_PER_SECOND


# Whole vectors of the widest target may be written behind a row.
_SLACK = 64


class Windows(NamedTuple):
    """The windows of one pooling, per pooled axis.

    Parameters
    ----------
    signal, size, stride, dilation, pad, output : tuple of int
        Output i of an axis meets the samples ``i*stride + t*dilation - pad`` for t < size.
    """

    signal: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def plain(self) -> bool:
        """Whether the unrolled loops serve them."""
        along = (self.size[-1], self.stride[-1])
        return along in SHAPES and self.dilation[-1] == 1 and prod(self.size[:-1]) <= _MOST_ROWS


class Plan(NamedTuple):
    """What the unrolled loops take besides numbers.

    Parameters
    ----------
    offsets, numbers, starts : ndarray of int64
        Where the rows are that each row of outputs meets, which place their first sample has, and
        where each list starts.
    counts : tuple of int
        height, width, outputs, k, s, pad and the step of framed rows, 0 for none.
    frame : int
        The elements of the frame.
    unit : int
        How far places of neighbouring columns are apart.
    plane, result : int
        Samples and outputs of a plane.
    """

    offsets: Numbers
    numbers: Numbers
    starts: Numbers
    counts: tuple[int, ...]
    frame: int
    unit: int
    plane: int
    result: int


@lru_cache(maxsize=256)
def plan(windows: Windows, size: int, shaped: bool) -> Plan:
    """Return how windows along rows of `size`-byte elements are walked.

    `shaped` says whether a loop is unrolled for them.
    """
    offsets, starts = table(windows)
    width, outputs, k, s = (f[-1] for f in (windows.signal, windows.output, windows.size,
                                            windows.stride))  # fmt: skip
    pad, height, plane = windows.pad[-1], prod(windows.output[:-1]), prod(windows.signal)
    # Whole vectors of the widest target, and what they meet.
    lanes = _SLACK // size
    step = max(-(-outputs // lanes) * lanes * s + k + s, width + 2 * pad)
    frame = plane // width * step + _SLACK
    beyond = pad > 0 or (outputs - 1) * s + k > width
    if not (shaped and beyond and outputs <= _FRAMED_OUTPUTS and frame * size <= _FRAME_BYTES):
        step = frame = 0
    numbers = offsets
    if step:
        offsets = offsets // width * step
        offsets.flags.writeable = False
    counts = height, width, outputs, k, s, pad, step
    return Plan(offsets, numbers, starts, counts, frame, 1, plane, height * outputs)


@lru_cache(maxsize=256)
def plan_last(windows: Windows, channels: int) -> Plan | None:
    """Return the same where channels lie beside each other: the outputs of a pixel are a row.

    None where axis by axis costs less, since windows are large and share most samples.
    """
    taps = prod(windows.size)
    if taps * prod(windows.output) > _MOST_MET:
        return None
    if taps > _MOST_TAPS and disjoint(windows) is None:
        return None
    met = [
        [np.array(met_samples(windows, a, i)) for i in range(windows.output[a])]
        for a in range(len(windows.signal))
    ]
    return _last(met, windows.signal, channels)


# The most samples of windows that overlap (7 x 7 at stride 1 costs as much axis by axis), and of
# all windows of a plane together: their places take memory.
_MOST_TAPS, _MOST_MET = 49, 1 << 20


@lru_cache(maxsize=256)
def adaptive_plan_last(
    signal: tuple[int, ...], outputs: tuple[int, ...], channels: int
) -> Plan | None:
    """Return the same for the windows of `adaptive`."""
    boxes = adaptive(signal, outputs)
    if prod(int(lengths.sum()) for lengths in boxes.lengths) > _MOST_MET:
        return None
    met = [
        [np.arange(first, stop) for first, stop in zip(axis.first, axis.stop, strict=True)]
        for axis in boxes.axes
    ]
    return _last(met, signal, channels)


def _last(met: list[list[Any]], signal: tuple[int, ...], channels: int) -> Plan:
    numbers, starts = [], [0]
    for window in product(*met):
        at = np.zeros(1, np.int64)
        for samples, n in zip(window, signal, strict=True):
            at = (at[:, None] * n + samples).reshape(-1)
        numbers.append(at)
        starts.append(starts[-1] + len(at))
    every = np.concatenate(numbers)
    found = every * channels, every, np.array(starts, np.int64)
    for array in found:
        array.flags.writeable = False
    counts = len(numbers), channels, channels, 1, 1, 0, 0
    return Plan(*found, counts, 0, 0, prod(signal) * channels, len(numbers) * channels)


class Table(NamedTuple):
    """Which rows of a plane each row of outputs meets."""

    offsets: Numbers
    starts: Numbers


@lru_cache(maxsize=256)
def table(windows: Windows) -> Table:
    """Return the offsets of the rows that each row of outputs meets, and where each list starts."""
    lead = range(len(windows.signal) - 1)
    width = windows.signal[-1]
    offsets, starts = [], [0]
    for i in product(*(range(windows.output[a]) for a in lead)):
        met = [met_samples(windows, a, i[a]) for a in lead]
        for u in product(*met):
            at = 0
            for a in lead:
                at = at * windows.signal[a] + u[a]
            offsets.append(at * width)
        starts.append(len(offsets))
    return _lasting(Table(np.array(offsets, np.int64), np.array(starts, np.int64)))


def _lasting(table: Table) -> Table:
    """Return a record of arrays that nobody writes to any more."""
    for array in table:
        array.flags.writeable = False
    return table


def met_samples(windows: Windows, a: int, i: int) -> list[int]:
    """Return the samples that window i meets along an axis."""
    first = i * windows.stride[a] - windows.pad[a]
    met = range(first, first + windows.size[a] * windows.dilation[a], windows.dilation[a])
    return [j for j in met if 0 <= j < windows.signal[a]]


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
    return scratch(found.frame, dtype, "frame") if found.frame else _nothing(dtype)


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
    outside = _nothing(dtype)
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
        kernel(x[lo * plane :], out[lo * result :], _nothing(dtype), work, shares, columns,
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
    room = max(count + (k - 1) * d, pad + width) + _SLACK
    return (prod(windows.output[:-1]), width, outputs, k, s, pad, d, room), room + count + _SLACK


def maxima_and_places(
    windows: Windows, x: Array, out: Array, places: Numbers, workers: int | None
) -> None:
    """Take the maxima and the flat place of each in its plane: the first; of NaN the last."""
    if not places_by_loop(windows, x, out, places, workers):
        search(x, out, places, [_starts(windows, a) for a in range(len(windows.signal))])


def places_by_loop(
    windows: Windows, x: Array, out: Array, places: Numbers, workers: int | None
) -> bool:
    """Take the maxima and their places if a loop is ready; return whether it was."""
    return planned_places(_indexed(windows, x.itemsize), x, out, places, workers,
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


@lru_cache(maxsize=256)
def _indexed(windows: Windows, size: int) -> Plan:
    along = (windows.size[-1], windows.stride[-1])
    return plan(windows, size, windows.dilation[-1] == 1 and along in _INDEXED)


# Those whose places are found by loops of their own.
_INDEXED = ((2, 2), (3, 1), (3, 2), (3, 3), (1, 1))


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
def _nothing(dtype: str) -> Array:
    found = np.zeros(1, dtype)
    found.flags.writeable = False
    return found


def lowest(dtype: np.dtype[Any]) -> Any:
    """Return the value that no maximum keeps."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


# ---------------------------------------------------------------- by NumPy's passes, any windows


class Axis(NamedTuple):
    """The windows of one axis: where each starts and stops, and the step between its samples."""

    first: Numbers
    stop: Numbers
    step: int
    length: int


def _starts(windows: Windows, a: int) -> Axis:
    n, d = windows.signal[a], windows.dilation[a]
    first = np.arange(windows.output[a], dtype=np.int64) * windows.stride[a] - windows.pad[a]
    stop = np.minimum(first + geometry.span(windows.size[a], d), n)
    first += np.maximum(-(first // d), 0) * d  # The first sample inside.
    return Axis(first, stop, d, n)


class Boxes(NamedTuple):
    """Windows of any widths without gaps, as their loops take them.

    Parameters
    ----------
    axes : tuple of Axis
        The windows of each axis, steps being one.
    rows : Table
        Which rows each row of outputs meets; firsts and stops of the last axis say which columns.
    lengths : tuple of ndarray
        Of the windows, per axis.
    """

    axes: tuple[Axis, ...]
    rows: Table
    lengths: tuple[Numbers, ...]

    @property
    def signal(self) -> tuple[int, ...]:
        """Samples per axis."""
        return tuple(axis.length for axis in self.axes)

    @property
    def output(self) -> tuple[int, ...]:
        """Windows per axis."""
        return tuple(len(axis.first) for axis in self.axes)


@lru_cache(maxsize=256)
def adaptive(signal: tuple[int, ...], outputs: tuple[int, ...]) -> Boxes:
    """Return as many windows as asked: number i of m goes from floor(i*n/m) to ceil((i+1)*n/m)."""
    axes = []
    for n, m in zip(signal, outputs, strict=True):
        i = np.arange(m, dtype=np.int64)
        axes.append(Axis(i * n // max(m, 1), -(-(i + 1) * n // max(m, 1)), 1, n))
    return _boxes(axes)


@lru_cache(maxsize=256)
def disjoint(windows: Windows) -> Boxes | None:
    """Return windows that share no sample, or None: many that do cost less by scans."""
    if max(windows.dilation) > 1 or any(
        s < k for s, k in zip(windows.stride, windows.size, strict=True)
    ):
        return None
    return _all_boxes(windows)


@lru_cache(maxsize=256)
def _all_boxes(windows: Windows) -> Boxes:
    return _boxes([_starts(windows, a) for a in range(len(windows.signal))])


def _boxes(axes: list[Axis]) -> Boxes:
    *lead, last = axes
    offsets, starts = [], [0]
    for window in product(*(range(len(axis.first)) for axis in lead)):
        met = [
            range(int(axis.first[i]), int(axis.stop[i]))
            for axis, i in zip(lead, window, strict=True)
        ]
        for u in product(*met):
            at = 0
            for axis, place in zip(lead, u, strict=True):
                at = at * axis.length + place
            offsets.append(at * last.length)
        starts.append(len(offsets))
    last.first.flags.writeable = last.stop.flags.writeable = False
    rows = Table(np.array(offsets, np.int64), np.array(starts, np.int64))
    return Boxes(tuple(axes), _lasting(rows), tuple(axis.stop - axis.first for axis in axes))


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
        work = scratch(width + _SLACK, dtype, "row")
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
    where = _nothing("int64") if places is None else places.reshape(-1)

    def some(lo: int, hi: int, plane: int, result: int) -> None:
        work = scratch(width + _SLACK, dtype, "row")
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


# ---------------------------------------------------------------- backwards


def put(values: Array, places: Numbers, out: Array, wrong: Numbers) -> bool:
    """Store values (planes, outputs) in out (planes, samples) at their places, zeros elsewhere.

    Returns whether a loop is ready for it; ``wrong[0]`` is whether a place lies outside.
    """
    dtype = _MOVED.get(out.dtype.itemsize, "")
    return _by_places("pool_put", dtype, values, places, out, wrong)


def scatter(values: Array, places: Numbers, out: Array, wrong: Numbers) -> bool:
    """Add values (planes, outputs) up in out (planes, samples) at their places; as `put`."""
    return _by_places("pool_scatter", out.dtype.name, values, places, out, wrong)


def _by_places(
    name: str, dtype: str, values: Array, places: Numbers, out: Array, wrong: Numbers
) -> bool:
    if dtype not in KERNELS[name].dtypes or (kernel := load.ready(name, dtype)) is None:
        return False
    planes, samples = out.shape
    kernel(values.reshape(-1).view(dtype), out.reshape(-1).view(dtype), places.reshape(-1), wrong,
           _nothing(dtype), planes, samples, values.shape[1])  # fmt: skip
    return True


# Elements that are moved, not looked at.
_MOVED = {np.dtype(name).itemsize: name for name in KERNELS["pool_put"].dtypes}


def spread(windows: Windows, grad: Array, out: Array, shares: Array, columns: Array) -> bool:
    """Add grad (planes, *output) over shares * columns up in all samples of its windows.

    Returns whether a loop is ready for it.
    """
    dtype = out.dtype.name
    if dtype not in KERNELS["pool_spread"].dtypes:
        return False
    if (kernel := load.ready("pool_spread", dtype)) is None:
        return False
    boxes = _all_boxes(windows)
    last, plane = boxes.axes[-1], prod(windows.signal)
    kernel(grad.reshape(-1), out.reshape(-1), shares, columns, _nothing(dtype), *boxes.rows,
           last.first, last.stop, out.size // plane, plane, len(boxes.rows.starts) - 1,
           len(last.first))  # fmt: skip
    return True
