"""Find a kernel that is ready to run, or have it built.

Tiers, best first: the library inside an installed package, the user's checked cache, and a build.
A build runs in another process. Until it has finished the caller answers by NumPy or SciPy; a
caller that cannot (``method="direct"``), or whose waiting has cost more than the build, waits.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from ..kernels import KERNELS
from . import cache as files
from . import entry
from .target import host_target

Loaded = Callable[..., Any]

POLICIES = ("adaptive", "compile", "never")
# A build of one kernel takes 1 to 5 s, most of it imports: benchmark FirstCall.
BUILD_SECONDS = 3.0
BUILD_LIMIT_SECONDS = 300
_POLL_SECONDS = 0.02

_loaded: dict[tuple[str, str], Loaded] = {}
_calls: dict[tuple[str, str], Loaded] = {}
_failed: dict[tuple[str, str], str] = {}
_builds: dict[tuple[str, str], _Build] = {}
_lock = threading.RLock()


def policy() -> str:
    """Return what to do about a missing kernel: the variable ``FASTCONV_POLICY``."""
    value = os.environ.get("FASTCONV_POLICY", "adaptive")
    if value not in POLICIES:
        raise ValueError(f"FASTCONV_POLICY must be one of {list(POLICIES)}, got {value!r}")
    return value


def ready(name: str, dtype: str, saving_seconds: float = 0.0) -> Loaded | None:
    """Return the kernel if it can run now; otherwise start its build and return None.

    Parameters
    ----------
    name, dtype : str
        A row of the export table and one of its dtypes.
    saving_seconds : float
        What this call would have saved by having it. When the sum over calls passes the cost of
        a build, this function waits for it: total waiting stays within twice the best choice in
        hindsight (the ski-rental rule).
    """
    found = _loaded.get((name, dtype))
    if found is not None:
        return found
    return _acquire(name, dtype, saving_seconds)


def kernel(name: str, dtype: str) -> Loaded:
    """Return the kernel, waiting for its build if need be.

    Raises
    ------
    RuntimeError
        If it cannot be built here (no linker, no place for it, policy "never").
    """
    found = ready(name, dtype, float("inf"))
    if found is None:
        why = _failed.get((name, dtype), "policy 'never' forbids the build")
        raise RuntimeError(f"kernel {name} for {dtype} must be built first, got: {why}")
    return found


def buildable(name: str, dtype: str) -> bool:
    """Return whether the kernel is loaded or no attempt to have it has failed so far."""
    return (name, dtype) not in _failed


def _acquire(name: str, dtype: str, saving_seconds: float) -> Loaded | None:
    unit = (name, dtype)
    if unit in _failed:
        return None
    with _lock:
        if unit in _loaded:
            return _loaded[unit]
        build = _builds.get(unit)
        if build is None:
            found = _find(name, dtype)
            if found is not None:
                _loaded[unit] = found
                return found
            if policy() == "never":
                return None
            try:
                build = _builds[unit] = _Build(name, dtype)
            except OSError as error:
                _failed[unit] = str(error)
                return None
        build.missed_seconds += saving_seconds
        wait = policy() == "compile" or build.missed_seconds > BUILD_SECONDS
        if not build.finished(wait):
            return None
        del _builds[unit]
        found = _find(name, dtype)
        if found is None:
            _failed[unit] = build.complaint()
        else:
            _loaded[unit] = found
        return found


def _find(name: str, dtype: str) -> Loaded | None:
    target = host_target().name
    ready_library = files.ready_path(target, name, dtype)
    if os.path.exists(ready_library):
        return _bind(ready_library, name, dtype)
    path = files.library_path(target, name, dtype)
    if path is None or not files.intact(path):
        return None
    return _bind(path, name, dtype)


def _bind(path: str, name: str, dtype: str) -> Loaded | None:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return None  # A folder mounted noexec, say.
    unit = f"{name}_{dtype}"
    if not hasattr(library, "fc_" + unit):
        return None
    if not _layout_is_known():
        return _foreign(library, unit, len(KERNELS[name].arrays), KERNELS[name].integers)
    if KERNELS[name].one_call:
        _calls[name, dtype] = _builtin(library, "call_" + unit)
    return _builtin(library, "py_" + unit)


def whole_call(name: str, dtype: str) -> Loaded | None:
    """Return the ``call_`` entry (see `entry`) of a loaded kernel, where it has one."""
    return _calls.get((name, dtype))


@cache
def _layout_is_known() -> bool:
    """Return whether arrays and objects lie in memory as `entry` has it."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != entry.OBJECT_HEADER:
        return False
    import numpy as np

    probe = np.zeros((3, 5), np.int16)[:, ::2]
    at = id(probe)
    sizes = ctypes.POINTER(ctypes.c_int64)

    def read(offset: int, kind: Any) -> Any:
        return kind.from_address(at + offset)

    return bool(
        read(entry.DATA, ctypes.c_size_t).value == probe.ctypes.data
        and read(entry.NDIM, ctypes.c_int).value == 2
        and read(entry.DIMENSIONS, sizes)[:2] == [3, 3]
        and read(entry.STRIDES, sizes)[:2] == [10, 4]
        and read(entry.FLAGS, ctypes.c_int).value & entry.CONTIGUOUS_ALIGNED == 0x0100
    )


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_METH_FASTCALL = 0x80
_method_defs: list[_MethodDef] = []  # CPython keeps a pointer to each: they live forever.


def _builtin(library: ctypes.CDLL, symbol: str) -> Loaded:
    """Make a CPython builtin of one of the library's METH_FASTCALL entries."""
    method = _MethodDef(symbol.encode(), _address(getattr(library, symbol)), _METH_FASTCALL, None)
    _method_defs.append(method)
    make = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.POINTER(_MethodDef), ctypes.py_object, ctypes.c_void_p
    )(("PyCFunction_NewEx", ctypes.pythonapi))
    return make(ctypes.byref(method), _functions(), None)  # type: ignore[no-any-return]


@cache
def _functions() -> bytes:
    """Return the addresses of `entry.FUNCTIONS`."""
    import numpy as np

    known = {"PyArray_New": _numpy_function(_PYARRAY_NEW), "ndarray": id(np.ndarray),
             "None": id(None)}  # fmt: skip
    addresses = (known.get(f) or _address(getattr(ctypes.pythonapi, f)) for f in entry.FUNCTIONS)
    return b"".join(address.to_bytes(8, "little") for address in addresses)


# Its place in NumPy's C-API table, part of NumPy's stable binary interface.
_PYARRAY_NEW = 93


def _numpy_function(index: int) -> int:
    from numpy._core._multiarray_umath import _ARRAY_API

    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )(_ARRAY_API, None)
    return int(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_size_t))[index])


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _foreign(library: ctypes.CDLL, symbol: str, arrays: int, integers: int) -> Loaded:
    """Wrap the C entry point through ctypes: for interpreters with another object layout."""
    function = getattr(library, "fc_" + symbol)
    function.restype = None
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64] * arrays + [ctypes.c_int64] * integers

    def call(*args: Any) -> None:
        flat: list[int] = []
        for array in args[:arrays]:
            flat += (array.ctypes.data, array.size)
        function(*flat, *args[arrays:])

    return call


class _Build:
    """One build in a process of its own."""

    def __init__(self, name: str, dtype: str) -> None:
        import subprocess

        self.missed_seconds = 0.0
        folder = files.cache_folder()
        if folder is None:
            raise OSError("no folder for built kernels can be written")
        self._log = os.path.join(folder, f"build-{name}_{dtype}.log")
        self._next_look = 0.0
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"NUMBA_OPT": "0", "PYTHONHASHSEED": "0"}
        program = (
            f"import sys; sys.path.insert(0, {files.PACKAGE_PARENT!r}); "
            "from fastconv.runtime.build import main; sys.exit(main())"
        )
        command = [
            sys.executable,
            "-P",
            "-c",
            program,
            "--cache",
            "--target",
            host_target().name,
            f"{name}_{dtype}",
        ]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self._let_go)

    def finished(self, wait: bool) -> bool:
        if wait:
            from subprocess import TimeoutExpired

            try:
                self._process.wait(BUILD_LIMIT_SECONDS)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait()
            return True
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _POLL_SECONDS
        return self._process.poll() is not None

    def complaint(self) -> str:
        try:
            with open(self._log, errors="replace") as log:
                lines = log.read().strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else f"the build ended with status {self._process.returncode}"

    def _let_go(self) -> None:
        # The build outlives a short script, so that the next one finds the kernel ready.
        if self._process.poll() is None:
            self._process.returncode = 0
