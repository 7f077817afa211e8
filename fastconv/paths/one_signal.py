"""Overlap-save's blocks of one signal, on this thread or on several; calls that are settled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import geometry
from ..path import Operands
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from .fft_tables import PARTS, Transform

if TYPE_CHECKING:
    from ..forms import Forms


class Signal(NamedTuple):
    """One signal's blocks, how its filter is transformed, and the loops for both.

    Parameters
    ----------
    plan : Transform
        The transform of a block.
    dtype : str
        The samples'; the loops have that of their parts.
    of_filter, of_blocks : str
        The loops.
    taps : tuple of int
        What `of_filter` takes of filters that lie one after the other, behind their number.
    apart : int
        Reals in the filter's spectrum.
    blocks : Blocks
        Where the blocks lie.
    band : int
        Of so many outputs at least is a thread's share.
    n, m : int
        Samples and outputs.
    """

    plan: Transform
    dtype: str
    of_filter: str
    of_blocks: str
    taps: tuple[int, ...]
    apart: int
    blocks: geometry.Blocks
    band: int
    n: int
    m: int

    @property
    def part(self) -> str:
        """The dtype of the loops."""
        return PARTS.get(self.dtype, self.dtype)

    def counts(self, filters: int) -> tuple[int, ...]:
        """Return what `of_filter` takes behind its work space."""
        return (filters, *self.taps, self.plan.size, self.plan.top, self.plan.levels)

    def laid(self, w: Any) -> Any:
        """Return taps (..., k) as `of_filter` takes them: complex ones in a convolution's order."""
        if self.part == self.dtype:
            return w.reshape(-1)
        return np.ascontiguousarray(w[..., ::-1]).view(self.part).reshape(-1)


def compute(problem: Problem, operands: Operands, x: Any, signal: Signal) -> Any:
    """Run the loops for all signals x; return a number per block that is finite if all is."""
    (stride,), batch, part = problem.stride, problem.batch, signal.part
    forms, key, make = operands.forms, _key(signal), partial(_transformed, signal, operands.w)
    spectra = forms.recall(key, make, _bytes) if forms else make()
    norms = np.zeros((batch, signal.blocks.number), part)
    out = operands.out if stride == 1 else np.empty((batch, signal.m), signal.dtype)
    samples, results, room, of_blocks = (
        x.view(part),
        out.view(part),
        signal.plan.scratch_length,
        loop(signal),
    )
    if batch == 1:
        area = scratch(room, part)
        of_blocks(samples[0], spectra[0], area, norms[0], results[0], operands.workers)
    else:

        def some_rows(lo: int, hi: int) -> None:
            area = scratch(room, part)
            for row in range(lo, hi):
                of_blocks(
                    samples[row], spectra[row % len(spectra)], area, norms[row], results[row], 1
                )

        bands = geometry.shares(batch, max(1, signal.band // signal.m), operands.workers)
        threads.run(some_rows, bands, operands.workers)
    if stride != 1:
        operands.out[...] = out[:, ::stride]
    return norms


def transform(signal: Signal, w: Any, spectra: Any) -> None:
    """Set `spectra` to those of the filters w, one after the other."""
    plan, part = signal.plan, signal.part
    area = scratch(plan.scratch_length, part)
    of_filter = load.kernel(signal.of_filter, part)
    of_filter(signal.laid(w), spectra, plan.table, area, *signal.counts(len(w)))


def _transformed(signal: Signal, w: Any) -> Any:
    made = np.empty((len(w), signal.apart), signal.part)
    transform(signal, w, made.reshape(-1))
    return made


def _key(signal: Signal) -> tuple[Any, ...]:
    """Return under what a filter's spectrum is kept."""
    return (signal.of_filter, signal.dtype, signal.plan.size, signal.taps)


def loop(signal: Signal) -> Callable[[Any, Any, Any, Any, Any, int], None]:
    """Return ``call(x, spectrum, area, norms, out, workers)``: area is this thread's work space.

    Samples and results as their parts.
    """
    plan, n, m, part, (number, step, first, shift) = (
        signal.plan, signal.n, signal.m, signal.part, signal.blocks,
    )  # fmt: skip
    save, form = load.kernel(signal.of_blocks, part), (plan.size, plan.top, plan.levels)
    table, whole = plan.table, (1, 0, 0, 0, n, 0, m, first, step, shift, 0, number, *form)

    def call(x: Any, spectrum: Any, area: Any, norms: Any, out: Any, workers: int) -> None:
        if workers == 1 or number == 1:
            save(x, spectrum, table, area, out, norms, *whole)
            return

        def some_blocks(lo: int, hi: int) -> None:
            save(
                x, spectrum, table, scratch(plan.scratch_length, part), out, norms, 1, 0, 0, 0, n,
                lo * step, min(m, hi * step), first, step, shift, lo, hi, *form,
            )  # fmt: skip

        threads.run(
            some_blocks, geometry.shares(number, max(1, signal.band // step), workers), workers
        )

    return call


def prepared(signal: Signal, seconds: float) -> Callable[[Any, Any, Any], float]:
    """Return ``call(x, w, out)``: a number that is finite if all samples and results are.

    Parameters
    ----------
    signal : Signal
        What is computed.
    seconds : float
        What that takes one thread.
    """
    plan, part, only = signal.plan, signal.part, signal.blocks.number == 1
    of_filter, of_blocks, add = load.kernel(signal.of_filter, part), loop(signal), np.add.reduce
    work, stored = plan.scratch_length, plan.scratch_length + signal.apart
    length, long = stored + signal.blocks.number, seconds >= threads.FEW_SECONDS
    table, counts = plan.table, signal.counts(1)

    def call(x: Any, w: Any, out: Any) -> float:
        # One piece of the thread's own memory: fresh pages would cost as much as the transform.
        room = scratch(length, part)
        area, spectrum, norms = room[:work], room[work:stored], room[stored:]
        of_filter(w, spectrum, table, area, *counts)
        of_blocks(x, spectrum, area, norms, out, threads.worthwhile(seconds) if long else 1)
        return float(norms[0] if only else add(norms))

    if part == signal.dtype:
        return call
    return lambda x, w, out: call(x.view(part), signal.laid(w), out.view(part))


def applied(signal: Signal, seconds: float, w: Any, forms: Forms) -> Callable[[Any, Any], float]:
    """Return ``call(x, out)`` for a filter that stays: as `prepared`, its spectrum kept."""
    plan, part, only = signal.plan, signal.part, signal.blocks.number == 1
    of_blocks, add, long = loop(signal), np.add.reduce, seconds >= threads.FEW_SECONDS
    work, length = plan.scratch_length, plan.scratch_length + signal.blocks.number
    key, make = _key(signal), partial(_transformed, signal, w[None])

    def call(x: Any, out: Any) -> float:
        spectrum = forms.recall(key, make, _bytes)[0]
        room = scratch(length, part)
        area, norms = room[:work], room[work:]
        of_blocks(x, spectrum, area, norms, out, threads.worthwhile(seconds) if long else 1)
        return float(norms[0] if only else add(norms))

    if part == signal.dtype:
        return call
    return lambda x, out: call(x.view(part), out.view(part))


def _bytes(spectra: Any) -> int:
    return int(spectra.nbytes)
