"""How the 2-D loop serves images: strided columns, images of another dtype, large filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..path import BAND_BYTES, SLACK, Space
from ..problem import Problem
from ..runtime import threads
from ..runtime.scratch import scratch

# What the 2-D loop does with a result; streaming stores pay once `out` leaves the last cache.
STORE, ADD, _STREAM = 0, 1, 2
STREAM_BYTES = 8 << 20
# Results that lie in a second-level cache, and copied samples of an image.
_BLOCK_BYTES, _CONVERTED_BYTES = 1 << 18, 1 << 21
_APART_PRODUCTS = 25
# What the loop has for rims (`kernels.direct2d`); no tile has more rows, no vector more bytes.
_RIM_BYTES, _TILE_ROWS, _VECTOR_BYTES = 40 << 10, 8, 64
# Rows of results that meet other taps than the next ones: a call of the loop takes some 3 us.
_LEAST_ROWS = 40
# What is settled for images of so many results and taps is kept: 1 MB each.
_KEPT_PLACES = 1 << 16
_NO_SOURCES = np.empty(0, np.int64)


def arguments(problem: Problem, fill: Any, how: int = STORE) -> tuple[Any, ...]:
    """Return what the 2-D loop takes after its three arrays, for all rows of all planes."""
    last = _last_two(problem)
    (height, width), (kh, kw), (oh, ow), (sr, sc), (dr, dc), (pr, pc), (rule_r, rule_c) = last
    rows = geometry.source_map(-pr, (oh - 1) * sr + geometry.span(kh, dr), height, rule_r)
    columns = geometry.source_map(-pc, (ow - 1) * sc + geometry.span(kw, dc), width, rule_c)
    skip = int(rule_c == "zero" and rule_r == "zero")
    x_step = 0 if problem.shared_signal else height * width
    w_step = 0 if problem.shared_filter else kh * kw
    planes = (problem.batch, x_step, w_step, oh * ow)
    return (rows, columns, np.asarray(fill).reshape(1), _NO_SOURCES, *planes, width, ow, width, kh,
            kw, 0, oh, ow, sr, sc, dr, dc, pc, skip, how, 0)  # fmt: skip


def _last_two(problem: Problem) -> list[tuple[Any, Any]]:
    """Return each per-axis field for the last two axes."""
    fields = (
        problem.signal,
        problem.filter,
        problem.output,
        problem.stride,
        problem.dilation,
        problem.pad,
        problem.boundary,
    )
    return [(f[-2], f[-1]) for f in fields]


def runner(
    problem: Problem, kernel: Any, fill: Any, how: int | None = None
) -> Callable[[Any, Any, Any, int], None]:
    """Return what runs the 2-D loop on (x, w, out, workers); all else is settled once."""
    if how is None and _is_lower(problem):
        return _in_parts(problem, kernel, fill)
    if how is None and _rims_overflow(problem):
        return lambda x, w, out, workers: run_copied(problem, kernel, x, w, out, fill, workers)
    if how is None:
        size = np.dtype(problem.dtype).itemsize
        how = _STREAM if problem.outputs * size >= STREAM_BYTES else STORE
    all_rows = arguments(problem, fill, how)
    # A multiple of 40 rows: whole register tiles of 2, 5 and 8 rows.
    height, width = problem.output[-2:]
    of_band = max(40, geometry.band(problem.taps) // max(width, 1) // 40 * 40)
    bands = geometry.even(problem.batch * height, of_band, 40)
    maps, (_, x_step, w_step, out_step), steps, rest = (
        all_rows[:4], all_rows[4:8], all_rows[8:13], all_rows[15:]
    )  # fmt: skip

    def run(x: Any, w: Any, out: Any, workers: int) -> None:
        # One signal would be copied for each filter.
        x = (x[0] if problem.shared_signal else x).reshape(-1)
        w, out = w.reshape(-1), out.reshape(-1)
        if workers == 1 or len(bands) < 2:
            # The bits of a row do not depend on its band.
            kernel(x, w, out, *all_rows)
            return

        def some_rows(lo: int, hi: int) -> None:
            # Bands count rows over all planes: a band may end one plane and begin the next.
            while lo < hi:
                plane, row = divmod(lo, height)
                end = min(height, row + hi - lo)
                here = x[plane * x_step :], w[plane * w_step :], out[plane * out_step :]
                kernel(*here, *maps, 1, 0, 0, 0, *steps, row, end, *rest)
                lo += end - row

        threads.run(some_rows, bands, workers)

    return run


def runner_of(problem: Problem, kernel: Any, fill: Any) -> Callable[[Any, Any, Any, int], None]:
    """Return `runner`, that of the last time if there was one and it is small."""
    plain = problem.stride == problem.dilation == (1, 1) and "fill" not in problem.boundary
    if not plain or problem.outputs + problem.taps > _KEPT_PLACES:
        return runner(problem, kernel, fill)
    return _kept_runner(problem, kernel, fill.dtype)


@lru_cache(maxsize=32)
def _kept_runner(
    problem: Problem, kernel: Any, dtype: np.dtype[Any]
) -> Callable[[Any, Any, Any, int], None]:
    return runner(problem, kernel, dtype.type(0))


def _is_lower(problem: Problem) -> bool:
    """Return whether most rows of the one filter lie outside the image for most results."""
    if problem.ndim != 2 or problem.batch > 1 or problem.boundary != ("zero", "zero"):
        return False
    plain = problem.stride == problem.dilation == (1, 1)
    return plain and problem.filter[0] > 2 * problem.signal[0] + _LEAST_ROWS


def rows_looped(problem: Problem) -> int:
    """Return with how many rows of taps the loop makes each row of results."""
    height, taps = problem.signal[-2], problem.filter[-2]
    return height + max(_LEAST_ROWS, height) if _is_lower(problem) else taps


def _in_parts(problem: Problem, kernel: Any, fill: Any) -> Callable[[Any, Any, Any, int], None]:
    """Return `runner` for an image lower than its filter: some rows with the taps that meet it."""
    (height, _), (kh, kw), (oh, ow), (pad, pad_c) = (
        problem.signal, problem.filter, problem.output, problem.pad
    )  # fmt: skip
    parts = []
    for lo, hi in geometry.bands(oh, max(_LEAST_ROWS, height)):
        first, last = geometry.met(height, kh, hi - lo, 1, 1, pad - lo)
        part = problem._replace(
            filter=(last - first, kw), output=(hi - lo, ow), pad=(pad - lo - first, pad_c)
        )
        some = runner(part, kernel, fill, STORE) if last > first else None
        parts.append((lo, hi, first, last, some))

    def run(x: Any, w: Any, out: Any, workers: int) -> None:
        w, out = w.reshape(kh, kw), out.reshape(oh, ow)
        for lo, hi, first, last, some in parts:
            if some is None:
                out[lo:hi] = 0
            else:
                some(x, w[first:last], out[lo:hi], workers)

    return run


def strides_columns(problem: Problem) -> bool:
    """Return whether an image's columns are strided, which the loop takes one by one."""
    return problem.ndim == 2 and problem.stride[1] > 1


def space(problem: Problem) -> Space:
    """Return the most bytes that the functions here take, images of another dtype apart."""
    size = np.dtype(problem.dtype).itemsize
    reach = [(m - 1) * s + geometry.span(k, d) for m, s, k, d in zip(
        problem.output, problem.stride, problem.filter, problem.dilation, strict=True)]  # fmt: skip
    maps = 24 * sum(max(0, r) for r in reach[-2:]) + SLACK
    maps += BAND_BYTES * problem.batch * problem.output[-2]
    if not strides_columns(problem):
        if not _rims_overflow(problem):
            return Space(maps, 0)
        return Space(maps, _copied_rows(problem)[1] * max(0, reach[-1]) * size + SLACK)
    if _apart(problem):
        maps += _phase_bytes(problem)
    width = (problem.output[1] - 1) * problem.stride[1] + 1
    return Space(maps + 24 * max(0, width), max(40 * max(width, 1) * size, _BLOCK_BYTES) + SLACK)


def _apart(problem: Problem) -> bool:
    """Return whether columns are taken apart, where that costs less and there is room for it."""
    # To take columns apart costs some 25 products for each sample.
    pays = problem.taps * (problem.stride[1] - 1) > _APART_PRODUCTS * prod(problem.stride)
    if not pays or problem.dilation[1] != 1:
        return False
    return problem.room is None or _phase_bytes(problem) <= problem.room // 2


def _phase_bytes(problem: Problem) -> int:
    (_, kw), (_, ow), s = problem.filter, problem.output, problem.stride[1]
    columns = ow - 1 + -(-kw // s)
    return np.dtype(problem.dtype).itemsize * (
        problem.batch * problem.signal[0] * columns + problem.taps
    )


def run_strided(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Compute every s-th column by loops of stride 1."""
    # There a zero is multiplied where a sample is missing: not with taps that are not finite.
    if _apart(problem) and (w.dtype.kind not in "fc" or np.isfinite(w).all()):
        _by_phases(problem, kernel, x, w, out, fill, workers)
    else:
        _all_columns(problem, kernel, x, w, out, fill, workers)


def _all_columns(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Compute every column, some rows at a time, and keep every s-th."""
    (oh, ow), s = problem.output, problem.stride[1]
    width = (ow - 1) * s + 1
    wide = problem._replace(output=(oh, width), stride=(problem.stride[0], 1))
    known = arguments(wide, x.dtype.type(fill))
    of_band = max(40, _BLOCK_BYTES // (max(width, 1) * out.itemsize) // 40 * 40)

    def some_rows(lo: int, hi: int) -> None:
        rows = scratch((hi - lo) * width, out.dtype).reshape(hi - lo, width)
        here = known[0][lo * problem.stride[0] :]
        for b in range(problem.batch):
            kernel(
                x[b].reshape(-1), w[b % len(w)].reshape(-1), rows.reshape(-1), here, *known[1:4],
                1, 0, 0, 0, *known[8:13], 0, hi - lo, *known[15:],
            )  # fmt: skip
            out[b, lo:hi] = rows[:, ::s]

    if ow:
        threads.run(some_rows, geometry.bands(oh, of_band), workers)


def _by_phases(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Compute every s-th column as a sum over phases, each with stride 1.

    Tap v = r + s*q of output j meets the virtual column s*(j + q) + r: sample j + q of every s-th
    column from r on.
    """
    height, width = problem.signal
    (_, kw), (_, ow), s = problem.filter, problem.output, problem.stride[1]
    columns = geometry.source_map(-problem.pad[1], (ow - 1) * s + kw, width, problem.boundary[1])
    value = x.dtype.type(fill if "fill" in problem.boundary else 0)
    for r in range(min(s, kw)):
        taps = np.ascontiguousarray(w[..., r::s])
        found = columns[r::s][: ow - 1 + taps.shape[-1]]
        samples = scratch(problem.batch * height * len(found), x.dtype)
        samples = samples.reshape(problem.batch, height, len(found))
        take(x, found, r - problem.pad[1], s, value, samples)
        phase = problem._replace(
            signal=samples.shape[1:],
            filter=taps.shape[1:],
            stride=(problem.stride[0], 1),
            pad=(problem.pad[0], 0),
        )
        run = runner(phase, kernel, x.dtype.type(fill), ADD if r else STORE)
        run(samples, taps, out, workers)


def take(x: Any, columns: Any, first: int, step: int, value: Any, samples: Any) -> None:
    """Set samples[..., j] = x[..., columns[j]], or `value` where that is -1.

    Those of columns first + step*j that exist stand for themselves.
    """
    lo = min(max(-(first // step), 0), len(columns))
    hi = max(min((x.shape[-1] - 1 - first) // step + 1, len(columns)), lo)
    samples[..., lo:hi] = x[..., first + lo * step :: step][..., : hi - lo]
    for side in (slice(0, lo), slice(hi, len(columns))):
        those = columns[side]
        if those.max(initial=-1) >= 0:
            samples[..., side] = np.where(those < 0, value, x[..., those])
        else:
            samples[..., side] = value


def _rims_overflow(problem: Problem) -> bool:
    """Return whether the rims of one tile's source rows may be more than the workspace holds."""
    (_, n), (kh, kw), (_, m), _, (dr, dc), (_, pad), _ = _last_two(problem)
    reach = (kw - 1) * dc
    if problem.stride[-1] != 1 or (pad <= 0 and m + reach <= n - pad):
        return False
    size = np.dtype(problem.dtype).itemsize
    row = 2 * (2 * reach + _VECTOR_BYTES // size)
    return bool(((kh - 1) * dr + _TILE_ROWS) * row * size > _RIM_BYTES)


def _copied_rows(problem: Problem) -> tuple[int, int]:
    """Return how many rows of results are made of one copy, and how many it has at most."""
    (_, width), (kh, _), (_, ow), (s, _), (dr, _), _, _ = _last_two(problem)
    size, reach = np.dtype(problem.dtype).itemsize, geometry.span(kh, dr)
    if _rims_overflow(problem):
        # As many as a band has, if they are as many as the filter's: what is copied is met often.
        rows = max(60, min(reach, geometry.band(problem.taps) // max(ow, 1)) // s // 60 * 60)
    else:
        rows = max(60, _CONVERTED_BYTES // (max(width, 1) * size) // s // 60 * 60)
    return rows, (rows - 1) * s + reach


def run_copied(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Copy an image a few rows at a time, where they are computed.

    For one of another dtype, which is converted, and for filters whose rims are more than the
    loop's workspace holds (64 x 64 float32 taps on 100^2: 43 ms, 1.4 so): there the columns are
    continued beyond both ends.
    """
    (height, width), (kh, kw), (oh, ow), (s, _), (dr, dc), (pr, pc), rules = _last_two(problem)
    reach = geometry.span(kh, dr)
    rows = geometry.source_map(-pr, (oh - 1) * s + reach, height, rules[0])
    columns = geometry.source_map(-pc, ow - 1 + geometry.span(kw, dc), width, rules[1])
    skip = set(rules) == {"zero"}
    # A zero in place of a missing sample is multiplied: not with taps that are not finite.
    known = not skip or w.dtype.kind not in "fc" or bool(np.isfinite(w).all())
    continued, wide = known and _rims_overflow(problem), problem
    if continued:
        wide = problem._replace(
            signal=(*problem.signal[:-1], len(columns)), pad=(*problem.pad[:-1], 0)
        )
    how = _STREAM if problem.outputs * out.itemsize >= STREAM_BYTES else STORE
    whole = arguments(wide, out.dtype.type(fill), how)
    value = out.dtype.type(0 if skip else fill)
    signals = 1 if problem.shared_signal else problem.batch
    filters = 1 if problem.shared_filter else problem.batch
    x = (x[:1] if problem.shared_signal else x).reshape(signals, height, width)
    w, out = w.reshape(filters, kh * kw), out.reshape(problem.batch, oh, ow)

    def some_rows(lo: int, hi: int) -> None:
        needed = rows[lo * s : (hi - 1) * s + reach]
        first, last = int(needed[needed >= 0].min(initial=height)), int(needed.max(initial=-1))
        read: Any = slice(first, last + 1)
        local = np.where(needed < 0, -1, needed - first)
        if last - first > 2 * len(needed):  # Both ends of an image that wraps around.
            read, local = np.unique(needed, return_inverse=True)
            if read[0] < 0:
                read, local = read[1:], local - 1
        for b in range(problem.batch):
            source = x[b % signals, read]
            shape = (len(source), wide.signal[-1])
            samples = scratch(prod(shape), x.dtype if x.dtype == out.dtype else problem.dtype)
            if continued:
                take(source, columns, -pc, 1, value, samples.reshape(shape))
            else:
                samples.reshape(shape)[...] = source
            kernel(
                samples.view(out.dtype), w[b % filters], out[b, lo:hi].reshape(-1),
                local.astype(np.int64), *whole[1:4], 1, 0, 0, 0, *whole[8:13], 0, hi - lo,
                *whole[15:],
            )  # fmt: skip

    if ow and len(rows):
        threads.run(some_rows, geometry.bands(oh, _copied_rows(problem)[0]), workers)
