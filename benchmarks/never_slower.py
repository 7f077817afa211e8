"""Where NumPy's convolve is quicker than ours: a sweep over lengths, filters and all dtypes.

``python -m benchmarks.never_slower`` races both over a grid with n * k <= 1e7, filters longer than
signals included, and lists the cells that are slower. A cell that looks slower is raced again with
more time before it is called so: noise makes a cell slow, never quick.

    python -m benchmarks.never_slower --dtypes float16,bool --mode same --seconds 0.02
    python -m benchmarks.never_slower --function correlate --mode valid
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import fastconv

from .operands import noise
from .timing import race

__all__ = ["DTYPES", "Cell", "grid", "main", "measure"]

DTYPES = (
    "float64", "float32", "float16", "complex128", "complex64", "bool",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
)  # fmt: skip
PRODUCTS = 10_000_000
# Ratios of two equal contenders spread by so much on a machine that does nothing else.
EVEN = 0.98
_AGAIN, _TRIES = 4, 3
_SIZES = (1, 2, 3, 5, 8, 13, 17, 24, 31, 64, 100, 300, 1000, 3000)
_LONG = (10_000, 100_000, 1_000_000, 10_000_000)
_MORE = (1, 3, 15, 40)


class Cell(NamedTuple):
    """One problem and how many times as long as ours NumPy's call takes."""

    dtype: str
    n: int
    k: int
    mode: str
    ratio: float
    seconds: float

    def __str__(self) -> str:
        what = f"{self.dtype} n={self.n} k={self.k} {self.mode}"
        return f"{self.ratio:6.2f}  {what}: {1e6 * self.seconds:.2f} us"


def grid(most: int = PRODUCTS, mode: str = "full") -> Iterator[tuple[int, int]]:
    """Yield (n, k) with at most `most` products; either may be the longer.

    Where windows must lie inside, filters nearly as long as the signal leave few products.
    """
    for n in (*_SIZES, *_LONG):
        for k in (*_SIZES, *_LONG):
            # So far apart, who is first makes no difference.
            if n * k <= most and k <= max(100, 4 * n):
                yield n, k
        for more in _MORE if mode == "valid" else ():
            if (more + 1) * n <= most:
                yield n + more, n


def measure(
    dtype: str, n: int, k: int, mode: str, seconds: float, function: str = "convolve"
) -> Cell:
    """Race one cell; again, with more time, while NumPy's call looks quicker."""
    a, v = noise(dtype, (n,), 1), noise(dtype, (k,), 2)
    calls = {
        "ours": lambda: getattr(fastconv, function)(a, v, mode),
        "numpy": lambda: getattr(np, function)(a, v, mode),
    }
    best = dict.fromkeys(calls, float("inf"))
    for attempt in range(_TRIES):
        for name, timing in race(calls, seconds * _AGAIN**attempt).items():
            best[name] = min(best[name], timing.best)
        if best["numpy"] >= EVEN * best["ours"]:
            break
    return Cell(dtype, n, k, mode, best["numpy"] / best["ours"], best["ours"])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.never_slower", description=__doc__)
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--function", choices=("convolve", "correlate"), default="convolve")
    parser.add_argument("--mode", choices=("full", "same", "valid"), default="full")
    parser.add_argument("--products", type=int, default=PRODUCTS, help="the most, n * k")
    parser.add_argument("--seconds", type=float, default=0.004, help="for each cell, at least")
    chosen = parser.parse_args()
    chosen.mode = sys.intern(chosen.mode)  # As in a program, which has it as a literal.
    for dtype in chosen.dtypes.split(","):
        cells = [
            measure(dtype, n, k, chosen.mode, chosen.seconds, chosen.function)
            for n, k in grid(chosen.products, chosen.mode)
        ]
        ratios = np.array([cell.ratio for cell in cells])
        slower = sorted((c for c in cells if c.ratio < EVEN), key=lambda c: c.ratio)
        print(
            f"{dtype}: {len(slower)} of {len(cells)} cells slower than np.{chosen.function}; "
            f"least {ratios.min():.2f}, median {np.median(ratios):.2f}",
            flush=True,
        )
        for cell in slower:
            print(f"  {cell}", flush=True)


if __name__ == "__main__":
    main()
