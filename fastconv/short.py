"""The short way of plain 1-D calls: a few checks, one look-up, one call.

A request with all the trimmings takes some 30 us to settle; NumPy answers a small one in one. So
two plain arrays of one dtype are answered here by the direct loop or by NumPy's, wherever the
planner's rates say that nothing else can be faster.
"""

from __future__ import annotations

from collections.abc import Callable
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
# (a, v, mode) -> the convolution, or None where the long way must decide.
Shortcut = Callable[[Array, Array, Any], Array | None]

# NumPy's numbers for its modes.
_NUMBERS = {"valid": 0, "same": 1, "full": 2}
DTYPES = ("float64", "float32", "complex128", "complex64", "bool",
          "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
# A small call (samples, taps) that stands for those near the crossover.
_PROBE = (1000, 5)
_LONGEST = 1 << 20

_shortcuts: dict[np.dtype[Any], Shortcut] = {}


def shortcut(dtype: np.dtype[Any]) -> Shortcut:
    """Return the short way for two arrays of `dtype`."""
    found = _shortcuts.get(dtype)
    if found is None:
        limits = Limits.of(dtype) if dtype.isnative and dtype.name in DTYPES else None
        found = _shortcuts[dtype] = _no_way if limits is None else _short_way(dtype, limits)
    return found


def _no_way(a: Array, v: Array, mode: Any) -> Array | None:
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the direct loop is best for one dtype, by the planner's rates.

    Parameters
    ----------
    crossover : float
        Below this many products NumPy's own loop is quicker.
    longest : int
        Above this many taps a transform may be quicker.
    """

    crossover: float
    longest: int

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> Limits:
        """Ask the rates."""
        name = dtype.name
        probe = _problem(name, *_PROBE)
        per_call, per_product = [], []
        for path in ("direct", "library"):
            row = rates(path, name, "1d")
            seconds = row.seconds(PATHS[path].work(probe)) - row.per_call
            per_product.append(seconds / probe.multiply_adds)
            per_call.append(rates(path, name, "short").per_call)
        head_start, gain = per_call[0] - per_call[1], per_product[1] - per_product[0]
        longest = 1
        while longest < _LONGEST and _direct_is_best(name, 2 * longest):
            longest *= 2
        return cls(max(0.0, head_start / gain) if gain > 0 else np.inf, longest)


def _direct_is_best(dtype: str, k: int) -> bool:
    return selector.rank(_problem(dtype, 2 * _LONGEST, k))[0].name == "direct"


def _problem(dtype: str, n: int, k: int) -> Problem:
    return Problem(dtype, 1, True, (n,), (k,), (n - k + 1,), (1,), (1,), (0,), ("zero",))


def _short_way(dtype: np.dtype[Any], limits: Limits) -> Shortcut:
    ((name, loop_dtype),) = PATHS["direct"].kernels(_problem(dtype.name, 2, 1))
    signed = None if loop_dtype == dtype.name else np.dtype(loop_dtype)
    crossover, longest = limits.crossover, limits.longest
    kernel: Any = None

    def convolve(a: Array, v: Array, mode: Any) -> Array | None:
        nonlocal kernel
        if a.ndim != 1 or v.ndim != 1:
            return None
        n, k = a.size, v.size
        if k > n:
            a, v, n, k = v, a, k, n
        if n * k < crossover or kernel is None:
            if k == 0 or mode not in _NUMBERS:
                return None
            if n * k < crossover:
                return _numpy_correlate(a, v[::-1], _NUMBERS[mode])  # type: ignore[no-any-return]
            kernel = load.ready(name, loop_dtype)
            if kernel is None:
                return None
        if mode == "full":
            pad, m = k - 1, n + k - 1
        elif mode == "same":
            pad, m = k // 2, n
        elif mode == "valid":
            pad, m = 0, n - k + 1
        else:
            return None
        if k > longest or k == 0 or not a.flags.carray:
            return None
        out = np.empty(m, dtype)
        if signed is None:
            x, w, target = a, v[::-1].copy(), out
        else:
            x, w, target = a.view(signed), v[::-1].copy().view(signed), out.view(signed)
        if m <= BAND:
            kernel(x, w, target, 1, 0, 0, 0, n, k, m, 1, 1, pad)
        else:
            _by_bands(kernel, x, w, target, pad)
        return out

    return convolve


def _by_bands(kernel: Any, x: Array, w: Array, out: Array, pad: int) -> None:
    n, k, m = len(x), len(w), len(out)

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, 1, 1, pad - lo)

    row = rates("direct", out.dtype.name, "1d")
    seconds = row.multiply_adds * n * k + row.bytes_moved * out.itemsize * (n + m)
    threads.run(some_outputs, geometry.bands(m, BAND), threads.worthwhile(seconds))


def ways(dtype: np.dtype[Any]) -> dict[str, Shortcut]:
    """Return the short way forced to each of its two loops: what `calibrate` measures."""
    return {
        "direct": _short_way(dtype, Limits(0.0, _LONGEST)),
        "library": _short_way(dtype, Limits(np.inf, _LONGEST)),
    }


def forget() -> None:
    """Forget what was derived from rates that have been replaced."""
    _shortcuts.clear()
