"""The one door to Numba: every JIT flag, once, and intrinsics that carry their Python model.

Imported by kernels when they are built or run through Numba, never at ``import fastconv``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types
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


def intrinsic(model: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a Numba intrinsic with the Python `model` that stands for it without the JIT."""

    def decorate(typing_function: Callable[..., Any]) -> Any:
        if JIT_DISABLED:
            return model
        return _numba_intrinsic(prefer_literal=True)(typing_function)

    return decorate
