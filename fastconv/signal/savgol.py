"""scipy.signal's Savitzky-Golay filter: polynomials fitted to sliding windows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..request import Settings
from ..short import CORRELATE, as_array, shortcut
from . import settle
from .originals import beside_along, deliver, is_compiled, is_foreign, original

__all__ = ["savgol_coeffs", "savgol_filter"]

Array = npt.NDArray[Any]

_KEPT = (np.dtype(np.float64), np.dtype(np.float32))
# Longer windows go by transforms, where that is faster.
_MOST_TAPS = 128
_RULES = {"mirror": "mirror", "constant": "fill", "nearest": "nearest", "interp": "zero",
          "wrap": "wrap"}  # fmt: skip
# The same by the words that all functions share; "reflect" is none of SciPy's modes.
_BORDERS = {"zero": "constant", "wrap": "wrap", "reflect": "reflect", "mirror": "mirror",
            "nearest": "nearest"}  # fmt: skip


def savgol_coeffs(
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    pos: int | None = None,
    use: str = "conv",
    **namespace: Any,
) -> Array:
    """Return the taps of a Savitzky-Golay filter: `scipy.signal.savgol_coeffs` itself.

    Parameters
    ----------
    window_length, polyorder, deriv, delta, pos, use, **namespace
        As SciPy has them.

    Returns
    -------
    ndarray, shape (window_length,)
        The taps, in convolution order unless ``use="dot"``.

    Raises
    ------
    ValueError
        As SciPy's does.

    Notes
    -----
    A least-squares design: there is nothing to convolve.

    References
    ----------
    A. Savitzky, M. J. E. Golay, Analytical Chemistry 36, 1964; `scipy.signal.savgol_coeffs`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.savgol_coeffs(3, 1).round(6)
    array([0.333333, 0.333333, 0.333333])
    """
    design = original("savgol_coeffs")
    return design(window_length, polyorder, deriv, delta, pos, use, **namespace)  # type: ignore[no-any-return]


def savgol_filter(
    x: npt.ArrayLike,
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    axis: int = -1,
    mode: str = "interp",
    cval: float = 0.0,
    *,
    stride: int = 1,
    boundary: str | None = None,
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Smooth or differentiate by fitted polynomials: `scipy.signal.savgol_filter`.

    Parameters
    ----------
    x : array_like
        The signals.
    window_length : int
        Samples in a window.
    polyorder : int
        The polynomials' order, less than `window_length`.
    deriv : int
        Which derivative to return.
    delta : float
        The spacing of the samples, for derivatives.
    axis : int
        Along which to filter.
    mode : {"interp", "mirror", "constant", "nearest", "wrap"}
        "interp" evaluates the polynomials of the first and last window up to the ends; the others
        say what lies outside.
    cval : scalar
        For ``mode="constant"``.
    stride : int
        Compute every `stride`-th output only.
    boundary : {"fill", "wrap", "symm", "mirror", "nearest"}, optional
        What lies outside in the words of `convolve`, instead of a mode: "fill" is "constant".
    accuracy, out, workers
        As in `fastconv.convolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array: float32 from float32, else float64.

    Raises
    ------
    ValueError
        If mode or boundary are unknown or both given, the orders do not fit, or in "interp" the
        window is longer than x.

    Notes
    -----
    One correlation, in double precision. The taps, and those for the ends, are kept for the next
    call. NaN and Inf reach the outputs whose windows hold them.

    References
    ----------
    A. Savitzky, M. J. E. Golay, Analytical Chemistry 36, 1964; `scipy.signal.savgol_filter`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.savgol_filter([0.0, 1.0, 4.0, 9.0, 16.0], 3, 2).round(6)
    array([ 0.,  1.,  4.,  9., 16.])
    """
    plain = accuracy is None and out is None and workers is None
    x = as_array(x)
    if plain and type(x) is np.ndarray and x.dtype in _KEPT and mode == "interp":
        whole = type(axis) is type(stride) is int and stride == 1 and boundary is None
        design = _designed(window_length, polyorder, deriv, delta) if whole else None
        if design is not None and axis in (-1, x.ndim - 1):
            found = _one_line(x, *design, cval)
            if found is not None:
                return found
    settings = Settings("auto", accuracy, out, workers)
    mode = settle.mode_of(mode, "interp", boundary, _BORDERS)
    signal = None if is_foreign(x) else np.asarray(x)
    design = None
    rules = _RULES if boundary is None else {**_RULES, "reflect": "reflect"}
    if signal is not None and _fits(signal, window_length, axis, mode, cval, rules):
        design = _designed(window_length, polyorder, deriv, delta)
    if signal is None or design is None:
        lacking = boundary is not None and mode not in _RULES
        theirs = "interp" if lacking else mode
        passed = (x, window_length, polyorder, deriv, delta, axis, theirs, cval)
        result = original("savgol_filter")(*passed)
        border = str(boundary) if lacking else "fill"
        return beside_along(result, axis, stride, settings, border)  # type: ignore[no-any-return]
    settings.check()
    step = request.positive("stride", stride)
    dtype = np.dtype(np.float32 if signal.dtype == np.float32 else np.float64)
    taps, ends = design
    axis %= signal.ndim
    if accuracy is None and step == 1 and len(taps) <= _MOST_TAPS:
        return _by_lines(signal.astype(dtype, copy=False), design, axis, mode, cval, settings)
    n, k = signal.shape[axis], len(taps)
    shape = [1] * signal.ndim
    shape[axis] = k
    made = settle.correlation(
        signal.astype(np.float64, copy=False), taps.reshape(shape), (axis,), ((k - 1) // 2,),
        (geometry.strided(n, step),), (step,), rules[mode], np.dtype(np.float64), cval,
    )  # fmt: skip
    if settings.out is not None:
        request.check_out(settings.out, made.shape, dtype)
    if dtype == np.float64 and mode != "interp":
        return request.answer(made, settings)
    result = request.answer(made, Settings("auto", accuracy, None, workers))
    if mode == "interp":
        _fit_ends(result, signal, ends, axis, step)
    with np.errstate(over="ignore", invalid="ignore"):
        return deliver(result.astype(dtype, copy=False), settings.out)


def _by_lines(
    x: Array, design: tuple[Array, Array], axis: int, mode: str, cval: Any, settings: Settings
) -> Array:  # fmt: skip
    """Answer as SciPy does, by `ndimage.convolve1d`."""
    from .. import ndimage

    taps, ends = design
    if settings.out is not None:
        request.check_out(settings.out, x.shape, x.dtype)
    between = "constant" if mode == "interp" else mode
    out = settings.out if x.dtype.isnative and mode != "interp" else None
    result = ndimage.convolve1d(
        x, taps[::-1], axis, out, between, cval, workers=settings.workers
    )  # fmt: skip
    if mode == "interp":
        _fit_ends(result, x, ends, axis, 1)
    return result if result is settings.out else deliver(result, settings.out)


def _one_line(x: Array, taps: Array, ends: Array, cval: Any) -> Array | None:
    """Return one signal, filtered on the short way of correlations, if it has that."""
    k = len(taps)
    if x.ndim != 1 or not k % 2 or k > len(x) or type(cval) not in (int, float):
        return None
    wide = x.astype(np.float64, copy=False)
    result = shortcut(_KEPT[0])(wide, taps, 1, CORRELATE, None)
    if result is not None:
        half = k // 2
        with np.errstate(invalid="ignore", over="ignore"):
            ends[:half].dot(wide[:k], result[:half])
            ends[half + 1 :].dot(wide[-k:], result[len(x) - half :])
            return result.astype(x.dtype, copy=False)
    return None


def _fits(x: Array, window: Any, axis: Any, mode: Any, cval: Any, rules: dict[str, str]) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim == 0 or x.size == 0 or not is_compiled(x) or x.dtype.kind == "c":
        return False
    if not isinstance(mode, str) or mode not in rules or not isinstance(window, (int, np.integer)):
        return False
    if not isinstance(axis, (int, np.integer)) or not -x.ndim <= axis < x.ndim:
        return False
    if np.ndim(cval) != 0 or np.asarray(cval).dtype.kind not in "biuf":
        return False
    return mode != "interp" or window <= x.shape[axis]


def _designed(window: int, order: int, deriv: int, delta: float) -> tuple[Array, Array] | None:
    """Return the taps in correlation order and those for the ends; None where SciPy refuses."""
    try:
        return _design(int(window), order, deriv, float(delta))
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _design(window: int, order: int, deriv: int, delta: float) -> tuple[Array, Array]:
    taps = original("savgol_coeffs")(window, order, deriv=deriv, delta=delta)[::-1].copy()
    # Row i gives the value at sample i of the polynomial fitted to the first window. Centred and
    # scaled samples keep the fit well-conditioned, where powers of 0..k-1 do not.
    half = max((window - 1) / 2, 0.5)
    places = (np.arange(window) - (window - 1) / 2) / half
    basis = np.polynomial.legendre.legvander(places, order)
    fitted = np.linalg.pinv(basis)
    derived = np.polynomial.legendre.legder(np.eye(order + 1), deriv, axis=0)
    values = np.polynomial.legendre.legvander(places, max(len(derived) - 1, 0))
    ends = values[:, : len(derived)] @ derived @ fitted / (half * delta) ** deriv
    return taps, ends


def _fit_ends(result: Array, x: Array, ends: Array, axis: int, step: int) -> None:
    """Put the polynomials of the first and last window where no whole window is centred."""
    n, k = x.shape[axis], len(ends)
    half = k // 2
    moved, into = np.moveaxis(x, axis, -1), np.moveaxis(result, axis, -1)
    count = -(-half // step)  # Outputs before the first whole window,
    start = -(-(n - half) // step)  # and the first one after the last.
    after = start * step - n + k
    with np.errstate(invalid="ignore", over="ignore"):
        into[..., :count] = moved[..., :k].astype(np.float64) @ ends[:half:step].T
        into[..., start:] = moved[..., n - k :].astype(np.float64) @ ends[after::step].T
