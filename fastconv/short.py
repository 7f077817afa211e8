"""The short way of plain 1-D calls: a few checks, one look-up, one call.

Settling a request takes many times what NumPy needs for a small one. So two plain arrays of one
dtype are answered here, wherever the direct loop is best: by one compiled call that checks,
allocates and computes, by the loop in bands, or, while there is no loop, by NumPy's. Nothing of
the engine is imported for it, which keeps a process's first call short, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy._core import multiarray, numeric

from .kernels.direct1d_call import (
    BRIEF_PRODUCTS,
    CONSTANT_BYTES,
    CONSTANT_LOOPS,
    CONSTANT_TAPS,
    MOST_OUTPUTS,
    MOST_PRODUCTS,
    MOST_TAPS,
)
from .runtime import front, load
from .runtime.settings import waits
from .runtime.target import host_target

Array = npt.NDArray[Any]
# (a, v, extent, order, out) -> the result, or None where the long way must decide. The extent is
# NumPy's number for what is kept: 2 for all n + k - 1 outputs, 1 for n, 0 for n - k + 1.
Shortcut = Callable[[Array, Array, int, int, Array | None], Array | None]

_numpy_correlate: Any = multiarray.correlate
# NumPy's own functions, whatever np.convolve and np.correlate may name later.
ORIGINALS: dict[str, Any] = {"convolve": numeric.convolve, "correlate": numeric.correlate}

# Order: a convolution reverses the taps, a correlation keeps them (the compiled entry knows the 4).
CONVOLVE, CORRELATE = 0, 4

DTYPES = (
    "float64",
    "float32",
    "complex128",
    "complex64",
    "bool",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
)
# float16 has a loop that converts; its bits are passed as integers.
_HALF, _HALF_UNIT = "float16", ("half_rows", "float16")
_LONGEST = 1 << 20
# Up to this many products NumPy answers while there is no kernel: that takes it 1 ms at most, and
# the engine would take tens of them to be imported.
_SMALL = 1 << 20
# So many products of doubles NumPy's BLAS adds up while scipy.fft is imported, 0.1 s: while that
# has not happened, NumPy answers as many of them in a process; others count by their size.
_RENTED = 1 << 30
# What NumPy's loop loses to ours, roughly: per call, and per product.
_CALL_SECONDS, _PRODUCT_SECONDS = 0.4e-6, 0.2e-9
_CALLS_PER_LOOK = 64
# How many taps are always few enough is asked at the second call that it matters for, which takes
# 3 ms; of floats each pair of lengths is asked about, 0.1 ms, until there have been so many calls.
_PAIRS = 16
# From here on it is asked whether filters of more than `MOST_TAPS` taps are transformed: two
# signals of 1000 samples take the loop 18 us and a transform 8 (AVX-512). That is worth importing
# transforms once it would have saved as many products as that takes.
_PLANNED_PRODUCTS, _ENGINE_PRODUCTS = 1 << 18, 1 << 27
# The same for complex numbers: (complex128) 600 samples and 500 taps take the loop 90 us and a
# transform 21 (AVX2), a fourth as many products either 20.
_COMPLEX_BYTES = 1 << 20
# From so many taps on NumPy is sooner done with fewer than so many outputs: its BLAS with complex
# ones (one of 10,000 taps 6 us, the loop 13; AVX2), its loop, which ends at the first true product,
# with truth values.
_NUMPYS_FEW = {"c": ((1 << 14, 9), (1 << 11, 4)), "b": ((256, 16),)}

_shortcuts: dict[np.dtype[Any], Shortcut] = {}
# For each dtype whose loop is not there yet: (a, v, extent, order) -> NumPy's answer to a small
# call, which takes 1 us more than NumPy's own (a `Shortcut` 3); None where that must decide.
waiting: dict[np.dtype[Any], Callable[[Array, Array, int, int], Array | None]] = {}


def shortcut(dtype: np.dtype[Any]) -> Shortcut:
    """Return the short way for two arrays of `dtype`."""
    found = _shortcuts.get(dtype)
    if found is None:
        known = dtype.isnative and dtype.name in (*DTYPES, _HALF)
        found = _shortcuts[dtype] = _short_way(dtype) if known else _numpys_way
    return found


def converted(a: Any, v: Any, extent: int, order: int) -> Array | None:
    """Return the short way's answer for lists, numbers and arrays of two dtypes."""
    if order == CONVOLVE:
        a, v = ([o] if type(o) in _NUMBERS else o for o in (a, v))
    both = alike(a, v)
    if both is None:
        return None
    x, w = both
    if order == CORRELATE and w.dtype.kind == "c":
        w = w.conj()
    return shortcut(x.dtype)(x, w, extent, order, None)


def alike(a: Any, v: Any) -> tuple[Array, Array] | None:
    """Return lists and arrays as arrays of one dtype; None for others, and where they are that."""
    x = a if type(a) is np.ndarray else as_array(a)
    w = v if type(v) is np.ndarray else as_array(v)
    if type(x) is not np.ndarray or type(w) is not np.ndarray or x.size == 0 or w.size == 0:
        return None
    pair = x.dtype, w.dtype
    if pair[0] is pair[1] and x is a and w is v and pair[0].isnative:
        return None
    dtype, casts_x, casts_w = _common.get(pair) or _settle(pair)
    if dtype is None:
        return None
    if casts_x:
        x = x.astype(dtype)
    if casts_w:
        w = w.astype(dtype)
    return None if x is a and w is v else (x, w)


_Common = tuple[np.dtype[Any] | None, bool, bool]
_common: dict[tuple[np.dtype[Any], np.dtype[Any]], _Common] = {}


def _settle(pair: tuple[np.dtype[Any], np.dtype[Any]]) -> _Common:
    """Return the dtype that two have in common, and which of them is another; None if none is."""
    found: _Common = None, False, False
    if all(dtype.kind in "biufc" for dtype in pair):
        # In the machine's byte order: of one dtype alone promote_types returns it as it is.
        dtype = np.promote_types(*pair).newbyteorder("=")
        found = dtype, pair[0] != dtype, pair[1] != dtype
    _common[pair] = found
    return found


def inner_products(a: Any, v: Any, extent: int, order: int) -> Array | None:
    """Return NumPy's answer for a few outputs of a long filter, None where the loop is as quick."""
    if extent != 0 or type(a) is not np.ndarray or type(v) is not np.ndarray:
        return None
    dtype = a.dtype
    known = _NUMPYS_FEW.get(dtype.kind)
    if known is None or dtype != v.dtype or not a.ndim == v.ndim == 1 or not dtype.isnative:
        return None
    n, k = a.size, v.size
    if k > n:
        n, k = k, n
    for taps, outputs in known:
        if k >= taps and n - k < outputs:
            break
    else:
        return None
    if order == CORRELATE:
        return multiarray.correlate2(a, v, extent)  # type: ignore[return-value]
    if v.size > a.size:
        a, v = v, a
    return _numpy_correlate(a, v[::-1], extent)  # type: ignore[no-any-return]


_SEQUENCES, _NUMBERS = frozenset((list, tuple)), frozenset((bool, int, float, complex))


def _numpys_way(a: Array, v: Array, extent: int, order: int, out: Array | None) -> Array | None:
    """Answer the dtypes that only NumPy has loops for."""
    if a.ndim != 1 or v.ndim != 1 or out is not None or a.dtype.kind not in "biuf":
        return None
    if order == CONVOLVE:
        if v.size > a.size:
            a, v = v, a
        v = v[::-1]
    if not v.size or not a.size or a.size * v.size > _SMALL:
        return None
    # The newer of NumPy's two: operands that change places are its business, too.
    return multiarray.correlate2(a, v, extent)  # type: ignore[return-value]


def short_way(dtype: np.dtype[Any], n: int, k: int) -> str:
    """Return in words how a plain call of n samples, k taps goes past the planner, if it does."""
    if dtype.name not in (*DTYPES, _HALF) or n * k > BRIEF_PRODUCTS:
        return ""
    unit = _unit(dtype.name)
    if min(n, k) > MOST_TAPS and n * k > _planned_products(dtype):
        return "plain calls go to the loop, or to a transform where that saves the engine's time"
    if load.ready(*unit, 0.0) is not None:
        return f"plain calls go straight to {'_'.join(unit)}, past the planner"
    if n * k > _SMALL:
        return ""
    return f"plain calls go to NumPy's own loop, past the planner, until {'_'.join(unit)} is there"


def _planned_products(dtype: np.dtype[Any]) -> float:
    """Return how many products are worth asking the planner: fewer where the loop is slower.

    AVX2, two signals of 500 samples: the loop takes 20 us, a transform 7.
    """
    if dtype.kind == "c":
        return _COMPLEX_BYTES // dtype.itemsize
    if dtype.kind != "f" or dtype.itemsize == 2:
        return inf
    return _PLANNED_PRODUCTS if host_target().registers >= 32 else _PLANNED_PRODUCTS // 2


def longest_filter(dtype: str) -> int:
    """Return above how many taps a transform may be quicker, by the planner's rates."""
    from .planner import selector
    from .problem import Problem

    n = 2 * _LONGEST

    def is_direct(k: int) -> bool:
        problem = Problem(dtype, 1, True, (n,), (k,), (n - k + 1,), (1,), (1,), (0,), ("zero",))
        return selector.rank(problem)[0].name == "direct"

    low, high = 1, 32  # Each look takes 0.2 ms.
    while high <= _LONGEST and is_direct(high):
        low, high = high, 2 * high
    while high - low > 1 and high <= _LONGEST:
        middle = (low + high) // 2
        low, high = (middle, high) if is_direct(middle) else (low, middle)
    return low


def _unit(dtype: str) -> tuple[str, str]:
    """Return the loop that serves `dtype`: unsigned integers wrap as signed ones do."""
    return _HALF_UNIT if dtype == _HALF else ("rows", dtype.removeprefix("u"))


def _short_way(dtype: np.dtype[Any]) -> Shortcut:
    name = dtype.name
    unit, half = _unit(name), name == _HALF
    loop_dtype = "int16" if half else unit[1]
    signed = None if loop_dtype == name else np.dtype(loop_dtype)
    type_number, until_look, transforms = dtype.num, 0, dtype.kind in "fc" and not half
    planned, cost = _planned_products(dtype), 4 if dtype.kind == "c" else 1
    longest, longest_calls = 1, 0
    missed_seconds, rented, looped = 0.0, 0, 0
    transformed: Any = None
    summed: Any = None
    may_be_constant = not half and unit[1] in CONSTANT_LOOPS
    kernel: Any = None
    whole_call: Any = None

    def answer(a: Array, v: Array, extent: int, order: int, out: Array | None) -> Array | None:
        if whole_call is not None:
            result = whole_call(a, v, extent + order, type_number, out, longest)
            if result is not None:
                return result  # type: ignore[no-any-return]
        return other(a, v, extent, order, out)

    def other(a: Array, v: Array, extent: int, order: int, out: Array | None) -> Array | None:
        nonlocal longest, longest_calls, missed_seconds, rented, looped, transformed, summed
        if a.ndim != 1 or v.ndim != 1:
            return None
        n, k = a.size, v.size
        if order == CONVOLVE:
            if k > n:
                a, v, n, k = v, a, k, n
            v = v[::-1]
        backwards = k > n
        if backwards:  # As the engine does it: the operands change places, read backwards.
            a, v, n, k = v[::-1].copy(), a[::-1], k, n
        if k == 0:
            return None
        if not is_packed(a):
            return answer(a.copy(), v[::-1] if order == CONVOLVE else v, extent, order, out)
        products = n * k if extent else (n - k + 1) * k
        if kernel is None:
            borrowed = products * dtype.itemsize // 8
            numpys = products <= _SMALL or (
                dtype.kind in "fc"
                and not half
                and rented + borrowed <= _RENTED
                and "scipy.fft" not in sys.modules
            )
            # Other large calls lose nothing here: the planner has more than NumPy's loop.
            missed_seconds += _CALL_SECONDS + _PRODUCT_SECONDS * (products if numpys else _SMALL)
        if kernel is None and not look(products):
            if out is not None or not numpys:
                return None
            if products > _SMALL:
                rented += borrowed
            if backwards:
                return _numpy_correlate(a[::-1], v[::-1], extent)[::-1].copy()  # type: ignore[no-any-return]
            return _numpy_correlate(a, v, extent)  # type: ignore[no-any-return]
        middle = k - 1 - k // 2 if backwards else k // 2
        pad, m = ((0, n - k + 1), (middle, n), (k - 1, n + k - 1))[extent]
        if out is not None and (
            not _fits(out, m, dtype) or np.may_share_memory(out, a) or np.may_share_memory(out, v)
        ):
            return None
        long = may_be_constant and k >= CONSTANT_TAPS
        if long and products * dtype.itemsize >= CONSTANT_BYTES and _is_constant(v):
            if summed is None:
                from .short_sums import summed as by_sums

                summed = by_sums
            result = summed(a, v, pad, m, out)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
        if products > BRIEF_PRODUCTS and k > longest:
            longest_calls += 1
            if longest_calls == (_PAIRS if transforms else 2):
                longest = longest_filter(name)
            elif not transforms:  # The first such call goes to the planner.
                return None
            transform = k > longest
        elif k > MOST_TAPS and products > planned:
            looped += cost * products
            transform = looped > _ENGINE_PRODUCTS or "fastconv.paths.fused" in sys.modules
        else:
            transform = False
        if transform:
            if not transforms:
                return None
            if transformed is None:
                from .short_transform import transformed as found

                transformed = found
            result = transformed(a, v, pad, m, out, products > BRIEF_PRODUCTS)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
        w = v.copy()
        if out is None:
            out = np.empty(m, dtype)
        if signed is None:
            _by_bands(kernel, a, w, out, pad)
        else:
            _by_bands(kernel, a.view(signed), w.view(signed), out.view(signed), pad)
        return out

    def meanwhile(a: Array, v: Array, extent: int, order: int) -> Array | None:
        nonlocal until_look, missed_seconds
        n, k = a.size, v.size
        products = n * k
        if not 0 < products <= _SMALL or until_look <= 0 or not a.ndim == v.ndim == 1 or waits():
            return None
        if order == CONVOLVE:
            if k > n:
                a, v = v, a
            v = v[::-1]
        elif k > n or dtype.kind == "c":
            return None
        until_look -= 1
        missed_seconds += _CALL_SECONDS + _PRODUCT_SECONDS * products
        return _numpy_correlate(a, v, extent)  # type: ignore[no-any-return]

    def look(products: int) -> bool:
        """Return whether the kernel is there now; look not too often."""
        nonlocal kernel, whole_call, until_look, missed_seconds
        until_look -= 1
        if until_look < 0 or products > _SMALL or waits():
            until_look = _CALLS_PER_LOOK
            kernel = load.ready(*unit, missed_seconds)
            whole = load.whole(*unit)
            if whole is not None:
                whole_call = whole.call
                front.extend("rows", dtype, whole)
            missed_seconds = 0.0
            if kernel is not None:
                waiting.pop(dtype, None)
        return kernel is not None

    waiting[dtype] = meanwhile
    return answer


def as_array(operand: Any) -> Any:
    """Return a list or a tuple as an array, anything else as it came."""
    return np.asarray(operand) if type(operand) in _SEQUENCES else operand


def is_packed(array: Array) -> bool:
    """Return whether a kernel can read an array as it lies; it may be read-only."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype.isnative


def _is_constant(v: Array) -> bool:
    """Return whether all taps have the same bits: 0.4 us, to compare them as numbers takes 6."""
    k = v.size
    if k > 256:  # Nearly all other filters differ at one of three places.
        tap = v[:1].tobytes()
        if v[-1:].tobytes() != tap or v[k // 2 : k // 2 + 1].tobytes() != tap:
            return False
    if v.strides[0] < 0:
        v = v[::-1]  # Copied as it lies.
    taps = v.tobytes()
    return taps == taps[: v.itemsize] * k


def _fits(out: Any, m: int, dtype: np.dtype[Any]) -> bool:
    return type(out) is np.ndarray and out.dtype == dtype and out.shape == (m,) and out.flags.carray


def _by_bands(kernel: Any, x: Array, w: Array, out: Array, pad: int) -> None:
    n, k, m = len(x), len(w), len(out)
    if m <= MOST_OUTPUTS and m * k <= MOST_PRODUCTS:  # One band: no need of the engine.
        kernel(x, w, out, 1, 0, 0, 0, n, k, m, 1, 1, pad)
        return
    from . import geometry
    from .planner.rates import rates
    from .runtime import threads

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, 1, 1, pad - lo)

    row = rates("direct", out.dtype.name, "1d")
    seconds = row.multiply_adds * n * k + row.bytes_moved * out.itemsize * (n + m)
    bands = geometry.even(m, geometry.band(k), geometry.LINE)
    threads.run(some_outputs, bands, threads.worthwhile(seconds))
