"""Locks and imports that a forked child finds whole: a thread that held one has no life in it."""

from __future__ import annotations

import _imp
import os
import threading
import time
from importlib import _bootstrap
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 5.0  # Seconds that a fork waits for the imports of other threads.

_locks: WeakSet[threading.Lock] = WeakSet()
_imports: Mapping[object, Any] | None = getattr(_bootstrap, "_module_locks", None)


def new_lock() -> threading.Lock:
    """Return a lock for what is kept between calls; its data is whole after every statement."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def _open_all() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]


def _others_import() -> bool:
    """Whether another thread imports something, or is just about to.

    Python keeps a lock per module for as long as anybody needs it, and hands out new ones under
    the global import lock, which the caller holds.
    """
    me = threading.get_ident()
    held = [reference() for reference in list((_imports or {}).values())]
    return any(lock is not None and lock.owner != me for lock in held)


def _finish_imports() -> None:
    """Wait until no other thread imports, and let none begin before the fork.

    Much here is imported by the first call that needs it. A child forked in the middle of such an
    import by another thread would wait for that module for ever: Python opens the global import
    lock in a child, but not the modules' own.
    """
    end = time.monotonic() + PATIENCE
    _imp.acquire_lock()
    while _others_import() and time.monotonic() < end:
        _imp.release_lock()
        time.sleep(0.001)
        _imp.acquire_lock()


if hasattr(os, "register_at_fork"):
    if hasattr(threading.Lock(), "_at_fork_reinit"):
        os.register_at_fork(after_in_child=_open_all)
    if _imports is not None:
        os.register_at_fork(
            before=_finish_imports,
            after_in_parent=_imp.release_lock,
            after_in_child=_imp.release_lock,
        )
