"""Separable filters: a pass down the columns, then one along the rows, a few rows at a time.

A filter that is a sum of r outer products takes r (kh + kw) products per output, not kh kw. The
planner finds the factors (`planner.structure`) and says what their product is worth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import SLACK, Box, Guarantee, Operands, Path, Space, Work
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch

# Outputs in one band; a whole number of the kernel's 4 or 8 rows. Both passes of 2**17 outputs take
# one thread some 30 us with short filters: less work would not be worth a thread's while.
_BAND_OUTPUTS, _ROWS = 1 << 17, 8
# Elements by which the kernel may round up the length of a row in its workspace.
_ROUNDING = 128


def supports(problem: Problem) -> str:
    """Return "" or why two passes do not serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.structure is None:
        return "no factors of the filter are known"
    if problem.ndim != 2 or not problem.shared_filter:
        return "two axes and one filter only"
    if _kernel_dtype(problem.dtype) not in KERNELS["separable"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    if any(n != 1 for n in (*problem.stride, *problem.dilation)):
        return "neither strides nor dilation"
    if "fill" in problem.boundary and set(problem.boundary) != {"fill"}:
        return "one fill value on all sides only"
    return _whole_width(problem)


def _whole_width(problem: Problem) -> str:
    """Return "" unless columns outside stand for columns that are not computed."""
    n, k, m = problem.signal[1], problem.filter[1], problem.output[1]
    pad, reads = problem.pad[1], m + k - 1
    inside = pad <= 0 and n + pad >= reads
    if inside or problem.boundary[1] in ("zero", "fill") or (pad >= 0 and n + pad <= reads):
        return ""
    return "whole rows only"


def _kernel_dtype(dtype: str) -> str:
    return dtype[1:] if dtype.startswith("uint") else dtype


def guarantee(problem: Problem) -> Guarantee:
    """Return what the factors keep."""
    assert problem.structure is not None
    found: Guarantee = problem.structure.guarantee  # type: ignore[assignment]
    return found


def work(problem: Problem) -> Work:
    """Return the products of both passes."""
    assert problem.structure is not None
    size = np.dtype(problem.dtype).itemsize
    (height, width), (_, ow) = problem.signal, problem.output
    down = problem.batch * problem.output[0] * min(width, ow + problem.filter[1] - 1)
    return Work(
        calls=1,
        multiply_adds=problem.structure.rank
        * (down * problem.filter[0] + problem.outputs * problem.filter[1]),
        bytes_moved=size * (problem.outputs + problem.batch * height * width),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop."""
    return (("separable", _kernel_dtype(problem.dtype)),)


def _work_length(problem: Problem) -> int:
    """Return the elements of work space that one worker needs."""
    width, ow, (kh, kw) = problem.signal[1], problem.output[1], problem.filter
    return _ROWS * (2 * ow + kw + _ROUNDING) + (_ROWS + kh) * (width + _ROUNDING)


def space(problem: Problem) -> Space:
    """Return some rows for each worker, the maps of rows and columns, and a mark for each row."""
    maps = sum(m + k - 1 for m, k in zip(problem.output, problem.filter, strict=True))
    marks = problem.batch * problem.output[0]
    itemsize = np.dtype(problem.dtype).itemsize
    return Space(24 * maps + 16 * marks + SLACK, itemsize * _work_length(problem) + SLACK)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; return the rows in which an inner sum may have overflowed."""
    assert problem.structure is not None
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    (height, width), (kh, kw), (oh, ow) = problem.signal, problem.filter, problem.output
    rows, columns = (
        geometry.source_map(-p, m + k - 1, n, rule)
        for p, m, k, n, rule in zip(
            problem.pad, problem.output, problem.filter, problem.signal, problem.boundary,
            strict=True,
        )
    )  # fmt: skip
    x, out = (a.view(dtype).reshape(-1) for a in (operands.x, operands.out))
    down, across = (f.view(dtype).reshape(-1) for f in operands.factors)
    outside = operands.fill if "fill" in problem.boundary else 0
    fill = np.asarray(outside).astype(operands.x.dtype).view(dtype).reshape(1)
    wild = np.zeros(problem.batch * oh, np.int64)
    length = _work_length(problem)
    sizes = (width, ow, width, problem.structure.rank, kh, kw)

    def some_rows(lo: int, hi: int) -> None:
        # Bands count rows over all images: a band may end one and begin the next.
        room = scratch(length, dtype)
        while lo < hi:
            b, row = divmod(lo, oh)
            end = min(oh, row + hi - lo)
            here = out[b * oh * ow :], room, rows, columns, fill, wild[b * oh :]
            kernel(x[b * height * width :], down, across, *here, *sizes, row, end, ow,
                   problem.pad[1])  # fmt: skip
            lo += end - row

    of_band = max(1, _BAND_OUTPUTS // max(ow, 1) // _ROWS) * _ROWS
    threads.run(some_rows, geometry.bands(problem.batch * oh, of_band), operands.workers)
    return _runs(wild.reshape(problem.batch, oh), ow) if wild.any() else []


def _runs(wild: Any, ow: int) -> list[Box]:
    """Return one box for each run of marked rows."""
    boxes: list[Box] = []
    for b in range(len(wild)):
        (marked,) = np.nonzero(wild[b])
        pairs = np.stack([marked, marked + 1], axis=1)
        boxes += [(b, b + 1, (rows, (0, ow))) for rows in geometry.merge(pairs)]
    return boxes


PATH = Path(
    name="separable",
    summary="a pass down the columns, then one along the rows",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
