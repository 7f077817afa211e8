"""Transposed convolution as plain ones: outputs a stride apart see the same taps.

``out[o] = sum over i, t with i*stride + t*dilation - pad == o of x[i] * w[t]``. For the outputs
``o = r + q*stride`` of one residue r those taps are every ``stride/g``-th, g being the greatest
common divisor of stride and dilation, and their samples lie ``dilation/g`` apart: one layer with
stride 1 for each residue, and no zeros between the samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import gcd
from typing import Any

import numpy as np

from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from . import arguments
from .arguments import Array, Settings


@dataclass(frozen=True, slots=True)
class Phase:
    """One axis of the outputs of one residue: which taps, how far apart, and the pad."""

    outputs: int
    first: int
    step: int
    taps: int
    dilation: int
    pad: int


def phase_of(residue: int, m: int, k: int, stride: int, dilation: int, pad: int) -> Phase:
    """Return the layer of the outputs ``residue + q*stride < m`` along one axis."""
    outputs = max(0, -(-(m - residue) // stride))
    g = gcd(stride, dilation)
    step = stride // g
    meets = (t for t in range(min(step, k)) if (residue + pad - t * dilation) % stride == 0)
    first = next(meets, None)
    if first is None:
        return Phase(outputs, 0, step, 0, 1, 0)
    taps = (k - first + step - 1) // step
    apart = dilation // g
    # Sample q + shift - j*apart meets tap first + j*step; in correlation order j runs backwards.
    shift = (residue + pad - first * dilation) // stride
    return Phase(outputs, first, step, taps, apart, (taps - 1) * apart - shift)


def transpose(
    layer: Layer, x: Array, w: Filters, out: Array, epilogue: Epilogue, settings: Settings
) -> None:
    """Compute the transposed convolution that `layer` describes.

    In `layer`, `inputs` and `outputs` are the channels of x and of out in a group, and w has the
    shape (groups * inputs, outputs, *filter); stride, dilation and pad are those of the
    convolution that is transposed.
    """
    axes = range(layer.ndim)
    at = 1 if layer.output_last else 2
    for residues in product(*(range(s) for s in layer.stride)):
        phases = [
            phase_of(
                residues[a],
                layer.output[a],
                layer.filter[a],
                layer.stride[a],
                layer.dilation[a],
                layer.pad[a],
            )
            for a in axes
        ]
        if any(p.outputs == 0 for p in phases):
            continue
        where: list[Any] = [slice(None)] * out.ndim
        for a in axes:
            where[at + a] = slice(residues[a], None, layer.stride[a])
        part = replace(
            layer,
            # Without a tap, a single zero tap keeps the axis; there are no channels then.
            inputs=layer.inputs if all(p.taps for p in phases) else 0,
            filter=tuple(max(p.taps, 1) for p in phases),
            output=tuple(p.outputs for p in phases),
            stride=(1,) * layer.ndim,
            dilation=tuple(p.dilation for p in phases),
            pad=tuple(p.pad for p in phases),
        )
        key = ("phase", layer.groups, *((p.first, p.step) for p in phases))
        taps = w.form(key, partial(_taps, layer, phases, w.keeps))
        target = out[tuple(where)]
        whole = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        if part.inputs == 0:
            whole[...] = 0
            epilogue.apply(whole, -1 if layer.output_last else 1)
        else:
            arguments.run(part, LayerOperands(x, taps, whole, epilogue), settings)
        if whole is not target:
            target[...] = whole


def _taps(layer: Layer, phases: list[Phase], keeps: bool, array: Array) -> Filters:
    """Return the filters of one residue, in correlation order, channels exchanged."""
    w = array.reshape(layer.groups, layer.inputs, layer.outputs, *layer.filter)
    cut: Any = (..., *(slice(p.first, None, p.step) for p in phases))
    part = np.swapaxes(np.flip(w[cut], tuple(range(-layer.ndim, 0))), 1, 2)
    shape = (layer.groups * layer.outputs, layer.inputs, *part.shape[3:])
    return Filters(np.ascontiguousarray(part).reshape(shape), keeps)
