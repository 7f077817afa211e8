"""The worker pool: bands of serial kernels on threads of our own.

Numba's threading layers are not used (two Python threads in a parallel kernel abort the process).
The pool is made on first need, once per process; a forked child makes its own; a call from one of
its workers runs in that worker.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from .settings import workers_in_force

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SECONDS_PER_WORKER = 150e-6

_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()
_here = threading.local()


def default_workers() -> int:
    """Return what was set (`settings`), or how many CPUs this process may use.

    A process of a pool has one: its siblings use the other CPUs.
    """
    return workers_in_force() or (1 if _in_process_pool() else available_cpus())


def _in_process_pool() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


@cache
def available_cpus() -> int:
    """Return the CPUs that affinity and the cgroup's quota leave to this process."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return count


def worthwhile(seconds: float, most: int | None = None) -> int:
    """Return how many workers pay for work that takes one of them `seconds`.

    A hand-off costs 16 to 31 us, and below some 0.1 ms per worker it eats the gain.
    """
    pay = int(seconds / SECONDS_PER_WORKER)
    return 1 if pay < 2 else min(most or default_workers(), pay)


def run(task: Callable[..., Any], bands: list[tuple[int, int]], workers: int) -> None:
    """Call ``task(lo, hi)`` for every band, on at most `workers` threads, this one included."""
    helpers = min(workers, len(bands)) - 1
    if helpers < 1 or getattr(_here, "busy", False):
        for band in bands:
            task(*band)
        return
    pull = _Pull(task, bands)
    futures = [_executor(workers).submit(pull.work) for _ in range(helpers)]
    try:
        pull.work()
    finally:
        pull.stop = True  # After an exception here nobody may go on writing.
        for future in futures:
            if not future.cancel():
                future.result()


class _Pull:
    """Bands handed out one by one to whoever asks."""

    def __init__(self, task: Callable[..., Any], bands: Iterable[tuple[int, int]]) -> None:
        self.stop = False
        self._task = task
        self._bands = iter(bands)
        self._lock = threading.Lock()

    def work(self) -> None:
        outer = getattr(_here, "busy", False)
        _here.busy = True
        try:
            while not self.stop:
                with self._lock:
                    band = next(self._bands, None)
                if band is None:
                    return
                self._task(*band)
        finally:
            _here.busy = outer


def _executor(workers: int) -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None or _pool._max_workers < workers - 1:
            from concurrent.futures import ThreadPoolExecutor

            # The one before is left to finish what it holds; its idle threads end with it.
            _pool = ThreadPoolExecutor(max(workers, available_cpus()), "fastconv")
        return _pool


def _forget() -> None:
    global _pool, _lock
    _pool = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
