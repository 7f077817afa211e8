"""Step 2: the same average through Fourier transforms by hand, with and without zero padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

import fastconv
from fastconv.cli.tour.checks import Check, agree, round_off, true
from fastconv.cli.tour.series import Series
from fastconv.cli.tour.steps.smoothing import LONG, box
from fastconv.cli.tour.timing import OURS, Race, race

__all__ = ["Fourier", "transform"]

Signal = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fourier:
    """The longer average, three ways."""

    series: Series
    library: Signal
    """What `fastconv.convolve` returns, mode "full"."""
    padded: Signal
    """By hand, both padded with zeros to `padded_size`."""
    circular: Signal
    """By hand without padding: n outputs, the first 40 wrapped around."""
    padded_size: int
    checks: tuple[Check, ...]
    races: tuple[Race, ...]

    @property
    def error(self) -> float:
        """Largest difference between the padded transforms and the library."""
        return float(np.max(np.abs(self.padded - self.library)))

    @property
    def wrapped(self) -> Signal:
        """Error of the unpadded transforms at each of the n outputs."""
        return self.circular - self.library[: self.circular.size]


def by_fft(x: Signal, w: Signal, size: int) -> Signal:
    """Multiply the transforms of `x` and `w`, both zero-padded to `size`, and transform back."""
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(w, size), size)


def transform(series: Series, rounds: int) -> Fourier:
    """Average a series by multiplying transforms and check it against the sliding window."""
    x, w = series.values, box(LONG)
    n, length = x.size, x.size + LONG - 1
    # Any size from n + 40 on will do; a product of small primes is the quickest to transform.
    size = scipy.fft.next_fast_len(length, real=True)
    bound = round_off(x, w)
    library = fastconv.convolve(x, w)
    padded = by_fft(x, w, size)[:length]
    circular = by_fft(x, w, n)

    # The 40 outputs beyond the end come back at the start: that is all the wrap-around there is.
    expected = library[:n].copy()
    expected[: LONG - 1] += library[n:]
    spill = float(np.max(np.abs(circular[LONG - 1 :] - library[LONG - 1 : n])))
    checks = (
        agree("padded transforms, against fastconv.convolve", padded, library, bound),
        agree(
            "padded transforms, against scipy.signal.fftconvolve",
            padded,
            scipy.signal.fftconvolve(x, w),
            bound,
        ),
        agree("unpadded transforms are the average wrapped around", circular, expected, bound),
        true("wrap-around must stay in the first 40 outputs", spill <= bound, spill),
    )
    contest = race(
        f"2  average of {LONG}, full",
        f"{n} samples, {LONG} taps, full",
        {
            OURS: lambda: fastconv.convolve(x, w),
            "numpy.fft by hand": lambda: by_fft(x, w, size)[:length],
            "numpy.convolve": lambda: np.convolve(x, w),
            "scipy.signal.fftconvolve": lambda: scipy.signal.fftconvolve(x, w),
            "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(x, w),
        },
        lambda: fastconv.explain(x, w),
        rounds=rounds,
    )
    return Fourier(series, library, padded, circular, int(size), checks, (contest,))
