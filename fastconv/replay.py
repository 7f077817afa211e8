"""Small plain requests that differ in their numbers only: what settled one answers the next.

Settling a request and choosing its path take 30 to 50 us, as long as SciPy computes a thousand
samples. So the Problem that a plain call led to is kept under all that it follows from.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from .continued import continued
from .path import Operands
from .planner import selector, structure
from .problem import Problem
from .records import NamedTuple
from .request import Request
from .runtime import threads
from .short import is_packed

Array = npt.NDArray[Any]

# Of more samples than this a request takes longer than settling it.
MOST_SAMPLES = 1 << 15
_MOST_KEPT = 512


class _Kept(NamedTuple):
    problem: Problem
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    workers: int
    accuracy: str | None


_kept: dict[Hashable, _Kept] = {}


def key_of(x: Any, w: Any, *rest: Any) -> tuple[Any, ...] | None:
    """Return what a plain request for two arrays follows from, or None for large or rare ones."""
    if type(x) is not np.ndarray or type(w) is not np.ndarray or x.size > MOST_SAMPLES:
        return None
    return (x.dtype, w.dtype, x.shape, w.shape, *rest)


def answer(key: Hashable, x: Array, w: Array) -> Array | None:
    """Answer a request as one before it was answered.

    Parameters
    ----------
    key : hashable
        All that the request follows from, besides the numbers.
    x : ndarray
        The signals, as the face was given them.
    w : ndarray
        The filter in correlation order, of any layout.

    Returns
    -------
    ndarray or None
        A fresh result; None where nothing was kept.
    """
    try:
        known = _kept.get(key)
    except TypeError:  # A list among the arguments.
        return None
    if known is None:
        return None
    problem, dtype, shape, x_shape, w_shape, out_shape, workers, accuracy = known
    if not is_packed(x) or x.dtype != dtype:
        x = np.require(x, dtype, ("C", "A"))
    w = np.ascontiguousarray(w, dtype)
    out = np.empty(shape, dtype)
    operands = Operands(x.reshape(x_shape), w.reshape(w_shape), out.reshape(out_shape), 0, workers)
    selector.run(problem, operands, selector.AUTO, accuracy)
    return out


def keep(
    key: Hashable, made: Request, x: Array, taps: int, dtype: np.dtype[Any],
    accuracy: str | None = None,
) -> None:  # fmt: skip
    """Keep what a plain request was settled to, if the next one needs no looking at its numbers.

    Parameters
    ----------
    key : hashable
        As in `answer`; None keeps nothing.
    made : Request
        What the arguments were settled to.
    x : ndarray
        The signals, as the face was given them.
    taps : int
        How many taps the face's filter has: operands that changed places may be as long as each
        other once some of their samples are left out.
    dtype : dtype
        Of the face's result.
    accuracy : str, optional
        The least guarantee, where the key tells it.
    """
    problem = made.problem
    if key is None or made.moved is not None or made.dtype != dtype or not problem.shared_filter:
        return
    plain = made.x.shape == x.shape == (*made.batch, *problem.signal) and made.fill == 0
    if not plain or problem.taps != taps or structure.pays(problem) or not problem.outputs:
        return
    if problem.inside_out:
        return  # The engine makes another problem of it.
    if accuracy is None and continued(problem) is not None:
        return
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    workers = threads.worthwhile(selector.rank(problem, selector.AUTO, accuracy)[0].seconds)
    made_of = _Kept(
        problem, made.dtype, made.shape, (problem.batch, *problem.signal), (1, *problem.filter),
        (problem.batch, *problem.output), workers, accuracy,
    )  # fmt: skip
    try:
        _kept[key] = made_of
    except TypeError:
        return
