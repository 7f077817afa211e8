"""The short way of plain 2-D calls: what was settled once for a pair of shapes is kept.

Settling a 2-D request takes some 50 us; SciPy answers a small one in five. So the arguments of the
one kernel call that answers a pair of shapes are remembered, and the next call goes straight there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from .paths import direct
from .planner import selector
from .problem import Problem
from .runtime import load

Array = npt.NDArray[Any]
Recipe = Callable[[Array, Array], Array]

_MOST_RECIPES = 512
_recipes: dict[Hashable, Recipe] = {}


def recipe(key: Hashable) -> Recipe | None:
    """Return the short way that was kept under `key`."""
    return _recipes.get(key)


def keep(key: Hashable, problem: Problem, dtype: np.dtype[Any]) -> None:
    """Keep the short way for `problem`, if the direct loop answers it in one band.

    Parameters
    ----------
    key : hashable
        All that the problem follows from.
    problem : Problem
        One image, one filter, nothing filled in from outside.
    dtype : dtype
        Of image, filter and result.
    """
    if problem.outputs > direct.band(problem.taps) or "fill" in problem.boundary:
        return
    if selector.choose(problem).name != direct.PATH.name:
        return
    ((name, loop_dtype),) = direct.kernels(problem)
    kernel = load.ready(name, loop_dtype)
    if kernel is None or name != "plane":
        return
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    _recipes[key] = _recipe(kernel, problem, dtype, np.dtype(loop_dtype))


def _recipe(
    kernel: Any, problem: Problem, dtype: np.dtype[Any], loop_dtype: np.dtype[Any]
) -> Recipe:
    counts = direct.plane_arguments(problem, np.zeros((), loop_dtype))
    shape = problem.output

    def answer(x: Array, w: Array) -> Array:
        out = np.empty(shape, dtype)
        if dtype is loop_dtype:
            kernel(x.reshape(-1), w.reshape(-1), out.reshape(-1), *counts)
        else:
            flat = (array.view(loop_dtype).reshape(-1) for array in (x, w, out))
            kernel(*flat, *counts)
        return out

    return answer
