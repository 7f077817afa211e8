"""Adaptive pooling: as many windows as are asked for, as even as they can be."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..paths import pool_windows, pools
from ..paths.pool_windows import Windows
from . import reductions, taped
from .averaging import counts
from .windows import Planes, settle

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

Array = npt.NDArray[Any]
Wanted = int | tuple[int | None, ...] | None


def adaptive_avg_pool1d(
    input: npt.ArrayLike,
    output_size: Wanted,
    *,
    layout: str = "NCL",
    workers: int | None = None,
) -> Array:
    """Take the mean over a given number of windows of the last axis.

    Parameters
    ----------
    input : array_like, shape (..., l), or (..., l, c) for layout "NLC"
        Real numbers.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    layout : {"NCL", "NLC"}
        Where the channels are; an image alone has none in "NCL".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_avg_pool1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.adaptive_avg_pool1d([[1.0, 5.0, 2.0, 4.0]], 2)
    array([[3., 3.]])
    """
    result: Array = _adaptive(1, input, output_size, "avg", False, layout, workers)
    return result


def adaptive_max_pool1d(
    input: npt.ArrayLike,
    output_size: Wanted,
    return_indices: bool = False,
    *,
    layout: str = "NCL",
    workers: int | None = None,
) -> Any:
    """Take the maximum over a given number of windows of the last axis.

    Parameters
    ----------
    input : array_like, shape (..., l), or (..., l, c) for layout "NLC"
        Real numbers or bool.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    return_indices : bool
        Whether to return the places too, as `max_pool1d` does.
    layout : {"NCL", "NLC"}
        Where the channels are; an image alone has none in "NCL".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_max_pool1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.adaptive_max_pool1d([[1.0, 5.0, 2.0, 4.0]], 2)
    array([[5., 4.]])
    """
    return _adaptive(1, input, output_size, "max", return_indices, layout, workers)


def adaptive_avg_pool2d(
    input: npt.ArrayLike,
    output_size: Wanted,
    *,
    layout: str = "NCHW",
    workers: int | None = None,
) -> Array:
    """Take the mean over a given number of windows of the last two axes.

    Parameters
    ----------
    input : array_like, shape (..., h, w), or (..., h, w, c) for layout "NHWC"
        Real numbers.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    layout : {"NCHW", "NHWC"}
        Where the channels are; an image alone has none in "NCHW".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_avg_pool2d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.adaptive_avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    result: Array = _adaptive(2, input, output_size, "avg", False, layout, workers)
    return result


def adaptive_max_pool2d(
    input: npt.ArrayLike,
    output_size: Wanted,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    workers: int | None = None,
) -> Any:
    """Take the maximum over a given number of windows of the last two axes.

    Parameters
    ----------
    input : array_like, shape (..., h, w), or (..., h, w, c) for layout "NHWC"
        Real numbers or bool.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    return_indices : bool
        Whether to return the places too, as `max_pool2d` does.
    layout : {"NCHW", "NHWC"}
        Where the channels are; an image alone has none in "NCHW".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_max_pool2d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.adaptive_max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    return _adaptive(2, input, output_size, "max", return_indices, layout, workers)


def adaptive_avg_pool3d(
    input: npt.ArrayLike,
    output_size: Wanted,
    *,
    layout: str = "NCDHW",
    workers: int | None = None,
) -> Array:
    """Take the mean over a given number of windows of the last three axes.

    Parameters
    ----------
    input : array_like, shape (..., d, h, w), or (..., d, h, w, c) for layout "NDHWC"
        Real numbers.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    layout : {"NCDHW", "NDHWC"}
        Where the channels are; an image alone has none in "NCDHW".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_avg_pool3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.adaptive_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 1)
    array([[[[3.5]]]])
    """
    result: Array = _adaptive(3, input, output_size, "avg", False, layout, workers)
    return result


def adaptive_max_pool3d(
    input: npt.ArrayLike,
    output_size: Wanted,
    return_indices: bool = False,
    *,
    layout: str = "NCDHW",
    workers: int | None = None,
) -> Any:
    """Take the maximum over a given number of windows of the last three axes.

    Parameters
    ----------
    input : array_like, shape (..., d, h, w), or (..., d, h, w, c) for layout "NDHWC"
        Real numbers or bool.
    output_size : int or tuple of int or None
        How many windows; None keeps an axis as long as it is.
    return_indices : bool
        Whether to return the places too, as `max_pool3d` does.
    layout : {"NCDHW", "NDHWC"}
        Where the channels are; an image alone has none in "NCDHW".
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, or a size is negative.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    Window i of m over n samples goes from ``floor(i*n/m)`` up to ``ceil((i + 1)*n/m)``.

    References
    ----------
    ``torch.nn.functional.adaptive_max_pool3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 1)
    array([[[[7.]]]])
    """
    return _adaptive(3, input, output_size, "max", return_indices, layout, workers)


def _adaptive(
    ndim: int,
    input: npt.ArrayLike,
    output_size: Wanted,
    reduction: str,
    return_indices: bool,
    layout: str,
    workers: int | None,
) -> Any:
    name = f"adaptive_{reduction}_pool{ndim}d"
    key = taped.key_of(name, input, (output_size,), (return_indices,), layout, None, workers)
    if key is not None and (found := taped.play(key, (input,), workers)) is not None:
        return found
    planes = Planes(input, ndim, layout)
    if reduction == "avg" and planes.dtype.kind == "b":
        raise TypeError("input must hold numbers, got bool")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * ndim
    if len(wanted) != ndim:
        raise ValueError(f"output_size must be one integer or {ndim}, got {output_size!r}")
    outputs = tuple(
        n if m is None else request.integer("output_size", m)
        for n, m in zip(planes.signal, wanted, strict=True)
    )
    if min(outputs) < 0:
        raise ValueError(f"output_size must not be negative, got {output_size!r}")
    if key is not None and 0 not in outputs:
        by_loops = partial(_by_loops, planes, outputs, reduction, workers)
        shape, seconds = planes.shape(outputs), pools.seconds(planes.given)
        found = taped.compute(
            key, (planes.given,), shape, seconds, workers, by_loops,
            shape if return_indices else None,
        )  # fmt: skip
        if found is not None:
            return found
    windows = _even(planes, outputs)
    if windows is not None:
        if reduction == "avg":
            return reductions.means(planes, windows, counts(windows, True, None), None, workers)
        if return_indices:
            return reductions.maxima_and_places(planes, windows, None, workers)
        return reductions.maxima(planes, windows, None, workers)
    return _uneven(planes, outputs, reduction, return_indices, workers)


def _even(planes: Planes, outputs: tuple[int, ...]) -> Windows | None:
    """Return windows of one size that are all there is, or None."""
    if 0 in outputs or any(n % m for n, m in zip(planes.signal, outputs, strict=True)):
        return None
    size = tuple(n // m for n, m in zip(planes.signal, outputs, strict=True))
    return settle(planes.signal, size, None, 0, 1, False)


def _by_loops(
    planes: Planes, outputs: tuple[int, ...], reduction: str, workers: int | None, result: Array,
    places: Array | None = None,
) -> bool:  # fmt: skip
    """Store the result by compiled loops alone, or return False."""
    windows = _even(planes, outputs)
    if windows is not None and reduction == "avg":
        shares = counts(windows, True, None)
        return reductions.means_by_loops(planes, windows, shares, result, workers)
    if windows is not None and places is not None:
        return reductions.places_by_loops(planes, windows, result, places, workers)
    if windows is not None:
        return reductions.maxima_by_loops(planes, windows, result, workers)
    if planes.channels_last:
        return reductions.adaptive_last(planes, outputs, reduction, workers, result, places)
    boxes = pool_windows.adaptive(planes.signal, outputs)
    x, into = planes.packed(), result.reshape(planes.planes, *outputs)
    if reduction == "avg":
        return reductions.box_means_by_loops(x, into, boxes, workers)
    where = None if places is None else places.reshape(into.shape)
    return pools.box_maxima(boxes, x, into, where, workers)


def _uneven(
    planes: Planes,
    outputs: tuple[int, ...],
    reduction: str,
    return_indices: bool,
    workers: int | None,
) -> Any:
    if planes.channels_last:
        result = planes.place(None, outputs, False)
        places = np.empty(result.shape, np.int64)
        wanted = places if return_indices else None
        if reductions.adaptive_last(planes, outputs, reduction, workers, result, wanted):
            return (result, places) if return_indices else result
    moved = planes.channels_last
    result = planes.place(None, outputs, moved)
    places = np.empty(result.shape, np.int64)
    boxes = pool_windows.adaptive(planes.signal, outputs)
    if result.size:
        x, shape = planes.packed(), (planes.planes, *outputs)
        into, where = result.reshape(shape), places.reshape(shape)
        if reduction == "avg":
            reductions.box_means(x, into, boxes, workers)
        elif not pools.box_maxima(boxes, x, into, where if return_indices else None, workers):
            pools.search(x, into, where, boxes.axes)
    if return_indices:
        return planes.deliver(result, None, moved), planes.deliver(places, None, moved)
    return planes.deliver(result, None, moved)
