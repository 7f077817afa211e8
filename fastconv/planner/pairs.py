"""Layers with long filters: each pair of an input and an output channel is a Problem of its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..layer import Layer, LayerOperands, LayerPath, guarantee
from ..path import Operands, Work
from ..problem import Problem
from . import selector
from .selector import Verdict

# Below, no transform is worth its while beside the loops over channels.
_LEAST_TAPS = 64
# What a pair costs apart from its sums: the way through the selector, and adding up.
_SECONDS_PER_PAIR = 1e-5


def supports(layer: Layer) -> str:
    """Return "" or why the layer does not fall apart into planes for transforms."""
    if np.dtype(layer.dtype).kind not in "fc" or np.dtype(layer.dtype).itemsize < 4:
        return "floats and complex numbers only"
    if layer.ndim > 2:
        return "images with one or two axes only"
    if layer.inputs == 0:
        return "needs an input channel"
    if layer.taps < _LEAST_TAPS * layer.inputs:
        return f"filters of fewer than {_LEAST_TAPS} taps"
    if layer.input_last and layer.groups * layer.inputs > 1:
        return "channels first only"
    if layer.output_last and layer.groups * layer.outputs > 1:
        return "channels first only"
    return ""


def verdict(layer: Layer, accuracy: str | None) -> Verdict:
    """Return what the engine for Problems promises and how long it takes."""
    if why_not := supports(layer):
        return Verdict(PATH.name, why_not, None, float("inf"))
    try:
        best = selector.rank(_problem(layer), accuracy=accuracy)[0]
    except ValueError:
        return Verdict(PATH.name, f"is not {accuracy}", None, float("inf"))
    pairs = layer.images * layer.groups * layer.outputs * layer.inputs
    return Verdict(PATH.name, "", best.guarantee, pairs * (best.seconds + _SECONDS_PER_PAIR))


@lru_cache(maxsize=1024)
def _problem(layer: Layer) -> Problem:
    return Problem(
        layer.dtype,
        1,
        True,
        layer.signal,
        layer.filter,
        layer.output,
        layer.stride,
        layer.dilation,
        layer.pad,
        ("zero",) * layer.ndim,
    )


def execute(layer: Layer, operands: LayerOperands, accuracy: str | None = None) -> None:
    """Compute all outputs, those of one pair of channels after the other."""
    problem, sums = _problem(layer), np.empty((1, *layer.output), layer.dtype)
    x = operands.x.reshape(layer.images, layer.groups, layer.inputs, *layer.signal)
    out = operands.out.reshape(layer.images, layer.groups * layer.outputs, *layer.output)
    for n, f, c in np.ndindex(layer.images, layer.groups * layer.outputs, layer.inputs):
        samples, taps = x[n, f // layer.outputs, c][None], operands.w.array[f, c][None]
        goal = sums if c else out[n, f][None]
        pair = Operands(samples, taps, goal, 0, operands.workers)
        selector.run(problem, pair, accuracy=accuracy)
        if c:
            with np.errstate(all="ignore"):
                out[n, f] += sums[0]
    for image in out:
        operands.epilogue.apply(image)


def _work(layer: Layer) -> Work:
    return Work(calls=layer.images * layer.groups * layer.outputs * layer.inputs)


PATH = LayerPath(
    name="pairs",
    summary="each pair of channels as a convolution of its own, long filters by transforms",
    supports=supports,
    guarantee=guarantee,
    work=_work,
    execute=execute,
)
