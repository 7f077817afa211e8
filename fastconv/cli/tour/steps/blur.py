"""Step 3: a picture blurred by boxes of 4, 8, 16 and 32 pixels, in grey and per colour channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

import fastconv
from fastconv.cli.tour.checks import Check, agree, round_off
from fastconv.cli.tour.picture import Picture
from fastconv.cli.tour.timing import OURS, Race, race

__all__ = ["WIDTHS", "Blur", "blur"]

WIDTHS = (4, 8, 16, 32)
# scipy.signal's "symm", scipy.ndimage's "reflect": d c b a | a b c d.
# With zeros outside, every rim would darken.
BOUNDARY = "symm"

Image = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blur:
    """One picture behind ever wider boxes; samples from 0 to 1."""

    picture: Picture
    grey: dict[int, Image]
    colour: dict[int, Image]
    contrast: dict[int, float]
    """Standard deviation of the blurred grey picture as a fraction of the sharp one's."""
    checks: tuple[Check, ...]
    races: tuple[Race, ...]


def square(width: int) -> Image:
    """Return `width` x `width` equal taps that sum to one."""
    return np.full((width, width), 1.0 / width**2)


def blur(picture: Picture, rounds: int) -> Blur:
    """Blur a picture with four boxes and check each result."""
    grey = picture.grey / 255.0
    channels = [np.ascontiguousarray(picture.colour[..., c]) / 255.0 for c in range(3)]
    checks: list[Check] = []
    greys: dict[int, Image] = {}
    colours: dict[int, Image] = {}
    for width in WIDTHS:
        w = square(width)
        what = f"{width} x {width} blur"
        greys[width] = fastconv.convolve2d(grey, w, "same", BOUNDARY)
        peer = scipy.signal.convolve2d(grey, w, "same", BOUNDARY)
        checks.append(
            agree(
                f"{what}, grey, against scipy.signal.convolve2d",
                greys[width],
                peer,
                round_off(grey, w),
            )
        )
        blurred = [fastconv.convolve2d(channel, w, "same", BOUNDARY) for channel in channels]
        for name, channel, got in zip(("red", "green", "blue"), channels, blurred, strict=True):
            peer = scipy.ndimage.uniform_filter(channel, width, mode="reflect")
            bound = 2 * round_off(
                channel, w
            )  # the peer's running sums carry round-off of their own
            checks.append(agree(f"{what}, {name}, against scipy.ndimage", got, peer, bound))
        colours[width] = np.stack(blurred, axis=-1)
    contrast = {width: float(greys[width].std() / max(grey.std(), 1e-12)) for width in WIDTHS}
    races = tuple(_race(grey, width, rounds) for width in WIDTHS)
    return Blur(picture, greys, colours, contrast, tuple(checks), races)


def _race(grey: Image, width: int, rounds: int) -> Race:
    w = square(width)
    height, columns = grey.shape
    return race(
        f"3  box blur {width} x {width}",
        f"{height} x {columns} pixels, {width} x {width} taps, same",
        {
            OURS: lambda: fastconv.convolve2d(grey, w, "same", BOUNDARY),
            "scipy.signal.convolve2d": lambda: scipy.signal.convolve2d(grey, w, "same", BOUNDARY),
            "scipy.ndimage.uniform_filter": lambda: scipy.ndimage.uniform_filter(
                grey, width, mode="reflect"
            ),
        },
        lambda: fastconv.explain(grey, w, "same", boundary=BOUNDARY),
        rounds=rounds,
    )
