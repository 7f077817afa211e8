"""scipy.ndimage's maximum and minimum filters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import recalled
from ..paths.bands import Pass
from ..paths.sliding import extreme_pass
from . import arguments
from .settle_extremes import run, under

Array = npt.NDArray[Any]


def maximum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: int | None = None,
) -> Array:
    """Take the greatest sample of every window along one axis: `scipy.ndimage.maximum_filter1d`.

    Parameters
    ----------
    input : array_like
        Real samples, of any shape.
    size : int
        Samples in a window.
    axis, output, mode, cval, origin
        As in `fastconv.ndimage.correlate1d`.
    workers : int, optional
        The most threads.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError
        If the samples are complex.
    RuntimeError
        If the size is less than one.
    ValueError
        If origin or axis lie outside their range.

    Notes
    -----
    ``out[i] = max over t < size of x~[i + t - size//2 - origin]``. A window that holds NaN gives
    NaN. Integers are compared as integers, also beyond 2**53.

    References
    ----------
    `scipy.ndimage.maximum_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    """
    return _along(True, input, size, axis, output, mode, cval, origin, workers)


def minimum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: int | None = None,
) -> Array:
    """Take the least sample of every window along one axis: `scipy.ndimage.minimum_filter1d`.

    Parameters
    ----------
    input, size, axis, output, mode, cval, origin, workers
        As in `maximum_filter1d`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As in `maximum_filter1d`.

    Notes
    -----
    As `maximum_filter1d` with min for max.

    References
    ----------
    `scipy.ndimage.minimum_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    return _along(False, input, size, axis, output, mode, cval, origin, workers)


def maximum_filter(
    input: npt.ArrayLike,
    size: Any = None,
    footprint: npt.ArrayLike | None = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: int | None = None,
) -> Array:
    """Take the greatest sample under a footprint: `scipy.ndimage.maximum_filter`.

    Parameters
    ----------
    input : array_like
        Real samples, of any shape.
    size : int or sequence of int, optional
        The box, for all axes or for each.
    footprint : array_like of bool, optional
        Which samples of a window count, instead of a box.
    output, cval, workers
        As in `maximum_filter1d`.
    mode, origin
        As in `maximum_filter1d`, for all axes or for each; a footprint that is no box has one mode.
    axes : int or tuple of int, optional
        The axes to filter; by default all.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError
        If the samples are complex.
    RuntimeError
        If there is neither size nor footprint, or it has another number of axes.
    ValueError
        If the footprint is empty, or origin or axes lie outside their range.

    Notes
    -----
    A box is taken axis by axis. NaN and integers as in `maximum_filter1d`.

    References
    ----------
    `scipy.ndimage.maximum_filter`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter([[1, 2, 3], [4, 5, 6]], 3)
    array([[5, 6, 6],
           [5, 6, 6]])
    """
    return _over(True, input, size, footprint, output, mode, cval, origin, axes, workers)


def minimum_filter(
    input: npt.ArrayLike,
    size: Any = None,
    footprint: npt.ArrayLike | None = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: int | None = None,
) -> Array:
    """Take the least sample under a footprint: `scipy.ndimage.minimum_filter`.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes, workers
        As in `maximum_filter`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As in `maximum_filter`.

    Notes
    -----
    As `maximum_filter` with min for max.

    References
    ----------
    `scipy.ndimage.minimum_filter`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter([[1, 2, 3], [4, 5, 6]], 3)
    array([[1, 1, 2],
           [1, 1, 2]])
    """
    return _over(False, input, size, footprint, output, mode, cval, origin, axes, workers)


def _along(
    greatest: bool, input: Any, size: Any, axis: Any, output: Any, mode: Any, cval: Any,
    origin: Any, workers: Any,
) -> Array:  # fmt: skip
    arguments.keywords(workers, None)
    name = "maximum_filter1d" if greatest else "minimum_filter1d"
    input = arguments.as_array(input)
    key = arguments.key_of(name, input, None, output, workers, size, axis, mode, cval, origin)
    result = arguments.remembered(key, input, output)
    if result is not None:
        return result
    x = np.asarray(input)
    if x.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    axis = arguments.one_axis(axis, x.ndim)
    if size < 1:
        raise RuntimeError("incorrect filter size")
    if not arguments.native(x):
        return arguments.beside(name, x, size, axis, output, mode, cval, origin)
    out = arguments.place(output, x.dtype, x.shape)
    run(x, out, [_pass(greatest, axis, size, origin, mode)], cval, workers, key)
    return out


def _over(
    greatest: bool, input: Any, size: Any, footprint: Any, output: Any, mode: Any, cval: Any,
    origin: Any, axes: Any, workers: Any,
) -> Array:  # fmt: skip
    arguments.keywords(workers, None)
    name, key = "maximum_filter" if greatest else "minimum_filter", None
    if size is None or footprint is None:
        input = arguments.as_array(input)
        key = arguments.key_of(
            name, input, footprint, output, workers, size, mode, cval, origin, axes
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=3)
    if footprint is None and size is None:
        raise RuntimeError("no footprint provided")
    if footprint is not None:
        footprint = np.asarray(footprint, bool)
        if not footprint.any():
            raise ValueError("All-zero footprint is not supported.")
        if footprint.all():
            size, footprint = footprint.shape, None
    x = np.asarray(input)
    if x.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if not arguments.native(x):
        return arguments.beside(
            name, x, size if footprint is None else None, footprint, output, mode, cval, origin,
            axes=axes,
        )  # fmt: skip
    out = arguments.place(output, x.dtype, x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    if footprint is not None:
        under(greatest, x, footprint, out, mode, cval, origin, chosen, workers, key)
        return out
    columns = [arguments.per_axis(v, len(chosen)) for v in (size, origin, mode)]
    passes = [
        _pass(greatest, a, int(s), o, m)
        for a, s, o, m in zip(chosen, *columns, strict=True)
        if s > 1
    ]
    if passes:
        run(x, out, passes, cval, workers, key)
    else:
        out[...] = x
        recalled.keep_copy(key, out.dtype, x.shape)
    return out


def _pass(greatest: bool, axis: int, size: int, origin: Any, mode: Any) -> Pass:
    if not 0 <= size // 2 + origin < size:
        raise ValueError(f"invalid origin: must keep the window on its sample, got {origin}")
    pad = size // 2 + arguments.integer(origin)
    return extreme_pass(axis, arguments.integer(size), pad, arguments.rule(mode), greatest)
