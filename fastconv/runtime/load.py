"""Find a kernel that is ready to run, or have it built.

Tiers, best first: the library inside an installed package; the user's checked cache, as a library
or, without a linker or in a folder mounted noexec, as an object that LLVM links in memory; a build
of one of these in another process; and a build in this one, for callers that wait and have no place
to keep it. Until a build has finished the caller answers by NumPy or SciPy; a caller that
cannot (``method="direct"``), or whose waiting has cost more than the build, waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import cache as files
from .bind import Bound, Loaded, Whole, bind_library, bind_object
from .settings import policy_in_force
from .spawn import Build
from .target import host_target

# A build of one kernel takes 1 to 5 s, most of it imports: benchmark FirstCall.
BUILD_SECONDS = 3.0
# A build starts once it would have saved this much: a script that makes a few small calls should
# not keep another CPU busy for seconds.
START_SECONDS = 1e-3

_Unit = tuple[str, str]

_loaded: dict[_Unit, Loaded] = {}
_wholes: dict[_Unit, Whole] = {}
_addresses: dict[_Unit, int] = {}
_tiers: dict[_Unit, str] = {}
# Why a unit could not be built, and those that this process could not compile either.
_failed: dict[_Unit, str] = {}
_hopeless: set[_Unit] = set()
_missed: dict[_Unit, float] = {}
_builds: dict[_Unit, Build] = {}
# Units whose libraries the system does not load.
_objects: set[_Unit] = set()
_lock = threading.Lock()
# Thread -> who hears of the kernels that it asks for.
_listeners: dict[int, Callable[[str, str, Loaded], Loaded]] = {}


def ready(name: str, dtype: str, saving_seconds: float = START_SECONDS) -> Loaded | None:
    """Return the kernel if it can run now; otherwise start its build and return None.

    Parameters
    ----------
    name, dtype : str
        A row of the export table and one of its dtypes.
    saving_seconds : float
        What this call would have saved by having it. When the sum over calls passes the cost of
        a build, this function waits for it: total waiting stays within twice the best choice in
        hindsight (the ski-rental rule). Before it passes `START_SECONDS`, no build is started.
    """
    found = _loaded.get((name, dtype)) or _acquire((name, dtype), saving_seconds)
    return _heard(name, dtype, found) if _listeners and found is not None else found


def all_ready(units: tuple[_Unit, ...], saving_seconds: float = START_SECONDS) -> bool:
    """Return whether all these kernels can run now; the builds of those that cannot go on.

    What having them all would save is shared out, so that it has to outweigh all their builds.
    """
    missing = [unit for unit in units if unit not in _loaded]
    found = [_acquire(unit, saving_seconds / len(missing)) for unit in missing]
    return None not in found


def kernel(name: str, dtype: str) -> Loaded:
    """Return the kernel, waiting for its build if need be.

    Raises
    ------
    RuntimeError
        If it cannot be built here (no linker, no place for it, policy "never").
    """
    found = _loaded.get((name, dtype)) or _acquire((name, dtype), float("inf"))
    if found is None:
        why = _failed.get((name, dtype), "policy 'never' forbids the build")
        raise RuntimeError(f"kernel {name} for {dtype} must be built first, got: {why}")
    return _heard(name, dtype, found) if _listeners else found


def _heard(name: str, dtype: str, found: Loaded) -> Loaded:
    listener = _listeners.get(threading.get_ident())
    return found if listener is None else listener(name, dtype, found)


@contextmanager
def listening(listener: Callable[[str, str, Loaded], Loaded]) -> Iterator[None]:
    """Have ``listener(name, dtype, kernel)`` replace every kernel that this thread asks for.

    No name stands for what is done without one; see `aside`.
    """
    here = threading.get_ident()
    _listeners[here] = listener
    try:
        yield
    finally:
        del _listeners[here]


def aside() -> None:
    """Tell who listens to this thread that numbers change without a kernel."""
    listener = _listeners.get(threading.get_ident())
    if listener is not None:
        listener("", "", _nothing)


def _nothing(*arguments: object) -> None:
    return None


def whole(name: str, dtype: str) -> Whole | None:
    """Return the entries of a loaded kernel that answer whole calls, where it has them."""
    return _wholes.get((name, dtype))


def address(name: str, dtype: str) -> int:
    """Return where a loaded kernel's C entry is, 0 where it has none."""
    return _addresses.get((name, dtype), 0)


def buildable(name: str, dtype: str) -> bool:
    """Return whether the kernel is loaded or no attempt to have it has failed so far."""
    return (name, dtype) not in _failed


def tier(name: str, dtype: str) -> str:
    """Return in words where the kernel comes from, or why there is none."""
    unit = (name, dtype)
    if unit in _tiers:
        return _tiers[unit]
    if unit in _failed:
        return f"not built: {_failed[unit]}"
    return "being built" if unit in _builds else "not built"


def _acquire(unit: _Unit, saving_seconds: float) -> Loaded | None:
    policy = policy_in_force()
    with _lock:
        if unit in _loaded or (unit not in _missed and _find(unit)):
            return _loaded[unit]
        missed = _missed.setdefault(unit, 0.0)
        if policy == "never" or unit in _hopeless:
            return None
        missed = _missed[unit] = missed + saving_seconds
        if policy == "adaptive" and missed < START_SECONDS:
            return None
        wait = policy == "compile" or missed > BUILD_SECONDS
        build = _builds.get(unit) or _start(unit, wait)
        if build is None:
            return _compile_here(unit) if wait else None
    # Outside the lock: other threads may need other kernels meanwhile.
    if not build.finished(wait):
        return None
    with _lock:
        if _builds.get(unit) is build:
            del _builds[unit]
            found = _load(unit, build.made) if build.made else _find(unit)
            if not found and not (unit in _objects and not build.as_object):
                _failed[unit] = build.complaint()
        if unit in _loaded or not wait:
            return _loaded.get(unit)
    return _acquire(unit, saving_seconds)  # As an object now, or in this process.


def _start(unit: _Unit, wait: bool) -> Build | None:
    if unit in _failed or not (wait or _room_for_a_build()):
        return None
    try:
        build = _builds[unit] = Build([unit], urgent=wait, as_object=unit in _objects)
    except OSError as error:
        _failed[unit] = str(error)
        return None
    return build


def _room_for_a_build() -> bool:
    """Return whether another build leaves a CPU to the program; a single one may always go on.

    Two of them on two CPUs make a call of 10 us wait for 8 ms now and then, nice as they are.
    """
    under_way = sum(not build.finished(False) for build in _builds.values())
    if not under_way:
        return True
    from .cpus import available_cpus

    return under_way < available_cpus() - 1


def _compile_here(unit: _Unit) -> Loaded | None:
    from .build import build_object

    try:
        found = bind_object(build_object(*unit, host_target()), *unit)
        if found is None:
            raise OSError("LLVM cannot link here")
        _keep(unit, found, "compiled in this process")
    except Exception as error:  # Whatever a compiler may raise, NumPy still answers.
        _failed[unit] += f"; {type(error).__name__}: {error}"
        _hopeless.add(unit)
        return None
    return _loaded[unit]


def _find(unit: _Unit) -> bool:
    """Load the unit from where it lies ready, and return whether it did."""
    target = host_target().name
    if files.has_ready(target) and os.path.exists(files.ready_path(target, *unit)):
        found = bind_library(files.ready_path(target, *unit), *unit)
        if found is not None:
            return _keep(unit, found, "ready in the package")
    if files.has_cached(target, *unit):
        path = files.library_path(target, *unit) or ""
        if _load(unit, path) or _load(unit, files.object_path(path)):
            return True
    if files.layout() and not _has_compiler() and os.path.exists(files.locked_path(target, *unit)):
        found = bind_library(files.locked_path(target, *unit), *unit, builtins=False)
        if found is not None:
            return _keep(unit, found, "ready in the package, called through ctypes")
    return False


def _load(unit: _Unit, path: str) -> bool:
    """Load the unit from a library or an object in the cache, and return whether it did."""
    if not files.intact(path):
        return False
    if path.endswith(".o"):
        with open(path, "rb") as file:
            found = bind_object(file.read(), *unit)
        return found is not None and _keep(unit, found, "built on this machine, linked in memory")
    found = bind_library(path, *unit)
    if found is None:
        _objects.add(unit)
        return False
    return _keep(unit, found, "built on this machine")


def _has_compiler() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is not None


def _keep(unit: _Unit, found: Bound, tier: str) -> bool:
    _tiers[unit] = tier
    if found.whole is not None:
        _wholes[unit] = found.whole
    _addresses[unit] = found.address
    _loaded[unit] = found.loop
    return True


def _forget_builds() -> None:
    """Leave the builds to the process that started them."""
    global _lock
    _lock = threading.Lock()
    _builds.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_builds)
