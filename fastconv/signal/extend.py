"""Samples beyond both ends of a signal, by upfirdn's nine rules."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..runtime.scratch import scratch

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
# The line through the last two samples, or through both ends.
_LINES = ("smooth", "line")
# Samples of a signal that are looked up one by one, with those in the middle: sooner than copying
# pieces (2132 rows of 20 doubles, two more at each end: 46 us, by pieces 93).
_SHORT = 1 << 11
# So many signals that lie interleaved are looked up together.
_WIDE = 16
# From so many rows for each added sample on it is turned around in all rows at once: NumPy's loops
# begin anew in each row (342 rows, 4 samples: 12 us, so 6; 200 rows, 30 samples: 13, so 36).
_MANY_ROWS = 32


def extended(
    x: Array, count: int, rule: str, value: Any = 0, dtype: Any = None, axis: int = -1
) -> Array:
    """Return x with `count` samples added before and after, along one axis.

    Parameters
    ----------
    x : ndarray, with n >= 1 samples along `axis`
        The signals.
    count : int
        How many samples to add at each end; may exceed n.
    rule : str
        One of scipy.signal.upfirdn's modes.
    value : scalar
        For "constant".
    dtype : dtype, optional
        What x is converted to first.
    axis : int
        Along which to add them.

    Returns
    -------
    ndarray, with n + 2*count samples along `axis`
        Contiguous, of that dtype, else of x's; in this thread's memory until the next call.
    """
    n, dtype, axis = x.shape[axis], x.dtype if dtype is None else dtype, axis % x.ndim
    if n == 1 and rule in NEED_TWO:
        rule = "edge"
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    outer, length, inner = prod(before), n + 2 * count, prod(after)
    shape = (outer, n, inner)
    if x.dtype == dtype and x.flags.c_contiguous:
        x = x.reshape(shape)
    else:  # Samples that lie otherwise would be looked up at a tenth of the speed.
        packed = scratch(x.size, dtype, "packed")
        packed.reshape(x.shape)[...] = x
        x = packed.reshape(shape)
    out = scratch(outer * length * inner, dtype, "extended").reshape(outer, length, inner)
    if rule in BY_INDEX and (n <= _SHORT or inner >= _WIDE):
        x.take(_whole(count, n, BY_INDEX[rule]), 1, out, "clip")
        return out.reshape(*before, length, *after)
    x, across = _across(x), _across(out)
    across[count : count + n] = x
    if rule == CONSTANT:
        across[:count] = across[count + n :] = value
    elif rule in BY_INDEX:
        left, right = _places(count, n, BY_INDEX[rule])
        across[:count], across[count + n :] = x[left], x[right]
    elif rule in _LINES:
        _draw(x, across, count, rule)
    elif count < n and x.ndim > 1:
        _turn_once(x, across, count, rule)
    else:
        # What lies before a signal is what lies after it when it is read backwards.
        across[:count][::-1] = _after(x[::-1], count, rule)
        across[count + n :] = _after(x, count, rule)
    return out.reshape(*before, length, *after)


def _across(x: Array) -> Array:
    """Return what lies as (outer, n, inner) sample by sample: of one signal numbers."""
    outer, n, inner = x.shape
    if inner == 1:  # NumPy is quicker with one axis than with another one of length 1.
        return x.reshape(n) if outer == 1 else x.reshape(outer, n).T
    return x.reshape(n, inner) if outer == 1 else x.transpose(1, 0, 2)


def _turn_once(x: Array, across: Array, count: int, rule: str) -> None:
    """Add samples that are turned around once."""
    n, mirrored = len(x), int(rule == "antireflect")
    for part, there, end in (
        (across[:count], x[mirrored : mirrored + count][::-1], x[0]),
        (across[count + n :], x[n - mirrored - count : n - mirrored][::-1], x[-1]),
    ):
        by_samples = end.size >= _MANY_ROWS * count or end.strides[-1] == end.itemsize
        pairs = zip(part, there, strict=True) if by_samples else ((part, there),)
        twice = end * 2 if mirrored else None
        for to, source in pairs:
            if twice is None:
                to[...] = -source  # NumPy 2.4's negative is wrong from strided to strided.
            else:
                np.subtract(twice, source, out=to)


def _draw(x: Array, across: Array, count: int, rule: str) -> None:
    """Add lines through two samples beyond both ends, drawn in doubles."""
    n, first, last = len(x), x[0], x[-1]
    if rule == "smooth":
        rise_before, rise = first - x[1], last - x[-2]
    else:
        rise = (last - first) / (n - 1)
        rise_before = -rise
    wide = _in_doubles(x.dtype)
    for part, step, start, slope in (
        (across[:count], -1, first, rise_before),
        (across[count + n :], 1, last, rise),
    ):
        ramp = _ramp(count, step, wide)
        line = ramp.reshape(-1, *(1,) * (x.ndim - 1)) * slope
        line += start
        part[...] = line


@lru_cache(maxsize=16)
def _in_doubles(dtype: Any) -> Any:
    return np.result_type(dtype, np.float64)


@lru_cache(maxsize=256)
def _ramp(count: int, step: int, dtype: Any) -> Array:
    return np.arange(1.0, count + 1)[::step].astype(dtype)


@lru_cache(maxsize=256)
def _whole(count: int, n: int, rule: str) -> Array:
    return geometry.source_map(-count, n + 2 * count, n, rule)


@lru_cache(maxsize=256)
def _places(count: int, n: int, rule: str) -> tuple[Array, Array]:
    index = geometry.source_map(-count, n + 2 * count, n, rule)
    return index[:count], index[count + n :]


def _after(x: Array, count: int, rule: str) -> Any:
    """Return the samples that follow the last one, turned around as often as need be."""
    n, last = len(x), x[-1]
    place, turned, turns = _turns(count, n, rule)
    there, column = x[place], (-1, *(1,) * (x.ndim - 1))
    turned = turned.reshape(column)
    if rule == "antisymmetric":
        return np.where(turned, -there, there)
    # antireflect: each turn rises by twice the signal's own rise.
    there = np.where(turned, 2 * last - there, there)
    return there if turns is None else there + turns.reshape(column) * (2 * (last - x[0]))


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
