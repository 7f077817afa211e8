"""Overlap-save's blocks of one signal, on this thread or on several; calls that are settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import geometry
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
        What `of_filter` takes behind its work space.
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


def as_parts(w: Any, part: str) -> Any:
    """Return complex taps (..., k) as the loops take them: in the order of a convolution."""
    return np.ascontiguousarray(w[..., ::-1]).view(part).reshape(-1)


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
    settled = (*signal.taps, plan.size, plan.top, plan.levels)

    def call(x: Any, w: Any, out: Any) -> float:
        # One piece of the thread's own memory: fresh pages would cost as much as the transform.
        room = scratch(length, part)
        area, spectrum, norms = room[:work], room[work:stored], room[stored:]
        of_filter(w, spectrum, plan.table, area, *settled)
        of_blocks(x, spectrum, area, norms, out, threads.worthwhile(seconds) if long else 1)
        return float(norms[0] if only else add(norms))

    if part == signal.dtype:
        return call
    return lambda x, w, out: call(x.view(part), as_parts(w, part), out.view(part))


def applied(
    signal: Signal, seconds: float, w: Any, forms: Forms, path: str
) -> Callable[[Any, Any], float]:
    """Return ``call(x, out)`` for a filter that stays: as `prepared`, its spectrum kept."""
    # Where the path itself looks for it.
    key = (path, signal.dtype, signal.plan.size, (len(w),))
    plan, part, only = signal.plan, signal.part, signal.blocks.number == 1
    of_blocks, add, long = loop(signal), np.add.reduce, seconds >= threads.FEW_SECONDS
    work, length = plan.scratch_length, plan.scratch_length + signal.blocks.number

    def transformed() -> Any:
        made = np.empty((1, signal.apart), part)
        load.kernel(signal.of_filter, part)(
            w, made[0], plan.table, scratch(work, part), *signal.taps, plan.size, plan.top,
            plan.levels,
        )  # fmt: skip
        return made

    def call(x: Any, out: Any) -> float:
        spectrum = forms.recall(key, transformed, _bytes)[0]
        room = scratch(length, part)
        area, norms = room[:work], room[work:]
        of_blocks(x, spectrum, area, norms, out, threads.worthwhile(seconds) if long else 1)
        return float(norms[0] if only else add(norms))

    if part == signal.dtype:
        return call
    w = as_parts(w, part)
    return lambda x, out: call(x.view(part), out.view(part))


def _bytes(spectra: Any) -> int:
    return int(spectra.nbytes)
