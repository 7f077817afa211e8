"""Pooling: the maximum over windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..problem import Problem
from ..request import Request, Settings


def max_pool2d(
    x: npt.ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> npt.NDArray[Any]:
    """Take the maximum over windows of the last two axes.

    Parameters
    ----------
    x : array_like, shape (..., h, w)
        Real numbers or bool.
    kernel_size : int or pair of int
        Rows and columns of a window.
    stride : int or pair of int, optional
        Steps between windows; by default `kernel_size`.
    padding : int or pair of int
        How far windows reach outside, at most half of `kernel_size`. What lies there never is a
        maximum.

    Returns
    -------
    ndarray, shape (..., (h + 2*padding - kernel_size) // stride + 1, likewise for w)
        Of the dtype of x.

    Raises
    ------
    ValueError
        If x has fewer than two axes, if a size does not suit, or if no window fits.
    TypeError
        If x is neither real nor bool, or a size is no integer.

    Notes
    -----
    ``out[..., i, j] = max over u, v of x[..., i*stride + u - padding, j*stride + v - padding]``;
    NaN propagates. Exact.

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
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x must hold real numbers or bool, got {array.dtype}")
    if array.ndim < 2:
        raise ValueError(f"x must have at least two axes, got shape {array.shape}")
    sizes = _pair("kernel_size", kernel_size, 1)
    strides = sizes if stride is None else _pair("stride", stride, 1)
    pads = _pair("padding", padding, 0)
    for size, pad in zip(sizes, pads, strict=True):
        if 2 * pad > size:
            raise ValueError(f"padding must be at most half of kernel_size {size}, got {pad}")
    outputs = []
    for n, k, s, p in zip(array.shape[-2:], sizes, strides, pads, strict=True):
        if n + 2 * p < k:
            raise ValueError(f"kernel_size must fit into the padded input {n + 2 * p}, got {k}")
        outputs.append((n + 2 * p - k) // s + 1)
    batch = array.shape[:-2]
    dtype = array.dtype.newbyteorder("=")
    problem = Problem(
        dtype.name,
        request.count(batch),
        True,
        array.shape[-2:],
        sizes,
        tuple(outputs),
        strides,
        (1, 1),
        pads,
        ("zero", "zero"),
        "max",
    )
    nothing = np.zeros(sizes, dtype)  # A window has a size and no taps.
    return request.answer(Request(problem, array, nothing, batch, None, dtype), Settings())


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    values = value if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be one integer or a pair, got {value!r}")
    numbers = [request.integer(name, v) for v in values]
    if min(numbers) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return numbers[0], numbers[1]
