"""Direct 1-D correlation of rows: one multiply-add per tap that lies inside the signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import LOW
from .direct1d_call import whole_rows
from .direct1d_dots import LONG, make_few, make_strided
from .direct1d_plain import make_plain, plain_chunk
from .direct1d_rim import make_tiled_row, room
from .direct1d_short import longest_short
from .direct1d_taps import make_short_row
from .low_halves import has_low, make_fits
from .scalar import put, zero_like
from .workspace import make_finite, stack

__all__ = ["make_rows", "whole_rows"]


def _by_size(target: Target, row: Any) -> Any:
    """Return `row` with another way for numbers that fit into 32 bits."""
    fits, (_, low_row) = make_fits(target), make_tiled_row(target, LOW)

    @inline
    def either(
        x: Any, w: Any, out: Any, work: Any, x0: int, w0: int, out0: int,
        n: int, k: int, m: int, pad: int,
    ) -> None:
        if k > 1 and fits(w, w0, k) and fits(x, x0, n):
            low_row(x, w, out, work, x0, w0, out0, n, k, m, pad)
        else:
            row(x, w, out, work, x0, w0, out0, n, k, m, pad)

    return either


def make_rows(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``rows``.

    ::

        out[b, i] = sum over t of x[b, i*stride + t*dilation - pad] * w[b, t]

    for b < rows, i < m and those t < k whose sample lies in 0..n-1. The other products are left
    out, not multiplied by zero; every sum starts from +0.

    Assumes: row b of x, w, out starts at b*x_step, b*w_step, b*out_step and is contiguous;
    out overlaps neither x nor w; stride, dilation >= 1; pad may be negative.
    """
    longest, elements = longest_short(target, dtype), room(target, dtype)
    chunk = plain_chunk(target, dtype)
    finite, plain = make_finite(target, dtype), make_plain(target, dtype)
    strided = make_strided(target, dtype, plain)
    prepare, row = make_tiled_row(target, dtype)
    few, few_outputs = make_few(target, dtype)
    short_prepare, short_row = prepare, row
    if has_low(target, dtype):
        row = _by_size(target, row)
    if longest:
        short_prepare, short_row = make_short_row(target, dtype)

    def rows(
        x: Any, w: Any, out: Any, rows: int, x_step: int, w_step: int, out_step: int,
        n: int, k: int, m: int, stride: int, dilation: int, pad: int,
    ) -> None:
        work, sums = stack(out, elements), stack(out, chunk)
        if stride != 1 or dilation != 1:
            for b in range(rows):
                strided(x, w, out, sums, b * x_step, b * w_step, b * out_step, n, k, m,
                        stride, dilation, pad)
            return
        # Windows head..stop-1 meet the signal; then pad, n and m are theirs alone.
        head = min(max(pad - k + 1, 0), m)
        stop = max(min(n + pad, m), head)
        if n <= 0 or k <= 0:
            head = stop = m
        before, m1 = max(-pad, 0), stop - head
        pad = max(pad, 0) - head
        n = min(n - before, m1 - pad + k - 1)
        # Windows lo..hi-1 lie inside the signal; the others are the rims.
        lo = min(pad, m1)
        hi = min(max(n - k + 1 + pad, lo), m1)
        tame = True
        for b in range(rows):
            x0, w0, out0 = b * x_step + before, b * w_step, b * out_step + head
            for i in range(head):
                put(out, out0 - head + i, zero_like(out))
            for i in range(m1 + head, m):
                put(out, out0 - head + i, zero_like(out))
            if m1 == 0:
                continue
            if few_outputs and m1 <= few_outputs and k >= LONG and lo == 0 and hi == m1:
                few(x, w, out, x0 - pad, w0, out0, k, m1)
            elif k <= longest:
                if b == 0:
                    short_prepare(work, n, k, m1, pad)
                short_row(x, w, out, work, x0, w0, out0, n, k, m1, pad)
            else:
                if b == 0:
                    prepare(work, n, k, m1, pad)
                row(x, w, out, work, x0, w0, out0, n, k, m1, pad)
            if lo > 0 or hi < m1:
                if b == 0 or w_step != 0:
                    tame = finite(w, w0, k)
                if not tame:
                    plain(x, w, out, sums, x0, w0, out0, n, k, 0, lo, 1, 1, pad)
                    plain(x, w, out, sums, x0, w0, out0, n, k, hi, m1, 1, 1, pad)

    return rows
