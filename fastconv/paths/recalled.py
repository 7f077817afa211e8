"""Plain calls: what was settled once for a shape and a filter is kept.

Settling a filter takes 10 to 90 us; SciPy answers a thousand samples in six. So the compiled calls
that answer a request in one band are remembered, or the plan that answers a larger one, and the
next such request goes straight there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..records import NamedTuple
from ..runtime.scratch import scratch

Array = npt.NDArray[Any]
# (samples, results) of one piece each
Run = Callable[[Array, Array], object]
# (samples, results or None for fresh ones) -> the results; None where they do not suit
Recipe = Callable[[Array, Array | None], Array | None]

_MOST_RECIPES = 512
# The allocator keeps pieces of up to so many bytes.
_FRESH_BYTES = 1 << 16
_recipes: dict[Hashable, tuple[Recipe, Run]] = {}


class Call(NamedTuple):
    """What one call of a loop takes, besides samples and results.

    Parameters
    ----------
    weights : ndarray
        The filter's doubles.
    arrays : tuple of ndarray
        What comes after `out`.
    room : int
        Doubles of work space.
    counts : tuple of int
        What comes last.
    turned : (int, int) or None
        Rows and columns of samples that the loop takes with the columns as rows.
    pairs : bool
        Whether each of these samples is two numbers.
    """

    weights: Array
    arrays: tuple[Array, ...]
    room: int
    counts: tuple[int, ...]
    turned: tuple[int, int] | None = None
    pairs: bool = False


def recipe(key: Hashable) -> Recipe | None:
    """Return what was kept under `key`."""
    try:
        return _recipes[key][0]
    except (KeyError, TypeError):  # A list among the arguments.
        return None


def run_of(key: Hashable) -> Run | None:
    """Return what was kept under `key`, for samples and results of one piece that share nothing."""
    try:
        return _recipes[key][1]
    except (KeyError, TypeError):
        return None


def keep_view(
    key: Hashable, known: Hashable, dtype: npt.DTypeLike, shape: tuple[int, ...], seen: Any,
    made: Any = None, marks: bool = False,
) -> None:  # fmt: skip
    """Keep under `key` what is kept under `known` for samples and results seen as other dtypes.

    With `marks` the numbers made where truth values lie become what those are: 0 or 1.
    """
    compute, kind, goal = run_of(known), np.dtype(seen), np.dtype(made or seen)
    if compute is None:
        return
    none = np.zeros((), goal)  # A number would take as long again to become an array.

    def run(samples: Array, results: Array) -> None:
        compute(samples.view(kind), results.view(goal))

    def marked(samples: Array, results: Array) -> None:
        numbers = results.view(goal)
        compute(samples.view(kind), numbers)
        np.not_equal(numbers, none, results)

    keep(key, dtype, shape, marked if marks else run)


def keep_both(
    key: Hashable, known: tuple[Hashable, Hashable], dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> None:
    """Keep under `key` what two in turn do; the second one reads the first one's results."""
    first, second = map(run_of, known)
    if first is None or second is None:
        return

    def run(samples: Array, results: Array) -> None:
        first(samples, results)
        second(results.copy(), results)

    keep(key, dtype, shape, run)


def keep_sum(
    key: Hashable, known: Sequence[Hashable], dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> None:
    """Keep under `key` the sum of what some do."""
    runs = [run for run in map(run_of, known) if run is not None]
    if len(runs) < max(len(known), 1):
        return
    first, *others = runs

    def run(samples: Array, results: Array) -> None:
        first(samples, results)
        part = np.empty_like(results)
        for other in others:
            other(samples, part)
            np.add(results, part, results)

    keep(key, dtype, shape, run)


def keep_copy(key: Hashable, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    """Keep that results are the samples themselves."""

    def run(samples: Array, results: Array) -> None:
        results[...] = samples

    keep(key, dtype, shape, run)


def once(kernel: Any, call: Call, space: Callable[[], Array], source: Array, result: Array) -> None:
    """Run one call of a loop on flat samples and results, in work space as `space` makes it."""
    w, arrays, _, counts, turned, pairs = call
    if turned is None:
        kernel(source, w, result, *arrays, space(), *counts)
        return
    dtype, size = source.dtype, source.dtype.itemsize
    wide = np.dtype(f"c{2 * size}") if pairs else dtype
    source = source.view(wide).reshape(turned).T.reshape(-1).view(dtype)
    columns = np.empty_like(source)
    kernel(source, w, columns, *arrays, space(), *counts)
    result.view(wide).reshape(turned)[...] = columns.view(wide).reshape(turned[::-1]).T


def in_turn(kernel: Any, calls: tuple[Call, ...]) -> Run | None:
    """Return what runs calls of one loop: the first reads the samples, the others the results."""
    if not calls:
        return None
    space = room_of(max(call.room for call in calls), np.dtype(np.float64))

    if len(calls) == 1 and calls[0].turned is None:
        weights, arrays, _, counts, *_ = calls[0]

        def one(source: Array, result: Array) -> None:
            kernel(source, weights, result, *arrays, space(), *counts)

        return one

    def run(source: Array, result: Array) -> None:
        for call in calls:
            once(kernel, call, space, source, result)
            source = result

    return run


def room_of(length: int, dtype: np.dtype[Any]) -> Callable[[], Array]:
    """Return what makes work space: so little that fresh memory is had sooner than kept one."""
    if length * dtype.itemsize <= _FRESH_BYTES:
        return lambda: np.empty(length, dtype)
    return lambda: scratch(length, dtype)


def room(length: int, dtype: np.dtype[Any], purpose: str) -> Array:
    """Return such work space for `purpose`, of which a thread has one."""
    if length * dtype.itemsize <= _FRESH_BYTES:
        return np.empty(length, dtype)
    return scratch(length, dtype, purpose)


def converted(samples: Array, dtype: np.dtype[Any]) -> Array:
    """Return flat samples as numbers of a dtype, in work space if they are copied."""
    if samples.dtype == dtype:
        return samples
    copy = room(len(samples), dtype, "converted")
    np.copyto(copy, samples, casting="unsafe")
    return copy


def keep(key: Hashable, dtype: npt.DTypeLike, shape: tuple[int, ...], run: Run | None) -> None:
    """Keep what answers a request.

    Parameters
    ----------
    key : hashable
        All that it follows from, the samples' dtype among it; None keeps nothing.
    dtype
        Of the results.
    shape : tuple of int
        Of samples and results.
    run : callable or None
        Computes the results; None keeps nothing.
    """
    if key is None or run is None:
        return
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    kind, compute, flat = np.dtype(dtype), run, len(shape) == 1

    def answer(x: Array, out: Array | None = None) -> Array | None:
        flags = x.flags
        if not (flags.c_contiguous and flags.aligned):
            x = x.copy()
        if out is None:
            out = np.empty(shape, kind)
        elif out.shape != shape or not out.flags.writeable:
            return None
        elif not out.flags.carray:
            out[...] = answer(x)
            return out
        elif np.may_share_memory(x, out):
            x = x.copy()
        if flat:
            compute(x, out)
        else:
            compute(x.reshape(-1), out.reshape(-1))
        return out

    try:
        _recipes[key] = answer, compute
    except TypeError:
        return
