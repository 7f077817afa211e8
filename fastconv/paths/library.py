"""NumPy and SciPy themselves: what is not compiled here, and tiny work where a call is all."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np
from numpy._core import multiarray

from .. import geometry
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem

# np.convolve's own loop, untouched by whoever replaces the public name.
_numpy_correlate: Any = multiarray.correlate
# NumPy's own numbers for its three extents.
_VALID, _SAME, _FULL = 0, 1, 2
# Real floats of more taps than this are dot products by BLAS; a call from Python costs as many.
_DOTTED, _LOOPED_TAPS, _CALL_DOTS = ("float64", "float32"), 11, 500
# Tap by tap NumPy adds up more outputs than this some four times as fast as SciPy's loop, so many
# bytes of them at a time. To import scipy.signal takes 0.4 s. A row of few taps by its own loop
# costs as much as so many taps (1024^2 float64, 5 x 5: 47 ms tap by tap, 27 row by row).
_FEW_OUTPUTS, _BAND_BYTES, _ROW_PRODUCTS, _ROW_BEGINS = 1 << 11, 1 << 18, 4, 100
# A product of a volume costs as many of an image's: tap by tap, and in SciPy's loop.
_OF_VOLUMES, _OF_FEW = 2, 6
# What scipy.signal's 2-D loop has no type for.
_NOT_2D = ("bool", "float16")


def supports(problem: Problem) -> str:
    """Return "" or why neither library computes the problem as it stands."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if any(d != 1 for d in problem.dilation):
        return "no dilation in NumPy's loop"
    if problem.ndim == 1:
        return "" if problem.boundary == ("zero",) else "NumPy's loop knows zeros outside only"
    if problem.dtype not in _NOT_2D:
        return ""
    return f"no loop in SciPy for {problem.ndim}-D {problem.dtype}"


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for floats, exact for integers, bool and objects."""
    return "componentwise" if is_float(problem.dtype) else "exact"


def work(problem: Problem) -> Work:
    """Return one call per signal; a stride is taken by slicing.

    NumPy calls BLAS for each output where there are more than a few taps of a real float: 6 to 8 ns
    whatever their number, up to 64, where its own loop would take half a nanosecond a tap.
    """
    size = np.dtype(problem.dtype).itemsize
    calls = problem.batch
    if problem.ndim == 1 and problem.dtype in _DOTTED:
        dots = problem.outputs * prod(problem.stride) if problem.taps > _LOOPED_TAPS else 0
        calls = _CALL_DOTS * problem.batch + dots
    products = problem.multiply_adds * prod(problem.stride)
    if problem.ndim > 1:  # Zeros outside are multiplied, too.
        products = problem.outputs * problem.taps * prod(problem.stride)
        # To begin a row takes NumPy as long as some products.
        rows = problem.outputs // max(1, problem.output[-1])
        products += problem.taps * rows * prod(problem.stride) * _ROW_BEGINS // size
    if _by_rows(problem):
        products = products * _ROW_PRODUCTS // max(_ROW_PRODUCTS, problem.filter[-1])
    if problem.ndim > 2:
        products *= _OF_VOLUMES if prod(problem.output) > _FEW_OUTPUTS else _OF_FEW
    return Work(
        calls=calls,
        multiply_adds=products,
        bytes_moved=size * (problem.outputs + problem.batch * prod(problem.signal)),
    )


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs, one signal at a time."""
    if problem.up > 1:
        return _with_gaps(problem, operands)
    one = _row if problem.ndim == 1 else _box
    if problem.ndim > 1 and "zero" in problem.boundary and not _is_finite(operands.w):
        one = _by_taps  # A sample that is not there must not meet an infinite tap as 0.
    for b in range(problem.batch):
        one(problem, operands.x[b], operands.w[b % len(operands.w)], operands.out[b], operands.fill)
    return []


def _with_gaps(problem: Problem, operands: Operands) -> list[Box]:
    x, w, out = operands.x, operands.w, operands.out
    for first, step, taps, part in problem.phases():
        for b in range(problem.batch):
            _row(part, x[b], w[b % len(w)][taps], out[b, first::step], operands.fill)
    return []


def _row(problem: Problem, x: Any, w: Any, out: Any, fill: Any) -> None:
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    (s,), (pad,) = problem.stride, problem.pad
    lo, hi = geometry.needed(n, k, m, s, 1, pad)
    pad += lo
    x = x[lo:hi]
    count = (m - 1) * s + 1
    out[...] = 0
    if len(x) == 0 or k == 0 or m == 0:
        return
    if pad == 0 and count <= len(x) - k + 1:
        result, offset = _numpy_correlate(x, w, _VALID), 0
    elif pad == k // 2 and k <= len(x) and count <= len(x):
        result, offset = _numpy_correlate(x, w, _SAME), 0
    elif k <= len(x):
        result, offset = _numpy_correlate(x, w, _FULL), k - 1 - pad
    else:
        # NumPy swaps a longer second operand and reverses the result.
        result, offset = _numpy_correlate(w, x, _FULL)[::-1], k - 1 - pad
    first = max(0, -(offset // s))
    last = min(m, (len(result) - 1 - offset) // s + 1)
    if last > first:
        out[first:last] = result[offset + first * s : offset + (last - 1) * s + 1 : s]


def _is_finite(w: Any) -> bool:
    return w.dtype.kind not in "fc" or bool(np.isfinite(w).all())


def _box(problem: Problem, x: Any, w: Any, out: Any, fill: Any) -> None:
    if out.size == 0:
        return
    indices = [
        geometry.source_map(-p, (m - 1) * s + k, n, rule)
        for p, m, s, k, n, rule in zip(
            problem.pad,
            problem.output,
            problem.stride,
            problem.filter,
            problem.signal,
            problem.boundary,
            strict=True,
        )
    ]
    outside = x.dtype.type(fill if "fill" in problem.boundary else 0)
    if out.size > _FEW_OUTPUTS or "scipy.signal" not in sys.modules:
        _by_bands(problem, x, w, out, outside, indices)
        return
    # The compiled loops: scipy.signal's public names may have been replaced by ours.
    from scipy.signal._sigtools import _convolve2d, _correlateND

    around = np.full([len(index) for index in indices], outside, x.dtype)
    inside = np.ix_(*(index >= 0 for index in indices))
    around[inside] = x[np.ix_(*(index[index >= 0] for index in indices))]
    if problem.ndim == 2:
        # flip 0: a correlation; extent 0: whole windows only, so that its boundary rule never acts.
        result = _convolve2d(around, np.ascontiguousarray(w), 0, 0, 0, x.dtype.type(0))
    else:
        whole = [len(index) - k + 1 for index, k in zip(indices, w.shape, strict=True)]
        # It conjugates its second operand.
        taps = np.ascontiguousarray(w.conj())
        result = _correlateND(around, taps, np.empty(whole, x.dtype), _VALID)
    out[...] = result[tuple(slice(None, None, s) for s in problem.stride)]


def _by_bands(problem: Problem, x: Any, w: Any, out: Any, outside: Any, indices: list[Any]) -> None:
    """Add up NumPy's products for some rows or planes that stay in the cache."""
    stride, k, (m, *ms) = problem.stride[0], problem.filter[0], problem.output
    first, *others = indices
    there = [index >= 0 for index in others]
    kept = [index[index >= 0] for index in others]
    high = max(1, _BAND_BYTES // (prod(ms) * out.itemsize))
    add = _add_rows if _by_rows(problem) else _add_taps
    with np.errstate(invalid="ignore", over="ignore"):
        for lo, hi in geometry.bands(m, high):
            read = first[lo * stride : (hi - 1) * stride + k]
            around = np.full((len(read), *map(len, others)), outside)
            around[np.ix_(read >= 0, *there)] = x[np.ix_(read[read >= 0], *kept)]
            add(around, w, problem.stride, out[lo:hi])


def _by_rows(problem: Problem) -> bool:
    """Return whether rows of taps are quicker than taps: where NumPy has a loop for them."""
    return problem.ndim > 1 and problem.dtype in _DOTTED and problem.filter[-1] <= _LOOPED_TAPS


def _add_taps(around: Any, w: Any, strides: tuple[int, ...], total: Any) -> None:
    """Set `total` to the sum of one product per tap."""
    total[...], products = 0, np.empty_like(total)
    for tap in np.ndindex(*w.shape):
        met = around[_met(tap, strides, total.shape)]
        total += np.multiply(met, w[tap], out=products)


def _add_rows(around: Any, w: Any, strides: tuple[int, ...], total: Any) -> None:
    """Set `total` to the sum of one correlation per row of taps, of all rows as one line.

    What windows of two rows give lies beyond each row's end.
    """
    width, k = around.shape[-1], w.shape[-1]
    sums = np.zeros((*total.shape[:-1], width), total.dtype)
    line = sums.reshape(-1)[: sums.size - k + 1]
    for tap in np.ndindex(*w.shape[:-1]):
        met = around[_met(tap, strides[:-1], total.shape[:-1])]
        line += _numpy_correlate(met.reshape(-1), w[tap], _VALID)
    total[...] = sums[_met((0,), strides[-1:], total.shape[-1:], lead=(...,))]


def _met(
    tap: tuple[int, ...], strides: tuple[int, ...], shape: tuple[int, ...], lead: Any = ()
) -> tuple[Any, ...]:
    """Return the index of the samples that meet a tap."""
    axes = zip(tap, strides, shape, strict=True)
    return (*lead, *(slice(t, t + (n - 1) * s + 1, s) for t, s, n in axes))


def _by_taps(problem: Problem, x: Any, w: Any, out: Any, fill: Any) -> None:
    """Add one NumPy product per tap, of the samples that are there."""
    axes = range(problem.ndim)
    out[...] = 0
    indices = [
        geometry.source_map(
            -problem.pad[a],
            (problem.output[a] - 1) * problem.stride[a] + problem.filter[a],
            problem.signal[a],
            problem.boundary[a],
        )
        for a in axes
    ]
    with np.errstate(invalid="ignore", over="ignore"):
        for tap in np.ndindex(*problem.filter):
            read = [indices[a][tap[a] :: problem.stride[a]][: problem.output[a]] for a in axes]
            there = np.ix_(*(index >= 0 for index in read))
            samples = x[np.ix_(*(index[index >= 0] for index in read))]
            out[there] += samples * w[tap]


PATH = Path(
    name="library",
    summary="NumPy's and SciPy's own loops",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    gaps=True,
)
