"""Linear passes over arrays as they lie, one compiled call for each pass of a band.

What `bands` does for any source and any operation, the kernels ``ordered_line`` and ``mean_line``
do in one call for C-contiguous arrays of one dtype: they continue, convert, add in order (or take
means) and convert back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..kernels import KERNELS
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import ordered
from .recalled import Call, Run, in_turn, once

Array = npt.NDArray[Any]

# axis, taps (the bytes of doubles) or the size of windows to take means of, samples of the first
# window before the first sample, boundary rule
Key = tuple[int, bytes | int, int, str]

DTYPES = frozenset(KERNELS["ordered_line"].dtypes)
# Outputs in a band, and doubles in the work space of one call: both fit a second-level cache.
BAND_OUTPUTS, _WORK = 1 << 15, 1 << 14
# More outputs in a band of means: each band costs calls from Python, and rows gathered twice.
_MEAN_OUTPUTS = 1 << 16
# Outputs of a band with one pass, where nothing waits in a cache for another.
_ALONE = 1 << 17
# Rows so short, of which there are so many, are filtered as columns: 33000 rows of three doubles
# and 17 taps 5.0 ms by rows, 0.6 so; 3000 rows of 32 0.9 and 0.5; with five taps level there, as
# are means of twelve.
_SHORT, _SHORT_MEANS, _MANY = 16, 12, 64
_SLACK = 768  # What means take beside twice the samples.
_STEP = 64  # The widest strip of the kernel.
_SPREAD = 16  # Doubles by which rows of the work space may lie further apart than they are long.
_MEAN = 8  # A mean costs as much as a filter of so many taps.
_COUNTING = np.arange(1 << 12)


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """One pass of a plan."""

    axis: int
    size: int
    pad: int
    boundary: str
    weights: Array
    n: int
    inner: int
    source: Array | None
    # What else the kernel takes: arrays after `out` (none of means), counts at the end.
    arrays: tuple[Array, ...]
    counts: tuple[int, ...]
    # Whether what lies behind the axis are the two parts of complex numbers.
    pairs: bool

    def room(self, samples: int) -> int:
        """Return the doubles of work space for so many samples."""
        return samples if self.arrays else 2 * samples + _SLACK

    def mapped(self) -> _Stage:
        """Return the pass with its map of samples, if it takes whole lines."""
        if self.axis == 0 or self.source is not None:
            return self
        return replace(self, source=_whole(self.n, self.size, self.pad, self.boundary))


def _whole(n: int, size: int, pad: int, boundary: str) -> Array:
    return geometry.source_map(-pad, n + size - 1, n, boundary)


@lru_cache(maxsize=128)
def plan(dtype: str, shape: tuple[int, ...], keys: tuple[Key, ...]) -> Plan | None:
    """Return how to run passes over an array, or None where the kernels do not serve.

    All passes are of one kind: linear, or means.
    """
    if dtype not in DTYPES or not prod(shape):
        return None
    stages = []
    for axis, taps, pad, boundary in keys:
        means = isinstance(taps, int)
        n, size = shape[axis], taps if isinstance(taps, int) else len(taps) // 8
        # Longer maps are made in each call, so that what is kept stays small.
        source = _whole(n, size, pad, boundary) if n <= BAND_OUTPUTS else None
        inner = prod(shape[axis + 1 :])
        weights = np.full(1, float(size))
        arrays: tuple[Array, ...] = ()
        counts: tuple[int, ...] = ()
        if isinstance(taps, bytes):
            terms = ordered.line(np.frombuffer(taps))
            weights, arrays = terms.weights, (terms.first, terms.second)
            counts = (terms.singles, terms.terms, terms.sign)
        pairs = inner == shape[-1] == 2 and dtype.startswith("float")
        stages.append(
            _Stage(axis, size, pad, boundary, weights, n, inner, source, arrays, counts, pairs)
        )
    return Plan(dtype, shape, tuple(stages), "mean_line" if means else "ordered_line")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Passes over one array, settled."""

    dtype: str
    shape: tuple[int, ...]
    stages: tuple[_Stage, ...]
    kernel: str

    @property
    def most(self) -> int:
        """Outputs of one band."""
        if self.kernel == "mean_line":
            return _MEAN_OUTPUTS
        first, *others = self.stages
        return BAND_OUTPUTS if others or (first.axis == 0 and first.inner < _STEP) else _ALONE

    @property
    def products(self) -> int:
        """Number of products, or what means cost in products."""
        each = sum(s.size if s.arrays else _MEAN for s in self.stages)
        return prod(self.shape) * each

    def run(self, x: Array, out: Array, outside: float, workers: int) -> bool:
        """Compute `out`; return False where the kernel is not ready yet.

        Parameters
        ----------
        x, out : ndarray
            Of the plan's dtype and shape, C-contiguous and aligned, sharing no memory.
        outside : float
            Samples outside, for the rule "fill".
        workers : int
            How many threads may be used.
        """
        kernel = load.ready(self.kernel, self.dtype, 1e-9 * self.products)
        if kernel is None:
            return False
        fill = np.array([outside], np.float64)
        stages = tuple(s.mapped() for s in self.stages)
        at = next((j for j, s in enumerate(stages) if s.axis == 0), None)
        if at and prod(self.shape) > self.most and not self._near(stages[at]):
            # What goes before the first axis's pass reads rows of other bands.
            between = np.empty(self.shape, self.dtype)
            self._bands(kernel, x, between, stages[:at], (), fill, workers)
            self._bands(kernel, between, out, (), stages[at:], fill, workers)
        else:
            self._bands(kernel, x, out, stages[: at or 0], stages[at or 0 :], fill, workers)
        return True

    def _near(self, stage: _Stage) -> bool:
        """Return whether a band of outputs of the first axis's pass needs few rows, and near."""
        height = self.most // prod(self.shape[1:])
        return stage.boundary != "wrap" and 4 * (stage.size - 1) <= height

    def _bands(
        self, kernel: Any, x: Array, out: Array, before: tuple[_Stage, ...],
        stages: tuple[_Stage, ...], fill: Array, workers: int,
    ) -> None:  # fmt: skip
        """Run passes band by band; those `before` the first axis's also on the rows around it."""
        x, out = x.reshape(-1), out.reshape(-1)
        row = prod(self.shape[1:])
        halo = stages[0].size - 1 if stages and stages[0].axis == 0 else 0
        height = max(self.most // row, 2 * halo, 1)
        one = height >= self.shape[0]

        def band(lo: int, hi: int) -> None:
            source, start, rest, goal = x, lo, (*before, *stages), out[lo * row : hi * row]
            if halo and before and not one:
                start, stop, call = _around(stages[0], lo, hi)
                rows = scratch((stop - start) * row, self.dtype, "rows around a band")
                for stage in before:
                    _within_rows(kernel, stage, source[start * row :], rows, fill)
                    source, start = rows, 0
                _run(kernel, call, rows, goal, fill)
                source, rest = goal, stages[1:]
            for stage in rest:
                if stage.axis == 0:
                    start, call = _down(stage, lo, hi)
                    _run(kernel, call, source[start * row :], goal, fill)
                else:
                    _within_rows(kernel, stage, source[start * row :], goal, fill)
                source, start = goal, 0

        if one:
            band(0, self.shape[0])
        else:
            threads.run(band, geometry.bands(self.shape[0], height), workers)

    def in_one(self, kernel: Any, outside: float) -> Run | None:
        """Return what runs a plan of one band by compiled calls; None if it needs more."""
        return in_turn(kernel, self._calls(outside))

    def _calls(self, outside: float) -> tuple[Call, ...]:
        if prod(self.shape) > self.most:
            return ()
        fill, found = np.array([outside], np.float64), []
        for s in self.stages:
            outer = prod(self.shape[: s.axis])
            if s.source is None:
                return ()
            call = _turned(s, outer) if _turns(s, outer) else _across(s, outer, s.inner)
            found.append(call._replace(arrays=(*call.arrays, fill)))
        return tuple(found)


def _panel(rows: int, inner: int) -> int:
    """Return how many columns are worked on at once."""
    return min(max(_WORK // rows // _STEP, 1) * _STEP, inner)


def _run(kernel: Any, call: Call, x: Array, out: Array, fill: Array) -> None:
    call = call._replace(arrays=(*call.arrays, fill))
    once(kernel, call, lambda: scratch(call.room, np.float64), x, out)


@lru_cache(maxsize=1024)
def _down(stage: _Stage, lo: int, hi: int) -> tuple[int, Call]:
    """Return the call that makes outputs lo..hi-1 of a pass along the first axis.

    And the row of samples that it begins with.
    """
    start, count = lo - stage.pad, hi - lo + stage.size - 1
    # Where samples follow each other: within the signal.
    begin, end = max(0, -start), min(count, stage.n - start)
    if start >= 0 and start + count <= stage.n:
        source = _counting(count)
    elif stage.source is not None:
        start, source = 0, stage.source[lo:]
    else:
        start, source = 0, geometry.source_map(start, count, stage.n, stage.boundary)
    panel = _panel(count, stage.inner)
    counts = (1, 0, 0, stage.inner, 0, hi - lo, stage.size - 1, panel, begin, end)
    room = stage.room(count * (panel + _SPREAD))
    return start, Call(stage.weights, (*stage.arrays, source), room, (*counts, *stage.counts))


@lru_cache(maxsize=1024)
def _around(stage: _Stage, lo: int, hi: int) -> tuple[int, int, Call]:
    """Return the rows that `_down` reads, from where to where, and its call on them only."""
    count = hi - lo + stage.size - 1
    source = geometry.source_map(lo - stage.pad, count, stage.n, stage.boundary)
    start = int(source[source >= 0].min())
    _, call = _down(stage, lo, hi)
    source = np.where(source < 0, -1, source - start)
    call = call._replace(arrays=(*call.arrays[:-1], source))
    return start, start + int(source.max()) + 1, call


@lru_cache(maxsize=1024)
def _across(stage: _Stage, outer: int, inner: int) -> Call:
    """Return the call of a pass over whole lines: samples have the shape (outer, n, inner)."""
    n, count = stage.n, stage.n + stage.size - 1
    panel = _panel(count, inner)
    counts = (outer, n * inner, n * inner, inner, 0, n, stage.size - 1, panel, stage.pad,
              stage.pad + n)  # fmt: skip
    assert stage.source is not None
    room = stage.room(count * (panel + _SPREAD))
    return Call(stage.weights, (*stage.arrays, stage.source), room, (*counts, *stage.counts))


def _turns(stage: _Stage, outer: int) -> bool:
    """Return whether rows become columns: a few samples cost more to begin than to filter."""
    most = _SHORT + min(stage.size, _SHORT) if stage.arrays else _SHORT_MEANS
    return (stage.inner == 1 or stage.pairs) and stage.n <= most and outer >= _MANY


def _turned(stage: _Stage, outer: int) -> Call:
    call = _across(stage, 1, outer * stage.inner)
    return call._replace(turned=(outer, stage.n), pairs=stage.pairs)


def _within_rows(kernel: Any, stage: _Stage, x: Array, out: Array, fill: Array) -> None:
    """Run a pass along another axis for whole rows, from x or in place."""
    n, inner, length = stage.n, stage.inner, len(out)
    outer = length // (n * inner)
    if _turns(stage, outer):
        call, x = _turned(stage, outer), x[:length]
    else:
        # Long maps are made anew for each call; nothing of them may be kept.
        settled = _across if n <= BAND_OUTPUTS else _across.__wrapped__
        call = settled(stage, outer, inner)
    _run(kernel, call, x, out, fill)


def _counting(count: int) -> Array:
    global _COUNTING
    if len(_COUNTING) < count:
        _COUNTING = np.arange(2 * count)
    return _COUNTING
