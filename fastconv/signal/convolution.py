"""scipy.signal's convolve and correlate in any number of dimensions, and their choice of method."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import replay, request, short2d
from ..path import GUARANTEES
from ..paths import PATHS
from ..planner import selector
from ..request import Settings
from ..short import CONVOLVE, CORRELATE, alike, is_packed, shortcut
from . import flat, settle
from .originals import beside, deliver, is_compiled, is_foreign, original, per_axis

__all__ = ["choose_conv_method", "convolve", "correlate", "correlation_lags"]

Array = npt.NDArray[Any]

_EXTENTS = {"full": 2, "same": 1, "valid": 0}
_METHODS = ("auto", "direct", "fft")
_FLAT = {"auto": flat.MOST_PRODUCTS, "fft": flat.MOST_PRODUCTS, "direct": flat.DIRECT_PRODUCTS}
_ndarray = np.ndarray
_ONE = 1
_LONGEST = 1 << 62


def convolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    method: str = "auto",
    *,
    stride: int | tuple[int, ...] = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
) -> Array:
    """Convolve two N-dimensional arrays: `scipy.signal.convolve`, with keywords of its own.

    Parameters
    ----------
    in1 : array_like, shape (n0, n1, ...)
        The signal.
    in2 : array_like, shape (k0, k1, ...)
        The filter, of as many dimensions.
    mode : {"full", "same", "valid"}
        "full" returns n + k - 1 outputs along each axis, "same" the shape of `in1` centred on
        "full", "valid" those that need nothing outside (one operand must contain the other).
    method : {"auto", "direct", "fft"} or a path's name
        "direct" promises componentwise errors; "auto" and "fft" allow transforms, and take the
        fastest path. Integers are exact with all of them.
    stride : int or tuple of int
        Compute every `stride`-th output along each axis only.
    boundary : {"fill", "wrap", "symm", "mirror", "nearest"}
        What lies outside `in1`: zeros, its other side, its mirror image with the edge repeated or
        not, or its edge.
    accuracy, out, workers, max_memory
        As in `fastconv.convolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array of dtype ``numpy.result_type(in1, in2)``.

    Raises
    ------
    ValueError
        If the operands differ in their number of dimensions or are empty, if mode, method or
        boundary are unknown, or in "valid" if neither operand contains the other.
    TypeError
        If a keyword has the wrong type.

    Notes
    -----
    ``out[i] = sum over j of in1[j] * in2[i - j]`` over multi-indices. Samples outside are left out,
    not multiplied by zero: NaN and Inf reach the outputs whose windows hold them, whatever the
    method. Error bounds are `fastconv.convolve`'s, k counting all taps. Objects, longdouble and
    other libraries' arrays go to SciPy.

    References
    ----------
    `scipy.signal.convolve`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.convolve([[1, 2], [3, 4]], [[1, 1]], "same")
    array([[1, 3],
           [3, 7]])
    """
    key = None
    if not _of_one_dtype(in1, in2):
        in1, in2 = alike(in1, in2) or (in1, in2)
    if (
        type(in1) is _ndarray
        and type(in2) is _ndarray
        and type(stride) is int
        and stride == 1
        and out is None
        and accuracy is None
        and workers is None
        and max_memory is None
        and in1.dtype == in2.dtype
        and type(mode) is type(method) is type(boundary) is str
        and boundary == "fill"
        and mode in _EXTENTS
        and method in _METHODS
    ):
        if in1.ndim == in2.ndim == 1:
            if mode != "same" or in1.size >= in2.size:
                result = shortcut(in1.dtype)(in1, in2, _EXTENTS[mode], CONVOLVE, None)
            else:
                result = settle.short_same(in1, in2)
            if result is not None:
                return result
        elif mode != "same" and settle.larger_second(in1, in2):
            in1, in2 = in2, in1
        if in1.ndim == in2.ndim == 2:
            if not is_packed(in1) and in1.size <= short2d.COPIED:
                in1 = in1.copy()
            if is_packed(in1):
                key = ("convolve", in1.dtype, in1.shape, in2.shape, mode)
                recipe = short2d.recipe(key)
                result = None if recipe is None else recipe(in1, in2[::-1, ::-1].copy())
                if result is not None:
                    return result
        if in1.ndim == in2.ndim > 2:  # Images have a shorter way.
            result = flat.convolved(in1, in2, mode, _FLAT[method])
            if result is not None:
                return result
    settings = Settings(method, accuracy, out, workers, max_memory=max_memory)
    return _answer("convolve", in1, in2, mode, stride, boundary, settings, key)


def correlate(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    method: str = "auto",
    *,
    stride: int | tuple[int, ...] = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
) -> Array:
    """Cross-correlate two N-dimensional arrays: `scipy.signal.correlate`, with more keywords.

    Parameters
    ----------
    in1 : array_like, shape (n0, n1, ...)
        The signal.
    in2 : array_like, shape (k0, k1, ...)
        The template, conjugated if complex.
    mode, method, stride, boundary, accuracy, out, workers, max_memory
        As in `convolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array.

    Raises
    ------
    ValueError, TypeError
        As in `convolve`.

    Notes
    -----
    The convolution of in1 with the conjugate of in2 read backwards:
    ``out[i] = sum over j of in1[j] * conj(in2[j - i + k - 1])``. `correlation_lags` names the lags.

    References
    ----------
    `scipy.signal.correlate`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.correlate([1, 2, 3], [0, 1, 5])
    array([ 5, 11, 17,  3,  0])
    """
    key = None
    if not _of_one_dtype(in1, in2):
        in1, in2 = alike(in1, in2) or (in1, in2)
    if (
        type(in1) is _ndarray
        and type(in2) is _ndarray
        and type(stride) is int
        and stride == 1
        and out is None
        and accuracy is None
        and workers is None
        and max_memory is None
        and in1.dtype == in2.dtype
        and type(mode) is type(method) is type(boundary) is str
        and boundary == "fill"
        and mode in _EXTENTS
        and method in _METHODS
    ):
        if in1.ndim == in2.ndim == 1:
            result = None
            if in1.size < in2.size and mode == "same":
                result = settle.short_same(in1, _conjugate(in2[::-1].copy()))
            else:
                w = _conjugate(in2)
                result = shortcut(in1.dtype)(in1, w, _EXTENTS[mode], CORRELATE, None)
            if result is not None:
                return result
        elif mode != "same" and settle.larger_second(in1, in2):
            turned = _conjugate(settle.flip(in2, tuple(range(in2.ndim)))).copy()
            return convolve(turned, in1, mode, method)
        if in1.ndim == in2.ndim == 2:
            if not is_packed(in1) and in1.size <= short2d.COPIED:
                in1 = in1.copy()
            if is_packed(in1):
                key = ("correlate", in1.dtype, in1.shape, in2.shape, mode)
                recipe = short2d.recipe(key)
                result = None if recipe is None else recipe(in1, _conjugate(in2.copy()))
                if result is not None:
                    return result
        if in1.ndim == in2.ndim > 2:  # Images have a shorter way.
            turned = _conjugate(settle.flip(in2, tuple(range(in2.ndim))))
            result = flat.convolved(in1, turned, mode, _FLAT[method])
            if result is not None:
                return result
    settings = Settings(method, accuracy, out, workers, max_memory=max_memory)
    return _answer("correlate", in1, in2, mode, stride, boundary, settings, key)


def _answer(
    name: str,
    in1: Any,
    in2: Any,
    mode: Any,
    stride: Any,
    boundary: Any,
    settings: Settings,
    key: Any,
) -> Array:
    memo = None
    method = settings.method
    known = isinstance(method, str) and method in _METHODS
    if known and type(stride) is int and settings._replace(method=selector.AUTO).plain:
        memo = replay.key_of(in1, in2, name, mode, method, stride, boundary)
        if memo is not None:
            everywhere = tuple(range(in2.ndim))
            w = settle.flip(in2, everywhere) if name == "convolve" else _conjugate(in2)
            result = replay.answer(memo, in1, w)
            if result is not None:
                return result
    rule = settle.boundary_rule(boundary)
    if known:
        settings = engine_settings(settings)
    if is_foreign(in1) or is_foreign(in2):
        return beside(original(name)(in1, in2, mode, method), stride, settings, boundary)  # type: ignore[no-any-return]
    x, w = np.asarray(in1), np.asarray(in2)
    if x.ndim == w.ndim == 0 and is_compiled(x, w):
        if known and settings.accuracy == "componentwise":
            settings = settings._replace(accuracy=None)  # One product has no other.
        return beside(x * (w.conj() if name == "correlate" else w), stride, settings, boundary)  # type: ignore[no-any-return]
    if not _settled(x, w, mode, method):
        # SciPy's own words for its errors, and its loops for rare dtypes and for no samples.
        result = original(name)(in1, in2, mode, method)
        return beside(result, stride, settings, boundary)  # type: ignore[no-any-return]
    settings.check()
    axes, dtype = tuple(range(x.ndim)), np.result_type(x, w)
    strides = per_axis("stride", stride, x.ndim)
    correlating = name == "correlate"
    made = settle.convolution(x, w, mode, axes, strides, rule, dtype, correlating=correlating)
    whole = made.moved is None and made.x.shape in (x.shape, w.shape)
    if key is not None and whole and made.problem.ndim == 2:
        short2d.keep(key, made.problem, x.dtype, exchanged=made.x.shape != x.shape)
    result = settle.answer(made, settings, dtype)
    replay.keep(memo, made, x, w.size, dtype, settings.accuracy)
    return result


def _of_one_dtype(in1: Any, in2: Any) -> bool:
    arrays = type(in1) is _ndarray and type(in2) is _ndarray
    return arrays and in1.dtype == in2.dtype and in1.dtype.isnative


def _conjugate(w: Array) -> Array:
    return w.conj() if w.dtype.kind == "c" else w


def engine_settings(settings: Settings) -> Settings:
    """Return the planner's words for SciPy's method: what it promises, not what it does."""
    if settings.method != "direct":
        return settings._replace(method=selector.AUTO)
    least = settings.accuracy
    if least not in GUARANTEES or GUARANTEES.index(least) < GUARANTEES.index("componentwise"):
        selector.check_accuracy(least)
        least = "componentwise"
    return settings._replace(method=selector.AUTO, accuracy=least)


def _settled(x: Array, w: Array, mode: Any, method: Any) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim != w.ndim or x.ndim == 0 or x.size == 0 or w.size == 0:
        return False
    if not isinstance(mode, str) or mode not in settle.MODES:
        return False
    if not isinstance(method, str) or (method not in _METHODS and method not in PATHS):
        return False
    return is_compiled(x, w) and (mode != "valid" or settle.contains(x.shape, w.shape))


def choose_conv_method(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    measure: bool = False,
    *,
    stride: int | tuple[int, ...] = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Any:
    """Find whether `convolve` is faster directly or through a transform.

    Parameters
    ----------
    in1, in2, mode
        As in `convolve`.
    measure : bool
        Time both instead of asking the planner.
    stride, boundary, accuracy, out, workers
        What `convolve` would be given; `out` is not written to unless both are timed.

    Returns
    -------
    str or (str, dict)
        "direct" or "fft"; with `measure`, the seconds of both as well.

    Raises
    ------
    ValueError
        As `scipy.signal.choose_conv_method` does.

    Notes
    -----
    The planner compares counts of work times measured rates; integers are always "direct", which
    stands for every exact path here.

    References
    ----------
    `scipy.signal.choose_conv_method`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.choose_conv_method([1, 2, 3], [1, 1])
    'direct'
    """
    settings, rule = Settings("auto", accuracy, out, workers), settle.boundary_rule(boundary)
    if measure:
        keywords = {
            "stride": stride,
            "boundary": boundary,
            "accuracy": accuracy,
            "out": out,
            "workers": workers,
        }
        times = {name: _seconds(in1, in2, mode, name, keywords) for name in ("fft", "direct")}
        return min(times, key=lambda name: times[name]), times
    memo = None
    if settings.plain and type(stride) is int and stride == 1 and type(mode) is str:
        memo = replay.key_of(in1, in2, mode, boundary)
        if memo in _chosen:
            return _chosen[memo]
    if is_foreign(in1) or is_foreign(in2):
        return original("choose_conv_method")(in1, in2, mode)
    x, w = np.asarray(in1), np.asarray(in2)
    if not _settled(x, w, mode, "auto"):
        return original("choose_conv_method")(in1, in2, mode)
    settings.check()
    axes, dtype = tuple(range(x.ndim)), np.result_type(x, w)
    made = settle.convolution(x, w, mode, axes, per_axis("stride", stride, x.ndim), rule, dtype)
    best = selector.rank(made.problem, accuracy=accuracy)[0]
    found = "direct" if PATHS[best.name].local or dtype.kind in "biu" else "fft"
    if memo is not None and len(_chosen) < _MOST_CHOSEN:
        _chosen[memo] = found
    return found


# What was chosen for pairs of shapes.
_chosen: dict[Any, str] = {}
_MOST_CHOSEN = 512


def _seconds(in1: Any, in2: Any, mode: str, method: str, keywords: dict[str, Any]) -> float:
    """Return the least time of three calls."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        convolve(in1, in2, mode, method, **keywords)
        best = min(best, time.perf_counter() - start)
    return best


def correlation_lags(
    in1_len: int,
    in2_len: int,
    mode: str = "full",
    *,
    stride: int = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> npt.NDArray[np.int64]:
    """Return the lag of each output of a 1-D `correlate`.

    Parameters
    ----------
    in1_len, in2_len : int
        Lengths of the operands.
    mode : {"full", "same", "valid"}
        The correlation's mode.
    stride, boundary, accuracy, workers
        What `correlate` was given; only the stride changes which outputs there are.
    out : ndarray of int, optional
        Where the lags go.

    Returns
    -------
    ndarray of int, shape (m,)
        `out`, or a fresh array: how far in2 is shifted against in1.

    Raises
    ------
    ValueError
        If the mode is unknown.

    Notes
    -----
    Output i of "full" has the lag i - in2_len + 1.

    References
    ----------
    `scipy.signal.correlation_lags`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.correlation_lags(3, 2)
    array([-1,  0,  1,  2])
    """
    if (
        stride is _ONE
        and type(in1_len) is type(in2_len) is int
        and mode == "full"
        and 0 < in1_len < _LONGEST
        and 0 < in2_len < _LONGEST
        and accuracy is None
        and out is None
        and workers is None
        and boundary == "fill"
    ):
        return np.arange(1 - in2_len, in1_len)
    if type(mode) is not str or mode not in _EXTENTS or not _are_lengths(in1_len, in2_len):
        lags = original("correlation_lags")(in1_len, in2_len, mode)
        return beside(lags, stride, Settings("auto", accuracy, out, workers), boundary)  # type: ignore[no-any-return]
    if boundary != "fill" or accuracy is not None or out is not None or workers is not None:
        settle.boundary_rule(boundary)
        Settings("auto", accuracy, out, workers).check()
    if mode == "valid":
        low, count = min(0, in1_len - in2_len), abs(in1_len - in2_len) + 1
    else:
        first, count = settle.extent(in1_len, in2_len, mode)
        low = first - in2_len + 1
    if out is None and type(stride) is int and stride == 1:
        return np.arange(low, low + count)
    return deliver(np.arange(low, low + count, request.positive("stride", stride)), out)


def _are_lengths(*lengths: Any) -> bool:
    """Return whether these are lengths of signals, and differences of theirs do not wrap."""
    for n in lengths:
        if (type(n) is not int and not isinstance(n, np.signedinteger)) or not 0 < n < _LONGEST:
            return False
    return True
