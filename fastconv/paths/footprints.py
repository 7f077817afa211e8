"""Extremes under a footprint over up to three axes, one compiled call for each band."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..kernels import KERNELS
from ..runtime import load, threads
from ..runtime.scratch import scratch
from .recalled import Run

Array = npt.NDArray[Any]

DTYPES = frozenset(KERNELS["extreme_window"].dtypes)
# Continued samples of one band: half of a second-level cache of 1 MiB.
_WORK_BYTES = 1 << 19


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
    if dtype not in DTYPES or len(shape) > 3 or not prod(shape):
        return None
    missing = 3 - len(shape)
    shape, size = (1,) * missing + shape, (1,) * missing + size
    pad = (0,) * missing + pad
    around = [n + k - 1 for n, k in zip(shape, size, strict=True)]
    maps = tuple(
        geometry.source_map(-p, m, n, boundary) for p, m, n in zip(pad, around, shape, strict=True)
    )
    places = np.argwhere(np.frombuffer(footprint, bool).reshape(size))
    first = np.ascontiguousarray(places @ np.array([around[1] * around[2], around[2], 1]))
    axis = 0 if shape[0] > 1 else 1
    row = around[2] * (around[1] if axis == 0 else 1)
    work = _WORK_BYTES // np.dtype(dtype).itemsize
    height = max(work // row - size[axis] + 1, min(2 * (size[axis] - 1), 4 * work // row), 1)
    return Plan(dtype, shape, size, pad, tuple(around), maps, first, axis, height, int(greatest))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One footprint over one array, settled."""

    dtype: str
    shape: tuple[int, ...]
    size: tuple[int, ...]
    pad: tuple[int, ...]
    around: tuple[int, ...]
    maps: tuple[Array, ...]
    first: Array
    axis: int
    height: int
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
        x, out, band = x.reshape(-1), out.reshape(-1), self._band(kernel, outside)
        count = self.shape[self.axis]
        if count <= self.height:
            band(x, out, 0, count)
        else:
            threads.run(
                lambda lo, hi: band(x, out, lo, hi), geometry.bands(count, self.height), workers
            )
        return True

    def small(self, outside: Any) -> Run | None:
        """Return what computes an array of one band at once, None for larger ones."""
        kernel, count = load.ready("extreme_window", self.dtype), self.shape[self.axis]
        if kernel is None or count > self.height:
            return None
        band = self._band(kernel, outside)
        return lambda x, out: band(x, out, 0, count)

    def _band(self, kernel: Any, outside: Any) -> Any:
        fill, (_, n1, n2) = np.array([outside], self.dtype), self.shape
        k0, k1, _ = self.size
        step = n1 * n2 if self.axis == 0 else n2
        kind = fill.dtype

        def band(x: Array, out: Array, lo: int, hi: int) -> None:
            planes, rows = (hi - lo, n1) if self.axis == 0 else (1, hi - lo)
            maps = list(self.maps)
            maps[self.axis] = maps[self.axis][lo:]
            size = (planes + k0 - 1) * (rows + k1 - 1) * self.around[2]
            kernel(
                x, out[lo * step :], self.first, *maps, fill, scratch(size, kind), n1, n2, planes,
                rows, n1 * n2, k0 - 1, k1 - 1, self.around[2], self.pad[2], len(self.first),
                self.greatest,
            )  # fmt: skip

        return band
