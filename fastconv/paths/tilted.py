"""Transforms whose errors are small for each output by itself: tilt until every one is large.

Weighted by exp(theta j), a convolution of the weighted operands is the weighted convolution; its
transform's error is small beside the outputs near its peak, and theta moves the peak anywhere. An
output is taken from a tilt that proves it good; the few that no tilt proves are left to the direct
loop. The idea of certifying entries one by one is that of aFFT-C (Wilson and Keich 2016), which
splits the operands by magnitude instead.
"""

from __future__ import annotations

from math import frexp, log2
from typing import Any

import numpy as np

from ..path import SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from . import fft_run, fft_tables

DTYPES = ("float64", "float32")
# The relative error of any output, whatever the number of taps allows.
_MOST_ERROR = {"float64": 5e-11, "float32": 5e-6}
# What weighting and its undoing may add to an output's relative error, in units of eps.
_TILT_ERROR = 8
# What a tilt costs in products of the direct loop: in itself, per sample of the operands, and per
# sample that it keeps (AVX-512, 2026-11).
_CALL_PRODUCTS, _SCAN_PRODUCTS, _TILT_PRODUCTS = 5_000_000, 200, 500
# Weights below exp(-45) = 3e-20 of the largest are dropped: less than roundoff.
_DROPPED = 45.0
_MOST_STEPS = 200
_MOST_WASTED = 2
# theta and the offsets are multiples of this, so that every exponent is computed exactly for
# operands of up to 2^22 samples and |theta| < 64.
_GRAIN = 2.0**-24
_LONGEST, _STEEPEST, _LARGEST_EXPONENT = 1 << 22, 63.0, 700.0
_BUCKETS = 1024
_LEAST_TAPS = 64
# Doubles for each sample of the operands and for each output, beside the transforms.
_OF_SAMPLES, _OF_OUTPUTS = 6, 5


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in DTYPES:
        return f"real floats only, not {problem.dtype}"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    if problem.filter[0] < _LEAST_TAPS:
        return f"at least {_LEAST_TAPS} taps"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise: |err| <= (k + 4) eps sum|x||w|, by proof."""
    return "componentwise"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter and the loop over blocks."""
    return fft_run.KERNELS


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def _first_size(n: int, k: int) -> int:
    return fft_run.block_size(min(n + k - 1, 8 * k))


def work(problem: Problem) -> Work:
    """Return the blocks of the operands and of their magnitudes: tilts depend on the data."""
    k, outputs = problem.filter[0], _span(problem)
    if outputs < 1:
        return Work(calls=0)
    at = fft_run.layout(
        problem.signal[0], k, problem.pad[0], outputs, _first_size(problem.signal[0], k)
    )
    return Work(
        calls=2 * problem.batch,
        butterflies=2 * problem.batch * (2 * at.blocks + 1) * at.size * log2(at.size),
        bytes_moved=16 * problem.batch * (outputs + problem.signal[0]),
    )


def space(problem: Problem) -> Space:
    """Return the operands' and results' copies, logarithms and marks, and the longest transform."""
    samples, outputs = problem.signal[0] + problem.filter[0], max(0, _span(problem))
    # Tilts are as short as what is left of the operands: tables of other sizes are kept, too.
    need = fft_tables.lengths(fft_run.block_size(max(samples, 128)), "float64")
    doubles = _OF_SAMPLES * samples + _OF_OUTPUTS * outputs + need.spectrum + 3 * need.table
    return Space(8 * doubles + 4 * SLACK, 8 * need.scratch + SLACK)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute what tilts prove; return the rest as boxes."""
    if operands.out.size == 0:
        return []
    if operands.x.size == 0:
        operands.out[...] = 0
        return []
    boxes: list[Box] = []
    with np.errstate(all="ignore"):  # As silent as the loop itself.
        for row in range(problem.batch):
            x, w = operands.x[row], operands.w[row % len(operands.w)]
            y, left = _row(problem, x, w, operands.workers)
            if y is None:
                boxes += [(row, row + 1, box[2]) for box in everything(problem)]
                continue
            operands.out[row] = y[:: problem.stride[0]]
            boxes += [(row, row + 1, (band,)) for band in left]
    return boxes


def _row(problem: Problem, x: Any, w: Any, workers: int) -> tuple[Any, list[tuple[int, int]]]:
    """Return the outputs of one signal and the ranges of those that are not proven.

    None in place of the outputs: everything is left.
    """
    (k,), (stride,), dtype = problem.filter, problem.stride, np.dtype(problem.dtype)
    scaled = [_normal(operand) for operand in (x, w)]
    if any(found is None for found in scaled):
        return None, []
    (x, x_scale), (w, w_scale) = (found for found in scaled if found is not None)
    if abs(x_scale + w_scale) + k.bit_length() > np.finfo(dtype).maxexp - 4:
        return None, []
    allowed = (k + 4 - _TILT_ERROR) * float(np.finfo(dtype).eps)
    allowed = min(allowed, _MOST_ERROR[problem.dtype])
    search = _Search(x, w, problem.pad[0], _span(problem), allowed, workers)
    search.pending[np.arange(len(search.y)) % stride != 0] = False
    search.take_blocks()
    if search.worth_more(0, len(search.y)):
        search.take_empty()
        if len(x) + k <= _LONGEST:
            search.take_tilts()
    y = np.ldexp(search.y, x_scale + w_scale)
    ranges = _runs(np.flatnonzero(search.pending) // stride)
    return y, ranges


def _normal(operand: Any) -> tuple[Any, int] | None:
    """Return the operand in float64 times a power of two, its largest magnitude below 1.

    None where that is not exact, or where nothing is to be gained.
    """
    operand = operand.astype(np.float64)
    magnitude = np.abs(operand)
    largest = float(magnitude.max())
    if not np.isfinite(largest) or largest == 0:
        return None
    exponent = frexp(largest)[1]
    if exponent > 0:
        least = float(np.min(magnitude, where=magnitude > 0, initial=largest))
        if frexp(least)[1] - exponent < -1021:
            return None
    return np.ldexp(operand, -exponent), exponent


def _runs(places: Any) -> list[tuple[int, int]]:
    """Return ranges that hold all places; gaps of less than 64 are closed."""
    if len(places) == 0:
        return []
    ranges = np.stack([places, places + 1], axis=1)
    breaks = np.flatnonzero(np.diff(places) > 64)
    starts, ends = np.r_[0, breaks + 1], np.r_[breaks, len(places) - 1]
    return [(int(ranges[s, 0]), int(ranges[e, 1])) for s, e in zip(starts, ends, strict=True)]


class _Search:
    """The outputs of one signal: which are proven, and the steps that prove more of them."""

    def __init__(
        self, x: Any, w: Any, pad: int, outputs: int, allowed: float, workers: int
    ) -> None:
        self.x, self.w, self.pad, self.workers = x, w, pad, workers
        self.allowed = allowed
        self.signed = bool(x.min() < 0 or w.min() < 0)
        self.y = np.zeros(outputs)
        self.pending = np.ones(outputs, bool)
        self.kept = len(x) + len(w)  # Samples in the last transform.

    def worth_more(self, low: int, high: int) -> bool:
        """Return whether a tilt costs less than the direct loop over low..high-1."""
        n, k = len(self.x), len(self.w)
        tilt = _CALL_PRODUCTS + _SCAN_PRODUCTS * (n + k) + _TILT_PRODUCTS * self.kept
        # How many products outputs have: their number rises to k, stays, and falls.
        place = np.arange(low, high) + (k - 1 - self.pad)
        taps = np.minimum(np.minimum(place + 1, n + k - 1 - place), min(n, k))
        return bool(np.sum(taps, where=self.pending[low:high] & (taps > 0)) > tilt)

    def take_blocks(self) -> None:
        """Take what blocks as they are prove."""
        n, k = len(self.x), len(self.w)
        at = fft_run.layout(n, k, self.pad, len(self.y), _first_size(n, k))
        y, least = self._pair(self.x, self.w, at, len(self.y))
        bounds = 1.001 * fft_run.bounds(self.x, self.w, at, len(self.y)) + (n + k) * 1e-300
        good = self.pending & (least * self.allowed >= bounds)
        self.y[good] = y[good]
        self.pending[good] = False

    def _pair(self, x: Any, w: Any, at: fft_run.Layout, outputs: int) -> tuple[Any, Any]:
        """Return the correlation, and that of the magnitudes, which its error is relative to."""
        y = fft_run.correlate(x, w, at, outputs, self.workers)
        if not self.signed:
            return y, y
        return y, fft_run.correlate(np.abs(x), np.abs(w), at, outputs, self.workers)

    def take_empty(self) -> None:
        """Set to zero the outputs all of whose products are zero: their number is computed."""
        if self.x.all() and self.w.all():
            return
        n, k = len(self.x), len(self.w)
        at = fft_run.layout(n, k, self.pad, len(self.y), _first_size(n, k))
        x, w = ((operand != 0).astype(np.float64) for operand in (self.x, self.w))
        counts = fft_run.correlate(x, w, at, len(self.y), self.workers)
        if fft_run.bounds(x, w, at, len(self.y)).max() < 0.5:
            self.pending[counts < 0.5] = False

    def take_tilts(self) -> None:
        """Sweep the peak over the outputs that are left, from the first one on.

        What a tilt takes tells how far ahead the next one may aim. Where the direct loop is
        cheaper than a tilt, or where tilts fail, the outputs are left to it.
        """
        tilts = None
        total = len(self.y)
        reach = max(total / 16, np.count_nonzero(~self.pending) / 2)
        left = np.zeros_like(self.pending)
        first = failures = balance = 0
        for _ in range(_MOST_STEPS):
            first += int(np.argmax(self.pending[first:]))
            if not self.pending[first]:
                break
            gap = int(np.argmin(self.pending[first:])) or total - first
            end = first + min(gap, max(1, int(2 * reach)))
            if balance > _MOST_WASTED:
                break
            if failures == 3 or not self.worth_more(first, end):
                left[first:end] |= self.pending[first:end]
                self.pending[first:end] = False
                reach, failures = min(2 * reach, total), 0
                continue
            tilts = tilts or _Tilts(self.x, self.w, self.pad)
            ahead = min(reach, gap / 2)
            taken = self._take_tilt(tilts, tilts.theta(first + ahead, ahead / 16))
            # Tilts that take nothing where they aim are in vain: noise is the same everywhere.
            if taken and not self.pending[first]:
                reach, failures, balance = 0.45 * taken, 0, max(balance - 1, -2)
            else:
                reach, failures = min(0.6 * reach, 0.4 * taken + 1), failures + 1
                balance += taken < reach / 2
        self.pending |= left

    def _take_tilt(self, tilts: _Tilts, theta: float) -> int:
        """Take what one tilt proves; return how many outputs that was."""
        weighted = tilts.weigh(theta)
        if weighted is None:
            return 0
        x, w, first, offset = weighted
        n, k = len(x), len(w)
        self.kept, outputs = n + k, n + k - 1
        at = fft_run.layout(n, k, k - 1, outputs, fft_run.block_size(outputs))
        y, least = self._pair(x, w, at, outputs)
        # What was dropped, in the 2-norm, beside operands whose largest sample is one.
        lost = np.sqrt(len(self.x) + len(self.w)) * np.exp(-_DROPPED)
        dropped = lost * (_norm(x) + _norm(w) + lost)
        bound = 1.001 * (float(fft_run.bounds(x, w, at, 1)[0]) + dropped)
        low, high = max(0, first), min(len(self.y), first + outputs)
        pending = self.pending[low:high]
        inside = slice(low - first, high - first)
        good = low + np.flatnonzero(pending & (least[inside] * self.allowed >= bound))
        # Half of the exponent at a time: the weight alone may underflow where the output does not.
        half = np.exp((offset - theta * good) / 2)
        self.y[good] = y[good - first] * half * half
        self.pending[good] = False
        return len(good)


def _norm(x: Any) -> float:
    return float(np.sqrt(np.square(x).sum()))


class _Tilts:
    """The operands' logarithms, and tilts that put the peak of the result at a given output."""

    def __init__(self, x: Any, w: Any, pad: int) -> None:
        # Output i collects x[j] w[t] with j - t = i - pad.
        self.x, self.w, self.pad = x, w, pad
        self.logs = [np.log(np.abs(operand)) for operand in (x, w)]
        self.buckets = [_buckets(log) for log in self.logs]
        self.last = 0.0

    def theta(self, output: float, within: float) -> float:
        """Return the tilt that puts the result's centre of mass near `output`.

        The centre grows with theta, at the rate of the variance: Newton's steps, kept within
        bounds by bisection. Buckets of samples are accurate enough.
        """
        low, high, theta = -_STEEPEST, _STEEPEST, self.last
        for _ in range(40):
            centre, variance = self._centre(theta)
            if abs(centre - output) <= within:
                break
            if centre < output:
                low = theta
            else:
                high = theta
            theta += (output - centre) / max(variance, 1e-9)
            if not low < theta < high:
                theta = (low + high) / 2
        self.last = round(theta / _GRAIN) * _GRAIN
        return self.last

    def _centre(self, theta: float) -> tuple[float, float]:
        """Return the result's centre of mass and its variance under a tilt."""
        (x_places, x_logs), (w_places, w_logs) = self.buckets
        x_mean, x_variance = _moments(x_places, x_logs + theta * x_places)
        w_mean, w_variance = _moments(w_places, w_logs - theta * w_places)
        return x_mean - w_mean + self.pad, x_variance + w_variance

    def weigh(self, theta: float) -> tuple[Any, Any, int, float] | None:
        """Return what counts of both operands times exp(+-theta j - c), and what undoes it.

        The full convolution z of the two gives ``y[first + i] = z[i] exp(offset - theta (first +
        i))``. None where an exponent is too large.
        """
        (x, x_low, x_top), (w, w_low, w_top) = (
            self._weigh(operand, slope) for operand, slope in ((0, theta), (1, -theta))
        )
        if x is None or w is None:
            return None
        first = x_low - w_low - len(w) + 1 + self.pad
        return x, w, first, theta * self.pad + x_top + w_top

    def _weigh(self, number: int, slope: float) -> tuple[Any, int, float]:
        """Return one operand's weighted part, where it begins, and the exponent taken out."""
        operand, log = (self.x, self.w)[number], self.logs[number]
        exponent = slope * np.arange(len(operand), dtype=np.float64)
        size = log + exponent
        top = float(np.ceil(np.max(size) / _GRAIN) * _GRAIN)
        counts = size >= top - _DROPPED
        low, high = int(np.argmax(counts)), len(counts) - int(np.argmax(counts[::-1]))
        operand, exponent = operand[low:high], exponent[low:high] - top
        # Only a sample of zero, or next to the smallest numbers, can have such a weight.
        steep = exponent > _LARGEST_EXPONENT
        if steep.any():
            if operand[steep].any():
                return None, low, top
            exponent[steep] = 0
        return operand * np.exp(exponent), low, top


def _moments(places: Any, logs: Any) -> tuple[float, float]:
    masses = np.exp(logs - logs.max())
    masses /= masses.sum()
    mean = float((masses * places).sum())
    return mean, float((masses * np.square(places - mean)).sum())


def _buckets(log: Any) -> tuple[Any, Any]:
    """Return the places and the logarithms of the masses of equal parts of an operand."""
    width = -(-len(log) // _BUCKETS)
    starts = np.arange(0, len(log), width)
    largest = np.maximum.reduceat(log, starts)
    ends = np.minimum(starts + width, len(log))
    known = largest > -np.inf
    return ((starts + ends - 1) / 2)[known], largest[known]


PATH = Path(
    name="tilted",
    summary="transforms whose error is proven small for each output",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
