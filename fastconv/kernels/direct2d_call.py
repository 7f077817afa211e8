"""The entry that answers a whole 2-D call of ``plane``: checks, allocates, reverses, computes.

``whole_plane_<dtype>`` (see `runtime.entry`; it asks for no longest filter) returns the 2-D
convolution or correlation in `out` or a new array, or None where it is not a plain case: two arrays
of one dtype, the image contiguous and, unless zeros are outside, no smaller than the filter on
either axis, small enough for the tables on its stack, and an `out` of just that kind apart from the
image.
"""

from __future__ import annotations

from ..runtime.entry import (
    CONTIGUOUS_ALIGNED,
    DATA,
    DIMENSIONS,
    FLAGS,
    FUNCTIONS,
    NDIM,
    OBJECT_TYPE,
    STRIDES,
    WRITEABLE,
    field,
    function,
    traits,
)

# `what` is the sum of an extent, ORDER for a correlation, and RULE times a boundary rule.
ORDER, RULE = 4, 8

# The reversed taps and the index maps of rows and columns lie on the stack.
MOST_TAPS, MOST_ROWS = 256, 1024
# Up to so many products no other algorithm wins back what the long way costs, 50 us.
BRIEF_PRODUCTS = 1 << 20
# Below this many products the GIL is kept: two switches cost more than they free.
_GIL_PRODUCTS = 1 << 15


def whole_plane(unit: str, size: int) -> str:
    """Return the entry's IR; `size` is that of an element in bytes.

    extent 2, 1 and 0 keep n + k - 1 outputs, n, or n - k + 1 on each axis. A sample outside is by
    rule 0 zero, and multiplied as SciPy does; by 1 that of the other side; by 2 the mirrored one,
    the edge repeated.
    """
    element = f"i{8 * size}"
    # py_plane's arguments: one plane, no steps, strides and dilations 1, nothing left out, stored,
    # no sources.
    run = (
        f"call void @fc_{unit}(ptr %x.data, i64 0, ptr %taps, i64 0, ptr %out.data, i64 0, "
        "ptr %rows, i64 0, ptr %columns, i64 0, ptr %zero, i64 1, ptr %rows, i64 0, "
        "i64 1, i64 0, i64 0, i64 0, "
        "i64 %width, i64 %ow, i64 %width, i64 %kh, i64 %kw, i64 0, i64 %oh, i64 %ow, "
        "i64 1, i64 1, i64 1, i64 1, i64 %pad.c, i64 0, i64 0, i64 0)"
    )
    new = (
        "call ptr %PyArray_New(ptr %ndarray, i32 2, ptr %shape, i32 %type, "
        "ptr null, ptr null, i32 0, i32 0, ptr null)"
    )
    return f"""
define internal void @map_{unit}(ptr %to, i64 %pad, i64 %count, i64 %n, i64 %rule) {{
entry:
  %is.zero = icmp eq i64 %rule, 0
  %is.wrap = icmp eq i64 %rule, 1
  %twice = shl i64 %n, 1
  %mirror.high = sub i64 %twice, 1
  br label %loop
loop:
  %t = phi i64 [ 0, %entry ], [ %t.next, %loop ]
  %p = sub i64 %t, %pad
  %below = icmp slt i64 %p, 0
  %above = icmp sge i64 %p, %n
  %wrap.low = add i64 %p, %n
  %wrap.high = sub i64 %p, %n
  %low.mirrored = sub i64 -1, %p
  %high.mirrored = sub i64 %mirror.high, %p
  %low.there = select i1 %is.wrap, i64 %wrap.low, i64 %low.mirrored
  %high.there = select i1 %is.wrap, i64 %wrap.high, i64 %high.mirrored
  %low = select i1 %is.zero, i64 -1, i64 %low.there
  %high = select i1 %is.zero, i64 -1, i64 %high.there
  %not.below = select i1 %above, i64 %high, i64 %p
  %index = select i1 %below, i64 %low, i64 %not.below
  %at = getelementptr i64, ptr %to, i64 %t
  store i64 %index, ptr %at
  %t.next = add i64 %t, 1
  %more = icmp slt i64 %t.next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}}

define ptr @whole_{unit}(ptr %self, ptr %x, ptr %w, ptr %given, i64 %what, i64 %type.wide, \
i64 %longest) {{
entry:{"".join(map(function, FUNCTIONS[1:]))}
  %taps = alloca [{MOST_TAPS} x {element}], align 64
  %rows = alloca [{MOST_ROWS} x i64], align 64
  %columns = alloca [{MOST_ROWS} x i64], align 64
  %zero = alloca {element}, align 16
  %shape = alloca [2 x i64]{_fields("x", ("type",))}{_fields("w", ("type",))}
  %x.array = icmp eq ptr %x.type, %ndarray
  %w.array = icmp eq ptr %w.type, %ndarray
  %arrays = and i1 %x.array, %w.array
  br i1 %arrays, label %alike, label %decline
alike:{traits("x")}{traits("w")}{_fields("x", ("ndim",))}{_fields("w", ("ndim",))}
  %one.dtype = icmp eq i64 %x.traits, %w.traits
  %x.flat = icmp eq i32 %x.ndim, 2
  %w.flat = icmp eq i32 %w.ndim, 2
  %both.flat = and i1 %x.flat, %w.flat
  %plain = and i1 %one.dtype, %both.flat
  br i1 %plain, label %extents, label %decline
extents:{_fields("x", ("flags", "dims"))}{_fields("w", ("dims",))}
  %extent = and i64 %what, 3
  %order = and i64 %what, {ORDER}
  %keep = icmp ne i64 %order, 0
  %rule = sdiv i64 %what, {RULE}
  %type = trunc i64 %type.wide to i32
  %is.full = icmp eq i64 %extent, 2
  %is.same = icmp eq i64 %extent, 1
  %is.valid = icmp eq i64 %extent, 0
  %continued = icmp ne i64 %rule, 0
  %bound = or i1 %is.valid, %continued
  %unbound = xor i1 %bound, true{_axis("r", "height", "kh", "oh", 0)}\
{_axis("c", "width", "kw", "ow", 1)}
  %rows.read = add i64 %oh, %k.less.r
  %columns.read = add i64 %ow, %k.less.c
  %k = mul i64 %kh, %kw
  %m = mul i64 %oh, %ow
  %products = mul i64 %m, %k
  %bits = and i32 %x.flags, {CONTIGUOUS_ALIGNED}
  %packed = icmp eq i32 %bits, {CONTIGUOUS_ALIGNED}
  %few = icmp sle i64 %k, {MOST_TAPS}
  %low = icmp sle i64 %rows.read, {MOST_ROWS}
  %narrow = icmp sle i64 %columns.read, {MOST_ROWS}
  %brief = icmp sle i64 %products, {BRIEF_PRODUCTS}
  %c0 = and i1 %fits.r, %fits.c
  %c1 = and i1 %c0, %packed
  %c2 = and i1 %c1, %few
  %c3 = and i1 %c2, %low
  %c4 = and i1 %c3, %narrow
  %c5 = and i1 %c4, %brief
  br i1 %c5, label %place, label %decline
place:
  %fresh = icmp eq ptr %given, %None
  br i1 %fresh, label %allocate, label %given.is
given.is:{_fields("given", ("type", "ndim"))}
  %given.array = icmp eq ptr %given.type, %ndarray
  br i1 %given.array, label %given.axes, label %decline
given.axes:
  %given.flat = icmp eq i32 %given.ndim, 2
  br i1 %given.flat, label %given.rest, label %decline
given.rest:{traits("given")}{_fields("given", ("dims", "flags", "data"))}\
{field("x.first", "x", DATA, "ptr")}
  %given.height = load i64, ptr %given.dims
  %given.next = getelementptr i64, ptr %given.dims, i64 1
  %given.width = load i64, ptr %given.next
  %g.high = icmp eq i64 %given.height, %oh
  %g.wide = icmp eq i64 %given.width, %ow
  %g.same = icmp eq i64 %given.traits, %x.traits
  %g.bits = and i32 %given.flags, {WRITEABLE}
  %g.plain = icmp eq i32 %g.bits, {WRITEABLE}
  %x.count = mul i64 %height, %width
  %given.end = getelementptr {element}, ptr %given.data, i64 %m
  %x.end = getelementptr {element}, ptr %x.first, i64 %x.count
  %g.below = icmp ule ptr %given.end, %x.first
  %g.above = icmp ule ptr %x.end, %given.data
  %g.apart = or i1 %g.below, %g.above
  %g0 = and i1 %g.high, %g.wide
  %g1 = and i1 %g0, %g.same
  %g2 = and i1 %g1, %g.plain
  %g3 = and i1 %g2, %g.apart
  br i1 %g3, label %take, label %decline
take:
  call void %Py_IncRef(ptr %given)
  br label %prepare
allocate:
  %shape.next = getelementptr i64, ptr %shape, i64 1
  store i64 %oh, ptr %shape
  store i64 %ow, ptr %shape.next
  %new = {new}
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %error, label %prepare
prepare:
  %out = phi ptr [ %given, %take ], [ %new, %allocate ]{_fields("x", ("data",))}\
{_fields("w", ("data", "strides"))}{_fields("out", ("data",))}
  %step.r = load i64, ptr %w.strides
  %w.strides.next = getelementptr i64, ptr %w.strides, i64 1
  %step.c = load i64, ptr %w.strides.next
  store {element} 0, ptr %zero
  call void @map_{unit}(ptr %rows, i64 %pad.r, i64 %rows.read, i64 %height, i64 %rule)
  call void @map_{unit}(ptr %columns, i64 %pad.c, i64 %columns.read, i64 %width, i64 %rule)
  br label %row
row:
  %u = phi i64 [ 0, %prepare ], [ %u.next, %row.end ]
  %u.end = sub i64 %k.less.r, %u
  %u.from = select i1 %keep, i64 %u, i64 %u.end
  %u.offset = mul i64 %u.from, %step.r
  %u.at = getelementptr i8, ptr %w.data, i64 %u.offset
  %to.row = mul i64 %u, %kw
  br label %tap
tap:
  %v = phi i64 [ 0, %row ], [ %v.next, %tap ]
  %v.end = sub i64 %k.less.c, %v
  %v.from = select i1 %keep, i64 %v, i64 %v.end
  %v.offset = mul i64 %v.from, %step.c
  %from = getelementptr i8, ptr %u.at, i64 %v.offset
  %value = load {element}, ptr %from, align 1
  %to.index = add i64 %to.row, %v
  %to = getelementptr {element}, ptr %taps, i64 %to.index
  store {element} %value, ptr %to, align 1
  %v.next = add i64 %v, 1
  %v.more = icmp slt i64 %v.next, %kw
  br i1 %v.more, label %tap, label %row.end
row.end:
  %u.next = add i64 %u, 1
  %u.more = icmp slt i64 %u.next, %kh
  br i1 %u.more, label %row, label %compute
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


_KINDS = {"type": (OBJECT_TYPE, "ptr"), "data": (DATA, "ptr"), "ndim": (NDIM, "i32"),
          "dims": (DIMENSIONS, "ptr"), "strides": (STRIDES, "ptr"),
          "flags": (FLAGS, "i32")}  # fmt: skip


def _fields(array: str, names: tuple[str, ...]) -> str:
    """Return the IR that loads fields of an array as %<array>.<name>."""
    return "".join(field(f"{array}.{name}", array, *_KINDS[name]) for name in names)


def _axis(a: str, n: str, k: str, m: str, index: int) -> str:
    """Return the IR that finds samples, taps, outputs and padding of an axis.

    With n outputs a convolution is padded by k // 2, a correlation by (k - 1) // 2.
    """
    return f"""
  %{n}.at = getelementptr i64, ptr %x.dims, i64 {index}
  %{n} = load i64, ptr %{n}.at
  %{k}.at = getelementptr i64, ptr %w.dims, i64 {index}
  %{k} = load i64, ptr %{k}.at
  %k.less.{a} = sub i64 %{k}, 1
  %some.{a} = icmp sgt i64 %{k}, 0
  %there.{a} = icmp sgt i64 %{n}, 0
  %beyond.{a} = and i1 %there.{a}, %unbound
  %inside.{a} = icmp sle i64 %{k}, %{n}
  %within.{a} = or i1 %inside.{a}, %beyond.{a}
  %fits.{a} = and i1 %some.{a}, %within.{a}
  %halved.{a} = select i1 %keep, i64 %k.less.{a}, i64 %{k}
  %half.{a} = sdiv i64 %halved.{a}, 2
  %pad.inner.{a} = select i1 %is.same, i64 %half.{a}, i64 0
  %pad.{a} = select i1 %is.full, i64 %k.less.{a}, i64 %pad.inner.{a}
  %m.full.{a} = add i64 %{n}, %k.less.{a}
  %m.valid.{a} = sub i64 %{n}, %k.less.{a}
  %m.inner.{a} = select i1 %is.same, i64 %{n}, i64 %m.valid.{a}
  %{m} = select i1 %is.full, i64 %m.full.{a}, i64 %m.inner.{a}"""
