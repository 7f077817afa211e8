"""The short way of plain 1-D calls: a few checks, one look-up, one call.

A request with all the trimmings takes some 30 us to settle; NumPy answers a small one in one. So
two plain arrays are answered here by the direct loop or by NumPy's, wherever the planner's rates
say that nothing else can be faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy._core.multiarray import correlate as _numpy_correlate

from . import geometry
from .paths import PATHS
from .paths.direct import BAND
from .planner import selector
from .planner.rates import rates
from .problem import Problem
from .runtime import load, threads

Array = npt.NDArray[Any]

# NumPy's numbers for its modes, and what they mean in correlation order for n >= k.
_NUMBERS = {"valid": 0, "same": 1, "full": 2}
_DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8",
           "uint64", "uint32", "uint16", "uint8", "complex128", "complex64", "bool")


@dataclass(slots=True)
class _Shortcut:
    """What one pair of dtypes needs to know.

    Parameters
    ----------
    dtype : dtype
        Of both operands.
    unit : tuple of str
        The compiled loop.
    view : str
        The dtype that the loop is compiled for.
    crossover : float
        Below this many products NumPy's own loop is quicker.
    longest : int
        Above this many taps a transform may be quicker: not for the short way.
    """

    dtype: np.dtype[Any]
    unit: tuple[str, str]
    view: str
    crossover: float
    longest: int


_shortcuts: dict[Any, _Shortcut | None] = {}


def convolve(a: Array, v: Array, mode: Any) -> Array | None:
    """Return ``numpy.convolve(a, v, mode)`` for two plain arrays, or None: not a short case."""
    number = _NUMBERS.get(mode) if type(mode) is str else None
    dtype = a.dtype
    if number is None or dtype is not v.dtype or a.ndim != 1 or v.ndim != 1:
        return None
    shortcut = _shortcuts.get(dtype, False)
    if shortcut is False:
        shortcut = _shortcuts[dtype] = _measure(dtype)
    if shortcut is None:
        return None
    n, k = len(a), len(v)
    if k > n:
        a, v, n, k = v, a, k, n
    if k == 0:
        return None
    products = n * k
    if products < shortcut.crossover:
        return _numpy_correlate(a, v[::-1], number)  # type: ignore[no-any-return]
    if k > shortcut.longest or not a.flags.carray:
        return None
    kernel = load.ready(*shortcut.unit)
    if kernel is None:
        return None
    if number == 2:
        pad, m = k - 1, n + k - 1
    elif number == 1:
        pad, m = k // 2, n
    else:
        pad, m = 0, n - k + 1
    out = np.empty(m, dtype)
    w = v[::-1].copy()
    if dtype.kind == "u":
        x, w, target = a.view(shortcut.view), w.view(shortcut.view), out.view(shortcut.view)
    else:
        x, target = a, out
    if m <= BAND:
        kernel(x, w, target, 1, 0, 0, 0, n, k, m, 1, 1, pad)
        return out

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, target[lo:], 1, 0, 0, 0, n, k, hi - lo, 1, 1, pad - lo)

    row = rates("direct", dtype.name, 1)
    seconds = row.multiply_adds * products + row.bytes_moved * dtype.itemsize * (n + m)
    threads.run(some_outputs, geometry.bands(m, BAND), threads.worthwhile(seconds))
    return out


def _problem(dtype: str, n: int, k: int) -> Problem:
    return Problem(dtype, 1, True, (n,), (k,), (n - k + 1,), (1,), (1,), (0,), ("zero",))


def _measure(dtype: np.dtype[Any]) -> _Shortcut | None:
    """Ask the planner's rates where the direct loop is best."""
    name = dtype.name
    if name not in _DTYPES or not dtype.isnative:
        return None
    unit = PATHS["direct"].kernels(_problem(name, 2, 1))[0]
    direct, numpy = rates("direct", name, 1), rates("library", name, 1)
    head_start = direct.request + direct.calls - numpy.request - numpy.calls
    per_product = numpy.multiply_adds - direct.multiply_adds
    crossover = head_start / per_product if per_product > 0 else np.inf
    longest = 1
    while longest < 1 << 20:
        best = selector.rank(_problem(name, 1 << 21, 2 * longest))[0]
        if best.name != "direct":
            break
        longest *= 2
    return _Shortcut(dtype, unit, unit[1], max(0.0, crossover), longest)


def forget() -> None:
    """Forget what was derived from rates that have been replaced."""
    _shortcuts.clear()
