"""Keep NaN, Inf and overflow where they belong when a transform would spread them."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt

from . import geometry
from .path import Box, everything
from .problem import Problem

Array = npt.NDArray[Any]

# More separate touched places than this, in N-D, are not worth their bookkeeping.
_MOST_BOXES = 64


def quarantine(
    problem: Problem, x: Array, w: Array, transform_length: int, taken: int = 0
) -> tuple[Array, list[Box]]:
    """Return a signal that is safe to transform, and the outputs to be computed locally.

    Parameters
    ----------
    problem : Problem
        A sum over floats.
    x, w : ndarray
        Signals (batch, *signal) and filters.
    transform_length : int
        Points in one transform: its sums grow by at most this factor.
    taken : int
        Bytes of the problem's room that are not left for a copy of the signal.

    Returns
    -------
    clean : ndarray
        x itself, or a copy with 0 for every NaN and Inf.
    boxes : list of Box
        All windows that meet a NaN or an Inf. Everything, where the filter holds one, where a
        finite input could overflow inside a transform, or where a copy would take too much room.

    Where all filters meet one signal there is one copy of it, and a box holds the outputs of all.
    """
    if problem.shared_signal:
        one = problem._replace(batch=1, shared_signal=False)
        clean, boxes = quarantine(one, x[:1], w, transform_length, taken)
        seen = np.lib.stride_tricks.as_strided(clean, x.shape, (0, *clean.strides[1:]))
        return seen, [(0, problem.batch, axes) for _, _, axes in boxes]
    if x.size == 0 or w.size == 0:
        return x, []
    weight = float(np.abs(w).sum(axis=tuple(range(1, w.ndim)), dtype=np.longdouble).max())
    if not np.isfinite(weight):
        return x, everything(problem)
    peak = _peak(x)
    if np.isfinite(peak):
        return x, _overflow(problem, peak, weight, transform_length)
    if problem.room is not None and taken + x.nbytes + 3 * x.size > problem.room:
        return x, everything(problem)
    bad = ~np.isfinite(x)
    clean = np.where(bad, x.dtype.type(0), x)
    risky = _overflow(problem, _peak(clean), weight, transform_length)
    return clean, risky or _boxes(problem, bad)


def _peak(x: Array) -> float:
    """Return max |x|, NaN or Inf if x holds one; two passes at memory speed, no copy."""
    parts = x.view(x.real.dtype) if x.dtype.kind == "c" else x
    return float(np.maximum(parts.max(), -parts.min()))


def _overflow(problem: Problem, peak: float, weight: float, length: int) -> list[Box]:
    if not peak or not weight:
        return []
    # An unscaled spectrum grows by `length` in the forward and again in the inverse transform.
    log_peak, log_weight, growth = np.log2(peak), np.log2(weight), 2 * np.log2(length)
    largest = max(log_peak, log_weight, log_peak + log_weight) + growth
    return everything(problem) if largest > np.finfo(problem.dtype).maxexp - 4 else []


def _boxes(problem: Problem, bad: npt.NDArray[np.bool_]) -> list[Box]:
    in_rim = any(rule != "zero" for rule in problem.boundary)
    boxes_of = _boxes_nd if problem.ndim > 1 or in_rim else _boxes_1d
    boxes = boxes_of(problem, bad)
    area = sum((b1 - b0) * np.prod([hi - lo for lo, hi in axes]) for b0, b1, axes in boxes)
    # Past half of the outputs the transform no longer pays.
    return boxes if 2 * area <= problem.outputs else everything(problem)


def _windows(problem: Problem, axis: int, j: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each sample j of `axis` the range of outputs that read it, as rows (lo, hi)."""
    k, m, s = problem.filter[axis], problem.output[axis], problem.stride[axis]
    reach, pad = geometry.span(k, problem.dilation[axis]) - 1, problem.pad[axis]
    lo = np.maximum(0, -(-(j + pad - reach) // s))
    hi = np.minimum(m, (j + pad) // s + 1)
    return np.stack([lo, np.maximum(lo, hi)], axis=1)


def _boxes_1d(problem: Problem, bad: npt.NDArray[np.bool_]) -> list[Box]:
    rows, samples = np.nonzero(bad)
    ranges = _windows(problem, 0, samples)
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    return [
        (int(rows[a]), int(rows[a]) + 1, (band,))
        for a, b in pairwise([*starts.tolist(), len(rows)])
        for band in geometry.merge(ranges[a:b])
    ]


def _boxes_nd(problem: Problem, bad: npt.NDArray[np.bool_]) -> list[Box]:
    where = np.nonzero(bad)
    if len(where[0]) > _MOST_BOXES:
        return everything(problem)
    ranges = [_ranges(problem, a, where[a + 1]) for a in range(problem.ndim)]
    return [
        (b, b + 1, axes)
        for i, b in enumerate(where[0].tolist())
        for axes in product(*(of_axis[i] for of_axis in ranges))
    ]


def _ranges(
    problem: Problem, axis: int, samples: npt.NDArray[np.int64]
) -> list[list[tuple[int, int]]]:
    """Return for each sample the ranges of outputs that read it, within the signal or its rim."""
    if problem.boundary[axis] in ("zero", "fill"):
        return [geometry.merge(row[None]) for row in _windows(problem, axis, samples)]
    n, k, m, s = (field[axis] for field in (
        problem.signal, problem.filter, problem.output, problem.stride))  # fmt: skip
    pad, reach = problem.pad[axis], geometry.span(k, problem.dilation[axis])
    places = geometry.source_map(-pad, (m - 1) * s + reach, n, problem.boundary[axis])
    return [
        geometry.merge(_windows(problem, axis, np.flatnonzero(places == j) - pad))
        for j in samples.tolist()
    ]
