"""The entry that answers a whole 1-D call of ``rows``: checks, allocates, reverses, computes.

``whole_rows_<dtype>`` (see `runtime.entry`) returns the 1-D convolution or correlation in `out` or
a new array, or None where it is not a plain case: two arrays of one dtype and one dimension, the
longer contiguous, one band, no more taps than the direct loop is best for, and an `out` of just
that kind that shares no memory with the longer operand.
"""

from __future__ import annotations

from ..runtime.entry import (
    CONTIGUOUS_ALIGNED,
    DATA,
    DIMENSIONS,
    DTYPE,
    FLAGS,
    FUNCTIONS,
    NDIM,
    OBJECT_TYPE,
    STRIDES,
    WRITEABLE,
    field,
    function,
)

# `call_` keeps the taps on its stack and answers what is one band (paths.direct.band).
MOST_TAPS, MOST_OUTPUTS, MOST_PRODUCTS = 256, 1 << 17, 1 << 23
# Up to this many products no transform wins back what the long way costs, however many taps.
BRIEF_PRODUCTS = 1 << 21
# From so many taps and bytes of products on running sums may serve a constant filter, which these
# loops are built for (`paths.boxes`): 10,000 float64 with 41 taps 12 us, by products 27.
CONSTANT_TAPS, CONSTANT_BYTES = 20, 1 << 21
CONSTANT_LOOPS = ("float64", "float32", "int64", "int32")
# Below this many products the GIL is kept: two switches cost more than they free.
_GIL_PRODUCTS = 1 << 15


def whole_rows(unit: str, size: int) -> str:
    """Return the entry that checks, allocates, reverses the taps and computes.

    extent 2, 1 and 0 are NumPy's numbers: n + k - 1 outputs, n, or n - k + 1; with 4 added the
    taps keep their order (a correlation), and the operands too: the longer must come first.
    """
    element = f"i{8 * size}"
    types = "".join(
        field(f"{name}.type", name, OBJECT_TYPE, "ptr")
        + f"\n  %{name}.array = icmp eq ptr %{name}.type, %ndarray"
        for name in ("a", "v")
    )
    plain = "".join(
        field(f"{name}.ndim", name, NDIM, "i32")
        + field(f"{name}.dims", name, DIMENSIONS, "ptr")
        + field(f"{name}.dtype", name, DTYPE, "ptr")
        + f"\n  %{name}.line = icmp eq i32 %{name}.ndim, 1"
        for name in ("a", "v")
    )
    data = "".join(
        field(f"{name}.data", name, DATA, "ptr") for name in ("x", "w", "out")
    ) + field("w.strides", "w", STRIDES, "ptr")
    given = "".join(
        field(f"g.{name}", "given", offset, kind)
        for name, offset, kind in (
            ("dims", DIMENSIONS, "ptr"),
            ("dtype", DTYPE, "ptr"),
            ("flags", FLAGS, "i32"),
            ("data", DATA, "ptr"),
        )
    )
    given += field("x.dtype", "x", DTYPE, "ptr") + field("x.at.given", "x", DATA, "ptr")
    constant = "  br i1 %c3, label %place, label %decline"
    if unit.partition("_")[2] in CONSTANT_LOOPS:
        constant = _declines_constant(element, size)
    # rows(x, w, out; one row, no steps, n, k, m, stride 1, dilation 1, pad)
    run = (
        f"call void @fc_{unit}(ptr %x.data, i64 %n, ptr %taps, i64 %k, ptr %out.data, i64 %m, "
        "i64 1, i64 0, i64 0, i64 0, i64 %n, i64 %k, i64 %m, i64 1, i64 1, i64 %pad)"
    )
    new = (
        "call ptr %PyArray_New(ptr %ndarray, i32 1, ptr %length, i32 %type, "
        "ptr null, ptr null, i32 0, i32 0, ptr null)"
    )
    return f"""
define ptr @whole_{unit}(ptr %self, ptr %a, ptr %v, ptr %given, i64 %order.extent, \
i64 %type.wide, i64 %longest) {{
entry:{"".join(map(function, FUNCTIONS[1:]))}
  %taps = alloca [{MOST_TAPS} x {element}], align 64
  %length = alloca i64
  %extent = and i64 %order.extent, 3
  %keep.bit = and i64 %order.extent, 4
  %keep = icmp ne i64 %keep.bit, 0
  %type = trunc i64 %type.wide to i32{types}
  %arrays = and i1 %a.array, %v.array
  br i1 %arrays, label %alike, label %decline
alike:{plain}
  %one.dtype = icmp eq ptr %a.dtype, %v.dtype
  %lines = and i1 %a.line, %v.line
  %flat = and i1 %lines, %one.dtype
  br i1 %flat, label %order, label %decline
order:
  %a.length = load i64, ptr %a.dims
  %v.length = load i64, ptr %v.dims
  %swap = icmp sgt i64 %v.length, %a.length
  %x = select i1 %swap, ptr %v, ptr %a
  %w = select i1 %swap, ptr %a, ptr %v
  %n = select i1 %swap, i64 %v.length, i64 %a.length
  %k = select i1 %swap, i64 %a.length, i64 %v.length{field("flags", "x", FLAGS, "i32")}
  %bits = and i32 %flags, {CONTIGUOUS_ALIGNED}
  %packed = icmp eq i32 %bits, {CONTIGUOUS_ALIGNED}
  %some = icmp sgt i64 %k, 0
  %few = icmp sle i64 %k, {MOST_TAPS}
  %k.less = sub i64 %k, 1
  %k.half = sdiv i64 %k, 2
  %is.full = icmp eq i64 %extent, 2
  %is.same = icmp eq i64 %extent, 1
  %pad.inner = select i1 %is.same, i64 %k.half, i64 0
  %pad = select i1 %is.full, i64 %k.less, i64 %pad.inner
  %m.full = add i64 %n, %k.less
  %m.valid = sub i64 %n, %k.less
  %m.inner = select i1 %is.same, i64 %n, i64 %m.valid
  %m = select i1 %is.full, i64 %m.full, i64 %m.inner
  %short = icmp sle i64 %m, {MOST_OUTPUTS}
  %products = mul i64 %m, %k
  %one.band = icmp sle i64 %products, {MOST_PRODUCTS}
  %best = icmp sle i64 %k, %longest
  %brief = icmp sle i64 %products, {BRIEF_PRODUCTS}
  %either = or i1 %best, %brief
  %light = and i1 %one.band, %either
  %c0 = and i1 %packed, %some
  %c1 = and i1 %c0, %few
  %c1.light = and i1 %c1, %light
  %c2 = and i1 %c1.light, %short
  %moved = and i1 %keep, %swap
  %stays = xor i1 %moved, true
  %c3 = and i1 %c2, %stays
{constant}
place:
  %fresh = icmp eq ptr %given, %None
  br i1 %fresh, label %allocate, label %given.type
given.type:{field("g.type", "given", OBJECT_TYPE, "ptr")}
  %g.array = icmp eq ptr %g.type, %ndarray
  br i1 %g.array, label %given.axes, label %decline
given.axes:{field("g.ndim", "given", NDIM, "i32")}
  %g.flat = icmp eq i32 %g.ndim, 1
  br i1 %g.flat, label %given.rest, label %decline
given.rest:{given}
  %g.length = load i64, ptr %g.dims
  %g.fits = icmp eq i64 %g.length, %m
  %g.same = icmp eq ptr %g.dtype, %x.dtype
  %g.bits = and i32 %g.flags, {WRITEABLE}
  %g.plain = icmp eq i32 %g.bits, {WRITEABLE}
  %g.end = getelementptr {element}, ptr %g.data, i64 %m
  %x.end = getelementptr {element}, ptr %x.at.given, i64 %n
  %g.below = icmp ule ptr %g.end, %x.at.given
  %g.above = icmp ule ptr %x.end, %g.data
  %g.apart = or i1 %g.below, %g.above
  %g0 = and i1 %g.fits, %g.same
  %g1 = and i1 %g0, %g.plain
  %g2 = and i1 %g1, %g.apart
  br i1 %g2, label %take, label %decline
take:
  call void %Py_IncRef(ptr %given)
  br label %reverse
allocate:
  store i64 %m, ptr %length
  %new = {new}
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %error, label %reverse
reverse:
  %out = phi ptr [ %given, %take ], [ %new, %allocate ]{data}
  %step = load i64, ptr %w.strides
  br label %loop
loop:
  %t = phi i64 [ 0, %reverse ], [ %t.next, %loop ]
  %from.end = sub i64 %k.less, %t
  %from.index = select i1 %keep, i64 %t, i64 %from.end
  %from.offset = mul i64 %from.index, %step
  %from = getelementptr i8, ptr %w.data, i64 %from.offset
  %tap = load {element}, ptr %from, align 1
  %to = getelementptr {element}, ptr %taps, i64 %t
  store {element} %tap, ptr %to, align 1
  %t.next = add i64 %t, 1
  %more = icmp slt i64 %t.next, %k
  br i1 %more, label %loop, label %compute
compute:
  %large = icmp sgt i64 %products, {_GIL_PRODUCTS}
  br i1 %large, label %released, label %held
released:
  %state = call ptr %PyEval_SaveThread()
  {run}
  call void %PyEval_RestoreThread(ptr %state)
  ret ptr %out
held:
  {run}
  ret ptr %out
decline:
  call void %Py_IncRef(ptr %None)
  ret ptr %None
error:
  ret ptr null
}}
"""


def _declines_constant(element: str, size: int) -> str:
    """Return the branch that lets Python look at a long filter with three equal taps."""
    data = field("c.data", "w", DATA, "ptr") + field("c.strides", "w", STRIDES, "ptr")
    taps = "".join(
        f"""
  %c.offset.{name} = mul i64 %{number}, %c.step
  %c.at.{name} = getelementptr i8, ptr %c.data, i64 %c.offset.{name}
  %c.{name} = load {element}, ptr %c.at.{name}, align 1"""
        for name, number in (("middle", "k.half"), ("last", "k.less"))
    )
    return f"""  br i1 %c3, label %weigh, label %decline
weigh:
  %long = icmp sge i64 %k, {CONSTANT_TAPS}
  %heavy = icmp sge i64 %products, {CONSTANT_BYTES // size}
  %worth = and i1 %long, %heavy
  br i1 %worth, label %compare, label %place
compare:{data}
  %c.step = load i64, ptr %c.strides
  %c.first = load {element}, ptr %c.data, align 1{taps}
  %c.early = icmp eq {element} %c.first, %c.middle
  %c.late = icmp eq {element} %c.first, %c.last
  %c.equal = and i1 %c.early, %c.late
  br i1 %c.equal, label %decline, label %place"""
