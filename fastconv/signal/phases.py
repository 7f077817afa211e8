"""From a resampling to the canonical Request, and the short way of one plain signal."""

from __future__ import annotations

from collections.abc import Callable
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
from .extend import CONSTANT, MODES, NEED_TWO, extended

Array = npt.NDArray[Any]

# Products up to which a signal is resampled on this thread, by what was settled once.
_SHORT = 1 << 18
_MOST_KEPT, _FEW = 512, 16
_LARGEST = 1 << 31
_kept: dict[Any, Callable[[Any, Any, Any, int], None]] = {}


def settled(
    h: Array, x: Array, up: int, down: int, axis: int, mode: str, cval: Any, delay: int,
    count: int, dtype: Any,
) -> Request:  # fmt: skip
    """Settle `count` outputs along `axis`: output i is filtered sample ``i*down + delay``."""
    k, mode = len(h), mode.lower()
    pad = k - 1 - delay
    if axis != x.ndim - 1:
        x = np.moveaxis(x, axis, -1)
    if mode != CONSTANT or cval != 0:
        beyond = -(-k // up)
        value = np.asarray(cval).astype(dtype)
        x = extended(x.astype(dtype, copy=False), beyond, mode, value)
        pad -= beyond * up
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
    if type(up) is not int or type(down) is not int or type(axis) is not int:
        return None
    if not (0 < up < _LARGEST and 0 < down < _LARGEST):
        return None
    if type(mode) is not str or type(cval) is not int or cval != 0:
        return None
    if not -x.ndim <= axis < x.ndim:
        return None
    last = axis in (-1, x.ndim - 1)
    if not last and x.ndim > 2 and x.shape[axis] < _FEW:  # Copies would take longer than sums.
        return None
    dtype = x.dtype
    if h.dtype != dtype or dtype.kind not in "fc":
        long = x.size * h.size > _SHORT * down
        if long or h.dtype.kind not in "biufc" or dtype.kind not in "biufc":
            return None
        dtype = np.result_type(h.dtype, dtype, np.float32)
        if dtype.char not in "fdFD":
            return None
        x, h = x.astype(dtype), h.astype(dtype)
    if up == down == 1 and x.ndim == 1 and mode == CONSTANT:
        return shortcut(dtype)(x, h, 2, CONVOLVE, None)
    if not last:
        x = x.swapaxes(axis, -1)
    n, beyond = x.shape[-1], 0
    count = ((n - 1) * up + h.size - 1) // down + 1
    if mode != CONSTANT:
        if x.size * h.size > _SHORT or (n < 2 and mode in NEED_TWO):
            return None
        if mode not in MODES:
            return None
        beyond = -(-h.size // up)
        x = extended(x, beyond, mode)
    result = resampled(h, x, up, down, beyond * up, count)
    return result if result is None or last else result.swapaxes(axis, -1).copy()


def _strided(kernel: Any, problem: Problem) -> Callable[[Any, Any, Any, int], None]:
    """Return what filters rows and keeps some outputs: dot products need no phases."""
    (n,), (k,), (m,), (s,), (p,) = (
        problem.signal, problem.filter, problem.output, problem.stride, problem.pad,
    )  # fmt: skip

    def run(x: Array, w: Array, out: Array, workers: int) -> None:
        kernel(x, w.copy(), out, problem.batch, n, 0, m, n, k, m, s, 1, p)

    return run


def resampled(h: Array, x: Array, up: int, down: int, delay: int, count: int) -> Array | None:
    """Return `count` outputs by the path that was chosen for these sizes, if it is ready."""
    dtype = x.dtype
    key = (dtype, x.shape, h.size, up, down, delay)
    run = _kept.get(key)
    if run is None:
        if not x.dtype.isnative or x.dtype.name not in KERNELS["polyphase"].dtypes:
            return None
        if count * h.size * (x.size // x.shape[-1]) > _SHORT * up:
            return None
        problem = settled(h, x, up, down, x.ndim - 1, CONSTANT, 0, delay, count, x.dtype).problem
        if PATHS["polyphase"].supports(problem) or not selector.is_ready("polyphase", problem):
            return None
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        run = polyphase.row_runner(problem, load.kernel("polyphase", dtype.name))
        if up == 1 and dtype.name in FLOATS and selector.is_ready("direct", problem):
            run = _strided(load.kernel("rows", dtype.name), problem)
        _kept[key] = run
    if not is_packed(x):
        x = x.copy()
    out = np.empty((*x.shape[:-1], count), dtype)
    run(x.reshape(-1), h[::-1], out.reshape(-1), 1)
    return out
