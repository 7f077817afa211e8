"""The part of an image that some windows see, zeros outside included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def around(x: Any, starts: Sequence[int], sides: Sequence[int]) -> Any:
    """Return, of each channel of x, the box from `starts` with `sides`; zeros outside."""
    slab = np.zeros((len(x), *sides), x.dtype)
    source, goal = [slice(None)], [slice(None)]
    for start, side, n in zip(starts, sides, x.shape[1:], strict=True):
        lo, hi = max(start, 0), min(start + side, n)
        source.append(slice(lo, max(lo, hi)))
        goal.append(slice(lo - start, max(lo, hi) - start))
    slab[tuple(goal)] = x[tuple(source)]
    return slab
