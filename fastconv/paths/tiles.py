"""Overlap-save in tiles of images and volumes by our own fused kernel."""

from __future__ import annotations

from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..forms import recall
from ..nonfinite import quarantine
from ..path import SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables
from .block_costs import FIRST_HALF, costs, together
from .fft_tables import PARTS
from .tile_layout import Layout, layout, reaches, results

DTYPES = ("float64", "float32", *PARTS)
# Samples in one band of tiles; the tiles themselves do not depend on it.
_BAND = 1 << 16
# Where rows lie is kept for the next call if it is no more than this: 0.5 MB.
_KEPT_ROWS = 1 << 15
# For the bound on work space: bytes for each row while `_rows` counts.
_ROW_BYTES = 72


def supports(problem: Problem) -> str:
    """Return "" or why the tiles cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.dtype not in DTYPES:
        return f"no fused transform for {problem.dtype}"
    if problem.ndim < 2:
        return "two axes and more"
    if problem.inner > 1:
        return "one image after the other only"
    if {"zero", "fill"} <= set(problem.boundary):
        return "one value outside"
    if min(problem.output) < 1 or min(problem.signal) < 1:
        return "nothing to compute"
    if layout(problem) is None:
        return "no tile that fits"
    if problem.room is not None and _fitting(problem) is None:
        return f"no tile that fits into {problem.room} bytes"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return normwise: |err| <= 9 (1 + log2 M) eps ||x||_2 ||w||_2 over tiles of M points."""
    return "normwise"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter and the loop over tiles."""
    loop, part = "tiles_filters" if problem.shared_signal else "tiles", _part(problem)
    if part != problem.dtype:
        return (("complex_spectrum", part), (f"complex_{loop}", part))
    return (("spectrum", part), (loop, part))


def _part(problem: Problem) -> str:
    """Return the dtype of the kernels: that of the samples, or of their parts."""
    return PARTS.get(problem.dtype, problem.dtype)


def _layout(problem: Problem) -> Layout:
    found = layout(problem) if problem.room is None else _fitting(problem)
    assert found is not None  # `supports` has seen to it.
    return found


@lru_cache(maxsize=1024)
def _fitting(problem: Problem) -> Layout | None:
    """Return the cheapest tiles whose work space, for one worker, keeps within the room."""
    assert problem.room is not None
    free = problem._replace(room=None)
    plan = layout(free)
    while plan is not None and _space(problem, plan).least > problem.room:
        plan = layout(free, plan.size * 7 // 8)
    return plan


def space(problem: Problem) -> Space:
    """Return some 3 tiles' bytes, and one or two for each worker."""
    return _space(problem, _layout(problem))


def _space(problem: Problem, plan: Layout) -> Space:
    itemsize = np.dtype(_part(problem)).itemsize
    need = fft_tables.lengths(plan.size, _part(problem))
    batch = 1 if problem.shared_signal else problem.batch
    held = _together(problem, plan) if problem.shared_signal else 1
    reals = held * need.spectrum + need.table + plan.parts * _flat_length(problem, plan)
    rows = batch * prod(plan.grid[:-1]) * plan.rows
    columns = (plan.grid[-1] - 1) * plan.step[-1] + plan.shape[-1]
    # Rows of tiles are numbered by way of some arrays as long as they are many.
    numbers = _ROW_BYTES * rows + 24 * columns + 2 * itemsize * problem.batch * plan.tiles
    return Space(
        itemsize * reals + numbers + SLACK,
        itemsize * (need.scratch * (1 + problem.shared_signal) + _room(need.top, plan) + 64)
        + SLACK,
    )


def work(problem: Problem) -> Work:
    """Return two transforms of each tile and one of each filter, weighed by cache."""
    plan = _layout(problem)
    filters = 1 if problem.shared_filter else problem.batch
    spectrum, block = costs(plan.size, _part(problem))
    itemsize = np.dtype(problem.dtype).itemsize
    tiles = plan.tiles * problem.batch
    again = tiles - plan.tiles if problem.shared_signal else 0
    return Work(
        calls=tiles + filters,
        butterflies=float(filters * spectrum + (tiles - FIRST_HALF * again) * block),
        bytes_moved=itemsize * tiles * prod(plan.shape),
    )


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; windows that meet a NaN or an Inf are returned as boxes."""
    if "fill" in problem.boundary and not np.isfinite(operands.fill):
        return everything(problem)
    plan = _layout(problem)
    if np.isfinite(_compute(problem, operands, operands.x, plan)).all():
        return []
    # The kernel met something that is not finite, or close to overflow. Now it is worth looking.
    shared, each = _space(problem, plan)
    taken = shared + operands.workers * each
    clean, boxes = quarantine(problem, operands.x, operands.w, 2 * plan.size, taken)
    if boxes == everything(problem):
        return boxes
    again = _compute(problem, operands, clean, plan)
    return boxes if np.isfinite(again).all() else everything(problem)


def _compute(problem: Problem, operands: Operands, x: Any, plan: Layout) -> Any:
    """Run the kernel over all tiles; return a number per tile that is finite if all is."""
    if problem.shared_signal:
        return _compute_several(problem, operands, x, plan)
    dtype, filters = _part(problem), len(operands.w)
    made = fft_tables.transform(plan.size, dtype)
    form = (made.size, made.top, made.levels)
    width, across = plan.shape[-1], plan.grid[-1]
    spectra: list[Any] = [None] * filters
    fill = _fill(problem, operands)
    shift, n = -plan.start[-1], problem.signal[-1]
    batch = problem.batch // filters
    few = batch * prod(plan.grid[:-1]) * plan.rows <= _KEPT_ROWS
    columns, sources, targets = (_kept_places if few else _places)(problem, plan, batch)
    tiles = batch * plan.tiles
    norms = np.zeros((filters, tiles), dtype)
    kernel, room = load.kernel(*kernels(problem)[1]), _room(made.top, plan)
    signals, outs = (a.reshape(filters, -1).view(dtype) for a in (x, operands.out))
    scratch(made.scratch_length + room, dtype)  # Now: what grows is there twice for a moment.

    def some_tiles(f: int, lo: int, hi: int) -> None:
        space = scratch(made.scratch_length + room, dtype)
        kernel(
            signals[f], spectra[f], made.table, space[: made.scratch_length],
            space[made.scratch_length :], outs[f], norms[f], fill, sources, targets, columns,
            np.empty(2 * made.top, np.int64), lo, hi, across, plan.rows, width, plan.low[-1],
            plan.step[-1], results(problem)[-1], problem.stride[-1], shift, shift + n, shift,
            *form,
        )  # fmt: skip

    for f in range(filters):
        # What is kept by others has its own memory.
        into = None if operands.forms else scratch(made.spectrum_length, dtype, "spectra")
        make = partial(_spectrum, problem, plan, operands.w[f], made, into)
        key = ("tiles", problem.dtype, plan.shape, problem.filter, problem.dilation, f)
        spectra[f] = recall(operands.forms, key, make, _bytes)
        bands = geometry.bands(tiles, max(1, _BAND // (2 * plan.size)))
        threads.run(partial(some_tiles, f), bands, operands.workers)
        spectra[f] = None  # One filter's spectrum at a time.
    return norms


def _compute_several(problem: Problem, operands: Operands, x: Any, plan: Layout) -> Any:
    """Run the kernel over all tiles of one image, some filters at a time."""
    dtype, filters, across = _part(problem), problem.batch, plan.grid[-1]
    made, some = fft_tables.transform(plan.size, dtype), _together(problem, plan)
    form, width, length = (made.size, made.top, made.levels), plan.shape[-1], made.scratch_length
    fill = _fill(problem, operands)
    shift, n = -plan.start[-1], problem.signal[-1]
    few = prod(plan.grid[:-1]) * plan.rows <= _KEPT_ROWS
    columns, sources, targets = (_kept_places if few else _places)(problem, plan, 1)
    norms = np.zeros((filters, plan.tiles), dtype)
    kernel, room = load.kernel(*kernels(problem)[1]), _room(made.top, plan)
    outs = operands.out.reshape(filters, -1)
    signal = x[0].reshape(-1).view(dtype)
    scratch(2 * length + room, dtype)  # Now: what grows is there twice for a moment.

    def transformed(w: Any) -> Any:
        size = len(w) * made.spectrum_length
        # Fresh pages would cost as much as the transform; what is kept by others has its own.
        spectra = np.empty(size, dtype) if operands.forms else scratch(size, dtype, "spectra")
        for taps, into in zip(w, spectra.reshape(len(w), -1), strict=True):
            _spectrum(problem, plan, taps, made, into)
        return spectra

    def some_tiles(spectra: Any, begin: int, end: int, lo: int, hi: int) -> None:
        space = scratch(2 * length + room, dtype)
        kernel(
            signal, spectra, made.table, space[:length], space[length : 2 * length],
            space[2 * length :], outs[begin:end].reshape(-1).view(dtype),
            norms[begin:end].reshape(-1), fill, sources, targets, columns,
            np.empty(2 * made.top, np.int64), end - begin, made.spectrum_length, outs.shape[1],
            plan.tiles, lo, hi, across, plan.rows, width, plan.low[-1], plan.step[-1],
            results(problem)[-1], problem.stride[-1], shift, shift + n, shift, *form,
        )  # fmt: skip

    for begin in range(0, filters, some):
        end = min(filters, begin + some)
        key = ("tiles", problem.dtype, plan.shape, problem.filter, problem.dilation, begin, end)
        spectra = recall(operands.forms, key, partial(transformed, operands.w[begin:end]), _bytes)
        bands = geometry.shares(plan.tiles, max(1, _BAND // (2 * plan.size)), operands.workers)
        threads.run(partial(some_tiles, spectra, begin, end), bands, operands.workers)
    return norms


def _together(problem: Problem, plan: Layout) -> int:
    """Return of how many filters of one image the spectra are there at a time."""
    reals = fft_tables.lengths(plan.size, _part(problem)).spectrum
    return together(problem.batch, reals * np.dtype(_part(problem)).itemsize)


def _room(top: int, plan: Layout) -> int:
    """Return the reals of the rows that are put together, and of the one outside."""
    return ((2 if plan.parts == 1 else 1) * top + 1) * plan.parts * plan.shape[-1] + 64


def _fill(problem: Problem, operands: Operands) -> Any:
    value = operands.fill if "fill" in problem.boundary else 0
    return np.array([value], problem.dtype).view(_part(problem))


def _spectrum(
    problem: Problem, plan: Layout, w: Any, made: fft_tables.Transform, into: Any = None
) -> Any:
    """Lay the filter's rows as far apart as the tile's, and transform it."""
    dtype, k, size = _part(problem), _flat_length(problem, plan), w.itemsize
    # Not fresh pages: for a small image they would take a fifth of the time.
    laid = scratch(plan.parts * k, dtype, "laid")
    laid.fill(0)
    # A complex filter is transformed as it is convolved: from its last tap on.
    way, start = (1, 0) if plan.parts == 1 else (-1, (k - 1) * size)
    steps = [way * d * p * size for d, p in zip(problem.dilation, _pitches(plan), strict=True)]
    np.ndarray(w.shape, w.dtype, laid, start, steps)[...] = w
    spectrum = np.empty(made.spectrum_length, dtype) if into is None else into
    kernel, area = load.kernel(*kernels(problem)[0]), scratch(made.scratch_length, dtype)
    counts = (1, 0, k, 0) if plan.parts == 1 else (1, k, k)
    kernel(laid, spectrum, made.table, area, *counts, made.size, made.top, made.levels)
    return spectrum


def _pitches(plan: Layout) -> list[int]:
    return [prod(plan.shape[a + 1 :]) for a in range(len(plan.shape))]


def _flat_length(problem: Problem, plan: Layout) -> int:
    """Return the samples from a filter's first tap to its last, laid into a tile."""
    pairs = zip(reaches(problem), _pitches(plan), strict=True)
    return sum((reach - 1) * pitch for reach, pitch in pairs) + 1


def _bytes(spectrum: Any) -> int:
    return int(spectrum.nbytes)


def _places(problem: Problem, plan: Layout, batch: int) -> tuple[Any, Any, Any]:
    """Return what the kernel needs to know about places: columns, sources, targets."""
    return _map(problem, plan, -1), *_rows(problem, plan, batch)


_kept_places = lru_cache(maxsize=16)(_places)


def _map(problem: Problem, plan: Layout, axis: int) -> Any:
    """Return for each sample that tiles cover along an axis the signal's sample, or -1."""
    count = (plan.grid[axis] - 1) * plan.step[axis] + plan.shape[axis]
    rule = "zero" if plan.whole[axis] else problem.boundary[axis]
    return geometry.source_map(plan.start[axis], count, problem.signal[axis], rule)


def _rows(problem: Problem, plan: Layout, batch: int) -> tuple[Any, Any]:
    """Return where each row of each row of tiles begins in the signals, and in the outputs; or -1.

    Both have shape (batch * leading tiles, rows of a tile), flattened.
    """
    lead = problem.ndim - 1
    signal, output = prod(problem.signal), prod(problem.output)
    one = (batch, *(1,) * (2 * lead))
    source = (np.arange(batch) * signal).reshape(one)
    target = (np.arange(batch) * output).reshape(one)
    for a in range(lead):
        grid, length, step = plan.grid[a], plan.shape[a], plan.step[a]
        place = np.arange(grid)[:, None] * step + np.arange(length)
        shape = [1] * (2 * lead + 1)
        shape[1 + a], shape[1 + lead + a] = grid, length
        samples = _map(problem, plan, a)[place].reshape(shape)
        numbers = place - plan.low[a]
        kept = (np.arange(length) >= plan.low[a]) & (numbers < results(problem)[a])
        kept &= (numbers % problem.stride[a] == 0) & (np.arange(length) < plan.low[a] + step)
        goals = np.where(kept, numbers // problem.stride[a], -1).reshape(shape)
        source = _join(source, samples, prod(problem.signal[a + 1 :]))
        target = _join(target, goals, prod(problem.output[a + 1 :]))
    return source.reshape(-1), target.reshape(-1)


def _join(offset: Any, index: Any, pitch: int) -> Any:
    return np.where((offset < 0) | (index < 0), -1, offset + index * pitch)


PATH = Path(
    name="tiles",
    summary="overlap-save tiles of images in one compiled kernel",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
