"""scipy.ndimage's Gaussian filters and what is built on their derivatives."""

from __future__ import annotations

import numbers
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths.bands import Pass
from . import arguments
from .derivatives import generic_gradient_magnitude, generic_laplace
from .missing import NOTHING, Missing, missing_of
from .settle import line_pass, run_passes

Array = npt.NDArray[Any]


def gaussian_filter1d(
    input: npt.ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
    workers: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Smooth along one axis with a Gaussian: `scipy.ndimage.gaussian_filter1d`.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    sigma : float
        Standard deviation in samples.
    axis, output, mode, cval
        As in `fastconv.ndimage.correlate1d`.
    order : int
        0 for the Gaussian, n for its n-th derivative.
    truncate : float
        Where the filter ends, in standard deviations.
    radius : int, optional
        Where it ends, in samples, whatever `truncate` says.
    workers : int, optional
        The most threads.
    nan_policy, mask, sample_weights, min_count, normalize
        See `fastconv.ndimage.convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    ValueError
        If order or radius is negative.

    Notes
    -----
    A correlation with ``2*radius + 1`` taps, ``radius = int(truncate*sigma + 0.5)``, with SciPy's
    bits.

    References
    ----------
    `scipy.ndimage.gaussian_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1).round(3)
    array([1.427, 2.068, 3.   , 3.932, 4.573])
    """
    arguments.keywords(workers, None)
    x = np.asarray(arguments.as_array(input))
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING:
        key = arguments.key_of(
            "gaussian_filter1d",
            x,
            None,
            output,
            workers,
            sigma,
            axis,
            order,
            mode,
            cval,
            truncate,
            radius,
        )
        result = arguments.remembered(key, x, output)
        if result is not None:
            return result
    taps = _taps(sigma, order, truncate, radius)
    if not arguments.native(x):
        return arguments.beside("correlate1d", x, taps, axis, output, mode, cval, 0)
    if x.dtype.kind == "c" and not missing.plain:
        return missing.by_parts(
            x, output, cval,
            lambda part, into, outside, both: gaussian_filter1d(
                part, sigma, axis, order, into, mode, outside, truncate, radius=radius,
                workers=workers, **both.keywords,
            ),
        )  # fmt: skip
    out = arguments.place(output, missing.dtype(x), x.shape, x.dtype.kind == "c")
    one = line_pass(taps, arguments.one_axis(axis, x.ndim), arguments.rule(mode), 0)
    _run(x, out, [one], [taps], cval, workers, missing, key)
    return out


def gaussian_filter(
    input: npt.ArrayLike,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
    workers: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Smooth with a Gaussian along several axes: `scipy.ndimage.gaussian_filter`.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    sigma, order, mode, radius
        As in `gaussian_filter1d`, one for all axes or one for each.
    output, cval, truncate
        As in `gaussian_filter1d`.
    axes : int or tuple of int, optional
        The axes to filter; by default all.
    workers : int, optional
        The most threads.
    nan_policy, mask, sample_weights, min_count, normalize
        See `fastconv.ndimage.convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `gaussian_filter1d`, and if a sequence has a wrong length or an axis does not exist.

    Notes
    -----
    One pass after another, each rounded to `output`'s dtype, as SciPy does; band by band, so that
    what lies between two passes stays in the cache.

    References
    ----------
    `scipy.ndimage.gaussian_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_filter(np.arange(0, 18, 2).reshape(3, 3), 1)
    array([[ 2,  4,  5],
           [ 6,  8,  9],
           [ 9, 11, 12]])
    """
    arguments.keywords(workers, None)
    x = np.asarray(arguments.as_array(input))
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING:
        key = arguments.key_of(
            "gaussian_filter",
            x,
            None,
            output,
            workers,
            sigma,
            order,
            mode,
            cval,
            truncate,
            radius,
            axes,
        )
        result = arguments.remembered(key, x, output)
        if result is not None:
            return result
    if x.dtype.kind == "c" and arguments.native(x) and not missing.plain:
        return missing.by_parts(
            x, output, cval,
            lambda part, into, outside, both: gaussian_filter(
                part, sigma, order, into, mode, outside, truncate, radius=radius, axes=axes,
                workers=workers, **both.keywords,
            ),
        )  # fmt: skip
    if not arguments.native(x):
        missing.refuse(f"{x.dtype}")
        return _one_by_one(x, sigma, order, output, mode, cval, truncate, radius, axes, workers)
    out = arguments.place(output, missing.dtype(x), x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    count = len(chosen)
    columns = [arguments.per_axis(v, count) for v in (sigma, order, mode, radius)]
    passes, filters = [], []
    for a, s, o, m, r in zip(chosen, *columns, strict=True):
        if s > 1e-15:
            taps = _taps(s, o, truncate, r)
            filters.append(taps)
            passes.append(line_pass(taps, a, arguments.rule(m), 0))
    if not passes and x.ndim and not missing.plain:  # Of what is missing alone there is no mean.
        filters.append(np.ones(1))
        passes.append(line_pass(filters[0], 0, "nearest", 0))
    if passes and x.dtype.kind == "c" and out.dtype.kind != "c":
        raise RuntimeError("output must have complex dtype")
    if passes:
        _run(x, out, passes, filters, cval, workers, missing, key)
    else:
        out[...] = x
    return out


def gaussian_laplace(
    input: npt.ArrayLike,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Array:
    """Add up second derivatives of a Gaussian: `scipy.ndimage.gaussian_laplace`.

    Parameters
    ----------
    input, sigma, output, mode, cval, axes, **kwargs
        As in `gaussian_filter`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `gaussian_filter`.

    Notes
    -----
    The sum over axes of the Gaussian filter with order 2 along that axis and 0 along the others.

    References
    ----------
    `scipy.ndimage.gaussian_laplace`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_laplace([0.0, 0.0, 1.0, 0.0, 0.0], 1).round(3)
    array([ 0.197,  0.002, -0.399,  0.002,  0.197])
    """
    x = np.asarray(input)
    sigmas = _sigmas(x, sigma, axes)

    def derivative2(
        x: Array, axis: int, output: Any, mode: Any, cval: Any, sigma: Any, **kwargs: Any
    ) -> Array:
        order = [0] * x.ndim
        order[axis] = 2
        return gaussian_filter(x, sigma, order, output, mode, cval, **kwargs)

    return generic_laplace(x, derivative2, output, mode, cval, (sigmas,), kwargs, axes=axes)


def gaussian_gradient_magnitude(
    input: npt.ArrayLike,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Array:
    """Return the length of a Gaussian gradient: `scipy.ndimage.gaussian_gradient_magnitude`.

    Parameters
    ----------
    input, sigma, output, mode, cval, axes, **kwargs
        As in `gaussian_filter`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `gaussian_filter`.

    Notes
    -----
    The root of the sum over axes of squares of the Gaussian filter with order 1 along that axis.

    References
    ----------
    `scipy.ndimage.gaussian_gradient_magnitude`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.gaussian_gradient_magnitude([0.0, 0.0, 1.0, 1.0], 1).round(3)
    array([0.108, 0.363, 0.363, 0.108])
    """

    def derivative(
        x: Array, axis: int, output: Any, mode: Any, cval: Any, sigma: Any, **kwargs: Any
    ) -> Array:
        order = [0] * x.ndim
        order[axis] = 1
        return gaussian_filter(x, sigma, order, output, mode, cval, **kwargs)

    return generic_gradient_magnitude(
        input, derivative, output, mode, cval, (sigma,), kwargs, axes=axes
    )


def _run(
    x: Array, out: Array, passes: list[Pass], filters: list[Array], cval: Any,
    workers: int | None, missing: Missing, key: Any,
) -> None:  # fmt: skip
    if missing.plain:
        run_passes(x, out, passes, cval, workers, key)
    elif x.size:
        # Means of zeros and ones, so that what lies outside counts for one in every pass.
        taps = [np.count_nonzero(w) for w in filters]
        counting = [
            line_pass((w != 0) / k, q.axis, q.boundary, 0)
            for q, w, k in zip(passes, filters, taps, strict=True)
        ]
        total = float(np.prod([w.sum() for w in filters]))
        magnitude = float(np.prod([np.abs(w).sum() for w in filters]))
        scale = float(np.prod(taps))
        missing.run(x, out, passes, counting, float(cval), total, magnitude, workers, scale)


def _sigmas(x: Array, sigma: Any, axes: Any) -> list[Any]:
    """Return a sigma for every axis, 0 along those that are not filtered."""
    chosen = arguments.some_axes(axes, x.ndim)
    given = arguments.per_axis(sigma, len(chosen))
    if len(chosen) == x.ndim:
        return given
    spread = [0] * x.ndim
    for value, axis in zip(given, chosen, strict=True):
        spread[axis] = value
    return spread


def _one_by_one(
    x: Array, sigma: Any, order: Any, output: Any, mode: Any, cval: Any, truncate: float,
    radius: Any, axes: Any, workers: Any,
) -> Array:  # fmt: skip
    """Filter dtypes that are SciPy's own."""
    out = arguments.place(output, x.dtype, x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    columns = [arguments.per_axis(v, len(chosen)) for v in (sigma, order, mode, radius)]
    current = x
    for a, s, o, m, r in zip(chosen, *columns, strict=True):
        if s > 1e-15:
            gaussian_filter1d(current, s, a, o, out, m, cval, truncate, radius=r, workers=workers)
            current = out
    if current is x:
        out[...] = x
    return out


def _taps(sigma: Any, order: Any, truncate: Any, radius: Any) -> Array:
    """Return the filter in correlation order, as SciPy makes it."""
    reach = int(truncate * float(sigma) + 0.5)
    if radius is not None:
        reach = radius
    if not isinstance(reach, numbers.Integral) or reach < 0:
        raise ValueError("Radius must be a nonnegative integer.")
    if order < 0:
        raise ValueError("order must be non-negative")
    return _gaussian(float(sigma), int(order), int(reach))


@lru_cache(maxsize=256)
def _gaussian(sigma: float, order: int, reach: int) -> Array:
    """Return the derivative of a sampled Gaussian: a polynomial times exp(-x^2 / 2 sigma^2)."""
    variance = sigma * sigma
    x = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 / variance * x**2)
    bell = bell / bell.sum()
    if order:
        # (q g)' = (q' - q x / variance) g: a matrix on the coefficients of q.
        powers = np.arange(order + 1)
        step = np.diag(powers[1:], 1) + np.diag(np.ones(order) / -variance, -1)
        q = np.zeros(order + 1)
        q[0] = 1
        for _ in range(order):
            q = step.dot(q)
        bell = (x[:, None] ** powers).dot(q) * bell
    taps: Array = np.ascontiguousarray(bell[::-1])
    taps.flags.writeable = False
    return taps
