"""Extremes under a footprint over several axes, one compiled call for each band."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..runtime import load
from ..runtime.scratch import scratch
from . import window_bands
from .recalled import Run

Array = npt.NDArray[Any]

DTYPES = frozenset(KERNELS["extreme_window"].dtypes)
# Continued samples of one band: half of a second-level cache of 1 MiB.
_WORK_BYTES = 1 << 19
# Two vectors of bytes: what the last one reads behind them, and what a row shorter than it makes.
_SPARE = 128


@lru_cache(maxsize=256)
def plan(
    dtype: str, shape: tuple[int, ...], footprint: bytes, size: tuple[int, ...],
    pad: tuple[int, ...], boundary: str, greatest: bool,
) -> Plan | None:  # fmt: skip
    """Return how to go over an array, or None where ``extreme_window`` does not serve.

    Parameters
    ----------
    dtype : str
        Of samples and results.
    shape, size, pad : tuple of int
        Samples, samples of a window and those before the first sample, per axis.
    footprint : bytes
        One for each sample of a window: whether it counts.
    boundary : str
        What lies outside.
    greatest : bool
        Whether the greatest sample is looked for, or the least.
    """
    if dtype not in DTYPES:
        return None
    work = _WORK_BYTES // np.dtype(dtype).itemsize
    bands = window_bands.settle(shape, size, pad, boundary, work)
    if bands is None:
        return None
    places = np.argwhere(bands.window(footprint, np.bool_))
    return Plan(dtype, bands, np.ascontiguousarray(places @ np.array(bands.pitches)), int(greatest))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One footprint over one array, settled."""

    dtype: str
    bands: window_bands.Bands
    first: Array
    greatest: int

    def run(self, x: Array, out: Array, outside: Any, workers: int) -> bool:
        """Compute `out`; return False where the kernel is not ready yet.

        Parameters
        ----------
        x, out : ndarray
            Of the plan's dtype and shape, C-contiguous and aligned, sharing no memory.
        outside : scalar
            Samples outside, for the rule "fill".
        workers : int
            How many threads may be used.
        """
        kernel = load.ready("extreme_window", self.dtype, 1e-9 * out.size * len(self.first))
        if kernel is None:
            return False
        self.bands.run(self._band(kernel, outside), x.reshape(-1), out.reshape(-1), workers)
        return True

    def small(self, outside: Any) -> Run | None:
        """Return what computes an array of one band at once, None for larger ones."""
        kernel = load.ready("extreme_window", self.dtype)
        if kernel is None or not self.bands.one:
            return None
        band, (maps, planes, rows, _) = self._band(kernel, outside), self.bands.whole()
        return self.bands.run_whole(lambda x, out: band(x, out, maps, planes, rows))

    def _band(self, kernel: Any, outside: Any) -> window_bands.Band:
        fill, (_, n1, n2) = np.array([outside], self.dtype), self.bands.shape
        kind, more_rows = fill.dtype, self.bands.size[1] - 1
        last = self.bands.around[2], self.bands.pad[2], len(self.first), self.greatest

        def band(x: Array, out: Array, maps: tuple[Array, ...], planes: int, rows: int) -> None:
            met = len(maps[0])
            room = scratch(self.bands.room(met, rows) + _SPARE, kind)
            kernel(
                x, out, self.first, *maps, fill, room, n1, n2, planes, rows, n1 * n2, met - planes,
                more_rows, *last,
            )  # fmt: skip

        return band
