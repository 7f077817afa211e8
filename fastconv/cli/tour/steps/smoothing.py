"""Step 1: moving averages of a daily series, and which output belongs to which day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

import fastconv
from fastconv.cli.tour.checks import Check, agree, equal, round_off, true
from fastconv.cli.tour.series import Series
from fastconv.cli.tour.timing import OURS, Race, race

__all__ = ["LONG", "SHORT", "Smoothing", "smooth"]

LONG, SHORT = 41, 21

Signal = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """The moving averages of one series."""

    series: Series
    same: dict[int, Signal]
    """Average with one output per sample, by box width."""
    full: Signal
    """Every output the longer box touches: ``n + 40`` of them."""
    valid: Signal
    """Outputs whose window lies inside the series: ``n - 40`` of them."""
    residual: dict[int, Signal]
    """Series less average, by box width, for the days of `valid`."""
    misplaced: Signal
    """The same for `LONG` when output i of `full` is wrongly taken to belong to day i."""
    checks: tuple[Check, ...]
    races: tuple[Race, ...]

    @property
    def first_last(self) -> tuple[float, float]:
        """The first and last output of the longer box in mode "same"."""
        return float(self.same[LONG][0]), float(self.same[LONG][-1])


def box(width: int) -> Signal:
    """Return `width` equal taps that sum to one."""
    return np.full(width, 1.0 / width)


def smooth(series: Series, rounds: int) -> Smoothing:
    """Average a series with boxes of 41 and 21 samples and check every number."""
    x = series.values
    n, half = x.size, (LONG - 1) // 2
    checks: list[Check] = []
    outputs: dict[tuple[int, str], Signal] = {}
    for width in (LONG, SHORT):
        w = box(width)
        for mode in ("full", "same", "valid"):
            y = outputs[width, mode] = fastconv.convolve(x, w, mode)
            what = f"{width}-sample average, mode {mode}"
            checks.append(
                agree(
                    f"{what}, against numpy.convolve", y, np.convolve(x, w, mode), round_off(x, w)
                )
            )
        peer = scipy.signal.convolve(x, w, "same")
        checks.append(
            agree(
                f"{width}-sample average, against scipy.signal",
                outputs[width, "same"],
                peer,
                round_off(x, w),
            )
        )
    if np.array_equal(x, np.rint(x)) and np.abs(x).sum() < 2**53:
        whole, ones = x.astype(np.int64), np.ones(LONG, np.int64)
        checks.append(
            equal(
                "41-sample sums of whole numbers",
                fastconv.convolve(whole, ones),
                np.convolve(whole, ones),
            )
        )

    full, same, valid = (outputs[LONG, mode] for mode in ("full", "same", "valid"))
    bound = round_off(x, box(LONG))
    checks.append(
        agree("output i + 20 of full is output i of same", full[half : half + n], same, bound)
    )
    checks.append(
        agree("output i of valid is output i + 20 of same", same[half : n - half], valid, bound)
    )
    middle = float(np.mean(x[:LONG]))
    ok = abs(valid[0] - middle) <= bound
    checks.append(true("valid output 0 must be the mean of samples 0 to 40", ok, valid[0]))

    inside = slice(half, n - half)
    return Smoothing(
        series=series,
        same={width: outputs[width, "same"] for width in (LONG, SHORT)},
        full=full,
        valid=valid,
        residual={width: x[inside] - outputs[width, "same"][inside] for width in (LONG, SHORT)},
        misplaced=(x - full[:n])[inside],
        checks=tuple(checks),
        races=tuple(_race(x, width, rounds) for width in (LONG, SHORT)),
    )


def _race(x: Signal, width: int, rounds: int) -> Race:
    w = box(width)
    return race(
        f"1  average of {width}",
        f"{x.size} samples, {width} taps, same",
        {
            OURS: lambda: fastconv.convolve(x, w, "same"),
            "numpy.convolve": lambda: np.convolve(x, w, "same"),
            "scipy.signal.convolve": lambda: scipy.signal.convolve(x, w, "same"),
            "scipy.ndimage.uniform_filter1d": lambda: scipy.ndimage.uniform_filter1d(
                x, width, mode="constant"
            ),
        },
        lambda: fastconv.explain(x, w, "same"),
        rounds=rounds,
    )
