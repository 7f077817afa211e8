"""Small convolutions in N dimensions as one of a single dimension.

Where every row is followed by as many zeros as the filter reaches beyond it, rows, slices and
volumes lie one after the other, and the convolution of two such lines is the full one of the
arrays. Taps that meet zeros are wasted, but one call on the short way takes 2 us, and a loop over
slices some 150.
"""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import numpy_api
from ..short import CONVOLVE, shortcut
from . import settle

Array = npt.NDArray[Any]

# Products of the two lines up to which the detour is the shorter way: 8x8x8 doubles with 3x3x3 taps
# are 2**17 of them and take 20 us instead of 150, 16x16x16 of them 2**22 and 100 instead of 600. Up
# to the first limit no transform is taken; it is the limit of what transforms do not answer, too.
DIRECT_PRODUCTS, MOST_PRODUCTS, _MOST_LOOPED = 1 << 17, 1 << 23, 1 << 20
_DTYPES = "fdFDbBhHiIlL"


def convolved(x: Any, w: Any, mode: str, most: int) -> Array | None:
    """Return the convolution of two small arrays, or None where another way must answer.

    Parameters
    ----------
    x, w : ndarray
        Of one dtype and one number of dimensions.
    mode : {"full", "same", "valid"}
        As in `scipy.signal.convolve`.
    most : int
        The most products to spend.
    """
    if x.dtype.char not in _DTYPES or not (x.size and w.size):
        return None
    accuracy = "componentwise" if most <= DIRECT_PRODUCTS else None
    if x.dtype.kind in "biu":
        most = _MOST_LOOPED
    if mode == "valid" and any(n < k for n, k in zip(x.shape, w.shape, strict=True)):
        return None
    full = [n + k - 1 for n, k in zip(x.shape, w.shape, strict=True)]
    beyond = prod(full[1:])
    if x.shape[0] * w.shape[0] * beyond * beyond > most:
        return None
    if x.dtype.kind in "fc" and not (_is_finite(x) and _is_finite(w)):
        return None  # The zeros in between would meet them.
    lines = _line(x, full), _line(w, full)
    longer, shorter = lines if lines[0].size >= lines[1].size else lines[::-1]
    result = shortcut(x.dtype)(longer, shorter, 2, CONVOLVE, None)
    if result is None:
        result = numpy_api.convolve(longer, shorter, accuracy=accuracy)
    result = result.reshape(full)
    if mode == "full":
        return result
    kept = [settle.extent(n, k, mode) for n, k in zip(x.shape, w.shape, strict=True)]
    return result[tuple(slice(first, first + count) for first, count in kept)].copy()


def _is_finite(x: Array) -> bool:
    total = x.sum()
    return isfinite(total.real) and isfinite(total.imag)


def _line(x: Array, full: list[int]) -> Array:
    """Return the samples with zeros between rows, up to the last sample."""
    room = np.zeros((x.shape[0], *full[1:]), x.dtype)
    room[tuple(slice(n) for n in x.shape)] = x
    last = 0
    for n, m in zip(x.shape, full, strict=True):
        last = last * m + n - 1
    return room.reshape(-1)[: last + 1]
