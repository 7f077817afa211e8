"""Means, maxima and minima of windows along one axis, by windows of doubling length."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime import load
from .bands import Pass
from .windows import Window

Array = npt.NDArray[Any]

# What the loops of running windows take besides: a chunk of outputs, a strip of four vectors.
_CHUNK, _SUM = 1024, 0
_NOTHING, _NONE = np.zeros(32), np.zeros(0, np.int64)


@lru_cache(maxsize=64)
def _numbers(count: int) -> Array:
    return np.arange(count)


def mean_pass(axis: int, size: int, pad: int, boundary: str) -> Pass:
    """Return the pass that takes means of `size` doubles.

    The sum over 2**(j+1) samples is the sum of two sums over 2**j; a window is put together from
    as many of them as its size has ones in binary. Each window is added up anew, pairwise.
    """

    def operation(around: Array, out: Array) -> None:
        if _add_windows(size, around, out):
            np.divide(out, float(size), out=out)
            return
        m = out.shape[1]
        total: Any = None
        covered, sums, length = 0, around, 1
        with np.errstate(all="ignore"):
            while True:
                if size & length:
                    piece = sums[:, covered : covered + m]
                    total = piece if total is None else total + piece
                    covered += length
                if covered == size:
                    break
                sums = sums[:, :-length] + sums[:, length:]
                length *= 2
            np.divide(total, float(size), out=out)

    return Pass(axis, size, pad, boundary, operation, size)


def _add_windows(size: int, around: Array, out: Array) -> bool:
    """Add up windows of continued doubles by the loops of `scan`, if they are ready."""
    outer, m, inner = out.shape
    name = "window_rows" if inner == 1 else "window_columns"
    kernel = load.ready(name, "float64", 2e-9 * out.size)
    if kernel is None:
        return False
    flat, result = around.reshape(-1), out.reshape(-1)
    n = m + size - 1
    if inner == 1:
        room = np.empty(_CHUNK + size)
        kernel(flat, result, room, _NOTHING, _numbers(outer), _NONE, _NONE, outer, n, size, m, 0,
               m, 1, 1, 0, _SUM)  # fmt: skip
    else:
        room = np.empty(size * len(_NOTHING))
        kernel(flat, result, room, _NOTHING, _numbers(n), outer, n * inner, m * inner, inner,
               size, m, 1, 1, _SUM)  # fmt: skip
    return True


def extreme_pass(axis: int, size: int, pad: int, boundary: str, greatest: bool) -> Pass:
    """Return the pass that takes the greatest or least of `size` samples; NaN wins.

    Two windows of 2**j samples that overlap cover any window of up to 2**(j+1).
    """
    best: Any = np.maximum if greatest else np.minimum

    def operation(around: Array, out: Array) -> None:
        current, length = around, 1
        while 2 * length <= size:
            current = best(current[:, :-length], current[:, length:])
            length *= 2
        m, rest = out.shape[1], size - length
        best(current[:, :m], current[:, rest : rest + m], out=out)

    return Pass(axis, size, pad, boundary, operation, greatest=greatest)


def footprint_window(
    footprint: Array, pads: tuple[int, ...], boundary: str, greatest: bool
) -> Window:
    """Return the window that takes the greatest or least sample under a footprint; NaN wins."""
    best: Any = np.maximum if greatest else np.minimum
    places = np.argwhere(footprint)

    def operation(around: Array, out: Array) -> None:
        def shifted(place: Array) -> Array:
            return around[
                tuple(slice(t, t + m) for t, m in zip(place.tolist(), out.shape, strict=True))
            ]

        out[...] = shifted(places[0])
        for place in places[1:]:
            best(out, shifted(place), out=out)

    return Window(footprint.shape, pads, boundary, operation)
