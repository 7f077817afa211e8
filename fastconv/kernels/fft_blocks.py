"""Overlap-save in one kernel: block transform, product with the filter's spectrum, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_layout import tile
from .fft_passes import read, read_backward, read_rim, write, write_rim
from .fft_walk import make_walk
from .scalar import put

# Blocks up to this size are too short for the processor's own prefetching: asking for the next
# block while this one is transformed takes a quarter off at n = 1e6, K = 64.
PREFETCH_BYTES = 1 << 18


def make_first(target: Target, dtype: str) -> Any:
    """Return the first pass: samples of a signal that may end before a block does."""
    lanes = target.lanes(np.dtype(dtype).itemsize)

    @inline
    def first(signal: Any, scratch: Any, table: Any, base: int, start: int, size: int, top: int,
              low: int, high: int) -> None:
        points = size // top
        if start >= low and start + 2 * size <= high:
            if top == 8:
                read(lanes, 8, signal, scratch, table, base, start, points, low, high)
            elif top == 4:
                read(lanes, 4, signal, scratch, table, base, start, points, low, high)
            elif top == 2:
                read(lanes, 2, signal, scratch, table, base, start, points, low, high)
            elif top == 3:
                read(lanes, 3, signal, scratch, table, base, start, points, low, high)
            else:
                read(lanes, 5, signal, scratch, table, base, start, points, low, high)
        elif top == 8:
            read_rim(lanes, 8, signal, scratch, table, base, start, points, low, high)
        elif top == 4:
            read_rim(lanes, 4, signal, scratch, table, base, start, points, low, high)
        elif top == 2:
            read_rim(lanes, 2, signal, scratch, table, base, start, points, low, high)
        elif top == 3:
            read_rim(lanes, 3, signal, scratch, table, base, start, points, low, high)
        else:
            read_rim(lanes, 5, signal, scratch, table, base, start, points, low, high)

    return first


def make_last(target: Target, dtype: str) -> Any:
    """Return the last pass: results that may begin or end within a block."""
    lanes = target.lanes(np.dtype(dtype).itemsize)

    @inline
    def last(scratch: Any, out: Any, norms: Any, table: Any, base: int, start: int, size: int,
             top: int, low: int, high: int, at: int) -> None:
        points = size // top
        if start >= low and start + 2 * size <= high:
            if top == 8:
                write(lanes, 8, scratch, out, norms, table, base, start, points, low, high, at)
            elif top == 4:
                write(lanes, 4, scratch, out, norms, table, base, start, points, low, high, at)
            elif top == 2:
                write(lanes, 2, scratch, out, norms, table, base, start, points, low, high, at)
            elif top == 3:
                write(lanes, 3, scratch, out, norms, table, base, start, points, low, high, at)
            else:
                write(lanes, 5, scratch, out, norms, table, base, start, points, low, high, at)
        elif top == 8:
            write_rim(lanes, 8, scratch, out, norms, table, base, start, points, low, high, at)
        elif top == 4:
            write_rim(lanes, 4, scratch, out, norms, table, base, start, points, low, high, at)
        elif top == 2:
            write_rim(lanes, 2, scratch, out, norms, table, base, start, points, low, high, at)
        elif top == 3:
            write_rim(lanes, 3, scratch, out, norms, table, base, start, points, low, high, at)
        else:
            write_rim(lanes, 5, scratch, out, norms, table, base, start, points, low, high, at)

    return last


def make_spectrum(target: Target, dtype: str, compact: bool = False) -> Callable[..., Any]:
    """Return the kernel ``spectrum``.

    ::

        h[delay + t] = w[k - 1 - t] for t < k, h = 0 elsewhere, 2M reals
        spectrum = the pairs of (h[j] + i h[j + M]) modulo (X^M - i), times 2 / M

    in the order in which the tiles of ``overlap_save`` read it.

    Assumes: delay + k <= 2M; M = top * 2^(sum of levels) * tile points; the table is the one of
    this M, top and levels; scratch has 2M reals, spectrum rows of ``tile.spectrum`` * M.
    """
    shape = tile(target, np.dtype(dtype).itemsize)
    walk = make_walk(target, dtype, "spectrum", compact)
    lanes, stored = shape.lanes, 2 if compact else shape.spectrum

    def spectrum(
        w: Any, spectrum: Any, table: Any, scratch: Any, rows: int, w_step: int,
        k: int, delay: int, size: int, top: int, levels: int,
    ) -> None:
        points = size // top
        for row in range(rows):
            base = row * w_step
            if top == 8:
                read_backward(lanes, 8, w, scratch, table, base, -delay, points, 0, k)
            elif top == 4:
                read_backward(lanes, 4, w, scratch, table, base, -delay, points, 0, k)
            elif top == 2:
                read_backward(lanes, 2, w, scratch, table, base, -delay, points, 0, k)
            elif top == 3:
                read_backward(lanes, 3, w, scratch, table, base, -delay, points, 0, k)
            else:
                read_backward(lanes, 5, w, scratch, table, base, -delay, points, 0, k)
            walk(scratch, table, spectrum, size, top, levels, row * stored * size, w, scratch,
                 0, 0, 0)

    return spectrum


def make_overlap_save(target: Target, dtype: str, compact: bool = False) -> Callable[..., Any]:
    """Return the kernel ``overlap_save``.

    ::

        z[j] = x[o + j + shift] for j < 2M, o = first + block * step; x = 0 outside 0..n-1
        out[o + j] = (z * h)[j] for those j with low <= o + j < high, h as in ``spectrum``

    for block_begin <= block < block_end. With shift = delay + k - 1 - pad this is
    ``out[i] = sum over t of x[i - pad + t] w[t]`` but for the first delay + k - 1 results of a
    block, whose terms have wrapped: first = -(delay + k - 1) and step = 2M - (delay + k - 1) let
    the block before it, which is computed later, overwrite them. Nothing outside low..high-1 is
    stored, so threads may share out: low = block_begin * step, high = min(m, block_end * step).
    A delay moves the blocks, to align them in memory. Where the whole full result fits one block,
    n + k - 1 <= 2M, nothing wraps: pad = k - 1, first = 0, step = m does it in one.

    ``norms[row * norm_step + block]`` becomes not finite if the block meets a sample or a result
    that is not finite (or a result beyond the square root of the largest number), else finite.

    To first order |error| <= 9 (1 + log2 M) eps ||x of the block||_2 ||w||_2 for every output. Each
    of the three transforms adds at most 2.8 eps per halving (twiddle 1.6 u, complex product
    sqrt(5) u, additions u, u = eps / 2; 9.3 u for the two halvings with product-formed twiddles)
    times sum over f of |X_f H_f| / M <= ||x|| ||w||; the product of pairs adds less than 8 eps.

    Assumes: step <= 2M - (delay + k - 1); x and out do not overlap; table and spectrum were made
    for this size, top and levels; scratch has 2M reals, best on a 64-byte boundary.
    """
    first_pass, walk = make_first(target, dtype), make_walk(target, dtype, "product", compact)
    last_pass = make_last(target, dtype)
    near = PREFETCH_BYTES // (2 * np.dtype(dtype).itemsize)

    def overlap_save(
        x: Any, spectrum: Any, table: Any, scratch: Any, out: Any, norms: Any,
        rows: int, x_step: int, out_step: int, norm_step: int, n: int, low: int, high: int,
        first: int, step: int, shift: int, block_begin: int, block_end: int,
        size: int, top: int, levels: int,
    ) -> None:
        for row in range(rows):
            for back in range(block_end - block_begin):
                block = block_end - 1 - back
                start = first + block * step
                first_pass(x, scratch, table, row * x_step, start + shift, size, top, 0, n)
                ahead = 1 if block > block_begin and size <= near else 0
                walk(scratch, table, spectrum, size, top, levels, 0, x, out,
                     row * x_step + start + shift - step, row * out_step + start - step, ahead)
                at = row * norm_step + block
                put(norms, at, 0.0)
                last_pass(scratch, out, norms, table, row * out_step, start, size, top,
                          low, high, at)

    return overlap_save


def make_spectrum_compact(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``spectrum_compact``: ``spectrum`` with 2 reals to a point."""
    return make_spectrum(target, dtype, compact=True)


def make_overlap_save_compact(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``overlap_save_compact``, which reads what ``spectrum_compact`` stores."""
    return make_overlap_save(target, dtype, compact=True)
