"""What the algorithms for layers share: samples with zeros around, and the epilogue's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ...layer import Epilogue, Layer
from ...runtime.scratch import scratch
from .. import arrange

# What copying or reading whole vectors may touch beyond the last sample of a frame.
SLACK = 128
_ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2}


def kernel_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`: unsigned integers wrap as signed ones do."""
    return dtype[1:] if dtype.startswith("uint") else dtype


def activation_of(layer: Layer, epilogue: Epilogue) -> int:
    """Return the kernels' number of an activation; a callable is applied afterwards."""
    if not epilogue.compiled or layer.dtype.startswith("uint"):
        return 0  # No unsigned number is negative.
    return _ACTIVATIONS[epilogue.activation]


@lru_cache(maxsize=64)
def slope_of(slope: float, dtype: str) -> Any:
    """Return the slope as the kernels take it."""
    found = np.array([slope if dtype.startswith("float") else 0], dtype)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=64)
def no_bias(count: int, dtype: str) -> Any:
    """Return so many zeros, which nobody writes to."""
    found = np.zeros(count, dtype)
    found.flags.writeable = False
    return found


def apply_callable(
    epilogue: Epilogue, flat: Any, shape: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    """Apply the caller's function to a band that is still in cache; `steps` count elements."""
    strides = tuple(step * flat.itemsize for step in steps)
    view = np.lib.stride_tricks.as_strided(flat, shape, strides)
    with np.errstate(all="ignore"):
        view[...] = epilogue.activation(view)


def around(x: Any, starts: Sequence[int], sides: Sequence[int]) -> Any:
    """Return, of each channel of x, the box from `starts` with `sides`; zeros outside."""
    slab = np.zeros((len(x), *sides), x.dtype)
    source, goal = _meeting(x.shape[1:], starts, sides)
    slab[goal] = x[source]
    return slab


def around_in_scratch(whole: Any, x: Any, starts: Sequence[int], sides: Sequence[int]) -> Any:
    """Return the same of a view x of `whole`, by kernels where they are ready."""
    slab = scratch(len(x) * prod(sides), x.dtype, "slab").reshape(len(x), *sides)
    source, goal = _meeting(x.shape[1:], starts, sides)
    if goal != (slice(None), *(slice(0, side) for side in sides)):
        arrange.fill(arrange.zero(x.dtype), slab, slab)
    arrange.copy(whole, x[source], slab, slab[goal])
    return slab


def _meeting(
    shape: tuple[int, ...], starts: Sequence[int], sides: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what the box from `starts` with `sides` meets, and where it lies in the box."""
    source, goal = [slice(None)], [slice(None)]
    for start, side, n in zip(starts, sides, shape, strict=True):
        lo, hi = max(start, 0), min(start + side, n)
        source.append(slice(lo, max(lo, hi)))
        goal.append(slice(lo - start, max(lo, hi) - start))
    return tuple(source), tuple(goal)
