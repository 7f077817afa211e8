"""Make Python callables of a built library's entry points."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..kernels import KERNELS
from ..records import NamedTuple
from . import entry

try:
    from _ctypes import dlopen, dlsym
except ImportError:
    dlopen = dlsym = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import numpy as np

Loaded = Callable[..., Any]


class Whole(NamedTuple):
    """The entries that answer a whole call: as a function, and two addresses (`entry`)."""

    call: Loaded
    whole: int
    plain: int


class Bound(NamedTuple):
    """A kernel that can run: the loop, what answers a whole call if anything does, its C entry."""

    loop: Loaded
    whole: Whole | None = None
    address: int = 0


# Symbol -> its address, 0 if there is none.
Symbols = Callable[[str], int]


def bind_library(path: str, name: str, dtype: str, builtins: bool = True) -> Bound | None:
    """Load the shared library of one unit; None where the system refuses (a noexec folder).

    Without `builtins` it was made for interpreters whose objects lie otherwise.
    """
    try:
        # A CDLL makes a class first, for functions that nobody asks it for.
        library = dlopen(path, ctypes.DEFAULT_MODE) if dlopen is not None else ctypes.CDLL(path)
    except OSError:
        return None
    return _bind(partial(_symbol, library), name, dtype, builtins)


def bind_object(content: bytes, name: str, dtype: str) -> Bound | None:
    """Load the relocatable object of one unit by LLVM's linker."""
    import llvmlite.binding as llvm

    try:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(content))
        engine.finalize_object()
    except RuntimeError:
        return None
    _engines.append(engine)
    return _bind(engine.get_function_address, name, dtype)


_engines: list[Any] = []  # Whoever drops one drops its code.


def _bind(symbols: Symbols, name: str, dtype: str, builtins: bool = True) -> Bound | None:
    unit, kernel = f"{name}_{dtype}", KERNELS[name]
    if not symbols("fc_" + unit):
        return None
    if not builtins or not layout_is_known():
        return Bound(foreign(symbols("fc_" + unit), len(kernel.arrays), kernel.integers))
    loop = _builtin(symbols("py_" + unit), "py_" + unit)
    address = symbols("fc_" + unit)
    if not kernel.one_call:
        return Bound(loop, None, address)
    call = _builtin(symbols("call_" + unit), "call_" + unit)
    whole = Whole(call, symbols("whole_" + unit), symbols("plain_" + unit))
    return Bound(loop, whole, address)


@cache
def layout_is_known() -> bool:
    """Return whether arrays and objects lie in memory as `entry` has it."""
    if sys.implementation.name != "cpython" or entry.MORE not in (0, 16):
        return False
    import numpy as np

    content = bytes(30)
    probe = np.frombuffer(content, np.int16).reshape(3, 5)[:, ::2]
    fields = ctypes.string_at(id(probe), entry.FLAGS + 4)

    def number(offset: int, size: int = 8) -> int:
        return int.from_bytes(fields[offset : offset + size], "little")

    def pair(offset: int) -> bytes:
        return ctypes.string_at(number(offset), 16)

    return (
        number(entry.DATA) == _content(content)
        and number(entry.NDIM, 4) == 2
        and number(entry.DTYPE) == id(probe.dtype)
        and number(entry.OBJECT_TYPE) == id(np.ndarray)
        and traits(probe.dtype).to_bytes(8, "little")
        == b"ih=\0" + bytes([probe.dtype.num, 0, 0, 0])
        and number(entry.FLAGS, 4) & entry.CONTIGUOUS_ALIGNED == 0x0100
        and pair(entry.DIMENSIONS) == _words((3, 3))
        and pair(entry.STRIDES) == _words((10, 4))
    )


def traits(dtype: np.dtype[Any]) -> int:
    """Return what `entry.traits` finds in the arrays of a dtype."""
    said = ctypes.string_at(id(dtype) + entry.TRAITS, 8)
    return int.from_bytes(said, "little") & entry.TRAITS_MASK


_WORD = (1 << 64) - 1


def _words(numbers: Iterable[int]) -> bytes:
    return b"".join((number & _WORD).to_bytes(8, "little") for number in numbers)


_METH_FASTCALL, _METH_KEYWORDS = 0x80, 0x02


def plain(
    name: str,
    dtypes: Mapping[np.dtype[Any], Whole],
    fallback: Loaded,
    choices: Mapping[str, Mapping[Any, int]],
    w: np.ndarray[Any, Any] | None = None,
    what: int = 0,
) -> Loaded:
    """Make a function that answers plain calls and leaves all others to another.

    Parameters
    ----------
    name : str
        What it is called.
    dtypes : mapping of dtype to Whole
        What answers operands of a dtype.
    fallback : callable
        Takes what the function takes, and anything else.
    choices : mapping of str to mapping of object to int
        The arguments between the operands and `out` by name: what each may be (that very object, so
        no string but a literal one), and what it adds to `what`. The first is the usual one.
    w : ndarray, optional
        The second operand, where it is not an argument; `out` needs no name then.
    what : int
        As in the other entries of a whole call, without what was chosen.
    """
    names = [*map(sys.intern, choices), sys.intern("out")]
    if len(names) > entry.MOST_SLOTS:
        raise ValueError(f"choices must be fewer than {entry.MOST_SLOTS}, got {len(choices)}")
    known = {"fallback": id(fallback), "tuple_items": tuple.__basicsize__,
             "w": 0 if w is None else id(w), "what": what, "slots": len(names),
             "positional": len(names) - (w is None)}  # fmt: skip
    words = [known[word] for word in entry.PLAIN] + list(map(id, names))
    for options in choices.values():
        words += [next(iter(options.values())), len(options)]
        words += [word for option, adds in options.items() for word in (id(option), adds)]
    words.append(len(dtypes))
    words += [word for d, e in dtypes.items() for word in (traits(d), e.whole, d.num)]
    keeps = (w, names, fallback, choices)
    address = next(iter(dtypes.values())).plain
    return _builtin(address, name, _words(words), _METH_FASTCALL | _METH_KEYWORDS, keeps)


def tape(address: int, words: list[int]) -> Loaded:
    """Make a callable of the ``player`` and what it plays."""
    return _builtin(address, "tape", _words(words))


def _builtin(
    address: int, symbol: str, table: bytes = b"", flags: int = _METH_FASTCALL, keeps: Any = None
) -> Loaded:
    """Make a CPython builtin of an entry; `keeps` lives as long as it, as its ``__module__``."""
    owner = None if keeps is None else id(keeps)
    method = _method(address, symbol, flags)
    return _maker()(method, _functions() + table, owner)  # type: ignore[no-any-return]


@cache
def _method(address: int, symbol: str, flags: int) -> int:
    """Return where an entry's PyMethodDef is, for ever: builtins look there when they end, too."""
    name = symbol.encode()
    words = _words((_content(name), address, flags, 0))
    keep = _python("Py_IncRef", None)
    for part in (name, words):
        keep(ctypes.py_object(part))
    return _content(words)


def _content(text: bytes) -> int:
    """Return the address of a bytes object's content, after which CPython sets a zero."""
    return id(text) + bytes.__basicsize__ - 1


@cache
def _maker() -> Any:
    make = _python("PyCFunction_NewEx", ctypes.py_object)
    make.argtypes = ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
    return make


def _python(name: str, result: Any) -> Any:
    """Return a function of CPython's; a prototype's class would take a tenth of a first call."""
    function = ctypes.pythonapi[name]
    function.restype = result
    return function


@cache
def _functions() -> bytes:
    """Return the addresses of `entry.FUNCTIONS`."""
    import numpy as np

    known = {"PyArray_New": _numpy_function(_PYARRAY_NEW), "ndarray": id(np.ndarray),
             "None": id(None)}  # fmt: skip
    return _words(known.get(f) or _symbol(ctypes.pythonapi, f) for f in entry.FUNCTIONS)


# Its place in NumPy's C-API table, part of NumPy's stable binary interface.
_PYARRAY_NEW = 93


def _numpy_function(index: int) -> int:
    from numpy._core._multiarray_umath import _ARRAY_API

    pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p)(ctypes.py_object(_ARRAY_API), None)
    return ctypes.c_size_t.from_address(pointer + 8 * index).value


def _symbol(library: Any, name: str) -> int:
    """Return the address of a symbol of a library or its handle, 0 if there is none."""
    if dlsym is not None:
        handle = library if type(library) is int else library._handle
        try:
            return int(dlsym(handle, name))  # A function object takes ten times as long.
        except OSError:
            return 0
    function = getattr(library, name, None)
    return ctypes.c_size_t.from_buffer(function).value if function else 0


def call_as(base: type, kind: type) -> None:
    """Have a class's instances be called as fast as its base's, unless it has its own ``__call__``.

    Python 3.11 does not pass the flag for that on, later ones do.
    """
    inherits = kind.__call__ is base.__call__ and base.__flags__ & ~kind.__flags__ & _VECTORCALL
    if inherits and layout_is_known():
        flags = ctypes.c_uint64.from_address(id(kind) + _TYPE_FLAGS)
        if flags.value == kind.__flags__:
            flags.value |= _VECTORCALL


_TYPE_FLAGS, _VECTORCALL = 168 + entry.MORE, 1 << 11


def foreign(address: int, arrays: int, integers: int) -> Loaded:
    """Wrap a C entry point through ctypes: for interpreters with another object layout."""
    kinds = [ctypes.c_void_p, ctypes.c_int64] * arrays + [ctypes.c_int64] * integers
    function = ctypes.CFUNCTYPE(None, *kinds)(address)

    def call(*args: Any) -> None:
        flat: list[int] = []
        for array in args[:arrays]:
            flat += (array.ctypes.data, array.size)
        function(*flat, *args[arrays:])

    return call
