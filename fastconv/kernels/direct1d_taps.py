"""One row by the unrolled kernels of short filters; its rims are read from a workspace.

See `direct1d_rim` for the workspace.
"""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_short import VECTORS, make_short
from .workspace import make_clear, make_copy, to_aligned

# Vectors in the longest row that is copied whole.
_SHORT_ROW = 16
# Where the copy of a row's end stops, in vectors; before it lies the copy of its beginning.
_TAIL = 24


def make_short_row(target: Target, dtype: str) -> tuple[Any, Any]:
    """Return ``prepare`` and ``row``, as of `make_tiled_row`, for filters up to `longest_short`."""
    lanes = Arithmetic.of(target, dtype).lanes
    short_row, step, tail = _SHORT_ROW * lanes, VECTORS * lanes, _TAIL * lanes
    short = make_short(target, dtype)
    clear, copy = make_clear(target, dtype), make_copy(target, dtype)

    @inline
    def prepare(work: Any, n: int, k: int, m: int, pad: int) -> None:
        clear(work, 0, pad)
        if n > short_row:
            clear(work, tail, tail + k + 2 * lanes)
        else:
            clear(work, pad + n, pad + n + k + 2 * lanes)

    @inline
    def row(
        x: Any, w: Any, out: Any, work: Any, x0: int, w0: int, out0: int,
        n: int, k: int, m: int, pad: int,
    ) -> None:
        if n <= short_row:
            copy(x, x0, x0 + n, work, pad)
            short(work, 0, w, w0, k, out, out0, m // step, m)
            return
        # The interior begins where its samples are aligned. It goes before the rims, so that
        # these do not wait for the stores to the workspace.
        begin = min(pad + to_aligned(x, x0, lanes), m)
        whole = (begin + lanes - 1) // lanes * lanes
        inside = max(min(n - k + 1 + pad, m) - begin, 0) // lanes
        end = begin + inside * lanes
        left = n - end + pad
        if pad > 0:
            copy(x, x0, x0 + whole + k - 1 - pad, work, pad)
        if end < m:
            copy(x, x0 + n - left, x0 + n, work, tail - left)
        start, ahead = begin - pad, (k + lanes - 2) // lanes
        steps = max(min(inside, (n - start) // lanes - ahead), 0) // VECTORS
        short(x, x0 + start, w, w0, k, out, out0 + begin, steps, inside * lanes)
        if pad > 0:
            short(work, 0, w, w0, k, out, out0, 0, begin)
        elif begin > 0:
            short(x, x0, w, w0, k, out, out0, 0, begin)
        if end < m:
            short(work, tail - left, w, w0, k, out, out0 + end, 0, m - end)

    return prepare, row
