"""The entry points of a compiled kernel, as LLVM IR: for C, for CPython, and for one whole call.

``fc_<unit>``
    C ABI: (pointer, count) for each array, then the integers, all 64-bit; returns nothing.
``py_<unit>``
    A METH_FASTCALL body: arrays as NumPy arrays, then Python ints. It reads the data pointers
    from the arrays and releases the GIL.
``whole_<unit>``
    C ABI: (functions, x, w, out or None, what, type number, longest filter) -> a new reference to
    the result of a whole plain call, or to None where it declines. The kernel's module has it,
    where it has one: ``whole_<kernel>`` there returns its IR.
``call_<unit>``
    The same as a METH_FASTCALL body: (x, w, what, type number, out, longest
    filter or nothing for 1).
``front_<unit>``
    A METH_FASTCALL body: (x, w, modes and the like, out). It asks the ``whole_<unit>`` of the
    operands' dtype, where it knows that and all else that it was told: see `front.Front`.

``bound_<unit>``
    A METH_FASTCALL body with keywords: (x[, out]). The same for one filter, and where it declines
    it returns what another callable does with these arguments: see `bind.bound`.

The last three and ``py_<unit>`` find the interpreter's functions in their ``self``, a bytes object
that begins with the addresses of `FUNCTIONS`, so that a library has no undefined symbols.
"""

from __future__ import annotations

# Where CPython and NumPy keep what is read here: NumPy's public, stable array struct. `load` checks
# them against a real array before it uses an entry. Objects of a free-threaded interpreter begin
# with 16 bytes more, and libraries for it are kept apart (`cache.layout`).
MORE = object.__basicsize__ - 16
OBJECT_TYPE, BYTES_DATA, _TUPLE_SIZE = 8 + MORE, 32 + MORE, 16 + MORE
DATA, NDIM, DIMENSIONS, STRIDES, DTYPE, FLAGS = (at + MORE for at in (16, 24, 32, 40, 56, 64))
# A dtype's kind, character, byte order and type number; the byte between the last two says nothing.
TRAITS, TRAITS_MASK = 24 + MORE, 0xFFFFFFFF_00FFFFFF
CONTIGUOUS_ALIGNED = 0x0001 | 0x0100
WRITEABLE = CONTIGUOUS_ALIGNED | 0x0400

# The order of addresses in ``self``; None and ndarray are objects, the rest C functions.
FUNCTIONS = ("PyNumber_AsSsize_t", "PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef",
             "PyArray_New", "ndarray", "None", "Py_DecRef", "PyObject_Vectorcall",
             "PyMem_RawMalloc", "PyMem_RawFree")  # fmt: skip


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


def whole_entries(unit: str) -> str:
    """Return the IR of ``call_<unit>``, ``front_<unit>`` and ``bound_<unit>``."""
    return _call_entry(unit) + _front_entry(unit) + _bound_entry(unit)


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


def traits(array: str) -> str:
    """Return the IR that loads an array's dtype as the number %<array>.traits.

    Two dtypes are one where these are. Their addresses may differ: an array that was pickled, as
    those that come from another process, has a dtype of its own.
    """
    return (
        field(f"{array}.dtype", array, DTYPE, "ptr")
        + field(f"{array}.said", f"{array}.dtype", TRAITS, "i64")
        + f"\n  %{array}.traits = and i64 %{array}.said, {TRAITS_MASK}"
    )


def argument(result: str, index: int | str) -> str:
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


def _call_entry(unit: str) -> str:
    arguments = "".join(argument(name, j) for j, name in enumerate(("x", "w", "o2", "o3", "given")))
    number = "call i64 %PyNumber_AsSsize_t"
    return f"""
define ptr @call_{unit}(ptr %self, ptr %args, i64 %count) {{
entry:{function("PyNumber_AsSsize_t")}{arguments}
  %what = {number}(ptr %o2, ptr null)
  %type = {number}(ptr %o3, ptr null)
  %limited = icmp sgt i64 %count, 5
  br i1 %limited, label %limit, label %answer
limit:{argument("o5", 5)}
  %said = {number}(ptr %o5, ptr null)
  br label %answer
answer:
  %longest = phi i64 [ %said, %limit ], [ 1, %entry ]
  %result = call ptr @whole_{unit}(ptr %self, ptr %x, ptr %w, ptr %given, i64 %what, i64 %type, \
i64 %longest)
  ret ptr %result
}}
"""


_TABLE = f"\n  %table = getelementptr i8, ptr %self, i64 {BYTES_DATA + 8 * len(FUNCTIONS)}"


def _word(result: str, at: str, index: int = 0, kind: str = "i64") -> str:
    """Return the IR that loads a 64-bit word of a table."""
    return (
        f"\n  %{result}.word = getelementptr i64, ptr %{at}, i64 {index}"
        f"\n  %{result} = load {kind}, ptr %{result}.word"
    )


# What ``front_<unit>`` reads behind the addresses of `FUNCTIONS` in its ``self``, 64-bit words all:
# how many arguments there are between the operands and `out`; for each of them how many objects it
# may be, and for each of those the object and what it adds to `what`; how many dtypes there are,
# and for each its traits, its ``whole_<unit>`` and its type number.
def _front_entry(unit: str) -> str:
    word = _word
    needed = "".join(map(function, ("Py_IncRef", "ndarray", "None")))
    return f"""
define ptr @front_{unit}(ptr %self, ptr %args, i64 %count) {{
entry:{needed}{_TABLE}{word("choices", "table")}
  %choice.first = getelementptr i64, ptr %table, i64 1
  %last = add i64 %choices, 2
  %needed = add i64 %choices, 3
  %all = icmp eq i64 %count, %needed
  br i1 %all, label %choice.loop, label %decline
choice.loop:
  %j = phi i64 [ 2, %entry ], [ %j.next, %chosen ]
  %q = phi ptr [ %choice.first, %entry ], [ %option.end, %chosen ]
  %what = phi i64 [ 0, %entry ], [ %what.next, %chosen ]
  %choice.more = icmp slt i64 %j, %last
  br i1 %choice.more, label %choice.body, label %operands
choice.body:{word("options", "q")}
  %option.first = getelementptr i64, ptr %q, i64 1
  %option.words = mul i64 %options, 2
  %option.end = getelementptr i64, ptr %option.first, i64 %option.words{argument("said", "%j")}
  br label %option.loop
option.loop:
  %r = phi ptr [ %option.first, %choice.body ], [ %r.next, %option.next ]
  %option.more = icmp ult ptr %r, %option.end
  br i1 %option.more, label %option.body, label %decline
option.body:{word("option", "r", 0, "ptr")}
  %is.said = icmp eq ptr %option, %said
  br i1 %is.said, label %chosen, label %option.next
option.next:
  %r.next = getelementptr i64, ptr %r, i64 2
  br label %option.loop
chosen:{word("adds", "r", 1)}
  %what.next = add i64 %what, %adds
  %j.next = add i64 %j, 1
  br label %choice.loop
operands:{word("dtypes", "q")}
  %dtype.first = getelementptr i64, ptr %q, i64 1
  %dtype.words = mul i64 %dtypes, 3
  %dtype.end = getelementptr i64, ptr %dtype.first, i64 %dtype.words{argument("given", "%last")}\
{argument("x", 0)}{argument("w", 1)}{field("x.type", "x", OBJECT_TYPE, "ptr")}
  %x.array = icmp eq ptr %x.type, %ndarray
  br i1 %x.array, label %look, label %decline
look:{traits("x")}
  br label %dtype.loop
dtype.loop:
  %s = phi ptr [ %dtype.first, %look ], [ %s.next, %dtype.next ]
  %dtype.more = icmp ult ptr %s, %dtype.end
  br i1 %dtype.more, label %dtype.body, label %decline
dtype.body:{word("known", "s")}
  %is.known = icmp eq i64 %known, %x.traits
  br i1 %is.known, label %answer, label %dtype.next
dtype.next:
  %s.next = getelementptr i64, ptr %s, i64 3
  br label %dtype.loop
answer:{word("whole", "s", 1, "ptr")}{word("type", "s", 2)}
  %result = call ptr %whole(ptr %self, ptr %x, ptr %w, ptr %given, i64 %what, i64 %type, i64 1)
  ret ptr %result
decline:
  call void %Py_IncRef(ptr %None)
  ret ptr %None
}}
"""


# What ``bound_<unit>`` reads there: the filter, the name and the callable of `BOUND`, and the
# numbers. CPython hands over keywords' names as a tuple.
BOUND = ("w", "traits", "out", "fallback", "whole", "type", "what", "tuple_items")


def _bound_entry(unit: str) -> str:
    def word(name: str) -> str:
        numbers = ("traits", "type", "what", "tuple_items")
        return _word(name, "table", BOUND.index(name), "i64" if name in numbers else "ptr")

    names = ("ndarray", "None", "Py_DecRef", "PyObject_Vectorcall")
    return f"""
define ptr @bound_{unit}(ptr %self, ptr %args, i64 %count, ptr %names) {{
entry:{"".join(map(function, names))}{_TABLE}{word("fallback")}
  %plain = icmp eq ptr %names, null
  br i1 %plain, label %positional, label %keywords
keywords:{field("names.count", "names", _TUPLE_SIZE, "i64")}
  %one.name = icmp eq i64 %names.count, 1
  %one.operand = icmp eq i64 %count, 1
  %one.each = and i1 %one.name, %one.operand
  br i1 %one.each, label %keyword, label %decline
keyword:{word("tuple_items")}{word("out")}
  %name.at = getelementptr i8, ptr %names, i64 %tuple_items
  %name = load ptr, ptr %name.at
  %is.out = icmp eq ptr %name, %out
  br i1 %is.out, label %second, label %decline
positional:
  switch i64 %count, label %decline [ i64 1, label %operand
                                      i64 2, label %second ]
second:{argument("said", 1)}
  br label %operand
operand:
  %given = phi ptr [ %None, %positional ], [ %said, %second ]{argument("x", 0)}\
{field("x.type", "x", OBJECT_TYPE, "ptr")}
  %x.array = icmp eq ptr %x.type, %ndarray
  br i1 %x.array, label %look, label %decline
look:{traits("x")}{word("traits")}
  %is.known = icmp eq i64 %x.traits, %traits
  br i1 %is.known, label %answer, label %decline
answer:{word("w")}{word("whole")}{word("type")}{word("what")}
  %result = call ptr %whole(ptr %self, ptr %x, ptr %w, ptr %given, i64 %what, i64 %type, i64 1)
  %is.none = icmp eq ptr %result, %None
  br i1 %is.none, label %declined, label %done
done:
  ret ptr %result
declined:
  call void %Py_DecRef(ptr %None)
  br label %decline
decline:
  %other = call ptr %PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %count, ptr %names)
  ret ptr %other
}}
"""
