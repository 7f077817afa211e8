"""The plain loop over one row: any stride and dilation, and taps that are not finite."""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .scalar import get, madd, put, zero_like


def plain_chunk(target: Target, dtype: str) -> int:
    """Return the elements of workspace that the plain loop needs."""
    return 16 * Arithmetic.of(target, dtype).lanes


def make_plain(target: Target, dtype: str) -> Any:
    """Return ``plain(x, w, out, sums, x0, w0, out0, n, k, begin, end, stride, dilation, pad)``.

    It makes the outputs begin <= i < end of a row as the formula of `make_rows` says; `sums` is
    a workspace of `plain_chunk` elements.
    """
    chunk = plain_chunk(target, dtype)

    @inline
    def plain(
        x: Any, w: Any, out: Any, sums: Any, x0: int, w0: int, out0: int, n: int, k: int,
        begin: int, end: int, stride: int, dilation: int, pad: int,
    ) -> None:
        # A tap goes over a chunk of outputs at a time: LLVM makes vectors of the inner loops.
        for start in range(begin, end, chunk):
            count = min(chunk, end - start)
            for i in range(count):
                put(sums, i, zero_like(sums))
            for t in range(k):
                tap = get(w, w0 + t)
                # Output start + i reads sample first + i*stride.
                first = start * stride + t * dilation - pad
                low, high = 0, 0
                if first < 0:
                    low = min((stride - 1 - first) // stride, count)
                if first < n:
                    high = max(min((n - 1 - first) // stride + 1, count), low)
                at = x0 + first
                if stride == 1:
                    for i in range(low, high):
                        put(sums, i, madd(get(x, at + i), tap, get(sums, i)))
                elif stride == 2:
                    for i in range(low, high):
                        put(sums, i, madd(get(x, at + 2 * i), tap, get(sums, i)))
                else:
                    for i in range(low, high):
                        put(sums, i, madd(get(x, at + i * stride), tap, get(sums, i)))
            for i in range(count):
                put(out, out0 + start + i, get(sums, i))

    return plain
