"""The entry that plays a tape: the kernel calls of one plain call, made again without Python.

It is no loop of its own and knows no dtype: what it calls are addresses of ``fc_<unit>`` entries,
and what it passes was written down when the call was made by Python (`runtime.tape`).
"""

from __future__ import annotations

from ..runtime.entry import (
    BYTES_DATA,
    DATA,
    DIMENSIONS,
    FLAGS,
    FUNCTIONS,
    NDIM,
    OBJECT_TYPE,
    field,
    function,
    traits,
)

# A tape's 64-bit words: first these. Where `given` is not 0, that operand (1 to MOST_OPERANDS) is
# what is returned, else a new array of the type number `type`.
HEADER = ("room", "release", "steps", "operands", "given", "type")
# Then, for each operand, how many axes it has (-1 for None), its dtype's traits, the flags that it
# must have and how long the axes are; of the result how many axes and how long; and for each step
# the address of its entry and, MOST_ARGUMENTS times, what a word is counted from and the word. That
# is 0, an operand, the result or the room.
MOST_OPERANDS = 4
RESULT, ROOM = MOST_OPERANDS + 1, MOST_OPERANDS + 2
# No kernel that is taped has more (`depthwise_last`); further ones are passed and not looked at,
# which every calling convention that we build for allows.
MOST_ARGUMENTS = 36
# The room begins on a line of the cache.
_LINE = 64


def whole_player(unit: str, size: int) -> str:
    """Return the IR of ``py_<unit>``, a METH_FASTCALL body, and of ``fc_<unit>``, the same.

    (operands) -> the result of the taped calls, or None where an operand is not what the tape was
    made for: of that dtype, those lengths, C-contiguous, aligned and, where it is stored to,
    writeable, and no subclass.
    Its ``self`` is a bytes object, the addresses of `FUNCTIONS` and behind them the tape.
    """
    table = BYTES_DATA + 8 * len(FUNCTIONS)
    names = ("PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef", "PyArray_New", "ndarray",
             "None", "PyMem_RawMalloc", "PyMem_RawFree")  # fmt: skip
    header = "".join(
        f"\n  %{name}.word = getelementptr i64, ptr %table, i64 {j}"
        f"\n  %{name} = load i64, ptr %{name}.word"
        for j, name in enumerate(HEADER)
    )
    passed, made = [], ""
    for j in range(MOST_ARGUMENTS):
        made += f"""
  %from.{j}.at = getelementptr i64, ptr %step, i64 {1 + 2 * j}
  %from.{j} = load i64, ptr %from.{j}.at
  %word.{j}.at = getelementptr i64, ptr %step, i64 {2 + 2 * j}
  %word.{j} = load i64, ptr %word.{j}.at
  %base.{j}.at = getelementptr i64, ptr %bases, i64 %from.{j}
  %base.{j} = load i64, ptr %base.{j}.at
  %pass.{j} = add i64 %base.{j}, %word.{j}"""
        passed.append(f"i64 %pass.{j}")
    return f"""
@fc_{unit} = alias ptr (ptr, ptr, i64), ptr @py_{unit}

define ptr @py_{unit}(ptr %self, ptr %args, i64 %count) {{
entry:{"".join(map(function, names))}
  %bases = alloca [{ROOM + 1} x i64]
  store i64 0, ptr %bases
  %table = getelementptr i8, ptr %self, i64 {table}{header}
  %first = getelementptr i64, ptr %table, i64 {len(HEADER)}
  %typenum = trunc i64 %type to i32
  %all = icmp eq i64 %count, %operands
  br i1 %all, label %operand, label %decline
operand:
  %j = phi i64 [ 0, %entry ], [ %j.next, %operand.next ]
  %q = phi ptr [ %first, %entry ], [ %q.next, %operand.next ]
  %more = icmp slt i64 %j, %operands
  br i1 %more, label %look, label %allocate
look:
  %axes = load i64, ptr %q
  %wanted.at = getelementptr i64, ptr %q, i64 1
  %wanted.traits = load i64, ptr %wanted.at
  %wanted.flags.at = getelementptr i64, ptr %q, i64 2
  %wanted.flags = load i64, ptr %wanted.flags.at
  %dims = getelementptr i64, ptr %q, i64 3
  %said.slot = getelementptr ptr, ptr %args, i64 %j
  %said = load ptr, ptr %said.slot
  %absent = icmp slt i64 %axes, 0
  br i1 %absent, label %nothing, label %array
nothing:
  %is.none = icmp eq ptr %said, %None
  br i1 %is.none, label %operand.next, label %decline
array:{field("kind", "said", OBJECT_TYPE, "ptr")}
  %is.array = icmp eq ptr %kind, %ndarray
  br i1 %is.array, label %fields, label %decline
fields:{traits("said")}{field("ndim", "said", NDIM, "i32")}\
{field("flags", "said", FLAGS, "i32")}{field("lengths", "said", DIMENSIONS, "ptr")}\
{field("data", "said", DATA, "i64")}
  %is.dtype = icmp eq i64 %said.traits, %wanted.traits
  %ndim.wide = sext i32 %ndim to i64
  %is.ndim = icmp eq i64 %ndim.wide, %axes
  %flags.wide = zext i32 %flags to i64
  %bits = and i64 %flags.wide, %wanted.flags
  %is.packed = icmp eq i64 %bits, %wanted.flags
  %c0 = and i1 %is.dtype, %is.ndim
  %c1 = and i1 %c0, %is.packed
  br i1 %c1, label %length, label %decline
length:
  %a = phi i64 [ 0, %fields ], [ %a.next, %length.same ]
  %length.more = icmp slt i64 %a, %axes
  br i1 %length.more, label %length.one, label %fits
length.one:
  %length.at = getelementptr i64, ptr %lengths, i64 %a
  %length.is = load i64, ptr %length.at
  %length.was.at = getelementptr i64, ptr %dims, i64 %a
  %length.was = load i64, ptr %length.was.at
  %same = icmp eq i64 %length.is, %length.was
  br i1 %same, label %length.same, label %decline
length.same:
  %a.next = add i64 %a, 1
  br label %length
fits:
  br label %operand.next
operand.next:
  %address = phi i64 [ %data, %fits ], [ 0, %nothing ]
  %passed.axes = phi i64 [ %axes, %fits ], [ 0, %nothing ]
  %j.next = add i64 %j, 1
  %slot = getelementptr i64, ptr %bases, i64 %j.next
  store i64 %address, ptr %slot
  %q.next = getelementptr i64, ptr %dims, i64 %passed.axes
  br label %operand
allocate:
  %out.axes = load i64, ptr %q
  %out.dims = getelementptr i64, ptr %q, i64 1
  %steps.first = getelementptr i64, ptr %out.dims, i64 %out.axes
  %out.ndim = trunc i64 %out.axes to i32
  %raw = call ptr %PyMem_RawMalloc(i64 %room)
  %full = icmp eq ptr %raw, null
  br i1 %full, label %decline, label %result
result:
  %is.new = icmp eq i64 %given, 0
  br i1 %is.new, label %new, label %old
old:
  %given.index = sub i64 %given, 1
  %given.slot = getelementptr ptr, ptr %args, i64 %given.index
  %given.array = load ptr, ptr %given.slot
  call void %Py_IncRef(ptr %given.array)
  br label %prepare
new:
  %made = call ptr %PyArray_New(ptr %ndarray, i32 %out.ndim, ptr %out.dims, i32 %typenum, \
ptr null, ptr null, i32 0, i32 0, ptr null)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %error, label %prepare
prepare:
  %out = phi ptr [ %given.array, %old ], [ %made, %new ]{field("out.data", "out", DATA, "i64")}
  %out.slot = getelementptr i64, ptr %bases, i64 {RESULT}
  store i64 %out.data, ptr %out.slot
  %raw.number = ptrtoint ptr %raw to i64
  %raw.up = add i64 %raw.number, {_LINE - 1}
  %room.at = and i64 %raw.up, {-_LINE}
  %room.slot = getelementptr i64, ptr %bases, i64 {ROOM}
  store i64 %room.at, ptr %room.slot
  %releases = icmp ne i64 %release, 0
  br i1 %releases, label %let.go, label %begin
let.go:
  %thread = call ptr %PyEval_SaveThread()
  br label %begin
begin:
  %state = phi ptr [ null, %prepare ], [ %thread, %let.go ]
  br label %loop
loop:
  %k = phi i64 [ 0, %begin ], [ %k.next, %body ]
  %step = phi ptr [ %steps.first, %begin ], [ %step.next, %body ]
  %k.more = icmp slt i64 %k, %steps
  br i1 %k.more, label %body, label %done
body:
  %entered = load ptr, ptr %step{made}
  call void %entered({", ".join(passed)})
  %k.next = add i64 %k, 1
  %step.next = getelementptr i64, ptr %step, i64 {1 + 2 * MOST_ARGUMENTS}
  br label %loop
done:
  br i1 %releases, label %take, label %finish
take:
  call void %PyEval_RestoreThread(ptr %state)
  br label %finish
finish:
  call void %PyMem_RawFree(ptr %raw)
  ret ptr %out
decline:
  call void %Py_IncRef(ptr %None)
  ret ptr %None
error:
  call void %PyMem_RawFree(ptr %raw)
  ret ptr null
}}
"""
