"""The short way of plain 1-D calls: a few checks, one look-up, one call.

A request with all the trimmings takes some 30 us to settle; NumPy answers a small one in one. So
two plain arrays of one dtype are answered here, wherever the planner's rates say that nothing can
be faster than the direct loop: by one compiled call that checks, allocates and computes, by the
loop in bands, or, while there is no loop, by NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy._core import multiarray

from . import geometry
from .paths import PATHS
from .paths.direct import band
from .planner import selector
from .planner.rates import rates
from .problem import Problem
from .runtime import load, threads

Array = npt.NDArray[Any]
# (a, v, extent, order) -> the result, or None where the long way must decide. The extent is
# NumPy's number for what is kept: 2 for all n + k - 1 outputs, 1 for n, 0 for n - k + 1.
Shortcut = Callable[[Array, Array, int, int], Array | None]

_numpy_correlate: Any = multiarray.correlate

# Order: a convolution reverses the taps, a correlation keeps them (`runtime.entry` knows the 4).
CONVOLVE, CORRELATE = 0, 4

DTYPES = (
    "float64",
    "float32",
    "complex128",
    "complex64",
    "bool",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
)
_LONGEST = 1 << 20
# Up to this many products NumPy answers while there is no kernel; its call takes some 2 us then.
_SMALL = 1 << 14
_CALLS_PER_LOOK = 64

_shortcuts: dict[np.dtype[Any], Shortcut] = {}


def shortcut(dtype: np.dtype[Any]) -> Shortcut:
    """Return the short way for two arrays of `dtype`."""
    found = _shortcuts.get(dtype)
    if found is None:
        known = dtype.isnative and dtype.name in DTYPES
        found = _shortcuts[dtype] = _short_way(dtype) if known else _no_way
    return found


def _no_way(a: Array, v: Array, extent: int, order: int) -> Array | None:
    return None


def longest_filter(dtype: str) -> int:
    """Return above how many taps a transform may be quicker, by the planner's rates."""
    longest = 1
    while longest < _LONGEST and _direct_is_best(dtype, 2 * longest):
        longest *= 2
    return longest


def _direct_is_best(dtype: str, k: int) -> bool:
    return selector.rank(_problem(dtype, 2 * _LONGEST, k))[0].name == "direct"


def _problem(dtype: str, n: int, k: int) -> Problem:
    return Problem(dtype, 1, True, (n,), (k,), (n - k + 1,), (1,), (1,), (0,), ("zero",))


def _short_way(dtype: np.dtype[Any]) -> Shortcut:
    ((name, loop_dtype),) = PATHS["direct"].kernels(_problem(dtype.name, 2, 1))
    signed = None if loop_dtype == dtype.name else np.dtype(loop_dtype)
    longest, type_number, until_look = longest_filter(dtype.name), dtype.num, 0
    kernel: Any = None
    whole_call: Any = None

    def answer(a: Array, v: Array, extent: int, order: int) -> Array | None:
        nonlocal kernel, whole_call, until_look
        if whole_call is not None:
            result = whole_call(a, v, extent + order, type_number, longest)
            if result is not None:
                return result  # type: ignore[no-any-return]
        if a.ndim != 1 or v.ndim != 1:
            return None
        n, k = a.size, v.size
        if order == CONVOLVE:
            if k > n:
                a, v, n, k = v, a, k, n
            v = v[::-1]
        if k == 0 or k > n or k > longest or not a.flags.carray:
            return None
        if kernel is None:
            until_look -= 1
            if until_look < 0 or n * k > _SMALL:
                until_look = _CALLS_PER_LOOK
                kernel = load.ready(name, loop_dtype)
                whole_call = load.whole_call(name, loop_dtype)
        if n * k <= _SMALL:
            return _numpy_correlate(a, v, extent)  # type: ignore[no-any-return]
        if kernel is None:
            return None
        pad, m = ((0, n - k + 1), (k // 2, n), (k - 1, n + k - 1))[extent]
        out = np.empty(m, dtype)
        w = v.copy()
        if signed is None:
            _by_bands(kernel, a, w, out, pad)
        else:
            _by_bands(kernel, a.view(signed), w.view(signed), out.view(signed), pad)
        return out

    return answer


def _by_bands(kernel: Any, x: Array, w: Array, out: Array, pad: int) -> None:
    n, k, m = len(x), len(w), len(out)

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, 1, 1, pad - lo)

    row = rates("direct", out.dtype.name, "1d")
    seconds = row.multiply_adds * n * k + row.bytes_moved * out.itemsize * (n + m)
    threads.run(some_outputs, geometry.bands(m, band(k)), threads.worthwhile(seconds))
