"""Samples beyond both ends of a signal, by upfirdn's nine rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry

Array = npt.NDArray[Any]

# What "constant" puts outside is an argument; the others follow from the signal itself.
CONSTANT = "constant"
BY_INDEX = {"wrap": "wrap", "edge": "nearest", "symmetric": "reflect", "reflect": "mirror"}
MODES = (
    CONSTANT, "wrap", "edge", "smooth", "symmetric", "reflect", "antisymmetric", "antireflect",
    "line",
)  # fmt: skip
# These need two samples to know a slope; of one sample they are "edge" (SciPy crashes).
NEED_TWO = ("smooth", "reflect", "antireflect", "line")


def extended(x: Array, count: int, rule: str, value: Any = 0) -> Array:
    """Return x with `count` samples added before and after, along the last axis.

    Parameters
    ----------
    x : ndarray, shape (..., n)
        The signals, n >= 1.
    count : int
        How many samples to add at each end; may exceed n.
    rule : str
        One of scipy.signal.upfirdn's modes.
    value : scalar
        For "constant".

    Returns
    -------
    ndarray, shape (..., n + 2*count)
        A fresh array of x's dtype.
    """
    n = x.shape[-1]
    if n == 1 and rule in NEED_TWO:
        rule = "edge"
    if rule in BY_INDEX:
        index = geometry.source_map(-count, n + 2 * count, n, BY_INDEX[rule])
        return x[..., index]
    out = np.empty((*x.shape[:-1], n + 2 * count), x.dtype)
    out[..., count : count + n] = x
    before, after = np.arange(-count, 0), np.arange(n, n + count)
    out[..., :count] = _outside(x, before, rule, value)
    out[..., count + n :] = _outside(x, after, rule, value)
    return out


def _outside(x: Array, index: npt.NDArray[np.int64], rule: str, value: Any) -> Any:
    n = x.shape[-1]
    first, last = x[..., :1], x[..., -1:]
    left = bool(index.size) and index[0] < 0
    if rule == CONSTANT:
        return value
    if rule == "smooth":  # The line through the two samples at this end.
        slope = x[..., 1:2] - first if left else last - x[..., -2:-1]
        return first + index * slope if left else last + (index - n + 1) * slope
    if rule == "line":  # The line through both ends.
        slope = (last - first) / (n - 1)
        return first + index * slope if left else last + (index - n + 1) * slope
    if rule == "antisymmetric":
        turns, place = np.divmod(index, n)
        odd = turns % 2 == 1
        return np.where(odd, -1, 1) * x[..., np.where(odd, n - 1 - place, place)]
    # antireflect: each turn rises by twice the signal's own rise.
    turns, place = np.divmod(index, 2 * (n - 1))
    back = place >= n
    mirrored = x[..., np.where(back, 2 * (n - 1) - place, place)]
    return np.where(back, 2 * last - mirrored, mirrored) + turns * (2 * (last - first))
