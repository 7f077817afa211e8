"""scipy.ndimage's derivative filters: Sobel, Prewitt, Laplace, gradient magnitude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import recalled
from ..paths.bands import Pass
from . import arguments
from .linear import correlate1d
from .missing import NOTHING
from .settle import along, line_pass, run_passes

Array = npt.NDArray[Any]

_DIFFERENCE = np.array([-1.0, 0.0, 1.0])
_SECOND = np.array([1.0, -2.0, 1.0])
# Samples of a block: with its results it stays in a second-level cache of 1 MiB.
_BLOCK = 1 << 15
_BOX, _TENT = np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0])


def prewitt(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    workers: int | None = None,
) -> Array:
    """Differentiate along one axis and sum along the others: `scipy.ndimage.prewitt`.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    axis : int
        The axis of the derivative.
    output, cval
        As in `fastconv.ndimage.correlate1d`.
    mode : str or sequence of str
        What lies outside, for all axes or for each.
    workers : int, optional
        The most threads.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `fastconv.ndimage.correlate1d`.

    Notes
    -----
    ``[-1, 0, 1]`` along `axis`, then ``[1, 1, 1]`` along every other axis, in SciPy's bits.

    References
    ----------
    `scipy.ndimage.prewitt`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.prewitt([[1, 2, 4], [1, 2, 4], [1, 2, 4]])
    array([[3, 9, 6],
           [3, 9, 6],
           [3, 9, 6]])
    """
    return _gradient("prewitt", input, axis, output, mode, cval, workers, _BOX)


def sobel(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    workers: int | None = None,
) -> Array:
    """Differentiate along one axis and smooth along the others: `scipy.ndimage.sobel`.

    Parameters
    ----------
    input, axis, output, mode, cval, workers
        As in `prewitt`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `fastconv.ndimage.correlate1d`.

    Notes
    -----
    ``[-1, 0, 1]`` along `axis`, then ``[1, 2, 1]`` along every other axis, in SciPy's bits.

    References
    ----------
    `scipy.ndimage.sobel`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.sobel([[1, 2, 4], [1, 2, 4], [1, 2, 4]])
    array([[ 4, 12,  8],
           [ 4, 12,  8],
           [ 4, 12,  8]])
    """
    return _gradient("sobel", input, axis, output, mode, cval, workers, _TENT)


def _gradient(
    name: str, input: Any, axis: Any, output: Any, mode: Any, cval: Any, workers: Any,
    smooth: Array,
) -> Array:  # fmt: skip
    arguments.keywords(workers, None)
    input = arguments.as_array(input)
    key = arguments.key_of(name, input, None, output, workers, axis, mode, cval)
    result = arguments.remembered(key, input, output)
    if result is not None:
        return result
    x = np.asarray(input)
    axis = arguments.one_axis(axis, x.ndim)
    modes = arguments.per_axis(mode, x.ndim)
    order = [axis, *(a for a in range(x.ndim) if a != axis)]
    if not arguments.native(x):
        out = arguments.place(output, x.dtype, x.shape)
        for a in order:
            taps = _DIFFERENCE if a == axis else smooth
            correlate1d(x if a == axis else out, taps, a, out, modes[a], cval, workers=workers)
        return out
    out = arguments.place(output, x.dtype, x.shape)
    if x.dtype.kind == "c" and out.dtype.kind != "c":
        raise RuntimeError("output must have complex dtype")
    passes: list[Pass] = [
        line_pass(_DIFFERENCE if a == axis else smooth, a, arguments.rule(modes[a]), 0)
        for a in order
    ]
    run_passes(x, out, passes, cval, workers, key)
    return out


def laplace(
    input: npt.ArrayLike,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    workers: int | None = None,
) -> Array:
    """Add up second differences: `scipy.ndimage.laplace`.

    Parameters
    ----------
    input, output, mode, cval, workers
        As in `prewitt`.
    axes : int or tuple of int, optional
        The axes to differentiate along; by default all.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `fastconv.ndimage.correlate1d`.

    Notes
    -----
    The sum over axes of the correlation with ``[1, -2, 1]``, in SciPy's bits.

    References
    ----------
    `scipy.ndimage.laplace`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.laplace([1, 4, 9, 16])
    array([ 3,  2,  2, -7])
    """

    input = arguments.as_array(input)
    key = arguments.key_of("laplace", input, None, output, workers, mode, cval, axes)
    result = arguments.remembered(key, input, output)
    if result is not None:
        return result

    def derivative2(x: Array, axis: int, output: Any, mode: Any, cval: Any) -> Array:
        return correlate1d(x, _SECOND, axis, output, mode, cval, 0, workers=workers)

    def kept(x: Array, axis: int, output: Any, mode: Any, cval: Any) -> Array:
        known = None if key is None else (key, axis)
        return along(
            x, _SECOND, axis, output, mode, cval, 0, 1, None, workers, None, NOTHING, known
        )

    arguments.keywords(workers, None)
    x = np.asarray(input)
    chosen = arguments.some_axes(axes, x.ndim)
    if x.size <= 2 * _BLOCK or len(chosen) < 2 or chosen[0] or output is not None:
        result = generic_laplace(x, kept, output, mode, cval, axes=axes)
        recalled.keep_sum(key, [(key, a) for a in chosen], result.dtype, x.shape)
        return result
    # Further derivatives go within rows: a block of them is added while it is in the cache.
    modes = arguments.per_axis(mode, len(chosen))
    out = derivative2(x, 0, None, modes[0], cval)
    height = max(1, _BLOCK * len(x) // x.size)
    part = np.empty((height, *x.shape[1:]), out.dtype)
    for lo in range(0, len(x), height):
        rows = x[lo : lo + height]
        for a, m in zip(chosen[1:], modes[1:], strict=True):
            out[lo : lo + height] += derivative2(rows, a, part[: len(rows)], m, cval)
    return out


def generic_laplace(
    input: npt.ArrayLike,
    derivative2: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
) -> Array:
    """Add up given second derivatives: `scipy.ndimage.generic_laplace`.

    Parameters
    ----------
    input, output, mode, cval, axes
        As in `laplace`.
    derivative2 : callable
        ``derivative2(input, axis, output, mode, cval, *extra_arguments, **extra_keywords)``.
    extra_arguments, extra_keywords
        What else it is given.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `laplace`.

    Notes
    -----
    The sum over axes of what `derivative2` returns.

    References
    ----------
    `scipy.ndimage.generic_laplace`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> def second(x, axis, output, mode, cval):
    ...     return ndimage.correlate1d(x, [1, -2, 1], axis, output, mode, cval)
    >>> ndimage.generic_laplace([1, 4, 9, 16], second)
    array([ 3,  2,  2, -7])
    """
    x = np.asarray(input)
    out = arguments.place(output, x.dtype, x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    named = extra_keywords or {}
    if not chosen:
        out[...] = x
        return out
    modes = arguments.per_axis(mode, len(chosen))
    x = arguments.apart(x, out)  # Every axis reads the samples again.
    derivative2(x, chosen[0], out, modes[0], cval, *extra_arguments, **named)
    for a, m in zip(chosen[1:], modes[1:], strict=True):
        out += derivative2(x, a, out.dtype, m, cval, *extra_arguments, **named)
    return out


def generic_gradient_magnitude(
    input: npt.ArrayLike,
    derivative: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
) -> Array:
    """Return the length of a given gradient: `scipy.ndimage.generic_gradient_magnitude`.

    Parameters
    ----------
    input, output, mode, cval, axes, extra_arguments, extra_keywords
        As in `generic_laplace`.
    derivative : callable
        ``derivative(input, axis, output, mode, cval, *extra_arguments, **extra_keywords)``.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `laplace`.

    Notes
    -----
    The root of the sum over axes of the squares of what `derivative` returns.

    References
    ----------
    `scipy.ndimage.generic_gradient_magnitude`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.generic_gradient_magnitude([1.0, 4.0, 9.0, 16.0], ndimage.sobel)
    array([ 3.,  8., 12.,  7.])
    """
    x = np.asarray(input)
    out = arguments.place(output, x.dtype, x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    named = extra_keywords or {}
    if not chosen:
        out[...] = x
        return out
    modes = arguments.per_axis(mode, len(chosen))
    x = arguments.apart(x, out)
    derivative(x, chosen[0], out, modes[0], cval, *extra_arguments, **named)
    np.multiply(out, out, out)
    for a, m in zip(chosen[1:], modes[1:], strict=True):
        part = derivative(x, a, out.dtype, m, cval, *extra_arguments, **named)
        np.multiply(part, part, part)
        out += part
    np.sqrt(out, out, casting="unsafe")
    return out
