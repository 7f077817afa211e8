"""Settle what NumPy's convolve and correlate mean: modes, swaps, flips and conjugation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import geometry, request, short_rows
from .problem import Problem
from .records import NamedTuple
from .request import Request, Settings
from .short import CONVOLVE, CORRELATE, ORIGINALS, alike, short_way, shortcut

if TYPE_CHECKING:
    from .planner.explain import Explanation

Array = npt.NDArray[Any]

MODES: dict[Any, str] = {0: "valid", 1: "same", 2: "full"}
_NAMES = frozenset(MODES.values())
EXTENTS = {mode: number for number, mode in MODES.items()}
ORDERS = {"convolve": CONVOLVE, "correlate": CORRELATE}


def answer(
    name: str,
    a: Any,
    v: Any,
    mode: Any,
    axis: Any,
    stride: Any,
    settings: Settings,
) -> Array:
    """Answer NumPy's function `name`, with our keywords."""
    settings.check()
    original = ORIGINALS[name]
    plain = axis is None and type(stride) is int and stride == 1 and settings.plain
    if _foreign(a) or _foreign(v):
        if not plain:
            raise TypeError(
                f"a and v must be NumPy arrays with fastconv's own keywords, "
                f"got {type(a).__name__} and {type(v).__name__}"
            )
        return original(a, v, mode)  # type: ignore[no-any-return]
    if plain and name == "correlate" and (_subclass(a) or _subclass(v)):
        return original(a, v, mode)  # type: ignore[no-any-return]
    x, w, named = np.asarray(a), np.asarray(v), mode_name(mode)
    if plain and (
        x.ndim > 1
        or w.ndim > 1
        or x.size == 0
        or w.size == 0
        or (name == "correlate" and 0 in (x.ndim, w.ndim))
        or x.dtype.kind not in "biufc"
        or w.dtype.kind not in "biufc"
        or named is None
    ):
        # Errors in NumPy's own words, and the dtypes that only NumPy has loops for.
        return original(a, v, mode)  # type: ignore[no-any-return]
    if plain and named and not (type(a) is type(v) is np.ndarray and type(mode) is str):
        # What is not an array, such as pandas' columns, has not been offered to the short way.
        x, w = alike(*map(np.atleast_1d, (x, w))) or (np.atleast_1d(x), np.atleast_1d(w))
        taps = w.conj() if name == "correlate" and w.dtype.kind == "c" else w
        found = shortcut(x.dtype)(x, taps, EXTENTS[named], ORDERS[name], None)
        if found is not None:
            return found
    return request.answer(settled(name, x, w, mode, axis, stride), settings)


def explained(
    a: Any,
    v: Any,
    mode: Any,
    boundary: str,
    axis: Any,
    stride: Any,
    settings: Settings,
) -> Explanation:
    """Return what `fastconv.explain` shows."""
    if axis is None and np.ndim(a) == np.ndim(v) == 2:
        from .signal.planes import explain2d

        return explain2d(a, v, mode, boundary, stride, settings)
    settings.check()
    a, v = np.asarray(a), np.asarray(v)
    made = settled("convolve", a, v, mode, axis, stride)
    table = request.explain(made, settings)
    plain = settings._replace(out=None).plain and a.dtype == v.dtype
    if plain and short_rows.pays(made):
        note = "plain calls go row by row, past the planner: so few are sooner had like that"
        return table._replace(notes=(*table.notes, note))
    if axis is not None or stride != 1 or not settings._replace(out=None, structure=True).plain:
        return table
    way = short_way(made.dtype, *made.problem.signal, *made.problem.filter)
    return table._replace(notes=(*table.notes, way)) if way else table


def _foreign(operand: Any) -> bool:
    """Return whether NumPy's protocol would hand `operand` to another library."""
    kind = type(operand)
    if kind is np.ndarray:
        return False
    handler = getattr(kind, "__array_function__", None)
    return handler is not None and handler is not np.ndarray.__array_function__


def _subclass(operand: Any) -> bool:
    return isinstance(operand, np.ndarray) and type(operand) is not np.ndarray


def mode_name(mode: Any) -> str | None:
    """Return the mode's name, or None for what only NumPy can judge."""
    if type(mode) is str:
        return mode if mode in _NAMES else None
    if type(mode) is bool or not isinstance(mode, (int, np.integer)):
        return None
    return MODES.get(int(mode))


def extent(n: int, k: int, mode: str) -> tuple[int, int]:
    """Return pad and the number of outputs of NumPy's modes, for n >= k in correlation order."""
    if mode == "full":
        return k - 1, n + k - 1
    if mode == "same":
        return k // 2, n
    return 0, n - k + 1


class _Settled(NamedTuple):
    """What shapes, dtypes and keywords decide: the Problem, and how the operands become its own."""

    swap: bool
    backwards: bool
    batch: tuple[int, ...]
    moved: tuple[int, ...] | None
    problem: Problem
    dtype: np.dtype[Any]


def settled(name: str, x: Array, w: Array, mode: Any, axis: Any, stride: Any) -> Request:
    """Settle modes, swaps, flips and conjugation: what is left is a correlation."""
    named = mode_name(mode)
    if named is None:
        ORIGINALS["convolve"](np.ones(1), np.ones(1), mode)  # Raises what NumPy raises.
        raise ValueError(f"mode must be one of {list(MODES.values())}, got {mode!r}")
    step = request.positive("stride", stride)
    moved = None
    if axis is not None:
        x, w, moved = _aligned(x, w, axis)
    elif x.ndim != 1 or w.ndim != 1:
        x, w = _flat("a", x), _flat("v", w)
    swap, backwards, batch, moved, problem, dtype = _settle(
        name == "convolve", x.shape, w.shape, x.dtype, w.dtype, named, step, moved
    )
    if name == "correlate" and w.dtype.kind == "c":
        w = w.conj()
    if swap:
        x, w = w, x
    if backwards:
        # out[m-1-i] of the swapped call: both operands read backwards.
        x, w = x[..., ::-1], w[..., ::-1]
    elif name == "convolve":
        w = w[..., ::-1]
    if problem.shared_filter and w.ndim > 1:
        w = w.reshape(problem.filter)
    return Request(problem, x, w, batch, moved, dtype)


@lru_cache(maxsize=1024)
def _settle(
    convolving: bool,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    x_dtype: np.dtype[Any],
    w_dtype: np.dtype[Any],
    mode: str,
    step: int,
    moved: tuple[int, ...] | None,
) -> _Settled:
    for label, shape in (("a", x_shape), ("v", w_shape)):
        if shape[-1] == 0:
            raise ValueError(f"{label} cannot be empty")
    dtype = np.result_type(x_dtype, w_dtype)
    swap = w_shape[-1] > x_shape[-1]
    if swap:
        x_shape, w_shape = w_shape, x_shape
    n, k = x_shape[-1], w_shape[-1]
    pad, m = extent(n, k, mode)
    backwards = swap and not convolving
    if backwards:
        pad = m - 1 - n + k - pad
    batch = np.broadcast_shapes(x_shape[:-1], w_shape[:-1])
    problem = Problem(
        dtype.name if dtype.isbuiltin == 1 else str(dtype),
        request.count(batch),
        request.count(w_shape[:-1]) == 1,
        (n,),
        (k,),
        (geometry.strided(m, step),),
        (step,),
        (1,),
        (pad,),
        ("zero",),
        shared_signal=request.count(batch) > 1 == request.count(x_shape[:-1]),
    )
    return _Settled(swap, backwards, batch, moved, problem, dtype)


def _flat(label: str, operand: Array) -> Array:
    if operand.ndim > 1:
        raise ValueError(
            f"{label} must have one dimension, got {operand.ndim}: name the axis to convolve along"
        )
    return np.atleast_1d(operand)


def _aligned(x: Array, w: Array, axis: Any) -> tuple[Array, Array, tuple[int, ...] | None]:
    """Return both operands with the convolved axis last, and the way back for the result."""
    number = request.integer("axis", axis)
    x, w = np.atleast_1d(x), np.atleast_1d(w)
    ndim = max(x.ndim, w.ndim)
    smallest = min([o.ndim for o in (x, w) if o.ndim > 1] or [1])
    if not -smallest <= number < smallest:
        raise ValueError(f"axis must lie in {-smallest}..{smallest - 1}, got {axis}")
    position = number % ndim if number < 0 else number
    # To move an axis takes NumPy 8 us, even to where it is.
    x, w = (np.moveaxis(o, number, -1) if 1 < o.ndim != number % o.ndim + 1 else o for o in (x, w))
    if position == ndim - 1:
        return x, w, None
    order = list(range(ndim - 1))
    order.insert(position, ndim - 1)
    return x, w, tuple(order)
