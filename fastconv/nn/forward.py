"""How a convolution layer's arguments become a Layer, in any number of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .. import geometry
from ..filters import Filters
from ..layer import Layer, LayerOperands
from . import arguments
from .arguments import Images, Settings


@dataclass(frozen=True, slots=True)
class Geometry:
    """Stride, padding, dilation and groups as the caller gave them."""

    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: Any = 1


@dataclass(frozen=True, slots=True)
class Activation:
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
    settings.check(ndim)
    x = arguments.images("input", value, ndim, settings.channels_last)
    w = arguments.filters(weight, ndim, x.array.dtype)
    groups = group_count(shape.groups)
    count, inputs = w.shape[:2]
    if count % groups:
        raise ValueError(f"groups must divide the {count} filters of weight, got {groups}")
    if x.channels != inputs * groups:
        raise ValueError(
            f"input must have {inputs * groups} channels for weight {w.shape} in {groups} groups, "
            f"got {x.channels}"
        )
    layer, pads = describe(x, w.shape, shape, ndim, groups)
    for n, (before, behind), k, d in zip(
        layer.signal, pads, layer.filter, layer.dilation, strict=True
    ):
        if n + before + behind < geometry.span(k, d):
            raise ValueError(
                f"weight must fit into the padded input, got {geometry.span(k, d)} "
                f"over {n + before + behind}"
            )
    if explain:
        return arguments.explain(layer, settings)
    bias = arguments.bias_of(after.bias, count, x.array.dtype)
    kind = x.array.dtype.kind
    epilogue = arguments.epilogue_of(bias, after.activation, after.negative_slope, kind)
    # torch gives no channels for no channels.
    channels = count if inputs else 0
    out = arguments.result_array(x, x.shape(channels, layer.output), settings, w.array, bias)
    arguments.run(layer, LayerOperands(x.stored(), w, out, epilogue), settings)
    return arguments.deliver(x, out, settings.out)


def group_count(groups: Any) -> int:
    """Return `groups` as a positive integer."""
    return arguments.per_axis("groups", groups, 1, 1)[0]


def describe(
    x: Images, weight: tuple[int, ...], shape: Geometry, ndim: int, groups: int
) -> tuple[Layer, tuple[tuple[int, int], ...]]:
    """Return the Layer of a convolution and the zeros around its images."""
    taps = weight[2:]
    stride = arguments.per_axis("stride", shape.stride, ndim, 1)
    dilation = arguments.per_axis("dilation", shape.dilation, ndim, 1)
    pads = arguments.paddings(shape.padding, ndim, taps, stride, dilation)
    output = tuple(
        max(0, (n + before + behind - geometry.span(k, d)) // s + 1)
        for n, (before, behind), k, d, s in zip(x.signal, pads, taps, dilation, stride, strict=True)
    )
    layer = Layer(
        x.array.dtype.newbyteorder("=").name,
        len(x.array),
        groups,
        weight[1],
        weight[0] // groups,
        x.signal,
        taps,
        output,
        stride,
        dilation,
        tuple(before for before, _ in pads),
        x.stored_last,
        x.channels_last,
    )
    return layer, pads
