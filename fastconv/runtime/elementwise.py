"""Functions of one number that Numba compiled, applied to whole arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np


def on_arrays(function: Callable[..., Any], dtype: Any) -> Callable[..., Any]:
    """Return `function` as a function of arrays.

    A function decorated with ``numba.njit`` takes one number and is applied to each element; any
    other callable takes an array and returns one of its shape.
    """
    # Whoever hands over a compiled function has imported Numba; nobody else needs it.
    numba = sys.modules.get("numba")
    if numba is not None and isinstance(function, numba.core.dispatcher.Dispatcher):
        ufunc = _vectorized(function)
        ufunc(np.empty(0, dtype))  # Compiled here, not by several threads at once.
        return ufunc
    return function


@cache
def _vectorized(dispatcher: Any) -> Callable[..., Any]:
    import numba

    return numba.vectorize(dispatcher.py_func)  # type: ignore[no-untyped-call,no-any-return]
