"""Fair races: contenders take turns in one process, and the quickest turn of each counts.

Other work on the machine only ever adds time, so the minimum is the best estimate; and it meets
contenders of one round alike, so ratios are steadier than seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .peers import Call

__all__ = ["NOISY", "Timing", "race"]

# Two best turns of one contender that differ by more than this were disturbed.
NOISY = 0.10
# A turn repeats short work. What the one before left in the caches, and pages that it gave back to
# the system, cost the first calls of a turn several times their steady time: the least one counts.
_TURN_SECONDS, _LEAST_CALLS, _SHORT_SECONDS = 0.003, 8, 0.01
# Calls shorter than this are timed together: the clock's own cost is lost in it.
_CLOCK_SECONDS = 5e-5
_MOST_ROUNDS = 100
_LEAST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """The turns of one contender.

    Parameters
    ----------
    best, second : float
        Seconds of one call in the quickest turn and in the one after it.
    rounds : int
        How many turns there were.
    """

    best: float
    second: float
    rounds: int

    @property
    def spread(self) -> float:
        """How much slower the second best turn was, as a share of the best."""
        return self.second / self.best - 1 if self.best > 0 else 0.0


def race(calls: Mapping[str, Call], seconds: float) -> dict[str, Timing]:
    """Time every call in turn, round after round.

    Parameters
    ----------
    calls : mapping of str to callable
        The contenders, each called before so that its first-call costs do not count.
    seconds : float
        About how long to go on. A contender whose single call takes longer than a quarter of it
        gets two turns.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        warm = {name: _warm(call) for name, call in calls.items()}
        turns = {name: [seconds] for name, seconds in warm.items()}
        together = {name: max(1, int(_CLOCK_SECONDS / s)) for name, s in warm.items()}
        # One call is no turn where turns have many: it measures the clock.
        for name, count in together.items():
            if count > 1:
                turns[name].clear()
        start, done = time.perf_counter(), 0
        while done < _LEAST_ROUNDS or (
            done < _MOST_ROUNDS and time.perf_counter() - start < seconds
        ):
            for name, call in calls.items():
                if len(turns[name]) < 2 or warm[name] < seconds / 4:
                    count = together[name]
                    least = _LEAST_CALLS if warm[name] < _SHORT_SECONDS else 1
                    times = max(least, int(_TURN_SECONDS / (warm[name] * count)))
                    turns[name].append(_turn(call, count, times))
            done += 1
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(seconds) for name, seconds in turns.items()}


def _warm(call: Call) -> float:
    """Return the seconds of one call, from which the turns follow: not those of an early one."""
    first = _turn(call, 1, 1)
    return _turn(call, 1, _LEAST_CALLS) if first < _SHORT_SECONDS else first


def _turn(call: Call, count: int, times: int) -> float:
    """Return the seconds of one call: the mean over `count`, the least of `times` such."""
    best, repeat = float("inf"), _repeated(call)
    for _ in range(times):
        start = time.perf_counter()
        repeat(count)
        best = min(best, time.perf_counter() - start)
    return best / count


def _repeated(call: Call) -> Callable[[int], None]:
    """Return what makes a call so many times, as a program would write it.

    A partial is taken apart: to call a function through it takes 0.3 us, as long as some of the
    functions themselves.
    """
    function, args, keywords = call, (), {}
    if type(call) is partial:
        function, args, keywords = call.func, call.args, call.keywords
    names = [f"a{j}" for j in range(len(args))]
    passed = ", ".join([*names, *(f"{name}={name}_" for name in keywords)])
    parameters = ", ".join(["f", *names, *(f"{name}_" for name in keywords)])
    source = (
        f"def bound({parameters}):\n"
        f" def repeat(count):\n"
        f"  for _ in range(count):\n"
        f"   f({passed})\n"
        f" return repeat"
    )
    space: dict[str, Any] = {}
    exec(source, space)
    found: Callable[[int], None] = space["bound"](function, *args, *keywords.values())
    return found


def _timing(turns: list[float]) -> Timing:
    best, second = sorted(turns)[:2]
    return Timing(best, second, len(turns))
