"""The gradients of convolution layers, which are convolution layers themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from ..paths import arrange
from ..runtime.scratch import scratch
from . import arguments, taped
from .arguments import Array, Images, Settings
from .forward import Activation, Geometry, describe, words_of
from .phases import parts_of, transpose

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
    found = _taped("input", input_size, grad_output, weight, shape, settings)
    if found is not None:
        return found  # type: ignore[no-any-return]
    settings.check(ndim)
    last = settings.channels_last
    g = arguments.images("grad_output", grad_output, ndim, last)
    w = arguments.filters(weight, ndim, g.array.dtype)
    sizes = _size("input_size", input_size)
    forward = _checked(ndim, sizes, w.shape, g, shape, last)
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
    result = np.empty(sizes, layer.dtype)
    out = result.reshape(g.shape(channels, forward.signal))
    call = taped.Call("input", input_size, (grad_output, weight, None),
                      words_of(shape, _NOTHING, settings))  # fmt: skip
    taped.compute_layer(
        call,
        tuple(part.layer for part in parts_of(layer) if part.layer.inputs),
        partial(transpose, layer, g.stored(), w, out, _NO_EPILOGUE, settings),
        result,
        _NO_EPILOGUE,
        settings,
    )
    return result


_NOTHING, _NO_EPILOGUE = Activation(), Epilogue()


def _taped(
    name: str, size: Any, value: Any, other: Any, shape: Geometry, settings: Settings
) -> Any:
    return taped.layer(
        name, size, value, other, None, *shape, *_NOTHING[1:], settings.layout, None,
        settings.workers, None, settings.method,
    )  # fmt: skip


def _by_weight(
    ndim: int,
    value: npt.ArrayLike,
    weight_size: Sizes,
    grad_output: npt.ArrayLike,
    shape: Geometry,
    settings: Settings,
) -> Array:
    found = _taped("weight", weight_size, value, grad_output, shape, settings)
    if found is not None:
        return found  # type: ignore[no-any-return]
    settings.check(ndim)
    last = settings.channels_last
    x = arguments.images("input", value, ndim, last)
    g = arguments.images("grad_output", grad_output, ndim, last)
    if arguments.name_of(x.array.dtype) != arguments.name_of(g.array.dtype):
        raise TypeError(
            f"grad_output must have the dtype of input, {x.array.dtype}, got {g.array.dtype}"
        )
    sizes = _size("weight_size", weight_size)
    forward = _checked(ndim, x.array.shape if x.batched else x.array.shape[1:], sizes, g,
                       shape, last)  # fmt: skip
    # Channels of a group become images, images become channels.
    layer = Layer(
        forward.dtype,
        forward.inputs,
        forward.groups,
        forward.images,
        forward.outputs,
        forward.signal,
        forward.output,
        forward.filter,
        forward.dilation,
        forward.stride,
        forward.pad,
    )
    result = np.zeros(sizes, forward.dtype)
    if forward.images:
        call = taped.Call("weight", weight_size, (value, grad_output, None),
                          words_of(shape, _NOTHING, settings))  # fmt: skip
        run = partial(_correlate, layer, arguments.packed(x.array), arguments.packed(g.array),
                      result, settings)  # fmt: skip
        taped.compute_layer(call, (layer,), run, result, _NO_EPILOGUE, settings)
    return result


def _correlate(layer: Layer, x: Array, gradient: Array, result: Array, settings: Settings) -> None:
    """Compute the gradient by the weight."""
    n, groups, inputs = layer.inputs, layer.groups, layer.images
    axes = range(layer.ndim)
    if settings.channels_last:
        samples = x.reshape(n, *layer.signal, groups, inputs)
        samples = samples.transpose(-1, -2, 0, *(1 + a for a in axes))
        gradient_view = gradient.transpose(-1, 0, *(1 + a for a in axes))
    else:
        samples = x.reshape(n, groups, inputs, *layer.signal)
        samples = samples.transpose(2, 1, 0, *(3 + a for a in axes))
        gradient_view = np.swapaxes(gradient, 0, 1)
    moved = arrange.packed(x, samples, "samples")
    moved = moved.reshape(inputs, groups * n, *layer.signal)
    filters = arrange.packed(gradient, gradient_view, "turned")
    shape = (inputs, groups * layer.outputs, *layer.output)
    sums = result.reshape(shape)
    if inputs > 1:
        sums = scratch(result.size, result.dtype, "phase").reshape(shape)
    arguments.run(layer, LayerOperands(moved, Filters(filters), sums), settings)
    if inputs > 1:
        arrange.copy(sums, np.swapaxes(sums, 0, 1), result, result)
