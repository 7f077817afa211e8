"""Separable filters: a pass down the columns, then one along the rows, a few rows at a time.

A filter that is a sum of r outer products takes r (kh + kw) products per output, not kh kw. The
planner finds the factors (`planner.structure`) and says what their product is worth.
"""

from __future__ import annotations

import numpy as np

from .. import geometry
from ..path import SLACK, Box, Operands, Path, Space, Work
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import passes

# Outputs in one band; a whole number of the kernel's rows. Both passes of 2**17 outputs take
# one thread some 30 us with short filters: less work would not be worth a thread's while.
_BAND_OUTPUTS = 1 << 17


def supports(problem: Problem) -> str:
    """Return "" or why two passes do not serve."""
    return passes.unserved(problem) if problem.ndim == 2 else "two axes only"


def work(problem: Problem) -> Work:
    """Return the products of both passes."""
    assert problem.structure is not None
    size = np.dtype(problem.dtype).itemsize
    height, width = problem.signal
    return Work(
        calls=1,
        multiply_adds=problem.structure.rank * problem.batch * passes.plane_products(problem),
        bytes_moved=size * (problem.outputs + problem.batch * height * width),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop."""
    return (("separable", passes.kernel_dtype(problem.dtype)),)


def space(problem: Problem) -> Space:
    """Return some rows for each worker, the maps of rows and columns, and a mark for each row."""
    marks = 16 * problem.batch * problem.output[0]
    each = np.dtype(problem.dtype).itemsize * passes.work_length(problem)
    return Space(passes.map_bytes(problem) + marks + SLACK, each + SLACK)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; return the rows in which an inner sum may have overflowed."""
    assert problem.structure is not None
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    (height, width), (kh, kw), (oh, ow) = problem.signal, problem.filter, problem.output
    rows, columns = passes.maps(problem)
    x, out = (a.view(dtype).reshape(-1) for a in (operands.x, operands.out))
    down, across = (f.view(dtype).reshape(-1) for f in operands.factors)
    fill = passes.outside(problem, operands.fill).view(dtype)
    wild = np.zeros(problem.batch * oh, np.int64)
    length = passes.work_length(problem)
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

    of_band = max(1, _BAND_OUTPUTS // max(ow, 1) // passes.ROWS) * passes.ROWS
    bands = geometry.even(problem.batch * oh, of_band, passes.ROWS)
    threads.run(some_rows, bands, operands.workers)
    if not wild.any():
        return []
    marks = wild.reshape(problem.batch, oh)
    return [box for b in range(problem.batch) for box in passes.row_boxes(marks[b], (), b, ow)]


PATH = Path(
    name="separable",
    summary="a pass down the columns, then one along the rows",
    local=False,
    supports=supports,
    guarantee=passes.guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
