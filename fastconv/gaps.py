"""NumPy's convolve over signals with missing samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import request
from .ndimage.missing import Missing
from .ndimage.settle import line_pass
from .numpy_request import answer, extent, mode_name
from .request import Settings

Array = npt.NDArray[Any]


def convolve_with_gaps(
    a: Any,
    v: Any,
    mode: Any,
    axis: Any,
    stride: Any,
    out: Array | None,
    workers: int | None,
    gaps: tuple[Any, ...],
    plain: tuple[Any, Any],
) -> Array:
    """Answer `fastconv.convolve` with one of its keywords for missing samples.

    Parameters
    ----------
    a, v, mode, axis, stride, out, workers
        As in `fastconv.convolve`.
    gaps : tuple
        nan_policy, mask, sample_weights, min_count and normalize.
    plain : tuple
        method and accuracy, which must have their defaults.
    """
    missing = Missing(*gaps)
    if missing.plain:
        return answer("convolve", a, v, mode, axis, stride, Settings(*plain, out, workers))
    if plain != ("auto", None):
        raise ValueError(f"method and accuracy must have their defaults, got {plain}")
    x, w = np.atleast_1d(a), np.atleast_1d(v)
    for label, operand in (("a", x), ("v", w)):
        if operand.size == 0:
            raise ValueError(f"{label} cannot be empty")
        if operand.dtype.kind not in ("biufc" if label == "a" else "biuf"):
            raise TypeError(f"{label} must be real where samples are missing, got {operand.dtype}")
    if x.dtype.kind == "c":
        return _by_parts(missing.both_parts(x), x, w, mode, axis, stride, out, workers, plain)
    if w.ndim > 1 or (axis is None and x.ndim > 1):
        raise ValueError(f"a and v must have one dimension, got {x.ndim} and {w.ndim}")
    if workers is not None:
        request.positive("workers", workers)
    number = 0 if axis is None else request.integer("axis", axis)
    if not -x.ndim <= number < x.ndim:
        raise ValueError(f"axis must lie in {-x.ndim}..{x.ndim - 1}, got {axis}")
    number %= x.ndim
    step, name = request.positive("stride", stride), mode_name(mode)
    if name is None:
        np.convolve(np.ones(1), np.ones(1), mode)  # Raises what NumPy raises.
        raise ValueError(f"mode must be one that NumPy knows, got {mode!r}")
    n, k = x.shape[number], len(w)
    few, many = min(n, k), max(n, k)
    pad, count = extent(many, few, name)
    first = few - 1 - pad  # Of the outputs whose windows meet a sample.
    kept = (*[slice(None)] * number, slice(first, first + count, step))
    dtype = np.result_type(x, w)
    dtype = np.dtype(np.float64) if dtype.kind != "f" else dtype
    whole = _whole(missing, x, w.astype(np.float64), number, dtype, workers)[kept]
    if out is None:
        return np.ascontiguousarray(whole)
    request.check_out(out, whole.shape, dtype)
    out[...] = whole
    return out


def _by_parts(
    missing: Missing, x: Array, w: Array, mode: Any, axis: Any, stride: Any, out: Array | None,
    workers: int | None, plain: tuple[Any, Any],
) -> Array:  # fmt: skip
    """Smooth the real and the imaginary parts; a sample that misses one is missing."""
    gaps = tuple(missing.keywords.values())
    real, imag = (
        convolve_with_gaps(part, w, mode, axis, stride, None, workers, gaps, plain)
        for part in (x.real, x.imag)
    )
    result = np.empty(real.shape, np.result_type(x, np.complex64))
    result.real, result.imag = real, imag
    if out is None:
        return result
    request.check_out(out, result.shape, result.dtype)
    out[...] = result
    return out


def _whole(
    missing: Missing, x: Array, w: Array, axis: int, dtype: np.dtype[Any], workers: int | None
) -> Array:
    """Return every output whose window meets a sample."""
    k = len(w)
    after = [(0, k - 1 if a == axis else 0) for a in range(x.ndim)]

    def longer(values: Any, outside: Any) -> Any:
        if values is None:
            return None
        return np.pad(np.broadcast_to(values, x.shape), after, constant_values=outside)

    rest = Missing(
        missing.nan_policy,
        longer(missing.mask, False),
        longer(missing.sample_weights, 1),
        missing.min_count,
        missing.normalize,
    )
    samples = longer(x, 0)
    result = np.empty(samples.shape, dtype)
    taps = w[::-1]
    origin = (k - 1) - k // 2
    smoothing = line_pass(taps, axis, "fill", origin)
    counting = line_pass((taps != 0).astype(np.float64), axis, "fill", origin)
    rest.run(
        samples, result, [smoothing], [counting], 0.0, float(w.sum()), float(np.abs(w).sum()),
        workers,
    )  # fmt: skip
    return result
