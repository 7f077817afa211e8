"""The worker pool: bands of serial kernels on threads of our own.

Numba's threading layers are not used (two Python threads in a parallel kernel abort the process),
nor concurrent.futures, whose import takes longer than most first calls. Threads are started when
they are first needed and then wait for work; a forked child starts its own; a call from one of
them runs in that thread, and calls from several Python threads at once share the CPUs.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

try:
    from _queue import SimpleQueue  # queue takes 0.6 ms, for heapq.
except ImportError:
    from queue import SimpleQueue

from .cpus import available_cpus
from .settings import workers_in_force

SECONDS_PER_WORKER = 150e-6
# Work that takes less is never shared.
FEW_SECONDS = 2 * SECONDS_PER_WORKER

_work: SimpleQueue[_Pull] = SimpleQueue()
_lock = threading.Lock()
_here = threading.local()
# Threads of ours that exist, and threads that compute within `run` now, the callers included.
_started, _active = 0, 0


def default_workers() -> int:
    """Return what was set (`settings`), or how many CPUs this process may use.

    A process of a pool has one: its siblings use the other CPUs.
    """
    return workers_in_force() or (1 if _in_process_pool() else available_cpus())


def _in_process_pool() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def worthwhile(seconds: float, most: int | None = None) -> int:
    """Return how many workers pay for work that takes one of them `seconds`.

    A hand-off costs 16 to 31 us, and below some 0.1 ms per worker it eats the gain.
    """
    pay = int(seconds / SECONDS_PER_WORKER)
    return 1 if pay < 2 else min(most or default_workers(), pay)


def run(task: Callable[..., Any], bands: list[tuple[int, int]], workers: int) -> None:
    """Call ``task(lo, hi)`` for every band, on at most `workers` threads, this one included.

    What a task raises is raised here, after every thread has left it.
    """
    wanted = min(workers, len(bands)) - 1
    helpers = 0 if wanted < 1 or getattr(_here, "busy", False) else _enlist(wanted, workers)
    if helpers < 1:
        for band in bands:
            task(*band)
        return
    pull = _Pull(task, bands)
    try:
        for _ in range(helpers):
            _work.put(pull)
        pull.work()
    finally:
        pull.close()
        _dismiss(helpers)
    if pull.error is not None:
        raise pull.error


def run_all(task: Callable[..., Any], count: int, workers: int) -> None:
    """Call ``task(lo, hi)`` for all of `count` jobs: each by some thread, or all by this."""
    if workers > 1:
        run(task, [(job, job + 1) for job in range(count)], workers)
    else:
        task(0, count)


def _enlist(wanted: int, workers: int) -> int:
    """Return how many helpers the CPUs leave, and have them started."""
    global _started, _active
    with _lock:
        helpers = min(wanted, max(available_cpus(), workers) - _active - 1)
        if helpers < 1:
            return 0
        _active += 1 + helpers
        missing = range(_started, helpers)
        _started = max(_started, helpers)
    for i in missing:
        # Daemons: at exit an idle thread is no reason to wait; whoever gave work waits for it.
        helper = threading.Thread(target=_help, name=f"fastconv-{i}", args=(_work,), daemon=True)
        with suppress(RuntimeError):  # No more threads to be had: this one does all the work.
            helper.start()
    return helpers


def _dismiss(helpers: int) -> None:
    global _active
    with _lock:
        _active -= 1 + helpers


def _help(work: SimpleQueue[_Pull]) -> None:
    while True:
        pull = work.get()
        pull.join()
        del pull  # The operands must not live on while this thread waits.


class _Pull:
    """Bands handed out one by one to whoever asks."""

    def __init__(self, task: Callable[..., Any], bands: Iterable[tuple[int, int]]) -> None:
        self.error: BaseException | None = None
        self._closed = False
        self._task: Callable[..., Any] | None = task
        self._bands = iter(bands)
        self._inside = 0
        self._change = threading.Condition()

    def work(self) -> None:
        """Compute bands until none is left."""
        outer = getattr(_here, "busy", False)
        _here.busy = True
        try:
            while (found := self._next()) is not None:
                task, band = found
                task(*band)
        finally:
            _here.busy = outer

    def _next(self) -> tuple[Callable[..., Any], tuple[int, int]] | None:
        with self._change:
            band = None if self._closed else next(self._bands, None)
            return None if band is None or self._task is None else (self._task, band)

    def join(self) -> None:
        """Work as a helper, unless the caller has finished without us."""
        with self._change:
            if self._closed:
                return
            self._inside += 1
        try:
            self.work()
        except BaseException as error:
            self.error = error
            self._closed = True
        finally:
            with self._change:
                self._inside -= 1
                self._change.notify_all()

    def close(self) -> None:
        """Hand out no more, and wait until no helper computes: nobody may go on writing."""
        interrupt = None
        while True:
            try:
                with self._change:
                    self._closed, self._task = True, None
                    while self._inside:
                        self._change.wait()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


def _forget() -> None:
    global _work, _lock, _here, _started, _active
    _work, _lock, _here = SimpleQueue(), threading.Lock(), threading.local()
    _started = _active = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
