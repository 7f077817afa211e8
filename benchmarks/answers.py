"""What the right answer is: references in wider arithmetic, and what agreement means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "TOLERANCE",
    "causal",
    "convolve_1d",
    "convolve_2d",
    "convolve_3d",
    "disagreement",
    "max_pool",
]

Array = npt.NDArray[Any]

# The largest error, relative to the largest output, at which an answer counts as right. Wide enough
# for a single transform of 10**6 samples, far too narrow for a wrong tap or a shifted border.
TOLERANCE = {"float64": 1e-12, "complex128": 1e-12, "float32": 2e-5, "complex64": 2e-5}
# Above this many products NumPy's loop would take longer than the workload itself.
_MOST_BY_LOOP = 10**9


def convolve_1d(x: Array, w: Array, mode: str, axis: int = -1, stride: int = 1) -> Array:
    """Return the convolution along `axis`: by NumPy, floats in double precision."""
    x, w = _widen(x), _widen(w)
    if x.ndim > 1:
        return np.apply_along_axis(np.convolve, axis, x, w, mode)
    if x.size * w.size > _MOST_BY_LOOP and np.result_type(x, w).kind in "fc":
        from scipy.signal import oaconvolve

        return oaconvolve(x, w, mode)[::stride]
    return np.convolve(x, w, mode)[::stride]


def causal(x: Array, w: Array, mode: str) -> Array:
    """Return the first len(x) outputs of the convolution."""
    return convolve_1d(x, w, mode)[: len(x)]


def convolve_2d(
    x: Array, w: Array, mode: str = "same", boundary: str = "fill", stride: int = 1
) -> Array:
    """Return the 2-D convolution: integers by SciPy's loop, floats by a transform in double.

    NaN is set where a window meets one, as a loop would.
    """
    from scipy.signal import convolve2d, fftconvolve

    if np.result_type(x, w).kind not in "fc":
        return convolve2d(x, w, mode, boundary)[::stride, ::stride]
    x, w = _widen(x), _widen(w)
    if boundary != "fill":
        pads = [(k // 2, k // 2) for k in w.shape]
        x = np.pad(x, pads, {"symm": "symmetric", "wrap": "wrap"}[boundary])
        mode = "valid"
    spoiled = ~np.isfinite(x)
    result = fftconvolve(np.where(spoiled, 0, x), w, mode)
    if spoiled.any():
        touched = fftconvolve(spoiled.astype(float), np.ones(w.shape), mode) > 0.5
        result[touched] = np.nan
    return result[::stride, ::stride]


def convolve_3d(x: Array, w: Array) -> Array:
    """Return the 3-D convolution, centred, by a transform in double precision."""
    from scipy.signal import fftconvolve

    return fftconvolve(_widen(x), _widen(w), "same")


def max_pool(x: Array, k: int, stride: int, padding: int) -> Array:
    """Return the maximum over k x k windows of the last two axes."""
    pads = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
    padded = np.pad(x, pads, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (-2, -1))
    return windows[..., ::stride, ::stride, :, :].max((-2, -1))


def _widen(x: Array) -> Array:
    """Return floats in double precision, anything else as it is: integers wrap."""
    return x.astype({"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype))


def disagreement(result: Any, expected: Array, tolerance: float) -> str:
    """Return "" or in one line how `result` differs from `expected`.

    Parameters
    ----------
    result : array_like
        A contender's answer; axes of length one do not matter.
    expected : ndarray
        The reference.
    tolerance : float
        The largest error relative to the largest finite output; 0 demands equality.
    """
    answer = np.asarray(result)
    if [n for n in answer.shape if n > 1] != [n for n in expected.shape if n > 1]:
        return f"shape {answer.shape}, must be {expected.shape}"
    answer = answer.reshape(expected.shape)
    if expected.dtype.kind not in "fc":
        wrong = np.count_nonzero(answer != expected)
        return f"{wrong} of {expected.size} outputs differ" if wrong else ""
    finite = np.isfinite(expected)
    misplaced = np.count_nonzero(np.isfinite(answer) != finite)
    if misplaced:
        return f"{misplaced} of {expected.size} outputs are finite where they must not be, or not"
    if not finite.any():
        return ""
    values, truth = answer[finite], expected[finite]
    largest = np.abs(truth).max()
    error = np.abs(values - truth).max()
    if error > tolerance * largest:
        return f"error {error / largest:.1e} of the largest output, at most {tolerance:.0e}"
    return ""
