"""Transposed convolution layers: the gradient of a convolution as a layer of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy.typing as npt

from .. import geometry
from ..filters import Filters
from ..layer import Layer
from . import arguments, taped
from .arguments import Array, Settings
from .forward import Activation, Geometry, group_count, words_of
from .phases import parts_of, transpose

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCHW",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Spread every pixel over a window: the transpose of `conv2d` as a linear map.

    Parameters
    ----------
    input : array_like, shape (n, c, h, w) or (c, h, w)
        The images. With ``layout="NHWC"`` the channel is the last axis.
    weight : array_like or packed filters, shape (c, filters // groups, kh, kw)
        The filters, of the dtype of `input`.
    bias : array_like, shape (filters,), optional
        Added to every output of a filter.
    stride, padding, dilation : int or pair of int
        Those of the convolution that is transposed.
    output_padding : int or pair of int
        By how much the result is larger after its last row and column; less than stride or
        dilation.
    groups : int
        Into how many independent layers the channels fall.
    activation, negative_slope, layout, out, workers, accuracy, method
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (n, filters, oh, ow), or as the layout and `input` have it
        ``oh = (h - 1)*stride - 2*padding + dilation*(kh - 1) + output_padding + 1``, likewise ow.

    Raises
    ------
    ValueError
        If a shape or a size does not suit.
    TypeError
        If the dtypes differ or hold no numbers, or if a size is no integer.

    Notes
    -----
    ``out[n, f, o] = activation(bias[f] + sum over c, i, t with i*stride + t*dilation - padding == o
    of x[n, c, i] * w[c, f, t])``, computed as one convolution for each of the stride's phases.
    Exact for integers; error bound of `conv2d`.

    References
    ----------
    ``torch.nn.functional.conv_transpose2d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.conv_transpose2d(np.ones((1, 1, 2)), np.array([[[[1.0, 2.0, 3.0]]]]), stride=2)
    array([[[1., 2., 4., 2., 3.]]])
    """
    found = taped.layer(
        "transposed", output_padding, input, weight, bias, stride, padding, dilation, groups,
        activation, negative_slope, layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return convolve_transposed(2, input, weight, shape, output_padding, after, settings)


def conv_transpose1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCL",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Spread every sample over a window: the transpose of `conv1d` as a linear map.

    Parameters
    ----------
    input : array_like, shape (n, c, l) or (c, l)
        The signals.
    weight : array_like or packed filters, shape (c, filters // groups, k)
        The filters.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, for one axis.
    activation, negative_slope, layout, out, workers, accuracy, method
        As for `conv1d`.

    Returns
    -------
    ndarray, shape (n, filters, (l-1)*stride - 2*padding + dilation*(k-1) + output_padding + 1)
        Of the dtype of `input`.

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Notes
    -----
    The formula of `conv_transpose2d`, for one axis.

    References
    ----------
    ``torch.nn.functional.conv_transpose1d``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.conv_transpose1d([[1.0, 10.0]], [[[1.0, 2.0]]])
    array([[ 1., 12., 20.]])
    """
    found = taped.layer(
        "transposed", output_padding, input, weight, bias, stride, padding, dilation, groups,
        activation, negative_slope, layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return convolve_transposed(1, input, weight, shape, output_padding, after, settings)


def conv_transpose3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    bias: npt.ArrayLike | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
    *,
    activation: Any = None,
    negative_slope: float = 0.01,
    layout: str = "NCDHW",
    out: Array | None = None,
    workers: int | None = None,
    accuracy: str | None = None,
    method: str = "auto",
) -> Array:
    """Spread every voxel over a window: the transpose of `conv3d` as a linear map.

    Parameters
    ----------
    input : array_like, shape (n, c, d, h, w) or (c, d, h, w)
        The volumes.
    weight : array_like or packed filters, shape (c, filters // groups, kd, kh, kw)
        The filters.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, for three axes.
    activation, negative_slope, layout, out, workers, accuracy, method
        As for `conv3d`.

    Returns
    -------
    ndarray, shape (n, filters, od, oh, ow)
        Of the dtype of `input`; each size as that of `conv_transpose2d`.

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Notes
    -----
    The formula of `conv_transpose2d`, for three axes.

    References
    ----------
    ``torch.nn.functional.conv_transpose3d``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.conv_transpose3d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 1, 2)))
    array([[[[1., 2., 1.]]]])
    """
    found = taped.layer(
        "transposed", output_padding, input, weight, bias, stride, padding, dilation, groups,
        activation, negative_slope, layout, out, workers, accuracy, method,
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    shape = Geometry(stride, padding, dilation, groups)
    after = Activation(bias, activation, negative_slope)
    settings = Settings(layout, method, accuracy, out, workers)
    return convolve_transposed(3, input, weight, shape, output_padding, after, settings)


def convolve_transposed(
    ndim: int,
    value: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    shape: Geometry,
    output_padding: Any,
    after: Activation,
    settings: Settings,
) -> Array:
    """Settle the arguments of a transposed convolution and have it computed.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; before anything is stored.
    """
    settings.check(ndim)
    x = arguments.images("input", value, ndim, settings.channels_last)
    w = arguments.filters(weight, ndim, x.array.dtype)
    groups = group_count(shape.groups)
    inputs, count = w.shape[0], w.shape[1] * groups
    if inputs % groups:
        raise ValueError(f"groups must divide the {inputs} filters of weight, got {groups}")
    if x.channels != inputs:
        raise ValueError(
            f"input must have {inputs} channels for weight {w.shape}, got {x.channels}"
        )
    if count == 0:
        raise ValueError(f"weight must have at least one filter, got shape {w.shape}")
    stride = arguments.per_axis("stride", shape.stride, ndim, 1)
    dilation = arguments.per_axis("dilation", shape.dilation, ndim, 1)
    pad = arguments.per_axis("padding", shape.padding, ndim, 0)
    extra = arguments.per_axis("output_padding", output_padding, ndim, 0)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= max(s, d):
            raise ValueError(
                f"output_padding must be less than stride {s} or dilation {d}, got {e}"
            )
    output = tuple(
        (n - 1) * s - 2 * p + geometry.span(k, d) + e
        for n, s, p, k, d, e in zip(
            x.signal, stride, pad, w.shape[2:], dilation, extra, strict=True
        )
    )
    if min(output) < 0:
        raise ValueError(f"padding must leave outputs, got {pad} for sizes {output}")
    bias = arguments.bias_of(after.bias, count, x.array.dtype)
    epilogue = arguments.epilogue_of(bias, after.activation, after.negative_slope, x.array.dtype)
    out = arguments.result_array(x, x.shape(count, output), settings, w.array, bias)
    layer = Layer(
        arguments.name_of(x.array.dtype),
        len(x.array),
        groups,
        inputs // groups,
        count // groups,
        x.signal,
        w.shape[2:],
        output,
        stride,
        dilation,
        pad,
        x.stored_last,
        x.channels_last,
    )
    run = partial(transpose, layer, x.stored(), w, out, epilogue, settings)
    result = out
    if settings.out is not None and out.base is settings.out:
        result = settings.out
    elif not x.batched:
        result = out.reshape(out.shape[1:])
    call = taped.Call("transposed", output_padding, (value, weight, after.bias),
                      words_of(shape, after, settings))  # fmt: skip
    layers = tuple(part.layer for part in parts_of(layer) if part.layer.inputs)
    taped.compute_layer(call, layers, run, result, epilogue, settings)
    return arguments.deliver(x, out, settings.out)
