"""The short way of plain 1-D calls with constant filters: running sums, settled once a shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .paths import boxes
from .planner import selector
from .planner.rates import rates
from .planner.structure import constant
from .problem import Problem
from .runtime import load, threads

Array = npt.NDArray[Any]
# (signal, taps, results) -> whether all of it was finite.
Recipe = Callable[[Array, Array, Array], bool]

_MOST_RECIPES = 32
# None where the engine must decide, NotImplemented where another path is better.
_recipes: dict[tuple[int, int, int, np.dtype[Any]], Any] = {}


def summed(x: Array, w: Array, pad: int, m: int, out: Array | None) -> Any:
    """Return the m results from windows that begin at -pad, or None where the engine must decide.

    NotImplemented where running sums are not ready, or not best.

    Parameters
    ----------
    x, w : ndarray
        C-contiguous signal, and taps, all of them equal, of one native dtype.
    pad, m : int
        As in a `Problem`.
    out : ndarray or None
        Where they go; it shares no memory with the operands.
    """
    if w[0] == 0:
        return NotImplemented
    key = (x.size, w.size, pad, x.dtype)
    recipe = _recipes.get(key)
    if recipe is None:
        structure = constant(w)
        if structure is None:
            return NotImplemented
        one = (1,)
        problem = Problem(
            x.dtype.name, 1, True, x.shape, w.shape, (m,), one, one, (pad,), ("zero",),
            structure=structure,
        )  # fmt: skip
        recipe = _keep(key, problem)
        if recipe is None:
            return None
    if recipe is NotImplemented:
        return NotImplemented
    result = np.empty(m, x.dtype) if out is None else out
    # A sum that overflows may be that of products that do not.
    return result if recipe(x, w, result) else None


def recipe_of(problem: Problem) -> Any:
    """Return what computes a signal by running sums; NotImplemented where they are not best.

    None where the engine must decide: while loops are being built, and for more than one thread.
    """
    best = min(selector.rank(problem), key=_seconds_here(problem))
    if best.name != boxes.PATH.name:
        return NotImplemented
    if any(load.ready(*unit) is None for unit in boxes.kernels(problem)):
        return None
    if best.seconds >= 2 * threads.SECONDS_PER_WORKER:
        return None
    return boxes.prepared(problem)


def _seconds_here(problem: Problem) -> Callable[[selector.Verdict], float]:
    """Return what a path takes here: what a request costs the engine, it costs nobody."""

    def seconds(verdict: selector.Verdict) -> float:
        row = rates(verdict.name, problem.dtype, "1d")
        return verdict.seconds - row.request - (row.calls if verdict.name == "boxes" else 0.0)

    return seconds


def _keep(key: tuple[int, int, int, np.dtype[Any]], problem: Problem) -> Any:
    recipe = recipe_of(problem)
    if recipe is not None:
        if len(_recipes) >= _MOST_RECIPES:
            _recipes.clear()
        _recipes[key] = recipe
    return recipe
