"""Average pooling: the mean of each window."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..paths import pools
from ..paths.pool_windows import Windows
from . import reductions, taped
from .windows import Planes, Sizes, settle

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d"]

Array = npt.NDArray[Any]


def avg_pool1d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    layout: str = "NCL",
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Take the mean over windows of the last axis.

    Parameters
    ----------
    input : array_like, shape (..., l), or (..., l, c) for layout "NLC"
        Real numbers.
    kernel_size : int or tuple of one int
        The window.
    stride : int or tuple of one int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or tuple of one int
        How far windows reach outside, at most half of `kernel_size`; zeros lie there.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside. What lies
        beyond the padding is never counted.
    count_include_pad : bool
        Whether the padding's zeros count.
    layout : {"NCL", "NLC"}
        Where the channels are; an image alone has none in "NCL".
    out : ndarray, optional
        Where the means go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`; a mean of integers is truncated towards zero.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    ``out[i] = sum over t of input[i*stride + t - padding] / count[i]``; the error is at most
    ``(taps + 1) * eps`` times the mean of magnitudes. A NaN stays within its windows. Any number
    of axes may lead.

    References
    ----------
    ``torch.nn.functional.avg_pool1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.avg_pool1d([[1.0, 5.0, 2.0, 4.0]], 2)
    array([[3., 3.]])
    """
    sizes = (kernel_size, stride, padding, 1, ceil_mode)
    return _mean(1, input, sizes, count_include_pad, None, layout, out, workers)


def avg_pool2d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Take the mean over windows of the last two axes.

    Parameters
    ----------
    input : array_like, shape (..., h, w), or (..., h, w, c) for layout "NHWC"
        Real numbers.
    kernel_size : int or pair of int
        The window.
    stride : int or pair of int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or pair of int
        How far windows reach outside, at most half of `kernel_size`; zeros lie there.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside. What lies
        beyond the padding is never counted.
    count_include_pad : bool
        Whether the padding's zeros count.
    divisor_override : int, optional
        What every sum is divided by instead.
    layout : {"NCHW", "NHWC"}
        Where the channels are; an image alone has none in "NCHW".
    out : ndarray, optional
        Where the means go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`; a mean of integers is truncated towards zero.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    ``out[i] = sum over t of input[i*stride + t - padding] / count[i]``; the error is at most
    ``(taps + 1) * eps`` times the mean of magnitudes. A NaN stays within its windows. Any number
    of axes may lead.

    References
    ----------
    ``torch.nn.functional.avg_pool2d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.avg_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    sizes = (kernel_size, stride, padding, 1, ceil_mode)
    return _mean(2, input, sizes, count_include_pad, divisor_override, layout, out, workers)


def avg_pool3d(
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCDHW",
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Take the mean over windows of the last three axes.

    Parameters
    ----------
    input : array_like, shape (..., d, h, w), or (..., d, h, w, c) for layout "NDHWC"
        Real numbers.
    kernel_size : int or triple of int
        The window.
    stride : int or triple of int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or triple of int
        How far windows reach outside, at most half of `kernel_size`; zeros lie there.
    ceil_mode : bool
        Whether a last window that reaches further out is kept, if it begins inside. What lies
        beyond the padding is never counted.
    count_include_pad : bool
        Whether the padding's zeros count.
    divisor_override : int, optional
        What every sum is divided by instead.
    layout : {"NCDHW", "NDHWC"}
        Where the channels are; an image alone has none in "NCDHW".
    out : ndarray, optional
        Where the means go.
    workers : int, optional
        The most threads; by default as many as pay.

    Returns
    -------
    ndarray
        Of the dtype of `input`; a mean of integers is truncated towards zero.

    Raises
    ------
    ValueError
        If `input` has too few axes or no samples, a size does not suit, or no window fits.
    TypeError
        If `input` is not real, or a size is no integer.

    Notes
    -----
    ``out[i] = sum over t of input[i*stride + t - padding] / count[i]``; the error is at most
    ``(taps + 1) * eps`` times the mean of magnitudes. A NaN stays within its windows. Any number
    of axes may lead.

    References
    ----------
    ``torch.nn.functional.avg_pool3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    sizes = (kernel_size, stride, padding, 1, ceil_mode)
    return _mean(3, input, sizes, count_include_pad, divisor_override, layout, out, workers)


_NAMES = {1: "avg_pool1d", 2: "avg_pool2d", 3: "avg_pool3d"}


def _mean(
    ndim: int,
    input: npt.ArrayLike,
    sizes: tuple[Any, ...],
    count_include_pad: bool,
    divisor: int | None,
    layout: str,
    out: Array | None,
    workers: int | None,
) -> Array:
    key = taped.key_of(
        _NAMES[ndim],
        input,
        (*sizes[:3], divisor),
        (sizes[4], count_include_pad),
        layout,
        out,
        workers,
    )
    if key is not None and (found := taped.play(key, (input,), workers, out)) is not None:
        return found  # type: ignore[no-any-return]
    planes = Planes(input, ndim, layout)
    if planes.dtype.kind == "b":
        raise TypeError("input must hold numbers, got bool")
    windows = settle(planes.signal, *sizes)
    if ndim == 3 and any(n < k for n, k in zip(windows.signal, windows.size, strict=True)):
        # torch's rule in three dimensions alone.
        raise ValueError(f"kernel_size must fit into the input {windows.signal}, got {sizes[0]}")
    shares = counts(windows, count_include_pad, divisor)
    if key is not None:
        found = taped.compute(
            key, (planes.given,), planes.shape(windows.output), pools.seconds(planes.given),
            workers,
            lambda result: reductions.means_by_loops(planes, windows, shares, result, workers),
            out=out,
        )  # fmt: skip
        if found is not None:
            return found  # type: ignore[no-any-return]
    return reductions.means(planes, windows, shares, out, workers)


def counts(windows: Windows, include_pad: bool, divisor: int | None) -> tuple[Array, ...]:
    """Return, per axis, what the windows' sums are divided by: their product over the axes."""
    if divisor is not None:
        divisor = request.integer("divisor_override", divisor)
        if divisor == 0:
            raise ValueError("divisor_override must not be zero, got 0")
    return _counts(windows, bool(include_pad), divisor)


@lru_cache(maxsize=512)
def _counts(windows: Windows, include_pad: bool, divisor: int | None) -> tuple[Array, ...]:
    found = []
    for a, n in enumerate(windows.signal):
        start = np.arange(windows.output[a]) * windows.stride[a] - windows.pad[a]
        stop = np.minimum(start + windows.size[a], n + windows.pad[a])
        if not include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, n)
        if divisor is None:
            found.append((stop - start).astype(np.float64))
        else:
            found.append(np.full(windows.output[a], 1.0 if a else float(divisor)))
        found[-1].flags.writeable = False
    return tuple(found)
