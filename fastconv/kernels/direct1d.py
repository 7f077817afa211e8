"""Direct 1-D correlation of rows: one multiply-add per tap that lies inside the signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .direct1d_rim import make_block, make_finite, make_prepare
from .direct1d_tile import make_run
from .emit import stack
from .scalar import get, madd, put, zero_like


def make_rows(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``rows``.

    ::

        out[b, i] = sum over t of x[b, i*stride + t*dilation - pad] * w[b, t]

    for b < rows, i < m and those t < k whose sample lies in 0..n-1. The other products are left
    out, not multiplied by zero; every sum starts from +0.

    Assumes: row b of x, w, out starts at b*x_step, b*w_step, b*out_step and is contiguous;
    out overlaps neither x nor w; stride, dilation >= 1; pad may be negative.
    """
    run, run_size = make_run(target, dtype)
    block, block_size, room = make_block(target, dtype)
    prepare = make_prepare(target, dtype)
    finite = make_finite(dtype)

    @inline
    def plain(
        x: Any, w: Any, out: Any, x0: int, w0: int, out0: int, n: int, k: int,
        begin: int, end: int, stride: int, dilation: int, pad: int,
    ) -> None:
        for i in range(begin, end):
            start = i * stride - pad
            first = 0
            if start < 0:
                first = (-start + dilation - 1) // dilation
            last = k
            if start + (k - 1) * dilation >= n:
                last = (n - 1 - start) // dilation + 1
            total = zero_like(out)
            for t in range(first, last):
                total = madd(get(x, x0 + start + t * dilation), get(w, w0 + t), total)
            put(out, out0 + i, total)

    def rows(
        x: Any, w: Any, out: Any, rows: int, x_step: int, w_step: int, out_step: int,
        n: int, k: int, m: int, stride: int, dilation: int, pad: int,
    ) -> None:
        rim = stack(out, room)
        tame = True
        for b in range(rows):
            x0, w0, out0 = b * x_step, b * w_step, b * out_step
            if stride != 1 or dilation != 1:
                plain(x, w, out, x0, w0, out0, n, k, 0, m, stride, dilation, pad)
                continue
            # Windows lo..hi-1 lie inside the signal; the others are the rims.
            lo = min(max(pad, 0), m)
            hi = min(max(n - k + 1 + pad, lo), m)
            first, last = 0, m
            if lo > 0 or hi < m:
                if b == 0 or w_step != 0:
                    tame = finite(w, w0, k)
                if not tame:
                    plain(x, w, out, x0, w0, out0, n, k, 0, lo, 1, 1, pad)
                    plain(x, w, out, x0, w0, out0, n, k, hi, m, 1, 1, pad)
                    first, last = lo, hi
            prepare(x, x0, n, rim, b)
            i = first
            while i < lo:
                i = block(x, rim, w, out, x0, w0, out0, n, k, pad, i, last)
            if i < hi:
                blocks = (hi - i) // run_size
                run(x, x0 + i - pad, w, w0, k, out, out0 + i, blocks)
                i += blocks * run_size
            while i < last:
                i = block(x, rim, w, out, x0, w0, out0, n, k, pad, i, last)

    return rows

