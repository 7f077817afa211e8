"""scipy.ndimage's convolutions and correlations: along one axis, and over several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arguments
from .missing import NOTHING, missing_of
from .settle import along, over

Array = npt.NDArray[Any]


def correlate1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    stride: int = 1,
    accuracy: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Correlate along one axis: `scipy.ndimage.correlate1d`, with keywords of its own.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    weights : array_like, shape (k,)
        The filter; conjugated if complex.
    axis : int
        The axis to filter along.
    output : array or dtype, optional
        Where to put the result, or its dtype; by default `input`'s. It may be `input` itself.
    mode : str
        What lies outside: "reflect" or "grid-mirror" (d c b a | a b c d), "mirror"
        (d c b | a b c d), "nearest", "wrap" or "grid-wrap", "constant" or "grid-constant".
    cval : scalar
        The samples outside for "constant".
    origin : int
        Moves the window: ``-(k//2) <= origin <= (k-1)//2``.
    stride : int
        Compute every `stride`-th output along `axis` only; `output` has their shape.
    accuracy : {None, "componentwise", "normwise"}
        None gives SciPy's very bits. "componentwise" may fuse operations, "normwise" may transform.
    workers : int, optional
        The most threads. Results do not depend on it.
    max_memory : int, optional
        The most bytes to allocate beside input and output, for real samples with a stride or
        accuracy "normwise": where SciPy's bits are kept there are no transforms to be bounded.
    nan_policy, mask, sample_weights, min_count, normalize
        See `fastconv.ndimage.convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError
        If there are no weights, or mode or output do not suit.
    ValueError
        If origin or axis lie outside their range.

    Notes
    -----
    ``out[i] = sum over t of x~[i + t - k//2 - origin] * conj(w[t])`` in double precision, in the
    order of SciPy's loops: float results have SciPy's bits, integers are truncated from them.

    References
    ----------
    `scipy.ndimage.correlate1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.correlate1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    arguments.keywords(workers, accuracy, max_memory, stride)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING and accuracy is None and type(stride) is int and stride == 1:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "correlate1d", input, weights, output, workers, axis, mode, cval, origin
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    return along(
        input, weights, axis, output, mode, cval, origin, stride, accuracy,
        workers, max_memory, missing, key,
    )  # fmt: skip


def convolve1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    stride: int = 1,
    accuracy: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Convolve along one axis: `scipy.ndimage.convolve1d`, with keywords of its own.

    Parameters
    ----------
    input, weights, axis, output, mode, cval, origin
        As in `correlate1d`; the filter is flipped and not conjugated.
    stride, accuracy, workers, max_memory
        As in `correlate1d`.
    nan_policy, mask, sample_weights, min_count, normalize
        See `fastconv.ndimage.convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `correlate1d`.

    Notes
    -----
    ``out[i] = sum over t of x~[i + k//2 - t - origin] * w[t]``, with k//2 counted as SciPy does for
    even k, in SciPy's order of operations.

    References
    ----------
    `scipy.ndimage.convolve1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.convolve1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    arguments.keywords(workers, accuracy, max_memory, stride)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING and accuracy is None and type(stride) is int and stride == 1:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "convolve1d", input, weights, output, workers, axis, mode, cval, origin
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    w = np.asarray(weights)[::-1]
    origin = -origin
    if not w.shape[0] & 1:
        origin -= 1
    if w.dtype.kind == "c":
        w = w.conj()  # `correlate1d` conjugates again.
    return along(
        input, w, axis, output, mode, cval, origin, stride, accuracy, workers,
        max_memory, missing, key,
    )  # fmt: skip


def correlate(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int | Iterable[int] = 0,
    *,
    axes: Any = None,
    stride: int = 1,
    accuracy: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Correlate over several axes: `scipy.ndimage.correlate`, with keywords of its own.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    weights : array_like
        The filter, with as many axes as are filtered; conjugated if complex.
    output, mode, cval
        As in `correlate1d`.
    origin : int or sequence of int
        Moves the window along each axis.
    axes : int or tuple of int, optional
        The axes to filter; by default all.
    stride : int
        Compute every `stride`-th output along each filtered axis only.
    accuracy, workers, max_memory
        As in `correlate1d`.
    nan_policy, mask, sample_weights, min_count, normalize
        See `convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError
        If weights, mode or output do not suit.
    ValueError
        If origin or axes lie outside their range.

    Notes
    -----
    ``out[i] = sum over t of x~[i + t - k//2 - origin] * conj(w[t])`` in double precision, over the
    taps other than zero in C order, as SciPy adds them. SciPy also leaves out taps smaller than
    2.2e-16; here they count.

    References
    ----------
    `scipy.ndimage.correlate`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.correlate([[1, 2], [3, 4]], [[0, 1], [1, 1]], mode="constant")
    array([[1, 3],
           [4, 9]])
    """
    arguments.keywords(workers, accuracy, max_memory, stride)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING and accuracy is None and type(stride) is int and stride == 1:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "correlate", input, weights, output, workers, mode, cval, origin, axes
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    return over(
        input, weights, output, mode, cval, origin, False, axes, stride, accuracy, workers,
        max_memory, missing, key,
    )  # fmt: skip


def convolve(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int | Iterable[int] = 0,
    *,
    axes: Any = None,
    stride: int = 1,
    accuracy: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Convolve over several axes: `scipy.ndimage.convolve`, with keywords of its own.

    Parameters
    ----------
    input, weights, output, mode, cval, origin, axes
        As in `correlate`; the filter is flipped and not conjugated.
    stride, accuracy, workers, max_memory
        As in `correlate`.
    nan_policy : {"propagate", "omit", "interpolate"}
        "propagate": NaN is a sample like any other. "omit": NaN samples are missing. "interpolate":
        they are missing, and only they are replaced; every other sample is returned as it is.
    mask : array_like of bool, optional
        True where a sample is missing; broadcast to `input`'s shape.
    sample_weights : array_like, optional
        How much each sample counts, finite and not negative; broadcast to `input`'s shape. A
        sample of weight zero is missing.
    min_count : int
        A result is NaN where fewer samples than this, none of them missing, meet a tap other
        than zero.
    normalize : bool, optional
        True, the default as soon as one of these keywords is used: results are weighted means.
        False: they are means times the sum of the filter's taps, so that where nothing is missing
        they are what the plain call returns.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape; with one of the keywords for missing samples
        integers give float64.

    Raises
    ------
    RuntimeError, ValueError
        As in `correlate`; also if taps add up to zero where a mean is asked for.

    Notes
    -----
    ``out[i] = sum over t of x~[i + k//2 - t - origin] * w[t]``. With missing samples, and v the
    samples' weights (0 where missing, else 1 or `sample_weights`)::

        out[i] = sum_t w[t] v~[j] x~[j] / sum_t w[t] v~[j]          (times sum(w), if not normalize)

    over the same j. What lies outside follows `mode` for x and v alike; "constant" samples have
    weight 1, unless `cval` is NaN and NaN is missing. A mean over nothing is NaN.
    ``nan_policy="omit"`` is astropy's ``nan_treatment="interpolate"``, and ``"interpolate"`` is its
    ``interpolate_replace_nans``.

    References
    ----------
    `scipy.ndimage.convolve`; ``astropy.convolution.convolve``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.convolve([1, 2, 3], [1, 0])
    array([2, 3, 3])
    >>> ndimage.convolve([1.0, np.nan, 4.0], [1, 2, 1], nan_policy="omit")
    array([1. , 2.5, 4. ])
    """
    arguments.keywords(workers, accuracy, max_memory, stride)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING and accuracy is None and type(stride) is int and stride == 1:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "convolve", input, weights, output, workers, mode, cval, origin, axes
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    return over(
        input, weights, output, mode, cval, origin, True, axes, stride, accuracy, workers,
        max_memory, missing, key,
    )  # fmt: skip
