"""What the arguments of a pooling mean: windows per axis, planes, and where the result goes."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..paths.pool_windows import Windows
from .arguments import LAYOUTS

__all__ = ["Planes", "settle"]

Array = npt.NDArray[Any]
Sizes = int | tuple[int, ...]


class Planes:
    """The pooled array of one call, taken apart.

    Parameters
    ----------
    input : array_like
        What is pooled.
    ndim : int
        How many axes are.
    layout : str
        One of `arguments.LAYOUTS`: whether the pooled axes are the last ones or stand before
        the channels.
    """

    def __init__(self, input: npt.ArrayLike, ndim: int, layout: str) -> None:
        array = np.asarray(input)
        if layout not in LAYOUTS[ndim]:
            raise ValueError(f"layout must be one of {list(LAYOUTS[ndim])}, got {layout!r}")
        self.channels_last = layout.endswith("C")
        least = ndim + self.channels_last
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"input must hold real numbers or bool, got {array.dtype}")
        if array.ndim < least:
            raise ValueError(f"input must have at least {least} axes, got shape {array.shape}")
        self.ndim, self.dtype = ndim, array.dtype.newbyteorder("=")
        last = array.ndim - self.channels_last
        self.lead, self.signal = array.shape[: last - ndim], array.shape[last - ndim : last]
        self.behind = array.shape[last:]
        if 0 in self.signal:
            raise ValueError(f"input must have samples to pool, got shape {array.shape}")
        self.given = array

    @property
    def planes(self) -> int:
        """How many planes are pooled."""
        return prod(self.lead) * prod(self.behind)

    def shape(self, output: tuple[int, ...]) -> tuple[int, ...]:
        """Return the result's shape."""
        return (*self.lead, *output, *self.behind)

    def as_it_lies(self) -> Array:
        """Return the input packed, without moving its axes."""
        return np.asarray(np.require(self.given, self.dtype, ("C", "A")))

    def packed(self) -> Array:
        """Return the input as (planes, *signal); channels that lie last are moved."""
        array = np.moveaxis(self.given, -1, len(self.lead)) if self.channels_last else self.given
        packed = np.require(array, self.dtype, ("C", "A"))
        return np.asarray(packed).reshape(self.planes, *self.signal)

    def place(self, out: Array | None, output: tuple[int, ...], moved: bool) -> Array:
        """Return an array for the result: `out` itself where a loop may write there."""
        shape = self.shape(output)
        if out is not None:
            if not isinstance(out, np.ndarray):
                raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
            request.check_out(out, shape, self.dtype)
            fits = out.flags.c_contiguous and out.flags.aligned and not moved
            if fits and not np.may_share_memory(out, self.given):
                return out
        if moved:
            shape = (*self.lead, *self.behind, *output)
        return np.empty(shape, self.dtype)

    def deliver(self, result: Array, out: Array | None, moved: bool) -> Array:
        """Return `out` with the result in it, or the result."""
        if moved:
            result = np.ascontiguousarray(np.moveaxis(result, len(self.lead), -1))
        if out is None or out is result:
            return result
        out[...] = result
        return out


def settle(
    signal: tuple[int, ...],
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> Windows:
    """Return the windows over `signal`, with torch's rules for sizes and for `ceil_mode`."""
    # True equals 1 and 2.0 equals 2: only plain integers are looked up.
    if all(map(_exact, (kernel_size, stride, padding, dilation))):
        return _kept(signal, kernel_size, stride, padding, dilation, bool(ceil_mode))
    return _settle(signal, kernel_size, stride, padding, dilation, ceil_mode)


def _exact(value: Any) -> bool:
    if type(value) is tuple:
        return all(type(v) is int for v in value)
    return value is None or type(value) is int


def _settle(
    signal: tuple[int, ...],
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> Windows:
    ndim = len(signal)
    sizes = each("kernel_size", kernel_size, ndim, 1)
    strides = sizes if stride is None or stride == () else each("stride", stride, ndim, 1)
    pads, dilations = each("padding", padding, ndim, 0), each("dilation", dilation, ndim, 1)
    outputs = []
    for n, k, s, p, d in zip(signal, sizes, strides, pads, dilations, strict=True):
        if 2 * p > k:
            raise ValueError(f"padding must be at most half of kernel_size {k}, got {p}")
        room = n + 2 * p - geometry.span(k, d)
        if room < 0 and not (ceil_mode and room + s > 0):
            raise ValueError(
                f"kernel_size must fit into the padded input {n + 2 * p}, got {k} with dilation {d}"
            )
        m = (room + (s - 1 if ceil_mode else 0)) // s + 1
        # The last window begins inside the input or left of it.
        if ceil_mode and (m - 1) * s >= n + p:
            m -= 1
        outputs.append(m)
    return Windows(signal, sizes, strides, dilations, pads, tuple(outputs))


_kept = lru_cache(maxsize=512)(_settle)


def each(name: str, value: Any, ndim: int, least: int) -> tuple[int, ...]:
    """Return one integer per axis; a single one serves all."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) == 1:
        values *= ndim
    if len(values) != ndim:
        raise ValueError(f"{name} must be one integer or {ndim}, got {value!r}")
    numbers = tuple(request.integer(name, v) for v in values)
    if min(numbers) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return numbers
