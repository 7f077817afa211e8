"""Linear windows over up to three axes of arrays as they lie, one compiled call for each band."""

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
from . import ordered
from .recalled import Call

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
    if dtype not in DTYPES or len(shape) > 3 or not prod(shape):
        return None
    missing = 3 - len(shape)
    shape, size = (1,) * missing + shape, (1,) * missing + size
    pad = (0,) * missing + pad
    around = [n + k - 1 for n, k in zip(shape, size, strict=True)]
    maps = tuple(
        geometry.source_map(-p, m, n, boundary) for p, m, n in zip(pad, around, shape, strict=True)
    )
    w = np.frombuffer(taps).reshape(size)
    terms = ordered.window(w, (around[1] * around[2], around[2], 1))
    # Bands of planes, or of rows where there is one plane.
    axis = 0 if shape[0] > 1 else 1
    row = around[2] * (around[1] if axis == 0 else 1)
    height = max(_WORK // row - size[axis] + 1, min(2 * (size[axis] - 1), 4 * _WORK // row), 1)
    return Plan(dtype, shape, size, pad, (around[0], around[1], around[2]), maps, terms, axis,
                height)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One filter over one array, settled."""

    dtype: str
    shape: tuple[int, ...]
    size: tuple[int, ...]
    pad: tuple[int, ...]
    around: tuple[int, int, int]
    maps: tuple[Array, ...]
    taps: ordered.Taps
    axis: int
    height: int

    @property
    def kernel(self) -> str:
        """The compiled loop."""
        return "ordered_window"

    @property
    def products(self) -> int:
        """Number of products."""
        return prod(self.shape) * self.taps.terms

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
        fill, (_, n1, n2) = np.array([outside], np.float64), self.shape
        x, out, taps = x.reshape(-1), out.reshape(-1), self.taps
        k0, k1, _ = self.size
        step = n1 * n2 if self.axis == 0 else n2

        def band(lo: int, hi: int) -> None:
            planes, rows = (hi - lo, n1) if self.axis == 0 else (1, hi - lo)
            maps = list(self.maps)
            maps[self.axis] = maps[self.axis][lo:]
            size = (planes + k0 - 1) * (rows + k1 - 1) * self.around[2]
            kernel(
                x, taps.weights, out[lo * step :], taps.first, *maps, fill,
                scratch(size, np.float64), n1, n2, planes, rows, n1 * n2, k0 - 1, k1 - 1,
                self.around[2], self.pad[2], taps.terms,
            )  # fmt: skip

        count = self.shape[self.axis]
        if count <= self.height:
            band(0, count)
        else:
            threads.run(band, geometry.bands(count, self.height), workers)
        return True

    def calls(self, outside: float) -> tuple[Call, ...]:
        """Return the compiled call of a plan of one band; none if it needs more."""
        if self.shape[self.axis] > self.height:
            return ()
        fill, (n0, n1, n2) = np.array([outside], np.float64), self.shape
        k0, k1, _ = self.size
        counts = (n1, n2, n0, n1, n1 * n2, k0 - 1, k1 - 1, self.around[2], self.pad[2],
                  self.taps.terms)  # fmt: skip
        arrays = (self.taps.first, *self.maps, fill)
        return (Call(self.taps.weights, arrays, prod(self.around), counts),)
