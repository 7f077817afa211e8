"""scipy.signal's fftconvolve and oaconvolve: convolutions in floating point along some axes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import replay, request
from ..request import Settings
from ..short import CONVOLVE, as_array, shortcut
from . import flat, settle
from .originals import beside, is_compiled, is_foreign, original, per_axis

__all__ = ["fftconvolve", "oaconvolve"]

Array = npt.NDArray[Any]

_EXTENTS = {"full": 2, "same": 1, "valid": 0}
_ndarray = np.ndarray


def fftconvolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    axes: int | tuple[int, ...] | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
) -> Array:
    """Convolve in floating point: `scipy.signal.fftconvolve`, with keywords of its own.

    Parameters
    ----------
    in1, in2 : array_like
        Operands of one number of dimensions.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    axes : int or tuple of int, optional
        Which to convolve, by default all; the others broadcast.
    stride, boundary, accuracy, out, workers, max_memory
        As in `convolve`; a tuple of strides has one for each of `axes`.

    Returns
    -------
    ndarray
        `out`, or a fresh array: integers and bool in float64, float16 in float32.

    Raises
    ------
    ValueError, TypeError
        As in `convolve`, and if the other axes do not broadcast.

    Notes
    -----
    The planner takes the fastest path, which may be a direct loop: the error is at least normwise,
    and NaN and Inf stay within their windows. An axis along which an operand has one sample
    broadcasts, as in SciPy.

    References
    ----------
    `scipy.signal.fftconvolve`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.fftconvolve([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0]], axes=1)
    array([[1., 3., 2.],
           [3., 7., 4.]])
    """
    if type(in1) is not _ndarray or type(in2) is not _ndarray:
        in1, in2 = as_array(in1), as_array(in2)
    if (
        _is_plain(in1, in2, mode, axes, stride, boundary)
        and out is None
        and accuracy is None
        and workers is None
        and max_memory is None
    ):
        result = _short_way(in1, in2, mode)
        if result is not None:
            return result
    settings = Settings("auto", accuracy, out, workers, max_memory=max_memory)
    return _answer("fftconvolve", in1, in2, mode, axes, stride, boundary, settings)


def oaconvolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    axes: int | tuple[int, ...] | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
) -> Array:
    """Convolve in floating point: `scipy.signal.oaconvolve`, with keywords of its own.

    Parameters
    ----------
    in1, in2, mode, axes, stride, boundary, accuracy, out, workers, max_memory
        As in `fftconvolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array.

    Raises
    ------
    ValueError, TypeError
        As in `fftconvolve`.

    Notes
    -----
    The same as `fftconvolve`: the planner cuts into blocks where that is faster.

    References
    ----------
    `scipy.signal.oaconvolve`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.oaconvolve([1.0, 2.0, 3.0], [1.0, 1.0], "same")
    array([1., 3., 5.])
    """
    if type(in1) is not _ndarray or type(in2) is not _ndarray:
        in1, in2 = as_array(in1), as_array(in2)
    if (
        _is_plain(in1, in2, mode, axes, stride, boundary)
        and out is None
        and accuracy is None
        and workers is None
        and max_memory is None
    ):
        result = _short_way(in1, in2, mode)
        if result is not None:
            return result
    settings = Settings("auto", accuracy, out, workers, max_memory=max_memory)
    return _answer("oaconvolve", in1, in2, mode, axes, stride, boundary, settings)


def _is_plain(in1: Any, in2: Any, mode: Any, axes: Any, stride: Any, boundary: Any) -> bool:
    """Return whether the short ways are open: nothing but two arrays, and filters along `axes`."""
    return (
        type(in1) is _ndarray
        and type(in2) is _ndarray
        and in1.dtype == in2.dtype
        and in1.dtype.char in "fdFDbBhHiIlL"
        and type(stride) is int
        and stride == 1
        and type(boundary) is type(mode) is str
        and boundary == "fill"
        and mode in _EXTENTS
        and in1.ndim == in2.ndim > 0
        and (axes is None or _lies_along(in2, axes))
    )


def _lies_along(w: Array, axes: Any) -> bool:
    """Return whether a filter has more than one tap along these axes only."""
    if type(axes) is int:
        return -w.ndim <= axes < w.ndim and w.size == w.shape[axes]
    wanted = _axes(axes, w.ndim)
    return bool(wanted) and w.size == prod(w.shape[a] for a in wanted or ())


def _short_way(in1: Any, in2: Any, mode: str) -> Array | None:
    """Return the answer for two plain signals, or None where the long way must decide."""
    if in1.dtype.kind in "iu":
        if all(1 in pair for pair in zip(in1.shape, in2.shape, strict=True)):
            # Nothing is convolved: integers stay integers.
            if mode == "same":
                in1, in2 = _centred(in1, in2, tuple(range(in1.ndim)))
            return in1 * in2  # type: ignore[no-any-return]
        in1, in2 = in1.astype(np.float64), in2.astype(np.float64)
    if in2.size == 1:
        return in1 * in2  # type: ignore[no-any-return]
    if in1.ndim > 1:
        return flat.convolved(in1, in2, mode, flat.MOST_PRODUCTS)
    if mode == "same" and in1.size < in2.size:
        return settle.short_same(in1, in2)
    return shortcut(in1.dtype)(in1, in2, _EXTENTS[mode], CONVOLVE, None)


def _answer(
    name: str,
    in1: Any,
    in2: Any,
    mode: Any,
    axes: Any,
    stride: Any,
    boundary: Any,
    settings: Settings,
) -> Array:
    memo, first, second = None, in1, in2
    if settings.plain and type(stride) is int:
        if mode in ("full", "valid") and boundary == "fill" and settle.larger_second(in1, in2):
            first, second = in2, in1  # A convolution is the same: what was settled serves again.
        spelled = tuple(axes) if type(axes) is list else axes
        memo = replay.key_of(
            first, second, "fftconvolve", mode, spelled, type(axes), stride, boundary
        )
        if memo is not None:
            result = replay.answer(memo, first, second[(slice(None, None, -1),) * second.ndim])
            if result is not None:
                return result
    rule = settle.boundary_rule(boundary)
    if is_foreign(in1) or is_foreign(in2):
        return beside(original(name)(in1, in2, mode, axes), stride, settings, boundary)  # type: ignore[no-any-return]
    x, w = np.asarray(in1), np.asarray(in2)
    if x.ndim == w.ndim == 0 and is_compiled(x, w):
        return beside(x * w, stride, settings, boundary)  # type: ignore[no-any-return]
    wanted = _axes(axes, x.ndim) if x.ndim == w.ndim else None
    if not wanted or not _settled(x, w, mode, wanted):
        result = original(name)(in1, in2, mode, axes)
        return beside(result, stride, settings, boundary)  # type: ignore[no-any-return]
    settings.check()
    x, w = np.asarray(first), np.asarray(second)
    steps = dict(zip(wanted, per_axis("stride", stride, len(wanted)), strict=True))
    # SciPy convolves where both operands have more than one sample and broadcasts elsewhere; its
    # integers stay integers where nothing is convolved at all.
    convolved = tuple(a for a in wanted if x.shape[a] != 1 and w.shape[a] != 1)
    dtype = np.result_type(*((_in_floats(x), _in_floats(w)) if convolved else (x, w)))
    if rule != "zero":
        convolved = wanted  # A filter of one tap or a signal of one sample meets its border too.
    if mode == "same":
        x, w = _centred(x, w, tuple(a for a in range(x.ndim) if a not in convolved))
    if not convolved and settings.plain and set(steps.values()) == {1}:
        return x * w  # type: ignore[no-any-return]
    made = settle.convolution(
        x, w, mode, convolved or wanted, tuple(steps[a] for a in convolved or wanted), rule, dtype
    )
    rest = [(a, steps[a]) for a in wanted if a not in (convolved or wanted) and steps[a] > 1]
    if not rest:
        result = settle.answer(made, settings, dtype)
        # Where "same" has cut a filter, or axes are not flipped, the next one is not the same.
        if w.shape == second.shape:
            replay.keep(memo, made, x, w.size, dtype)
        return result
    whole_bytes = dtype.itemsize * prod(made.shape)
    whole = settle.answer(made, request.less(settings, whole_bytes), dtype)
    keep = dict(rest)
    sliced = whole[tuple(slice(None, None, keep.get(a, 1)) for a in range(x.ndim))]
    if settings.out is None:
        return sliced.copy()
    request.check_out(settings.out, sliced.shape, sliced.dtype)
    settings.out[...] = sliced
    return settings.out


def _in_floats(array: Array) -> Any:
    """Return the dtype that SciPy's transforms give the array."""
    if array.dtype.kind in "biu":
        return np.dtype(np.float64)
    return np.dtype(np.float32) if array.dtype == np.float16 else array.dtype


def _axes(axes: Any, ndim: int) -> tuple[int, ...] | None:
    """Return the axes as a tuple of non-negative numbers, or None for what SciPy refuses."""
    if axes is None:
        return tuple(range(ndim))
    try:
        numbers = tuple(axes) if np.iterable(axes) else (axes,)
        numbers = tuple(request.integer("axes", a) for a in numbers)
    except TypeError:
        return None
    if any(not -ndim <= a < ndim for a in numbers):
        return None
    wrapped = tuple(a % ndim for a in numbers)
    return wrapped if len(set(wrapped)) == len(wrapped) else None


def _settled(x: Array, w: Array, mode: Any, axes: tuple[int, ...]) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim == 0 or x.size == 0 or w.size == 0 or not is_compiled(x, w):
        return False
    if not isinstance(mode, str) or mode not in settle.MODES:
        return False
    pairs = list(zip(x.shape, w.shape, strict=True))
    convolved = [pairs[a] for a in axes if 1 not in pairs[a]]
    others = [pairs[a] for a in range(x.ndim) if a not in axes]
    if any(n != k and 1 not in (n, k) for n, k in others):
        return False
    if mode != "valid" or not convolved:
        return True
    return settle.contains(*zip(*convolved, strict=True))


def _centred(x: Array, w: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Cut what "same" cuts from axes that broadcast: the middle, where x has one sample."""
    index = [slice(None)] * w.ndim
    for a in axes:
        if x.shape[a] == 1 and w.shape[a] > 1:
            middle = (w.shape[a] - 1) // 2
            index[a] = slice(middle, middle + 1)
    return x, w[tuple(index)]
