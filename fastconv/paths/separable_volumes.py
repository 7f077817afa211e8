"""Separable filters for volumes: a pass through the slices, then two within each slice.

The first pass adds up some rows of a few slices into a workspace in the second cache, where the
two passes of an image (`separable`) find them: a filter of k^3 taps takes 3 k products per output.
"""

from __future__ import annotations

import numpy as np

from .. import geometry
from ..path import BAND_BYTES, SLACK, Box, Operands, Path, Space, Work
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import passes

# Sums of slices that wait for the two other passes. Four slices are a register tile's at least.
_BLOCK_BYTES, _SLICES, _LEAST_ROWS = 1 << 18, 4, 16


class _Block(NamedTuple):
    """Some rows of some slices of one volume's results."""

    volume: int
    slices: tuple[int, int]
    rows: tuple[int, int]


def supports(problem: Problem) -> str:
    """Return "" or why three passes do not serve."""
    return passes.unserved(problem) if problem.ndim == 3 else "three axes only"


def work(problem: Problem) -> Work:
    """Return the products of the three passes."""
    assert problem.structure is not None
    size, rank = np.dtype(problem.dtype).itemsize, problem.structure.rank
    depth, height, width = problem.signal
    through = min(height, problem.output[1] + problem.filter[1] - 1) * width * problem.filter[0]
    slices = problem.batch * problem.output[0]
    return Work(
        calls=2 * rank * len(_blocks(problem)),
        multiply_adds=rank * slices * (through + passes.plane_products(problem)),
        bytes_moved=size * (problem.outputs + problem.batch * depth * height * width),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the loop through the slices and the one within them."""
    dtype = passes.kernel_dtype(problem.dtype)
    return (("columns", dtype), ("separable", dtype))


def space(problem: Problem) -> Space:
    """Return for each worker sums of slices, a copy of those at the rim, and another term."""
    size = np.dtype(problem.dtype).itemsize
    slices, rows = _sides(problem)
    marks = 16 * problem.batch * problem.output[0] * problem.output[1]
    blocks = 3 * BAND_BYTES * len(_blocks(problem))
    sums, copies, term = _lengths(problem, slices, rows)
    each = size * (sums + copies + term + passes.work_length(problem))
    maps = passes.map_bytes(problem) + 24 * (problem.output[0] + problem.filter[0])
    return Space(maps + marks + blocks + SLACK, each + 4 * SLACK)


def _sides(problem: Problem) -> tuple[int, int]:
    """Return how many slices and rows of results make a block."""
    size = np.dtype(problem.dtype).itemsize
    depth, height, _ = problem.output
    of_row = max(1, problem.signal[2] * size)
    of_slice = of_row * min(problem.signal[1], height + problem.filter[1] - 1)
    fitting = _BLOCK_BYTES // max(1, of_slice) // _SLICES * _SLICES
    if fitting:
        return max(1, min(depth, fitting)), max(1, height)
    rows = _BLOCK_BYTES // (_SLICES * of_row) - problem.filter[1] + 1
    return max(1, min(depth, _SLICES)), max(1, min(height, max(rows, _LEAST_ROWS)))


def _lengths(problem: Problem, slices: int, rows: int) -> tuple[int, int, int]:
    """Return the elements of a block's sums of slices, of copied slices and of one term."""
    # Rows that a rim's windows read from the other side may be all there are.
    plain = problem.boundary[1] in ("zero", "fill", "nearest")
    read = min(problem.signal[1], rows + problem.filter[1] - 1) if plain else problem.signal[1]
    plane = read * problem.signal[2]
    copies = 0 if problem.boundary[0] == "zero" else (slices + problem.filter[0] - 1) * plane
    assert problem.structure is not None
    term = rows * problem.output[2] if problem.structure.rank > 1 else 0
    return slices * plane, copies, term


def _blocks(problem: Problem) -> list[_Block]:
    """Return the blocks of all volumes, the same for any number of workers."""
    slices, rows = _sides(problem)
    return [
        _Block(b, through, down)
        for b in range(problem.batch)
        for through in geometry.bands(problem.output[0], slices)
        for down in geometry.bands(problem.output[1], rows)
    ]


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; return the rows in which an inner sum may have overflowed."""
    assert problem.structure is not None
    dtype, rank = passes.kernel_dtype(problem.dtype), problem.structure.rank
    add_slices, within = (load.kernel(name, dtype) for name in ("columns", "separable"))
    (depth, height, width), (k, kh, kw) = problem.signal, problem.filter
    ow = problem.output[2]
    pad = problem.pad[0]
    through = geometry.source_map(-pad, problem.output[0] + k - 1, depth, problem.boundary[0])
    rows, columns = passes.maps(problem)
    x = operands.x.view(dtype).reshape(problem.batch, depth, height * width)
    out = operands.out.view(dtype)
    terms = [f.view(dtype) for f in operands.factors]
    fill = passes.outside(problem, operands.fill).view(dtype)
    # Around a slice of sums lie sums of what is filled in.
    filled = "fill" in problem.boundary
    with np.errstate(all="ignore"):
        beyond = [fill * taps.sum(dtype=fill.dtype) if filled else fill for taps in terms[0]]
    wild = np.zeros((problem.batch, *problem.output[:2]), np.int64)
    lengths = _lengths(problem, *_sides(problem))
    length = passes.work_length(problem)

    def one(block: _Block) -> None:
        (begin, end), (top, bottom) = block.slices, block.rows
        read = rows[top : bottom + kh - 1]
        met = read[read >= 0]
        low, high = (int(met.min()), int(met.max()) + 1) if len(met) else (0, 0)
        plane = (high - low) * width
        of_rows = np.where(read < 0, -1, read - low)
        samples, pads = x[block.volume].reshape(-1)[low * width :], (pad - begin, height * width)
        signal, here = depth, through[begin : end + k - 1]
        if problem.boundary[0] != "zero" and (np.diff(here) != 1).any():
            signal, pads = len(here), (0, plane)
            copied = scratch(lengths[1], dtype, "slices")[: signal * plane]
            copied = copied.reshape(signal, plane)
            for j, number in enumerate(here.tolist()):
                part = slice(low * width, high * width)
                copied[j] = fill if number < 0 else x[block.volume, number, part]
            samples = copied.reshape(-1)
        sums = scratch(lengths[0], dtype, "sums")[: (end - begin) * plane]
        # The kernel's own workspace is the thread's plain one.
        room, term = scratch(length, dtype), scratch(lengths[2], dtype, "term")
        goal = out[block.volume, begin:end, top:bottom]
        marks = wild[block.volume, begin:end, top:bottom]
        for q in range(rank):
            if plane:
                add_slices(samples, terms[0][q], sums, 1, 0, 0, 0, signal, k, end - begin, plane,
                           pads[1], plane, 1, 1, pads[0])  # fmt: skip
            for i in range(end - begin):
                into = goal[i].reshape(-1) if q == 0 else term[: goal[i].size]
                within(sums[i * plane :], terms[1][q], terms[2][q], into, room, of_rows, columns,
                       beyond[q], marks[i], width, ow, width, 1, kh, kw, 0, bottom - top, ow,
                       problem.pad[2])  # fmt: skip
                if q:
                    with np.errstate(all="ignore"):
                        goal[i] += into.reshape(goal[i].shape)
        if rank > 1 and goal.dtype.kind == "f":
            marks[...] = ~np.isfinite(goal).all(axis=-1)

    blocks = _blocks(problem)

    def some(lo: int, hi: int) -> None:
        for block in blocks[lo:hi]:
            one(block)

    threads.run(some, geometry.bands(len(blocks), 1), operands.workers)
    if not wild.any():
        return []
    return [
        box
        for b, i in np.argwhere(wild.any(axis=2)).tolist()
        for box in passes.row_boxes(wild[b, i], ((i, i + 1),), b, ow)
    ]


PATH = Path(
    name="separable_volumes",
    summary="a pass through the slices, one down the columns, one along the rows",
    local=False,
    supports=supports,
    guarantee=passes.guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
