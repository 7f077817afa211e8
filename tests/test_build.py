"""What a build makes of Numba's code before LLVM sees it."""

from __future__ import annotations

import ctypes
import os

import numpy as np
import pytest

pytest.importorskip("numba")

from llvmlite import binding, ir
from test_kernels_direct1d import fenced

from fastconv.kernels.emit import I64, POINTER
from fastconv.kernels.some_lanes import load_first, load_some
from fastconv.runtime.build import _each_once, _make_internal, _with_loops_as_written
from fastconv.runtime.target import TARGETS, host_target

COPIES = """
define internal void @load.3(ptr %a) {
entry:
  ret void
}

define internal void @load(ptr %a) {
entry:
  ret void
}

define internal void @tile.7(ptr %a) {
entry:
  call void @load.3(ptr %a)
  ret void
}

define internal void @tile(ptr %a) {
entry:
  call void @load(ptr %a)
  ret void
}

define internal void @other(ptr %a) {
entry:
  call void @tile(ptr %a)
  call void @tile.7(ptr %a)
  ret void
}
"""


def test_functions_of_one_body_are_one_and_so_are_their_callers():
    text = _each_once(COPIES)
    binding.parse_assembly(text).verify()
    assert [line.split("(")[0] for line in text.splitlines() if line.startswith("define")] == [
        "define internal void @load.3",
        "define internal void @tile.7",
        "define internal void @other",
    ]
    assert text.count("call void @tile.7(") == 2


def test_functions_that_only_look_alike_stay():
    head = "@load(ptr %a) {\nentry:\n  "
    text = COPIES.replace(head, head + "call void @far()\n  ")
    assert _each_once(text) == text


LOOP = """
define void @_ZN4glue(i64 %n) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %j, %head ]
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %head, label %done
done:
  ret void
}
"""


def test_loops_are_marked_in_what_numba_compiled_and_nowhere_else():
    text = _with_loops_as_written(_make_internal(LOOP + LOOP.replace("@_ZN4glue", "@tile")))
    binding.parse_assembly(text).verify()
    glue, tile = text.split("@tile(")
    assert glue.count("!llvm.loop !") == 2 and tile.count("!llvm.loop !") == 0


def _compiled(target, name, dtype, lanes, fill):
    """Return a C function (source, first, last, goal) that loads some lanes and stores all."""
    size = np.dtype(dtype).itemsize
    kind = ir.VectorType(ir.IntType(8 * size), lanes)
    module = ir.Module()
    main = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, POINTER]), "main")
    builder = ir.IRBuilder(main.append_basic_block("entry"))
    source, first, last, goal = main.args
    if name == "first":
        value = load_first(builder, target, source, last, kind, size)
    else:
        others = ir.Constant(kind, [fill] * lanes)
        value = load_some(builder, target, source, first, last, others, size)
    builder.store(value, builder.bitcast(goal, kind.as_pointer()), align=1)
    builder.ret_void()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    parsed = binding.parse_assembly(str(module))
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2
    )
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return engine, ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("main"))


@pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("name", ["first", "some"])
@pytest.mark.parametrize("target", ["x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64", "plain"])
def test_lanes_are_loaded_between_any_bounds_and_nothing_else_is_touched(target, name, dtype):
    runs = list(TARGETS).index(host_target().name) <= list(TARGETS).index(target)
    if not runs or (target == "aarch64") != (host_target().name == "aarch64"):
        pytest.skip(f"this CPU does not run {target}")
    target = TARGETS[target]
    lanes = 3 * target.vector_bytes // np.dtype(dtype).itemsize
    if name == "first":
        lanes //= 3
    engine, call = _compiled(target, name, dtype, lanes, fill=7)
    content = (np.arange(lanes) % 200 + 11).astype(dtype)
    for first in range(-1, lanes + 2) if name == "some" else [0]:
        for last in range(-2, lanes + 3):
            wanted = np.full(lanes, 7 if name == "some" else 0, dtype)
            lo, hi = min(max(first, 0), lanes), min(max(last, 0), lanes)
            count = max(hi - lo, 0)
            for at_end in (False, True):
                inner = fenced(content[:count], at_end)
                wanted[lo : lo + count] = inner
                found = np.empty(lanes, dtype)
                call(inner.ctypes.data - lo * inner.itemsize, first, last, found.ctypes.data)
                np.testing.assert_array_equal(found, wanted)
    del engine
