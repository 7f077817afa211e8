"""The records that describe an algorithm: its Work, its guarantees, and the Path itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .problem import Problem
from .records import NamedTuple

if TYPE_CHECKING:
    from .forms import Forms

Guarantee = Literal["exact", "componentwise", "normwise"]
GUARANTEES: tuple[Guarantee, ...] = ("normwise", "componentwise", "exact")  # weakest first

# Outputs that a path leaves to a local path: first and last signal, then (low, high) per axis.
Box = tuple[int, int, tuple[tuple[int, int], ...]]


# What Python's own objects take, in bounds on work space.
SLACK = 1 << 14
# And for each band that threads are handed.
BAND_BYTES = 100


class Work(NamedTuple):
    """What a path does, in counts, never in seconds.

    Parameters
    ----------
    calls : int
        Calls from Python, into a kernel or a library.
    multiply_adds : int
        Products added up by direct loops.
    butterflies : float
        n log2 n over all transforms of length n.
    bytes_moved : int
        Bytes read and written at least once.
    """

    calls: int = 1
    multiply_adds: int = 0
    butterflies: float = 0.0
    bytes_moved: int = 0


class Space(NamedTuple):
    """The most bytes that a path takes beside its operands and its results.

    Parameters
    ----------
    shared : int
        Tables, spectra, maps of places: once.
    each : int
        Work space of one worker.
    """

    shared: int = 0
    each: int = 0

    @property
    def least(self) -> int:
        """Bytes for one worker."""
        return self.shared + self.each

    def workers(self, room: int) -> int:
        """Return how many workers `room` bytes are enough for: one at least."""
        return max(1, (room - self.shared) // max(1, self.each))


class Operands(NamedTuple):
    """The arrays of one request, packed: aligned, native, contiguous along each convolved axis.

    Parameters
    ----------
    x : ndarray, shape (batch, *signal) or, interleaved, (batch, n, inner)
        The signals; each contiguous, and one where another is (a step of 0) if it is for all.
    w : ndarray, shape (batch or 1, *filter)
        The filters, in correlation order.
    out : ndarray, shape (batch, *output)
        The results; C-contiguous, sharing no memory with x or w.
    fill : scalar
        The value of samples outside where the boundary rule is "fill".
    workers : int
        How many threads may be used.
    factors : tuple of ndarray
        Where ``problem.structure`` has a rank: for each axis the factors of w, shape (rank, k).
    forms : Forms, optional
        Where what is made of w may be kept, for calls with the same w.
    """

    x: npt.NDArray[Any]
    w: npt.NDArray[Any]
    out: npt.NDArray[Any]
    fill: Any = 0
    workers: int = 1
    factors: tuple[npt.NDArray[Any], ...] = ()
    forms: Forms | None = None


def no_kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return that a path runs no compiled loops of ours."""
    return ()


class Path(NamedTuple):
    """One algorithm, as a record of plain functions.

    Parameters
    ----------
    name : str
        What ``method=`` calls it.
    summary : str
        One line for tables.
    local : bool
        Whether each output depends on the samples of its own window only. The planner mends
        what a path that is not local returns as boxes.
    supports : callable
        Problem -> "" or the reason why not.
    guarantee : callable
        Problem -> "exact", "componentwise" or "normwise".
    work : callable
        Problem -> Work.
    execute : callable
        (Problem, Operands) -> boxes of outputs that a local path must compute instead.
    kernels : callable
        Problem -> the (name, dtype) of every compiled loop it needs.
    interleaved : bool
        Whether it computes interleaved signals (`Problem.inner`) as they lie.
    converts : bool
        Whether it takes images (two axes) of another dtype than the work's.
    gaps : bool
        Whether it computes samples that stand apart (`Problem.up`).
    imports : str
        The library that is imported when it first runs: "" where that takes no time.
    space : callable, optional
        Problem -> Space, for problems that it supports. Without it a path takes no problem whose
        `room` is limited. One that may choose how much it takes stays within `Problem.room`.
    one_signal : callable, optional
        Problem -> `one_signal.Signal`: what calls for one signal may settle once and for all.
    """

    name: str
    summary: str
    local: bool
    supports: Callable[[Problem], str]
    guarantee: Callable[[Problem], Guarantee]
    work: Callable[[Problem], Work]
    execute: Callable[[Problem, Operands], list[Box]]
    kernels: Callable[[Problem], tuple[tuple[str, str], ...]] = no_kernels
    interleaved: bool = False
    converts: bool = False
    gaps: bool = False
    imports: str = ""
    space: Callable[[Problem], Space] | None = None
    one_signal: Callable[[Problem], Any] | None = None


def everything(problem: Problem) -> list[Box]:
    """Return the one box that holds all outputs."""
    return [(0, problem.batch, tuple((0, m) for m in problem.output))]


def is_float(dtype: str) -> bool:
    """Return whether `dtype` names a real or complex floating type."""
    return np.dtype(dtype).kind in "fc"
