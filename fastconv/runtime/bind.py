"""Make Python callables of a built library's entry points."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from ..kernels import KERNELS
from . import entry

Loaded = Callable[..., Any]


class Bound(NamedTuple):
    """A kernel that can run: the loop itself, and the entry that answers a whole call, if any."""

    loop: Loaded
    whole_call: Loaded | None


def bind(path: str, name: str, dtype: str) -> Bound | None:
    """Load the library of one unit; None where the system refuses (a folder mounted noexec)."""
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return None
    unit = f"{name}_{dtype}"
    if not hasattr(library, "fc_" + unit):
        return None
    kernel = KERNELS[name]
    if not layout_is_known():
        return Bound(foreign(library, unit, len(kernel.arrays), kernel.integers), None)
    whole_call = _builtin(library, "call_" + unit) if kernel.one_call else None
    return Bound(_builtin(library, "py_" + unit), whole_call)


@cache
def layout_is_known() -> bool:
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


def foreign(library: ctypes.CDLL, symbol: str, arrays: int, integers: int) -> Loaded:
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
