"""Views of arrays copied to views of others, by the compiled loop where it is ready."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import KERNELS
from ..runtime import load
from ..runtime.scratch import scratch

__all__ = ["copy", "fill", "packed", "zero"]

Array = npt.NDArray[Any]

# Elements are moved, not looked at.
_DTYPES = {np.dtype(name).itemsize: name for name in KERNELS["strided_copy"].dtypes}
_MOST_AXES = 6


def copy(whole: Array, source: Array, into: Array, goal: Array) -> None:
    """Copy `source`, a view of `whole`, to `goal`, a view of `into`.

    `whole` and `into` are C-contiguous, of one dtype, and share no memory.
    """
    if source.size == 0:
        return
    axes = _axes(source.shape, source.strides, goal.strides, whole.itemsize)
    kernel = None
    if axes is not None and whole.dtype == into.dtype:
        dtype = _DTYPES[whole.itemsize]
        kernel = load.ready("strided_copy", dtype)
    if kernel is None or axes is None:
        goal[...] = source
        load.aside()
        return
    starts = ((_address(v) - _address(w)) // w.itemsize for v, w in ((source, whole), (goal, into)))
    x, out = whole.reshape(-1).view(dtype), into.reshape(-1).view(dtype)
    kernel(x, out, *starts, *axes)


def packed(whole: Array, view: Array, purpose: str) -> Array:
    """Return `view` of `whole` C-contiguous, in `scratch` if it is not so."""
    if view.flags.c_contiguous:
        return view
    into = scratch(view.size, view.dtype, purpose).reshape(view.shape)
    copy(whole, view, into, into)
    return into


def fill(values: Array, into: Array, goal: Array) -> None:
    """Store `values`, C-contiguous and broadcast to its shape, in `goal`, a view of `into`."""
    copy(values, np.broadcast_to(values, goal.shape), into, goal)


@lru_cache(maxsize=32)
def zero(dtype: np.dtype[Any]) -> Array:
    """Return one zero, which nobody writes to."""
    found = np.zeros(1, dtype)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=1024)
def _axes(
    shape: tuple[int, ...], x_steps: tuple[int, ...], steps: tuple[int, ...], size: int
) -> tuple[int, ...] | None:
    """Return the kernel's lengths and steps, or None if it has too few axes or no such elements.

    Axes that go on one another are one, and those with the longer steps in the goal come first.
    """
    if size not in _DTYPES:
        return None
    axes = sorted(
        (abs(s), n, x // size, s // size)
        for n, x, s in zip(shape, x_steps, steps, strict=True)
        if n > 1
    )
    merged: list[tuple[int, int, int]] = []
    for _, n, x, s in axes:  # The innermost first.
        if merged:
            count, x_inner, inner = merged[-1]
            if (x, s) == (count * x_inner, count * inner):
                merged[-1] = count * n, x_inner, inner
                continue
        merged.append((n, x, s))
    if len(merged) > _MOST_AXES:
        return None
    merged += [(1, 0, 0)] * (_MOST_AXES - len(merged))
    if merged[0][0] == 1:
        merged[0] = 1, 1, 1
    return tuple(field for column in zip(*reversed(merged), strict=True) for field in column)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
