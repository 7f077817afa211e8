"""Settle an extreme filter: its passes or its footprint, and the loops that answer it."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import footprints, recalled
from ..paths.bands import Pass, Samples, cast, chain, gathered, put
from ..paths.sliding import footprint_window
from ..paths.windows import slide
from . import arguments
from .scans import by_scans

Array = npt.NDArray[Any]


def run(x: Array, out: Array, passes: list[Pass], cval: Any, workers: Any, key: Any = None) -> None:
    """Take extremes of windows from x into `out`, pass by pass, rounded to its dtype in between."""
    if not x.size:
        return
    # Of 0.0 and -0.0 the loops take the first, SciPy the last.
    made = arguments.whole(out) if x.dtype.kind in "biu" else out
    if made is not out:
        run(x, made, passes, cval, workers, key)
        out[...] = made
        return
    rules = [q.boundary for q in passes]
    fill = float(cval) if "fill" in rules else 0.0
    if x.dtype == out.dtype and x.dtype.kind in "biu" and x.dtype.itemsize < 8:
        # Results are cut off, which keeps the order; doubles hold all of these samples.
        fill = float(np.trunc(fill))
    work = _work(x.dtype, rules, fill)
    same = x.dtype == out.dtype == work
    if not same and x.dtype == out.dtype and x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            near = float(x.dtype.type(fill))
        if near and isfinite(near):  # Rounding keeps the order, too; of zeros signs would differ.
            work, fill = x.dtype.newbyteorder("="), near
    if not same and x.dtype.kind in "biu" and out.dtype.kind in "iuf":
        # Where the results' dtype holds all that is compared, so do its loops.
        held = np.can_cast(x.dtype, out.dtype) and _work(out.dtype, rules, fill) == out.dtype
        reduction = "max" if passes[0].greatest else "min"
        if held and _converted(reduction, x, out, passes, fill, out.dtype, workers, key):
            return
    if len(passes) > 1 and not same:
        # Between passes SciPy rounds to the dtype of the result.
        first, rest = (None if key is None else (key, part) for part in ("first", "rest"))
        run(x, out, passes[:1], cval, workers, first)
        run(out, out, passes[1:], cval, workers, rest)
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
        run(x.view(seen), marks, passes, int(fill), workers, known)
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
    _made_in(work, out, lambda goal: chain([source], goal, passes, work, team))


def _made_in(work: np.dtype[Any], out: Array, compute: Callable[[Array], object]) -> None:
    """Have extremes made in the dtype that they are compared in."""
    if work == out.dtype:
        compute(out)
        return
    made = np.empty(out.shape, work)
    compute(made)
    out[...] = _narrowed(made, out.dtype)


def _narrowed(values: Array, dtype: np.dtype[Any]) -> Array:
    if _holds(dtype, values.dtype):
        return values
    return cast(values.astype(np.float64, copy=False), dtype)


def _holds(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Return whether a dtype has another one's values, as NumPy converts them."""
    return other == dtype or (dtype.kind == "f" and np.can_cast(other, dtype))


def _converted(
    reduction: str, x: Array, out: Array, passes: list[Pass], fill: float, work: np.dtype[Any],
    workers: Any, key: Any,
) -> bool:  # fmt: skip
    """Compare samples in another dtype than theirs; of results in a third one, only a few.

    Of 0.0 and -0.0 the loops take the first, SciPy the last: floats go another way.
    """
    if x.size > arguments.MOST_CONVERTED and work != out.dtype:
        return False
    known, kind = None if key is None else (key, "converted"), out.dtype
    made = out if work == kind and out.flags.carray else np.empty(x.shape, work)
    if x.dtype.kind not in "biu":
        compute = gathered(passes[0], x.shape, work, fill)
        if compute is None:
            return False
        compute(x.astype(work, copy=False).reshape(-1), made.reshape(-1))
    elif by_scans(reduction, x.astype(work), made, passes, fill, workers, known):
        compute = recalled.run_of(known)
    else:
        return False
    if made is not out:
        out[...] = _narrowed(made, kind)
    if compute is not None:
        recalled.keep(key, kind, x.shape, _into(compute, work, kind))
    return True


def _into(compute: recalled.Run, work: np.dtype[Any], dtype: np.dtype[Any]) -> recalled.Run:
    """Return what takes samples, and makes results, of other dtypes than those compared in."""
    narrows = not _holds(dtype, work)
    if work == dtype:
        return lambda samples, results: compute(recalled.converted(samples, work), results)

    def run(samples: Array, results: Array) -> None:
        made = recalled.room(len(samples), work, "made")
        compute(recalled.converted(samples, work), made)
        if narrows:
            put(made.astype(np.float64, copy=False), results)
        else:
            results[...] = made

    return run


def _byte(fill: float) -> type[np.uint8 | np.int8] | None:
    """Return the bytes that hold truth values and what lies outside, if any do."""
    if not fill.is_integer():
        return None
    return np.uint8 if 0 <= fill < 256 else np.int8 if -128 <= fill < 0 else None


def _work(dtype: np.dtype[Any], rules: list[str], fill: float) -> np.dtype[Any]:
    """Return the dtype to compare in: the samples' own, if it can hold what lies outside."""
    native = dtype.newbyteorder("=")
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


def under(
    greatest: bool, x: Array, footprint: Array, out: Array, mode: Any, cval: Any, origin: Any,
    axes: tuple[int, ...], workers: Any, key: Any,
) -> None:  # fmt: skip
    """Take the greatest or least samples under a footprint from x into `out`."""
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
    goal, out = out, arguments.whole(out)
    # SciPy compares in double, but casts what lies outside to the samples' dtype.
    work = x.dtype.newbyteorder("=")
    outside = cast(np.asarray(float(cval)), work)[()]
    if work == x.dtype == out.dtype == np.bool_:
        known = None if key is None else (key, "bytes")
        _marked(greatest, x.view(np.uint8), footprint, out.view(np.uint8), pads, rule,
                np.uint8(outside), workers, known)  # fmt: skip
        recalled.keep_view(key, known, out.dtype, x.shape, np.uint8)
    else:
        if x.dtype == np.bool_:
            x = x.view(np.uint8)
            outside = cast(np.asarray(float(cval)), x.dtype)[()]
        _marked(greatest, x, footprint, out, pads, rule, outside, workers, key)
    if goal is not out:
        goal[...] = out


def _marked(
    greatest: bool, x: Array, footprint: Array, out: Array, pads: tuple[int, ...], rule: str,
    outside: Any, workers: Any, key: Any,
) -> None:  # fmt: skip
    """Take extremes of samples that are compared in their own dtype."""
    work = x.dtype.newbyteorder("=")
    alike = work == x.dtype == out.dtype
    if (alike and out.flags.carray) or (not alike and work.kind in "iuf"):
        marks = np.ascontiguousarray(footprint).tobytes()
        sizes = footprint.shape
        found = footprints.plan(work.name, x.shape, marks, sizes, pads, rule, greatest)
        packed = np.require(arguments.apart(x, out), work, ("C", "A"))
        team = arguments.crew(x.size * int(np.count_nonzero(footprint)), workers)
        made = out if alike else np.empty(x.shape, work)
        if found is not None and found.run(packed, made, outside, team):
            compute = found.small(outside)
            if not alike:
                out[...] = _narrowed(made, out.dtype)
                compute = compute and _into(compute, work, out.dtype)
            recalled.keep(key, out.dtype, x.shape, compute)
            return
    source = Samples(arguments.apart(x, out), outside)
    team = arguments.crew(x.size * int(np.count_nonzero(footprint)) * 4, workers)
    window = footprint_window(footprint, pads, rule, greatest)
    _made_in(work, out, lambda goal: slide([source], goal, window, work, team))
