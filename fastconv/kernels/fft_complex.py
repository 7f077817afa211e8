"""Overlap-save for complex samples: a block of M samples is M complex points, no packing needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_butterflies import forward, inverse, run
from .fft_emit import vector_intrinsic
from .fft_layout import tile
from .fft_passes import load_point, load_twiddles, store_point
from .fft_walk import make_walk
from .scalar import put

_PREFETCH_BYTES = 1 << 18


def _read(ops: Any, radix: int, args: Any, inside: bool) -> None:
    signal, scratch, table, base, start, points, low, high = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    even, odd = list(range(0, 2 * ops.lanes, 2)), list(range(1, 2 * ops.lanes, 2))

    def fetch(index: Any) -> Any:
        if inside:
            return ops.load(signal, ops.plus(base, index))
        return ops.load_inside(signal, base, index, low, high)

    def body(j: Any) -> None:
        z = []
        for row in rows:
            index = ops.times(ops.plus(start, row, j), 2)
            a, b = fetch(index), fetch(ops.plus(index, ops.lanes))
            z.append((ops.shuffle(a, b, even), ops.shuffle(a, b, odd)))
        run(forward(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            store_point(ops, scratch, ops.plus(row, j), value)

    ops.loop(points, ops.lanes, body)


def _write(ops: Any, radix: int, args: Any, inside: bool) -> None:
    scratch, out, norms, table, base, start, points, low, high, block = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    pairs = [lane + part * ops.lanes for lane in range(ops.lanes) for part in (0, 1)]
    totals = [ops.variable(), ops.variable()]

    def deliver(index: Any, value: Any) -> None:
        if inside:
            ops.store(out, ops.plus(base, index), value)
        else:
            ops.store_inside(out, base, index, low, high, value)

    def body(j: Any) -> None:
        z = [load_point(ops, scratch, ops.plus(row, j)) for row in rows]
        run(inverse(ops, z, twiddles))
        for t in (0, 1):
            part = ops.mul(*z[t])
            for value in z[t + 2 :: 2]:
                part = ops.fma(*value, part)
            ops.put(totals[t], ops.add(part, ops.get(totals[t])))
        for row, (re, im) in zip(rows, z, strict=True):
            index = ops.times(ops.plus(start, row, j), 2)
            deliver(index, ops.shuffle(re, im, pairs[: ops.lanes]))
            deliver(ops.plus(index, ops.lanes), ops.shuffle(re, im, pairs[ops.lanes :]))

    ops.loop(points, ops.lanes, body)
    ops.add_total(norms, block, ops.add(ops.get(totals[0]), ops.get(totals[1])))


# (signal, scratch, table, base, start, points, low, high): the first pass, point 0 is sample
# `start`; `base`, `low` and `high` count reals. Those outside low <= 2 (start + j) < high are zero.
_read_inside = vector_intrinsic(partial(_read, inside=True), 3, 5)
_read_rim = vector_intrinsic(partial(_read, inside=False), 3, 5)
# (scratch, out, norms, table, base, start, points, low, high, block): the last pass.
_write_inside = vector_intrinsic(partial(_write, inside=True), 4, 6)
_write_rim = vector_intrinsic(partial(_write, inside=False), 4, 6)


def make_first(target: Target, dtype: str) -> Any:
    lanes = target.lanes(np.dtype(dtype).itemsize)

    @inline
    def first(signal: Any, scratch: Any, table: Any, base: int, start: int, size: int, top: int,
              low: int, high: int) -> None:
        points, lowest, highest = size // top, 2 * low, 2 * high
        if start >= low and start + size <= high:
            if top == 8:
                _read_inside(lanes, 8, signal, scratch, table, base, start, points, lowest, highest)
            elif top == 4:
                _read_inside(lanes, 4, signal, scratch, table, base, start, points, lowest, highest)
            elif top == 2:
                _read_inside(lanes, 2, signal, scratch, table, base, start, points, lowest, highest)
            elif top == 3:
                _read_inside(lanes, 3, signal, scratch, table, base, start, points, lowest, highest)
            else:
                _read_inside(lanes, 5, signal, scratch, table, base, start, points, lowest, highest)
        elif top == 8:
            _read_rim(lanes, 8, signal, scratch, table, base, start, points, lowest, highest)
        elif top == 4:
            _read_rim(lanes, 4, signal, scratch, table, base, start, points, lowest, highest)
        elif top == 2:
            _read_rim(lanes, 2, signal, scratch, table, base, start, points, lowest, highest)
        elif top == 3:
            _read_rim(lanes, 3, signal, scratch, table, base, start, points, lowest, highest)
        else:
            _read_rim(lanes, 5, signal, scratch, table, base, start, points, lowest, highest)

    return first


def make_last(target: Target, dtype: str) -> Any:
    lanes = target.lanes(np.dtype(dtype).itemsize)

    @inline
    def last(scratch: Any, out: Any, norms: Any, table: Any, base: int, start: int, size: int,
             top: int, low: int, high: int, at: int) -> None:
        points, lowest, highest = size // top, 2 * low, 2 * high
        if start >= low and start + size <= high:
            if top == 8:
                _write_inside(lanes, 8, scratch, out, norms, table, base, start, points, lowest,
                              highest, at)
            elif top == 4:
                _write_inside(lanes, 4, scratch, out, norms, table, base, start, points, lowest,
                              highest, at)
            elif top == 2:
                _write_inside(lanes, 2, scratch, out, norms, table, base, start, points, lowest,
                              highest, at)
            elif top == 3:
                _write_inside(lanes, 3, scratch, out, norms, table, base, start, points, lowest,
                              highest, at)
            else:
                _write_inside(lanes, 5, scratch, out, norms, table, base, start, points, lowest,
                              highest, at)
        elif top == 8:
            _write_rim(lanes, 8, scratch, out, norms, table, base, start, points, lowest, highest,
                       at)
        elif top == 4:
            _write_rim(lanes, 4, scratch, out, norms, table, base, start, points, lowest, highest,
                       at)
        elif top == 2:
            _write_rim(lanes, 2, scratch, out, norms, table, base, start, points, lowest, highest,
                       at)
        elif top == 3:
            _write_rim(lanes, 3, scratch, out, norms, table, base, start, points, lowest, highest,
                       at)
        else:
            _write_rim(lanes, 5, scratch, out, norms, table, base, start, points, lowest, highest,
                       at)

    return last


def make_complex_spectrum(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``complex_spectrum``: the pairs of h modulo (X^M - i), times 2 / M.

    Like ``spectrum``, of k complex samples h[0..k-1] as they stand (not reversed), rows of them.
    All arrays hold reals; counts are complex samples.

    Assumes: k <= M; otherwise as ``spectrum``.
    """
    walk = make_walk(target, dtype, "spectrum")
    stored = tile(target, np.dtype(dtype).itemsize).spectrum
    first = make_first(target, dtype)

    def complex_spectrum(
        h: Any, spectrum: Any, table: Any, scratch: Any, rows: int, h_step: int, k: int,
        size: int, top: int, levels: int,
    ) -> None:
        for row in range(rows):
            first(h, scratch, table, 2 * row * h_step, 0, size, top, 0, k)
            walk(scratch, table, spectrum, size, top, levels, row * stored * size, h, scratch,
                 0, 0, 0)

    return complex_spectrum


def make_complex_blocks(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``complex_blocks``.

    ::

        z[j] = x[o + j + shift] for j < M, o = start of the block = first + block * step
        out[o + j] = (z * h)[j] for those j with low <= o + j < high, h as in ``complex_spectrum``

    for blocks of complex samples: ``overlap_save`` with M in place of 2M, and the same error bound.
    All arrays hold reals; counts, steps and limits are complex samples.

    Assumes: step <= M - (k - 1); otherwise as ``overlap_save``.
    """
    first_pass, last_pass = make_first(target, dtype), make_last(target, dtype)
    walk = make_walk(target, dtype, "product")
    near = _PREFETCH_BYTES // (2 * np.dtype(dtype).itemsize)

    def complex_blocks(
        x: Any, spectrum: Any, table: Any, scratch: Any, out: Any, norms: Any,
        rows: int, x_step: int, out_step: int, norm_step: int, n: int, low: int, high: int,
        first: int, step: int, shift: int, block_begin: int, block_end: int,
        size: int, top: int, levels: int,
    ) -> None:
        for row in range(rows):
            for back in range(block_end - block_begin):
                block = block_end - 1 - back
                start = first + block * step
                first_pass(x, scratch, table, 2 * row * x_step, start + shift, size, top, 0, n)
                ahead = 1 if block > block_begin and size <= near else 0
                walk(scratch, table, spectrum, size, top, levels, 0, x, out,
                     2 * (row * x_step + start + shift - step),
                     2 * (row * out_step + start - step), ahead)
                at = row * norm_step + block
                put(norms, at, 0.0)
                last_pass(scratch, out, norms, table, 2 * row * out_step, start, size, top,
                          low, high, at)

    return complex_blocks
