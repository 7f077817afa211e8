"""What separable filters have in common: which images two passes serve, and what they need."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee
from ..problem import Problem

# The kernel's rows at a time, and by how much it may round up the length of a row in its workspace.
ROWS, _ROUNDING = 8, 128


def kernel_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`: unsigned integers wrap as signed ones do."""
    return dtype[1:] if dtype.startswith("uint") else dtype


def unserved(problem: Problem) -> str:
    """Return "" or why passes, one for each axis, do not serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.structure is None:
        return "no factors of the filter are known"
    if not problem.shared_filter:
        return "one filter only"
    if kernel_dtype(problem.dtype) not in KERNELS["separable"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    if any(n != 1 for n in (*problem.stride, *problem.dilation)):
        return "neither strides nor dilation"
    if "fill" in problem.boundary and set(problem.boundary) != {"fill"}:
        return "one fill value on all sides only"
    return _whole_width(problem)


def _whole_width(problem: Problem) -> str:
    """Return "" unless columns outside stand for columns that are not computed."""
    n, k, m = problem.signal[-1], problem.filter[-1], problem.output[-1]
    pad, reads = problem.pad[-1], m + k - 1
    inside = pad <= 0 and n + pad >= reads
    if inside or problem.boundary[-1] in ("zero", "fill") or (pad >= 0 and n + pad <= reads):
        return ""
    return "whole rows only"


def guarantee(problem: Problem) -> Guarantee:
    """Return what the factors keep."""
    assert problem.structure is not None
    found: Guarantee = problem.structure.guarantee  # type: ignore[assignment]
    return found


def plane_products(problem: Problem) -> int:
    """Return the products of both passes over one image, for one term."""
    (oh, ow), (kh, kw) = problem.output[-2:], problem.filter[-2:]
    return oh * (min(problem.signal[-1], ow + kw - 1) * kh + ow * kw)


@lru_cache(maxsize=32)
def maps(problem: Problem) -> tuple[Any, Any]:
    """Return for each row and each column that windows read the one it stands for."""
    rows, columns = (
        geometry.source_map(-p, m + k - 1, n, rule)
        for p, m, k, n, rule in zip(
            problem.pad[-2:], problem.output[-2:], problem.filter[-2:], problem.signal[-2:],
            problem.boundary[-2:], strict=True,
        )
    )  # fmt: skip
    return rows, columns


def map_bytes(problem: Problem) -> int:
    """Return the most bytes that making the maps takes."""
    pairs = zip(problem.output[-2:], problem.filter[-2:], strict=True)
    return 24 * sum(m + k - 1 for m, k in pairs)


def work_length(problem: Problem) -> int:
    """Return the elements of work space that one worker needs for the two passes."""
    width, ow, (kh, kw) = problem.signal[-1], problem.output[-1], problem.filter[-2:]
    return ROWS * (2 * ow + kw + _ROUNDING) + (ROWS + kh) * (width + _ROUNDING)


def outside(problem: Problem, fill: Any) -> Any:
    """Return what stands outside, as an array of one element of the problem's dtype."""
    return np.asarray(fill if "fill" in problem.boundary else 0).astype(problem.dtype).reshape(1)


def runs(wild: Any) -> list[tuple[int, int]]:
    """Return the runs of rows that are marked."""
    (marked,) = np.nonzero(wild)
    return geometry.merge(np.stack([marked, marked + 1], axis=1))


def row_boxes(wild: Any, place: tuple[tuple[int, int], ...], b: int, ow: int) -> list[Box]:
    """Return one box for each run of marked rows of signal b, `place` on the axes before them."""
    return [(b, b + 1, (*place, rows, (0, ow))) for rows in runs(wild)]
