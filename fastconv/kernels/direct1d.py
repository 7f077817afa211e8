"""Direct 1-D correlation of rows: one multiply-add per tap that lies inside the signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target


def make_rows(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``rows``.

    ::

        out[b, i] = sum over t of x[b, i*stride + t*dilation - pad] * w[b, t]

    for b < rows, i < m and those t < k whose sample lies in 0..n-1. The other products are left
    out, not multiplied by zero; every sum starts from +0.

    Assumes: row b of x, w, out starts at b*x_step, b*w_step, b*out_step and is contiguous;
    out overlaps neither x nor w; stride, dilation >= 1; pad may be negative.
    """

    zero = {"b": False, "f": 0.0, "c": 0j, "i": 0}[_kind(dtype)]

    def rows(
        x: Any, w: Any, out: Any, rows: int, x_step: int, w_step: int, out_step: int,
        n: int, k: int, m: int, stride: int, dilation: int, pad: int,
    ) -> None:
        for b in range(rows):
            for i in range(m):
                start = i * stride - pad
                first = 0
                if start < 0:
                    first = (-start + dilation - 1) // dilation
                last = k
                if start + (k - 1) * dilation >= n:
                    last = (n - 1 - start) // dilation + 1
                total = x[0] * zero
                for t in range(first, last):
                    total += x[b * x_step + start + t * dilation] * w[b * w_step + t]
                out[b * out_step + i] = total

    return rows


def _kind(dtype: str) -> str:
    return {"bool": "b", "float": "f", "complex": "c"}.get(dtype.rstrip("0123456789"), "i")
