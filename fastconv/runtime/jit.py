"""The one door to Numba: every JIT flag, once, and intrinsics that carry their Python model.

Imported by kernels when they are built or run through Numba, never at ``import fastconv``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import types
from numba.core import codegen, cpu
from numba.extending import intrinsic as _numba_intrinsic

# NaN and Inf are data: no nnan, no ninf. contract lets a*b+c become one FMA.
FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
JIT_DISABLED = bool(numba.config.DISABLE_JIT)


def inline(function: Callable[..., Any]) -> Any:
    """Make `function` callable from kernels; its body is merged into the caller's."""
    return numba.njit(forceinline=True, **FLAGS)(function)


def compile_kernel(function: Callable[..., Any], signature: tuple[Any, ...]) -> tuple[str, str]:
    """Compile `function` for `signature` and return its symbol and unoptimised LLVM IR."""
    dispatcher = numba.njit(**FLAGS)(function)
    dispatcher.compile(signature)
    overload = dispatcher.overloads[signature]
    if overload.signature.return_type != types.none:
        raise TypeError(f"kernel must return nothing, got {overload.signature.return_type}")
    return overload.fndesc.llvm_func_name, overload.library.get_llvm_str()


@contextmanager
def without_machine_code() -> Iterator[None]:
    """Keep Numba from generating machine code that nobody runs: a tenth to a sixth of a build.

    We want its IR only, and generate code ourselves. Where a Numba lacks what is replaced here,
    nothing is; the IR is the same either way. For processes of our own: nobody else can compile.
    """

    def no_executable(self: Any, library: Any, fndesc: Any, env: Any) -> Any:
        library._ensure_finalized()
        return [].append  # A dispatcher wants a builtin, a different one for each overload.

    replacements = (
        (codegen.JITCodeLibrary, "_finalize_specific", lambda self: None),
        (codegen.JITCPUCodegen, "_add_module", lambda self, module: None),
        (cpu.CPUContext, "get_executable", no_executable),
    )
    kept = [owner.__dict__.get(name) for owner, name, _ in replacements]
    if None in kept:
        yield
        return
    try:
        for owner, name, replacement in replacements:
            setattr(owner, name, replacement)
        yield
    finally:
        for (owner, name, _), before in zip(replacements, kept, strict=True):
            setattr(owner, name, before)


def intrinsic(model: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a Numba intrinsic with the Python `model` that stands for it without the JIT."""

    def decorate(typing_function: Callable[..., Any]) -> Any:
        if JIT_DISABLED:
            return model
        return _numba_intrinsic(prefer_literal=True)(typing_function)

    return decorate
