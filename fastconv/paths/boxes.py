"""Constant filters: running sums times the one tap, at a cost that does not grow with the filter.

The planner finds that a filter is constant (`planner.structure`). Blocks of k windows share two
scans, one from the block's end and one from the next block's beginning [van Herk 1992]; no sum is
ever taken back, so nothing drifts and a NaN stays within its windows. A sum of k samples errs by
at most gamma_(k-1), its product by one rounding more: no more than the k products of a single sum.
The sum may overflow where products would not: results that are not finite are computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..kernels import KERNELS
from ..path import BAND_BYTES, SLACK, Box, Operands, Path, Space, Work
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import passes

Array = npt.NDArray[Any]

# Outputs in one band: one thread takes some 0.1 ms for them.
_BAND_OUTPUTS = 1 << 17
# Outputs of each part of a line, at least, and a multiple of what its windows share with the next
# part: an odd number of cache lines apart, so that parts do not meet in one set of a first cache.
# Longer parts of a long line are longer streams from memory (1e6 float64 that no cache holds: 4032
# bytes 1.23 ms, 16320 1.14); those of an image's rows stay near the first cache.
_PART_BYTES, _LONGER = (16320, 4032), 4
# Sums down the columns that wait for those along the rows (1024x1024 with 15x15, float32, KiB: 64
# 0.87 ms, 128 0.87, 256 0.92), and how much of a row is added up at a time.
_WAITING_BYTES, _STRIP_BYTES = 1 << 17, 1 << 12
# Lines side by side in the kernels' panel, of any target: 64 bytes of the narrowest dtype or 8.
_LINES = 16
_LINE_BYTES = 64


def supports(problem: Problem) -> str:
    """Return "" or why running sums do not serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.structure is None or not problem.structure.constant:
        return "the filter is not known to be constant"
    if not problem.shared_filter:
        return "one filter only"
    if problem.ndim > 2:
        return "one or two axes only"
    if passes.kernel_dtype(problem.dtype) not in KERNELS["box_line"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    if any(n != 1 for n in (*problem.stride, *problem.dilation)):
        return "neither strides nor dilation"
    return "" if min(problem.signal) > 0 else "no samples"


def work(problem: Problem) -> Work:
    """Return the additions of both scans on each axis, and those that parts of lines share."""
    size = np.dtype(problem.dtype).itemsize
    k, m = problem.filter[-1], problem.output[-1]
    lines = problem.batch if problem.ndim == 1 else problem.batch * problem.output[0]
    parts = -(-m // _part(k, size, problem.ndim))
    if problem.ndim == 1:  # Lines of the panel are parts of one.
        parts = -(-parts // _LINES) * _LINES
    samples = problem.batch * int(np.prod(problem.signal))
    return Work(
        calls=1,
        multiply_adds=3 * (problem.ndim * problem.outputs + lines * parts * k),
        bytes_moved=size * (problem.outputs + samples),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop."""
    return ((("box_line", "box_plane")[problem.ndim - 1], passes.kernel_dtype(problem.dtype)),)


def space(problem: Problem) -> Space:
    """Return the work space of each worker, and the maps of samples outside."""
    size, outputs = np.dtype(problem.dtype).itemsize, problem.output
    reads = [m + k for m, k in zip(outputs, problem.filter, strict=True)]
    if problem.ndim == 1:
        bands = problem.batch * -(-outputs[0] // _BAND_OUTPUTS)
        longest = min(outputs[0], _BAND_OUTPUTS) + problem.filter[0]
        # Maps of two rims for each kind of band; marks; what is found where results are wild.
        shared = 64 * reads[0] + (BAND_BYTES + 8) * bands + 4 * _BAND_OUTPUTS
        return Space(shared + SLACK, size * (_line_room(problem.filter[0], size) + longest) + SLACK)
    shared = 24 * sum(reads) + 24 * problem.batch * outputs[0] + 4 * outputs[0] * outputs[1]
    return Space(shared + SLACK, size * _plan(problem).room + SLACK)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; return those that are not finite."""
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    x, out = (a.view(dtype).reshape(-1) for a in (operands.x, operands.out))
    factor = operands.w.reshape(-1)[:1].view(dtype)
    fill = passes.outside(problem, operands.fill).view(dtype)
    run = _run_lines if problem.ndim == 1 else _run_planes
    return run(problem, kernel, x, factor, out, fill, operands)


def _part(k: int, size: int, axes: int = 1) -> int:
    """Return the outputs of a line's part: a longer window makes longer parts."""
    per = _PART_BYTES[axes - 1] // size
    if _LONGER * k > per:
        # Again an odd number of cache lines.
        per = (_LONGER * k * size // _LINE_BYTES | 1) * _LINE_BYTES // size
    return per


# ---------------------------------------------------------------- lines


class _Piece(NamedTuple):
    """Outputs first..last-1 of some lines: which windows lie inside, and samples of the others."""

    lines: tuple[int, int]
    first: int
    last: int
    lo: int
    hi: int
    left: Array
    right: Array


def _line_room(k: int, size: int) -> int:
    return _LINES * (_part(k, size) + k)


def _run_lines(
    problem: Problem, kernel: Any, x: Array, factor: Array, out: Array, fill: Array,
    operands: Operands,
) -> list[Box]:  # fmt: skip
    (n,), (k,), (m,), (pad,) = problem.signal, problem.filter, problem.output, problem.pad
    size = out.dtype.itemsize
    pieces = _pieces(problem.batch, n, k, m, pad, problem.boundary[0])
    wild, per = np.zeros(len(pieces), np.int64), _part(k, size)

    def some(lo: int, hi: int) -> None:
        for number in range(lo, hi):
            (b, end), first, last, inner, outer, left, right = pieces[number]
            room = scratch(_line_room(k, size) + max(len(left), len(right)), out.dtype)
            kernel(x[b * n :], factor, out[b * m + first :], fill, left, right, wild[number:], room,
                   end - b, n, k, last - first, inner, outer, pad - first, per)  # fmt: skip

    threads.run(some, geometry.bands(len(pieces), 1), operands.workers)
    boxes: list[Box] = []
    for number in np.flatnonzero(wild).tolist():
        (b, end), first, last = pieces[number][:3]
        found = ~np.isfinite(out.reshape(problem.batch, m)[b:end, first:last])
        for row, marks in enumerate(found, b):
            boxes += [(row, row + 1, ((first + lo, first + hi),)) for lo, hi in passes.runs(marks)]
    return boxes


def prepared(problem: Problem) -> Callable[[Array, Array, Array], bool]:
    """Return what computes one signal by one thread, and says whether its results are finite.

    Parameters
    ----------
    problem : Problem
        One signal, zeros outside, that `supports` takes and whose loop is ready.

    Returns
    -------
    callable
        ``run(signal, taps, results)``, of which the taps are all the same.
    """
    (n,), (k,), (m,), (pad,) = problem.signal, problem.filter, problem.output, problem.pad
    ((name, dtype),) = kernels(problem)
    kernel, kind, fill = load.kernel(name, dtype), np.dtype(dtype), np.zeros(1, dtype)
    pieces, per = _pieces(1, n, k, m, pad, problem.boundary[0]), _part(k, kind.itemsize)
    length = _line_room(k, kind.itemsize) + max(max(len(p.left), len(p.right)) for p in pieces)

    # One piece is called at once: each slice takes 0.2 us.
    short = pieces[0] if len(pieces) == 1 else None
    counts = (1, n, k, m, pieces[0].lo, pieces[0].hi, pad, per)

    def run(x: Array, w: Array, out: Array) -> bool:
        if x.dtype != kind:
            x, w, out = x.view(kind), w.view(kind), out.view(kind)
        wild, room = np.zeros(1, np.int64), scratch(length, dtype)
        if short is not None:
            kernel(x, w[:1], out, fill, short.left, short.right, wild, room, *counts)
            return not wild[0]
        for _, first, last, lo, hi, left, right in pieces:
            kernel(x, w[:1], out[first:], fill, left, right, wild, room, 1, n, k, last - first, lo,
                   hi, pad - first, per)  # fmt: skip
        return not wild[0]

    return run


@lru_cache(maxsize=256)
def _pieces(batch: int, n: int, k: int, m: int, pad: int, rule: str) -> tuple[_Piece, ...]:
    """Return the bands: some whole short lines, or a part of a long one."""
    if m <= _BAND_OUTPUTS:
        some = max(1, _BAND_OUTPUTS // max(m, 1))
        whole = _piece((0, 0), n, k, 0, m, pad, rule)
        return tuple(whole._replace(lines=rows) for rows in geometry.bands(batch, some))
    parts = [_piece((0, 0), n, k, lo, hi, pad, rule) for lo, hi in geometry.bands(m, _BAND_OUTPUTS)]
    return tuple(p._replace(lines=(b, b + 1)) for b in range(batch) for p in parts)


def _piece(
    lines: tuple[int, int], n: int, k: int, first: int, last: int, pad: int, rule: str
) -> _Piece:
    lo, hi = geometry.interior(n, k, last - first, pad=pad - first)
    if hi <= lo:
        lo = hi = last - first  # No window lies inside: all are the left rim.

    def samples(begin: int, end: int) -> Array:
        count = end - begin + k - 1 if end > begin else 0
        return geometry.source_map(first + begin - pad, count, n, rule)

    return _Piece(lines, first, last, lo, hi, samples(0, lo), samples(hi, last - first))


# ---------------------------------------------------------------- planes


class _Plan(NamedTuple):
    """How a plane is cut: rows added up at a time, how far apart they lie, the work space."""

    height: int
    pitch: int
    per: int
    room: int


@lru_cache(maxsize=256)
def _plan(problem: Problem) -> _Plan:
    size, width = np.dtype(problem.dtype).itemsize, problem.signal[1]
    kh, kw = problem.filter
    # An odd number of cache lines: columns do not meet in one set of a cache.
    pitch = (-(-width * size // _LINE_BYTES) | 1) * _LINE_BYTES // size
    height = max(1, _WAITING_BYTES // (pitch * size) // kh) * kh
    per = min(_part(kw, size, 2), max(problem.output[1], 1))
    return _Plan(height, pitch, per, (height + 2) * pitch + _LINES * (per + kw))


def _run_planes(
    problem: Problem, kernel: Any, x: Array, factor: Array, out: Array, fill: Array,
    operands: Operands,
) -> list[Box]:  # fmt: skip
    (h, width), (kh, kw), (oh, ow) = problem.signal, problem.filter, problem.output
    height, pitch, per, room = _plan(problem)
    rows, columns = passes.maps(problem)
    begin = min(max(problem.pad[1], 0), len(columns))
    end = max(begin, min(len(columns), width + problem.pad[1]))
    wild = np.zeros(problem.batch * oh, np.int64)
    rest = (begin, end, height, pitch, per, _STRIP_BYTES // out.dtype.itemsize)

    def some(lo: int, hi: int) -> None:
        work = scratch(room, out.dtype)
        while lo < hi:
            b, i = divmod(lo, per_plane)
            stop = min(per_plane, i + hi - lo)
            kernel(x[b * h * width :], factor, out[b * oh * ow :], fill, rows, columns,
                   wild[b * oh :], work, width, ow, width, ow, kh, kw, i * of_band,
                   min(stop * of_band, oh), *rest)  # fmt: skip
            lo += stop - i

    # Whole blocks of `height` rows, so that a band's results are those of the whole.
    of_band = max(1, _BAND_OUTPUTS // max(ow, 1) // height) * height
    per_plane = -(-oh // of_band)
    count = problem.batch * per_plane
    bands = geometry.bands(count, 1 if operands.workers > 1 else max(count, 1))
    threads.run(some, bands, operands.workers)
    if not wild.any():
        return []
    result, marks = out.reshape(problem.batch, oh, ow), wild.reshape(problem.batch, oh)
    return [box for b in range(problem.batch) for box in _not_finite(result[b], marks[b], b)]


def _not_finite(plane: Array, marks: Array, b: int) -> list[Box]:
    """Return boxes around the results of marked rows that are not finite."""
    boxes: list[Box] = []
    for lo, hi in passes.runs(marks):
        found = ~np.isfinite(plane[lo:hi])
        for first, last in passes.runs(found.any(axis=1)):
            across = passes.runs(found[first:last].any(axis=0))
            rows = (lo + first, lo + last)
            boxes += [(b, b + 1, (rows, columns)) for columns in across]
    return boxes


PATH = Path(
    name="boxes",
    summary="running sums by two scans, times the filter's one tap",
    local=False,
    supports=supports,
    guarantee=passes.guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
