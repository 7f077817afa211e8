"""How an image or a volume is cut into tiles: integers only."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels.fft_layout import Tile, tile
from ..problem import Problem
from ..records import NamedTuple
from ..runtime.target import host_target
from .block_costs import costs
from .fft_tables import PARTS

# Nanoseconds for a tile that are not spent on its points, and for each of its rows.
_TILE, _ROW = 800.0, 12.0
# Tiles of more complex points than this pay for no filter: their spectra come from memory.
_LARGEST = 1 << 24
_MOST_CHOICES = 20_000
# Lengths below this are tried for any signal: the least tile has 64 by 64 samples.
_SHORT = 128


class Layout(NamedTuple):
    """Tiles over a problem's axes, the last one of them the columns.

    Parameters
    ----------
    shape : tuple of int
        Samples of a tile.
    start : tuple of int
        The sample of the signal that is the first one of the first tile; beyond the rim if < 0.
    low : tuple of int
        The first sample of a tile that holds a result.
    step : tuple of int
        Results from one tile to the next.
    grid : tuple of int
        Tiles.
    whole : tuple of bool
        Whether the one tile holds all samples, with nothing but zeros around them.
    parts : int
        Reals in a sample: 2 for complex ones.
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    low: tuple[int, ...]
    step: tuple[int, ...]
    grid: tuple[int, ...]
    whole: tuple[bool, ...]
    parts: int = 1

    @property
    def size(self) -> int:
        """Complex points of a tile: each two real samples, or a complex one."""
        return prod(self.shape) * self.parts // 2

    @property
    def rows(self) -> int:
        """Rows of a tile, those of all leading axes."""
        return prod(self.shape[:-1])

    @property
    def tiles(self) -> int:
        """Number of tiles over one signal."""
        return prod(self.grid)


class _Axis(NamedTuple):
    """One axis: samples, the filter's reach, results before a stride, pad, and what is outside."""

    n: int
    reach: int
    results: int
    pad: int
    zeros: bool

    def holds_all(self, length: Any) -> Any:
        """Return whether a tile of this length holds all samples and nothing wraps."""
        inside = self.zeros and 0 <= self.pad < self.reach
        needed = max(self.n + self.reach - 1, self.results + self.reach - 1 - self.pad)
        return np.logical_and(inside, length >= needed)

    def tiles(self, length: Any) -> Any:
        """Return how many tiles of this length there are."""
        step = np.maximum(length - self.reach + 1, 1)
        return np.where(self.holds_all(length), 1, -(-self.results // step))


def results(problem: Problem) -> tuple[int, ...]:
    """Return the outputs per axis before a stride keeps some of them."""
    pairs = zip(problem.output, problem.stride, strict=True)
    return tuple((m - 1) * s + 1 for m, s in pairs)


def reaches(problem: Problem) -> tuple[int, ...]:
    """Return the samples that a window covers, per axis."""
    pairs = zip(problem.filter, problem.dilation, strict=True)
    return tuple(geometry.span(k, d) for k, d in pairs)


@lru_cache(maxsize=1024)
def layout(problem: Problem, most_points: int = _LARGEST) -> Layout | None:
    """Return the tiles that compute all results most cheaply; None if no size fits.

    Parameters
    ----------
    problem : Problem
        What is computed; its outputs are at least one.
    most_points : int
        The most complex points that a tile may have.
    """
    axes = tuple(
        _Axis(n, reach, m, pad, rule == "zero")
        for n, reach, m, pad, rule in zip(
            problem.signal,
            reaches(problem),
            results(problem),
            problem.pad,
            problem.boundary,
            strict=True,
        )
    )
    filters = 1 if problem.shared_filter else problem.batch
    shape = _shape(axes, problem.batch, filters, problem.dtype, most_points)
    if shape is None:
        return None
    whole = tuple(bool(a.holds_all(t)) for a, t in zip(axes, shape, strict=True))
    both = list(zip(axes, shape, whole, strict=True))
    return Layout(
        shape=shape,
        start=tuple(0 if w else -a.pad for a, _, w in both),
        low=tuple(a.reach - 1 - (a.pad if w else 0) for a, _, w in both),
        step=tuple(a.results if w else t - a.reach + 1 for a, t, w in both),
        grid=tuple(int(a.tiles(t)) for a, t, _ in both),
        whole=whole,
        parts=1 + (problem.dtype in PARTS),
    )


def _shape(
    axes: tuple[_Axis, ...], batch: int, filters: int, dtype: str, most_points: int
) -> tuple[int, ...] | None:
    """Return the cheapest shape of a tile."""
    part, folds = PARTS.get(dtype, dtype), 1 if dtype in PARTS else 2
    target = tile(host_target(), np.dtype(part).itemsize)
    last = len(axes) - 1
    lengths = [_lengths(axis, target.lanes if a == last else 1, a == last)
               for a, axis in enumerate(axes)]  # fmt: skip
    while prod(len(some) for some in lengths) > _MOST_CHOICES:
        longest = max(range(len(axes)), key=lambda a: len(lengths[a]))
        lengths[longest] = lengths[longest][::2]
    grid = np.meshgrid(*lengths, indexing="ij")
    rows = np.ones_like(grid[0])
    tiles = np.full_like(grid[0], batch)
    for axis, length in zip(axes, grid, strict=True):
        tiles = tiles * axis.tiles(length)
    for length in grid[:-1]:
        rows = rows * length
    size = rows * grid[-1] // folds
    usable = _usable(size, rows, target, folds) & (size <= most_points)
    if not usable.any():
        return None
    spectrum, block = costs(size, part)
    total = filters * spectrum + tiles * (block + _TILE + _ROW * rows)
    best = np.unravel_index(np.argmin(np.where(usable, total, np.inf)), total.shape)
    return tuple(int(length[best]) for length in grid)


def _lengths(axis: _Axis, unit: int, columns: bool) -> Any:
    """Return the lengths a tile may have along one axis."""
    cover = max(axis.results + axis.reach - 1, unit)
    most = max(2 * cover, _SHORT)
    odds = (1,) if columns else (1, 3, 5)
    found = {
        unit * odd << bits
        for odd in odds
        for bits in range(most.bit_length())
        if axis.reach <= unit * odd << bits < most
    }
    return np.array(sorted(found), np.int64)


def _usable(size: Any, rows: Any, target: Tile, folds: int) -> Any:
    """Return whether the kernels can: a first radix of 3, 4 or 5 that whole rows are split by."""
    tiles, rest = np.divmod(size, target.points)
    usable = np.zeros(size.shape, bool)
    for top in (3, 5, 4):
        power = tiles // top if top != 4 else tiles
        least = target.streams if top != 4 else 16
        fits = (tiles % top == 0) & ((power & (power - 1)) == 0) & (power >= least)
        usable |= fits & (rows % (folds * top) == 0)
    return usable & (rest == 0)
