"""Means, maxima and minima of windows along one axis, by windows of doubling length."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .bands import Pass
from .windows import Window

Array = npt.NDArray[Any]


def mean_pass(axis: int, size: int, pad: int, boundary: str) -> Pass:
    """Return the pass that takes means of `size` doubles.

    The sum over 2**(j+1) samples is the sum of two sums over 2**j; a window is put together from
    as many of them as its size has ones in binary. Each window is added up anew, pairwise.
    """

    def operation(around: Array, out: Array) -> None:
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

    return Pass(axis, size, pad, boundary, operation)


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

    return Pass(axis, size, pad, boundary, operation)


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
