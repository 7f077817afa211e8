"""The gradients of convolution layers, which are convolution layers themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from . import arguments
from .arguments import Array, Images, Settings
from .forward import Geometry, describe
from .phases import transpose

__all__ = [
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_input",
    "conv3d_weight",
]

Sizes = tuple[int, ...]


def conv2d_input(
    input_size: Sizes,
    weight: npt.ArrayLike | Filters,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the input of `conv2d`.

    Parameters
    ----------
    input_size : tuple of int
        The shape of the input.
    weight : array_like or packed filters, shape (filters, c // groups, kh, kw)
        The layer's filters.
    grad_output : array_like
        The gradient of the loss by the layer's result, of the result's shape.
    stride, padding, dilation, groups, layout, workers
        As `conv2d` was given them.

    Returns
    -------
    ndarray, shape `input_size`
        Of the dtype of `grad_output`.

    Raises
    ------
    ValueError, TypeError
        If the shapes are not those of a layer, or the dtypes differ.

    Notes
    -----
    ``sum over f, i, t with i*stride + t*dilation - padding == j of grad_output[n, f, i] *
    w[f, c, t]``: a transposed convolution.

    References
    ----------
    ``torch.nn.grad.conv2d_input``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.conv2d_input((1, 1, 3), np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 2)))
    array([[[1., 3., 2.]]])
    """
    shape = Geometry(stride, padding, dilation, groups)
    return _by_input(2, input_size, weight, grad_output, shape, Settings(layout, workers=workers))


def conv1d_input(
    input_size: Sizes,
    weight: npt.ArrayLike | Filters,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCL",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the input of `conv1d`; see `conv2d_input`."""
    shape = Geometry(stride, padding, dilation, groups)
    return _by_input(1, input_size, weight, grad_output, shape, Settings(layout, workers=workers))


def conv3d_input(
    input_size: Sizes,
    weight: npt.ArrayLike | Filters,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCDHW",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the input of `conv3d`; see `conv2d_input`."""
    shape = Geometry(stride, padding, dilation, groups)
    return _by_input(3, input_size, weight, grad_output, shape, Settings(layout, workers=workers))


def conv2d_weight(
    input: npt.ArrayLike,
    weight_size: Sizes,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the weight of `conv2d`.

    Parameters
    ----------
    input : array_like
        The layer's input.
    weight_size : tuple of int
        The shape of the weight, (filters, c // groups, kh, kw).
    grad_output : array_like
        The gradient of the loss by the layer's result, of the result's shape.
    stride, padding, dilation, groups, layout, workers
        As `conv2d` was given them.

    Returns
    -------
    ndarray, shape `weight_size`
        Of the dtype of `grad_output`.

    Raises
    ------
    ValueError, TypeError
        If the shapes are not those of a layer, or the dtypes differ.

    Notes
    -----
    ``sum over n, i of grad_output[n, f, i] * x~[n, c, i*stride + t*dilation - padding]``: a
    convolution whose filters are the gradient, stride and dilation exchanged, images and channels
    exchanged.

    References
    ----------
    ``torch.nn.grad.conv2d_weight``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> x = np.array([[[1.0, 2.0, 4.0]]])
    >>> fastconv.nn.conv2d_weight(x, (1, 1, 1, 2), np.ones((1, 1, 2)))
    array([[[[3., 6.]]]])
    """
    shape = Geometry(stride, padding, dilation, groups)
    return _by_weight(2, input, weight_size, grad_output, shape, Settings(layout, workers=workers))


def conv1d_weight(
    input: npt.ArrayLike,
    weight_size: Sizes,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCL",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the weight of `conv1d`; see `conv2d_weight`."""
    shape = Geometry(stride, padding, dilation, groups)
    return _by_weight(1, input, weight_size, grad_output, shape, Settings(layout, workers=workers))


def conv3d_weight(
    input: npt.ArrayLike,
    weight_size: Sizes,
    grad_output: npt.ArrayLike,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    *,
    layout: str = "NCDHW",
    workers: int | None = None,
) -> Array:
    """Return the gradient of a loss by the weight of `conv3d`; see `conv2d_weight`."""
    shape = Geometry(stride, padding, dilation, groups)
    return _by_weight(3, input, weight_size, grad_output, shape, Settings(layout, workers=workers))


def _size(name: str, value: Any) -> Sizes:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    sizes = tuple(request.integer(name, n) for n in value)
    if min(sizes, default=0) < 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return sizes


def _checked(
    ndim: int,
    x_shape: Sizes,
    w_shape: Sizes,
    gradient: Images,
    shape: Geometry,
    channels_last: bool,
) -> Layer:
    """Return the layer whose gradient is asked for, the gradient's shape held to it."""
    # A stand-in without memory: only its shape and dtype are looked at.
    nothing = np.broadcast_to(gradient.array.dtype.type(0), x_shape)
    x = arguments.images("input", nothing, ndim, channels_last)
    if len(w_shape) != ndim + 2 or 0 in w_shape:
        raise ValueError(f"weight must have {ndim + 2} axes and taps, got {w_shape}")
    layer = describe(x, w_shape, shape, ndim)
    expected = x.shape(w_shape[0], layer.output)
    if gradient.array.shape != expected or gradient.batched != x.batched:
        raise ValueError(f"grad_output must have shape {expected}, got {gradient.array.shape}")
    return layer


def _by_input(
    ndim: int,
    input_size: Sizes,
    weight: npt.ArrayLike | Filters,
    grad_output: npt.ArrayLike,
    shape: Geometry,
    settings: Settings,
) -> Array:
    settings.check(ndim)
    last = settings.channels_last
    g = arguments.images("grad_output", grad_output, ndim, last)
    w = arguments.filters(weight, ndim, g.array.dtype)
    input_size = _size("input_size", input_size)
    forward = _checked(ndim, input_size, w.shape, g, shape, last)
    layer = Layer(
        forward.dtype,
        forward.images,
        forward.groups,
        forward.outputs,
        forward.inputs,
        forward.output,
        forward.filter,
        forward.signal,
        forward.stride,
        forward.dilation,
        forward.pad,
        g.stored_last,
        last,
    )
    channels = forward.groups * forward.inputs
    out = np.empty(g.shape(channels, forward.signal), layer.dtype)
    transpose(layer, g.stored(), w, out, Epilogue(), settings)
    return out.reshape(input_size)


def _by_weight(
    ndim: int,
    value: npt.ArrayLike,
    weight_size: Sizes,
    grad_output: npt.ArrayLike,
    shape: Geometry,
    settings: Settings,
) -> Array:
    settings.check(ndim)
    last = settings.channels_last
    x = arguments.images("input", value, ndim, last)
    g = arguments.images("grad_output", grad_output, ndim, last)
    if x.array.dtype != g.array.dtype:
        raise TypeError(
            f"grad_output must have the dtype of input, {x.array.dtype}, got {g.array.dtype}"
        )
    weight_size = _size("weight_size", weight_size)
    forward = _checked(ndim, x.array.shape if x.batched else x.array.shape[1:], weight_size, g,
                       shape, last)  # fmt: skip
    samples, gradient = (np.moveaxis(a, -1, 1) if last else a for a in (x.array, g.array))
    n, groups, inputs = forward.images, forward.groups, forward.inputs
    # Channels of a group become images, images become channels.
    samples = samples.reshape(n, groups, inputs, *forward.signal)
    samples = np.moveaxis(samples, (1, 2), (1, 0)).reshape(inputs, groups * n, *forward.signal)
    filters = np.swapaxes(gradient, 0, 1)
    layer = Layer(
        forward.dtype,
        inputs,
        groups,
        n,
        forward.outputs,
        forward.signal,
        forward.output,
        forward.filter,
        forward.dilation,
        forward.stride,
        forward.pad,
    )
    out = np.zeros((inputs, groups * forward.outputs, *forward.filter), forward.dtype)
    if n:
        operands = LayerOperands(arguments.packed(samples), Filters(arguments.packed(filters)), out)
        arguments.run(layer, operands, settings)
    return np.ascontiguousarray(np.swapaxes(out, 0, 1))
