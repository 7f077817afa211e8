"""Filters along one axis after another, in bands that stay in cache, with any rule at the ends.

A chain of passes runs band by band along the first axis: a band's samples are gathered (and
converted) once, every pass reads what the one before left in the cache, and the last one writes
the result. Nothing of the signal's size is made but the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.scratch import scratch
from .recalled import Run

Array = npt.NDArray[Any]
# (continued signals (outer, n + k - 1, inner), results (outer, n, inner))
Operation = Callable[[Array, Array], None]

# Outputs in a band: with its work space it fits into a second-level cache of 1 MiB.
BAND_OUTPUTS = 1 << 15
# Samples before and after a band that may be gathered again for the next one.
_MOST_HALO = 1 << 17


class Pass(NamedTuple):
    """One filter along one axis.

    Parameters
    ----------
    axis : int
        Which one.
    size : int
        Samples in a window.
    pad : int
        Samples of the first window before the first sample: 0 <= pad < size.
    boundary : str
        One of `geometry.BOUNDARIES` but "zero".
    operation : callable
        Computes the windows of continued signals.
    taps : bytes or int
        The doubles of a linear pass, in correlation order; the size of a mean's windows.
    greatest : bool
        Whether an extreme pass looks for the greatest sample.
    """

    axis: int
    size: int
    pad: int
    boundary: str
    operation: Operation
    taps: bytes | int = b""
    greatest: bool = False


class Source(Protocol):
    """Where samples come from, band by band."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths per axis."""

    @property
    def outside(self) -> Any:
        """Samples outside, for the rule "fill"."""

    def ready(self, dtype: Any) -> Array | None:
        """Return the samples themselves if they lie in memory as `dtype`, one after the other."""

    def read(self, rows: Any, into: Array) -> None:
        """Put the samples of some rows (a slice or indices along the first axis) into `into`."""


class Samples(NamedTuple):
    """The samples of an array."""

    array: Array
    outside: Any = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths per axis."""
        return self.array.shape

    def ready(self, dtype: Any) -> Array | None:
        """Return the array if it is of `dtype`, native and C-contiguous."""
        a = self.array
        return a if a.dtype == dtype and a.flags.c_contiguous and a.flags.aligned else None

    def read(self, rows: Any, into: Array) -> None:
        """Convert some rows."""
        into[...] = self.array[rows]


def held(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what results of a dtype are between two passes: SciPy reads all of a truth value."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def cast(values: Array, dtype: np.dtype[Any]) -> Array:
    """Convert doubles as C does: integers are truncated and wrap, and truth values are bytes."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _on_the_way(values, dtype).astype(dtype)


def put(values: Array, out: Array) -> None:
    """Store doubles as `cast` converts them."""
    with np.errstate(invalid="ignore", over="ignore"):
        np.copyto(out, _on_the_way(values, out.dtype), casting="unsafe")


def _on_the_way(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return doubles as what NumPy converts to `dtype` as C converts doubles."""
    if dtype.kind == "b":
        return np.asarray(values.astype(np.uint8) != 0)
    if dtype.kind == "u" and dtype.itemsize == 4:  # In either order of bytes.
        return values.astype(np.int64)
    return values


def chain(
    sources: Sequence[Source], out: Array, passes: Sequence[Pass], work: Any, workers: int,
    finish: Callable[..., Array] | None = None, between: np.dtype[Any] | None = None,
) -> None:  # fmt: skip
    """Compute `out`: all passes in turn, on each source.

    Parameters
    ----------
    sources : sequence of Source
        Of one shape with `out`; sharing no memory with it, unless no pass goes along axis 0.
    out : ndarray
        The result, of any dtype and layout.
    passes : sequence of Pass
        At least one; at most one along each axis.
    work : dtype
        Of all that the operations meet.
    workers : int
        How many threads may be used.
    finish : callable, optional
        What makes the result of the last passes' results, one for each source; by default the
        only one is cast to `out`'s dtype.
    between : dtype, optional
        What is rounded to between two passes.
    """
    run = _Chain(tuple(sources), out, tuple(passes), np.dtype(work), finish, between)
    n = out.shape[0]
    threads.run(run.band, geometry.bands(n, run.height), workers)


# Indices that are kept for a pass over a few samples: 64 KiB.
_MOST_GATHERED = 1 << 13


def gathered(q: Pass, shape: tuple[int, ...], work: np.dtype[Any], outside: Any) -> Run | None:
    """Return what runs one pass over few samples of `work`, by indices settled once."""
    outer, n, inner = prod(shape[: q.axis]), shape[q.axis], prod(shape[q.axis + 1 :])
    if outer * (n + q.size - 1) * inner > _MOST_GATHERED:
        return None
    along = geometry.source_map(-q.pad, n + q.size - 1, n, q.boundary)
    lines, columns = np.arange(outer)[:, None, None], np.arange(inner)
    index = (lines * n + along[:, None]) * inner + columns
    index[:, along < 0] = prod(shape)

    def run(samples: Array, results: Array) -> None:
        everything = np.empty(len(samples) + 1, work)
        everything[:-1], everything[-1] = samples, outside
        q.operation(everything.take(index), results.reshape(outer, n, inner))

    return run


class _Chain(NamedTuple):
    sources: tuple[Source, ...]
    out: Array
    passes: tuple[Pass, ...]
    work: np.dtype[Any]
    finish: Callable[..., Array] | None
    between: np.dtype[Any] | None

    @property
    def inner(self) -> int:
        """Samples in one row."""
        return prod(self.out.shape[1:])

    @property
    def height(self) -> int:
        """Rows of outputs in a band: no fewer than are gathered twice."""
        halo = max((q.size - 1 for q in self.passes if q.axis == 0), default=0)
        if halo and len(self.passes) == 1 and self._ready(self.sources[0]) is not None:
            halo = 0
        return max(BAND_OUTPUTS // max(self.inner, 1), min(2 * halo, _MOST_HALO // self.inner), 1)

    def _ready(self, source: Source) -> Array | None:
        return source.ready(self.work)

    def band(self, lo: int, hi: int) -> None:
        """Compute rows lo..hi-1."""
        last = self.out[lo:hi]
        count = len(self.sources)
        direct = self.finish is None and last.dtype == self.work and last.flags.carray
        gathered = max((hi - lo + q.size - 1 for q in self.passes if q.axis == 0), default=hi - lo)
        rest = [q for q in self.passes if q.axis]
        longest = max(((n + q.size - 1) / n for q in rest for n in [self.out.shape[q.axis]]),
                      default=0.0)  # fmt: skip
        sizes = [
            gathered * self.inner,
            int(np.ceil(gathered * self.inner * longest)),
            *[(hi - lo) * self.inner] * (0 if direct else count),
        ]
        room = _carve(scratch(sum(sizes) + 16 * len(sizes), self.work), sizes)
        results = []
        for number, source in enumerate(self.sources):
            goal = last if direct else room[2 + number].reshape(last.shape)
            self._one(source, lo, hi, goal, room[0], room[1])
            results.append(goal)
        if self.finish is not None:
            last[...] = self.finish(lo, hi, *results)
        elif not direct:
            last[...] = cast(results[0], last.dtype) if self.work == np.float64 else results[0]

    def _one(
        self, source: Source, lo: int, hi: int, goal: Array, gather: Array, room: Array
    ) -> None:
        """Run all passes for rows lo..hi-1 of one source."""
        at = next((j for j, q in enumerate(self.passes) if q.axis == 0), None)
        row = self.out.shape[1:]
        if at is None:
            first = self.passes[0]
            _read_ends(source, slice(lo, hi), first, room, goal, gather)
            self._rest(self.passes[1:], goal, source.outside, room)
            return
        q = self.passes[at]
        start, count, n = lo - q.pad, hi - lo + q.size - 1, self.out.shape[0]
        whole = self._ready(source) if at == 0 else None
        if whole is not None and start >= 0 and start + count <= n:
            current = whole[start : start + count]
        else:
            current = gather[: count * self.inner].reshape(count, *row)
            rows = geometry.source_map(start, count, n, q.boundary)
            read_rows(source, rows, current)
            if at:
                for before in self.passes[:at]:
                    _local(before, current, source.outside, room)
                    self._round(current)
            current[rows < 0] = source.outside
        q.operation(current.reshape(1, count, -1), goal.reshape(1, hi - lo, -1))
        self._rest(self.passes[at + 1 :], goal, source.outside, room)

    def _rest(self, passes: tuple[Pass, ...], goal: Array, outside: Any, room: Array) -> None:
        for q in passes:
            self._round(goal)
            _local(q, goal, outside, room)

    def _round(self, values: Array) -> None:
        if self.between is not None and self.between != self.work:
            values[...] = cast(values, self.between)


def read_rows(source: Source, rows: npt.NDArray[np.int64], into: Array) -> None:
    """Gather rows by a source map (-1 is left as it is); what is contiguous goes as one piece."""
    # The longest run of neighbours is the signal itself; the ends are short.
    start, stop = _longest_run(rows)
    if stop > start:
        source.read(slice(int(rows[start]), int(rows[stop - 1]) + 1), into[start:stop])
    for low, high in ((0, start), (stop, len(rows))):
        known = np.flatnonzero(rows[low:high] >= 0) + low
        if len(known) == high - low and len(known):
            source.read(rows[low:high], into[low:high])
        elif len(known):
            piece = np.empty((len(known), *into.shape[1:]), into.dtype)
            source.read(rows[known], piece)
            into[known] = piece


def _longest_run(rows: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return where the longest run of consecutive indices begins and ends."""
    breaks = np.flatnonzero((np.diff(rows) != 1) | (rows[1:] < 0) | (rows[:-1] < 0)) + 1
    edges = np.r_[0, breaks, len(rows)]
    longest = int(np.argmax(np.diff(edges)))
    start, stop = int(edges[longest]), int(edges[longest + 1])
    return (start, stop) if rows[start] >= 0 else (0, 0)


def _local(q: Pass, values: Array, outside: Any, room: Array) -> None:
    """Run one pass along an axis other than the first, in place."""
    _read_ends(Samples(values, outside), slice(None), q, room, values, None)


def _read_ends(
    source: Source, rows: slice, q: Pass, room: Array, goal: Array, gather: Array | None
) -> None:
    """Continue rows of a source along the pass's axis and run the pass."""
    shape = goal.shape
    outer, n, inner = prod(shape[: q.axis]), shape[q.axis], prod(shape[q.axis + 1 :])
    length = n + q.size - 1
    around = room[: outer * length * inner].reshape(outer, length, inner)
    middle = around[:, q.pad : q.pad + n]
    if isinstance(source, Samples) and source.array[rows].flags.c_contiguous:
        middle[...] = source.array[rows].reshape(outer, n, inner)
    else:
        assert gather is not None
        held = gather[: goal.size].reshape(shape)
        source.read(rows, held)
        middle[...] = held.reshape(outer, n, inner)
    for low, high in ((0, q.pad), (q.pad + n, length)):
        if high > low:
            index = geometry.source_map(low - q.pad, high - low, n, q.boundary)
            around[:, low:high] = source.outside if index[0] < 0 else middle[:, index]
    q.operation(around, goal.reshape(outer, n, inner))


def _carve(room: Array, sizes: list[int]) -> list[Array]:
    """Cut work space into pieces, each on a boundary of its own cache line."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(room[at : at + size])
        at += -(-size // 16) * 16
    return pieces
