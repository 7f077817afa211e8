"""The short way of plain 2-D calls: what was settled once for a pair of shapes is kept.

Settling a 2-D request takes some 50 us; SciPy answers a small one in five. So the arguments of the
kernel that answers a pair of shapes are remembered, and the next call goes straight there, unless
its filter has factors that make the work less.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from .kernels.direct2d_call import BRIEF_PRODUCTS, MOST_ROWS, MOST_TAPS
from .path import Operands
from .paths import direct, planes
from .planner import selector, structure
from .problem import Problem
from .runtime import front, load, threads
from .runtime.bind import Whole

Array = npt.NDArray[Any]
# (image, taps in correlation order, out or None) -> the result; None where `out` does not suit.
Recipe = Callable[..., Array | None]

_MOST_RECIPES = 512
# An image of up to so many samples that does not lie as the loop wants it is copied for it.
COPIED = 1 << 14
_recipes: dict[Hashable, Recipe] = {}
# For each dtype the compiled entries that answer a whole call, if it is a small one
# (`kernels.direct2d_call`).
wholes: dict[np.dtype[Any], Whole] = {}


def recipe(key: Hashable) -> Recipe | None:
    """Return the short way that was kept under `key`."""
    return _recipes.get(key)


def keep(
    key: Hashable, problem: Problem, dtype: np.dtype[Any], *, exchanged: bool = False,
    fill: Any = 0,
) -> None:  # fmt: skip
    """Keep the short way for `problem`, if it is small or the direct loop answers it anyway.

    Parameters
    ----------
    key : hashable
        All that the problem follows from.
    problem : Problem
        One image and one filter.
    dtype : dtype
        Of image, filter and result.
    exchanged : bool
        Whether the problem's image is the call's filter, turned around, and its filter the image.
    fill : scalar
        What lies outside, for the rule "fill".
    """
    # float16 is computed in float32: its bits are not the loop's.
    if problem.dtype != dtype.name:
        return
    # The entry of a whole call is sooner done than any other path has begun: 4x4 int32 samples with
    # 2x2 taps take it 3 us, and NumPy's loops, which the rates prefer, 190.
    brief = short_way(problem)
    if problem.inside_out:
        problem, exchanged = problem.exchanged(), not exchanged
    if not brief and selector.choose(problem).name != direct.PATH.name:
        return
    ((name, loop_dtype),) = direct.kernels(problem)
    kernel = load.ready(name, loop_dtype)
    if kernel is None or name != "plane":
        return
    whole = load.whole(name, loop_dtype)
    if whole is not None and dtype not in wholes:
        wholes[dtype] = whole
        front.extend("plane", dtype, whole)
    if len(_recipes) >= _MOST_RECIPES:
        _recipes.clear()
    found = _recipe(kernel, problem, dtype, np.dtype(loop_dtype), dtype.type(fill))
    _recipes[key] = _exchanged(found) if exchanged else found


def _exchanged(found: Recipe) -> Recipe:
    """Return the recipe for an image that is its filter's filter."""

    def answer(x: Array, w: Array, out: Array | None = None) -> Array | None:
        if out is not None and np.may_share_memory(out, x):
            return None
        return found(w[::-1, ::-1].copy(), x[::-1, ::-1].copy(), out)

    return answer


def short_way(problem: Problem) -> str:
    """Return in words how a plain call of this problem goes past the planner, if it does."""
    reads = [m + k - 1 for m, k in zip(problem.output, problem.filter, strict=True)]
    small = problem.outputs * problem.taps <= BRIEF_PRODUCTS and problem.taps <= MOST_TAPS
    inside = problem.boundary == ("zero", "zero") or all(
        k <= n for k, n in zip(problem.filter, problem.signal, strict=True)
    )
    if not small or not inside or max(reads) > MOST_ROWS or problem.stride != (1, 1):
        return ""
    ((name, loop_dtype),) = direct.kernels(problem)
    if load.ready(name, loop_dtype, 0.0) is None or load.whole(name, loop_dtype) is None:
        return ""
    return f"plain calls go straight to {name}_{loop_dtype}, past the planner"


def _recipe(
    kernel: Any, problem: Problem, dtype: np.dtype[Any], loop_dtype: np.dtype[Any], fill: Any
) -> Recipe:
    run = planes.runner(problem, kernel, np.asarray(fill).view(loop_dtype))
    shape, seconds = problem.output, selector.rank(problem)[0].seconds
    looks, signed = structure.pays(problem), dtype == loop_dtype

    def answer(x: Array, w: Array, out: Array | None = None) -> Array | None:
        if out is None:
            out = np.empty(shape, dtype)
        elif not _suits(out, shape, dtype) or np.may_share_memory(out, x):
            return None
        found = structure.examine(problem, w) if looks else None
        if found is not None and found.structure is not None:
            known = problem._replace(structure=found.structure)
            helpers = threads.worthwhile(selector.rank(known)[0].seconds)
            images = x[None], w[None], out[None], fill
            selector.run(known, Operands(*images, helpers, found.factors))
            return out
        workers = 1 if seconds < threads.SECONDS_PER_WORKER else threads.worthwhile(seconds)
        if signed:
            run(x, w, out, workers)
        else:
            run(x.view(loop_dtype), w.view(loop_dtype), out.view(loop_dtype), workers)
        return out

    return answer


def _suits(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    plain = type(out) is np.ndarray and out.dtype == dtype and out.shape == shape
    return plain and bool(out.flags.carray)
