"""scipy.ndimage's maximum and minimum filters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import footprints, recalled
from ..paths.bands import Pass, Samples, cast, chain, gathered
from ..paths.sliding import extreme_pass, footprint_window
from ..paths.windows import slide
from . import arguments
from .scans import by_scans
from .settle import MOST_CONVERTED

Array = npt.NDArray[Any]


def maximum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: int | None = None,
) -> Array:
    """Take the greatest sample of every window along one axis: `scipy.ndimage.maximum_filter1d`.

    Parameters
    ----------
    input : array_like
        Real samples, of any shape.
    size : int
        Samples in a window.
    axis, output, mode, cval, origin
        As in `fastconv.ndimage.correlate1d`.
    workers : int, optional
        The most threads.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError
        If the samples are complex.
    RuntimeError
        If the size is less than one.
    ValueError
        If origin or axis lie outside their range.

    Notes
    -----
    ``out[i] = max over t < size of x~[i + t - size//2 - origin]``. A window that holds NaN gives
    NaN. Integers are compared as integers, also beyond 2**53.

    References
    ----------
    `scipy.ndimage.maximum_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([8, 8, 8, 4, 9, 9, 9, 9])
    """
    return _along(True, input, size, axis, output, mode, cval, origin, workers)


def minimum_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
    *,
    workers: int | None = None,
) -> Array:
    """Take the least sample of every window along one axis: `scipy.ndimage.minimum_filter1d`.

    Parameters
    ----------
    input, size, axis, output, mode, cval, origin, workers
        As in `maximum_filter1d`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As in `maximum_filter1d`.

    Notes
    -----
    As `maximum_filter1d` with min for max.

    References
    ----------
    `scipy.ndimage.minimum_filter1d`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([2, 0, 0, 0, 1, 1, 0, 0])
    """
    return _along(False, input, size, axis, output, mode, cval, origin, workers)


def maximum_filter(
    input: npt.ArrayLike,
    size: Any = None,
    footprint: npt.ArrayLike | None = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: int | None = None,
) -> Array:
    """Take the greatest sample under a footprint: `scipy.ndimage.maximum_filter`.

    Parameters
    ----------
    input : array_like
        Real samples, of any shape.
    size : int or sequence of int, optional
        The box, for all axes or for each.
    footprint : array_like of bool, optional
        Which samples of a window count, instead of a box.
    output, cval, workers
        As in `maximum_filter1d`.
    mode, origin
        As in `maximum_filter1d`, for all axes or for each; a footprint that is no box has one mode.
    axes : int or tuple of int, optional
        The axes to filter; by default all.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError
        If the samples are complex.
    RuntimeError
        If there is neither size nor footprint, or it has another number of axes.
    ValueError
        If the footprint is empty, or origin or axes lie outside their range.

    Notes
    -----
    A box is taken axis by axis. NaN and integers as in `maximum_filter1d`.

    References
    ----------
    `scipy.ndimage.maximum_filter`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.maximum_filter([[1, 2, 3], [4, 5, 6]], 3)
    array([[5, 6, 6],
           [5, 6, 6]])
    """
    return _over(True, input, size, footprint, output, mode, cval, origin, axes, workers)


def minimum_filter(
    input: npt.ArrayLike,
    size: Any = None,
    footprint: npt.ArrayLike | None = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
    workers: int | None = None,
) -> Array:
    """Take the least sample under a footprint: `scipy.ndimage.minimum_filter`.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes, workers
        As in `maximum_filter`.

    Returns
    -------
    ndarray
        `output`, or a fresh array of `input`'s shape.

    Raises
    ------
    TypeError, RuntimeError, ValueError
        As in `maximum_filter`.

    Notes
    -----
    As `maximum_filter` with min for max.

    References
    ----------
    `scipy.ndimage.minimum_filter`.

    Examples
    --------
    >>> from fastconv import ndimage
    >>> ndimage.minimum_filter([[1, 2, 3], [4, 5, 6]], 3)
    array([[1, 1, 2],
           [1, 1, 2]])
    """
    return _over(False, input, size, footprint, output, mode, cval, origin, axes, workers)


def _along(
    greatest: bool, input: Any, size: Any, axis: Any, output: Any, mode: Any, cval: Any,
    origin: Any, workers: Any,
) -> Array:  # fmt: skip
    arguments.keywords(workers, None)
    name = "maximum_filter1d" if greatest else "minimum_filter1d"
    input = arguments.as_array(input)
    key = arguments.key_of(name, input, None, output, workers, size, axis, mode, cval, origin)
    result = arguments.remembered(key, input, output)
    if result is not None:
        return result
    x = np.asarray(input)
    if x.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    axis = arguments.one_axis(axis, x.ndim)
    if size < 1:
        raise RuntimeError("incorrect filter size")
    if not arguments.native(x):
        return arguments.beside(name, x, size, axis, output, mode, cval, origin)
    out = arguments.place(output, x.dtype, x.shape)
    _run(x, out, [_pass(greatest, axis, size, origin, mode)], cval, workers, key)
    return out


def _over(
    greatest: bool, input: Any, size: Any, footprint: Any, output: Any, mode: Any, cval: Any,
    origin: Any, axes: Any, workers: Any,
) -> Array:  # fmt: skip
    arguments.keywords(workers, None)
    name, key = "maximum_filter" if greatest else "minimum_filter", None
    if size is None or footprint is None:
        input = arguments.as_array(input)
        key = arguments.key_of(
            name, input, footprint, output, workers, size, mode, cval, origin, axes
        )
        result = arguments.remembered(key, input, output)
        if result is not None:
            return result
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=3)
    if footprint is None and size is None:
        raise RuntimeError("no footprint provided")
    if footprint is not None:
        footprint = np.asarray(footprint, bool)
        if not footprint.any():
            raise ValueError("All-zero footprint is not supported.")
        if footprint.all():
            size, footprint = footprint.shape, None
    x = np.asarray(input)
    if x.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if not arguments.native(x):
        return arguments.beside(
            name, x, size if footprint is None else None, footprint, output, mode, cval, origin,
            axes=axes,
        )  # fmt: skip
    out = arguments.place(output, x.dtype, x.shape)
    chosen = arguments.some_axes(axes, x.ndim)
    if footprint is not None:
        _under(greatest, x, footprint, out, mode, cval, origin, chosen, workers, key)
        return out
    columns = [arguments.per_axis(v, len(chosen)) for v in (size, origin, mode)]
    passes = [
        _pass(greatest, a, int(s), o, m)
        for a, s, o, m in zip(chosen, *columns, strict=True)
        if s > 1
    ]
    if passes:
        _run(x, out, passes, cval, workers, key)
    else:
        out[...] = x
        recalled.keep_copy(key, out.dtype, x.shape)
    return out


def _pass(greatest: bool, axis: int, size: int, origin: Any, mode: Any) -> Pass:
    if not 0 <= size // 2 + origin < size:
        raise ValueError(f"invalid origin: must keep the window on its sample, got {origin}")
    pad = size // 2 + arguments.integer(origin)
    return extreme_pass(axis, arguments.integer(size), pad, arguments.rule(mode), greatest)


def _run(
    x: Array, out: Array, passes: list[Pass], cval: Any, workers: Any, key: Any = None
) -> None:
    if not x.size:
        return
    rules = [q.boundary for q in passes]
    fill = float(cval) if "fill" in rules else 0.0
    work = _work(x, rules, fill)
    same = x.dtype == out.dtype == work
    if len(passes) > 1 and not same:
        # Between passes SciPy rounds to the dtype of the result.
        first, rest = (None if key is None else (key, part) for part in ("first", "rest"))
        _run(x, out, passes[:1], cval, workers, first)
        _run(out, out, passes[1:], cval, workers, rest)
        recalled.keep_both(key, (first, rest), out.dtype, x.shape)
        return
    if same and passes[0].size == 1 == len(passes):
        out[...] = x
        recalled.keep_copy(key, out.dtype, x.shape)
        return
    seen = _byte(fill) if x.dtype == np.bool_ else None
    if seen is not None and out.dtype == np.bool_:
        # A byte of 0 or 1 compares as a truth value does, and so does another one outside.
        known = None if key is None else (key, "bytes")
        marks = out.view(seen)
        _run(x.view(seen), marks, passes, int(fill), workers, known)
        if not same:
            np.not_equal(marks, 0, out)
        recalled.keep_view(key, known, out.dtype, x.shape, seen, marks=not same)
        return
    if seen is not None:
        x, work = x.view(seen), np.dtype(seen)
    x = arguments.apart(x, out)
    reduction = "max" if passes[0].greatest else "min"
    if same and by_scans(reduction, x, out, passes, fill, workers, key):
        return
    if not same and _converted(reduction, x, out, passes, fill, work, workers, key):
        return
    source = Samples(x, work.type(fill) if work == x.dtype else fill)
    team = arguments.crew(8 * x.size * len(passes), workers)
    if work == out.dtype:
        chain([source], out, passes, work, team)
    else:
        between = np.empty(x.shape, work)
        chain([source], between, passes, work, team)
        out[...] = _narrowed(between, out.dtype)


def _narrowed(values: Array, dtype: np.dtype[Any]) -> Array:
    if values.dtype == dtype:
        return values
    return cast(values.astype(np.float64, copy=False), dtype)


def _converted(
    reduction: str, x: Array, out: Array, passes: list[Pass], fill: float, work: np.dtype[Any],
    workers: Any, key: Any,
) -> bool:  # fmt: skip
    """Compare a few samples in another dtype than theirs or the results'.

    Of 0.0 and -0.0 the loops take the first, SciPy the last: floats go another way.
    """
    if x.size > MOST_CONVERTED:
        return False
    known, kind = None if key is None else (key, "converted"), out.dtype
    made = np.empty(x.shape, work)
    if x.dtype.kind not in "biu":
        compute = gathered(passes[0], x.shape, work, fill)
        if compute is None:
            return False
        compute(x.astype(work).reshape(-1), made.reshape(-1))
    elif by_scans(reduction, x.astype(work), made, passes, fill, workers, known):
        compute = recalled.run_of(known)
    else:
        return False
    out[...] = _narrowed(made, kind)
    if compute is None:
        return True

    def run(samples: Array, results: Array) -> None:
        made = np.empty(len(samples), work)
        compute(samples.view(x.dtype).astype(work, copy=False), made)
        results[...] = _narrowed(made, kind)

    recalled.keep(key, kind, x.shape, run)
    return True


def _byte(fill: float) -> type[np.uint8 | np.int8] | None:
    """Return the bytes that hold truth values and what lies outside, if any do."""
    if not fill.is_integer():
        return None
    return np.uint8 if 0 <= fill < 256 else np.int8 if -128 <= fill < 0 else None


def _work(x: Array, rules: list[str], fill: float) -> np.dtype[Any]:
    """Return the dtype to compare in: the samples' own, if it can hold what lies outside."""
    native = x.dtype.newbyteorder("=")
    if "fill" not in rules or (native.kind == "f" and float(native.type(fill)) == fill):
        return native
    with np.errstate(all="ignore"):
        if native.kind in "iu" and fill == np.trunc(fill):
            limits = np.iinfo(native)
            if limits.min <= fill <= limits.max:
                return native
    if native.kind == "b" and fill in (0.0, 1.0):
        return native
    return np.dtype(np.float64)


def _under(
    greatest: bool, x: Array, footprint: Array, out: Array, mode: Any, cval: Any, origin: Any,
    axes: tuple[int, ...], workers: Any, key: Any,
) -> None:  # fmt: skip
    origins = arguments.per_axis(origin, len(axes))
    if len(axes) < x.ndim:
        if footprint.ndim != len(axes):
            raise RuntimeError(
                f"footprint.ndim ({footprint.ndim}) must match len(axes) ({len(axes)})"
            )
        footprint = np.expand_dims(footprint, [a for a in range(x.ndim) if a not in axes])
        spread = [0] * x.ndim
        for value, axis in zip(origins, axes, strict=True):
            spread[axis] = value
        origins = spread
    if footprint.ndim != x.ndim:
        raise RuntimeError(f"footprint.ndim ({footprint.ndim}) must match len(axes) ({len(axes)})")
    for o, k in zip(origins, footprint.shape, strict=True):
        if not 0 <= k // 2 + o < k:
            raise ValueError(f"invalid origin: must keep the window on its sample, got {o}")
    if not isinstance(mode, str) and np.iterable(mode):
        raise RuntimeError("A sequence of modes is not supported for non-separable footprints")
    pads = tuple(
        k // 2 + arguments.integer(o) for o, k in zip(origins, footprint.shape, strict=True)
    )
    rule = arguments.rule(mode)
    if not x.size:
        return
    # SciPy compares in double, but casts what lies outside to the samples' dtype.
    work = x.dtype.newbyteorder("=")
    outside = cast(np.asarray(float(cval)), work)[()]
    if work == x.dtype == out.dtype == np.bool_:
        known = None if key is None else (key, "bytes")
        _marked(greatest, x.view(np.uint8), footprint, out.view(np.uint8), pads, rule,
                np.uint8(outside), workers, known)  # fmt: skip
        recalled.keep_view(key, known, out.dtype, x.shape, np.uint8)
    else:
        _marked(greatest, x, footprint, out, pads, rule, outside, workers, key)


def _marked(
    greatest: bool, x: Array, footprint: Array, out: Array, pads: tuple[int, ...], rule: str,
    outside: Any, workers: Any, key: Any,
) -> None:  # fmt: skip
    """Take extremes of samples that are compared in their own dtype."""
    work = x.dtype.newbyteorder("=")
    if work == x.dtype == out.dtype and out.flags.carray:
        marks = np.ascontiguousarray(footprint).tobytes()
        sizes = footprint.shape
        found = footprints.plan(work.name, x.shape, marks, sizes, pads, rule, greatest)
        packed = np.require(arguments.apart(x, out), work, ("C", "A"))
        team = arguments.crew(x.size * int(np.count_nonzero(footprint)), workers)
        if found is not None and found.run(packed, out, outside, team):
            recalled.keep(key, work.name, x.shape, found.small(outside))
            return
    source = Samples(arguments.apart(x, out), outside)
    team = arguments.crew(x.size * int(np.count_nonzero(footprint)) * 4, workers)
    window = footprint_window(footprint, pads, rule, greatest)
    if work == out.dtype:
        slide([source], out, window, work, team)
    else:
        between = np.empty(x.shape, work)
        slide([source], between, window, work, team)
        out[...] = cast(between.astype(np.float64, copy=False), out.dtype)
