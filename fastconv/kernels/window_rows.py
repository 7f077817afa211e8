"""Running sums and extremes along the contiguous axis, by doubling or by two scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .scalar import get, put
from .window_doubling import make_doubling
from .window_lanes import BOX, MAX, MIN, make_begin, make_join

# Outputs of one chunk: with the samples under their windows they stay in a first-level cache.
CHUNK_BYTES = 8192
# Beyond this span (in samples) two scans take over: their cost does not grow with the window.
LONGEST_DOUBLING = 4096
# A rim of so few samples is reduced one by one.
_FEW = 48


def chunk(dtype: str) -> int:
    """Return how many outputs are made at a time."""
    return CHUNK_BYTES // int(np.dtype(dtype).itemsize)


def make_window_rows(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``window_rows``.

    ::

        out[b, i] = reduction over t < k of x~[lines[b], i*stride + t*dilation - pad]

    for b < rows and i < m, where x~ is x extended: outputs lo..hi-1 have their windows inside
    0..n-1; the virtual samples of outputs 0..lo-1, from number -pad on, are listed in `left`, those
    of outputs hi..m-1, from number hi*stride - pad on, in `right`; -1 stands for ``fill[0]``. A
    line -1 is all ``fill[0]``. op: 0 adds (from +0), 1 takes the maximum, 2 the minimum; of equals
    the first, and NaN where there is one.

    Assumes: x, out have rows of n and m contiguous elements; k, stride, dilation >= 1; work has
    max(len(left), len(right)) + chunk + max((k-1)*dilation, k) elements; out overlaps neither.
    """
    reduce_box = _make_lines(target, dtype, BOX)
    reduce_max = _make_lines(target, dtype, MAX)
    reduce_min = _make_lines(target, dtype, MIN)

    def window_rows(
        x: Any, out: Any, work: Any, fill: Any, lines: Any, left: Any, right: Any,
        rows: int, n: int, k: int, m: int, lo: int, hi: int, stride: int, dilation: int,
        pad: int, op: int,
    ) -> None:
        if op == BOX:
            reduce_box(x, out, work, fill, lines, left, right, rows, n, k, m, lo, hi, stride,
                       dilation, pad)
        elif op == MAX:
            reduce_max(x, out, work, fill, lines, left, right, rows, n, k, m, lo, hi, stride,
                       dilation, pad)
        else:
            reduce_min(x, out, work, fill, lines, left, right, rows, n, k, m, lo, hi, stride,
                       dilation, pad)

    return window_rows


def _make_lines(target: Target, dtype: str, op: int) -> Any:
    doubling, scans = make_doubling(target, dtype, op), _make_scans(dtype, op)
    join, begin = make_join(dtype, op), make_begin(dtype, op)
    most = chunk(dtype)

    @inline
    def line(
        x: Any, xi: int, out: Any, oi: int, count: int, work: Any, wi: int,
        k: int, stride: int, dilation: int,
    ) -> None:
        """Make `count` outputs whose windows begin at x[xi], x[xi + stride], ..."""
        # Each function is called in one place: it is merged into every place.
        long = (k - 1) * dilation > LONGEST_DOUBLING or stride > most
        if long:
            pieces, length = (1, count) if stride == 1 else (count, 1)
            for i in range(pieces):
                scans(x, xi + i * stride, out, oi + i, length, work, wi, k, dilation)
            return
        per = most // stride
        for first in range(0, count, per):
            here = min(per, count - first)
            # Of strided outputs all between, and then every stride-th of them.
            goal, gi = (out, oi + first) if stride == 1 else (work, wi)
            doubling(x, xi + first * stride, goal, gi, (here - 1) * stride + 1, work, wi, k,
                     dilation)
            if stride > 1:
                for i in range(here):
                    put(out, oi + first + i, get(work, wi + i * stride))

    @inline
    def lines_of(
        x: Any, out: Any, work: Any, fill: Any, lines: Any, left: Any, right: Any,
        rows: int, n: int, k: int, m: int, lo: int, hi: int, stride: int, dilation: int, pad: int,
    ) -> None:
        chunk_at = max(len(left), len(right))
        for b in range(rows):
            source, oi = get(lines, b), b * m
            xi = source * n
            # The rims and the interior are one loop, so that `line` is compiled once.
            for part in range(3):
                if part == 0:
                    first, last = 0, lo
                elif part == 1:
                    first, last = lo, hi
                else:
                    first, last = hi, m
                if last <= first:
                    continue
                if part == 1 and source < 0:
                    # A line of nothing but fill: one window, copied to all.
                    total = fill_window(fill, k)
                    for i in range(first, last):
                        put(out, oi + i, total)
                    continue
                length = 0
                if part != 1:
                    length = len(left) if part == 0 else len(right)
                for v in range(length):
                    at = get(left, v) if part == 0 else get(right, v)
                    if at < 0 or source < 0:
                        put(work, v, get(fill, 0))
                    else:
                        put(work, v, get(x, xi + at))
                if part != 1 and (last - first) * k <= _FEW:
                    for i in range(first, last):
                        base = (i - first) * stride
                        total = begin(get(work, base))
                        for t in range(1, k):
                            total = join(total, get(work, base + t * dilation))
                        put(out, oi + i, total)
                    continue
                samples, si = (x, xi + first * stride - pad) if part == 1 else (work, 0)
                line(samples, si, out, oi + first, last - first, work, chunk_at, k, stride,
                     dilation)

    @inline
    def fill_window(fill: Any, k: int) -> Any:
        total = begin(get(fill, 0))
        if op == BOX:
            for _ in range(1, k):
                total = join(total, get(fill, 0))
        return total

    return lines_of


def _make_scans(dtype: str, op: int) -> Any:
    """Return ``scans``: blocks of k windows share a suffix scan and a prefix scan.

    The window that begins j samples into a block is the rest of the block, reduced from its end,
    and the first j samples of the next one, reduced from its beginning [van Herk 1992].
    """
    join, begin = make_join(dtype, op), make_begin(dtype, op)

    @inline
    def scans(
        x: Any, xi: int, out: Any, oi: int, count: int, work: Any, wi: int, k: int, step: int
    ) -> None:
        for phase in range(min(step, count)):
            for block in range(phase, count, k * step):
                total = begin(get(x, xi + block + (k - 1) * step))
                put(work, wi + k - 1, total)
                for j in range(k - 2, -1, -1):
                    total = join(get(x, xi + block + j * step), total)
                    put(work, wi + j, total)
                put(out, oi + block, total)
                here = min(k, (count - 1 - block) // step + 1)
                if here > 1:
                    total = begin(get(x, xi + block + k * step))
                    put(out, oi + block + step, join(get(work, wi + 1), total))
                for j in range(2, here):
                    total = join(total, get(x, xi + block + (k + j - 1) * step))
                    put(out, oi + block + j * step, join(get(work, wi + j), total))

    return scans
