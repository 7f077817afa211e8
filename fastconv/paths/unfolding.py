"""Windows of planes side by side, and back again, by the compiled loops where they are ready."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..runtime import load
from .arrange import zero

__all__ = ["fold", "seconds", "unfold"]

Array = npt.NDArray[Any]
Pair = tuple[int, ...]

# Elements are moved, not looked at.
_MOVED = {np.dtype(name).itemsize: name for name in KERNELS["unfold"].dtypes}
_ELEMENTS_PER_SECOND = 2e9


def seconds(elements: int) -> float:
    """Return how long the loops take for windows of so many elements altogether."""
    return elements / _ELEMENTS_PER_SECOND


def unfold(x: Array, out: Array, windows: tuple[Pair, ...], counts: Pair) -> bool:
    """Store windows (size, stride, dilation, padding) of x's planes side by side.

    Returns whether a loop is ready for it.
    """
    dtype = _MOVED.get(x.itemsize, "")
    return _call("unfold", dtype, x, out, x.shape[-2:], windows, counts)


def fold(x: Array, out: Array, windows: tuple[Pair, ...], sizes: Pair, counts: Pair) -> bool:
    """Add windows that lie side by side up in out's planes, if a loop is ready for it."""
    dtype = x.dtype.name
    dtype = dtype[1:] if dtype.startswith("uint") else dtype
    return _call("fold", dtype, x, out, sizes, windows, counts)


def _call(
    name: str, dtype: str, x: Array, out: Array, sizes: Pair, windows: tuple[Pair, ...],
    counts: Pair,
) -> bool:  # fmt: skip
    if dtype not in KERNELS[name].dtypes or (kernel := load.ready(name, dtype)) is None:
        return False
    size, *others = windows
    planes = (x if name == "unfold" else out).size // (sizes[0] * sizes[1])
    nothing = zero(np.dtype(dtype))
    kernel(x.reshape(-1).view(dtype), out.reshape(-1).view(dtype), nothing, planes, *sizes, *size,
           *counts, *(n for field in others for n in field))  # fmt: skip
    return True
