"""One float64 signal through the fused blocks, with a bound on the error of each block."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..records import NamedTuple
from ..runtime.scratch import scratch
from . import fft_tables, one_signal

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
    k, plan = len(w), fft_tables.transform(at.size, "float64")
    signal = one_signal.Signal(
        plan, "float64", KERNELS[0][0], KERNELS[1][0], (k, k, 0), plan.spectrum_length,
        geometry.Blocks(at.blocks, *at[1:4]), 1 << 16, len(x), outputs,
    )  # fmt: skip
    spectrum, norms, out = map(np.empty, (signal.apart, at.blocks, outputs))
    one_signal.transform(signal, w[None], spectrum)
    area = scratch(plan.scratch_length, "float64")
    one_signal.loop(signal)(x, spectrum, area, norms, out, workers)
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
