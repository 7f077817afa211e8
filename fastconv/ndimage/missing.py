"""Smoothing with missing samples: weighted means over those that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths.bands import Pass, cast, chain
from ..paths.windows import Window, slide
from ..request import integer
from . import arguments

Array = npt.NDArray[Any]

POLICIES = ("propagate", "omit", "interpolate")
# Taps whose sum is less than this part of their magnitudes have no mean.
_NO_SUM = 1e-8


def missing_of(
    nan_policy: Any, mask: Any, sample_weights: Any, min_count: Any, normalize: Any
) -> Missing:
    """Return what counts as missing; one and the same record where nothing does."""
    if (
        mask is None
        and sample_weights is None
        and normalize is None
        and nan_policy == "propagate"
        and type(min_count) is int
        and min_count == 1
    ):
        return NOTHING
    return Missing(nan_policy, mask, sample_weights, min_count, normalize)


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """What counts as missing, and what to do about it; see `fastconv.ndimage.convolve`."""

    nan_policy: str = "propagate"
    mask: Any = None
    sample_weights: Any = None
    min_count: Any = 1
    normalize: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.nan_policy, str):
            raise TypeError(f"nan_policy must be a string, got {self.nan_policy!r}")
        if self.nan_policy not in POLICIES:
            raise ValueError(f"nan_policy must be one of {[*POLICIES]}, got {self.nan_policy!r}")
        if self.normalize not in (None, True, False):
            raise TypeError(f"normalize must be None or a bool, got {self.normalize!r}")
        if integer("min_count", self.min_count) < 0:
            raise ValueError(f"min_count must not be negative, got {self.min_count}")

    @property
    def plain(self) -> bool:
        """Whether nothing can be missing and nothing is normalised."""
        return self is NOTHING or (
            self.nan_policy == "propagate"
            and self.mask is None
            and self.sample_weights is None
            and self.min_count == 1
            and not self.normalize
        )

    def refuse(self, what: str) -> None:
        """Refuse keywords for missing samples together with something else."""
        if not self.plain:
            raise ValueError(
                f"nan_policy, mask, sample_weights, min_count and normalize must have their "
                f"defaults with {what}, got {self}"
            )

    def dtype(self, x: Array) -> np.dtype[Any]:
        """Return the dtype of the result: means of integers are float64."""
        kept = self is NOTHING or self.plain or x.dtype.kind in "fc"
        return x.dtype if kept else np.dtype(np.float64)

    def both_parts(self, x: Array) -> Missing:
        """Return the same for either part of complex samples: missing in one, missing in both."""
        if self.nan_policy == "propagate":
            return self
        gone = np.isnan(x)
        if self.mask is not None:
            gone = gone | np.broadcast_to(np.asarray(self.mask, bool), x.shape)
        return replace(self, mask=gone)

    def by_parts(
        self, x: Array, output: Any, cval: Any, smooth: Callable[[Array, Array, Any, Missing], Any]
    ) -> Array:
        """Smooth the real and the imaginary parts of complex samples.

        Parameters
        ----------
        x : ndarray
            The samples.
        output, cval
            As the face was given them.
        smooth : callable
            ``smooth(part, output, cval, missing)``.
        """
        out = arguments.place(output, x.dtype, x.shape, complex_output=True)
        x = arguments.apart(x, out)
        both = self.both_parts(x)
        if self.nan_policy != "propagate" and np.isnan(cval):
            cval = complex(np.nan, np.nan)
        smooth(x.real, out.real, float(np.real(cval)), both)
        smooth(x.imag, out.imag, float(np.imag(cval)), both)
        return out

    @property
    def keywords(self) -> dict[str, Any]:
        """The keywords that say this."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def run(
        self, x: Array, out: Array, smoothing: Sequence[Pass] | Window,
        counting: Sequence[Pass] | Window, outside: float, total: float, magnitude: float,
        workers: int | None, scale: float = 1.0,
    ) -> None:  # fmt: skip
        """Compute the weighted means.

        Parameters
        ----------
        x, out : ndarray
            Samples and results.
        smoothing, counting : sequence of Pass or Window
            The filter, and the one with 1 for every tap other than zero.
        outside : float
            Samples outside, for the rule "fill".
        total, magnitude : float
            The sums of the taps and of their magnitudes.
        workers : int or None
            The most threads.
        scale : float
            What one sample counts for is one over this.
        """
        if abs(total) <= _NO_SUM * magnitude:
            raise ValueError(f"weights must have a sum other than zero for a mean, got {total}")
        x = arguments.apart(x, out)
        given = self._given(x)
        gone = self.nan_policy != "propagate" and np.isnan(outside)
        values = _Weighted(x, given, self.nan_policy != "propagate", 0.0 if gone else outside)
        there = _There(values, 0.0 if gone else 1.0)
        counts = None
        if self.min_count > 1:
            counts = np.empty(x.shape)
            _run([_Counted(there, there.outside)], counts, counting, workers, None)

        def finish(lo: int, hi: int, above: Array, below: Array) -> Array:
            with np.errstate(all="ignore"):
                mean = np.where(below != 0, above / below, np.nan)
                if self.normalize is False:
                    mean *= total
            if counts is not None:
                mean[counts[lo:hi] * scale < self.min_count - 0.5] = np.nan
            if self.nan_policy == "interpolate":
                weight = np.empty(mean.shape)
                there.read(slice(lo, hi), weight)
                mean = np.where(weight == 0, mean, x[lo:hi])
            return cast(mean, out.dtype)

        _run([values, there], out, smoothing, workers, finish)

    def _given(self, x: Array) -> Array | None:
        """Return the samples' weights from `mask` and `sample_weights`, or None for ones."""
        given = None
        if self.sample_weights is not None:
            given = np.broadcast_to(np.asarray(self.sample_weights, np.float64), x.shape)
            if not (np.isfinite(given) & (given >= 0)).all():
                raise ValueError("sample_weights must be finite and not negative")
        if self.mask is not None:
            mask = np.broadcast_to(np.asarray(self.mask, bool), x.shape)
            given = np.where(mask, 0.0, 1.0 if given is None else given)
        return given


NOTHING = Missing()


def _run(sources: Any, out: Array, smoothing: Any, workers: int | None, finish: Any) -> None:
    """Run a window or a chain of passes."""
    if isinstance(smoothing, Window):
        team = arguments.crew(2 * out.size * prod(smoothing.size), workers)
        slide(sources, out, smoothing, np.float64, team, finish)
    else:
        team = arguments.crew(2 * out.size * sum(q.size for q in smoothing), workers)
        chain(sources, out, smoothing, np.float64, team, finish)


@dataclass(frozen=True, slots=True, eq=False)
class _Weighted:
    """Samples times their weights; 0 where missing."""

    x: Array
    given: Array | None
    nan_is_missing: bool
    outside: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape

    def ready(self, dtype: Any) -> None:
        """Return that the samples have to be made."""

    def read(self, rows: Any, into: Array) -> None:
        into[...] = self.x[rows]
        if self.given is not None:
            weights = self.given[rows]
            with np.errstate(invalid="ignore"):
                into *= weights
            into[weights == 0] = 0.0
        if self.nan_is_missing and self.x.dtype.kind == "f":
            into[np.isnan(self.x[rows])] = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _There:
    """The samples' weights; 0 where missing."""

    of: _Weighted
    outside: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.of.x.shape

    def ready(self, dtype: Any) -> None:
        """Return that the weights have to be made."""

    def read(self, rows: Any, into: Array) -> None:
        into[...] = 1.0 if self.of.given is None else self.of.given[rows]
        if self.of.nan_is_missing and self.of.x.dtype.kind == "f":
            into[np.isnan(self.of.x[rows])] = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """1 where a sample is there."""

    of: _There
    outside: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.of.shape

    def ready(self, dtype: Any) -> None:
        """Return that the counts have to be made."""

    def read(self, rows: Any, into: Array) -> None:
        self.of.read(rows, into)
        into[...] = into != 0
