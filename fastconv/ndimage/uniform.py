"""scipy.ndimage's uniform filters: running means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import recalled
from ..paths.bands import Pass
from ..paths.sliding import mean_pass
from . import arguments
from .missing import NOTHING, Missing, missing_of
from .settle import run_passes

Array = npt.NDArray[Any]


def uniform_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Take running means along one axis: `scipy.ndimage.uniform_filter1d`.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    size : int
        Samples in a window.
    axis, output, mode, cval, origin
        As in `fastconv.ndimage.correlate1d`.
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
    RuntimeError
        If the size is less than one.
    ValueError
        If origin or axis lie outside their range.

    Notes
    -----
    Every window is added up anew (``|error| <= (size + 1) eps mean|x|``): no
    error and no NaN outlives its window, as they do in SciPy's running sum. Integers are exact.

    References
    ----------
    `scipy.ndimage.uniform_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    arguments.keywords(workers, None)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "uniform_filter1d", input, None, output, workers, size, axis, mode, cval, origin
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    x = np.asarray(input)
    axis = arguments.one_axis(axis, x.ndim)
    if size < 1:
        raise RuntimeError("incorrect filter size")
    kind = missing.dtype(x)
    if not arguments.native(x):
        return arguments.beside("uniform_filter1d", x, size, axis, output, mode, cval, origin)
    out = arguments.place(output, kind, x.shape, complex_output=x.dtype.kind == "c")
    one = _pass(axis, size, origin, mode)
    _run(x, out, [one], cval, workers, missing, key)
    return out


def uniform_filter(
    input: npt.ArrayLike,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
) -> Array:
    """Take means over boxes: `scipy.ndimage.uniform_filter`.

    Parameters
    ----------
    input : array_like
        The samples, of any shape.
    size, mode, origin
        As in `uniform_filter1d`, one for all axes or one for each.
    output, cval, workers
        As in `uniform_filter1d`.
    axes : int or tuple of int, optional
        The axes to filter; by default all.
    nan_policy, mask, sample_weights, min_count, normalize
        See `fastconv.ndimage.convolve`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `uniform_filter1d`, and if a sequence has a wrong length or an axis does not exist.

    Notes
    -----
    One pass after another, each rounded to `output`'s dtype, as SciPy does.

    References
    ----------
    `scipy.ndimage.uniform_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ndimage
    >>> ndimage.uniform_filter(np.arange(9.0).reshape(3, 3))[1, 1]
    np.float64(4.0)
    """
    arguments.keywords(workers, None)
    missing = missing_of(nan_policy, mask, sample_weights, min_count, normalize)
    key = None
    if missing is NOTHING:
        input = arguments.as_array(input)
        key = arguments.key_of(
            "uniform_filter", input, None, output, workers, size, mode, cval, origin, axes
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    x = np.asarray(input)
    kind = missing.dtype(x)
    if not arguments.native(x):
        return arguments.beside("uniform_filter", x, size, output, mode, cval, origin, axes=axes)
    out = arguments.place(output, kind, x.shape, complex_output=x.dtype.kind == "c")
    chosen = arguments.some_axes(axes, x.ndim)
    columns = [arguments.per_axis(v, len(chosen)) for v in (size, origin, mode)]
    passes = [_pass(a, int(s), o, m) for a, s, o, m in zip(chosen, *columns, strict=True) if s > 1]
    if not passes and x.ndim and not missing.plain:
        passes = [_pass(0, 1, 0, "nearest")]  # Of what is missing alone there is no mean.
    if passes:
        _run(x, out, passes, cval, workers, missing, key)
    else:
        out[...] = x
        recalled.keep_copy(key, out.dtype, x.shape)
    return out


def _pass(axis: int, size: int, origin: Any, mode: Any) -> Pass:
    if not 0 <= size // 2 + origin < size:
        raise ValueError(f"invalid origin: must keep the window on its sample, got {origin}")
    pad = size // 2 + arguments.integer(origin)
    return mean_pass(axis, arguments.integer(size), pad, arguments.rule(mode))


def _run(
    x: Array, out: Array, passes: list[Pass], cval: Any, workers: int | None, missing: Missing,
    key: Any = None,
) -> None:  # fmt: skip
    if not x.size:
        return
    if x.dtype.kind == "c" and not missing.plain:
        missing.by_parts(
            x, out, cval,
            lambda part, into, outside, both: _run(part, into, passes, outside, workers, both),
        )  # fmt: skip
    elif missing.plain:
        run_passes(x, out, passes, cval, workers, key)
    else:
        # Means of zeros and ones: the numbers there are, over the window's size.
        scale = float(np.prod([q.size for q in passes]))
        missing.run(x, out, passes, passes, float(cval), 1.0, 1.0, workers, scale)
