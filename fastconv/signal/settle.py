"""From operands, axes and a mode to the canonical Request: swaps, flips, centres and borders."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..problem import Problem
from ..records import NamedTuple
from ..request import Request, Settings
from ..short import CONVOLVE, shortcut

Array = npt.NDArray[Any]

MODES = ("full", "same", "valid")
# The words of convolve2d for what lies outside the first operand, and two of ndimage's.
BOUNDARIES = {
    "fill": "zero",
    "wrap": "wrap",
    "circular": "wrap",
    "symm": "reflect",
    "symmetric": "reflect",
    "mirror": "mirror",
    "nearest": "nearest",
}
_FEW_SAMPLES, _FEW_TAPS = 1 << 12, 1 << 8
# An axis so many times as long as the last one takes its place, where there are many products.
_MUCH_LONGER, _FEW_PRODUCTS = 8, 1 << 18
# No loops of their own: computed in the next wider type, as NumPy's float16 loop does.
_COMPUTED_IN = {"float16": "float32"}


def boundary_rule(boundary: Any) -> str:
    """Return the engine's name of a boundary.

    Raises
    ------
    ValueError
        If it is none of `BOUNDARIES`.
    """
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"boundary must be one of {list(BOUNDARIES)}, got {boundary!r}")
    return BOUNDARIES[boundary]


def mode_of(
    mode: Any, default: str, boundary: Any, words: dict[str, str], name: str = "mode"
) -> Any:
    """Return the mode that a boundary means where one is given, else the mode.

    Parameters
    ----------
    mode, default : str
        SciPy's word for what lies outside, and what it is if nobody says.
    boundary : str or None
        Ours.
    words : dict
        SciPy's words by the engine's rules.
    name : str
        What SciPy calls its argument.

    Raises
    ------
    ValueError
        If the boundary is unknown, or both are given.
    """
    if boundary is None:
        return mode
    rule = boundary_rule(boundary)
    if mode != default:
        raise ValueError(f"{name} must be {default!r} where boundary is given, got {mode!r}")
    return words[rule]


def extent(n: int, k: int, mode: str) -> tuple[int, int]:
    """Return the first output kept of the full convolution of n with k samples, and how many."""
    if mode == "full":
        return 0, n + k - 1
    if mode == "same":
        return (k - 1) // 2, n
    return min(n, k) - 1, abs(n - k) + 1


def short_same(x: Array, w: Array) -> Array | None:
    """Return the middle of the full convolution of x with a longer w, if that has a short way."""
    whole = shortcut(x.dtype)(w, x, 2, CONVOLVE, None)
    if whole is None:
        return None
    first = (w.size - 1) // 2
    return whole[first : first + x.size].copy()


def contains(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether one of two shapes contains the other, as "valid" demands."""
    pairs = list(zip(shape, other, strict=True))
    return all(a >= b for a, b in pairs) or all(a <= b for a, b in pairs)


def larger_second(x: Any, w: Any) -> bool:
    """Return whether w is the larger of two arrays, and on no axis the shorter one."""
    if type(x) is not np.ndarray or type(w) is not np.ndarray or x.ndim != w.ndim or not x.size:
        return False
    return x.shape != w.shape and all(a <= b for a, b in zip(x.shape, w.shape, strict=True))


def flip(array: Array, axes: tuple[int, ...]) -> Array:
    """Return `array` read backwards along `axes`."""
    backwards = slice(None, None, -1)
    return array[tuple(backwards if a in axes else slice(None) for a in range(array.ndim))]


def convolution(
    x: Array,
    w: Array,
    mode: str,
    axes: tuple[int, ...],
    strides: tuple[int, ...],
    rule: str,
    dtype: Any,
    *,
    correlating: bool = False,
) -> Request:
    """Settle a convolution along `axes`; the other axes broadcast.

    Parameters
    ----------
    x, w : ndarray
        Operands of one number of dimensions.
    mode : {"full", "same", "valid"}
        As in scipy.signal; "same" keeps the lengths of x.
    axes : tuple of int
        Which are convolved: not negative, not empty.
    strides : tuple of int
        One per axis in `axes`.
    rule : str
        What lies outside x, one of `geometry.BOUNDARIES`.
    dtype : dtype
        What everything is converted to.
    correlating : bool
        Whether w is conjugated and not reversed.
    """
    if not correlating:
        w = flip(w, axes)
    elif w.dtype.kind == "c":
        w = w.conj()
    kept = [extent(x.shape[a], w.shape[a], mode) for a in axes]
    # The longer one is the signal, and the one that is thin the filter; the engine sees to images
    # crosswise each other.
    lengths = [(x.shape[a], w.shape[a]) for a in axes]
    thin = any(n == 1 < k for n, k in lengths) and not any(k == 1 < n for n, k in lengths)
    if rule == "zero" and (thin or all(n <= k for n, k in lengths)):
        x, w = flip(w, axes), flip(x, axes)
    pads = tuple(w.shape[a] - 1 - start for a, (start, _) in zip(axes, kept, strict=True))
    outputs = tuple(geometry.strided(m, s) for (_, m), s in zip(kept, strides, strict=True))
    return correlation(x, w, axes, pads, outputs, strides, rule, dtype)


def correlation(
    x: Array,
    w: Array,
    axes: tuple[int, ...],
    pads: tuple[int, ...],
    outputs: tuple[int, ...],
    strides: tuple[int, ...],
    rule: str,
    dtype: Any,
    fill: Any = 0,
) -> Request:
    """Arrange a correlation along `axes`: batch axes first, thin filter axes among them."""
    computed = np.dtype(_COMPUTED_IN.get(dtype.name, dtype))
    part, order, batch, shared, problem, moved = _arranged(
        x.shape, w.shape, axes, pads, outputs, strides, rule, computed.name
    )
    x, w = x[part].transpose(order), w.transpose(order)
    if shared:
        w = w.reshape(problem.filter)
    return Request(problem, x, w, batch, moved, computed, computed.type(fill))


class _Arranged(NamedTuple):
    """How operands become a Problem's, and which."""

    part: tuple[slice, ...]
    order: tuple[int, ...]
    batch: tuple[int, ...]
    shared: bool
    problem: Problem
    moved: tuple[int, ...] | None


@lru_cache(maxsize=1024)
def _arranged(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], axes: tuple[int, ...],
    pads: tuple[int, ...], outputs: tuple[int, ...], strides: tuple[int, ...], rule: str,
    dtype: str,
) -> _Arranged:  # fmt: skip
    index: list[slice] = [slice(None)] * len(x_shape)
    thin: list[int] = []
    # A filter of one tap does not look along its axis: the fewer axes, the faster the paths. But a
    # small image that stays one has a short way, unless its filter is much longer.
    small = len(axes) == len(x_shape) == 2 and prod(x_shape) <= _FEW_SAMPLES
    small = small and prod(outputs) * prod(w_shape) <= _FEW_SAMPLES * _FEW_TAPS
    for place, a in enumerate(() if small else axes):
        whole = outputs[place] == geometry.strided(x_shape[a], strides[place])
        if w_shape[a] == 1 and pads[place] == 0 and whole and len(thin) < len(axes) - 1:
            index[a] = slice(None, None, strides[place])
            thin.append(place)
    keep = [p for p in range(len(axes)) if p not in thin]
    axes, pads, outputs, strides = (
        tuple(field[p] for p in keep) for field in (axes, pads, outputs, strides)
    )
    # Loops run along the last axis, where a few samples are a waste of their vectors. What is kept
    # for images takes them as they lie.
    longest = max(range(len(axes)), key=outputs.__getitem__)
    products = prod(outputs) * prod(w_shape[a] for a in axes)
    much_longer = outputs[-1] * _MUCH_LONGER <= outputs[longest]
    if len(x_shape) > 2 and much_longer and products > _FEW_PRODUCTS:
        last = [p for p in range(len(axes)) if p != longest] + [longest]
        axes, pads, outputs, strides = (
            tuple(field[p] for p in last) for field in (axes, pads, outputs, strides)
        )
    kept = [geometry.strided(n, part.step or 1) for n, part in zip(x_shape, index, strict=True)]
    others = tuple(a for a in range(len(x_shape)) if a not in axes)
    order = (*others, *axes)
    batch = np.broadcast_shapes(*(tuple(s[a] for a in others) for s in (kept, w_shape)))
    shared = prod(w_shape[a] for a in others) == 1
    problem = Problem(
        dtype,
        request.count(batch),
        shared,
        tuple(kept[a] for a in axes),
        tuple(w_shape[a] for a in axes),
        outputs,
        strides,
        (1,) * len(axes),
        pads,
        (rule,) * len(axes),
        shared_signal=request.count(batch) > 1 == prod(kept[a] for a in others),
    )
    back = tuple(np.argsort(order).tolist())
    moved = None if back == tuple(range(len(x_shape))) else back
    return _Arranged(tuple(index), order, batch, shared, problem, moved)


def answer(made: Request, settings: Settings, dtype: Any) -> Array:
    """Compute the request and return it in `dtype`."""
    if made.dtype == dtype:
        return request.answer(made, settings)
    if settings.out is not None:
        request.check_out(settings.out, made.shape, dtype)
    result = request.answer(made, request.less(settings, made.dtype.itemsize * prod(made.shape)))
    with np.errstate(over="ignore"):  # As silent as NumPy's float16 loop.
        cast = result.astype(dtype)
    if settings.out is None:
        return cast
    settings.out[...] = cast
    return settings.out
