"""`max_memory`: what a request may allocate beside its operands and its result."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .planner import selector
from .problem import Problem

# Looking for a filter's factors takes so many arrays of doubles of its shape at a time.
_ARRAYS_OF_TAPS = 14
# No problem needs more than this many bits of bytes.
_MOST_BITS = 50


def examines(problem: Problem, max_memory: int | None) -> bool:
    """Return whether there is room to look for a filter's factors."""
    return max_memory is None or 8 * _ARRAYS_OF_TAPS * problem.taps <= max_memory


def copied(array: Any, shape: tuple[int, ...], dtype: Any) -> int:
    """Return the bytes of the copy that packing makes of an operand; 0 where it makes none."""
    dtype = np.dtype(dtype)
    as_it_is = array.flags.c_contiguous and array.flags.aligned  # Read-only does not matter.
    if as_it_is and array.dtype == dtype and array.size == prod(shape):
        return 0
    return int(dtype.itemsize) * prod(shape)


def limited(
    problem: Problem, max_memory: int, spent: int, method: str, accuracy: str | None
) -> Problem:
    """Return the problem with what is left of `max_memory` as its room.

    Parameters
    ----------
    problem : Problem
        What is to be computed.
    max_memory : int
        Bytes.
    spent : int
        Bytes that copies of operands and results take whatever the path.
    method, accuracy
        As in `selector.rank`.

    Raises
    ------
    ValueError
        If no path keeps within that.
    """
    made = problem._replace(room=max_memory - spent)
    if made.room is not None and made.room >= 0 and selector.fits(made, method, accuracy):
        return made
    selector.rank(problem, method, accuracy)  # Raises where it is not a matter of memory.
    bits = _bits(problem, method, accuracy)
    if bits is None:
        raise ValueError(
            f"max_memory must be None where no path states how much it takes "
            f"(method={method!r}, {problem.dtype}), got {max_memory}"
        )
    raise ValueError(
        f"max_memory must be at least {spent + _least(problem, bits, method, accuracy)} bytes "
        f"for this call, got {max_memory}"
    )


def _bits(problem: Problem, method: str, accuracy: str | None) -> int | None:
    """Return the least power of two whose bytes are enough."""
    fits = (
        bits
        for bits in range(_MOST_BITS)
        if selector.fits(problem._replace(room=1 << bits), method, accuracy)
    )
    return next(fits, None)


def _least(problem: Problem, bits: int, method: str, accuracy: str | None) -> int:
    """Return the fewest bytes that are enough."""
    low, high = (1 << bits) // 2, 1 << bits
    while high - low > 1:
        middle = (low + high) // 2
        if selector.fits(problem._replace(room=middle), method, accuracy):
            high = middle
        else:
            low = middle
    return high
