"""How the 2-D loop serves images, volumes, strided columns and images of another dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..path import BAND_BYTES, SLACK, Space
from ..problem import Problem
from ..runtime import threads
from ..runtime.scratch import scratch

# What the 2-D loop does with a result; streaming stores pay once `out` leaves the last cache.
_STORE, _ADD, _STREAM = 0, 1, 2
STREAM_BYTES = 8 << 20
# Results of a volume that are added to while they lie in a second-level cache, and converted
# samples of an image.
_BLOCK_BYTES, _CONVERTED_BYTES = 1 << 18, 1 << 21
_APART_PRODUCTS = 25
# What the loop has for rims (`kernels.direct2d`); no tile has more rows, no vector more bytes.
_RIM_BYTES, _TILE_ROWS, _VECTOR_BYTES = 40 << 10, 8, 64


def arguments(problem: Problem, fill: Any, how: int = _STORE) -> tuple[Any, ...]:
    """Return what the 2-D loop takes after its three arrays, for all rows of all planes.

    A 1-D problem is a plane of one row.
    """
    last = _last_two(problem)
    (height, width), (kh, kw), (oh, ow), (sr, sc), (dr, dc), (pr, pc), (rule_r, rule_c) = last
    rows = geometry.source_map(-pr, (oh - 1) * sr + geometry.span(kh, dr), height, rule_r)
    columns = geometry.source_map(-pc, (ow - 1) * sc + geometry.span(kw, dc), width, rule_c)
    skip = int(rule_c == "zero" and rule_r == "zero")
    x_step = 0 if problem.shared_signal else height * width
    w_step = 0 if problem.shared_filter else kh * kw
    planes = (problem.batch, x_step, w_step, oh * ow)
    return (rows, columns, np.asarray(fill).reshape(1), *planes, width, ow, width, kh, kw, 0, oh,
            ow, sr, sc, dr, dc, pc, skip, how)  # fmt: skip


def _last_two(problem: Problem) -> list[tuple[Any, Any]]:
    """Return each per-axis field for the last two axes; a missing row axis has length one."""
    fields = (
        problem.signal,
        problem.filter,
        problem.output,
        problem.stride,
        problem.dilation,
        problem.pad,
        problem.boundary,
    )
    if problem.ndim > 1:
        return [(f[-2], f[-1]) for f in fields]
    single = (1, 1, 1, 1, 1, 0, problem.boundary[0])
    return [(one, f[0]) for one, f in zip(single, fields, strict=True)]


def runner(
    problem: Problem, kernel: Any, fill: Any, how: int | None = None
) -> Callable[[Any, Any, Any, int], None]:
    """Return what runs the 2-D loop on (x, w, out, workers); all else is settled once."""
    if how is None and _rims_overflow(problem):
        return lambda x, w, out, workers: run_copied(problem, kernel, x, w, out, fill, workers)
    if how is None:
        size = np.dtype(problem.dtype).itemsize
        how = _STREAM if problem.outputs * size >= STREAM_BYTES else _STORE
    all_rows = arguments(problem, fill, how)
    # A multiple of 40 rows: whole register tiles of 2, 5 and 8 rows.
    height, width = problem.output[-2] if problem.ndim > 1 else 1, problem.output[-1]
    of_band = max(40, geometry.band(problem.taps) // max(width, 1) // 40 * 40)
    bands = geometry.bands(problem.batch * height, of_band)
    maps, (_, x_step, w_step, out_step), steps, rest = (
        all_rows[:3], all_rows[3:7], all_rows[7:12], all_rows[14:]
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


def run_volume(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Add up planes over the leading axes, some slices and rows of results at a time.

    The slices that a block of results reads are copied with their columns continued beyond both
    ends: every row would be met by each leading tap, and its rim be made anew.
    """
    if out.size == 0:
        return
    lead = range(problem.ndim - 2)
    taps = list(np.ndindex(*problem.filter[:-2]))
    sources = _sources(problem)
    skip = all(rule == "zero" for rule in problem.boundary)
    # A zero in place of a missing sample is multiplied: not with taps that are not finite.
    continued = not skip or w.dtype.kind not in "fc" or bool(np.isfinite(w).all())
    plane = problem.part((0,) * problem.ndim, problem.output, 1)
    columns = geometry.source_map(
        -problem.pad[-1],
        (problem.output[-1] - 1) * problem.stride[-1]
        + geometry.span(problem.filter[-1], problem.dilation[-1]),
        problem.signal[-1],
        problem.boundary[-1],
    )
    if continued:
        plane = plane._replace(signal=(*plane.signal[:-1], len(columns)), pad=(*plane.pad[:-1], 0))
    value = x.dtype.type(fill if not skip else 0)
    inside = arguments(plane, x.dtype.type(fill))
    outside = (np.full_like(inside[0], -1), *inside[1:])
    oh, slices = problem.output[-2], problem.output[-3]
    rows, deep = _block(problem, out.itemsize)

    def block(b: int, i: tuple[int, ...], first: int, last: int) -> None:
        """Make slices first..last-1 of the last leading axis, at position i of the others."""
        here = out[(b, *i, slice(first, last))]
        of_taps = sources[(slice(None), *i, slice(first, last))]
        met = np.unique(of_taps)
        met = met[met >= 0]
        samples = _slices(x[b], met)
        if continued and len(met):
            shape = (*samples.shape[:-1], len(columns))
            padded = scratch(prod(shape), x.dtype).reshape(shape)
            _take(samples, columns, -problem.pad[-1], 1, value, padded)
            samples = padded
        # From here on slices are numbered as they lie in `samples`.
        local = np.where(of_taps < 0, -1, np.searchsorted(met, of_taps)).tolist()
        begun = not skip or -1 not in local[0]
        if not begun:
            here[...] = 0
        for top, bottom in geometry.bands(oh, rows):
            for u, (tap, of_slices) in enumerate(zip(taps, local, strict=True)):
                how = _STORE if u == 0 and begun else _ADD
                for at, count, source in _runs(of_slices):
                    if source < 0 and skip:
                        continue
                    known = outside if source < 0 else inside
                    kernel(
                        samples[max(source, 0) :].reshape(-1), w[(b % len(w), *tap)].reshape(-1),
                        here[at:].reshape(-1), *known[:3], count, known[4], 0, *known[6:12],
                        top, bottom, *known[14:-1], how,
                    )  # fmt: skip

    blocks = [
        (b, i, first, last)
        for b in range(problem.batch)
        for i in product(*(range(problem.output[a]) for a in lead[:-1]))
        for first, last in geometry.bands(slices, deep)
    ]

    def some_blocks(lo: int, hi: int) -> None:
        for j in range(lo, hi):
            block(*blocks[j])

    threads.run(some_blocks, geometry.bands(len(blocks), 1), workers)


def _slices(volume: Any, met: Any) -> Any:
    """Return the slices with these numbers."""
    slices = volume.reshape(-1, *volume.shape[-2:])
    if len(met) and met[-1] - met[0] == len(met) - 1:
        return slices[met[0] : met[-1] + 1]
    return slices[met]


def volume_calls(problem: Problem) -> int:
    """Return about how many calls of the loop a volume takes."""
    size = problem.outputs * np.dtype(problem.dtype).itemsize
    return max(1, size // _BLOCK_BYTES) * prod(problem.filter[:-2])


def _sources(problem: Problem) -> Any:
    """Return the number of the slice that each leading tap of each slice meets, -1 outside."""
    ndim = problem.ndim - 2
    total: Any = np.zeros((1,) * (2 * ndim), np.int64)
    outside: Any = False
    for a in range(ndim):
        k, m, n = problem.filter[a], problem.output[a], problem.signal[a]
        s, d = problem.stride[a], problem.dilation[a]
        count = max(0, (m - 1) * s + geometry.span(k, d))
        found = geometry.source_map(-problem.pad[a], count, n, problem.boundary[a])
        shape = [1] * (2 * ndim)
        shape[a], shape[ndim + a] = k, m
        here = found[np.add.outer(np.arange(k) * d, np.arange(m) * s)].reshape(shape)
        total, outside = total * n + here, outside | (here < 0)
    return np.where(outside, -1, total).reshape(-1, *problem.output[:ndim])


def _runs(sources: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (first, count, source of the first) for runs of slices whose sources are neighbours."""
    at = 0
    while at < len(sources):
        count, first = 1, sources[at]
        while first >= 0 and at + count < len(sources) and sources[at + count] == first + count:
            count += 1
        yield at, count, first
        at += count


def strides_columns(problem: Problem) -> bool:
    """Return whether an image's columns are strided, which the loop takes one by one."""
    return problem.ndim == 2 and problem.stride[1] > 1


def space(problem: Problem) -> Space:
    """Return the most bytes that the functions here take, images of another dtype apart."""
    size, ndim = np.dtype(problem.dtype).itemsize, problem.ndim
    reach = [(m - 1) * s + geometry.span(k, d) for m, s, k, d in zip(
        problem.output, problem.stride, problem.filter, problem.dilation, strict=True)]  # fmt: skip
    maps = 24 * sum(max(0, r) for r in reach[-2:]) + SLACK
    maps += BAND_BYTES * problem.batch * (problem.output[-2] if ndim > 1 else 1)
    if ndim > 2:
        return _volume_space(problem, maps, max(0, reach[-1]), size)
    if not strides_columns(problem):
        if not _rims_overflow(problem):
            return Space(maps, 0)
        return Space(maps, _copied_rows(problem)[1] * max(0, reach[-1]) * size + SLACK)
    if _apart(problem):
        maps += _phase_bytes(problem)
    width = (problem.output[1] - 1) * problem.stride[1] + 1
    return Space(maps + 24 * max(0, width), max(40 * max(width, 1) * size, _BLOCK_BYTES) + SLACK)


def _volume_space(problem: Problem, maps: int, columns: int, size: int) -> Space:
    """Return the numbers of slices, and copies of the slices that a block reads."""
    lead, height = problem.ndim - 2, problem.signal[-2]
    numbers = prod(problem.filter[:lead]) * prod(problem.output[:lead])
    _, deep = _block(problem, size)
    reach = (deep - 1) * problem.stride[lead - 1]
    reach += geometry.span(problem.filter[lead - 1], problem.dilation[lead - 1])
    slices = min(reach, problem.signal[lead - 1]) * prod(
        min(k, n) for k, n in zip(problem.filter[: lead - 1], problem.signal, strict=False)
    )
    of_block = slices * height * (problem.signal[-1] + columns) * size
    here = 200 * deep * prod(problem.filter[:lead])
    blocks = 200 * -(-prod(problem.output[:lead]) // deep) * problem.batch
    return Space(maps + 40 * numbers + blocks, of_block + here + SLACK)


def _block(problem: Problem, size: int) -> tuple[int, int]:
    """Return how many rows and slices of a volume's results are made at a time."""
    oh, ow = problem.output[-2:]
    row_bytes = max(1, ow * size)
    # Whole register tiles of 2, 5 and 8 rows.
    rows = min(max(oh, 1), max(40, _BLOCK_BYTES // row_bytes // 40 * 40))
    return rows, max(1, _BLOCK_BYTES // (row_bytes * rows))


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
                x[b].reshape(-1), w[b % len(w)].reshape(-1), rows.reshape(-1), here, *known[1:3],
                1, 0, 0, 0, *known[7:12], 0, hi - lo, *known[14:],
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
        _take(x, found, r - problem.pad[1], s, value, samples)
        phase = problem._replace(
            signal=samples.shape[1:],
            filter=taps.shape[1:],
            stride=(problem.stride[0], 1),
            pad=(problem.pad[0], 0),
        )
        run = runner(phase, kernel, x.dtype.type(fill), _ADD if r else _STORE)
        run(samples, taps, out, workers)


def _take(x: Any, columns: Any, first: int, step: int, value: Any, samples: Any) -> None:
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
    whole = arguments(wide, out.dtype.type(fill))
    value = out.dtype.type(0 if skip else fill)
    how = _STREAM if problem.outputs * out.itemsize >= STREAM_BYTES else _STORE
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
                _take(source, columns, -pc, 1, value, samples.reshape(shape))
            else:
                samples.reshape(shape)[...] = source
            kernel(
                samples.view(out.dtype), w[b % filters], out[b, lo:hi].reshape(-1),
                local.astype(np.int64), *whole[1:3], 1, 0, 0, 0, *whole[7:12], 0, hi - lo,
                *whole[14:-1], how,
            )  # fmt: skip

    if ow and len(rows):
        threads.run(some_rows, geometry.bands(oh, _copied_rows(problem)[0]), workers)
