"""The arrays that workloads are run on: seeded, so that every run sees the same ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Maker",
    "Operands",
    "bells",
    "box_taps",
    "boxcar",
    "gaussian_taps",
    "mixed",
    "noise",
    "outer",
    "plain",
    "smaller",
    "with_nan",
]

Array = npt.NDArray[Any]
Operands = tuple[Array, ...]
# (dtype, the signal's shape, the filter's) -> the signal and the filter.
Maker = Callable[[str, tuple[int, ...], tuple[int, ...]], Operands]


def noise(dtype: str, shape: tuple[int, ...], seed: int) -> Array:
    """Return random samples: normal for floats, the whole range for integers (they wrap)."""
    generator = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return generator.random(shape) < 0.01
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return generator.integers(info.min, info.max, shape, kind, endpoint=True)
    samples = generator.standard_normal(shape)
    if kind.kind == "c":
        samples = samples + 1j * generator.standard_normal(shape)
    return samples.astype(kind)


def plain(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
    """Return a random signal and a random filter, of full rank if it is 2-D."""
    return noise(dtype, signal, 1), noise(dtype, taps, 2)


def with_nan(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
    """Return the same with one NaN a third of the way into the signal."""
    x, w = plain(dtype, signal, taps)
    x[tuple(n // 3 for n in signal)] = np.nan
    return x, w


def mixed(filter_dtype: str) -> Maker:
    """Return a maker whose filter has another dtype than the signal."""

    def make(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
        return noise(dtype, signal, 1), noise(filter_dtype, taps, 2)

    return make


def outer(taps_1d: Callable[[int], Array]) -> Maker:
    """Return a maker whose filter is an outer product of one filter per axis: separable."""

    def make(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
        filter = reduce(np.multiply.outer, map(taps_1d, taps))
        return noise(dtype, signal, 1), filter.astype(dtype)

    return make


def box_taps(k: int, dtype: Any = np.float64) -> Array:
    """Return k equal taps of sum one."""
    return np.full(k, 1 / k, dtype)


def boxcar(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
    """Return a random 1-D signal and equal taps of sum one."""
    return noise(dtype, signal, 1), box_taps(taps[0], dtype)


def bells(dtype: str, signal: tuple[int, ...], taps: tuple[int, ...]) -> Operands:
    """Return two normal distributions' masses, their tails far below 1e-200."""

    def masses(n: int, centre: float) -> Array:
        p = np.exp(-0.5 * ((np.arange(n) - centre * n) * (55 / n)) ** 2)
        return (p / p.sum()).astype(dtype)

    return masses(signal[0], 0.5), masses(taps[0], 0.4)


def gaussian_taps(k: int, dtype: Any = np.float64) -> Array:
    """Return k taps of a Gaussian cut at three standard deviations, of sum one."""
    offsets = np.arange(k) - (k - 1) / 2
    bell = np.exp(-0.5 * (offsets * 6 / k) ** 2)
    return (bell / bell.sum()).astype(dtype)


def smaller(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return `shape` with no length above `most`, odd and even lengths remaining so."""
    return tuple(n if n <= most else most - (most - n) % 2 for n in shape)
