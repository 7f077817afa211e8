"""Arrays with windows over their axes, as loops over three axes of continued samples take them.

Of more axes the first ones are continued by numbers: which of the samples' volumes, each the last
three axes, lies at each of their places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.scratch import scratch
from .recalled import Run

Array = npt.NDArray[Any]
# (samples, results, maps of planes, rows and columns, planes, rows): computes one band.
Band = Callable[[Array, Array, tuple[Array, ...], int, int], None]

# The allocator keeps pieces of up to so many elements.
_FRESH = 1 << 12
# Rows shorter than this fill few vectors; where another axis is twice as long, and for so many
# products, it pays to copy the array so that its longest axis lies last.
_SHORT, _MANY, _MANY_ROWS = 16, 50_000, 1000


class Laid(NamedTuple):
    """What one band meets.

    Parameters
    ----------
    maps : tuple of ndarray
        For each of three axes the samples that the windows meet, -1 for one outside.
    planes, rows : int
        How many it makes.
    made : tuple of int
        What it makes, in rows of a plane each; of that all are results where there is no `lead`.
    """

    maps: tuple[Array, ...]
    planes: int
    rows: int
    made: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """How an array falls into bands.

    Parameters
    ----------
    turned : tuple of (tuple of int, tuple of int) or None
        An array's shape and the order that its axes are brought into first; None where they lie
        as they should.
    lead : tuple of int
        Samples along the axes before the last three.
    numbers : ndarray of int64
        With the axes of `lead`: the volumes that the windows meet, -1 for one outside.
    shape, size, pad, around : tuple of int
        Samples, samples of a window, those before the first sample, and of all windows; per axis,
        of three.
    maps : tuple of ndarray
        For each of these axes the samples that the windows meet, -1 for one outside.
    axis, height : int
        Along which axis bands follow each other, and how many planes or rows one makes.
    together : int
        How many places along the first axis of `lead` one band makes; 0 where bands are parts of
        one volume.
    """

    turned: tuple[tuple[int, ...], tuple[int, ...]] | None
    lead: tuple[int, ...]
    numbers: Array
    shape: tuple[int, ...]
    size: tuple[int, ...]
    pad: tuple[int, ...]
    around: tuple[int, ...]
    maps: tuple[Array, ...]
    axis: int
    height: int
    together: int

    @property
    def one(self) -> bool:
        """Whether one band makes all."""
        return self.together >= (self.lead[0] if self.lead else 1)

    @property
    def results(self) -> int:
        """How many results there are."""
        return prod((*self.lead, *self.shape))

    @property
    def pitches(self) -> tuple[int, ...]:
        """Continued samples from one place to the next, for each axis of a `window`."""
        return self._as_given(self._pitches)

    @property
    def _lengths(self) -> tuple[int, ...]:
        return *self.numbers.shape, *self.around

    @property
    def _pitches(self) -> tuple[int, ...]:
        return tuple(prod(self._lengths[i + 1 :]) for i in range(len(self._lengths)))

    def _as_given(self, values: Sequence[int]) -> tuple[int, ...]:
        """Return values for the axes in their order before they were turned."""
        order = range(len(values)) if self.turned is None else np.argsort(self.turned[1])
        return tuple(values[i] for i in order)

    def window(self, values: bytes, dtype: npt.DTypeLike) -> Array:
        """Return a window's values along the axes that are told apart."""
        lengths = zip(self._lengths, (*self.lead, *self.shape), strict=True)
        return np.frombuffer(values, dtype).reshape(self._as_given([a - n + 1 for a, n in lengths]))

    def room(self, planes: int, rows: int) -> int:
        """Return how many continued samples a band meets that reads so many planes."""
        return planes * (rows + self.size[1] - 1) * self.around[2]

    def run(self, one: Band, x: Array, out: Array, workers: int) -> None:
        """Compute flat `out` from flat `x`, band by band."""
        if self.turned is None:
            self._run(one, x, out, workers)
            return
        shape, order = self.turned
        x, goal = (flat.reshape(shape).transpose(order) for flat in (x, out))
        # It does where only axes of one sample changed places.
        lies = goal.flags.c_contiguous
        out = goal.reshape(-1) if lies else scratch(out.size, out.dtype, "turned")
        self._run(one, x.reshape(-1), out, workers)
        if not lies:
            goal[...] = out.reshape(goal.shape)

    def whole(self) -> Laid:
        """Return what the only band meets; see `one`."""
        n0, n1, n2 = self.shape
        return self._laid(0, self.lead[0]) if self.lead else Laid(self.maps, n0, n1, (n0, n1 * n2))

    def run_whole(self, compute: Run) -> Run:
        """Return what runs the only band, where `compute` makes all that it makes."""
        run = self._kept_of(compute) if self.lead else compute
        if self.turned is None:
            return run
        shape, order = self.turned
        turned = [shape[i] for i in order]

        def turns(x: Array, out: Array) -> None:
            goal = scratch(out.size, out.dtype, "turned")
            run(x.reshape(shape).transpose(order).reshape(-1), goal)
            out.reshape(shape).transpose(order)[...] = goal.reshape(turned)

        return turns

    def _kept_of(self, compute: Run) -> Run:
        shape, (n0, n1, n2) = self.whole().made, self.shape
        kept, goal, length = self._kept, (*self.lead, n0, n1 * n2), prod(shape)
        made = np.empty if length < _FRESH else _results

        def run(x: Array, out: Array) -> None:
            results = made(length, out.dtype)
            compute(x, results)
            out.reshape(goal)[...] = results.reshape(shape)[kept]

        return run

    def _run(self, one: Band, x: Array, out: Array, workers: int) -> None:
        if self.lead and self.together:
            self._run_lead(one, x, out, workers)
            return
        n0, n1, n2 = self.shape
        count, step = self.shape[self.axis], n1 * n2 if self.axis == 0 else n2
        maps = list(self.maps)

        def band(lo: int, hi: int) -> None:
            planes, rows = (hi - lo, n1) if self.axis == 0 else (1, hi - lo)
            here = [*maps]
            here[self.axis] = maps[self.axis][lo : hi + self.size[self.axis] - 1]
            one(source, result[lo * step :], tuple(here), planes, rows)

        for number in range(prod(self.lead)):
            at = number * n0 * n1 * n2
            source, result = x[at:], out[at:]
            if count <= self.height:
                band(0, count)
            else:
                threads.run(band, geometry.bands(count, self.height), workers)

    def _run_lead(self, one: Band, x: Array, out: Array, workers: int) -> None:
        n0, n1, n2 = self.shape
        out = out.reshape(*self.lead, n0, n1 * n2)

        def some(lo: int, hi: int) -> None:
            maps, planes, rows, made = self._laid(lo, hi)
            results = (np.empty if prod(made) < _FRESH else _results)(prod(made), out.dtype)
            one(x, results, maps, planes, rows)
            out[lo:hi] = results.reshape(made)[self._kept]

        threads.run(some, geometry.bands(self.lead[0], self.together), workers)

    @property
    def _kept(self) -> tuple[slice, ...]:
        """Return which of a band's planes are results."""
        return (slice(None), *map(slice, (*self.lead[1:], self.shape[0])))

    def _laid(self, lo: int, hi: int) -> Laid:
        """Lay some volumes' continued planes one after the other.

        Windows that begin at one place and end at the next are made, too, and left out.
        """
        (n0, n1, n2), first = self.shape, self.maps[0]
        lengths, around = (*self.lead, n0), (*self.numbers.shape, self.around[0])
        more = around[0] - lengths[0]
        # Planes from a window's first to its last.
        beyond = sum((a - n) * p for a, n, p in zip(around, lengths, self._pitches, strict=False))
        beyond //= self.around[1] * self.around[2]
        numbers = self.numbers[lo : hi + more, ..., None]
        met = np.where((first < 0) | (numbers < 0), -1, first + n0 * numbers).reshape(-1)
        made = (hi - lo, *around[1:], n1 * n2)
        return Laid((met, *self.maps[1:]), len(met) - beyond, n1, made)


def _results(length: int, dtype: Any) -> Array:
    return scratch(length, dtype, "results")


def settle(
    shape: tuple[int, ...], size: tuple[int, ...], pad: tuple[int, ...], boundary: str, work: int
) -> Bands | None:
    """Return the bands of an array, of about `work` continued samples each; None of an empty one.

    Neighbouring axes with windows of one sample are one, those that have but one sample none.
    """
    if not prod(shape):
        return None
    axes: list[_Axis] = []
    for n, k, p in zip(shape, size, pad, strict=True):
        if n == k == 1 and p == 0:
            continue
        if axes and k == 1 == axes[-1][1] and p == 0 == axes[-1][2]:
            axes[-1] = axes[-1][0] * n, 1, 0
        else:
            axes.append((n, k, p))
    axes, turned = _turned([(1, 1, 0)] * (3 - len(axes)) + axes, work)
    lead, axes = axes[:-3], axes[-3:]
    numbers = np.zeros((), np.int64)
    for n, k, p in lead:
        met = geometry.source_map(-p, n + k - 1, n, boundary)
        outside = (numbers[..., None] < 0) | (met < 0)
        numbers = np.where(outside, -1, numbers[..., None] * n + met)
    shape, size, pad = (tuple(values) for values in zip(*axes, strict=True))
    around = tuple(n + k - 1 for n, k, _ in axes)
    maps = tuple(geometry.source_map(-p, n + k - 1, n, boundary) for n, k, p in axes)
    # Bands of planes, or of rows where windows meet one plane: how far apart samples of two planes
    # lie is the same for all bands.
    axis = 0 if around[0] > 1 else 1
    height = _height(work, around[2] * (around[1] if axis == 0 else 1), size[axis])
    together = 0 if shape[axis] > height else max(1, work // prod(around))
    if lead and (together or any(k > 1 for _, k, _ in lead)):
        place = prod(numbers.shape[1:]) * prod(around)
        together = _height(work, place, lead[0][1])
    counts = tuple(n for n, _, _ in lead)
    return Bands(turned, counts, numbers, shape, size, pad, around, maps, axis, height, together)


_Axis = tuple[int, int, int]


def _turned(axes: list[_Axis], work: int) -> tuple[list[_Axis], Any]:
    """Return the axes with the longest one last, and how to turn an array so; see `Bands`.

    Of a large volume with one plane the rows become planes, for bands of less than all of it.
    """
    shape = tuple(n for n, _, _ in axes)
    order = list(range(len(shape)))
    longest = max(order, key=shape.__getitem__)
    # Columns of one sample are turned without a copy.
    most = _MANY if shape[-1] > 1 else _MANY_ROWS
    if min(_SHORT, shape[longest] // 2) >= shape[-1] and prod(n * k for n, k, _ in axes) >= most:
        order.remove(longest)
        order.append(longest)
    planes, rows = order[-3:-1]
    around = prod(axes[i][0] + axes[i][1] - 1 for i in order[-3:])
    if shape[planes] == 1 < axes[planes][1] and around > work:
        order[-3:-1] = rows, planes
    if order == sorted(order):
        return axes, None
    return [axes[i] for i in order], (shape, tuple(order))


def _height(work: int, step: int, size: int) -> int:
    """Return how many steps a band makes that reads `size` - 1 more, of so many samples each."""
    return max(work // step - size + 1, min(2 * (size - 1), 4 * work // step), 1)
