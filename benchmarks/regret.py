"""How much the planner's choices cost: the time of the chosen path over that of the best one.

``python -m benchmarks.regret`` walks a grid of lengths and filters, times every path that could be
meant, interleaved, and prints how many cells lie within 1.15 of the best, and the worst ones. What
calibration changes:

    python -m benchmarks.regret --json shipped.json
    python -m fastconv calibrate
    python -m benchmarks.regret --json calibrated.json --draw regret.svg shipped.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastconv.path import Operands
from fastconv.paths import PATHS
from fastconv.planner import selector
from fastconv.problem import Problem

GOOD = 1.15
# A path predicted to take this many times the chosen one's time is not tried: no rate is so wrong.
_HOPELESS = 4.0
_ROUNDS = 5


class Cell(NamedTuple):
    """One problem: the chosen path and the seconds of all that were tried."""

    problem: Problem
    chosen: str
    seconds: dict[str, float]

    @property
    def regret(self) -> float:
        """Time of the chosen path over that of the best."""
        return self.seconds[self.chosen] / min(self.seconds.values())

    def __str__(self) -> str:
        axes = zip(self.problem.signal, self.problem.filter, strict=True)
        shape = ", ".join(f"{n}*{k}" for n, k in axes)
        times = sorted(self.seconds.items(), key=lambda item: item[1])
        listed = ", ".join(f"{name} {1e6 * s:.1f} us" for name, s in times)
        return f"{self.regret:5.2f}  {self.problem.dtype} {shape}: {self.chosen} of {listed}"


def grid(ndim: int, dtype: str, density: int) -> Iterator[Problem]:
    """Yield 'full' problems, `density` lengths and filters to a factor of ten."""
    top = {1: 6.0, 2: 3.3}[ndim]
    lengths = np.unique(np.round(10 ** np.arange(1.5, top + 1e-9, 1 / density)).astype(int))
    for n in lengths.tolist():
        most = min(n, 70_000 if ndim == 1 else 200)
        taps = 10 ** np.arange(0.5, np.log10(most) + 1e-9, 1 / density)
        for k in [*np.unique(np.round(taps).astype(int)).tolist(), *([n] if ndim == 1 else [])]:
            ones = (1,) * ndim
            yield Problem(
                dtype, 1, True, (n,) * ndim, (k,) * ndim, (n + k - 1,) * ndim, ones, ones,
                (k - 1,) * ndim, ("zero",) * ndim,
            )  # fmt: skip


def measure(problem: Problem, seconds: float) -> Cell:
    """Time the paths that could be best, in turns, for about `seconds` together."""
    ranked = selector.rank(problem)
    names = [v.name for v in ranked if v.seconds <= _HOPELESS * ranked[0].seconds]
    generator = np.random.default_rng(0)
    x, w = (_drawn(generator, (1, *s), problem.dtype) for s in (problem.signal, problem.filter))
    best = dict.fromkeys(names, float("inf"))
    # One array for all: what a path frees would make the next one's pages fresh, and slow.
    out = np.zeros((1, *problem.output), problem.dtype)

    def once(name: str) -> float:
        start = time.perf_counter()
        PATHS[name].execute(problem, Operands(x, w, out))
        return time.perf_counter() - start

    if len(names) == 1:
        return Cell(problem, names[0], {names[0]: 1.0})
    for name in names:
        once(name)
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < _ROUNDS or time.perf_counter() < end:
        for name in names:
            best[name] = min(best[name], once(name))
        rounds += 1
    return Cell(problem, names[0], best)


def _drawn(generator: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Return noise; whole numbers of the whole range, which is what calibration draws."""
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return generator.integers(info.min, info.max, shape, dtype, endpoint=True)
    noise = generator.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        noise = noise + 1j * generator.standard_normal(shape)
    return noise.astype(dtype)


def report(cells: list[Cell], worst: int) -> str:
    """Return the share of good choices and the worst of the others."""
    regrets = np.array([cell.regret for cell in cells])
    lines = [
        f"{len(cells)} cells: {100 * np.mean(regrets <= GOOD):.1f} % within {GOOD} of the best, "
        f"95 % within {np.quantile(regrets, 0.95):.2f}, worst {regrets.max():.2f}"
    ]
    poor = sorted((cell for cell in cells if cell.regret > GOOD), key=lambda c: -c.regret)
    return "\n".join([*lines, *map(str, poor[:worst])])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regret", description=__doc__)
    parser.add_argument("--ndim", type=int, choices=(1, 2), default=1)
    parser.add_argument("--dtypes", default="float64,float32")
    parser.add_argument("--density", type=int, default=3, help="cells to a factor of ten")
    parser.add_argument("--seconds", type=float, default=0.01, help="for each cell, at least")
    parser.add_argument("--worst", type=int, default=12, help="how many to list")
    parser.add_argument("--json", metavar="FILE", help="write the regrets")
    parser.add_argument(
        "--draw", nargs="+", metavar=("SVG", "OLD"), help="draw them, with those of earlier files"
    )
    chosen = parser.parse_args()
    cells = []
    for dtype in chosen.dtypes.split(","):
        problems = grid(chosen.ndim, dtype, chosen.density)
        cells += [measure(p, chosen.seconds) for p in problems]
        print(report([c for c in cells if c.problem.dtype == dtype], chosen.worst), flush=True)
    regrets = [cell.regret for cell in cells]
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(regrets) + "\n", encoding="utf-8")
    if chosen.draw:
        target, *files = chosen.draw
        runs = {Path(f).stem: json.loads(Path(f).read_text(encoding="utf-8")) for f in files}
        draw(target, runs | {Path(chosen.json).stem if chosen.json else "now": regrets})


def draw(target: str, runs: Mapping[str, Sequence[float]]) -> None:
    """Write an SVG file: for each run, the share of cells whose regret is at most so much."""
    from .figures import regret_curves, svg

    Path(target).write_text(svg(regret_curves(runs)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
