"""Max pooling: the largest sample of each window, and where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from ..paths import pools
from . import reductions, taped
from .windows import Planes, Sizes, settle

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]

Array = npt.NDArray[Any]


def max_pool1d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCL",
    out: Array | None = None,
    workers: int | None = None,
) -> Any:
    """Take the maximum over windows of the last axis.

    Parameters
    ----------
    input : array_like, shape (..., l), or (..., l, c) for layout "NLC"
        Real numbers or bool.
    kernel_size : int or tuple of one int
        The window.
    stride : int or tuple of one int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or tuple of one int
        How far windows reach outside, at most half of `kernel_size`. What lies there never is a
        maximum.
    dilation : int or tuple of one int
        Steps between the samples of a window.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside.
    return_indices : bool
        Whether to return the places too.
    layout : {"NCL", "NLC"}
        Where the channels are; an image alone has none in "NCL".
    out : ndarray, optional
        Where the maxima go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        The maxima, of the dtype of `input`, and of each window's its flat int64 index in its
        plane: the first of equals, the last NaN.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    ``out[i] = max over t of input[i*stride + t*dilation - padding]`` on each pooled axis, for the
    samples that exist; NaN propagates. Exact. Any number of axes may lead.

    References
    ----------
    ``torch.nn.functional.max_pool1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_pool1d([[1.0, 5.0, 2.0, 3.0, 4.0]], 3, 2)
    array([[5., 4.]])
    """
    return _max(
        1,
        input,
        (kernel_size, stride, padding, dilation, ceil_mode),
        return_indices,
        layout,
        out,
        workers,
    )


def max_pool2d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    out: Array | None = None,
    workers: int | None = None,
) -> Any:
    """Take the maximum over windows of the last two axes.

    Parameters
    ----------
    input : array_like, shape (..., h, w), or (..., h, w, c) for layout "NHWC"
        Real numbers or bool.
    kernel_size : int or pair of int
        The window.
    stride : int or pair of int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or pair of int
        How far windows reach outside, at most half of `kernel_size`. What lies there never is a
        maximum.
    dilation : int or pair of int
        Steps between the samples of a window.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside.
    return_indices : bool
        Whether to return the places too.
    layout : {"NCHW", "NHWC"}
        Where the channels are; an image alone has none in "NCHW".
    out : ndarray, optional
        Where the maxima go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        The maxima, of the dtype of `input`, and of each window's its flat int64 index in its
        plane: the first of equals, the last NaN.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    ``out[i] = max over t of input[i*stride + t*dilation - padding]`` on each pooled axis, for the
    samples that exist; NaN propagates. Exact. Any number of axes may lead.

    References
    ----------
    ``torch.nn.functional.max_pool2d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.max_pool2d(np.arange(16).reshape(4, 4), 2)
    array([[ 5,  7],
           [13, 15]])
    """
    return _max(
        2,
        input,
        (kernel_size, stride, padding, dilation, ceil_mode),
        return_indices,
        layout,
        out,
        workers,
    )


def max_pool3d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCDHW",
    out: Array | None = None,
    workers: int | None = None,
) -> Any:
    """Take the maximum over windows of the last three axes.

    Parameters
    ----------
    input : array_like, shape (..., d, h, w), or (..., d, h, w, c) for layout "NDHWC"
        Real numbers or bool.
    kernel_size : int or triple of int
        The window.
    stride : int or triple of int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or triple of int
        How far windows reach outside, at most half of `kernel_size`. What lies there never is a
        maximum.
    dilation : int or triple of int
        Steps between the samples of a window.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside.
    return_indices : bool
        Whether to return the places too.
    layout : {"NCDHW", "NDHWC"}
        Where the channels are; an image alone has none in "NCDHW".
    out : ndarray, optional
        Where the maxima go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray, or a pair of them with `return_indices`
        The maxima, of the dtype of `input`, and of each window's its flat int64 index in its
        plane: the first of equals, the last NaN.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is neither real nor bool, or a size is no integer.

    Notes
    -----
    ``out[i] = max over t of input[i*stride + t*dilation - padding]`` on each pooled axis, for the
    samples that exist; NaN propagates. Exact. Any number of axes may lead.

    References
    ----------
    ``torch.nn.functional.max_pool3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.max_pool3d(np.arange(8).reshape(1, 2, 2, 2), 2)
    array([[[[7]]]])
    """
    return _max(
        3,
        input,
        (kernel_size, stride, padding, dilation, ceil_mode),
        return_indices,
        layout,
        out,
        workers,
    )


_NAMES = {1: "max_pool1d", 2: "max_pool2d", 3: "max_pool3d"}


def _max(
    ndim: int,
    input: npt.ArrayLike,
    sizes: tuple[Any, ...],
    return_indices: bool,
    layout: str,
    out: Array | None,
    workers: int | None,
) -> Any:
    key = taped.key_of(
        _NAMES[ndim], input, sizes[:4], (sizes[4], return_indices), layout, out, workers
    )
    if key is not None and (found := taped.play(key, (input,), workers, out)) is not None:
        return found
    planes = Planes(input, ndim, layout)
    windows = settle(planes.signal, *sizes)
    if key is not None:
        by_loops: Callable[..., bool] = reductions.maxima_by_loops
        if return_indices:
            by_loops = reductions.places_by_loops
        shape = planes.shape(windows.output)
        found = taped.compute(
            key, (planes.given,), shape, pools.seconds(planes.given), workers,
            lambda *results: by_loops(planes, windows, *results, workers),
            shape if return_indices else None, out,
        )  # fmt: skip
        if found is not None:
            return found
    if return_indices:
        return reductions.maxima_and_places(planes, windows, out, workers)
    return reductions.maxima(planes, windows, out, workers)
