"""The entry points of a compiled kernel, as LLVM IR: for C, for CPython, and for one whole call.

``fc_<unit>``
    C ABI: (pointer, count) for each array, then the integers, all 64-bit; returns nothing.
``py_<unit>``
    A METH_FASTCALL body: arrays as NumPy arrays, then Python ints. It reads the data pointers
    from the arrays and releases the GIL.
``call_<unit>``
    A METH_FASTCALL body that answers a whole plain call, where the kernel's module has one:
    ``call_<kernel>`` there returns its IR.

The last two find the interpreter's functions in their ``self``, a bytes object that holds the
addresses of `FUNCTIONS`, so that a library has no undefined symbols.
"""

from __future__ import annotations

# Where CPython (with a GIL) and NumPy keep what is read here: NumPy's public, stable array struct.
# `load` checks them against a real array before it uses an entry.
OBJECT_HEADER, OBJECT_TYPE, BYTES_DATA = 16, 8, 32
DATA, NDIM, DIMENSIONS, STRIDES, DTYPE, FLAGS = 16, 24, 32, 40, 56, 64
CONTIGUOUS_ALIGNED = 0x0001 | 0x0100
WRITEABLE = CONTIGUOUS_ALIGNED | 0x0400

# The order of addresses in ``self``; None and ndarray are objects, the rest C functions.
FUNCTIONS = ("PyNumber_AsSsize_t", "PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef",
             "PyArray_New", "ndarray", "None")  # fmt: skip


def entries(unit: str, symbol: str, sizes: list[int], integers: int) -> str:
    """Return the IR of a kernel's entry points.

    Parameters
    ----------
    unit : str
        Such as ``rows_float64``.
    symbol : str
        The function that Numba compiled.
    sizes : list of int
        Bytes per element of each array argument.
    integers : int
        How many integers follow.
    """
    return _c_entry(unit, symbol, sizes, integers) + _python_entry(unit, len(sizes), integers)


def _c_entry(unit: str, symbol: str, sizes: list[int], integers: int) -> str:
    params, inner = [], []
    for j, size in enumerate(sizes):
        params += [f"ptr noalias %p{j}", f"i64 %n{j}"]
        # Numba's array struct: owner, parent, items, itemsize, data, shape, strides.
        inner += ["ptr null", "ptr null", f"i64 %n{j}", f"i64 {size}", f"ptr %p{j}"]
        inner += [f"i64 %n{j}", f"i64 {size}"]
    numbers = [f"i64 %i{j}" for j in range(integers)]
    return f"""
define void @fc_{unit}({", ".join(params + numbers)}) {{
  %ret = alloca ptr
  %exc = alloca ptr
  %status = call i32 @{symbol}(ptr %ret, ptr %exc, {", ".join(inner + numbers)})
  ret void
}}
"""


def function(name: str) -> str:
    """Return the IR that loads one address of `FUNCTIONS` from ``self``."""
    offset = BYTES_DATA + 8 * FUNCTIONS.index(name)
    return f"""
  %{name}.at = getelementptr i8, ptr %self, i64 {offset}
  %{name} = load ptr, ptr %{name}.at"""


def field(result: str, array: str, offset: int, kind: str) -> str:
    """Return the IR that loads a field of an array's struct."""
    return f"""
  %{result}.at = getelementptr i8, ptr %{array}, i64 {offset}
  %{result} = load {kind}, ptr %{result}.at"""


def argument(result: str, index: int) -> str:
    return f"""
  %{result}.slot = getelementptr ptr, ptr %args, i64 {index}
  %{result} = load ptr, ptr %{result}.slot"""


def _python_entry(unit: str, arrays: int, integers: int) -> str:
    lines, call = "", []
    for j in range(arrays):
        lines += argument(f"a{j}", j) + field(f"p{j}", f"a{j}", DATA, "ptr")
        lines += field(f"d{j}", f"a{j}", DIMENSIONS, "ptr") + f"\n  %n{j} = load i64, ptr %d{j}"
        call += [f"ptr %p{j}", f"i64 %n{j}"]
    for j in range(integers):
        lines += argument(f"o{j}", arrays + j)
        lines += f"\n  %i{j} = call i64 %PyNumber_AsSsize_t(ptr %o{j}, ptr null)"
        call.append(f"i64 %i{j}")
    functions = "".join(map(function, FUNCTIONS[:4]))
    return f"""
define ptr @py_{unit}(ptr %self, ptr %args, i64 %count) {{{functions}{lines}
  %state = call ptr %PyEval_SaveThread()
  call void @fc_{unit}({", ".join(call)})
  call void %PyEval_RestoreThread(ptr %state)
  call void %Py_IncRef(ptr %self)
  ret ptr %self
}}
"""
