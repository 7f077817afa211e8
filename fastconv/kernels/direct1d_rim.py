"""One row by narrow and wide tiles: windows that cross an edge are read from a workspace.

The workspace holds the whole row between zeros if it is short, else its first samples with zeros
before them and its last samples with zeros behind. A zero sample times a finite tap adds +-0 to a
sum that started from +0, which changes nothing; the rims of a filter with a NaN or infinite tap
are made again by a plain loop.
"""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_edge import make_edge
from .direct1d_tile import make_run
from .workspace import make_clear, make_copy

# Vectors in the widest tile at a rim, and in the longest row that is copied whole.
_RIM, _SHORT_ROW = 8, 32


def room(target: Target, dtype: str) -> int:
    """Return the elements of workspace that one row needs."""
    return (2 * _RIM + _SHORT_ROW + 2) * Arithmetic.of(target, dtype).lanes


def make_tiled_row(target: Target, dtype: str) -> tuple[Any, Any]:
    """Return ``prepare`` and ``row`` for filters of any length.

    ``row(x, w, out, work, x0, w0, out0, n, k, m, pad)`` makes the m outputs of one row.
    ``prepare(work, n, k, m, pad)`` writes the zeros of `work` that serve all rows of that size.

    Assumes: n, k, m >= 1, 0 <= pad < k and m <= n + pad: every window meets the signal.
    """
    lanes = Arithmetic.of(target, dtype).lanes
    short_row, margin = _SHORT_ROW * lanes, _RIM * lanes
    run, run_size = make_run(target, dtype)
    edge8, size8 = make_edge(target, dtype, 8)
    edge4, size4 = make_edge(target, dtype, 4)
    edge2, size2 = make_edge(target, dtype, 2)
    edge1, size1 = make_edge(target, dtype, 1)
    clear, copy = make_clear(target, dtype), make_copy(target, dtype)

    @inline
    def prepare(work: Any, n: int, k: int, m: int, pad: int) -> None:
        clear(work, 0, margin)
        if n > short_row:
            clear(work, 3 * margin, 4 * margin)
        else:
            clear(work, margin + n, 2 * margin + n)

    @inline
    def row(
        x: Any, w: Any, out: Any, work: Any, x0: int, w0: int, out0: int,
        n: int, k: int, m: int, pad: int,
    ) -> None:
        long = n > short_row
        if long:
            copy(x, x0, x0 + margin, work, margin)
            copy(x, x0 + n - margin, x0 + n, work, 2 * margin)
        else:
            copy(x, x0, x0 + n, work, margin)
        i = 0
        while i < m:
            if long and i >= pad and n - k + 1 + pad - i >= run_size:
                blocks = (n - k + 1 + pad - i) // run_size
                run(x, x0 + i - pad, w, w0, k, out, out0 + i, blocks)
                i += blocks * run_size
                continue
            size = size8
            while size > size1 and m - i <= size // 2:
                size //= 2
            # Taps t0..t3-1 meet the signal in some lane, t1..t2-1 in every lane.
            start, reach = i - pad, i - pad + size - 1
            t0, t3 = max(-reach, 0), min(n - start, k)
            t1 = t2 = t3
            left, right = margin + start, 0
            if long:
                t1 = max(min(-start, t3), t0)
                t2 = max(min(n - reach, t3), t1)
                right = 3 * margin + start - n
            mid, at, count = x0 + start, out0 + i, m - i
            if size == size8:
                edge8(x, work, w, out, w0, left, mid, right, t0, t1, t2, t3, start, n, at, count)
            elif size == size4:
                edge4(x, work, w, out, w0, left, mid, right, t0, t1, t2, t3, start, n, at, count)
            elif size == size2:
                edge2(x, work, w, out, w0, left, mid, right, t0, t1, t2, t3, start, n, at, count)
            else:
                edge1(x, work, w, out, w0, left, mid, right, t0, t1, t2, t3, start, n, at, count)
            i += size

    return prepare, row
