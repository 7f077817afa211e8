"""What blocks of each size cost, relative to each other: the base of every choice of a size."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.scratch import KEPT_BYTES
from ..runtime.target import host_target

# Nanoseconds per complex point that a block of M points costs in making the filter's spectrum, and
# per point and block in computing results. Measured on one core of an AMD Zen 5 server CPU with
# AVX-512 (2026-11, numba 0.68.1); the optimum is flat, so that it serves other targets.
_COSTS: dict[str, dict[int, tuple[float, float]]] = {
    "float64": {
        64: (5.8, 1.02), 128: (3.4, 0.96), 256: (2.15, 1.07), 512: (1.7, 1.22),
        1024: (1.36, 1.30), 2048: (1.3, 1.58), 4096: (1.21, 1.60), 8192: (1.17, 1.74),
        16384: (1.25, 2.08), 32768: (1.33, 2.12), 65536: (1.37, 2.30),
        131072: (1.56, 2.80), 262144: (1.84, 3.98),
    },
    "float32": {
        256: (1.84, 0.64), 512: (1.12, 0.65), 1024: (0.82, 0.68), 2048: (0.72, 0.76),
        4096: (0.64, 0.85), 8192: (0.65, 0.90), 16384: (0.63, 1.00), 32768: (0.65, 1.12),
        65536: (0.71, 1.23), 131072: (0.72, 1.32), 262144: (0.76, 1.53),
    },
}  # fmt: skip
# The same for AVX2, from cycles on one core of an AMD Zen 3 server CPU (2026-11, numba 0.68.1): per
# complex point 11 cycles at M = 512, 24 at 262144 in float64, 5.7 and 12 in float32, here scaled to
# the reference. Beside AVX-512's arithmetic, memory and a filter's transform weigh less.
_COSTS_AVX2: dict[str, dict[int, tuple[float, float]]] = {
    "float64": {
        64: (6.5, 1.11), 128: (3.5, 1.12), 256: (2.1, 1.09), 512: (1.41, 1.22),
        1024: (1.03, 1.28), 2048: (0.91, 1.48), 4096: (0.90, 1.65), 8192: (0.89, 1.78),
        16384: (1.02, 1.97), 32768: (1.07, 2.13), 65536: (1.03, 2.25),
        131072: (1.12, 2.44), 262144: (1.23, 2.63),
    },
    "float32": {
        128: (3.5, 0.67), 256: (2.0, 0.64), 512: (1.2, 0.66), 1024: (0.85, 0.72),
        2048: (0.68, 0.76), 4096: (0.62, 0.86), 8192: (0.61, 0.94), 16384: (0.63, 0.99),
        32768: (0.66, 1.10), 65536: (0.56, 1.23), 131072: (0.57, 1.24), 262144: (0.63, 1.40),
    },
}  # fmt: skip
_OF_TARGET = {"x86-64-v3": _COSTS_AVX2}
# Beyond the table each doubling costs this much more per point (memory).
_PER_DOUBLING = 1.15
# A first radix of 3 or 5 costs this much more than the powers of two around it.
_ODD_RADIX = 1.06
_LARGEST = 48
# What a block costs less for each filter after the first one that meets it: its first half.
FIRST_HALF = 0.38
# Filters of one signal whose spectra are there at a time, be they as long as they may: a block's
# first half is then a tenth of what is done with it.
_FEW = 4


def costs(size: Any, dtype: str) -> tuple[Any, Any]:
    """Return nanoseconds on the reference machine: of a filter's spectrum, and of one block.

    Parameters
    ----------
    size : int or ndarray of int
        Complex points of a block.
    dtype : str
        "float64" or "float32".
    """
    logs, spectrum, block = _curves(dtype, host_target().name)
    at = np.log2(np.maximum(size, 1))
    odd = np.where(np.bitwise_and(size, np.subtract(size, 1)) == 0, 1.0, _ODD_RADIX) * size
    return np.interp(at, logs, spectrum) * odd, np.interp(at, logs, block) * odd


def together(filters: int, spectrum_bytes: int) -> int:
    """Return of how many filters of one signal the spectra are there at a time."""
    return min(filters, max(_FEW, KEPT_BYTES // spectrum_bytes))


@cache
def _curves(dtype: str, target: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    table = dict(_OF_TARGET.get(target, _COSTS)[dtype])
    largest = max(table)
    for bits in range(largest.bit_length(), _LARGEST):
        below = table[1 << (bits - 1)]
        table[1 << bits] = below[0] * _PER_DOUBLING, below[1] * _PER_DOUBLING
    sizes = sorted(table)
    return (
        np.log2(np.array(sizes, np.float64)),
        np.array([table[size][0] for size in sizes]),
        np.array([table[size][1] for size in sizes]),
    )
