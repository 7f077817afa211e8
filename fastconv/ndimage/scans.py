"""Windows without weights as one Problem for the loops of the scan path."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..path import Operands
from ..paths import PATHS, recalled, scan
from ..paths.bands import Pass
from ..planner import selector
from ..problem import Problem
from . import arguments

Array = npt.NDArray[Any]


def by_scans(
    reduction: str, x: Array, out: Array, passes: Sequence[Pass], fill: float,
    workers: int | None, key: Hashable = None,
) -> bool:  # fmt: skip
    """Run all passes at once, if the loops are ready; return whether they were.

    Parameters
    ----------
    reduction : {"max", "min", "box"}
        What windows are reduced to.
    x, out : ndarray
        Samples and results, of one dtype; sharing no memory.
    passes : sequence of Pass
        Sizes, pads and rules per axis.
    fill : float
        Samples outside, for the rule "fill".
    workers : int, optional
        The most threads.
    key : hashable
        Under which the calls are kept for the next time.
    """
    if not out.flags.carray or not out.dtype.isnative:
        return False
    axes = tuple((q.axis, q.size, q.pad, q.boundary) for q in passes)
    problem = _problem(reduction, out.dtype.name, x.shape, axes)
    if not selector.is_ready("scan", problem):
        return False
    x = np.require(x, out.dtype, ("C", "A"))[None]
    # Of a filter without weights only the size counts.
    nothing = np.broadcast_to(np.zeros((), out.dtype), (1, *problem.filter))

    def crew() -> int:
        return arguments.crew(8 * out.size * len(passes), workers)

    operands = Operands(x, nothing, out[None], out.dtype.type(fill), crew())
    PATHS["scan"].execute(problem, operands)
    if key is not None:
        recalled.keep(key, out.dtype.name, x.shape[1:], scan.settled(problem, fill, crew))
    return True


@lru_cache(maxsize=256)
def _problem(
    reduction: str, dtype: str, shape: tuple[int, ...], axes: tuple[tuple[int, int, int, str], ...]
) -> Problem:
    size, pad, rules = [1] * len(shape), [0] * len(shape), ["zero"] * len(shape)
    for axis, k, p, rule in axes:
        size[axis], pad[axis], rules[axis] = k, p, rule
    ones = (1,) * len(shape)
    return Problem(
        dtype, 1, True, shape, tuple(size), shape, ones, ones, tuple(pad), tuple(rules), reduction
    )
