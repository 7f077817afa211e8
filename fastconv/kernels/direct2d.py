"""Direct 2-D correlation of planes: one multiply-add per tap, any boundary by index maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .scalar import get, join, madd, put, zero_like


def make_plane(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``plane``.

    ::

        out[b, i, j] (+)= sum over u, v of X(row_map[i*stride_r + u*dil_r],
                                             col_map[j*stride_c + v*dil_c]) * w[b, u, v]

    for b < planes, row_begin <= i < row_end, j < ow, u < kh, v < kw. A map entry of -1 is outside
    the image: such a product is left out (`skip_outside`), or its sample is ``fill[0]``. Every
    sum starts from +0 and runs over u, then v; `accumulate` adds it to what `out` holds.

    Assumes: plane b of x, w, out starts at b*x_step, b*w_step, b*out_step; a row of x is
    contiguous and x_row_step from the next, likewise out; a filter is kh*kw contiguous taps;
    col_map[c] == c - pad_c wherever 0 <= c - pad_c < width; out overlaps neither x nor w.
    """

    def plane(
        x: Any, w: Any, out: Any, row_map: Any, col_map: Any, fill: Any,
        planes: int, x_step: int, w_step: int, out_step: int, x_row_step: int, out_row_step: int,
        width: int, kh: int, kw: int, row_begin: int, row_end: int, ow: int,
        stride_r: int, stride_c: int, dil_r: int, dil_c: int, pad_c: int,
        skip_outside: int, accumulate: int,
    ) -> None:
        for b in range(planes):
            for i in range(row_begin, row_end):
                for j in range(ow):
                    total = zero_like(fill)
                    for u in range(kh):
                        row = get(row_map, i * stride_r + u * dil_r)
                        for v in range(kw):
                            column = get(col_map, j * stride_c + v * dil_c)
                            tap = get(w, b * w_step + u * kw + v)
                            if row >= 0 and column >= 0:
                                sample = get(x, b * x_step + row * x_row_step + column)
                                total = madd(sample, tap, total)
                            elif not skip_outside:
                                total = madd(get(fill, 0), tap, total)
                    at = b * out_step + i * out_row_step + j
                    if accumulate:
                        total = join(get(out, at), total)
                    put(out, at, total)

    return plane
