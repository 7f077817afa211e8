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
# Samples that are looked up one by one, with those in the middle: sooner than copying pieces.
_SHORT = 1 << 11


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
    if rule != CONSTANT and x.ndim == 1 and n <= _SHORT:
        short = _short(x, count, rule)
        if short is not None:
            return short
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


def _short(x: Array, count: int, rule: str) -> Array | None:
    """Return a short signal, continued: the same samples in fewer calls of NumPy's."""
    n = len(x)
    out: Array
    if rule in BY_INDEX:
        return x.take(_whole(count, n, BY_INDEX[rule]))
    if rule in ("smooth", "line"):
        if x.dtype.itemsize < 8 * (1 + (x.dtype.kind == "c")):
            return None  # The line is drawn in doubles.
        out = np.empty(n + 2 * count, x.dtype)
        out[count : count + n] = x
        first, last = x[0], x[-1]
        if rule == "smooth":
            rise_before, rise = first - x[1], last - x[-2]
        else:
            rise = (last - first) / (n - 1)
            rise_before = -rise
        for part, ramp, start, slope in (
            (out[:count], _ramp(count, -1), first, rise_before),
            (out[count + n :], _ramp(count, 1), last, rise),
        ):
            np.multiply(ramp, slope, out=part)
            np.add(part, start, out=part)
        return out
    index, turned, ends = _turned(count, n, rule)
    if index is None:
        return None
    out = x.take(index)
    if rule == "antisymmetric":
        np.negative(out, out=out, where=turned)
    else:
        np.subtract(x.take(ends) * 2, out, out=out, where=turned)
    return out


@lru_cache(maxsize=256)
def _ramp(count: int, step: int) -> Array:
    return np.arange(1.0, count + 1)[::step]


@lru_cache(maxsize=256)
def _whole(count: int, n: int, rule: str) -> Array:
    return geometry.source_map(-count, n + 2 * count, n, rule)


@lru_cache(maxsize=256)
def _turned(count: int, n: int, rule: str) -> tuple[Array | None, Array, Array]:
    """Return which samples a whole continued signal has, which are turned around, and at which end.

    No samples where the signal also rises from turn to turn.
    """
    place, back, turns = _turns(count, n, rule)
    inside = np.zeros(n, bool)
    index = np.r_[(n - 1 - place)[::-1], np.arange(n), place]
    ends = np.r_[np.zeros(count + n, np.intp), np.full(count, n - 1)]
    return (index if turns is None else None), np.r_[back[::-1], inside, back], ends


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
