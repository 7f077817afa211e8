"""Transposed convolution as plain ones: outputs a stride apart see the same taps.

``out[o] = sum over i, t with i*stride + t*dilation - pad == o of x[i] * w[t]``. For the outputs
``o = r + q*stride`` of one residue r those taps are every ``stride/g``-th, g being the greatest
common divisor of stride and dilation, and their samples lie ``dilation/g`` apart: one layer with
stride 1 for each residue, and no zeros between the samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import gcd
from typing import Any

import numpy as np

from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from ..paths import activations, arrange
from ..runtime import load
from ..runtime.scratch import scratch
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


@dataclass(frozen=True, slots=True)
class Part:
    """The outputs of one residue per axis.

    Parameters
    ----------
    layer : Layer
        What computes them; with no inputs if they meet no tap.
    phases : tuple of Phase
        Per axis.
    where : tuple of slice
        Which outputs of the whole they are.
    """

    layer: Layer
    phases: tuple[Phase, ...]
    where: tuple[slice, ...]


@lru_cache(maxsize=1024)
def parts_of(layer: Layer) -> tuple[Part, ...]:
    """Return the layers that make up a transposed one; see `transpose`."""
    axes = range(layer.ndim)
    parts = []
    for residues in product(*(range(s) for s in layer.stride)):
        phases = tuple(
            phase_of(residues[a], layer.output[a], layer.filter[a], layer.stride[a],
                     layer.dilation[a], layer.pad[a])
            for a in axes
        )  # fmt: skip
        if any(p.outputs == 0 for p in phases):
            continue
        where = [slice(residues[a], None, layer.stride[a]) for a in axes]
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
        lead = [slice(None)] * (1 if layer.output_last else 2)
        parts.append(Part(part, phases, (*lead, *where)))
    return tuple(parts)


def transpose(
    layer: Layer, x: Array, w: Filters, out: Array, epilogue: Epilogue, settings: Settings
) -> None:
    """Compute the transposed convolution that `layer` describes.

    In `layer`, `inputs` and `outputs` are the channels of x and of out in a group, and w has the
    shape (groups * inputs, outputs, *filter); stride, dilation and pad are those of the
    convolution that is transposed.
    """
    for part in parts_of(layer):
        goal = out[part.where]
        if part.layer.inputs == 0:
            _without_taps(layer, out, goal, epilogue)
            continue
        taps, apart = _filters(layer, part, w), goal
        if not goal.flags.c_contiguous:
            apart = scratch(goal.size, out.dtype, "phase").reshape(goal.shape)
        arguments.run(part.layer, LayerOperands(x, taps, apart, epilogue), settings)
        if apart is not goal:
            arrange.copy(apart, apart, out, goal)


def _without_taps(layer: Layer, out: Array, goal: Array, epilogue: Epilogue) -> None:
    """Store what becomes of sums of nothing: the activated bias."""
    values = epilogue.bias
    if values is None and epilogue.compiled:
        arrange.fill(arrange.zero(out.dtype), out, goal)
        return
    if values is None or not (epilogue.activation is None or out.dtype.kind == "u"):
        values = scratch(layer.groups * layer.outputs, out.dtype, "phase")
        if not epilogue.compiled or not activations.by_name(epilogue, values):
            values[...] = 0
            epilogue.apply(values)
            load.aside()
    shape = (1, *(1,) * layer.ndim, -1) if layer.output_last else (1, -1, *(1,) * layer.ndim)
    arrange.fill(values.reshape(shape), out, goal)


def _filters(layer: Layer, part: Part, w: Filters) -> Filters:
    """Return the filters of one residue, in correlation order, channels exchanged."""
    cut: Any = (..., *(slice(p.first, None, p.step) for p in part.phases))
    shape = (layer.groups * layer.outputs, layer.inputs, *part.layer.filter)

    def turned(array: Array) -> Array:
        taps = array.reshape(layer.groups, layer.inputs, layer.outputs, *layer.filter)[cut]
        return np.swapaxes(np.flip(taps, tuple(range(-layer.ndim, 0))), 1, 2)

    def make(array: Array) -> Filters:
        kept = np.array(turned(array), order="C").reshape(shape)
        kept.flags.writeable = False
        return Filters(kept, True)

    if w.keeps:
        key = ("phase", layer.groups, *((p.first, p.step) for p in part.phases))
        return w.form(key, make)  # type: ignore[no-any-return]
    return Filters(arrange.packed(w.array, turned(w.array), "turned").reshape(shape))
