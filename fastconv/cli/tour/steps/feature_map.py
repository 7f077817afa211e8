"""Step 5: what padding, stride and max-pooling do to the map of answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

import fastconv
from fastconv.cli.tour.checks import Check, agree, equal, round_off, true
from fastconv.cli.tour.steps.eye import SLOPE, Eye
from fastconv.cli.tour.timing import OURS, Race, race

__all__ = ["STRIDE", "FeatureMap", "shrink"]

STRIDE = 8

Image = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """The rectified answers with three paddings, by stride, and by max-pooling."""

    eye: Eye
    full: Image
    """Zeros all around: every place where the template touches the picture."""
    same_offset: tuple[int, int]
    """Where output (0, 0) of "same" lies in `full`."""
    valid_offset: tuple[int, int]
    """Where output (0, 0) of "valid" lies in `full`."""
    strided: Image
    """Every 8th row and column of the "valid" map, computed alone."""
    pooled: Image
    """The largest answer of each 8 x 8 block of the "valid" map."""
    kept: float
    """The best answer that the strided map has around the eye, as a fraction of the eye's own."""
    checks: tuple[Check, ...]
    races: tuple[Race, ...]


def shrink(eye: Eye, rounds: int) -> FeatureMap:
    """Pad, stride and pool the map of answers, and check each against plain slicing."""
    x, template, bias, valid = eye.pasted, eye.template, eye.bias, eye.feature
    height, width = template.shape
    bound = 2 * round_off(x, template)

    def rectified(response: Image) -> Image:
        activated: Image = fastconv.nn.leaky_relu(response + bias, SLOPE)
        return activated

    full = rectified(fastconv.correlate2d(x, template, "full"))
    same = rectified(fastconv.correlate2d(x, template, "same"))
    response = fastconv.correlate2d(x, template, "valid", stride=STRIDE)
    strided = rectified(response)
    pooled = fastconv.nn.max_pool2d(valid, STRIDE)

    valid_offset = (height - 1, width - 1)
    same_offset = (height // 2, width // 2)  # the centre as scipy.signal.correlate2d takes it
    rows, columns = valid.shape[0] // STRIDE, valid.shape[1] // STRIDE
    blocks = valid[: rows * STRIDE, : columns * STRIDE].reshape(rows, STRIDE, columns, STRIDE)
    peer = scipy.signal.correlate(x, template, "full", method="fft")
    checks = (
        agree("padding full, against scipy.signal.correlate", full, rectified(peer), bound),
        agree("same is a part of full", same, _part(full, same_offset, same.shape), bound),
        agree("valid is a part of full", valid, _part(full, valid_offset, valid.shape), bound),
        agree("stride 8 is every 8th output", strided, valid[::STRIDE, ::STRIDE], bound),
        equal("max-pooling, against numpy.max of blocks", pooled, blocks.max(axis=(1, 3))),
        true(
            "max-pooling must keep the largest answer", pooled.max() == blocks.max(), pooled.max()
        ),
    )
    row, column = (k // STRIDE for k in eye.picture.eye.corner)
    near = response[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    kept = float(near.max() / eye.response_pasted[eye.picture.eye.corner])
    races = (_stride_race(x, template, rounds), _pool_race(valid, rounds))
    return FeatureMap(eye, full, same_offset, valid_offset, strided, pooled, kept, checks, races)


def _part(full: Image, offset: tuple[int, int], shape: tuple[int, ...]) -> Image:
    return full[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]]


def _stride_race(x: Image, template: Image, rounds: int) -> Race:
    flipped = template[::-1, ::-1]
    height, width = template.shape
    return race(
        f"5  stride {STRIDE}",
        f"{x.shape[0]} x {x.shape[1]} pixels, {height} x {width} taps, every 8th",
        {
            OURS: lambda: fastconv.correlate2d(x, template, "valid", stride=STRIDE),
            "scipy.signal.fftconvolve": lambda: scipy.signal.fftconvolve(x, flipped, "valid")[
                ::STRIDE, ::STRIDE
            ],
        },
        lambda: fastconv.explain(x, template, "valid", stride=STRIDE),
        rounds=rounds,
    )


def _pool_race(feature: Image, rounds: int) -> Race:
    rows, columns = feature.shape[0] // STRIDE, feature.shape[1] // STRIDE
    whole = feature[: rows * STRIDE, : columns * STRIDE]
    middle = slice(STRIDE // 2, None, STRIDE)
    return race(
        f"5  max-pooling {STRIDE} x {STRIDE}",
        f"{feature.shape[0]} x {feature.shape[1]} map, 8 x 8 blocks",
        {
            OURS: lambda: fastconv.nn.max_pool2d(feature, STRIDE),
            "numpy.max of blocks": lambda: whole.reshape(rows, STRIDE, columns, STRIDE).max(
                axis=(1, 3)
            ),
            "scipy.ndimage.maximum_filter": lambda: scipy.ndimage.maximum_filter(whole, STRIDE)[
                middle, middle
            ],
        },
        rounds=rounds,
    )
