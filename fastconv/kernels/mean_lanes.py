"""How sums in doubles become means of a dtype: scaled, converted, stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from ..runtime.target import Target
from .emit import splat
from .ordered_convert import element_of, from_double
from .simd import call_llvm, overload_suffix

# Whole numbers below 2**50 times a reciprocal this much too large are cut off where their exact
# quotients are; a divider takes five times as long as a multiplier.
_MORE = 1.0 + 2.0**-51


@dataclass(frozen=True, slots=True)
class Mean:
    """Means of one dtype.

    Parameters
    ----------
    dtype : str
        The dtype in memory.
    fused : bool
        Whether a multiply-add is one instruction, and one rounding.
    """

    dtype: str
    fused: bool

    @classmethod
    def of(cls, target: Target, dtype: str) -> Mean:
        """Return the means of `dtype` on `target`."""
        return cls(dtype, "FMA3" in target.requires or target.name == "aarch64")

    @property
    def size(self) -> int:
        """Bytes of one mean."""
        return np.dtype(self.dtype).itemsize

    @property
    def divides(self) -> bool:
        """Whether sums are divided: products with a reciprocal are rounded twice.

        In float32 the second rounding hides the first, and short integers' sums are short.
        """
        return self.dtype != "float32" and self.size > 2

    @property
    def more(self) -> float:
        """What over the divisor sums are multiplied with."""
        return 1.0 if self.dtype == "float32" else _MORE

    def store(self, b: Any, total: Any, factor: Any, pointer: Any) -> None:
        """Store the means of a vector of sums."""
        count = total.type.count
        number = splat(b, factor, total.type)
        value = self._quotient(b, total, number) if self.divides else b.fmul(total, number)
        b.store(from_double(b, value, self.dtype, count), pointer, align=self.size)

    def _quotient(self, b: Any, total: Any, divisor: Any) -> Any:
        """Return total / divisor, a whole number below 2**50.

        By its reciprocal z, and what that leaves: q = total*z is off by less than two of its last
        places, e = total - q*divisor is exact, and q + e*z is off by 2**-51 of such a place before
        it is rounded. No quotient is that near to the middle of two doubles, where it would matter:
        it is 1/(2 divisor) away (but for halves of the least double, which are rounded either way).
        A divider takes AVX2 5 to 16 cycles for a vector.
        """
        if not self.fused:
            return b.fdiv(total, divisor)
        z = b.fdiv(splat(b, ir.Constant(ir.DoubleType(), 1.0), total.type), divisor)
        fma = f"llvm.fma.{overload_suffix(total.type)}"
        q = b.fmul(total, z)
        e = call_llvm(b, fma, total.type, [b.fneg(q), divisor, total])
        near = call_llvm(b, fma, total.type, [e, z, q])
        # Of an infinite sum nothing is left: it is its own quotient.
        return b.select(b.fcmp_unordered("uno", e, e), q, near)

    def at(self, b: Any, pointer: Any, position: Any) -> Any:
        """Return the address of mean number `position`."""
        return b.gep(pointer, [position], source_etype=element_of(self.dtype))

    def model(self, total: Any, factor: float) -> Any:
        """Return what `store` stores of an array of sums."""
        means = total / factor if self.divides else total * factor
        if np.dtype(self.dtype).kind in "iu":
            means = means.astype(np.int64)
        return means.astype(self.dtype)
