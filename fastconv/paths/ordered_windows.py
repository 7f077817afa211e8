"""Linear windows over several axes of arrays as they lie, one compiled call for each band."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..runtime import load
from ..runtime.scratch import scratch
from . import ordered, window_bands
from .recalled import Run, room_of

Array = npt.NDArray[Any]

DTYPES = frozenset(KERNELS["ordered_window"].dtypes)
# Continued doubles of one band: half of a second-level cache of 1 MiB.
_WORK = 1 << 16


@lru_cache(maxsize=256)
def plan(
    dtype: str, shape: tuple[int, ...], taps: bytes, size: tuple[int, ...], pad: tuple[int, ...],
    boundary: str,
) -> Plan | None:  # fmt: skip
    """Return how to run a filter over an array, or None where ``ordered_window`` does not serve."""
    if dtype not in DTYPES:
        return None
    bands = window_bands.settle(shape, size, pad, boundary, _WORK)
    if bands is None:
        return None
    return Plan(dtype, bands, ordered.window(bands.window(taps, np.float64), bands.pitches))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One filter over one array, settled."""

    dtype: str
    bands: window_bands.Bands
    taps: ordered.Taps

    @property
    def kernel(self) -> str:
        """The compiled loop."""
        return "ordered_window"

    @property
    def products(self) -> int:
        """Number of products."""
        return self.bands.results * self.taps.terms

    def run(self, x: Array, out: Array, outside: float, workers: int) -> bool:
        """Compute `out`; return False where the kernel is not ready yet.

        Parameters
        ----------
        x, out : ndarray
            Of the plan's dtype and shape, C-contiguous and aligned, sharing no memory.
        outside : float
            Samples outside, for the rule "fill".
        workers : int
            How many threads may be used.
        """
        kernel = load.ready("ordered_window", self.dtype, 1e-9 * self.products)
        if kernel is None:
            return False
        fill = np.array([outside], np.float64)

        def one(x: Array, out: Array, maps: tuple[Array, ...], planes: int, rows: int) -> None:
            room = scratch(self.bands.room(len(maps[0]), rows), np.float64)
            counts = self._counts(planes, rows, len(maps[0]) - planes)
            kernel(x, self.taps.weights, out, self.taps.first, *maps, fill, room, *counts)

        self.bands.run(one, x.reshape(-1), out.reshape(-1), workers)
        return True

    def _counts(self, planes: int, rows: int, more_planes: int) -> tuple[int, ...]:
        _, n1, n2 = self.bands.shape
        last = self.bands.around[2], self.bands.pad[2], self.taps.terms
        return (n1, n2, planes, rows, n1 * n2, more_planes, self.bands.size[1] - 1, *last)

    def in_one(self, kernel: Any, outside: float) -> Run | None:
        """Return what runs a plan of one band by a compiled call; None if it needs more."""
        if not self.bands.one:
            return None
        maps, planes, rows, _ = self.bands.whole()
        weights, arrays = self.taps.weights, (self.taps.first, *maps, np.array([outside]))
        counts = self._counts(planes, rows, len(maps[0]) - planes)
        space = room_of(self.bands.room(len(maps[0]), rows), np.dtype(np.float64))

        def compute(x: Array, out: Array) -> None:
            kernel(x, weights, out, *arrays, space(), *counts)

        return self.bands.run_whole(compute)
