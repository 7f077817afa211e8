"""Windows that cross an edge of the signal, and rows shorter than a register tile.

A narrow tile reads such windows in up to three pieces: where a window may hang over the left
edge, from a copy of the first samples with zeros before them; where all samples exist, from the
signal; where it may hang over the right edge, from a copy of the last samples with zeros behind.
A zero sample times a finite tap adds +-0 to a sum that started from +0, which changes nothing;
rims of a filter with a NaN or infinite tap must not come here (`make_finite`).
"""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .direct1d_tile import make_edge
from .emit import Arithmetic
from .scalar import get, put, zero_like

# Vectors in the widest tile used at the rims: more would multiply too many zeros.
_WIDEST = 4


def _margin(target: Target, dtype: str) -> int:
    """Return the zeros that a widest block may read beyond an edge."""
    return _WIDEST * Arithmetic.of(target, dtype).lanes


def make_prepare(target: Target, dtype: str) -> Any:
    """Return ``prepare(x, x0, n, rim, b)``: fill `rim` for the row of x that starts at x0.

    With g the margin: g zeros, x[:g], x[n-g:], g zeros; for n < 2g: g zeros, x, g zeros. The zeros
    are written for b = 0 only.
    """
    margin = _margin(target, dtype)

    @inline
    def prepare(x: Any, x0: int, n: int, rim: Any, b: int) -> None:
        samples = min(n, 2 * margin)
        if b == 0:
            for i in range(margin):
                put(rim, i, zero_like(rim))
            for i in range(margin):
                put(rim, margin + samples + i, zero_like(rim))
        if n < 2 * margin:
            for i in range(n):
                put(rim, margin + i, get(x, x0 + i))
        else:
            for i in range(margin):
                put(rim, margin + i, get(x, x0 + i))
            for i in range(margin):
                put(rim, 2 * margin + i, get(x, x0 + n - margin + i))

    return prepare


def make_block(target: Target, dtype: str) -> tuple[Any, int, int]:
    """Return ``block``, its most outputs, and the elements that `rim` must have.

    ``block(x, rim, w, out, x0, w0, out0, n, k, pad, i, last)`` makes the outputs from i on, as many
    as a tile holds but none from `last` on, and returns where to go on.
    """
    margin = _margin(target, dtype)
    edge4, size4 = make_edge(target, dtype, 4)
    edge2, size2 = make_edge(target, dtype, 2)
    edge1, size1 = make_edge(target, dtype, 1)

    @inline
    def block(
        x: Any, rim: Any, w: Any, out: Any, x0: int, w0: int, out0: int,
        n: int, k: int, pad: int, i: int, last: int,
    ) -> int:
        size = size4
        if last - i <= size2:
            size = size2
        if last - i <= size1:
            size = size1
        start, reach = i - pad, i - pad + size - 1
        # Taps t0..t3-1 meet the signal in some lane, t1..t2-1 in every lane.
        t0 = min(max(-reach, 0), k)
        t3 = max(min(n - start, k), t0)
        t1 = max(min(-start, t3), t0)
        t2 = max(min(n - reach, t3), t1)
        left, right = margin + start, 3 * margin + start - n
        if n < 2 * margin:
            t1 = t2 = t3
        count = last - i
        if size == size4:
            edge4(x, rim, w, out, w0, left, x0 + start, right, t0, t1, t2, t3, out0 + i, count)
        elif size == size2:
            edge2(x, rim, w, out, w0, left, x0 + start, right, t0, t1, t2, t3, out0 + i, count)
        else:
            edge1(x, rim, w, out, w0, left, x0 + start, right, t0, t1, t2, t3, out0 + i, count)
        return i + size

    return block, size4, 4 * margin


def make_finite(dtype: str) -> Any:
    """Return ``finite(w, w0, k)``: whether all k taps are finite."""
    if not dtype.startswith(("float", "complex")):

        @inline
        def always(w: Any, w0: int, k: int) -> bool:
            return True

        return always

    @inline
    def finite(w: Any, w0: int, k: int) -> bool:
        wild = 0
        for t in range(k):
            value = get(w, w0 + t)
            wild |= int(value - value != 0)
        return wild == 0

    return finite
