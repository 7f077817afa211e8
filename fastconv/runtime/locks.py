"""Locks that a forked child finds open: a thread that held one has no life in the child."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

_locks: WeakSet[threading.Lock] = WeakSet()


def new_lock() -> threading.Lock:
    """Return a lock for what is kept between calls; its data is whole after every statement."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _open_all() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork") and hasattr(threading.Lock(), "_at_fork_reinit"):
    os.register_at_fork(after_in_child=_open_all)
