"""Settle a linear filter: its passes or its window, and the sums that answer it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..paths import lines, ordered, ordered_windows, recalled
from ..paths.bands import Pass, Samples, cast, chain, held, put
from ..paths.windows import Window, correlation, slide
from ..problem import Problem
from ..request import Request, Settings
from ..runtime import load
from . import arguments
from .missing import Missing
from .parts import by_parts

Array = npt.NDArray[Any]


def line_pass(w: Array, axis: int, rule: str, origin: int) -> Pass:
    """Return the pass of a 1-D correlation with float64 taps."""

    def operation(around: Array, out: Array) -> None:
        taps = ordered.line(w)
        outer, inner = len(around), around.shape[2]
        ordered.sums(taps, around.reshape(outer, -1), out.reshape(outer, -1), inner)

    return Pass(axis, len(w), len(w) // 2 + origin, rule, operation, w.tobytes())


def run_passes(
    x: Array, out: Array, passes: Sequence[Pass], outside: Any, workers: int | None,
    key: Hashable = None,
) -> None:  # fmt: skip
    """Run linear passes, or means, from x into `out`, rounding to its dtype in between.

    Both are real, or both complex: a real filter meets their parts one by one.
    """
    if not x.size:
        return
    made = arguments.whole(out)
    if made is not out:
        run_passes(x, made, passes, outside, workers, key)
        out[...] = made
        return
    if x.dtype.kind == "c":
        _run_parts(x, out, passes, outside, workers, key)
        return
    keys = tuple((q.axis, q.taps, q.pad, q.boundary) for q in passes)
    outside = float(outside)

    def plan(dtype: str, part: slice) -> lines.Plan | None:
        return lines.plan(dtype, x.shape, keys[part])

    # Means of bytes are cut off where their quotients are as long as their sums are whole.
    means = all(isinstance(q.taps, int) for q in passes)
    if all(q.boundary != "fill" for q in passes):
        outside = 0.0
    whole = not means or outside.is_integer()
    if _as_bytes(x, out, plan, len(keys), outside, whole, workers, key):
        return
    team = arguments.crew(x.size * sum(q.size for q in passes), workers)
    source = Samples(arguments.apart(x, out), outside)
    chain([source], out, passes, np.float64, team, between=held(out.dtype))


def _run_parts(
    x: Array, out: Array, passes: Sequence[Pass], outside: Any, workers: int | None, key: Hashable
) -> None:
    """Run passes over real and imaginary parts: as one more axis, where the same is outside."""
    plain = out.flags.carray and x.dtype.isnative and out.dtype.isnative and x.ndim > 0
    if plain and (outside == 0 or all(q.boundary != "fill" for q in passes)):
        x = arguments.apart(np.ascontiguousarray(x), out)
        known = None if key is None else (key, "parts")
        run_passes(_pairs(x), _pairs(out), passes, 0.0, workers, known)
        recalled.keep_view(key, known, out.dtype, x.shape, x.real.dtype, out.real.dtype)
        return
    x = arguments.apart(x, out)
    names = ("real", "imag")
    keys = tuple(None if key is None else (key, name) for name in names)
    for name, known in zip(names, keys, strict=True):
        samples = np.ascontiguousarray(getattr(x, name))
        results = np.empty(x.shape, out.real.dtype.newbyteorder("="))
        run_passes(samples, results, passes, getattr(np, name)(outside), workers, known)
        getattr(out, name)[...] = results
    parts = [run for run in map(recalled.run_of, keys) if run is not None]
    kind = out.real.dtype

    def run(samples: Array, results: Array) -> None:
        part = np.empty(len(samples), kind)
        for name, compute in zip(names, parts, strict=True):
            compute(getattr(samples, name).copy(), part)
            getattr(results, name)[...] = part

    if plain and len(parts) == len(names):
        recalled.keep(key, out.dtype, x.shape, run)


def _pairs(x: Array) -> Array:
    """Return the parts of contiguous complex numbers along a last axis of two."""
    return x.view(x.real.dtype).reshape(*x.shape, 2)


# (dtype, which of the passes) -> how to run them over arrays as they lie, None where nothing does
Planner = Callable[[str, slice], "lines.Plan | ordered_windows.Plan | None"]


def _as_bytes(
    x: Array, out: Array, plan: Planner, passes: int, outside: float, whole: bool,
    workers: int | None, key: Hashable,
) -> bool:  # fmt: skip
    """Run passes by compiled loops, over truth values as the bytes that they are.

    126 x 4 of them take a second difference 17 us as doubles, 9 so.
    """
    if not (x.dtype == out.dtype == np.bool_ and out.flags.carray and whole):
        return _as_they_lie(x, out, plan, passes, outside, whole, workers, key)
    known, made = None if key is None else (key, "bytes"), out.view(np.uint8)
    if not _as_they_lie(x.view(np.uint8), made, plan, passes, outside, whole, workers, known):
        return False
    np.not_equal(made, 0, out)
    recalled.keep_view(key, known, out.dtype, x.shape, np.uint8, marks=True)
    return True


def _as_they_lie(
    x: Array, out: Array, plan: Planner, passes: int, outside: float, whole: bool,
    workers: int | None, key: Hashable,
) -> bool:  # fmt: skip
    """Run passes by compiled loops, where dtypes and layouts allow; return whether they did.

    The loops read and write one dtype. What it does not hold, the first pass takes as doubles, as
    SciPy does; its results are rounded for the others. Means of integers need `whole` numbers.
    """
    dtype = out.dtype
    looped = dtype.name in lines.DTYPES
    # bool and uint64 have no loops, but doubles are rounded to them at the end.
    known = looped or dtype.kind in "bu"
    if not known or not out.flags.carray or not dtype.isnative:
        return False
    # It holds these samples exactly; the sums would be the same.
    wider = np.can_cast(x.dtype, dtype) and (whole or dtype.kind == "f")
    if looped and (x.dtype == dtype or wider):
        parts = [(dtype.name, slice(None))]
    elif x.size > arguments.MOST_CONVERTED:
        return False
    elif looped:
        parts = [("float64", slice(1)), (dtype.name, slice(1, None))][: min(passes, 2)]
    else:
        parts = [("float64", slice(i, i + 1)) for i in range(passes)]
    steps = []
    for name, part in parts:
        p = plan(name, part)
        if p is None or load.ready(p.kernel, name, 1e-9 * p.products) is None:
            return False
        steps.append((np.dtype(name), _step(p, outside, workers)))

    def converted(samples: Array, results: Array) -> None:
        """Run all steps, rounding between them."""
        last = len(steps) - 1
        for number, (kind, step) in enumerate(steps):
            samples = recalled.converted(samples, kind)
            goal = results if kind == dtype else recalled.room(len(samples), kind, "goal")
            if goal is samples:  # A loop reads what it has not written.
                samples = samples.copy()
            step(samples, goal)
            if kind != dtype and number == last:
                put(goal, results)
            samples = goal if kind == dtype else cast(goal, held(dtype))

    kind, first = steps[0]

    def widened(samples: Array, results: Array) -> None:
        first(recalled.converted(samples, kind), results)

    run: recalled.Run = converted
    if len(steps) == 1 and kind == dtype:
        run = first if x.dtype == kind else widened
    flat = arguments.apart(np.require(x, None, ("C", "A")), out).reshape(-1)
    run(flat, out.reshape(-1))
    recalled.keep(key, dtype, x.shape, run)
    return True


def _step(
    plan: lines.Plan | ordered_windows.Plan, outside: float, workers: int | None
) -> recalled.Run:
    """Return what runs a plan over flat arrays of its dtype that share no memory."""
    kernel = load.kernel(plan.kernel, plan.dtype)
    in_one, products = plan.in_one(kernel, outside), plan.products

    def run(samples: Array, results: Array) -> None:
        plan.run(samples, results, outside, arguments.crew(products, workers))

    return in_one or run


def along(
    input: Any, weights: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any,
    stride: Any, accuracy: Any, workers: Any, max_memory: Any, missing: Missing,
    key: Hashable = None,
) -> Array:  # fmt: skip
    """Answer `correlate1d`."""
    x, w = np.asarray(input), np.asarray(weights)
    if max_memory is not None and not (arguments.native(x) and x.dtype.kind != "c" != w.dtype.kind):
        raise ValueError(f"max_memory must be None but for real samples, got {max_memory}")
    if not arguments.native(x):
        return arguments.beside("correlate1d", x, w, axis, output, mode, cval, origin)
    if x.dtype.kind == "c" and w.dtype.kind != "c" and not missing.plain:
        return missing.by_parts(
            x, output, cval,
            lambda part, into, outside, both: along(
                part, w, axis, into, mode, outside, origin, stride, accuracy, workers, None, both
            ),
        )  # fmt: skip
    planned = accuracy == "normwise" or type(stride) is not int or stride != 1
    if w.dtype.kind == "c" or (x.dtype.kind == "c" and planned):
        if w.dtype.kind == "c":
            w = w.conj().astype(np.complex128, copy=False)

        def part(real_x: Array, real_w: Array, into: Array, outside: Any, known: Hashable) -> Array:
            return along(
                real_x, real_w, axis, into, mode, outside, origin, stride, accuracy, workers,
                None, missing, known,
            )  # fmt: skip

        shape = _kept(x.shape, [axis], stride)
        return by_parts(part, x, w, output, cval, shape, missing, key)
    w, is_complex = np.asarray(w, np.float64), x.dtype.kind == "c"
    if w.ndim != 1 or len(w) < 1:
        # The output is settled first, as SciPy does.
        arguments.place(output, x.dtype, _kept(x.shape, [axis], stride), is_complex)
        raise RuntimeError("no filter weights given")
    axis = arguments.one_axis(axis, x.ndim)
    _check_origin(origin, len(w), "len(weights)", "origin")
    rule, origin = arguments.rule(mode), arguments.integer(origin)
    outside = cval if is_complex else float(cval)
    if stride != 1 or accuracy == "normwise":
        out = arguments.place(output, missing.dtype(x), _kept(x.shape, [axis], stride))
        missing.refuse("stride and accuracy")
        pad = len(w) // 2 + origin
        settings = Settings("auto", accuracy, None, workers, max_memory=max_memory)
        return _planned(x, w, out, (axis,), (pad,), rule, outside, stride, settings)
    out = arguments.place(output, missing.dtype(x), x.shape, is_complex)
    if not x.size:
        return out
    one = line_pass(w, axis, rule, origin)
    if missing.plain:
        run_passes(x, out, [one], outside, workers, key)
    else:
        count = line_pass((w != 0).astype(np.float64), axis, rule, origin)
        missing.run(x, out, [one], [count], outside, float(w.sum()), np.abs(w).sum(), workers)
    return out


def over(
    input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, flip: bool,
    axes: Any, stride: Any, accuracy: Any, workers: Any, max_memory: Any, missing: Missing,
    key: Hashable = None,
) -> Array:  # fmt: skip
    """Answer `correlate` and `convolve`."""
    x, w = np.asarray(input), np.asarray(weights)
    if max_memory is not None and not (arguments.native(x) and x.dtype.kind != "c" != w.dtype.kind):
        raise ValueError(f"max_memory must be None but for real samples, got {max_memory}")
    name = "convolve" if flip else "correlate"
    if not arguments.native(x) or x.ndim == 0:
        return arguments.beside(name, x, w, output, mode, cval, origin, axes=axes)
    if x.dtype.kind == "c" and w.dtype.kind != "c" and not missing.plain:
        return missing.by_parts(
            x, output, cval,
            lambda part, into, outside, both: over(
                part, w, into, mode, outside, origin, flip, axes, stride, accuracy, workers, None,
                both,
            ),
        )  # fmt: skip
    if x.dtype.kind == "c" or w.dtype.kind == "c":
        if w.dtype.kind == "c" and not flip:
            w = w.conj()

        def part(real_x: Array, real_w: Array, into: Array, outside: Any, known: Hashable) -> Array:
            return over(
                real_x, real_w, into, mode, outside, origin, flip, axes, stride, accuracy,
                workers, None, missing, known,
            )  # fmt: skip

        shape = _kept(x.shape, range(x.ndim) if axes is None else np.atleast_1d(axes), stride)
        return by_parts(part, x, w, output, cval, shape, missing, key)
    chosen = arguments.some_axes(axes, x.ndim)
    w, pads = _window_of(x, np.asarray(w, np.float64), chosen, origin, flip)
    out = arguments.place(output, missing.dtype(x), _kept(x.shape, chosen, stride))
    if not isinstance(mode, str) and np.iterable(mode):
        raise RuntimeError("A sequence of modes is not supported")
    rule, outside = arguments.rule(mode), float(cval)
    if not x.size:
        return out
    if stride != 1 or accuracy == "normwise":
        missing.refuse("stride and accuracy")
        every = tuple(range(x.ndim))
        strides = tuple(stride if a in chosen else 1 for a in every)
        settings = Settings("auto", accuracy, None, workers, max_memory=max_memory)
        return _planned(x, w, out, every, pads, rule, outside, strides, settings)
    taps = np.ascontiguousarray(w).tobytes()

    def plan(dtype: str, _: slice) -> ordered_windows.Plan | None:
        return ordered_windows.plan(dtype, x.shape, taps, w.shape, pads, rule)

    made = arguments.whole(out)
    if missing.plain and _as_bytes(x, made, plan, 1, outside, True, workers, key):
        if made is not out:
            out[...] = made
        return out
    window = Window(w.shape, pads, rule, correlation(w))
    if missing.plain:
        team = arguments.crew(x.size * w.size, workers)
        slide([Samples(arguments.apart(x, out), outside)], out, window, np.float64, team)
    else:
        counted = Window(w.shape, pads, rule, correlation((w != 0).astype(np.float64)))
        missing.run(x, out, window, counted, outside, float(w.sum()), np.abs(w).sum(), workers)
    return out


def _window_of(
    x: Array, w: Array, axes: tuple[int, ...], origin: Any, flip: bool
) -> tuple[Array, tuple[int, ...]]:
    """Return a filter with all of x's axes, in correlation order, and its pads."""
    origins = arguments.per_axis(origin, len(axes))
    if len(axes) < x.ndim:
        if w.ndim != len(axes):
            raise RuntimeError(f"weights.ndim ({w.ndim}) must match len(axes) ({len(axes)})")
        w = np.expand_dims(w, tuple(a for a in range(x.ndim) if a not in axes))
        spread = [0] * x.ndim
        for value, axis in zip(origins, axes, strict=True):
            spread[axis] = value
        origins = spread
    lengths = [n for n in w.shape if n > 0]
    if len(lengths) != x.ndim:
        raise RuntimeError(f"weights.ndim ({len(lengths)}) must match len(axes) ({len(axes)})")
    if flip:
        w = np.flip(w)
        origins = [-o if k % 2 else -o - 1 for o, k in zip(origins, w.shape, strict=True)]
    for o, k in zip(origins, lengths, strict=True):
        _check_origin(o, k, "weights.shape[k]", "origin[k]")
    pads = tuple(k // 2 + arguments.integer(o) for o, k in zip(origins, w.shape, strict=True))
    return w, pads


def _check_origin(origin: Any, k: int, length: str, name: str) -> None:
    if origin < -(k // 2) or origin > (k - 1) // 2:
        raise ValueError(
            f"Invalid origin; origin must satisfy -({length} // 2) <= {name} <= ({length}-1) // 2, "
            f"got {origin} for {k} weights"
        )


def _kept(shape: tuple[int, ...], axes: Any, stride: Any) -> tuple[int, ...]:
    """Return the result's shape where every `stride`-th output along some axes is kept."""
    if type(stride) is int and stride == 1:
        return shape
    step = request.positive("stride", stride)
    lengths = list(shape)
    for a in axes:
        lengths[a] = geometry.strided(lengths[a], step)
    return tuple(lengths)


def _planned(
    x: Array, w: Array, out: Array, axes: tuple[int, ...], pads: tuple[int, ...], rule: str,
    outside: float, strides: Any, settings: Settings,
) -> Array:  # fmt: skip
    """Let the planner choose a path: strided outputs, and transforms where they are allowed."""
    steps = strides if isinstance(strides, tuple) else (strides,)
    rest = [a for a in range(x.ndim) if a not in axes]
    order = [*rest, *axes]
    moved = None if order == sorted(order) else tuple(np.argsort(order).tolist())
    lengths = tuple(x.shape[a] for a in axes)
    kept = tuple(geometry.strided(n, s) for n, s in zip(lengths, steps, strict=True))
    batch = tuple(x.shape[a] for a in rest)
    every = (rule,) * len(axes)
    problem = Problem(
        "float64", prod(batch), True, lengths, w.shape, kept, steps, (1,) * len(axes), pads, every
    )
    if x.size:
        made = Request(problem, x.transpose(order), w, batch, moved, np.dtype(np.float64), outside)
        if out.dtype == np.float64 and out.dtype.isnative:
            request.answer(made, settings._replace(out=out))
        else:
            # The doubles, and what they are converted to.
            taken = (2 * made.dtype.itemsize + out.dtype.itemsize) * prod(made.shape)
            out[...] = cast(request.answer(made, request.less(settings, taken)), out.dtype)
    return out
