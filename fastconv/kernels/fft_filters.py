"""Overlap-save with several filters on one signal: each block of it is transformed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from . import fft_blocks, fft_complex
from .fft_walk import make_walk
from .scalar import put


def make_overlap_save_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``overlap_save_filters``.

    ::

        out[f, o + j] = (z * h_f)[j]     for f < filters, the rest as in ``overlap_save``

    to the bit what ``overlap_save`` computes with each of the filters, whose spectra lie `apart`
    from each other. A block is transformed as far as the products need, and held; then for each
    filter the products, the way back and the last pass, while they are in the nearest cache: the
    results of one filter do not wait for those of another.

    ``norms[f * norm_step + block]`` as there.

    Assumes: as ``overlap_save``; held and scratch have 2M reals each.
    """
    return _make(target, dtype, fft_blocks, 1)


def make_overlap_save_filters_compact(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``overlap_save_filters_compact``: spectra of ``spectrum_compact``."""
    return _make(target, dtype, fft_blocks, 1, compact=True)


def make_complex_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``complex_filters``: ``complex_blocks`` with several filters on one signal.

    Counts and steps are complex samples but for `apart`, which counts reals like all arrays.
    """
    return _make(target, dtype, fft_complex, 2)


def _make(
    target: Target, dtype: str, ends: Any, parts: int, compact: bool = False
) -> Callable[..., Any]:
    """Return a kernel for samples of so many `parts`, whose passes at the ends are a module's."""
    first_pass, last_pass = ends.make_first(target, dtype), ends.make_last(target, dtype)
    there = make_walk(target, dtype, "forward", compact)
    back = make_walk(target, dtype, "inverse", compact)
    near = fft_blocks.PREFETCH_BYTES // (2 * np.dtype(dtype).itemsize)

    @inline
    def results(
        held: Any, spectra: Any, table: Any, scratch: Any, out: Any, norms: Any, place: int,
        base: int, start: int, low: int, high: int, at: int, size: int, top: int, levels: int,
    ) -> None:
        back(scratch, table, spectra, size, top, levels, place, held, out, 0,
             base + parts * start, 1 if size <= near else 0)
        put(norms, at, 0.0)
        last_pass(scratch, out, norms, table, base, start, size, top, low, high, at)

    def overlap_save_filters(
        x: Any, spectra: Any, table: Any, held: Any, scratch: Any, out: Any, norms: Any,
        filters: int, apart: int, out_step: int, norm_step: int, n: int, low: int, high: int,
        first: int, step: int, shift: int, block_begin: int, block_end: int,
        size: int, top: int, levels: int,
    ) -> None:
        for back_from_end in range(block_end - block_begin):
            block = block_end - 1 - back_from_end
            start = first + block * step
            first_pass(x, held, table, 0, start + shift, size, top, 0, n)
            there(held, table, spectra, size, top, levels, 0, x, out, 0, 0, 0)
            for f in range(filters):
                results(held, spectra, table, scratch, out, norms, f * apart, parts * f * out_step,
                        start, low, high, f * norm_step + block, size, top, levels)

    return overlap_save_filters
