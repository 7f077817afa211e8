"""One float64 signal through the fused blocks, with a bound on the error of each block."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables

KERNELS = (("spectrum", "float64"), ("overlap_save", "float64"))


class Layout(NamedTuple):
    """How blocks of 2 `size` samples lie, see `geometry.Blocks`."""

    size: int
    step: int
    first: int
    shift: int
    blocks: int


def layout(n: int, k: int, pad: int, outputs: int, size: int) -> Layout:
    """Return the blocks that compute `outputs` correlations of n samples with k taps."""
    count, step, first, shift = geometry.blocks(n, k, pad, outputs, 2 * size)
    return Layout(size, step, first, shift, count)


def block_size(least: int) -> int:
    """Return the smallest block of at least `least` samples that is 1 or 3 times a power of two."""
    sizes = fft_tables.sizes("float64", max(128, least))
    return next(size for size in sizes if 2 * size >= least and size % 5)


def correlate(x: Any, w: Any, at: Layout, outputs: int, workers: int) -> Any:
    """Return ``out[i] = sum over t of x[i - pad + t] w[t]`` in float64."""
    n, k = len(x), len(w)
    plan = fft_tables.transform(at.size, "float64")
    form, room = (plan.size, plan.top, plan.levels), plan.scratch_length
    spectrum, out = np.empty(plan.spectrum_length), np.empty(outputs)
    load.kernel("spectrum", "float64")(
        w, spectrum, plan.table, scratch(room, "f8"), 1, 0, k, 0, *form
    )
    norms, kernel = np.empty(at.blocks), load.kernel("overlap_save", "float64")

    def some_blocks(lo: int, hi: int) -> None:
        kernel(
            x, spectrum, plan.table, scratch(room, "f8"), out, norms, 1, 0, 0, 0, n,
            lo * at.step, min(outputs, hi * at.step), at.first, at.step, at.shift, lo, hi, *form,
        )  # fmt: skip

    threads.run(
        some_blocks, geometry.shares(at.blocks, max(1, (1 << 16) // at.step), workers), workers
    )
    return out


def bounds(x: Any, w: Any, at: Layout, outputs: int) -> Any:
    """Return for each output the bound 9 (1 + log2 M) eps ||x of the block||_2 ||w||_2.

    The hundredth on top covers terms of second order and the rounding of the norms.
    """
    squares = np.square(x)
    norms = np.empty(at.blocks)
    for b in range(at.blocks):
        start = at.first + b * at.step + at.shift
        norms[b] = squares[max(0, start) : max(0, start + 2 * at.size)].sum()
    factor = 1.01 * 9 * (1 + log2(at.size)) * np.finfo(np.float64).eps
    norms = factor * np.sqrt(norms * np.square(w).sum())
    return np.repeat(norms, at.step)[:outputs]
