"""The way back: maxima to the places they came from, and gradients of pooling."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..paths import pool_backward, pools
from ..paths.pool_windows import Windows
from ..runtime.scratch import scratch
from . import reductions, taped
from .averaging import counts
from .windows import Planes, Sizes, each, settle

__all__ = [
    "avg_pool2d_backward",
    "max_pool2d_backward",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Array = npt.NDArray[Any]


def max_unpool1d(
    input: npt.ArrayLike,
    indices: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put maxima back where `max_pool1d` found them, zeros elsewhere; see `max_unpool2d`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_unpool1d([[5.0, 4.0]], [[1, 3]], 2)
    array([[0., 5., 0., 4.]])
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: npt.ArrayLike,
    indices: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put maxima back where `max_pool2d` found them, zeros elsewhere.

    Parameters
    ----------
    input : array_like, shape (..., h, w)
        The maxima.
    indices : array_like of int, of the shape of `input`
        Flat places in each plane of the result.
    kernel_size, stride, padding : int or pair of int
        Those of the pooling.
    output_size : tuple of int, optional
        The lengths of the result's last axes (or its whole shape): less than one stride away from
        ``(n - 1) * stride - 2 * padding + kernel_size``, which is the default.

    Returns
    -------
    ndarray
        Of the dtype of `input`. Where a place is named twice, one of the two is kept.

    Raises
    ------
    ValueError
        If shapes or sizes do not suit, or a place lies outside.
    TypeError
        If `indices` are no integers, or `input` is not real.

    References
    ----------
    ``torch.nn.functional.max_unpool2d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_unpool2d([[[7.0]]], [[[2]]], 2)
    array([[[0., 0.],
            [7., 0.]]])
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: npt.ArrayLike,
    indices: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put maxima back where `max_pool3d` found them, zeros elsewhere; see `max_unpool2d`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_unpool3d([[[[7.0]]]], [[[[0]]]], (1, 1, 2))
    array([[[[7., 0.]]]])
    """
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _unpool(
    ndim: int,
    input: npt.ArrayLike,
    indices: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: tuple[int, ...] | None,
) -> Array:
    key = taped.key_of(
        _NAMES[ndim], input, (kernel_size, stride, padding, output_size), (), "", None, None
    )
    key = key if _are_places(indices) else None
    if key is not None and (found := taped.play(key, (input, indices))) is not None:
        return _where_right(found, ndim)
    values, places = np.asarray(input), np.asarray(indices)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"input must hold real numbers or bool, got {values.dtype}")
    if places.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, got {places.dtype}")
    if values.shape != places.shape:
        raise ValueError(f"indices must have the shape {values.shape}, got {places.shape}")
    if values.ndim < ndim or 0 in values.shape[values.ndim - ndim :]:
        raise ValueError(f"input must have {ndim} axes with samples, got shape {values.shape}")
    sizes = each("kernel_size", kernel_size, ndim, 1)
    strides = sizes if stride is None else each("stride", stride, ndim, 1)
    pads = each("padding", padding, ndim, 0)
    lead, last = values.shape[: values.ndim - ndim], values.shape[values.ndim - ndim :]
    usual = tuple(
        (n - 1) * s - 2 * p + k for n, k, s, p in zip(last, sizes, strides, pads, strict=True)
    )
    wanted = usual if output_size is None else tuple(output_size)[-ndim:]
    if len(wanted) != ndim:
        raise ValueError(f"output_size must have {ndim} lengths, got {output_size!r}")
    for n, m, s in zip(usual, wanted, strides, strict=True):
        if not n - s < m < n + s or m < 0:
            raise ValueError(f"output_size must lie within a stride of {usual}, got {output_size}")
    shape, both = (prod(lead), prod(wanted)), (prod(lead), prod(last))

    values, flat = _packed(values), _packed(places, np.int64)

    def by_loop(result: Array, wrong: Array) -> bool:
        return pool_backward.put(
            values.reshape(both), flat.reshape(both), result.reshape(shape), wrong
        )

    if 0 not in wanted:
        found = taped.compute(
            key, (values, flat), (*lead, *wanted), pools.seconds(values), 1, by_loop, (1,)
        )
        if found is not None:
            return _where_right(found, ndim)
    out, flat = np.zeros(shape, values.dtype), flat.reshape(both)
    if flat.size:
        if flat.min() < 0 or flat.max() >= out.shape[1]:
            raise ValueError(_OUTSIDE.format(out.shape[1] - 1))
        np.put_along_axis(out, flat, values.reshape(flat.shape), 1)
    return out.reshape(*lead, *wanted)


_NAMES = {1: "max_unpool1d", 2: "max_unpool2d", 3: "max_unpool3d"}
_OUTSIDE = "indices must lie within 0..{}"


def _packed(array: Array, dtype: Any = None) -> Array:
    dtype = array.dtype.newbyteorder("=") if dtype is None else dtype
    return np.asarray(np.require(array, dtype, ("C", "A")))


def _are_places(indices: Any) -> bool:
    """Return whether these are the numbers that the loops take."""
    return type(indices) is np.ndarray and indices.dtype == np.int64


def _where_right(found: tuple[Array, Array], ndim: int) -> Array:
    """Return the result unless a place lay outside it."""
    result, wrong = found
    if wrong[0]:
        raise ValueError(_OUTSIDE.format(prod(result.shape[-ndim:]) - 1))
    return result


def max_pool2d_backward(
    grad_output: npt.ArrayLike,
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    indices: npt.ArrayLike | None = None,
) -> Array:
    """Return the gradient of `max_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        The gradient with respect to the pooling's result, of its shape.
    input : array_like, shape (..., h, w)
        What was pooled, floats.
    kernel_size, stride, padding, dilation, ceil_mode
        As they were given to `max_pool2d`.
    indices : array_like of int, optional
        The places that `max_pool2d` returned, if they are at hand; else they are found again.

    Returns
    -------
    ndarray
        Of the shape and dtype of `input`: each window's gradient goes to its maximum.

    Raises
    ------
    ValueError, TypeError
        If arguments do not suit each other.

    References
    ----------
    ``torch.ops.aten.max_pool2d_with_indices_backward``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.max_pool2d_backward([[[2.0]]], [[[1.0, 4.0], [3.0, 0.0]]], 2)
    array([[[0., 2.],
            [0., 0.]]])
    """
    sizes = (kernel_size, stride, padding, dilation)
    key = _key_of("max_pool2d_backward", grad_output, input, sizes, (ceil_mode, indices is None))
    key = key if indices is None or _are_places(indices) else None
    other = input if indices is None else indices
    if key is not None and (found := taped.play(key, (grad_output, other))) is not None:
        return _where_right(found, 2)
    planes = Planes(input, 2, "NCHW")
    windows = settle(planes.signal, *sizes, ceil_mode)
    grad = _gradient(grad_output, planes, windows.output)
    shape, whole = (planes.planes, prod(windows.output)), (planes.planes, prod(planes.signal))
    given = None
    if indices is not None:
        given = np.asarray(indices)
        if given.shape != planes.shape(windows.output) or given.dtype.kind not in "iu":
            raise ValueError(
                f"indices must be integers of shape {planes.shape(windows.output)}, "
                f"got {given.dtype} of {given.shape}"
            )
        given = _packed(given, np.int64)
    if 0 not in grad.shape:
        other = _packed(planes.given) if given is None else given
        found = taped.compute(
            key, (grad, other), planes.shape(planes.signal),
            pools.seconds(planes.given), 1,
            lambda result, wrong: _scatter(
                planes, windows, grad.reshape(shape), given, result.reshape(whole), wrong
            ), (1,),
        )  # fmt: skip
        if found is not None:
            return _where_right(found, 2)
    if given is None:
        given = reductions.maxima_and_places(planes, windows, None, None)[1]
    elif given.size and not 0 <= given.min() <= given.max() < prod(planes.signal):
        raise ValueError(_OUTSIDE.format(prod(planes.signal) - 1))
    out = np.zeros(whole, planes.dtype)
    if grad.size:
        flat = given.reshape(shape) + (np.arange(len(out)) * whole[1])[:, None]
        np.add.at(out.reshape(-1), flat.reshape(-1), grad.reshape(-1))
    return out.reshape(planes.shape(planes.signal))


def _scatter(
    planes: Planes, windows: Windows, grad: Array, places: Array | None, out: Array, wrong: Array
) -> bool:
    """Add the gradient up at its places, those of the maxima if none are given, by loops alone."""
    if places is None:
        maxima = scratch(grad.size, planes.dtype, "maxima").reshape(planes.shape(windows.output))
        places = scratch(grad.size, np.int64, "places").reshape(maxima.shape)
        if not reductions.places_by_loops(planes, windows, maxima, places, 1):
            return False
    return pool_backward.scatter(grad, places.reshape(grad.shape), out, wrong)


def avg_pool2d_backward(
    grad_output: npt.ArrayLike,
    input: npt.ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Return the gradient of `avg_pool2d` with respect to its input.

    Parameters
    ----------
    grad_output : array_like
        The gradient with respect to the pooling's result, of its shape.
    input : array_like, shape (..., h, w)
        What was pooled, floats; only its shape and dtype count.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As they were given to `avg_pool2d`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `input`: each sample of a window gets an equal share.

    Raises
    ------
    ValueError, TypeError
        If arguments do not suit each other.

    References
    ----------
    ``torch.ops.aten.avg_pool2d_backward``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.avg_pool2d_backward([[[2.0]]], np.zeros((1, 2, 2)), 2)
    array([[[0.5, 0.5],
            [0.5, 0.5]]])
    """
    sizes = (kernel_size, stride, padding)
    flags = (ceil_mode, count_include_pad)
    key = _key_of("avg_pool2d_backward", grad_output, input, (*sizes, divisor_override), flags)
    if key is not None and (found := taped.play(key, (grad_output,))) is not None:
        return found  # type: ignore[no-any-return]
    planes = Planes(input, 2, "NCHW")
    windows = settle(planes.signal, *sizes, 1, ceil_mode)
    grad = _gradient(grad_output, planes, windows.output)
    shares = counts(windows, count_include_pad, divisor_override)
    if planes.dtype.itemsize > 2:
        divisors = reductions.divisors_of(shares, planes.dtype)
        found = taped.compute(
            key, (grad,), planes.shape(planes.signal), pools.seconds(planes.given), 1,
            lambda result: pool_backward.spread(windows, grad, result, *divisors),
        )  # fmt: skip
        if found is not None:
            return found  # type: ignore[no-any-return]
    rows, columns = shares
    share = grad / (rows[:, None] * columns).astype(planes.dtype)
    share = share.reshape(planes.planes, *windows.output)
    out = np.zeros((planes.planes, *planes.signal), planes.dtype)
    for tap in product(*(range(k) for k in windows.size)):
        to: list[slice] = []
        came: list[slice] = []
        for a, t in enumerate(tap):
            # Those windows whose tap t falls inside.
            n, s, p = windows.signal[a], windows.stride[a], windows.pad[a]
            lo, hi = geometry.interior(n, 1, windows.output[a], s, 1, p - t)
            first = lo * s + t - p
            came.append(slice(lo, hi))
            to.append(slice(first, first + max(hi - lo - 1, 0) * s + (hi > lo), s))
        out[:, to[0], to[1]] += share[:, came[0], came[1]]
    return out.reshape(planes.shape(planes.signal))


def _key_of(
    name: str, grad: Any, input: Any, sizes: tuple[Any, ...], flags: tuple[Any, ...]
) -> Any:
    """Return all that a gradient follows from besides its numbers, or None."""
    if type(input) is not np.ndarray or type(grad) is not np.ndarray or grad.dtype != input.dtype:
        return None
    key = taped.key_of(name, grad, sizes, flags, "", None, None)
    return key and (key, input.shape)


def _gradient(grad_output: npt.ArrayLike, planes: Planes, output: tuple[int, ...]) -> Array:
    if planes.dtype.kind != "f":
        raise TypeError(f"input must hold floats, got {planes.dtype}")
    grad = np.asarray(grad_output)
    if grad.shape != planes.shape(output):
        raise ValueError(f"grad_output must have shape {planes.shape(output)}, got {grad.shape}")
    return np.asarray(np.require(grad, planes.dtype, ("C", "A")))
