"""What the windows of a pooling meet: the tables that its loops walk."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..records import NamedTuple

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]

# Windows along a row (size, stride) that the loops are unrolled for, those that find places too,
# and the most rows of a window that are read one by one: beyond them two scans cost less.
SHAPES = ((2, 2), (3, 2), (3, 3), (2, 1), (3, 1), (1, 1))
_PLACED = ((2, 2), (3, 1), (3, 2), (3, 3), (1, 1))
_MOST_ROWS = 9
# Planes that are copied between what lies outside, so that no window meets an end, are this small.
_FRAME_BYTES, _FRAMED_OUTPUTS = 64 << 10, 64
# The most samples of windows that overlap (7 x 7 at stride 1 costs as much axis by axis), and of
# all windows of a plane together: their places take memory.
_MOST_TAPS, _MOST_MET = 49, 1 << 20
# Whole vectors of the widest target may be written behind a row.
SLACK = 64


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


class Axis(NamedTuple):
    """The windows of one axis: where each starts and stops, and the step between its samples."""

    first: Numbers
    stop: Numbers
    step: int
    length: int


def along(windows: Windows, a: int) -> Axis:
    """Return the windows of one axis."""
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
    return all_boxes(windows)


@lru_cache(maxsize=256)
def all_boxes(windows: Windows) -> Boxes:
    """Return windows without dilation as boxes."""
    return _boxes([along(windows, a) for a in range(len(windows.signal))])


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
    lanes = SLACK // size
    step = max(-(-outputs // lanes) * lanes * s + k + s, width + 2 * pad)
    frame = plane // width * step + SLACK
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
def indexed_plan(windows: Windows, size: int) -> Plan:
    """Return the same for loops that find places."""
    along = (windows.size[-1], windows.stride[-1])
    return plan(windows, size, windows.dilation[-1] == 1 and along in _PLACED)


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
