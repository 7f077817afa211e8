"""Measure this machine's rates: every path on a grid of problems, fitted by its counts of work."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..path import Operands, Path, Work
from ..paths import PATHS
from ..problem import Problem, Structure
from .calibrate_layers import calibrate_layers
from .rates import Rates, Table, identity, kind

DTYPES = (
    "float64",
    "float32",
    "float16",
    "complex128",
    "complex64",
    "int64",
    "int32",
    "int16",
    "int8",
    "bool",
)
# Products and points above which a cell would take more than some 30 ms on its path.
_MOST = {
    "direct": 1 << 26,
    "boxes": 1 << 30,
    "separable": 1 << 26,
    "separable_volumes": 1 << 26,
    "library": 1 << 23,
    "fft": 1 << 20,
    "overlap_save": 1 << 21,
    "fused": 1 << 21,
    "fused_complex": 1 << 21,
    "limbs": 1 << 20,
    "limb_tiles": 1 << 24,
    "tilted": 1 << 20,
}
_CELL_SECONDS = 0.012
_TRUE = 0.01


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell: a path on a problem, and the least time of several runs."""

    name: str
    problem: Problem
    seconds: float


def problems(dtype: str) -> Iterator[Problem]:
    """Yield the grid for one dtype: 1-D from 8 samples to a million, and 2-D images.

    Last the windows without weights, which other paths answer.
    """
    for n in (8, 64, 512, 4096, 32768, 1 << 18, 1 << 20):
        for k in (1, 3, 7, 16, 31, 64, 200, 512, 2048, 8192, 65536):
            if k <= n:
                yield _problem(dtype, (n,), (k,))
    for n in (8, 32, 128, 512, 1024):
        for k in (3, 5, 9, 15, 31, 63):
            if k <= n:
                yield _problem(dtype, (n, n), (k, k))
    for n in (32, 128, 512, 1024):
        for k in (3, 9, 15, 31, 63):
            if k <= n:
                yield _problem(dtype, (n, n), (k, k))._replace(structure=Structure(1, "normwise"))
    constant = Structure(1, "normwise", constant=True)
    for shape in ((4096,), (1 << 15,), (1 << 18,), (1 << 20,), (32, 32), (256, 256), (1024, 1024)):
        for k in (5, 15, 31, 200, 2000):
            if k <= shape[0]:
                yield _problem(dtype, shape, (k,) * len(shape))._replace(structure=constant)
    for n in (12, 32, 64, 128):
        for k in (3, 5, 9):
            yield _problem(dtype, (n,) * 3, (k,) * 3)._replace(structure=Structure(1, "normwise"))
    for n in (64, 1024, 1 << 15, 1 << 18):
        for up, down in ((2, 1), (3, 2), (4, 5), (20, 19), (160, 147)):
            for k in (20 * max(up, down) + 1, 150 * up + 1):
                yield _problem(dtype, (n,), (k,))._replace(
                    output=(-(-n * up // down),), stride=(down,), pad=(k // 2,), up=up
                )
    for reduction in ("box",) if dtype.startswith("complex") else ("box", "max"):
        for shape in ((64,), (4096,), (1 << 18,), (16, 16), (128, 128), (1024, 1024)):
            for k in (3, 9, 31):
                if k <= shape[0]:
                    yield _problem(dtype, shape, (k,) * len(shape), reduction)


def _problem(
    dtype: str, signal: tuple[int, ...], taps: tuple[int, ...], reduction: str = "sum"
) -> Problem:
    ones = (1,) * len(signal)
    return Problem(
        dtype,
        1,
        True,
        signal,
        taps,
        tuple(n + k - 1 for n, k in zip(signal, taps, strict=True)),
        ones,
        ones,
        tuple(k - 1 for k in taps),
        ("zero",) * len(signal),
        reduction,
    )


def calibrate(progress: Callable[[float, str], None] = lambda share, what: None) -> Table:
    """Measure all paths, on one thread.

    Parameters
    ----------
    progress : callable
        Called with the share that is done and what comes next.

    Returns
    -------
    Table
        Rates for every path, dtype and number of axes that the path supports.
    """
    table: Table = {}
    for i, dtype in enumerate(DTYPES):
        cells: dict[tuple[str, str], list[Measurement]] = {}
        grid = list(problems(dtype))
        for j, problem in enumerate(grid):
            progress((i + j / len(grid)) / len(DTYPES), f"{dtype} {problem.signal}")
            for path in PATHS.values():
                if _affordable(path, problem):
                    seconds = measure(path, problem)
                    cells.setdefault((path.name, kind(problem.ndim)), []).append(
                        Measurement(path.name, problem, seconds)
                    )
        for (name, which), measured in cells.items():
            table[name, dtype, which] = fit(measured)
    table |= calibrate_layers(least, progress)
    progress(1.0, "done")
    return table


def _affordable(path: Path, problem: Problem) -> bool:
    # A known structure matters to those that cannot do without it, and so do gaps.
    if problem.up > 1 and not path.supports(problem._replace(up=1, stride=(1,))):
        return False
    if path.supports(problem) or not (
        problem.structure is None or path.supports(problem._replace(structure=None))
    ):
        return False
    work = path.work(problem)
    size = max(problem.outputs, work.multiply_adds)
    return size <= _MOST.get(path.name, 1 << 22)


def measure(path: Path, problem: Problem) -> float:
    """Return the least seconds of several runs of `path`, the result's allocation included."""
    operands = _operands(problem)
    path.execute(problem, operands)
    best, spent = float("inf"), 0.0
    runs = 0
    while runs < 3 or (spent < _CELL_SECONDS and runs < 200):
        start = time.perf_counter()
        out = np.empty(operands.out.shape, operands.out.dtype)
        path.execute(problem, operands._replace(out=out))
        seconds = time.perf_counter() - start
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return best


def _operands(problem: Problem) -> Operands:
    generator = np.random.default_rng(0)

    def sample(shape: tuple[int, ...]) -> Any:
        if problem.dtype == "bool":  # NumPy's loop ends at the first product that is true.
            return generator.random(shape) < _TRUE
        if np.dtype(problem.dtype).kind == "i":  # The largest numbers have the most digits.
            info = np.iinfo(problem.dtype)
            return generator.integers(info.min, info.max, shape, problem.dtype, endpoint=True)
        return (generator.standard_normal(shape) * 50).astype(problem.dtype)

    x, w = sample((1, *problem.signal)), sample((1, *problem.filter))
    out = np.empty((1, *problem.output), problem.dtype)
    if problem.structure is None:
        return Operands(x, w, out)
    factors = tuple(sample((problem.structure.rank, k)) for k in problem.filter)
    return Operands(x, w, out, factors=factors)


def fit(measured: list[Measurement]) -> Rates:
    """Return the non-negative rates with the least relative error over the cells."""
    works = [PATHS[cell.name].work(cell.problem) for cell in measured]
    return least(works, [cell.seconds for cell in measured])


def least(works: list[Work], times: list[float]) -> Rates:
    """Return the non-negative rates with the least relative error over counts and their times."""
    from scipy.optimize import nnls

    rows = [(1.0, *map(float, work)) for work in works]
    matrix = np.asarray(rows) / np.asarray(times)[:, None]
    scale = np.maximum(matrix.max(axis=0), 1e-300)
    solution, _ = nnls(matrix / scale, np.ones(len(times)))
    return Rates(*(float(v) for v in solution / scale))


def provenance() -> dict[str, Any]:
    """Return what the rates are valid for, and whence they come."""
    return {
        **identity(),
        "date": datetime.date.today().isoformat(),
        "command": "python -m fastconv calibrate",
    }
