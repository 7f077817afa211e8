"""Fair small races: contenders take turns in one process, and the quickest turn of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["OURS", "Race", "race"]

OURS = "fastconv"

_TURN_SECONDS = 0.002  # a turn repeats short work until the clock's own cost is lost in it
_PATIENCE_SECONDS = 0.1  # slower work is timed once: the tour is a walk, not a benchmark


@dataclass(frozen=True, slots=True)
class Race:
    """One piece of work, the path chosen for it, and the seconds each contender took."""

    step: str
    work: str
    chosen: str
    reason: str
    table: str
    """The planner's table of paths, as text."""
    seconds: Mapping[str, float]

    @property
    def ours(self) -> float:
        """Seconds of this library."""
        return self.seconds[OURS]

    def of(self, family: str) -> list[tuple[str, float]]:
        """Return name and seconds of the contenders of a family ("numpy"), the fastest first."""
        rows = [(name, s) for name, s in self.seconds.items() if name.startswith(family)]
        return sorted(rows, key=lambda row: row[1])

    def best(self, family: str) -> tuple[str, float] | None:
        """Return name and seconds of the fastest contender of a family, or None."""
        return next(iter(self.of(family)), None)

    @property
    def rival(self) -> tuple[str, float]:
        """The fastest of the others, and its seconds."""
        return min(
            ((name, s) for name, s in self.seconds.items() if name != OURS), key=lambda row: row[1]
        )

    @property
    def ratio(self) -> float:
        """How many times as long the fastest of the others took: above 1, this library is ahead."""
        return self.rival[1] / self.ours


def race(
    step: str,
    work: str,
    contenders: Mapping[str, Callable[[], object]],
    plan: Callable[[], Any] | None = None,
    *,
    rounds: int = 5,
) -> Race:
    """Time `contenders` in turn, `rounds` times, and keep each one's quickest turn.

    Parameters
    ----------
    step, work : str
        Where in the tour this is, and what is computed.
    contenders : mapping of str to callable
        `OURS` and peers named ``numpy.<function>`` or ``scipy.<function>``. First-call costs do
        not count, except that slow peers are called only once.
    plan : callable, optional
        Returns what `fastconv.explain` says about this work; asked last, when all is warm.
    rounds : int
        Turns of each contender that is not slow.
    """
    first = {name: _first(call, patient=name == OURS) for name, call in contenders.items()}
    best = dict(first)
    for _ in range(rounds):
        for name, call in contenders.items():
            if first[name] > _PATIENCE_SECONDS:
                continue
            repeats = max(1, min(1000, int(_TURN_SECONDS / max(first[name], 1e-7))))
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / repeats)
    chosen, reason, table = "-", "not a convolution: nothing to choose", ""
    if plan is not None:
        told = plan()
        chosen, reason, table = str(told.chosen), str(told.reason), str(told)
    return Race(step, work, chosen, reason, table, best)


def _first(call: Callable[[], object], *, patient: bool) -> float:
    """Return the seconds of a second call, or of the first if that shows the work to be slow."""
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    if seconds > _PATIENCE_SECONDS and not patient:
        return seconds
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
