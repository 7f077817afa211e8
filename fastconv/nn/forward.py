"""How a convolution layer's arguments become a Layer, in any number of axes."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from ..records import NamedTuple
from . import arguments, settled, taped
from .arguments import Images, Settings


class Geometry(NamedTuple):
    """Stride, padding, dilation and groups as the caller gave them."""

    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: Any = 1


class Activation(NamedTuple):
    """The fused epilogue as the caller gave it."""

    bias: npt.ArrayLike | None = None
    activation: Any = None
    negative_slope: float = 0.01


def convolve(
    ndim: int,
    value: npt.ArrayLike,
    weight: npt.ArrayLike | Filters,
    shape: Geometry,
    after: Activation,
    settings: Settings,
    *,
    explain: bool = False,
) -> Any:
    """Settle the arguments of conv1d, conv2d or conv3d, and have the layer computed.

    Raises
    ------
    ValueError, TypeError
        If an argument does not suit; before anything is stored.
    """
    key = None if explain else settled.key_of(value, weight, shape, settings)
    known = settled.find(key)
    if known is not None and isinstance(value, np.ndarray):
        filters = weight if isinstance(weight, Filters) else Filters(np.asarray(weight))
        epilogue = _epilogue(after, filters.shape[0], value.dtype)
        used = value, filters.array, epilogue.bias
        result = settled.place(known, settings.out, used)
        if result is not None:
            x, out = (value, result) if value.ndim == ndim + 2 else (value[None], result[None])
            _compute(
                known.layer, LayerOperands(x, filters, out, epilogue), settings,
                (value, weight, after.bias), result, shape, after,
            )  # fmt: skip
            return result
    settings.check(ndim)
    images = arguments.images("input", value, ndim, settings.channels_last)
    w = arguments.filters(weight, ndim, images.array.dtype)
    layer = describe(images, w.shape, shape, ndim)
    if explain:
        return arguments.explain(layer, settings, w.keeps)
    count = w.shape[0]
    epilogue = _epilogue(after, count, images.array.dtype)
    # torch gives no channels for no channels.
    channels = count if layer.inputs else 0
    bias = epilogue.bias
    out = arguments.result_array(
        images, images.shape(channels, layer.output), settings, w.array, bias
    )
    if images.array.dtype.isnative:
        settled.keep(key, layer, out.shape if images.batched else out.shape[1:])
    arguments.run(layer, LayerOperands(images.stored(), w, out, epilogue), settings)
    return arguments.deliver(images, out, settings.out)


def _compute(
    layer: Layer, operands: LayerOperands, settings: Settings, given: Any, result: Any,
    shape: Geometry, after: Activation,
) -> None:  # fmt: skip
    call = taped.Call("", 0, given, words_of(shape, after, settings))
    run = partial(arguments.run, layer, operands, settings)
    taped.compute_layer(call, (layer,), run, result, operands.epilogue, settings)


def words_of(shape: Geometry, after: Activation, settings: Settings) -> tuple[Any, ...]:
    """Return the words of a `taped.Call`."""
    return (*shape, *after[1:], settings.layout, settings.workers, settings.accuracy,
            settings.method)  # fmt: skip


_NO_EPILOGUE = Epilogue()


def _epilogue(after: Activation, count: int, dtype: Any) -> Epilogue:
    """Return what happens to the sums of `count` filters, or refuse it."""
    if after.bias is None and after.activation is None:
        return _NO_EPILOGUE
    bias = arguments.bias_of(after.bias, count, dtype)
    return arguments.epilogue_of(bias, after.activation, after.negative_slope, dtype)


def group_count(groups: Any) -> int:
    """Return `groups` as a positive integer."""
    return arguments.per_axis("groups", groups, 1, 1)[0]


def describe(x: Images, weight: tuple[int, ...], shape: Geometry, ndim: int) -> Layer:
    """Return the Layer of a convolution of x with filters of the shape `weight`, or refuse it."""
    padding = shape.padding
    return _layer(
        arguments.name_of(x.array.dtype),
        x.array.shape,
        weight,
        arguments.per_axis("stride", shape.stride, ndim, 1),
        padding if isinstance(padding, str) else arguments.per_axis("padding", padding, ndim, 0),
        arguments.per_axis("dilation", shape.dilation, ndim, 1),
        group_count(shape.groups),
        x.channels_last,
        x.stored_last,
    )


@lru_cache(maxsize=4096)
def _layer(
    dtype: str,
    images: tuple[int, ...],
    weight: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
    stored_last: bool,
) -> Layer:
    signal = images[1:-1] if channels_last else images[2:]
    channels = images[-1 if channels_last else 1]
    count, inputs, *taps = weight
    if count % groups:
        raise ValueError(f"groups must divide the {count} filters of weight, got {groups}")
    if channels != inputs * groups:
        raise ValueError(
            f"input must have {inputs * groups} channels for weight {weight} in {groups} groups, "
            f"got {channels}"
        )
    pads = arguments.paddings(padding, tuple(taps), stride, dilation)
    output = []
    for n, (before, behind), k, d, s in zip(signal, pads, taps, dilation, stride, strict=True):
        room = n + before + behind - geometry.span(k, d)
        if room < 0:
            raise ValueError(
                f"weight must fit into the padded input, got {geometry.span(k, d)} "
                f"over {n + before + behind}"
            )
        output.append(room // s + 1)
    return Layer(
        dtype,
        images[0],
        groups,
        inputs,
        count // groups,
        signal,
        tuple(taps),
        tuple(output),
        stride,
        dilation,
        tuple(before for before, _ in pads),
        stored_last,
        channels_last,
    )
