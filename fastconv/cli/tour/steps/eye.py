"""Step 4: an eye as a template: correlate, add a bias, rectify, and find it where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

import fastconv
from fastconv.cli.tour.checks import Check, agree, round_off, true
from fastconv.cli.tour.picture import Picture
from fastconv.cli.tour.timing import OURS, Race, race

__all__ = ["SLOPE", "THRESHOLD", "Eye", "Peak", "find_eye", "peaks"]

SLOPE = 0.05  # five times the usual 0.01, so that what is held down can still be seen in a figure
THRESHOLD = (
    0.75  # a place must answer at least this well, compared with the eye itself, to stay positive
)
# Beyond this many multiply-adds SciPy's direct loop would take longer than the rest of the tour.
_DIRECT_LIMIT = 1.5e9

Image = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peak:
    """A place in a map, and its value there."""

    row: int
    column: int
    value: float

    @property
    def place(self) -> tuple[int, int]:
        """Row and column."""
        return self.row, self.column


@dataclass(frozen=True, slots=True)
class Eye:
    """A template and its answers over the picture, without and with a pasted copy of the eye."""

    picture: Picture
    power: Image
    """The crop scaled to 0..1, to the fourth power."""
    template: Image
    pasted: Image
    """The picture with the copy in it, 0..1."""
    response: Image
    """Answer wherever the template fits in the picture; (i, j) is the corner of its window."""
    response_pasted: Image
    bias: float
    feature: Image
    """``leaky_relu(response_pasted + bias)``."""
    once: tuple[Peak, ...]
    """The highest distinct peaks without the copy, best first."""
    twice: tuple[Peak, ...]
    """The highest distinct peaks with the copy, best first."""
    checks: tuple[Check, ...]
    races: tuple[Race, ...]

    @property
    def true_places(self) -> tuple[tuple[int, int], ...]:
        """The corners of the eye and its copy, from the top."""
        return tuple(sorted((self.picture.eye.corner, self.picture.copy.corner)))

    @property
    def found_once(self) -> bool:
        """Whether the highest peak is the eye."""
        return self.once[0].place == self.picture.eye.corner

    @property
    def found_twice(self) -> bool:
        """Whether the two highest peaks are the eye and its copy."""
        return tuple(sorted(peak.place for peak in self.twice[:2])) == self.true_places


def make_template(crop: NDArray[np.uint8]) -> tuple[Image, Image]:
    """Return the fourth power of the crop, and the template: that at unit length, less its mean."""
    power = (crop / 255.0) ** 4
    length = float(np.linalg.norm(power))
    template = power / length if length > 0.0 else power
    return power, template - template.mean()


def peaks(response: Image, window: tuple[int, int], count: int) -> tuple[Peak, ...]:
    """Return the `count` highest places no two of which share a window-sized neighbourhood."""
    rest = response.copy()
    found = []
    for _ in range(count):
        i, j = (int(k) for k in np.unravel_index(int(np.argmax(rest)), rest.shape))
        if not np.isfinite(rest[i, j]):
            break
        found.append(Peak(i, j, float(rest[i, j])))
        rest[
            max(0, i - window[0] + 1) : i + window[0], max(0, j - window[1] + 1) : j + window[1]
        ] = -np.inf
    return tuple(found)


def find_eye(picture: Picture, rounds: int) -> Eye:
    """Look for the eye in the picture and in the picture with a copy pasted into it."""
    grey, eye = picture.grey, picture.eye
    power, template = make_template(eye.of(grey))
    doubled = grey.copy()
    picture.copy.of(doubled)[:] = eye.of(grey)
    x, pasted = grey / 255.0, doubled / 255.0
    bound = round_off(x, template) + round_off(pasted, template)

    response = fastconv.correlate2d(x, template, "valid")
    response_pasted = fastconv.correlate2d(pasted, template, "valid")
    itself = float(np.vdot(x[eye.top : eye.bottom, eye.left : eye.right], template))
    bias = -THRESHOLD * itself
    feature = fastconv.nn.leaky_relu(response_pasted + bias, SLOPE)

    layer = fastconv.nn.conv2d(
        pasted[None],
        template[None, None],
        np.array([bias]),
        activation="leaky_relu",
        negative_slope=SLOPE,
    )[0]

    flipped = fastconv.convolve2d(x, template[::-1, ::-1], "valid")
    direct = response.size * template.size <= _DIRECT_LIMIT
    if direct:
        referee, peer = "correlate2d", scipy.signal.correlate2d(pasted, template, "valid")
    else:
        referee, peer = (
            "fftconvolve",
            scipy.signal.fftconvolve(pasted, template[::-1, ::-1], "valid"),
        )
    rectified = np.where(peer + bias >= 0, peer + bias, SLOPE * (peer + bias))
    here, there = response_pasted[eye.corner], response_pasted[picture.copy.corner]
    checks = (
        agree(f"eye response, against scipy.signal.{referee}", response_pasted, peer, bound),
        agree(
            "eye response without the copy",
            response,
            scipy.signal.fftconvolve(x, template[::-1, ::-1], "valid"),
            bound,
        ),
        agree("correlation is convolution with the flipped template", flipped, response, bound),
        agree("leaky ReLU, against numpy.where", feature, rectified, bound),
        agree("the same as one layer: conv2d, bias, leaky ReLU", layer, rectified, bound),
        true("the eye must answer with its own product", abs(here - itself) <= bound, here),
        true("the copy must answer as the eye does", abs(there - itself) <= bound, there),
    )
    return Eye(
        picture=picture,
        power=power,
        template=template,
        pasted=pasted,
        response=response,
        response_pasted=response_pasted,
        bias=bias,
        feature=feature,
        once=peaks(response, eye.shape, 3),
        twice=peaks(response_pasted, eye.shape, 3),
        checks=checks,
        races=(_race(pasted, template, direct, rounds),),
    )


def _race(x: Image, template: Image, direct: bool, rounds: int) -> Race:
    flipped = template[::-1, ::-1]
    contenders = {
        OURS: lambda: fastconv.correlate2d(x, template, "valid"),
        "scipy.signal.fftconvolve": lambda: scipy.signal.fftconvolve(x, flipped, "valid"),
        "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(x, flipped, "valid"),
    }
    if direct:
        contenders["scipy.signal.correlate2d"] = lambda: scipy.signal.correlate2d(
            x, template, "valid"
        )
    work = (
        f"{x.shape[0]} x {x.shape[1]} pixels, {template.shape[0]} x {template.shape[1]} taps, valid"
    )
    return race(
        "4  find the eye",
        work,
        contenders,
        lambda: fastconv.explain(x, template, "valid"),
        rounds=rounds,
    )
