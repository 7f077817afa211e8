"""Asking for samples before they are needed, where the machine does not see what comes next."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .emit import Values, index, loop
from .simd import call_llvm
from .workspace import address

_LINE_BYTES = 64


def make_fetch(dtype: str) -> Any:
    """Return ``fetch(x, at, count)``: ask for the lines of x[at : at + count].

    They need not exist: nothing is read.
    """
    samples = _LINE_BYTES // np.dtype(dtype).itemsize

    @intrinsic(model=lambda x, at, count: None)
    def fetch(typingctx: Any, x: Any, at: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            numbers = [ir.Constant(ir.IntType(32), v) for v in (0, 3, 1)]
            base = address(context, builder, x, args[0], args[1])

            def line(j: Any, _: Values) -> Values:
                bytes_on = builder.mul(j, index(_LINE_BYTES))
                place = builder.gep(base, [bytes_on], source_etype=ir.IntType(8))
                call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), [place, *numbers])
                return []

            loop(builder, builder.sdiv(args[2], index(samples)), [], line)
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i), codegen

    return fetch
