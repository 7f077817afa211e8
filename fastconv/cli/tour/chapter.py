"""The whole walk: every step in order, and what they found."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastconv.cli.tour.checks import Check
from fastconv.cli.tour.picture import Picture
from fastconv.cli.tour.series import Series
from fastconv.cli.tour.steps.blur import Blur, blur
from fastconv.cli.tour.steps.digits import Digits, classify
from fastconv.cli.tour.steps.eye import Eye, find_eye
from fastconv.cli.tour.steps.feature_map import FeatureMap, shrink
from fastconv.cli.tour.steps.fourier import Fourier, transform
from fastconv.cli.tour.steps.smoothing import LONG, Smoothing, smooth
from fastconv.cli.tour.timing import Race

__all__ = ["STEPS", "Chapter", "walk"]

STEPS = 6


@dataclass(frozen=True, slots=True)
class Chapter:
    """The results of all steps."""

    smoothing: Smoothing
    fourier: Fourier
    blur: Blur
    eye: Eye
    feature_map: FeatureMap
    digits: Digits | None
    """None where scikit-learn is not installed."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every assertion that held, in order."""
        found = itertools.chain.from_iterable(step.checks for step in self._steps)
        return (*found, *(self.digits.checks if self.digits else ()))

    @property
    def races(self) -> tuple[Race, ...]:
        """Every race, in order."""
        return tuple(itertools.chain.from_iterable(step.races for step in self._steps))

    @property
    def _steps(self) -> tuple[Smoothing, Fourier, Blur, Eye, FeatureMap]:
        return self.smoothing, self.fourier, self.blur, self.eye, self.feature_map

    def numbers(self) -> dict[str, Any]:
        """Return what the tour found as plain numbers and strings, ready for JSON."""
        first, last = self.smoothing.first_last
        return {
            "series": self.smoothing.series.source,
            "samples": self.smoothing.series.values.size,
            f"same_{LONG}_first": first,
            f"same_{LONG}_last": last,
            "fourier_error": self.fourier.error,
            "picture": self.eye.picture.source,
            "contrast": {str(width): value for width, value in self.blur.contrast.items()},
            "true_places": self.eye.true_places,
            "peaks": [{"place": peak.place, "answer": peak.value} for peak in self.eye.twice],
            "found_twice": self.eye.found_twice,
            "stride_keeps": self.feature_map.kept,
            "digits_read": None if self.digits is None else self.digits.accuracy,
            "checks": len(self.checks),
            "races": [
                {
                    "step": r.step,
                    "work": r.work,
                    "path": r.chosen,
                    "why": r.reason,
                    "seconds": dict(r.seconds),
                }
                for r in self.races
            ],
        }


def walk(series: Series, picture: Picture, rounds: int, tell: Callable[[str], None]) -> Chapter:
    """Take every step, telling its name before it starts.

    Raises
    ------
    CheckFailed
        If one of its numbers differs from NumPy's or SciPy's by more than round-off.
    """
    tell("moving averages")
    smoothing = smooth(series, rounds)
    tell("the same through Fourier transforms")
    fourier = transform(series, rounds)
    tell("box blurs")
    blurred = blur(picture, rounds)
    tell("finding the eye")
    eye = find_eye(picture, rounds)
    tell("padding, stride and max-pooling")
    feature_map = shrink(eye, rounds)
    tell("a network that reads digits")
    return Chapter(smoothing, fourier, blurred, eye, feature_map, classify())
