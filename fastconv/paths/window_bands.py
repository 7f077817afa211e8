"""Arrays with windows over up to three of their axes, as loops over continued samples take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..runtime import threads
from ..runtime.scratch import scratch

Array = npt.NDArray[Any]
# (samples, results, maps of planes, rows and columns, planes, rows): computes one band.
Band = Callable[[Array, Array, tuple[Array, ...], int, int], None]

# The allocator keeps pieces of up to so many elements.
_FRESH = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """How an array falls into bands.

    Parameters
    ----------
    volumes : int
        How many arrays of `shape` lie one after the other.
    shape, size, pad, around : tuple of int
        Samples, samples of a window, those before the first sample, and of all windows; per axis,
        of three.
    maps : tuple of ndarray
        For each axis the samples that the windows meet, -1 for one outside.
    axis, height : int
        Along which axis bands follow each other, and how many planes or rows one makes.
    together : int
        How many volumes one band makes; 0 where a volume is more than a band.
    """

    volumes: int
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
        return self.volumes <= self.together

    def room(self, planes: int, rows: int) -> int:
        """Return how many continued samples a band meets."""
        return (planes + self.size[0] - 1) * (rows + self.size[1] - 1) * self.around[2]

    def run(self, one: Band, x: Array, out: Array, workers: int) -> None:
        """Compute flat `out` from flat `x`, band by band."""
        if self.volumes > 1 and self.together:
            self._run_volumes(one, x, out, workers)
            return
        n0, n1, n2 = self.shape
        count, step = self.shape[self.axis], n1 * n2 if self.axis == 0 else n2
        maps = list(self.maps)

        def band(lo: int, hi: int) -> None:
            planes, rows = (hi - lo, n1) if self.axis == 0 else (1, hi - lo)
            here = [*maps]
            here[self.axis] = maps[self.axis][lo:]
            one(source, result[lo * step :], tuple(here), planes, rows)

        for number in range(self.volumes):
            at = number * n0 * n1 * n2
            source, result = x[at:], out[at:]
            if count <= self.height:
                band(0, count)
            else:
                threads.run(band, geometry.bands(count, self.height), workers)

    def _run_volumes(self, one: Band, x: Array, out: Array, workers: int) -> None:
        """Lay some volumes' continued planes one after the other.

        Windows that begin in one volume and end in the next are made, too, and left out.
        """
        n0, n1, n2 = self.shape
        planes, deep = self.maps[0], self.around[0]
        out = out.reshape(self.volumes, n0 * n1 * n2)

        def some(lo: int, hi: int) -> None:
            numbers = planes + n0 * np.arange(lo, hi)[:, None]
            numbers = np.where(planes < 0, -1, numbers).reshape(-1)
            made = np.empty if (hi - lo) * deep * n1 * n2 < _FRESH else _kept
            results = made((hi - lo) * deep * n1 * n2, out.dtype)
            one(x, results, (numbers, *self.maps[1:]), (hi - lo) * deep - self.size[0] + 1, n1)
            results = results.reshape(hi - lo, deep * n1 * n2)
            out[lo:hi] = results[:, : n0 * n1 * n2]

        threads.run(some, geometry.bands(self.volumes, self.together), workers)


def _kept(length: int, dtype: Any) -> Array:
    return scratch(length, dtype, "results")


def settle(
    shape: tuple[int, ...], size: tuple[int, ...], pad: tuple[int, ...], boundary: str, work: int
) -> Bands | None:
    """Return the bands of an array, of about `work` continued samples each; None for more axes.

    Neighbouring axes with windows of one sample are one; if it comes first, it counts volumes.
    """
    if not prod(shape):
        return None
    axes: list[tuple[int, int, int]] = []
    for n, k, p in zip(shape, size, pad, strict=True):
        if axes and k == 1 == axes[-1][1] and p == 0 == axes[-1][2]:
            axes[-1] = axes[-1][0] * n, 1, 0
        else:
            axes.append((n, k, p))
    volumes = 1
    if len(axes) > 3 and axes[0][1:] == (1, 0):
        volumes, axes = axes[0][0], axes[1:]
    if len(axes) > 3:
        return None
    axes = [(1, 1, 0)] * (3 - len(axes)) + axes
    shape, size, pad = (tuple(values) for values in zip(*axes, strict=True))
    around = tuple(n + k - 1 for n, k, _ in axes)
    maps = tuple(geometry.source_map(-p, n + k - 1, n, boundary) for n, k, p in axes)
    # Bands of planes, or of rows where there is one plane.
    axis = 0 if shape[0] > 1 else 1
    row = around[2] * (around[1] if axis == 0 else 1)
    height = max(work // row - size[axis] + 1, min(2 * (size[axis] - 1), 4 * work // row), 1)
    together = max(1, work // prod(around)) if shape[axis] <= height else 0
    return Bands(volumes, shape, size, pad, around, maps, axis, height, together)
