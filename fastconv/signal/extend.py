"""Samples beyond both ends of a signal, by upfirdn's nine rules."""

from __future__ import annotations

from functools import lru_cache
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
    out = np.empty((*x.shape[:-1], n + 2 * count), x.dtype)
    out[..., count : count + n] = x
    before, after = out[..., :count], out[..., count + n :]
    if rule == CONSTANT:
        before[...] = after[...] = value
    elif rule in BY_INDEX:
        left, right = _places(count, n, BY_INDEX[rule])
        before[...], after[...] = x[..., left], x[..., right]
    else:
        # What lies before a signal is what lies after it when it is read backwards.
        before[..., ::-1], after[...] = _after(x[..., ::-1], count, rule), _after(x, count, rule)
    return out


@lru_cache(maxsize=256)
def _places(count: int, n: int, rule: str) -> tuple[Array, Array]:
    index = geometry.source_map(-count, n + 2 * count, n, rule)
    return index[:count], index[count + n :]


def _after(x: Array, count: int, rule: str) -> Any:
    """Return the samples that follow the last one."""
    n = x.shape[-1]
    last = x[..., -1:]
    if rule == "smooth":  # The line through the last two samples.
        return last + _steps(count) * (last - x[..., -2:-1])
    if rule == "line":  # The line through both ends.
        return last + _steps(count) * ((last - x[..., :1]) / (n - 1))
    place, turned, turns = _turns(count, n, rule)
    there = x[..., place]
    if rule == "antisymmetric":
        return np.where(turned, -there, there)
    # antireflect: each turn rises by twice the signal's own rise.
    there = np.where(turned, 2 * last - there, there)
    return there if turns is None else there + turns * (2 * (last - x[..., :1]))


@lru_cache(maxsize=256)
def _steps(count: int) -> Array:
    return np.arange(1, count + 1)


@lru_cache(maxsize=256)
def _turns(count: int, n: int, rule: str) -> tuple[Array, Array, Array | None]:
    """Return which samples follow, which of them are turned around, and after how many turns."""
    index = np.arange(n, n + count)
    if rule == "antisymmetric":
        turns, place = np.divmod(index, n)
        odd = turns % 2 == 1
        return np.where(odd, n - 1 - place, place), odd, None
    turns, place = np.divmod(index, 2 * (n - 1))
    back = place >= n
    # No turn is no summand: it would be zero times a difference that may be infinite.
    return np.where(back, 2 * (n - 1) - place, place), back, turns if turns.any() else None
