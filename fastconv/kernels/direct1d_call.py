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

# `call_` keeps the taps on its stack and answers what is one band (paths.direct.band).
MOST_TAPS, MOST_OUTPUTS, MOST_PRODUCTS = 256, 1 << 17, 1 << 23
# Up to this many products no transform wins back what the long way costs, however many taps.
BRIEF_PRODUCTS = 1 << 21
# Nor is one asked for so many of floats, with more taps than the stack holds.
FLOAT_PRODUCTS = 1 << 17
# A signal that does not lie as the loop wants it is copied onto the stack up to here.
MOST_COPIED = 1024
# From so many taps and bytes of products on running sums may serve a constant filter, which these
# loops are built for (`paths.boxes`): 10,000 float64 with 41 taps 12 us, by products 27.
CONSTANT_TAPS, CONSTANT_BYTES = 20, 1 << 21
CONSTANT_LOOPS = ("float64", "float32", "int64", "int32")
# The dtypes with so few lanes that each of as many outputs has a register, and up to how many
# outputs dot products along the taps are the quicker way (`direct1d_dots`).
DOTS, FEW_OUTPUTS = ("float64", "float32", "int64", "int32"), 32
# What is added to extent and order where complex taps are to be conjugated, a sign each.
CONJUGATE = 8
# Below this many products the GIL is kept: two switches cost more than they free.
_GIL_PRODUCTS = 1 << 15


def whole_rows(unit: str, size: int) -> str:
    """Return the entry that checks, allocates, reverses the taps and computes.

    extent 2, 1 and 0 are NumPy's numbers: n + k - 1 outputs, n, or n - k + 1; with 4 added the
    taps keep their order (a correlation), and the result is read backwards where the operands
    have changed places. With CONJUGATE added complex numbers of the second operand are conjugated.
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
        + traits(name)
        + f"\n  %{name}.line = icmp eq i32 %{name}.ndim, 1"
        for name in ("a", "v")
    )
    data = "".join(
        field(f"{name}.data", name, DATA, "ptr") for name in ("x", "w", "out")
    )
    data += "".join(
        field(f"{name}.strides", name, STRIDES, "ptr")
        + f"\n  %{name}.step = load i64, ptr %{name}.strides"
        for name in ("x", "w")
    )
    given = "".join(
        field(f"g.{name}", "given", offset, kind)
        for name, offset, kind in (
            ("dims", DIMENSIONS, "ptr"),
            ("flags", FLAGS, "i32"),
            ("data", DATA, "ptr"),
        )
    )
    given += traits("given")
    given += "".join(field(f"{name}.at.given", name, DATA, "ptr") for name in ("x", "w"))
    constant = "  br i1 %c2, label %place, label %decline"
    dtype = unit.partition("_")[2]
    conjugate = CONJUGATE if dtype.startswith("complex") else 0
    few_outputs = FEW_OUTPUTS if dtype in DOTS else 0
    long_products = FLOAT_PRODUCTS if dtype.startswith(("float", "complex")) else BRIEF_PRODUCTS
    if dtype in CONSTANT_LOOPS:
        constant = _declines_constant(element, size)
    # rows(x, w, out; one row, no steps, n, k, m, stride 1, dilation 1, pad)
    run = (
        f"call void @fc_{unit}(ptr %samples, i64 %n, ptr %ordered, i64 %k, ptr %out.data, i64 %m, "
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
  %copied = alloca [{MOST_COPIED} x {element}], align 64
  %length = alloca i64
  %extent = and i64 %order.extent, 3
  %keep.bit = and i64 %order.extent, 4
  %keep = icmp ne i64 %keep.bit, 0
  %type = trunc i64 %type.wide to i32{types}
  %arrays = and i1 %a.array, %v.array
  br i1 %arrays, label %alike, label %decline
alike:{plain}
  %one.dtype = icmp eq i64 %a.traits, %v.traits
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
  %little = icmp sle i64 %n, {MOST_COPIED}
  %conjugate.bit = and i64 %order.extent, {conjugate}
  %conjugates = icmp ne i64 %conjugate.bit, 0
  %in.place = xor i1 %swap, true
  %conjugates.x = and i1 %conjugates, %swap
  %conjugates.w = and i1 %conjugates, %in.place
  %scattered = xor i1 %packed, true
  %copies = or i1 %scattered, %conjugates.x
  %as.it.lies = xor i1 %copies, true
  %ready = or i1 %as.it.lies, %little
  %some = icmp sgt i64 %k, 0
  %few.taps = icmp sle i64 %k, {MOST_TAPS}
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
  %few.outputs = icmp sle i64 %m, {few_outputs}
  %short = icmp sle i64 %m, {MOST_OUTPUTS}
  %products = mul i64 %m, %k
  %one.band = icmp sle i64 %products, {MOST_PRODUCTS}
  %best = icmp sle i64 %k, %longest
  %brief = icmp sle i64 %products, {BRIEF_PRODUCTS}
  %small = icmp sle i64 %products, {long_products}
  %few.somehow = or i1 %few.taps, %few.outputs
  %few = or i1 %few.somehow, %small
  %best.brief = or i1 %best, %brief
  %either = or i1 %best.brief, %few.outputs
  %light = and i1 %one.band, %either
  %c0 = and i1 %ready, %some
  %c1 = and i1 %c0, %few
  %c1.light = and i1 %c1, %light
  %c2 = and i1 %c1.light, %short
  %backwards = and i1 %keep, %swap
{constant}
place:
{_long_taps(size)}
  %fresh = icmp eq ptr %given, %None
  br i1 %fresh, label %allocate, label %given.type
given.type:{field("g.type", "given", OBJECT_TYPE, "ptr")}
  %g.array = icmp eq ptr %g.type, %ndarray
  br i1 %g.array, label %given.axes, label %give.up
given.axes:{field("g.ndim", "given", NDIM, "i32")}
  %g.flat = icmp eq i32 %g.ndim, 1
  br i1 %g.flat, label %given.rest, label %give.up
given.rest:{given}
  %g.length = load i64, ptr %g.dims
  %g.fits = icmp eq i64 %g.length, %m
  %g.same = icmp eq i64 %given.traits, %a.traits
  %g.bits = and i32 %g.flags, {WRITEABLE}
  %g.plain = icmp eq i32 %g.bits, {WRITEABLE}
  %g.end = getelementptr {element}, ptr %g.data, i64 %m
  %x.end = getelementptr {element}, ptr %x.at.given, i64 %n
  %g.below = icmp ule ptr %g.end, %x.at.given
  %g.above = icmp ule ptr %x.end, %g.data
  %g.beside = or i1 %g.below, %g.above
  %g.apart = or i1 %g.beside, %copies
  %g0 = and i1 %g.fits, %g.same
  %g1 = and i1 %g0, %g.plain
  %w.end = getelementptr {element}, ptr %w.at.given, i64 %k
  %g.before.w = icmp ule ptr %g.end, %w.at.given
  %g.behind.w = icmp ule ptr %w.end, %g.data
  %g.beside.w = or i1 %g.before.w, %g.behind.w
  %w.copied = xor i1 %borrowed, true
  %g.apart.w = or i1 %g.beside.w, %w.copied
  %g2 = and i1 %g1, %g.apart
  %g3 = and i1 %g2, %g.apart.w
  br i1 %g3, label %take, label %give.up
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
  br i1 %copies, label %gather, label %order.taps
gather:
  %q = phi i64 [ 0, %reverse ], [ %q.next, %gather ]
  %q.offset = mul i64 %q, %x.step
  %q.from = getelementptr i8, ptr %x.data, i64 %q.offset
  %sample = load {element}, ptr %q.from, align 1
  %q.opposite = xor {element} %sample, {-(1 << (8 * size - 1))}
  %q.taken = select i1 %conjugates.x, {element} %q.opposite, {element} %sample
  %q.to = getelementptr {element}, ptr %copied, i64 %q
  store {element} %q.taken, ptr %q.to, align 1
  %q.next = add i64 %q, 1
  %q.more = icmp slt i64 %q.next, %n
  br i1 %q.more, label %gather, label %order.taps
order.taps:
  br i1 %borrowed, label %compute, label %loop
loop:
  %t = phi i64 [ 0, %order.taps ], [ %t.next, %loop ]
  %from.end = sub i64 %k.less, %t
  %from.index = select i1 %keep, i64 %t, i64 %from.end
  %from.offset = mul i64 %from.index, %w.step
  %from = getelementptr i8, ptr %w.data, i64 %from.offset
  %tap = load {element}, ptr %from, align 1
  %opposite = xor {element} %tap, {-(1 << (8 * size - 1))}
  %taken.tap = select i1 %conjugates.w, {element} %opposite, {element} %tap
  %to = getelementptr {element}, ptr %reversed, i64 %t
  store {element} %taken.tap, ptr %to, align 1
  %t.next = add i64 %t, 1
  %more = icmp slt i64 %t.next, %k
  br i1 %more, label %loop, label %compute
compute:
  %ordered = select i1 %borrowed, ptr %w.data, ptr %reversed
  %samples = select i1 %copies, ptr %copied, ptr %x.data
  %large = icmp sgt i64 %products, {_GIL_PRODUCTS}
  br i1 %large, label %released, label %held
released:
  %state = call ptr %PyEval_SaveThread()
  {run}
  call void %PyEval_RestoreThread(ptr %state)
  br label %computed
held:
  {run}
  br label %computed
computed:
  %m.last = sub i64 %m, 1
  %two = icmp sgt i64 %m.last, 0
  %turns = and i1 %backwards, %two
  br i1 %turns, label %turn, label %done
turn:
  %low = phi i64 [ 0, %computed ], [ %low.next, %turn ]
  %high = phi i64 [ %m.last, %computed ], [ %high.next, %turn ]
  %at.low = getelementptr {element}, ptr %out.data, i64 %low
  %at.high = getelementptr {element}, ptr %out.data, i64 %high
  %of.low = load {element}, ptr %at.low, align 1
  %of.high = load {element}, ptr %at.high, align 1
  store {element} %of.high, ptr %at.low, align 1
  store {element} %of.low, ptr %at.high, align 1
  %low.next = add i64 %low, 1
  %high.next = sub i64 %high, 1
  %apart = icmp slt i64 %low.next, %high.next
  br i1 %apart, label %turn, label %done
done:
  br i1 %few.taps, label %return, label %free
free:
  call void %PyMem_RawFree(ptr %kept)
  br label %return
return:
  ret ptr %out
give.up:
  call void %PyMem_RawFree(ptr %kept)
  br label %decline
decline:
  call void %Py_IncRef(ptr %None)
  ret ptr %None
error:
  call void %PyMem_RawFree(ptr %kept)
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
    return f"""  br i1 %c2, label %weigh, label %decline
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


def _long_taps(size: int) -> str:
    """Return what finds room to reverse taps that the stack does not hold.

    A correlation's taps are read as they lie, if they lie one after the other.
    """
    return f"""  br i1 %few.taps, label %placed, label %as.they.lie
as.they.lie:{field("w.flags", "w", FLAGS, "i32")}
  %w.bits = and i32 %w.flags, {CONTIGUOUS_ALIGNED}
  %w.packed = icmp eq i32 %w.bits, {CONTIGUOUS_ALIGNED}
  %as.they.are = xor i1 %conjugates.w, true
  %in.order = and i1 %w.packed, %keep
  %borrows = and i1 %in.order, %as.they.are
  br i1 %borrows, label %placed, label %room
room:
  %bytes = mul i64 %k, {size}
  %heap = call ptr %PyMem_RawMalloc(i64 %bytes)
  %is.full.up = icmp eq ptr %heap, null
  br i1 %is.full.up, label %decline, label %placed
placed:
  %reversed = phi ptr [ %taps, %place ], [ %taps, %as.they.lie ], [ %heap, %room ]
  %kept = phi ptr [ null, %place ], [ null, %as.they.lie ], [ %heap, %room ]
  %borrowed = phi i1 [ false, %place ], [ true, %as.they.lie ], [ false, %room ]"""
