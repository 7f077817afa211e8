"""A few plain rows, one short call after the other: where that is sooner than to settle them all.

To settle a request takes the engine 60 to 100 us, a short call two. Several filters of one signal
share its transform in the engine; where what they save by it is less, or where the direct loop is
best anyway, rows are called one by one.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .short import CORRELATE, DTYPES, shortcut

if TYPE_CHECKING:
    from .problem import Problem
    from .request import Request

Array = npt.NDArray[Any]

# Seconds that settling a request takes, and a short call, on a core of 3.5 GHz; rows from which on
# short calls take longer whatever they compute.
_SETTLING, _CALL, _MOST_ROWS = 50e-6, 2e-6, 32
_MOST_KEPT = 1024

# By what a call looks like: the result's shape where its rows go one by one, else None.
_kept: dict[tuple[Any, ...], tuple[int, ...] | None] = {}
_UNKNOWN = ()


def answer_rows(a: Any, v: Any, extent: int, order: int, axis: Any, out: Any) -> Array | None:
    """Return the results of a few signals or filters, or None where the engine must decide.

    Arguments as those of `shortcut`, but for `axis`: the last one, or None is returned.
    """
    if type(a) is not np.ndarray or type(v) is not np.ndarray or type(axis) is not int:
        return None
    dtype = a.dtype
    if dtype != v.dtype:
        return None
    key = (a.shape, v.shape, dtype, extent, order, axis)
    shape = _kept.get(key, _UNKNOWN)
    if shape == _UNKNOWN:
        shape = _settle(key, a, v)
    if shape is None:
        return None
    if out is None:
        results = np.empty(shape, dtype)
    elif (
        type(out) is np.ndarray and out.shape == shape and out.dtype == dtype
        and out.flags.carray and not any(np.may_share_memory(out, o) for o in (a, v))
    ):  # fmt: skip
        results = out
    else:
        return None
    if order == CORRELATE and dtype.kind == "c":
        v = v.conj()
    rows, call = results.reshape(-1, shape[-1]), shortcut(dtype)
    signals, filters = _rows(a, len(rows)), _rows(v, len(rows))
    for x, w, into in zip(signals, filters, rows, strict=True):
        if call(x, w, extent, order, into) is None:
            return None
    return results


def _rows(operand: Array, rows: int) -> Any:
    if operand.ndim == 1:
        return (operand,) * rows
    if prod(operand.shape[:-1]) == 1:
        return (operand.reshape(-1),) * rows
    return operand.reshape(rows, -1)


def _settle(key: tuple[Any, ...], a: Array, v: Array) -> tuple[int, ...] | None:
    """Return the result's shape if rows are to go one by one, and keep that."""
    from .numpy_request import MODES, ORDERS, settled

    *_, extent, order, axis = key
    name = next(name for name, number in ORDERS.items() if number == order)
    try:
        made = settled(name, a, v, MODES[extent], axis, 1)
    except (TypeError, ValueError):
        return None  # The engine tells why.
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    shape = _kept[key] = made.shape if pays(made) else None
    return shape


def pays(made: Request) -> bool:
    """Return whether a request for several rows is answered sooner one by one."""
    problem = made.problem
    if made.moved is not None or problem.stride != (1,) or problem.dtype not in DTYPES:
        return False
    if not 1 <= problem.batch <= _MOST_ROWS or not problem.outputs:
        return False
    if not problem.shared_signal and not problem.shared_filter:
        return False
    from .planner import selector
    from .runtime import threads

    together = selector.rank(problem)[0].seconds
    if threads.worthwhile(together, None) > 1:
        return False  # Threads share the rows.
    one = problem._replace(batch=1, shared_filter=True, shared_signal=False)
    alone = min(_seconds(name, one) for name in ("direct", "fused"))
    return problem.batch * (alone + _CALL) < together + _SETTLING


def _seconds(name: str, problem: Problem) -> float:
    """Return what a path takes beside its calls from Python, which the short way has not."""
    from .paths import PATHS
    from .planner.rates import rates

    path = PATHS[name]
    if path.supports(problem):
        return float("inf")
    row = rates(name, problem.dtype, "1d")._replace(request=0.0, calls=0.0)
    return row.seconds(path.work(problem))
