"""Convolution layers on NumPy arrays, with torch.nn.functional's meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..filters import Filters
from ..planner.explain import Explanation
from . import taped
from .arguments import Array, Settings, packed
from .forward import Activation, Geometry, convolve

__all__ = ["conv1d", "conv2d", "conv3d", "explain_conv2d", "pack"]


def conv2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCHW",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Correlate images with filters over all their channels.

    Parameters
    ----------
    input : array_like, shape (n, c, h, w) or (c, h, w)
        One image or several; integers, floats or complex numbers. With ``layout="NHWC"`` the
        channel is the last axis.
    weight : array_like or packed filters, shape (filters, c // groups, kh, kw)
        The filters, of the dtype of `input`, in this order whatever the layout; see `pack`.
    bias : array_like, shape (filters,), optional
        Added to every output of a filter.
    stride, dilation : int or pair of int
        Steps between windows, and between the taps of a window.
    padding : int, pair of int, "same" or "valid"
        Zeros before and after each axis; "same" keeps the size (the odd zero comes last), for
        stride 1 only.
    groups : int
        Into how many independent layers the channels fall; as many as channels is depthwise.
    activation : {None, "relu", "leaky_relu"} or callable
        Applied to each output before it leaves the cache. A function compiled by ``numba.njit``
        takes one number; any other callable takes an array and returns one of its shape.
    negative_slope : float
        The slope of "leaky_relu" below zero.
    layout : {"NCHW", "NHWC"}
        Order of the axes of `input` and of the result.
    out : ndarray, optional
        Where the result goes.
    workers : int, optional
        The most threads; by default as many as there are CPUs.
    accuracy : {None, "normwise", "componentwise", "exact"}
        The least guarantee that is acceptable. "normwise" permits, beyond what None does,
        Winograd's tiles for 3 x 3 windows, which take a half to a third of the time.
    method : str
        "auto", or the path that must answer; see `explain_conv2d`.

    Returns
    -------
    ndarray, shape (n, filters, oh, ow), or as the layout and `input` have it
        Of the dtype of `input`, with ``oh = (h + 2*padding - dilation*(kh-1) - 1) // stride + 1``,
        likewise ow. Images without channels give, as in torch, images without channels.

    Raises
    ------
    ValueError
        If a shape, a size or a word does not suit, or if no window fits.
    TypeError
        If the dtypes differ or hold no numbers, or if a size is no integer.

    Notes
    -----
    ``out[n, f, i, j] = activation(bias[f] + sum over c, u, v of
    x~[n, c, i*stride + u*dilation - padding, j*stride + v*dilation - padding] * w[f, c, u, v])``,
    x~ being the images continued by zeros. Integers are exact modulo 2^n. Of a float the error is
    at most ``(taps + 4) * eps * sum |x||w|`` for that output; long filters over few channels may go
    by transforms, each plane's error being at most ``9 * eps * log2(L) * ||x||_2 ||w||_2`` over
    blocks of L samples, unless `accuracy` is "componentwise". Winograd's tiles of m x m outputs,
    for those who ask, are off by at most ``(channels + 20) * eps * K**2 * sum over c of max|x[c]|
    * max|w[f, c]|``, x[c] being the (m + 2) x (m + 2) samples under a tile and K = 22.3 for m = 4,
    8 for m = 2; typically by less than twice what a direct sum is off. NaN and infinities reach the
    outputs whose windows see them; elsewhere a padding zero is a factor like any other.

    References
    ----------
    ``torch.nn.functional.conv2d``. A. Lavin, S. Gray: Fast algorithms for convolutional neural
    networks, CVPR 2016.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> image = np.arange(16.0).reshape(1, 4, 4)
    >>> edges = np.array([[[[1.0, 0.0, -1.0]]]])
    >>> fastconv.nn.conv2d(image, edges, bias=[3.0], activation="relu")
    array([[[1., 1.],
            [1., 1.],
            [1., 1.],
            [1., 1.]]])
    """
    found = taped.layer(
        "", 0, input, weight, bias, stride, padding, dilation, groups, activation, negative_slope,
        layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return np.asarray(convolve(2, input, weight, shape, after, settings))


def conv1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCL",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Correlate signals with filters over all their channels.

    Parameters
    ----------
    input : array_like, shape (n, c, l) or (c, l)
        With ``layout="NLC"`` the channel is the last axis.
    weight : array_like or packed filters, shape (filters, c // groups, k)
        The filters.
    bias, stride, padding, dilation, groups
        As for `conv2d`, for one axis.
    activation, negative_slope, layout, out, workers, accuracy, method
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (n, filters, (l + 2*padding - dilation*(k-1) - 1) // stride + 1)
        Of the dtype of `input`.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Notes
    -----
    The formula and the error bound of `conv2d`, for one axis.

    References
    ----------
    ``torch.nn.functional.conv1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.conv1d([[1.0, 2.0, 4.0, 8.0]], [[[-1.0, 1.0]]])
    array([[1., 2., 4.]])
    """
    found = taped.layer(
        "", 0, input, weight, bias, stride, padding, dilation, groups, activation, negative_slope,
        layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return np.asarray(convolve(1, input, weight, shape, after, settings))


def conv3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCDHW",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Correlate volumes with filters over all their channels.

    Parameters
    ----------
    input : array_like, shape (n, c, d, h, w) or (c, d, h, w)
        With ``layout="NDHWC"`` the channel is the last axis.
    weight : array_like or packed filters, shape (filters, c // groups, kd, kh, kw)
        The filters.
    bias, stride, padding, dilation, groups
        As for `conv2d`, for three axes.
    activation, negative_slope, layout, out, workers, accuracy, method
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (n, filters, od, oh, ow)
        Of the dtype of `input`; each size as that of `conv2d`.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Notes
    -----
    The formula and the error bound of `conv2d`, for three axes.

    References
    ----------
    ``torch.nn.functional.conv3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> ones = np.ones((1, 2, 2, 3))
    >>> fastconv.nn.conv3d(ones, np.ones((1, 1, 2, 2, 2)))
    array([[[[8., 8.]]]])
    """
    found = taped.layer(
        "", 0, input, weight, bias, stride, padding, dilation, groups, activation, negative_slope,
        layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return np.asarray(convolve(3, input, weight, shape, after, settings))


def explain_conv2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    accuracy: str | None = None,
    method: str = "auto",
) -> Explanation:
    """Return which algorithm `conv2d` would use, and why.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups, layout, accuracy, method
        As for `conv2d`.

    Returns
    -------
    Explanation
        A table of all paths; its ``chosen`` would answer now.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> x, w = np.ones((3, 9, 9)), np.ones((8, 3, 3, 3))
    >>> fastconv.nn.explain_conv2d(x, w, method="matrix").chosen
    'matrix'
    """
    shape = Geometry(stride, padding, dilation, groups)
    settings = Settings(layout, method, accuracy)
    found = convolve(2, input, weight, shape, Activation(bias), settings, explain=True)
    assert isinstance(found, Explanation)
    return found


def pack(weight: npt.ArrayLike) -> Filters:
    """Return filters that are laid out for the kernels once, not in every call.

    Parameters
    ----------
    weight : array_like
        What a layer takes as its weight. It is copied.

    Returns
    -------
    Filters
        Accepted wherever a weight is, as often as one likes and from several threads.

    Raises
    ------
    TypeError
        If `weight` holds no numbers.

    Notes
    -----
    The first call that uses the filters prepares them for its algorithm; later ones find them so.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> blur = fastconv.nn.pack(np.full((1, 1, 2, 2), 0.25))
    >>> fastconv.nn.conv2d(np.eye(3)[None], blur)
    array([[[0.5 , 0.25],
            [0.25, 0.5 ]]])
    """
    array = np.asarray(weight)
    if array.dtype.kind not in "iufc":
        raise TypeError(f"weight must hold numbers, got {array.dtype}")
    own = packed(array)
    own = own.copy() if np.may_share_memory(own, array) else own
    own.flags.writeable = False
    return Filters(own, keeps=True)
