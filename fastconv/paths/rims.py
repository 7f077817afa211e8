"""Rims of rows: windows that hang over an end of a signal meet a copy that goes on there."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import isqrt
from typing import Any

import numpy as np

from .. import geometry
from ..problem import Problem
from ..runtime import threads

# A copy is about as long as the filter, or so many samples; copies of several signals together
# stay in a second-level cache.
_LEAST, _BYTES = 1 << 12, 1 << 18
# Where zeros lie beyond both ends, so many products of one copy with zeros take as long as to make
# another: 20 us.
_ZEROS = 1 << 18
# So few samples are looked up one by one: by places that are kept, 30 us sooner.
_SHORT = 1 << 13
# In which the loop for rims makes so many products.
_WORTHWHILE = 1 << 14

# (problem, x, w, out, first, workers): computes out[:, first:] of one without a boundary rule.
Loop = Callable[[Problem, Any, Any, Any, int, int], None]


def crawls(problem: Problem) -> bool:
    """Return whether zeros lie outside and many products belong to rims of strided windows."""
    (s,), (d,), (k,), (m,) = problem.stride, problem.dilation, problem.filter, problem.output
    if s == 1 or d > 1 or problem.boundary != ("zero",):
        return False
    (n,), (p,) = problem.signal, problem.pad
    lo, hi = geometry.interior(n, k, m, s, d, p)
    return problem.batch * (m - hi + lo) * k > _WORTHWHILE


def space(problem: Problem) -> tuple[int, int, bool]:
    """Return how many signals are copied together, of how many samples, and if that is all.

    Where all that the outputs read is as much as rims are copied at once, it is copied at once.
    """
    (s,), (d,), (k,), (m,) = problem.stride, problem.dilation, problem.filter, problem.output
    reach, size = geometry.span(k, d), np.dtype(problem.dtype).itemsize
    most = (_BYTES if problem.room is None else min(_BYTES, problem.room // 16)) // size
    whole = max(0, m - 1) * s + reach
    if problem.boundary != ("zero",) and problem.batch * whole <= most:
        return problem.batch, whole, True
    if problem.boundary == ("zero",):
        each = max(reach // (8 * s), isqrt(_ZEROS // s))
    else:
        each = max(reach, _LEAST) // s
    each = max(1, min(each, m, (most - reach) // s + 1))
    samples = (each - 1) * s + reach
    return max(1, min(problem.batch, most // samples)), samples, False


def run(problem: Problem, loop: Loop, x: Any, w: Any, out: Any, value: Any, workers: int) -> None:
    """Compute all outputs by a loop that knows no boundary rule.

    Where zeros lie outside, the taps must be finite: they are multiplied.
    """
    (n,), (k,), (m,), (rule,) = problem.signal, problem.filter, problem.output, problem.boundary
    (s,), (d,), (p,) = problem.stride, problem.dilation, problem.pad
    signals, samples, whole = space(problem)
    lo, hi = (0, 0) if whole else geometry.interior(n, k, m, s, d, p)
    plain = problem._replace(boundary=("zero",))
    if hi > lo:
        loop(plain.part((lo,), (hi,), problem.batch), x, w, out, lo, workers)
    each = max(1, (samples - geometry.span(k, d)) // s + 1)

    def some(first: int, last: int, low: int, begin: int, end: int) -> None:
        begin, end = low + begin, low + end
        if begin == end:
            return
        t0, t1 = (0, k) if rule != "zero" else geometry.met(n, k, end - begin, s, d, p - begin * s)
        if t0 == t1:
            out[first:last, begin:end] = 0
            return
        start, length = begin * s - p + t0 * d, (end - 1 - begin) * s + geometry.span(t1 - t0, d)
        source = x[:1] if problem.shared_signal else x[first:last]
        copies = np.empty((len(source), length), x.dtype)
        go_on(source, start, rule, value, copies)
        part = plain._replace(
            batch=last - first,
            signal=(length,),
            filter=(t1 - t0,),
            output=(end - begin,),
            pad=(0,),
        )
        taps = np.ascontiguousarray((w if problem.shared_filter else w[first:last])[:, t0:t1])
        if len(source) < last - first:
            copies = np.broadcast_to(copies, (last - first, length))
        loop(part, copies, taps, out[first:last], begin, 1)

    if whole:
        some(0, problem.batch, 0, 0, m)
        return
    for low, high in ((0, lo), (hi, m)):
        if signals >= problem.batch:
            own = partial(some, 0, problem.batch, low)
            threads.run(own, geometry.bands(high - low, each), workers)
            continue
        for begin in range(low, high, each):
            some_signals = partial(some, low=0, begin=begin, end=min(begin + each, high))
            threads.run(some_signals, geometry.bands(problem.batch, signals), workers)


@lru_cache(maxsize=64)
def _places(first: int, length: int, n: int, rule: str) -> Any:
    return geometry.source_map(first, length, n, rule)


def go_on(x: Any, first: int, rule: str, value: Any, samples: Any) -> None:
    """Set samples[..., j] to sample first + j of the signals x, which go on beyond both ends."""
    from .planes import take

    n, length = x.shape[-1], samples.shape[-1]
    if 0 < length <= _SHORT and n and rule not in ("zero", "fill") and x.dtype == samples.dtype:
        np.take(x, _places(first, length, n, rule), -1, samples, "clip")
        return
    lo = min(max(-first, 0), length)
    hi = max(min(n - first, length), lo)
    samples[..., lo:hi] = x[..., first + lo : first + hi]
    for begin, end in ((0, lo), (hi, length)):
        if begin < end:
            places = geometry.source_map(first + begin, end - begin, n, rule)
            take(x, places, first + begin, 1, value, samples[..., begin:end])


def exchanged(problem: Problem, x: Any, w: Any) -> tuple[Problem, Any, Any]:
    """Let a signal that is shorter than its filter be the filter: few windows hang over an end."""
    turned = problem.exchanged()
    signals = np.ascontiguousarray(w[:, ::-1])
    taps = np.ascontiguousarray((x[:1] if problem.shared_signal else x)[:, ::-1])
    return turned, np.broadcast_to(signals, (problem.batch, *turned.signal)), taps
