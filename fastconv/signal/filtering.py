"""scipy.signal's filters of signals and images: lfilter (FIR) and sepfir2d."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, replay, request, short2d
from ..path import Operands
from ..planner import selector, structure
from ..problem import Problem, Structure
from ..request import Request, Settings
from ..runtime import threads
from ..short import CONVOLVE, as_array, is_packed, shortcut
from . import settle
from .originals import (
    beside,
    beside_along,
    deliver,
    is_compiled,
    is_foreign,
    original,
    per_axis,
)
from .planes import what

__all__ = ["lfilter", "sepfir2d"]

Array = npt.NDArray[Any]

# Samples up to which columns are turned into rows.
_TURNED = 1 << 12
# It takes an image of up to 2**20 products; one with 7 and 7 taps is sooner convolved with all 49
# of them than row by row (128x128 doubles: 110 us and 143, SciPy 150).
# Samples of an image that SciPy filters in 1 to 6 us; settling alone takes 4.
_TINY = 1 << 10
_THEIRS = "sepfir2d", "scipy.signal._spline"
_ALIKE = frozenset(("ff", "dd", "Ff", "Dd"))
_DOUBLE = np.dtype(np.float64)
_ONE = 1
_MOST_PRODUCTS = 512
_EXACT = 1 << 53
_WHOLE_IMAGE = what("convolve2d", "same", "symm")
_FILTERED = ("float32", "float64", "complex64", "complex128")


def lfilter(
    b: npt.ArrayLike,
    a: npt.ArrayLike,
    x: npt.ArrayLike,
    axis: int = -1,
    zi: npt.ArrayLike | None = None,
    *,
    stride: int = 1,
    boundary: str = "fill",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Any:
    """Filter along one axis: `scipy.signal.lfilter`, with keywords of its own.

    Parameters
    ----------
    b : array_like, shape (k,)
        The numerator: the taps of a FIR filter.
    a : array_like, shape (j,)
        The denominator. With one coefficient the filter is FIR and computed here; with more it is
        a recursion, which goes to SciPy.
    x : array_like
        The signals.
    axis : int
        Along which to filter.
    zi : array_like, optional
        The filter's state before, k - 1 samples along `axis`; its other axes broadcast.
    stride : int
        Compute every `stride`-th output only.
    boundary : {"fill", "wrap", "symm", "mirror", "nearest"}
        What stands before the first sample, as in `convolve`; of FIR filters without `zi` only,
        which says the same.
    accuracy, out, workers
        As in `fastconv.convolve`.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        `out`, or a fresh array; with `zi` also the state after.

    Raises
    ------
    ValueError, NotImplementedError
        As `scipy.signal.lfilter` does: for shapes that do not fit, and for dtypes whose common one
        is no float32, float64 or complex; and if a boundary is given together with `zi` or a
        recursion.

    Notes
    -----
    ``out[i] = sum over j of b[j]/a[0] * x[i - j]`` plus what the state still gives.

    References
    ----------
    `scipy.signal.lfilter`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.lfilter([0.5, 0.5], 1, [2.0, 4.0, 6.0])
    array([1., 3., 5.])
    """
    plain = out is None and accuracy is None and workers is None
    x = as_array(x)
    if plain and type(x) is np.ndarray and x.ndim == 1 and type(stride) is int and stride == 1:
        found = None if boundary != "fill" else _short_way(b, a, x, axis, zi)
        if found is not None:
            return found
    memo = None
    if plain and type(b) is type(x) is np.ndarray and b.ndim == 1 and type(axis) is int:
        within = -x.ndim <= axis < x.ndim - 1 and axis != -1
        if within and zi is None and x.size <= _TURNED:
            # Few samples are turned around sooner than they are met column by column.
            rows = x.swapaxes(axis, -1).copy()
            return (
                lfilter(b, a, rows, -1, stride=stride, boundary=boundary).swapaxes(axis, -1).copy()
            )
        divisor = _constant(a)
        if divisor is not None and b.dtype.kind in "biufc":
            memo = _memo(b, divisor, x, axis, zi, stride, boundary)
            w = b[::-1].astype(np.promote_types(b.dtype, np.float64)) / divisor
            found = None if memo is None else replay.answer(memo, x, w)
            if found is not None:
                return found if zi is None else _with_state(found, zi, x.shape[-1], stride)
    settings = Settings("auto", accuracy, out, workers)
    rule = settle.boundary_rule(boundary)
    if rule != "zero" and zi is not None:
        raise ValueError(f"boundary must be 'fill' where zi is given, got {boundary!r}")
    if any(is_foreign(operand) for operand in (b, a, x, zi)) or np.size(a) != 1:
        return _passed_on(b, a, x, axis, zi, stride, settings, boundary)
    taps, gain, signal = np.atleast_1d(b), np.atleast_1d(a), np.asarray(x)
    state = None if zi is None else np.asarray(zi)
    operands = (taps, gain, signal) if state is None else (taps, gain, signal, state)
    if not _filters(operands, axis):
        return _passed_on(b, a, x, axis, zi, stride, settings, boundary)
    settings.check()
    step = request.positive("stride", stride)
    dtype, axis = np.result_type(*operands), axis % signal.ndim
    taps = taps.astype(dtype) / gain.astype(dtype)[0]
    n, k = signal.shape[axis], len(taps)
    shape = [1] * signal.ndim
    shape[axis] = k
    w = taps[::-1].reshape(shape)
    if state is None:
        outputs = geometry.strided(n, step)
        made = settle.correlation(signal, w, (axis,), (k - 1,), (outputs,), (step,), rule, dtype)
        result = settle.answer(made, settings, dtype)
        replay.keep(memo, made, signal, k, dtype)
        return result
    kept = list(signal.shape)
    kept[axis] = geometry.strided(n, step)
    if settings.out is not None:
        request.check_out(settings.out, tuple(kept), dtype)
    # The state after is what the filter would still give: outputs n .. n + k - 2.
    made = settle.correlation(signal, w, (axis,), (k - 1,), (n + k - 1,), (1,), "zero", dtype)
    whole = settle.answer(made, Settings("auto", accuracy, None, workers), dtype)
    replay.keep(memo, made, signal, k, dtype)
    whole[_along(axis, slice(k - 1))] += state
    result = whole[_along(axis, slice(0, n, step))]
    return deliver(result, settings.out), whole[_along(axis, slice(n, None))].copy()


def _memo(
    b: Array, divisor: Array, x: Array, axis: int, zi: Any, stride: Any, boundary: Any
) -> Any:
    """Return what a plain call follows from; None with a state that is rare."""
    state = None
    if zi is not None:
        if type(zi) is not np.ndarray or axis not in (-1, x.ndim - 1) or boundary != "fill":
            return None
        state = zi.shape, zi.dtype
    return replay.key_of(x, b, "lfilter", axis, divisor.dtype, stride, boundary, state)


def _with_state(whole: Array, state: Any, n: int, stride: int) -> tuple[Array, Array]:
    """Return n outputs along the last axis and the state after them."""
    whole[..., : whole.shape[-1] - n] += state
    result = whole[..., :n:stride]
    return deliver(result, None), whole[..., n:].copy()


def _constant(a: Any) -> Any:
    """Return the denominator of a FIR filter, or None for a recursion and what is rare."""
    if type(a) is list and len(a) == 1:
        a = a[0]
    if type(a) is float or type(a) is int:
        return np.asarray(a)
    if type(a) is np.ndarray and a.size == 1 and a.ndim <= 1 and a.dtype.kind in "fc":
        return a.reshape(())
    return None


def _short_way(b: Any, a: Any, x: Array, axis: Any, zi: Any) -> Any:
    """Return the answer for one plain signal, or None where the long way must decide."""
    if type(b) is np.ndarray and x.dtype == b.dtype == _DOUBLE and zi is None:
        # Doubles divided by a number of Python's, or by a double, are doubles.
        by = _number(a) if b.ndim == 1 and b.size and x.size else None
        if by is not None and type(axis) is int and axis in (0, -1):
            whole = shortcut(_DOUBLE)(x, b if by == 1 else b / by, 2, CONVOLVE, None)
            return None if whole is None else whole[: len(x)]
    kinds = (list, tuple, np.ndarray)
    if type(b) not in kinds or type(a) not in (*kinds, int, float) or type(axis) is not int:
        return None
    taps, gain = np.asarray(b), np.asarray(a)
    if taps.ndim != 1 or taps.size == 0 or gain.size != 1 or gain.ndim > 1 or x.size == 0:
        return None
    state = None
    if zi is not None:
        state = np.asarray(zi)
        if type(zi) not in kinds or state.shape != (len(taps) - 1,):
            return None
    operands = (taps, gain, x) if state is None else (taps, gain, x, state)
    dtype = operands[2].dtype
    if any(o.dtype != dtype for o in operands):
        if not is_compiled(*operands):
            return None
        dtype = np.result_type(*(o.dtype for o in operands))
        x, taps = x.astype(dtype, copy=False), taps.astype(dtype, copy=False)
    if dtype.name not in _FILTERED or axis not in (0, -1):
        return None
    divisor = gain.reshape(-1)[0]
    if divisor != 1:
        taps = taps / dtype.type(divisor)
    whole = shortcut(dtype)(x, taps, 2, CONVOLVE, None)
    if whole is None:
        return None
    n = len(x)
    if state is None:
        return whole[:n]
    whole[: len(taps) - 1] += state
    return whole[:n], whole[n:]


def _number(a: Any) -> float | None:
    """Return a denominator of one coefficient as a number, or None for what is rare."""
    if type(a) is np.ndarray:
        return (
            float(a.reshape(-1)[0]) if a.dtype == _DOUBLE and a.size == 1 and a.ndim < 2 else None
        )
    if type(a) is list and len(a) == 1:
        a = a[0]
    return a if type(a) is float or (type(a) is int and abs(a) < _EXACT) else None


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part)


def _filters(operands: tuple[Array, ...], axis: Any) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    taps, gain, signal = operands[:3]
    if taps.ndim != 1 or gain.ndim != 1 or signal.ndim == 0 or taps.size == 0 or signal.size == 0:
        return False
    if not is_compiled(*operands) or np.result_type(*operands).name not in _FILTERED:
        return False
    if not isinstance(axis, (int, np.integer)) or not -signal.ndim <= axis < signal.ndim:
        return False
    if len(operands) == 3:
        return True
    state, expected = operands[3], list(signal.shape)
    expected[axis] = len(taps) - 1
    if state.ndim != signal.ndim or state.shape[axis] != expected[axis]:
        return False
    return all(n in (1, m) for n, m in zip(state.shape, expected, strict=True))


def _passed_on(
    b: Any, a: Any, x: Any, axis: Any, zi: Any, stride: Any, settings: Settings, boundary: str
) -> Any:
    """Return SciPy's answer: recursions, its own words for its errors, rare dtypes."""
    result = original("lfilter")(b, a, x, axis, zi)
    if zi is None:
        return beside_along(result, axis, stride, settings, boundary)
    return beside_along(result[0], axis, stride, settings, boundary), result[1]


def sepfir2d(
    input: npt.ArrayLike,
    hrow: npt.ArrayLike,
    hcol: npt.ArrayLike,
    *,
    stride: int | tuple[int, int] = 1,
    boundary: str = "symm",
    accuracy: str | None = None,
    out: Array | None = None,
    workers: int | None = None,
) -> Array:
    """Filter an image by rows and by columns: `scipy.signal.sepfir2d`, with keywords of its own.

    Parameters
    ----------
    input : array_like, shape (n0, n1)
        The image.
    hrow, hcol : array_like, shape (k1,), (k0,)
        The filters along rows and along columns, of odd lengths.
    stride : int or pair of int
        Compute every `stride`-th row and column only.
    boundary : {"symm", "fill", "wrap", "mirror", "nearest"}
        As in `convolve`.
    accuracy, out, workers
        As in `fastconv.convolve`.

    Returns
    -------
    ndarray, shape (n0, n1)
        `out`, or a fresh array: float32 from float32 and integers of up to 16 bits, else float64;
        complex where the image is.

    Raises
    ------
    ValueError
        If the image is not 2-D, a filter is not 1-D or of even length.
    TypeError
        If a filter is complex and the image is not.

    Notes
    -----
    A convolution with ``outer(hcol, hrow)`` in k0 + k1 products per output. Filters longer than the
    image are fine.

    References
    ----------
    `scipy.signal.sepfir2d`.

    Examples
    --------
    >>> from fastconv import signal
    >>> signal.sepfir2d([[1.0, 2.0, 4.0]], [0, 1, 1], [1])
    array([[2., 3., 6.]])
    """
    plain = accuracy is None and out is None and workers is None
    if plain and stride is _ONE and boundary == "symm":
        if type(input) is np.ndarray and input.size <= _TINY and _is_tiny(input, hrow, hcol):
            return original(*_THEIRS)(input, hrow, hcol)  # type: ignore[no-any-return]
        if type(input) is np.ndarray and input.size <= short2d.COPIED and not is_packed(input):
            input = input.astype(input.dtype.newbyteorder("="), order="C")
        found = _small_image(input, hrow, hcol)
        if found is not None:
            return found
    settings = Settings("auto", accuracy, out, workers)
    memo = factored = None
    if (
        settings.plain
        and type(stride) is int
        and type(hrow) is type(hcol) is np.ndarray
        and hrow.ndim == hcol.ndim == 1
        and hrow.dtype.kind == hcol.dtype.kind == "f"
    ):
        memo = replay.key_of(input, hrow, "sepfir2d", hcol.shape, hcol.dtype, stride, boundary)
        if memo is not None and isfinite(hrow.sum() + hcol.sum()):
            found = replay.answer(memo, np.asarray(input), np.outer(hcol[::-1], hrow[::-1]))
            if found is not None:
                return found
        if type(input) is np.ndarray and input.dtype == hrow.dtype == hcol.dtype:
            factored = (input.dtype, input.shape, hrow.shape, hcol.shape, boundary)
            found = None if stride != 1 else _by_factors(factored, input, hrow, hcol)
            if found is not None:
                return found
    rule = settle.boundary_rule(boundary)
    image, row, column = np.asarray(input), np.asarray(hrow), np.asarray(hcol)
    dtype = _image_dtype(image)
    if dtype is None or not all(_is_odd_filter(h, dtype) for h in (hrow, hcol)):
        if settings.plain and image.ndim == 2 and row.size * column.size == 0:
            raise ValueError("hrow and hcol must be odd length, got an empty filter")
        result = original(*_THEIRS)(input, hrow, hcol)
        border = "symm" if rule == "reflect" else boundary
        return beside(result, stride, settings, border, "symm")  # type: ignore[no-any-return]
    settings.check()
    steps = per_axis("stride", stride, 2)
    if np.isfinite(row).all() and np.isfinite(column).all():
        # The planner finds the factors of their product again, and uses them where that pays.
        filter2d = np.multiply.outer(column.astype(dtype), row.astype(dtype))
        made = settle.convolution(image, filter2d, "same", (0, 1), steps, rule, dtype)
        result = settle.answer(made, settings, dtype)
        replay.keep(memo, made, image, filter2d.size, dtype)
        if factored is not None and stride == 1:
            _keep_factors(factored, made)
        if memo is not None and filter2d.dtype == image.dtype:
            short2d.keep(memo, made.problem, image.dtype)
        return result
    if settings.out is not None:
        shape = tuple(geometry.strided(n, s) for n, s in zip(image.shape, steps, strict=True))
        request.check_out(settings.out, shape, dtype)
    between = Settings("auto", accuracy, None, workers)
    rows = settle.convolution(image, row[None], "same", (1,), (steps[1],), rule, dtype)
    result = settle.answer(rows, between, dtype)
    columns = settle.convolution(result, column[:, None], "same", (0,), (steps[0],), rule, dtype)
    return settle.answer(columns, settings, dtype)


def _is_tiny(x: Array, row: Any, column: Any) -> bool:
    """Return whether SciPy's own loop has answered before ours has begun."""
    try:
        ((k0,), (k1,), (n0, n1)) = column.shape, row.shape, x.shape
        alike = row.dtype == column.dtype and x.dtype.char + row.dtype.char in _ALIKE
    except (AttributeError, ValueError):
        return False
    # It reads beyond an image that is shorter than its filters.
    return alike and k0 <= n0 and k1 <= n1 and k0 & k1 & 1 == 1


def _small_image(x: Any, row: Any, column: Any) -> Array | None:
    """Return the answer of the entry that computes a whole small image, if it takes this one."""
    if not (type(x) is type(row) is type(column) is np.ndarray and row.ndim == column.ndim == 1):
        return None
    dtype = x.dtype
    if row.dtype != dtype or column.dtype != dtype or dtype.char not in "fd":
        return None
    whole = short2d.wholes.get(dtype)
    if whole is None or not row.size % 2 or not column.size % 2:
        return None
    if not isfinite(row.dot(row) + column.dot(column)):
        return None  # Taps that are not finite do not meet in a product.
    product = column[:, None] * row
    return whole.call(x, product, _WHOLE_IMAGE, dtype.num, None)  # type: ignore[no-any-return]


# (dtype, shape, rows' and columns' taps, boundary) -> the problem of a product, and its threads
_products: dict[Any, tuple[Problem, int]] = {}


def _by_factors(key: Any, x: Any, row: Array, column: Array) -> Array | None:
    """Return a larger image's answer in two passes, where that was chosen before."""
    known = _products.get(key)
    if known is None or not isfinite(row.sum() + column.sum()):
        return None
    problem, workers = known
    out = np.empty(x.shape, x.dtype)
    down, across = column[None, ::-1].copy(), row[None, ::-1].copy()
    image, w = np.require(x, None, ("C", "A"))[None], (down.T * across)[None]
    operands = Operands(image, w, out[None], 0, workers, (down, across))
    selector.run(problem, operands, selector.AUTO)
    return out


def _keep_factors(key: Any, made: Request) -> None:
    """Keep that a product of filters takes two passes: the planner need not look for factors."""
    problem = made.problem._replace(structure=Structure(1, "componentwise"))
    if (
        key[0] is made.dtype
        and structure.pays(problem)
        and selector.choose(problem).name == "separable"
    ):
        if len(_products) >= _MOST_PRODUCTS:
            _products.clear()
        _products[key] = problem, threads.worthwhile(selector.rank(problem)[0].seconds)


def _image_dtype(image: Array) -> Any:
    """Return what SciPy filters an image in, or None for what it or we refuse."""
    if image.ndim != 2 or image.size == 0 or not is_compiled(image):
        return None
    if image.dtype.kind == "c":
        return image.dtype.newbyteorder("=")
    return np.promote_types(image.dtype, np.float32)


def _is_odd_filter(given: Any, dtype: Any) -> bool:
    """Return whether `given` is a filter that SciPy would take for an image of `dtype`."""
    h = np.asarray(given)
    if h.ndim != 1 or len(h) % 2 == 0 or not is_compiled(h):
        return False
    if not isinstance(given, np.ndarray):
        return h.dtype.kind in "biuf"  # Numbers in a list have no width of their own.
    return bool(np.can_cast(h.dtype, dtype, "safe"))
