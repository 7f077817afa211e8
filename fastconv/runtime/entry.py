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
``plain_<unit>``
    A METH_FASTCALL body with keywords: a whole Python function. It asks the ``whole_<unit>`` of the
    operands' dtype where it knows that and all else that it was told, and returns what another
    callable does with these arguments where it does not: see `bind.plain`.

All but the C entries find the interpreter's functions in their ``self``, a bytes object
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

# The order of addresses in ``self``: None and ndarray are objects, the rest C functions.
FUNCTIONS = ("PyNumber_AsSsize_t", "PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef",
             "PyArray_New", "ndarray", "None", "Py_DecRef", "PyObject_Vectorcall",
             "PyMem_RawMalloc", "PyMem_RawFree")  # fmt: skip


def entries(unit: str, symbol: str, arrays: int, integers: int) -> str:
    """Return the IR of a kernel's entry points.

    Parameters
    ----------
    unit : str
        Such as ``rows_float64``.
    symbol : str
        The function that Numba compiled.
    arrays : int
        How many arrays it takes.
    integers : int
        How many integers follow.
    """
    return _c_entry(unit, symbol, arrays, integers) + _python_entry(unit, arrays, integers)


def whole_entries(unit: str) -> str:
    """Return the IR of ``call_<unit>`` and ``plain_<unit>``."""
    return _call_entry(unit) + _plain_entry(unit)


def _c_entry(unit: str, symbol: str, arrays: int, integers: int) -> str:
    params, inner = [], []
    for j in range(arrays):
        params += [f"ptr noalias %p{j}", f"i64 %n{j}"]
        inner += [f"ptr %p{j}", f"i64 %n{j}"]
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


# What ``plain_<unit>`` reads behind the addresses of `FUNCTIONS` in its ``self``, 64-bit words all.
# Slots are the arguments after the operands, `out` the last of them.
PLAIN = ("fallback", "tuple_items", "w", "what", "slots", "positional")
# Then come the slots' names; for each slot but `out` what it adds to `what` if nothing is said, how
# many objects it may be, and for each of those the object and what it adds; how many dtypes there
# are, and for each its traits, its ``whole_<unit>`` and its type number.
MOST_SLOTS = 8


def _plain_entry(unit: str) -> str:
    def word(result: str, at: str, index: int, kind: str = "i64") -> str:
        return (
            f"\n  %{result}.word = getelementptr i64, ptr %{at}, i64 {index}"
            f"\n  %{result} = load {kind}, ptr %{result}.word"
        )

    def known(name: str, kind: str = "i64") -> str:
        return word(name, "table", PLAIN.index(name), kind)

    def slot(result: str, base: str, index: str) -> str:
        return f"\n  %{result} = getelementptr ptr, ptr %{base}, i64 %{index}"

    functions = "".join(map(function, ("ndarray", "None", "Py_DecRef", "PyObject_Vectorcall")))
    return f"""
define ptr @plain_{unit}(ptr %self, ptr %args, i64 %count, ptr %names) {{
entry:{functions}
  %said = alloca [{MOST_SLOTS} x ptr]
  %table = getelementptr i8, ptr %self, i64 {BYTES_DATA + 8 * len(FUNCTIONS)}\
{known("fallback", "ptr")}{known("w", "ptr")}{known("slots")}{known("positional")}
  %slot.names = getelementptr i64, ptr %table, i64 {len(PLAIN)}
  %none.kept = icmp eq ptr %w, null
  %operands = select i1 %none.kept, i64 2, i64 1
  %more = sub i64 %count, %operands
  %fit = icmp ule i64 %more, %positional
  br i1 %fit, label %fill, label %other
fill:
  %f = phi i64 [ 0, %entry ], [ %f.next, %filled ]
  %is.there = icmp slt i64 %f, %more
  br i1 %is.there, label %take, label %filled
take:
  %f.index = add i64 %operands, %f{argument("taken", "%f.index")}
  br label %filled
filled:
  %first = phi ptr [ null, %fill ], [ %taken, %take ]{slot("f.to", "said", "f")}
  store ptr %first, ptr %f.to
  %f.next = add i64 %f, 1
  %f.more = icmp slt i64 %f.next, %slots
  br i1 %f.more, label %fill, label %named
named:
  %is.named = icmp ne ptr %names, null
  br i1 %is.named, label %keywords, label %choose
keywords:{known("tuple_items")}{field("names.count", "names", _TUPLE_SIZE, "i64")}
  %items = getelementptr i8, ptr %names, i64 %tuple_items
  br label %keyword
keyword:
  %i = phi i64 [ 0, %keywords ], [ %i.next, %put ]
  %i.more = icmp slt i64 %i, %names.count
  br i1 %i.more, label %search, label %choose
search:{slot("name.at", "items", "i")}
  %name = load ptr, ptr %name.at
  %i.index = add i64 %count, %i{argument("value", "%i.index")}
  br label %compare
compare:
  %s = phi i64 [ 0, %search ], [ %s.next, %unlike ]{slot("s.name.at", "slot.names", "s")}
  %s.name = load ptr, ptr %s.name.at
  %is.name = icmp eq ptr %s.name, %name
  br i1 %is.name, label %found, label %unlike
unlike:
  %s.next = add i64 %s, 1
  %s.more = icmp slt i64 %s.next, %slots
  br i1 %s.more, label %compare, label %other
found:{slot("s.to", "said", "s")}
  %s.had = load ptr, ptr %s.to
  %is.new = icmp eq ptr %s.had, null
  br i1 %is.new, label %put, label %other
put:
  store ptr %value, ptr %s.to
  %i.next = add i64 %i, 1
  br label %keyword
choose:{known("what")}
  %out.index = sub i64 %slots, 1
  %choice.first = getelementptr i64, ptr %slot.names, i64 %slots
  br label %choice
choice:
  %j = phi i64 [ 0, %choose ], [ %j.next, %chosen ]
  %q = phi ptr [ %choice.first, %choose ], [ %option.end, %chosen ]
  %so.far = phi i64 [ %what, %choose ], [ %with, %chosen ]
  %j.more = icmp slt i64 %j, %out.index
  br i1 %j.more, label %choices, label %dtypes
choices:{word("usual", "q", 0)}{word("options", "q", 1)}{slot("j.at", "said", "j")}
  %j.said = load ptr, ptr %j.at
  %option.first = getelementptr i64, ptr %q, i64 2
  %option.words = mul i64 %options, 2
  %option.end = getelementptr i64, ptr %option.first, i64 %option.words
  %is.unsaid = icmp eq ptr %j.said, null
  br i1 %is.unsaid, label %chosen, label %option
option:
  %r = phi ptr [ %option.first, %choices ], [ %r.next, %option.other ]{word("is", "r", 0, "ptr")}\
{word("adds", "r", 1)}
  %is.said = icmp eq ptr %is, %j.said
  br i1 %is.said, label %chosen, label %option.other
option.other:
  %r.next = getelementptr i64, ptr %r, i64 2
  %r.more = icmp ult ptr %r.next, %option.end
  br i1 %r.more, label %option, label %other
chosen:
  %added = phi i64 [ %usual, %choices ], [ %adds, %option ]
  %with = add i64 %so.far, %added
  %j.next = add i64 %j, 1
  br label %choice
dtypes:{slot("out.at", "said", "out.index")}
  %out.said = load ptr, ptr %out.at
  %out.unsaid = icmp eq ptr %out.said, null
  %out = select i1 %out.unsaid, ptr %None, ptr %out.said{word("count.dtypes", "q", 0)}
  %dtype.first = getelementptr i64, ptr %q, i64 1
  %dtype.words = mul i64 %count.dtypes, 3
  %dtype.end = getelementptr i64, ptr %dtype.first, i64 %dtype.words{argument("x", 0)}\
{field("x.type", "x", OBJECT_TYPE, "ptr")}
  %x.array = icmp eq ptr %x.type, %ndarray
  br i1 %x.array, label %look, label %other
look:{traits("x")}
  br label %dtype
dtype:
  %d = phi ptr [ %dtype.first, %look ], [ %d.next, %dtype.other ]{word("listed", "d", 0)}
  %is.listed = icmp eq i64 %listed, %x.traits
  br i1 %is.listed, label %operand, label %dtype.other
dtype.other:
  %d.next = getelementptr i64, ptr %d, i64 3
  %d.more = icmp ult ptr %d.next, %dtype.end
  br i1 %d.more, label %dtype, label %other
operand:
  br i1 %none.kept, label %second, label %answer
second:{argument("w.said", 1)}
  br label %answer
answer:
  %filter = phi ptr [ %w, %operand ], [ %w.said, %second ]{word("whole", "d", 1, "ptr")}\
{word("type", "d", 2)}
  %result = call ptr %whole(ptr %self, ptr %x, ptr %filter, ptr %out, i64 %so.far, i64 %type, i64 1)
  %declined = icmp eq ptr %result, %None
  br i1 %declined, label %none, label %done
done:
  ret ptr %result
none:
  call void %Py_DecRef(ptr %None)
  br label %other
other:
  %others = call ptr %PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %count, ptr %names)
  ret ptr %others
}}
"""
