"""scipy.signal's upfirdn, resample_poly and decimate, on the polyphase path."""

from __future__ import annotations

import sys
from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..request import Settings
from ..short import as_array
from . import settle
from .extend import CONSTANT, MODES
from .originals import beside_along, deliver, is_compiled, is_foreign, original
from .phases import in_lowest_terms, resampled, settled, short_way

__all__ = ["decimate", "resample_poly", "upfirdn"]

Array = npt.NDArray[Any]

# Rates from here on overflow the lengths of a result.
_LARGEST = 1 << 31
# Samples along another axis than the last one that are turned around.
_TURNED = 1 << 14
# So few products along one axis of several SciPy's loop adds up while ours is settled.
_FEW_PRODUCTS = 1 << 16
# The same by the words that all functions share.
_BORDERS = {"zero": CONSTANT, "wrap": "wrap", "reflect": "symmetric", "mirror": "reflect",
            "nearest": "edge"}  # fmt: skip


def upfirdn(
    h: npt.ArrayLike,
    x: npt.ArrayLike,
    up: int = 1,
    down: int = 1,
    axis: int = -1,
    mode: str = "constant",
    cval: Any = 0,
    *,
    stride: int = 1,
    boundary: str | None = None,
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Upsample, filter and downsample: `scipy.signal.upfirdn`, with keywords of its own.

    Parameters
    ----------
    h : array_like, shape (k,)
        The filter.
    x : array_like
        The signals.
    up, down : int
        How many samples each one becomes, and of how many filtered ones the first is kept.
    axis : int
        Along which to work.
    mode : str
        What lies outside x: "constant" (`cval`), "wrap", "edge", "smooth", "symmetric",
        "reflect", "antisymmetric", "antireflect" or "line".
    cval : scalar
        For ``mode="constant"``.
    stride : int
        Compute every `stride`-th output only.
    boundary : {"fill", "wrap", "symm", "mirror", "nearest"}, optional
        What lies outside in the words of `convolve`, instead of a mode: "fill" is "constant",
        "symm" is "symmetric", "mirror" is "reflect" and "nearest" is "edge".
    accuracy, out, workers
        As in `fastconv.convolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array with ``((n - 1)*up + k - 1)//down + 1`` samples along `axis`, of
        dtype ``numpy.result_type(h, x, numpy.float32)``.

    Raises
    ------
    ValueError
        If h is not a non-empty sequence, up or down is below 1, mode or boundary are unknown, or
        both are given.

    Notes
    -----
    ``out[i] = sum over j of x[j] * h[i*down - j*up]``: the zeros between samples and the outputs
    that are not kept are never computed. The error is componentwise.

    References
    ----------
    `scipy.signal.upfirdn`; P. P. Vaidyanathan, Multirate Systems and Filter Banks, 1993.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.upfirdn([1, 1, 1], [1, 2, 3], up=3)
    array([1., 1., 1., 2., 2., 2., 3., 3., 3.])
    """
    plain = out is None and accuracy is None and workers is None and boundary is None
    h, x = as_array(h), as_array(x)
    if plain and type(x) is np.ndarray and type(stride) is int and stride == 1:
        found = short_way(h, x, up, down, axis, mode, cval)
        if found is not None:
            return found
    settings = Settings("auto", accuracy, out, workers)
    mode = settle.mode_of(mode, CONSTANT, boundary, _BORDERS)
    if is_foreign(h) or is_foreign(x):
        result = original("upfirdn")(h, x, up, down, axis, mode, cval)
        return beside_along(result, axis, stride, settings)  # type: ignore[no-any-return]
    taps, signal = np.asarray(h), np.asarray(x)
    if not _settled(taps, signal, up, down, axis, mode, cval):
        lacking = _lacks_samples(signal, axis, mode)
        rule = CONSTANT if lacking else mode
        result = original("upfirdn")(h, _in_step(x), up, down, axis, rule, cval)
        if lacking and result.size:
            raise ValueError(f"x must have samples for mode={mode!r}, got shape {signal.shape}")
        return beside_along(result, axis, stride, settings)  # type: ignore[no-any-return]
    settings.check()
    if plain and signal.ndim > 1 and type(stride) is int and stride == 1:
        n, k = signal.shape[axis], len(taps)
        each = ((n - 1) * int(up) + k - 1) // int(down) + 1
        few = n > 1 and signal.size // n * each * k <= _FEW_PRODUCTS * int(up)
        native = taps.dtype.isnative and signal.dtype.isnative
        if few and native and "scipy.signal" in sys.modules:  # Sooner done than settled.
            return original("upfirdn")(taps, _in_step(signal), up, down, axis, mode, cval)  # type: ignore[no-any-return]
    dtype = np.result_type(taps.dtype, signal.dtype, np.float32)
    every = int(down) * request.positive("stride", stride)
    taps, up, down = in_lowest_terms(taps, int(up), every)
    count = ((signal.shape[axis] - 1) * up + len(taps) - 1) // down + 1
    made = settled(taps, signal, up, down, axis % signal.ndim, mode, cval, 0, count, dtype)
    return settle.answer(made, settings, dtype)


def _settled(h: Array, x: Array, up: Any, down: Any, axis: Any, mode: Any, cval: Any) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if h.ndim != 1 or h.size == 0 or x.ndim == 0 or x.size == 0 or not is_compiled(h, x):
        return False
    try:
        if not (0 < int(up) < _LARGEST and 0 < int(down) < _LARGEST and _is_axis(axis, x.ndim)):
            return False
    except (TypeError, ValueError, OverflowError):
        return False
    if not isinstance(mode, str) or mode.lower() not in MODES:
        return False
    kinds = "biufc" if "c" in (h.dtype.kind, x.dtype.kind) else "biuf"
    return np.ndim(cval) == 0 and np.asarray(cval).dtype.kind in kinds


def _is_axis(axis: Any, ndim: int) -> bool:
    """Return whether an axis is a number and exists; SciPy reads beyond x where it is True."""
    return isinstance(axis, (int, np.integer)) and bool(-ndim <= axis < ndim)


def _lacks_samples(x: Array, axis: Any, mode: Any) -> bool:
    """Return whether a mode would continue a signal of no samples: SciPy reads beyond it."""
    if not isinstance(mode, str) or mode.lower() not in MODES or mode.lower() == CONSTANT:
        return False
    return isinstance(axis, (int, np.integer)) and 0 in x.shape[axis : axis + 1 or None]


def _in_step(x: Any) -> Any:
    """Return x with strides of whole samples: SciPy's loop takes them for such."""
    if isinstance(x, np.ndarray) and any(s % x.itemsize for s in x.strides):
        return x.copy()
    return x


def resample_poly(
    x: npt.ArrayLike,
    up: int,
    down: int,
    axis: int = 0,
    window: Any = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: Any = None,
    *,
    stride: int = 1,
    boundary: str | None = None,
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Change the sampling rate by up/down: `scipy.signal.resample_poly`, with more keywords.

    Parameters
    ----------
    x : array_like
        The signals.
    up, down : int
        The rate is multiplied by up/down.
    axis : int
        Along which to work.
    window : str, tuple or array_like
        The window of the low-pass filter that is designed, or the filter itself.
    padtype : str
        What lies outside: one of `upfirdn`'s modes, or "mean", "median", "minimum", "maximum" of
        the signal.
    cval : scalar, optional
        For ``padtype="constant"``.
    stride, boundary, accuracy, out, workers
        As in `upfirdn`.

    Returns
    -------
    ndarray
        `out`, or a fresh array with ``ceil(n*up/down)`` samples along `axis`.

    Raises
    ------
    ValueError
        If up or down is no positive integer, the window has more than one dimension, the padtype
        or the boundary is unknown or both are given, or cval is given with another padtype than
        "constant".

    Notes
    -----
    A zero-phase filter of 20*max(up, down) + 1 taps, by `upfirdn`. The design is kept for the next
    call.

    References
    ----------
    `scipy.signal.resample_poly`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.resample_poly(np.ones(6), 1, 2, window=[0.25, 0.5, 0.25])
    array([0.75, 1.  , 1.  ])
    """
    plain = accuracy is None and out is None and workers is None and boundary is None
    if plain and type(x) is np.ndarray and type(up) is type(down) is type(stride) is int:
        known = cval is None and x.dtype.kind in "biufc"
        if up == down > 0 and stride == 1 and known:
            return x.copy()
        if type(axis) is int and axis != -1 and -x.ndim <= axis < x.ndim - 1 and x.size <= _TURNED:
            # Few samples are turned around sooner than they are met column by column.
            rows = x.swapaxes(axis, -1).copy()
            result = resample_poly(rows, up, down, -1, window, padtype, cval, stride=stride)
            return result.swapaxes(axis, -1).copy()
    if plain and type(x) is np.ndarray and x.dtype.char in "fd" and type(window) is tuple:
        found = _short_way(x, up, down, axis, window, padtype, cval, stride)
        if found is not None:
            return found
    settings = Settings("auto", accuracy, out, workers)
    padtype = settle.mode_of(padtype, CONSTANT, boundary, _BORDERS, "padtype")
    signal = None if is_foreign(x) else np.asarray(x)
    if signal is None or not _resamples(signal, up, down, axis, window, padtype, cval):
        if signal is not None and cval is None and _lacks_samples(signal, axis, padtype):
            padtype = CONSTANT
        result = original("resample_poly")(_in_step(x), up, down, axis, window, padtype, cval)
        return beside_along(result, axis, stride, settings)  # type: ignore[no-any-return]
    settings.check()
    step = request.positive("stride", stride)
    common = gcd(int(up), int(down))
    up, down = int(up) // common, int(down) // common
    if up == down == 1:
        kept = signal[(slice(None),) * (axis % signal.ndim) + (slice(None, None, step),)]
        return deliver(kept.copy(), settings.out)
    h = _filter(up, down, window, signal.dtype)
    background = None
    if signal.dtype.kind in "biu" and padtype not in _WRAPPING:
        signal = signal.astype(np.result_type(h.dtype, signal.dtype, np.float32))
    if padtype in _BACKGROUNDS:
        background = _BACKGROUNDS[padtype](signal, axis=axis, keepdims=True)
        signal, padtype = signal - background, CONSTANT
    dtype = np.result_type(h.dtype, signal.dtype, np.float32)
    along_the_last = axis % signal.ndim == signal.ndim - 1
    short = settings.plain and step == 1 and along_the_last and padtype == CONSTANT and not cval
    if short and h.dtype == signal.dtype:
        delay = (len(h) - 1) // 2
        found = resampled(h, signal, up, down, delay, geometry.strided(signal.shape[-1] * up, down))
        if found is not None:
            if background is not None:
                found += background
            return found
    axis %= signal.ndim
    # SciPy centres output 0 on the middle tap by zeros before the filter; here it is but a shift.
    delay = (len(h) - 1) // 2
    down *= step
    count = geometry.strided(signal.shape[axis] * up, down)
    made = settled(h, signal, up, down, axis, padtype, cval or 0, delay, count, dtype)
    if background is None:
        return settle.answer(made, settings, dtype)
    if settings.out is not None:
        request.check_out(settings.out, made.shape, dtype)
    result = settle.answer(made, Settings("auto", accuracy, None, workers), dtype)
    result += background
    return deliver(result, settings.out)


def _short_way(
    x: Array, up: Any, down: Any, axis: Any, window: Any, padtype: Any, cval: Any, stride: Any
) -> Array | None:
    """Return the answer for small plain signals, or None where the long way must decide."""
    if not type(up) is type(down) is type(axis) is type(stride) is int or not x.dtype.isnative:
        return None
    if up < 1 or down < 1 or up == down or stride != 1 or cval is not None or not x.size:
        return None
    if padtype != CONSTANT or x.ndim == 0 or axis not in (-1, x.ndim - 1):
        return None
    try:
        up, down, h = _designed(up, down, window, x.dtype)
    except TypeError:  # A window that cannot be kept.
        return None
    count = geometry.strided(x.shape[-1] * up, down)
    return resampled(h, x, up, down, (len(h) - 1) // 2, count)


@lru_cache(maxsize=64)
def _designed(up: int, down: int, window: Any, dtype: Any) -> tuple[int, int, Array]:
    """Return rates without a common factor and the filter for them."""
    common = gcd(up, down)
    up, down = up // common, down // common
    return up, down, _filter(up, down, window, dtype)


# Whole numbers less one of these are whole numbers, which wrap.
_WRAPPING = frozenset(("minimum", "maximum"))
_BACKGROUNDS: dict[str, Any] = {
    "mean": np.mean, "median": np.median, "minimum": np.min, "maximum": np.max,
}  # fmt: skip


def _resamples(
    x: Array, up: Any, down: Any, axis: Any, window: Any, padtype: Any, cval: Any
) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim == 0 or x.size == 0 or not is_compiled(x) or is_foreign(window):
        return False
    try:
        if up != int(up) or down != int(down) or not _is_axis(axis, x.ndim):
            return False
        if not (0 < int(up) < _LARGEST and 0 < int(down) < _LARGEST):
            return False
    except (TypeError, ValueError, OverflowError):
        return False
    if isinstance(window, (list, np.ndarray, np.generic)):
        taps = np.asarray(window)
        if taps.ndim != 1 or taps.size == 0 or not is_compiled(taps) or taps.dtype.kind in "biu":
            return False
    if not isinstance(padtype, str) or padtype not in (*MODES, *_BACKGROUNDS):
        return False
    if cval is None:
        return True
    return padtype == CONSTANT and np.ndim(cval) == 0 and np.asarray(cval).dtype.kind in "biuf"


def _filter(up: int, down: int, window: Any, dtype: Any) -> Array:
    """Return the filter of `resample_poly`, scaled by `up`."""
    if isinstance(window, (list, np.ndarray)):
        return np.asarray(window) * np.asarray(window).dtype.type(up)  # type: ignore[no-any-return]
    try:
        h = _low_pass(max(up, down), window)
    except TypeError:  # A window that cannot be kept under its name.
        h = _low_pass.__wrapped__(max(up, down), window)
    return np.asarray(h, dtype if dtype.kind in "fc" else None) * up


@lru_cache(maxsize=64)
def _low_pass(rate: int, window: Any) -> Array:
    """Return SciPy's low-pass filter for a change of rate."""
    design = original("firwin")
    return design(20 * rate + 1, 1.0 / rate, window=window)  # type: ignore[no-any-return]


def decimate(
    x: npt.ArrayLike,
    q: int,
    n: int | None = None,
    ftype: Any = "iir",
    axis: int = -1,
    zero_phase: bool = True,
    *,
    stride: int = 1,
    boundary: str | None = None,
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Keep every q-th sample after a low-pass filter: `scipy.signal.decimate`, with more keywords.

    Parameters
    ----------
    x : array_like
        The signals.
    q : int
        The factor.
    n : int, optional
        The filter's order: 20*q for "fir", 8 for "iir".
    ftype : {"iir", "fir"} or dlti
        The kind of filter. "fir" and systems without poles are computed here; the others are
        recursions, which go to SciPy.
    axis : int
        Along which to work.
    zero_phase : bool
        Whether to undo the filter's delay.
    stride, boundary, accuracy, out, workers
        As in `upfirdn`; no boundary but "fill" with a recursion.

    Returns
    -------
    ndarray
        `out`, or a fresh array with ``ceil(n/q)`` samples along `axis`.

    Raises
    ------
    ValueError, TypeError
        As `scipy.signal.decimate` does.

    Notes
    -----
    `resample_poly` with up = 1, or `upfirdn` where the delay stays.

    References
    ----------
    `scipy.signal.decimate`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import signal
    >>> signal.decimate(np.ones(100), 4, ftype="fir").shape
    (25,)
    """
    settings = Settings("auto", accuracy, out, workers)
    padtype = settle.mode_of(CONSTANT, CONSTANT, boundary, _BORDERS)
    signal = None if is_foreign(x) else np.asarray(x)
    whole = isinstance(q, (int, np.integer)) and (n is None or isinstance(n, (int, np.integer)))
    taps = None
    if signal is not None and whole and _decimates(signal, int(q), n, axis):
        taps = _fir(signal.dtype, int(q), n, ftype)
    if signal is None or taps is None:
        result = original("decimate")(_in_step(x), q, n, ftype, axis, zero_phase)
        return beside_along(result, axis, stride, settings, boundary or "fill")  # type: ignore[no-any-return]
    if zero_phase:
        return resample_poly(
            signal, 1, int(q), axis, taps, padtype, stride=stride, accuracy=accuracy, out=out,
            workers=workers,
        )  # fmt: skip
    settings.check()
    step = int(q) * request.positive("stride", stride)
    count = geometry.strided(signal.shape[axis], step)
    if settings.plain and step == int(q) and padtype == CONSTANT:
        # Bit for bit what upfirdn returns, as SciPy has it.
        every = upfirdn(taps, signal, 1, step, axis % signal.ndim)
        return every[(slice(None),) * (axis % signal.ndim) + (slice(count),)].copy()
    dtype = np.result_type(taps, signal, np.float32)
    made = settled(taps, signal, 1, step, axis % signal.ndim, padtype, 0, 0, count, dtype)
    return settle.answer(made, settings, dtype)


def _fir(dtype: np.dtype[Any], q: int, n: int | None, ftype: Any) -> Array | None:
    """Return the taps of a decimation, or None for a recursion and for what SciPy refuses."""
    if isinstance(ftype, str):
        if ftype != "fir":
            return None
        # Integers and float16 are filtered in double precision.
        narrow = dtype.kind in "biu" or dtype.type is np.float16
        return _decimator(20 * q if n is None else int(n), q).astype(
            np.float64 if narrow else dtype
        )
    from scipy.signal._ltisys import dlti

    if not isinstance(ftype, dlti) or len(ftype.to_zpk().poles):
        return None
    system = ftype.to_tf()
    taps = np.asarray(system.num / system.den)
    return taps if taps.ndim == 1 and taps.size and is_compiled(taps) else None


def _decimates(x: Array, q: int, n: Any, axis: Any) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim == 0 or x.size == 0 or not is_compiled(x) or q < 2 or (n is not None and n < 1):
        return False
    return _is_axis(axis, x.ndim)


@lru_cache(maxsize=64)
def _decimator(order: int, q: int) -> Array:
    """Return SciPy's low-pass filter for every q-th sample."""
    design = original("firwin")
    return design(order + 1, 1.0 / q, window="hamming")  # type: ignore[no-any-return]
