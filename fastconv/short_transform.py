"""The short way of plain 1-D calls with long filters: the transform's arguments are kept.

Settling a request and cutting it into blocks takes some 25 us, two equal signals of 10,000 samples
take their transforms 38. So what one pair of lengths needs is settled once.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from .paths import PATHS, one_signal
from .planner.rates import rates
from .problem import Problem
from .runtime import load

Array = npt.NDArray[Any]
# Kinds of dtypes that are transformed, and by which path.
_TRANSFORMS = {"f": "fused", "c": "fused_complex"}
_MOST_RECIPES = 32
# Complex points of a block up to which a recipe is kept, with its table of 0.4 MB: larger ones are
# settled in each call, which takes 0.1 ms.
_MOST_POINTS = 1 << 17
_CALLS_SECONDS = 2e-6
# NotImplemented where the direct loop is best.
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
    if recipe is None and (recipe := _keep(key, m, engine)) is None:
        return None if engine else NotImplemented
    if recipe is NotImplemented:
        return NotImplemented  # type: ignore[no-any-return]
    result = np.empty(m, x.dtype) if out is None else out
    # What is not finite stays within its windows the long way.
    return result if isfinite(recipe(x, np.ascontiguousarray(w), result)) else None


def _keep(key: tuple[int, int, int, np.dtype[Any]], m: int, engine: bool) -> Any:
    n, k, pad, dtype = key
    problem = Problem(dtype.name, 1, True, (n,), (k,), (m,), (1,), (1,), (pad,), ("zero",))
    name = _TRANSFORMS[dtype.kind]
    path = PATHS[name]
    of_transform, of_loop = (rates(known, dtype.name, "1d") for known in (name, "direct"))
    work = path.work(problem)
    seconds = of_transform.seconds(work)
    # What a request and its calls cost the engine, they cost nobody here: the transform's two are
    # some 2 us.
    here = seconds - of_transform.request - of_transform.calls * work.calls + _CALLS_SECONDS
    recipe: Any = NotImplemented
    bytes_moved = dtype.itemsize * (n + m)
    loop = of_loop.multiply_adds * problem.multiply_adds + of_loop.bytes_moved * bytes_moved
    saving = loop + of_loop.calls - here
    if saving > 0:
        # The engine, where it is asked next, counts itself what would have been saved.
        if not load.all_ready(path.kernels(problem), 0.0 if engine else saving):
            return None  # Ask again: they are being built.
        assert path.one_signal is not None
        signal = path.one_signal(problem)
        recipe = one_signal.prepared(signal, seconds)
        if signal.plan.size > _MOST_POINTS:
            return recipe
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    _recipes[key] = recipe
    return recipe
