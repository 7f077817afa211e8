"""Build kernels ahead of time: Numba's typed IR, our own C wrappers, LLVM's O3, one object.

Run as ``python -m fastconv.runtime.build`` in a process of its own, so that the caller never
imports Numba. `entry` says which entry points each kernel gets.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

from ..kernels import KERNELS, Kernel
from . import cache
from .entry import entries, whole_entries
from .target import TARGETS, Target, host_target


def build_object(name: str, dtype: str, target: Target, *, triple: str = "") -> bytes:
    """Return the relocatable object of one kernel for one dtype."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = triple or llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.cpu or "generic" if triple != llvm.get_process_triple() else _cpu(target),
        features=target.features,
        opt=3,
        reloc="pic",
        codemodel="small",
    )
    module = llvm.parse_assembly(_unit_ir(KERNELS[name], dtype, target))
    module.triple = triple
    module.data_layout = str(machine.target_data)
    _optimise(llvm, module, machine)
    _refuse_leftovers(module)
    return bytes(machine.emit_object(module))


def _cpu(target: Target) -> str:
    import llvmlite.binding as llvm

    return target.cpu or str(llvm.get_host_cpu_name())


def _optimise(llvm: Any, module: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    options.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _unit_ir(kernel: Kernel, dtype: str, target: Target) -> str:
    """Return the textual IR of one kernel: Numba's code made internal, our wrappers external."""
    unit = f"{kernel.name}_{dtype}"
    if not kernel.arrays:
        return str(_factory(kernel, "whole")(unit, 0))
    import numpy as np

    from .jit import compile_kernel

    symbol, text = compile_kernel(*_function_and_signature(kernel, dtype, target))
    text = _each_once(_with_loops_as_written(_make_internal(text)))
    text += entries(unit, symbol, len(kernel.arrays), kernel.integers)
    if kernel.one_call:
        first = dtype if kernel.arrays[0] == "T" else kernel.arrays[0]
        text += _factory(kernel, "whole")(unit, np.dtype(first).itemsize) + whole_entries(unit)
    return text


def _factory(kernel: Kernel, kind: str) -> Any:
    """Return ``make_<kernel>`` or ``whole_<kernel>`` of a kernel's module."""
    module = importlib.import_module(f"fastconv.kernels.{kernel.module}")
    return getattr(module, f"{kind}_{kernel.name}")


def _function_and_signature(kernel: Kernel, dtype: str, target: Target) -> tuple[Any, Any]:
    """Return a kernel's Python function for one dtype and target, and its Numba types."""
    import numpy as np
    from numba import types
    from numba.np.numpy_support import from_dtype

    from .memory import Memory

    function = _factory(kernel, "make")(target, dtype)
    dtypes = [dtype if a == "T" else a for a in kernel.arrays]
    arrays = [Memory(from_dtype(np.dtype(d))) for d in dtypes]
    return function, tuple(arrays + [types.int64] * kernel.integers)


def _make_internal(text: str) -> str:
    """Make every definition and Numba environment private to the object."""
    text = re.sub(
        r"^define (?:linkonce_odr )?(?!internal |private )", "define internal ", text, flags=re.M
    )
    return re.sub(
        r"^(@_ZN08NumbaEnv\S+) = common (?:\w+ )*global",
        r"\1 = internal global",
        text,
        flags=re.M,
    )


_FUNCTION = re.compile(r'^define internal [^\n]*?@("?)([\w.$-]+)\1\(.*?^}\n', re.M | re.S)
_BRANCH = re.compile(r"^  br .*", re.M)


def _with_loops_as_written(text: str) -> str:
    """Keep LLVM from unrolling the loops that Numba compiled: a third of a kernel's size.

    Those that count are in the micro kernels, or hold so much that they are not unrolled.
    """

    def marked(match: re.Match[str]) -> str:
        if not match[2].startswith("_Z"):
            return match[0]
        return _BRANCH.sub(lambda branch: branch[0] + ", !llvm.loop !9000000", match[0])

    mark = '!9000000 = distinct !{!9000000, !9000001}\n!9000001 = !{!"llvm.loop.unroll.disable"}\n'
    return _FUNCTION.sub(marked, text) + "\n" + mark


def _each_once(text: str) -> str:
    """Leave one of several functions of one body.

    Each function that Numba compiles brings its own copies of the micro kernels that it calls; the
    linker names them ``<name>.<number>``.
    """
    first: dict[str, str] = {}
    copies: dict[str, str] = {}
    for match in _FUNCTION.finditer(text):
        name = match[2]
        same = first.setdefault(match[0].replace("@" + name + "(", "@("), name)
        if same != name and same.split(".")[0] == name.split(".")[0]:
            copies[name] = same
    if not copies:
        return text
    text = _FUNCTION.sub(lambda match: "" if match[2] in copies else match[0], text)
    # Whoever called one copy or the other may now be one, too.
    return _each_once(re.sub(r"@([\w.$-]+)(?=\()", lambda m: "@" + copies.get(m[1], m[1]), text))


def _refuse_leftovers(module: Any) -> None:
    """Refuse undefined symbols and writable data: what a kernel must not need."""
    allowed = re.compile(r"llvm\.|memset$|memcpy$|memmove$")
    undefined = [f.name for f in module.functions if f.is_declaration and not allowed.match(f.name)]
    writable = [g.name for g in module.global_variables if " constant " not in str(g)]
    if undefined or writable:
        raise RuntimeError(f"kernels must stand alone, got symbols {undefined + writable}")


def linker() -> str | None:
    """Return the linker of this machine."""
    import shutil

    return next((p for p in map(shutil.which, ("ld", "ld.lld", "cc", "gcc")) if p), None)


def link(objects: Path, library: Path) -> None:
    """Link one object file into a shared library.

    Raises
    ------
    FileNotFoundError
        If the machine has no linker.
    """
    import subprocess

    found = linker()
    if found is None:
        raise FileNotFoundError("a linker (ld) must be on PATH to build kernels")
    driver = ["-nostdlib"] if found.endswith("cc") else []
    # Code and data share pages, and no symbols but the exported ones stay: some 9 kB less each.
    slim = ["-s", "-z", "noseparate-code"]
    command = [found, "-shared", *driver, "-z", "now", *slim]
    subprocess.run([*command, "-o", str(library), str(objects)], check=True)


def build_library(name: str, dtype: str, target: Target) -> bytes:
    """Return the bytes of the shared library of one kernel for one dtype."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fastconv-build-") as folder:
        objects, library = Path(folder, "kernels.o"), Path(folder, "kernels.so")
        objects.write_bytes(build_object(name, dtype, target))
        link(objects, library)
        return library.read_bytes()


def main(argv: list[str] | None = None) -> int:
    """Build the named units, or all, into the user's cache or the package's ready folder."""
    parser = argparse.ArgumentParser(prog="python -m fastconv.runtime.build", description=__doc__)
    parser.add_argument("--target", choices=list(TARGETS), default=host_target().name)
    parser.add_argument("--cache", action="store_true", help="write to the user's cache")
    parser.add_argument(
        "--share", default="0/1", metavar="I/N", help="each N-th unit from the I-th"
    )
    parser.add_argument(
        "--object", action="store_true", help="leave the linking to the process that loads it"
    )
    parser.add_argument("units", nargs="*", help="kernel_dtype, such as rows_float64")
    args = parser.parse_args(argv)
    os.environ.setdefault("NUMBA_OPT", "0")
    from .jit import without_machine_code

    first, step = map(int, args.share.split("/"))
    units = [u for u in all_units() if not args.units or "_".join(u) in args.units][first::step]
    target = TARGETS[args.target]
    with without_machine_code():
        for name, dtype in units:
            if not args.cache:
                _into_package(target, name, dtype)
            elif not _into_cache(target, name, dtype, args.object or linker() is None):
                print("the cache folder must be writable", file=sys.stderr)
                return 1
    return 0


def _into_cache(target: Target, name: str, dtype: str, as_object: bool) -> bool:
    path = cache.library_path(target.name, name, dtype)
    if path is None:
        return False
    if as_object:
        path = cache.object_path(path)
    if not cache.intact(path):
        build = build_object if as_object else build_library
        cache.seal(path, build(name, dtype, target))
    print(path, flush=True)  # To who waits for it: to find its key again would take 2 ms.
    return True


def _into_package(target: Target, name: str, dtype: str) -> None:
    path = Path(cache.ready_path(target.name, name, dtype))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(build_library(name, dtype, target))
        cache.prune(str(path), 1)
    print(path)


def all_units() -> list[tuple[str, str]]:
    """Return every (kernel name, dtype) of the export table."""
    return [(k.name, dtype) for k in KERNELS.values() for dtype in k.dtypes]


if __name__ == "__main__":
    sys.exit(main())
