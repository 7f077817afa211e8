"""Backwards through a pooling: gradients to the places of maxima, or shared out over windows."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..runtime import load
from .pool_windows import Windows, all_boxes
from .pools import nothing

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]


def put(values: Array, places: Numbers, out: Array, wrong: Numbers) -> bool:
    """Store values (planes, outputs) in out (planes, samples) at their places, zeros elsewhere.

    Returns whether a loop is ready for it; ``wrong[0]`` is whether a place lies outside.
    """
    dtype = _MOVED.get(out.dtype.itemsize, "")
    return _by_places("pool_put", dtype, values, places, out, wrong)


def scatter(values: Array, places: Numbers, out: Array, wrong: Numbers) -> bool:
    """Add values (planes, outputs) up in out (planes, samples) at their places; as `put`."""
    return _by_places("pool_scatter", out.dtype.name, values, places, out, wrong)


def _by_places(
    name: str, dtype: str, values: Array, places: Numbers, out: Array, wrong: Numbers
) -> bool:
    if dtype not in KERNELS[name].dtypes or (kernel := load.ready(name, dtype)) is None:
        return False
    planes, samples = out.shape
    kernel(values.reshape(-1).view(dtype), out.reshape(-1).view(dtype), places.reshape(-1), wrong,
           nothing(dtype), planes, samples, values.shape[1])  # fmt: skip
    return True


# Elements that are moved, not looked at.
_MOVED = {np.dtype(name).itemsize: name for name in KERNELS["pool_put"].dtypes}


def spread(windows: Windows, grad: Array, out: Array, shares: Array, columns: Array) -> bool:
    """Add grad (planes, *output) over shares * columns up in all samples of its windows.

    Returns whether a loop is ready for it.
    """
    dtype = out.dtype.name
    if dtype not in KERNELS["pool_spread"].dtypes:
        return False
    if (kernel := load.ready("pool_spread", dtype)) is None:
        return False
    boxes = all_boxes(windows)
    last, plane = boxes.axes[-1], prod(windows.signal)
    kernel(grad.reshape(-1), out.reshape(-1), shares, columns, nothing(dtype), *boxes.rows,
           last.first, last.stop, out.size // plane, plane, len(boxes.rows.starts) - 1,
           len(last.first))  # fmt: skip
    return True
