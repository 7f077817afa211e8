"""Exact convolution of images and volumes of whole numbers by transforms of digits, tile by tile.

A tile of P rows of Q samples is one signal of P Q samples, whose filter has its tap (u, v) at
u Q + v (decision 12), so that the kernel of 1-D signals serves, in any number of dimensions: what
runs over the end of a row or of the tile reaches only results that overlap-save throws away. Tiles
are gathered and results spread by NumPy, a few bytes for each of the transforms' hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product
from math import log2, prod
from typing import Any

import numpy as np

from .. import geometry
from ..forms import recall
from ..path import BAND_BYTES, SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables
from .digits import (
    SKEW,
    SPREADS,
    WIDTHS,
    Digits,
    bias,
    cheapest,
    magnitude,
    proven,
    seconds,
    signed,
    smallest,
    taken_apart,
    transformed,
)

# Nanoseconds for a tile beside its transforms: calls from Python, and for each of its samples
# gathering and spreading.
_TILE, _SAMPLE = 30_000.0, 1.0
_LARGEST = 1 << 19
# Into how many pieces all axes but the first may be cut; so many choices for all of them.
_MOST_PIECES, _MOST_CHOICES = 64, 400


class Tiling(NamedTuple):
    """How an image is cut: digits and blocks, samples of a tile, results of one, and how many."""

    cut: Digits
    shape: tuple[int, ...]
    step: tuple[int, ...]
    grid: tuple[int, ...]

    @property
    def tiles(self) -> int:
        """Tiles over one image."""
        return prod(self.grid)


def supports(problem: Problem) -> str:
    """Return "" or why the tiles cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if signed(problem.dtype) not in WIDTHS:
        return f"whole numbers only, not {problem.dtype}"
    if problem.ndim < 2:
        return "two axes and more"
    if problem.inner > 1:
        return "one image after the other only"
    if {"zero", "fill"} <= set(problem.boundary):
        return "one value outside"
    if min(problem.output) < 1 or min(problem.signal) < 1:
        return "nothing to compute"
    if None in _whole_range(problem):
        room = problem.room
        return "no tile that fits" + ("" if room is None else f" into {room} bytes")
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return exact: every rounded sum is proven to be nearest to the right whole number."""
    return "exact"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter's digits and the loop over blocks."""
    return (("spectrum", "float64"), ("limbs", signed(problem.dtype)))


def _whole_range(problem: Problem) -> list[Tiling | None]:
    """Return the tiles for numbers that use the whole range: those of others take no more."""
    bits = WIDTHS[signed(problem.dtype)] - 1
    spreads = SPREADS if problem.room is not None else SPREADS[:1]
    return [_tiling(problem, bits, bits, spread) for spread in spreads]


def space(problem: Problem) -> Space:
    """Return the spectra of one filter's digits, and a tile's digits for each worker."""
    spaces = [_space(problem, plan) for plan in _whole_range(problem) if plan]
    return Space(max(s.shared for s in spaces), max(s.each for s in spaces))


def _space(problem: Problem, plan: Tiling) -> Space:
    cut, itemsize = plan.cut, np.dtype(problem.dtype).itemsize
    need, length = fft_tables.lengths(cut.size, "float64"), 2 * cut.size
    covered = sum((g - 1) * s + t for g, s, t in zip(plan.grid, plan.step, plan.shape, strict=True))
    # Digits of the filter laid out, their spectra, the table; places, with what finds them.
    shared = (2 * cut.of_w + 4) * length + cut.of_w * need.spectrum + need.table
    shared += 4 * plan.tiles * cut.of_x + 12 * covered + 100 * sum(plan.grid)
    bands = BAND_BYTES * (plan.tiles + sum(plan.grid)) + SLACK
    digits = 2 * (cut.size + SKEW) * max(cut.of_x, cut.kept)
    # Samples, results, and samples picked one by one where a boundary is not plain.
    each = 8 * digits + 3 * itemsize * length + 16 * sum(plan.shape) + SLACK
    return Space(8 * shared + bands, each)


def work(problem: Problem) -> Work:
    """Return the transforms of all digits for numbers that use the whole range of their dtype."""
    plan = _whole_range(problem)[0]
    assert plan is not None  # `supports` has seen to it.
    cut, tiles = plan.cut, plan.tiles * problem.batch
    filters = 1 if problem.shared_filter else problem.batch
    transforms = (cut.of_x + cut.kept) * tiles + cut.of_w * filters
    return Work(
        calls=tiles + filters,
        multiply_adds=cut.products * tiles * cut.size,
        butterflies=transforms * cut.size * log2(cut.size),
        bytes_moved=np.dtype(problem.dtype).itemsize * tiles * cut.size * 8,
    )


def _results(problem: Problem) -> tuple[int, ...]:
    """Return the outputs per axis before a stride keeps some of them."""
    pairs = zip(problem.output, problem.stride, strict=True)
    return tuple((m - 1) * s + 1 for m, s in pairs)


def _reaches(problem: Problem) -> tuple[int, ...]:
    pairs = zip(problem.filter, problem.dilation, strict=True)
    return tuple(geometry.span(k, d) for k, d in pairs)


def _pitches(shape: tuple[int, ...]) -> list[int]:
    """Return how far apart neighbours along each axis lie in a tile."""
    return [prod(shape[a + 1 :]) for a in range(len(shape))]


@lru_cache(maxsize=1024)
def _tiling(problem: Problem, x_bits: int, w_bits: int, spread: float) -> Tiling | None:
    """Return the cheapest tiles; None where the filter, or the room, is too large or small."""
    results, reach, room = _results(problem), _reaches(problem), problem.room
    width = WIDTHS[signed(problem.dtype)]
    best, least = None, float("inf")
    size = smallest()
    while size <= _LARGEST:
        cut = cheapest(size, problem.taps, width, x_bits, w_bits, spread)
        size *= 2
        if cut is None:
            continue
        for shape in _shapes(results, reach, 2 * cut.size):
            step = tuple(n - r + 1 for n, r in zip(shape, reach, strict=True))
            grid = tuple(-(-m // s) for m, s in zip(results, step, strict=True))
            tiles = prod(grid)
            taken = seconds(cut, tiles) + tiles * (_TILE + 2 * _SAMPLE * cut.size)
            plan = Tiling(cut, shape, step, grid)
            if taken < least and (room is None or _space(problem, plan).least <= room):
                best, least = plan, taken
    return best


def _shapes(
    results: tuple[int, ...], reach: tuple[int, ...], samples: int
) -> Iterator[tuple[int, ...]]:
    """Yield shapes of tiles: all axes but the first cut evenly, that as long as there is room."""
    lengths = [_lengths(m, r) for m, r in zip(results[1:], reach[1:], strict=True)]
    while prod(map(len, lengths)) > max(_MOST_CHOICES, _MOST_PIECES):
        longest = max(range(len(lengths)), key=lambda a: len(lengths[a]))
        some = lengths[longest]
        # The ends stay: an axis that is not cut, and the smallest pieces.
        lengths[longest] = [*some[:-1:2], some[-1]] if len(some) > 2 else some[:1]
    for across in product(*lengths):
        down = min(samples // prod(across), results[0] + reach[0] - 1)
        if down >= reach[0]:
            yield down, *across


def _lengths(results: int, reach: int) -> list[int]:
    """Return the samples of a piece when an axis is cut into 1, 2, ... of them, longest first."""
    found = dict.fromkeys(-(-results // pieces) for pieces in range(1, _MOST_PIECES + 1))
    return [length + reach - 1 for length in found]


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; nothing is left to others unless a proof should fail."""
    dtype = signed(problem.dtype)
    x, w = operands.x.view(dtype), operands.w.view(dtype)
    fill = int(np.asarray(operands.fill).astype(problem.dtype).view(dtype))
    if "fill" not in problem.boundary:
        fill = 0
    bits = max(magnitude(x), magnitude(np.array([fill], dtype)))
    tried = None
    for spread in SPREADS:
        plan = _tiling(problem, bits, magnitude(w), spread)
        if plan is None:
            break
        if plan != tried and _compute(problem, operands, x, w, fill, plan):
            return []
        tried = plan
    return everything(problem)


def _compute(problem: Problem, operands: Operands, x: Any, w: Any, fill: int, plan: Tiling) -> bool:
    """Compute all outputs with one cut; return whether every tile's errors are below a half."""
    cut, filters = plan.cut, len(w)
    made = fft_tables.transform(cut.size, "float64")
    kernel, apart = load.kernel("limbs", x.dtype.name), cut.size + SKEW
    room = 2 * apart * max(cut.of_x, cut.kept)
    pieces = [_pieces(problem, plan, axis) for axis in range(problem.ndim)]
    last = _last(problem, plan)
    out = operands.out.view(x.dtype)
    cutting = (apart, cut.of_x, cut.of_w, cut.kept, cut.bits, bias(cut.bits, cut.of_x))
    form = (made.size, made.top, made.levels, *cutting)
    length = 2 * cut.size
    workers = operands.workers
    if problem.room is not None:
        workers = min(workers, _space(problem, plan).workers(problem.room))

    def some_tiles(image: Any, spectra: Any, result: Any, norms: Any, lo: int, hi: int) -> None:
        area = scratch(room, "f8")
        samples = scratch(length, x.dtype, "samples")
        found = scratch(length, x.dtype, "results")
        for number in range(lo, hi):
            tile = [int(t) for t in np.unravel_index(number, plan.grid)]
            here = [along[t] for along, t in zip(pieces, tile, strict=True)]
            _gather(image, here, fill, plan.shape, samples)
            kernel(
                samples, spectra, made.table, area, found, norms[number], 1, 0, 0, 0, length,
                0, length, 0, length, 0, 0, 1, *form,
            )  # fmt: skip
            _spread(problem, plan, tile, found[last:], result)

    for f in range(filters):
        spectra, weights = recall(
            operands.forms,
            ("limb_tiles", x.dtype.name, plan, problem.filter, problem.dilation, f),
            partial(_filter, problem, plan, w[f], made, operands.forms is not None),
            lambda made: int(made[0].nbytes),
        )
        for b in range(f, problem.batch, filters):
            norms = np.empty((plan.tiles, cut.of_x))
            task = partial(some_tiles, x[b], spectra, out[b], norms)
            threads.run(task, geometry.bands(plan.tiles, 1), workers)
            if not proven(np.sqrt(norms)[None], weights, cut):
                return False
    return True


def _last(problem: Problem, plan: Tiling) -> int:
    """Return how far a filter's last tap lies from its first, laid into a tile."""
    pairs = zip(_reaches(problem), _pitches(plan.shape), strict=True)
    return sum((reach - 1) * pitch for reach, pitch in pairs)


def _filter(
    problem: Problem, plan: Tiling, w: Any, made: fft_tables.Transform, kept: bool
) -> tuple[Any, Any]:
    """Lay the rows of the filter's digits as far apart as the tile's, and transform them."""
    digits, weights = taken_apart(w.reshape(1, -1), plan.cut)
    length, count = _last(problem, plan) + 1, plan.cut.of_w
    laid = scratch(count * length, "f8", "laid").reshape(count, length)
    laid.fill(0)
    pairs = zip(problem.dilation, _pitches(plan.shape), strict=True)
    steps = (length, *(d * pitch for d, pitch in pairs))
    rows = np.ndarray((count, *w.shape), "f8", laid, 0, [laid.itemsize * s for s in steps])
    rows[...] = digits.reshape(rows.shape)
    return transformed(laid, made, kept), weights


class _Piece(NamedTuple):
    """What a tile covers along one axis: the image's sample for each of its own, or -1.

    Its samples start..stop-1 are those from `first` on; `lone` if all others lie outside.
    """

    places: Any
    start: int
    stop: int
    first: int
    lone: bool

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the piece lies in the tile and in the image."""
        end = self.first + self.stop - self.start
        return slice(self.start, self.stop), slice(self.first, end)


def _pieces(problem: Problem, plan: Tiling, axis: int) -> list[_Piece]:
    """Return what each tile covers along an axis."""
    step, length = plan.step[axis], plan.shape[axis]
    count = (plan.grid[axis] - 1) * step + length
    n, rule = problem.signal[axis], problem.boundary[axis]
    places = geometry.source_map(-problem.pad[axis], count, n, rule)
    return [_piece(places[t * step : t * step + length]) for t in range(plan.grid[axis])]


def _piece(places: Any) -> _Piece:
    (known,) = np.nonzero(places >= 0)
    if len(known) == 0:
        return _Piece(places, 0, 0, 0, True)
    # The run of neighbours around the middle one.
    middle = int(known[len(known) // 2])
    (breaks,) = np.nonzero(np.diff(places) != 1)
    start = int(breaks[breaks < middle].max(initial=-1)) + 1
    stop = int(breaks[breaks >= middle].min(initial=len(places) - 1)) + 1
    return _Piece(places, start, stop, int(places[start]), stop - start == len(known))


def _gather(
    image: Any, pieces: list[_Piece], fill: int, shape: tuple[int, ...], samples: Any
) -> None:
    """Put a tile's samples into the first of `samples`, zeros into the rest."""
    into = samples[: prod(shape)].reshape(shape)
    samples[into.size :] = 0
    if all(piece.lone for piece in pieces):
        here: tuple[slice, ...] = ()
        for piece in pieces:
            for outside in (slice(0, piece.start), slice(piece.stop, None)):
                into[(*here, outside)] = fill
            here = (*here, slice(piece.start, piece.stop))
        into[here] = image[tuple(piece.inside[1] for piece in pieces)]
        return
    into[...] = image[np.ix_(*(np.maximum(piece.places, 0) for piece in pieces))]
    for axis, piece in enumerate(pieces):
        into[(slice(None),) * axis + (piece.places < 0,)] = fill


def _spread(problem: Problem, plan: Tiling, tile: list[int], found: Any, result: Any) -> None:
    """Store those of a tile's results that a stride keeps; the first of them is found[0]."""
    start, counts, steps, into = 0, [], [], []
    pitches, results = _pitches(plan.shape), _results(problem)
    for axis, stride in enumerate(problem.stride):
        low = tile[axis] * plan.step[axis]
        first = -(-low // stride)
        end = min(low + plan.step[axis], results[axis])
        counts.append(max(0, -(-end // stride) - first))
        start += (first * stride - low) * pitches[axis]
        steps.append(stride * pitches[axis] * found.itemsize)
        into.append(slice(first, first + counts[-1]))
    if 0 in counts:
        return
    result[tuple(into)] = np.lib.stride_tricks.as_strided(found[start:], tuple(counts), steps)


PATH = Path(
    name="limb_tiles",
    summary="images of whole numbers by transforms of their digits, exact",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
