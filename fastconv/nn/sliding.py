"""unfold and fold: the windows of an image side by side, and back again by adding up."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..paths import unfolding as sliding
from . import arguments, taped
from .arguments import Array

__all__ = ["fold", "unfold"]

Pair = tuple[int, ...]


def unfold(
    input: npt.ArrayLike,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Array:
    """Lay the windows of images side by side, one column each.

    Parameters
    ----------
    input : array_like, shape (n, c, h, w) or (c, h, w)
        Images of any dtype.
    kernel_size, dilation, padding, stride : int or pair of int
        The windows, as for `conv2d`.

    Returns
    -------
    ndarray, shape (n, c * kh * kw, windows) or (c * kh * kw, windows)
        Of the dtype of `input`; windows run along rows first.

    Raises
    ------
    ValueError
        If `input` has no three or four axes or no pixels, or no window fits.
    TypeError
        If a size is no integer.

    Notes
    -----
    ``out[n, (c, u, v), (i, j)] = x~[n, c, i*stride + u*dilation - padding, likewise for j]``;
    a convolution is the filters times this matrix.

    References
    ----------
    ``torch.nn.functional.unfold``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.unfold(np.arange(6).reshape(1, 2, 3), 2)
    array([[0, 1],
           [1, 2],
           [3, 4],
           [4, 5]])
    """
    key = _key_of("unfold", input, None, kernel_size, dilation, padding, stride)
    if key is not None and (found := taped.play(key, (input,))) is not None:
        return found  # type: ignore[no-any-return]
    array = np.asarray(input)
    if array.ndim not in (3, 4):
        raise ValueError(f"input must have three or four axes, got shape {array.shape}")
    images = array if array.ndim == 4 else array[None]
    if 0 in images.shape[1:]:
        raise ValueError(f"input must have channels and pixels, got shape {array.shape}")
    window = _Window.of(kernel_size, dilation, padding, stride)
    counts = window.counts(images.shape[2:])
    n, c = images.shape[:2]
    shape = (n, c * window.size[0] * window.size[1], counts[0] * counts[1])
    packed = arguments.packed(images)
    found = taped.compute(
        key, (packed,), shape if array.ndim == 4 else shape[1:], sliding.seconds(prod(shape)), 1,
        lambda result: sliding.unfold(packed, result, window.fields, counts),
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    out = np.zeros((n, c, *window.size, *counts), array.dtype.newbyteorder("="))
    for tap in np.ndindex(*window.size):
        goal, source = window.meeting(tap, counts, images.shape[2:])
        out[:, :, tap[0], tap[1]][goal] = images[source]
    result = out.reshape(shape)
    return result if array.ndim == 4 else result.reshape(result.shape[1:])


def fold(
    input: npt.ArrayLike,
    output_size: int | Pair,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Array:
    """Add windows that lie side by side back into images: the transpose of `unfold`.

    Parameters
    ----------
    input : array_like, shape (n, c * kh * kw, windows) or (c * kh * kw, windows)
        The windows.
    output_size : int or pair of int
        Rows and columns of the images.
    kernel_size, dilation, padding, stride : int or pair of int
        The windows, as for `conv2d`.

    Returns
    -------
    ndarray, shape (n, c, *output_size) or (c, *output_size)
        Of the dtype of `input`; integers add modulo 2^n.

    Raises
    ------
    ValueError
        If the shapes are not those of windows of such images.
    TypeError
        If `input` holds no numbers or a size is no integer.

    References
    ----------
    ``torch.nn.functional.fold``.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> fastconv.nn.fold(np.ones((2, 3)), (1, 4), (1, 2))
    array([[[1., 2., 2., 1.]]])
    """
    key = _key_of("fold", input, output_size, kernel_size, dilation, padding, stride)
    if key is not None and (found := taped.play(key, (input,))) is not None:
        return found  # type: ignore[no-any-return]
    array = np.asarray(input)
    if array.dtype.kind not in "iufc":
        raise TypeError(f"input must hold numbers, got {array.dtype}")
    if array.ndim not in (2, 3):
        raise ValueError(f"input must have two or three axes, got shape {array.shape}")
    columns = array if array.ndim == 3 else array[None]
    sizes = arguments.per_axis("output_size", output_size, 2, 1)
    window = _Window.of(kernel_size, dilation, padding, stride)
    counts = window.counts(sizes)
    taps = window.size[0] * window.size[1]
    if columns.shape[1] == 0 or columns.shape[1] % taps:
        raise ValueError(f"input must have a multiple of {taps} rows, got shape {array.shape}")
    if columns.shape[2] != counts[0] * counts[1]:
        raise ValueError(
            f"input must have {counts[0]} x {counts[1]} windows, got shape {array.shape}"
        )
    n, c = len(columns), columns.shape[1] // taps
    packed = arguments.packed(columns)
    found = taped.compute(
        key, (packed,), (n, c, *sizes) if array.ndim == 3 else (c, *sizes),
        sliding.seconds(columns.size), 1,
        lambda result: sliding.fold(packed, result, window.fields, sizes, counts),
    )  # fmt: skip
    if found is not None:
        return found  # type: ignore[no-any-return]
    windows = columns.reshape(n, c, *window.size, *counts)
    out = np.zeros((n, c, *sizes), array.dtype.newbyteorder("="))
    with np.errstate(all="ignore"):
        for tap in np.ndindex(*window.size):
            goal, source = window.meeting(tap, counts, sizes)
            out[source] += windows[:, :, tap[0], tap[1]][goal]
    return out if array.ndim == 3 else out.reshape(out.shape[1:])


def _key_of(name: str, x: Any, *sizes: Any) -> Any:
    return taped.key_of(name, x, sizes, (), "", None, None)


class _Window:
    """The windows of one call."""

    __slots__ = ("dilation", "padding", "size", "stride")

    def __init__(self, size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> None:
        self.size, self.dilation, self.padding, self.stride = size, dilation, padding, stride

    @staticmethod
    def of(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> _Window:
        return _Window(
            arguments.per_axis("kernel_size", kernel_size, 2, 1),
            arguments.per_axis("dilation", dilation, 2, 1),
            arguments.per_axis("padding", padding, 2, 0),
            arguments.per_axis("stride", stride, 2, 1),
        )

    @property
    def fields(self) -> tuple[Pair, ...]:
        """The size, stride, dilation and padding."""
        return self.size, self.stride, self.dilation, self.padding

    def counts(self, signal: Pair) -> Pair:
        """Return how many windows there are per axis."""
        counts = []
        for n, k, d, p, s in zip(
            signal, self.size, self.dilation, self.padding, self.stride, strict=True
        ):
            room = n + 2 * p - geometry.span(k, d)
            if room < 0:
                raise ValueError(
                    f"kernel_size must fit into the padded input, got {geometry.span(k, d)} "
                    f"over {n + 2 * p}"
                )
            counts.append(room // s + 1)
        return tuple(counts)

    def meeting(self, tap: Pair, counts: Pair, signal: Pair) -> tuple[Any, Any]:
        """Return the windows whose `tap` lies inside the image, and the pixels it meets there."""
        goal: list[Any] = [slice(None), slice(None)]
        source: list[Any] = [slice(None), slice(None)]
        for t, m, n, d, p, s in zip(
            tap, counts, signal, self.dilation, self.padding, self.stride, strict=True
        ):
            lo, hi = geometry.interior(n, 1, m, s, 1, p - t * d)
            first = lo * s + t * d - p
            goal.append(slice(lo, hi))
            source.append(slice(first, first + (hi - lo - 1) * s + 1, s) if hi > lo else slice(0))
        return tuple(goal), tuple(source)
