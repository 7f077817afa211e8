"""How sums in doubles become means of a dtype: scaled, converted, stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .emit import splat
from .ordered_convert import element_of, from_double

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
    """

    dtype: str

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
        value = (b.fdiv if self.divides else b.fmul)(total, splat(b, factor, total.type))
        b.store(from_double(b, value, self.dtype, count), pointer, align=self.size)

    def at(self, b: Any, pointer: Any, position: Any) -> Any:
        """Return the address of mean number `position`."""
        return b.gep(pointer, [position], source_etype=element_of(self.dtype))

    def model(self, total: Any, factor: float) -> Any:
        """Return what `store` stores of an array of sums."""
        means = total / factor if self.divides else total * factor
        if np.dtype(self.dtype).kind in "iu":
            means = means.astype(np.int64)
        return means.astype(self.dtype)
