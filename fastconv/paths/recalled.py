"""Small plain calls: what was settled once for a shape and a filter is kept.

Settling a filter takes 10 to 30 us; SciPy answers a thousand samples in six. So the compiled calls
that answer a request in one band are remembered, and the next such request goes straight there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.scratch import scratch

Array = npt.NDArray[Any]
# What one call takes: the filter's doubles, the arrays after `out`, doubles of work space, counts.
Call = tuple[Array, tuple[Array, ...], int, tuple[int, ...]]
Recipe = Callable[[Array], Array | None]

_MOST_RECIPES = 512
_recipes: dict[Hashable, Recipe] = {}


def recipe(key: Hashable) -> Recipe | None:
    """Return what was kept under `key`."""
    try:
        return _recipes.get(key)
    except TypeError:  # A list among the arguments.
        return None


def keep(
    key: Hashable, kernel: Any, dtype: str, shape: tuple[int, ...], calls: tuple[Call, ...]
) -> None:
    """Keep the compiled calls that answer a request: the first reads x, the others the result.

    Parameters
    ----------
    key : hashable
        All that the calls follow from; None keeps nothing.
    kernel : callable
        The loop.
    dtype, shape
        Of samples and result.
    calls : tuple of Call
        What each of them takes.
    """
    if key is None or not calls:
        return
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    kind = np.dtype(dtype)

    def answer(x: Array) -> Array | None:
        flags = x.flags
        if not (flags.c_contiguous and flags.aligned):
            return None
        out = np.empty(shape, kind)
        source, result = x.reshape(-1), out.reshape(-1)
        for w, arrays, room, counts in calls:
            kernel(source, w, result, *arrays, scratch(room, np.float64), *counts)
            source = result
        return out

    try:
        _recipes[key] = answer
    except TypeError:
        return
