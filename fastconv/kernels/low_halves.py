"""Products of 64-bit integers that fit into 32 bits: one instruction instead of seven.

No machine below AVX-512 multiplies vectors of 64-bit integers, but AVX2 multiplies their low halves
to whole products. Most integers in memory are small enough, and to look costs less than one tap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import LOW, Arithmetic
from .workspace import address, sweep

_HALF = 32


def has_low(target: Target, dtype: str) -> bool:
    """Return whether loops over `dtype` have another version for numbers of 32 bits."""
    return dtype == "int64" and target.vector_bytes >= 32


def make_fits(target: Target) -> Any:
    """Return ``fits(x, start, n)``: whether all of x[start : start + n] are numbers of 32 bits."""
    a = Arithmetic.of(target, LOW)

    def model(x: Any, start: int, n: int) -> bool:
        some = x[start : start + n]
        return bool((some.astype(np.int32) == some).all())

    @intrinsic(model=model)
    def fits(typingctx: Any, x: Any, start: Any, n: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base = address(context, builder, x, args[0], args[1])
            offset = ir.Constant(a.held, [1 << (_HALF - 1)] * a.lanes)

            def join(value: Any, total: Any) -> Any:
                # From -2^31..2^31-1 to 0..2^32-1: the high half is zero.
                return builder.or_(total, builder.add(value, offset))

            total = sweep(builder, a, base, args[2], join, builder.or_)
            high = builder.lshr(total, ir.Constant(a.held, [_HALF] * a.lanes))
            bits = builder.bitcast(high, ir.IntType(64 * a.lanes))
            return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))

        return types.boolean(x, types.intp, types.intp), codegen

    return fits
