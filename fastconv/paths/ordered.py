"""Sums in a stated order, one rounding per operation: the bits of scipy.ndimage's loops.

`line` correlates along one axis, `window` over all of them. Both take signals that have been
continued beyond their ends (see `bands`) and run the kernel ``ordered``; until it is built, or
where it cannot be, NumPy adds the same terms in the same order and gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import NamedTuple
from ..runtime import load

Array = npt.NDArray[Any]

# Symmetry is sought to this difference, as SciPy does (its DBL_EPSILON), for taps up to one.
_SAME = float(np.finfo(np.float64).eps)
# A product that NumPy adds costs about a nanosecond more than one in the kernel.
_SAVED_SECONDS = 1e-9


class Taps(NamedTuple):
    """The terms of one sum in their order.

    Parameters
    ----------
    weights : ndarray of float64, shape (1 + terms,)
        What the sum starts from, then one tap per term.
    first, second : ndarray of int64, shape (terms,)
        Positions within the window; `second` counts from term `singles` on.
    singles : int
        How many terms have one sample; the others join two.
    sign : int
        1 where two samples are added, -1 where the second is subtracted.
    """

    weights: Array
    first: Array
    second: Array
    singles: int
    sign: int

    @property
    def terms(self) -> int:
        """Number of terms."""
        return len(self.first)


def line(w: Array) -> Taps:
    """Return the terms of a 1-D correlation in SciPy's order.

    A symmetric or antisymmetric filter of odd length starts from its centre and joins samples
    in pairs, outermost first; any other starts from its last tap.

    Parameters
    ----------
    w : ndarray of float64, shape (k,)
        The filter in correlation order.
    """
    k = len(w)
    half, tolerance = k // 2, _SAME * min(1.0, float(np.abs(w).max()))
    sign = 0
    if k % 2:
        left, right = w[:half][::-1], w[half + 1 :]
        if not (np.abs(right - left) > tolerance).any():
            sign = 1
        elif not (np.abs(right + left) > tolerance).any():
            sign = -1
    # A sum that starts from -0.0 keeps the sign of its first term.
    if sign:
        outer = np.arange(half)
        first, second = np.r_[half, outer], np.r_[0, k - 1 - outer]
        return Taps(np.r_[-0.0, w[half], w[:half]], first, second, 1, sign)
    order = np.r_[k - 1, np.arange(k - 1)]
    return Taps(np.r_[-0.0, w[order]], order, order, k, 1)


def window(w: Array, pitch: tuple[int, ...]) -> Taps:
    """Return the terms of an N-D correlation: taps other than zero, in C order.

    Parameters
    ----------
    w : ndarray of float64
        The filter in correlation order.
    pitch : tuple of int
        Elements from one sample to the next, per axis.
    """
    places = np.nonzero(w)
    offsets = sum((p * s for p, s in zip(places, pitch, strict=True)), np.zeros(1, np.int64))
    first = np.ascontiguousarray(np.broadcast_to(offsets, (len(places[0]),)) if places else offsets)
    return Taps(np.r_[0.0, w[places]], first, first, len(first), 1)


def sums(taps: Taps, x: Array, out: Array, inner: int) -> None:
    """Correlate lines: ``out[r, i] = sum over the terms of x[r, i + t*inner] * w``.

    Parameters
    ----------
    taps : Taps
        From `line`.
    x : ndarray of float64, shape (rows, (m + k - 1)*inner)
        Continued signals, `inner` of them interleaved.
    out : ndarray of float64, shape (rows, m*inner)
        The results; shares no memory with x.
    """
    rows, width = out.shape
    run(taps, x, out, (1, rows, width), (0, x.shape[1]), (0, width), inner)


def run(
    taps: Taps, x: Array, out: Array, extent: tuple[int, int, int],
    x_steps: tuple[int, int], out_steps: tuple[int, int], scale: int = 1,
) -> None:  # fmt: skip
    """Compute planes x rows x width outputs; x and out begin where the first window begins."""
    if not prod(extent):
        return
    first, second = taps.first * scale, taps.second * scale
    saving = _SAVED_SECONDS * prod(extent) * taps.terms
    kernel = load.ready("ordered", "float64", saving) or _numpy
    kernel(
        x.reshape(-1), taps.weights, out.reshape(-1), first, second, *extent, *x_steps,
        *out_steps, taps.singles, taps.terms, taps.sign,
    )  # fmt: skip


def _numpy(
    x: Array, w: Array, out: Array, first: Array, second: Array, planes: int, rows: int,
    width: int, x_plane: int, x_row: int, out_plane: int, out_row: int, singles: int, taps: int,
    sign: int,
) -> None:  # fmt: skip
    """Add the terms by NumPy, in the kernel's order."""
    view = _strided(out, 0, (planes, rows, width), (out_plane, out_row))
    total = np.full(view.shape, w[0])
    join: Callable[..., Any] = np.add if sign > 0 else np.subtract
    with np.errstate(all="ignore"):
        for t in range(taps):
            term = _strided(x, int(first[t]), view.shape, (x_plane, x_row))
            if t >= singles:
                term = join(term, _strided(x, int(second[t]), view.shape, (x_plane, x_row)))
            total += term * w[t + 1]
    view[...] = total


def _strided(
    flat: Array, at: int, shape: tuple[int, ...], steps: tuple[int, int]
) -> Array:  # fmt: skip
    size = flat.itemsize
    strides = (steps[0] * size, steps[1] * size, size)
    return np.lib.stride_tricks.as_strided(flat[at:], shape, strides)
