"""From a resampling to the canonical Request, and the short way of one plain signal."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..kernels import FLOATS, KERNELS
from ..paths import PATHS, polyphase
from ..planner import selector
from ..problem import Problem
from ..request import Request
from ..runtime import load
from ..short import CONVOLVE, is_packed, shortcut
from .extend import CONSTANT, MODES, extended

Array = npt.NDArray[Any]

# Products up to which a signal is resampled on this thread, by what was settled once.
_SHORT = 1 << 18
_MOST_KEPT = 512
# So many signals that lie interleaved are vectors, for so few phases at least.
_FEW, _FEW_PHASES = 8, 4
# So many rows of so few outputs lie side by side where phases are made: sooner than dot products
# (1000 rows of 30 doubles, 31 taps, every second: 1070 us, so 232; 300 of 100, 5 taps: 77, so 61).
_MANY_ROWS, _SHORT_ROW = 8, 128
_LARGEST = 1 << 31
_kept: dict[Any, Callable[[Any, Any, Any, int], None]] = {}


def settled(
    h: Array, x: Array, up: int, down: int, axis: int, mode: str, cval: Any, delay: int,
    count: int, dtype: Any,
) -> Request:  # fmt: skip
    """Settle `count` outputs along `axis`: output i is filtered sample ``i*down + delay``."""
    k, mode = len(h), mode.lower()
    pad = k - 1 - delay
    if mode != CONSTANT or cval != 0:
        # The first window begins so many samples before x, the last one ends so many after it.
        beyond = max(pad // up, ((count - 1) * down + delay) // up - x.shape[axis] + 1)
        if beyond > 0:
            x = extended(x, beyond, mode, np.asarray(cval).astype(dtype), dtype, axis)
            pad -= beyond * up
    if axis != x.ndim - 1:
        x = np.moveaxis(x, axis, -1)
    problem = Problem(
        dtype.name,
        request.count(x.shape[:-1]),
        True,
        x.shape[-1:],
        (k,),
        (count,),
        (down,),
        (1,),
        (pad,),
        ("zero",),
        up=up,
    )
    moved = None
    if axis != x.ndim - 1:
        order = list(range(x.ndim - 1))
        order.insert(axis, x.ndim - 1)
        moved = tuple(order)
    return Request(problem, x, h[::-1], x.shape[:-1], moved, dtype)


def short_way(
    h: Any, x: Array, up: Any, down: Any, axis: Any, mode: Any, cval: Any
) -> Array | None:  # fmt: skip
    """Return the answer for small plain signals, or None where the long way must decide."""
    h = np.asarray(h) if type(h) in (list, tuple) else h
    if type(h) is not np.ndarray or h.ndim != 1 or h.size == 0 or x.size == 0 or x.ndim == 0:
        return None
    if not type(up) is type(down) is type(axis) is int:
        up, down, axis = (int(v) if isinstance(v, np.integer) else v for v in (up, down, axis))
        if not type(up) is type(down) is type(axis) is int:
            return None
    if not (0 < up < _LARGEST and 0 < down < _LARGEST):
        return None
    if type(mode) is not str or type(cval) not in (int, float):
        return None
    if not -x.ndim <= axis < x.ndim:
        return None
    dtype = x.dtype
    if h.dtype != dtype or dtype.char not in "fdFD":
        if h.dtype.kind not in "biufc" or dtype.kind not in "biufc":
            return None
        dtype = np.result_type(h.dtype, dtype, np.float32)
    if dtype.char not in "fdFD" or mode not in MODES:
        return None
    if up > 1 and down > 1:
        h, up, down = in_lowest_terms(h, up, down)
    axis %= x.ndim
    n, k, inner = x.shape[axis], h.size, prod(x.shape[axis + 1 :])
    beyond = 0 if mode == CONSTANT and cval == 0 else (k - 1) // up
    products = x.size * k // down
    if products > _SHORT and (beyond or x.dtype != dtype):
        return None
    across = inner >= _FEW and up <= max(_FEW_PHASES, x.size >> 8)
    last = inner == 1
    along = axis
    if not last and not across:
        x, axis = x.swapaxes(axis, -1), x.ndim - 1
    if h.dtype != dtype:
        h = h.astype(dtype)
    if beyond:
        x = extended(x, beyond, mode, np.asarray(cval).astype(dtype) if cval else 0, dtype, axis)
    elif x.dtype != dtype:
        x = x.astype(dtype, order="C")
    if up == down == 1 and x.ndim == 1:
        return shortcut(dtype)(x, h, 0 if beyond else 2, CONVOLVE, None)
    count = ((n - 1) * up + k - 1) // down + 1
    result = resampled(h, x, up, down, beyond * up, count, axis)
    return result if result is None or last or across else result.swapaxes(along, -1).copy()


def in_lowest_terms(h: Array, up: int, down: int) -> tuple[Array, int, int]:
    """Return the taps that outputs meet and the rates, without the rates' common factor."""
    common = gcd(up, down)
    return (h[::common], up // common, down // common) if common > 1 else (h, up, down)


def _strided(kernel: Any, problem: Problem) -> Callable[[Any, Any, Any, int], None]:
    """Return what filters rows and keeps some outputs: dot products need no phases."""
    (n,), (k,), (m,), (s,), (p,) = (
        problem.signal, problem.filter, problem.output, problem.stride, problem.pad,
    )  # fmt: skip

    def run(x: Array, w: Array, out: Array, workers: int) -> None:
        kernel(x, w.copy(), out, problem.batch, n, 0, m, n, k, m, s, 1, p)

    return run


def resampled(
    h: Array, x: Array, up: int, down: int, delay: int, count: int, axis: int = -1
) -> Array | None:
    """Return `count` outputs along an axis by what was chosen for these sizes, if it is ready."""
    dtype = x.dtype
    key = (dtype, x.shape, axis, h.size, up, down, delay, count)
    run = _kept.get(key)
    if run is None:
        if not x.dtype.isnative or x.dtype.name not in KERNELS["polyphase"].dtypes:
            return None
        if count * h.size * (x.size // x.shape[axis]) > _SHORT * up:
            return None
        made = settled(h, x, up, down, axis % x.ndim, CONSTANT, 0, delay, count, x.dtype)
        run = _runner(made.problem, prod(x.shape[axis % x.ndim + 1 :]))
        if run is None:
            return None
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = run
    if not is_packed(x):
        x = x.copy()
    shape = list(x.shape)
    shape[axis] = count
    out = np.empty(shape, dtype)
    run(x.reshape(-1), h[::-1], out.reshape(-1), 1)
    return out


def _runner(problem: Problem, inner: int) -> Callable[[Any, Any, Any, int], None] | None:
    """Return what makes all outputs of a problem whose signals lie interleaved, if it is there."""
    if inner > 1:
        if load.ready("columns", problem.dtype) is None:
            return None
        problem = problem._replace(batch=problem.batch // inner, inner=inner)
        return polyphase.column_runner(problem, load.kernel("columns", problem.dtype))
    many = problem.batch >= _MANY_ROWS and problem.output[0] <= _SHORT_ROW
    by_dots = problem.stride == (1,) or (problem.dtype in FLOATS and not many)
    by_dots = by_dots and problem.up == 1
    if by_dots and selector.is_ready("direct", problem):
        return _strided(load.kernel("rows", problem.dtype), problem)
    if PATHS["polyphase"].supports(problem) or not selector.is_ready("polyphase", problem):
        return None
    return polyphase.row_runner(problem, load.kernel("polyphase", problem.dtype))
