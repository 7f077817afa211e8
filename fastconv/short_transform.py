"""The short way of plain 1-D calls with long filters: the transform's arguments are kept.

Settling a request and cutting it into blocks takes some 25 us, two equal signals of 10,000 samples
take their transforms 38. So what one pair of lengths needs is settled once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from .paths import fused
from .planner import selector
from .planner.rates import rates
from .problem import Problem
from .runtime import load, threads

Array = npt.NDArray[Any]
# (signal, taps in correlation order, results) -> whether all of it was finite.
Recipe = Callable[[Array, Array, Array], bool]

_MOST_RECIPES = 32
_CALLS_SECONDS = 2e-6
# None where the engine must decide, NotImplemented where the direct loop is best.
_recipes: dict[tuple[int, int, int, np.dtype[Any]], Any] = {}


def transformed(
    x: Array, w: Array, pad: int, m: int, out: Array | None, engine: bool = True
) -> Array | None:
    """Return the m results from windows that begin at -pad, or None where the engine must decide.

    NotImplemented where the direct loop is best, and for the latter too if `engine` is false.

    Parameters
    ----------
    x, w : ndarray
        C-contiguous signal, and taps in correlation order, of one native dtype.
    engine : bool
        Whether a call that is not for one transform is left to the engine.
    pad, m : int
        As in a `Problem`.
    out : ndarray or None
        Where they go; it shares no memory with the operands.
    """
    key = (x.size, w.size, pad, x.dtype)
    recipe = _recipes.get(key)
    if recipe is None:
        recipe = None if key in _recipes else _keep(key, m)
        if recipe is None:
            return None if engine else NotImplemented
    if recipe is NotImplemented:
        return NotImplemented  # type: ignore[no-any-return]
    result = np.empty(m, x.dtype) if out is None else out
    # What is not finite stays within its windows the long way.
    return result if recipe(x, np.ascontiguousarray(w), result) else None


def _keep(key: tuple[int, int, int, np.dtype[Any]], m: int) -> Any:
    n, k, pad, dtype = key
    problem = Problem(dtype.name, 1, True, (n,), (k,), (m,), (1,), (1,), (pad,), ("zero",))
    # What a request and its calls cost the engine, they cost nobody here: the transform's two are
    # some 2 us.
    best = min(selector.rank(problem), key=_seconds_here(problem))
    recipe: Any = NotImplemented if best.name == "direct" else None
    # More threads than one are the engine's business.
    alone = best.seconds < 2 * threads.SECONDS_PER_WORKER
    if best.name == fused.PATH.name and (alone or fused.blocks(problem) == 1):
        if any(load.ready(*unit) is None for unit in fused.kernels(problem)):
            return None  # Ask again: they are being built.
        recipe = _recipe(problem)
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    _recipes[key] = recipe
    return recipe


def _seconds_here(problem: Problem) -> Callable[[selector.Verdict], float]:
    def seconds(verdict: selector.Verdict) -> float:
        rate = rates(verdict.name, problem.dtype, "1d")
        if verdict.name != fused.PATH.name:
            return verdict.seconds - rate.request
        calls = rate.calls * fused.PATH.work(problem).calls
        return verdict.seconds - rate.request - calls + _CALLS_SECONDS

    return seconds


def _recipe(problem: Problem) -> Recipe | None:
    call = fused.prepared(problem)
    if call is None:
        return None

    def answer(x: Array, w: Array, out: Array) -> bool:
        return isfinite(call(x, w, out))

    return answer
