"""Running sums and extremes down the columns: two scans, whole vectors of columns at a time.

The window that begins j rows into a block of k is the rest of that block, reduced from its end
(suffix), and the first j rows of the next block, reduced from its beginning (prefix): three
reductions per output, whatever k [van Herk 1992]. No sum is ever taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .window_lanes import BOX, MAX, MIN, Lanes
from .window_strip import Strip, make_fold, make_folds, make_prefix, make_suffix

# Up to so many rows a window is reduced row by row: that many loads cost less than two scans.
_FEW = 4
WIDE = 4


def make_window_columns(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``window_columns``.

    ::

        out[b, i, c] = reduction over t < k of x[b, lines[i*stride + t*dilation], c]

    for b < outer, i < m, c < inner; a line -1 is read from ``outside[c]``, c < WIDE vectors. op: 0
    adds (from +0), 1 takes the maximum, 2 the minimum; of equals the first, NaN where there is one.

    Assumes: x[b, j, c] is at b*x_step + j*inner + c, out[b, i, c] at b*out_step + i*inner + c;
    lines has (m-1)*stride + (k-1)*dilation + 1 elements; k, stride, dilation >= 1; work has
    k * WIDE vectors; out overlaps neither.
    """
    reduce_box = _make_columns(target, dtype, BOX)
    reduce_max = _make_columns(target, dtype, MAX)
    reduce_min = _make_columns(target, dtype, MIN)

    def window_columns(
        x: Any, out: Any, work: Any, outside: Any, lines: Any,
        outer: int, x_step: int, out_step: int, inner: int, k: int, m: int, stride: int,
        dilation: int, op: int,
    ) -> None:
        for b in range(outer):
            if op == BOX:
                reduce_box(x, b * x_step, out, b * out_step, work, outside, lines, inner, k, m,
                           stride, dilation)
            elif op == MAX:
                reduce_max(x, b * x_step, out, b * out_step, work, outside, lines, inner, k, m,
                           stride, dilation)
            else:
                reduce_min(x, b * x_step, out, b * out_step, work, outside, lines, inner, k, m,
                           stride, dilation)

    return window_columns


def _make_columns(target: Target, dtype: str, op: int) -> Any:
    lanes = Lanes.of(target, dtype, op).lanes
    strips = Strip(WIDE), Strip(1), Strip(1, partial=True)
    wide_fold, fold, fold_part = (make_fold(target, dtype, op, s) for s in strips)
    wide_folds, folds, folds_part = (make_folds(target, dtype, op, s) for s in strips)
    wide_suffix, suffix, suffix_part = (make_suffix(target, dtype, op, s) for s in strips)
    wide_prefix, prefix, prefix_part = (make_prefix(target, dtype, op, s) for s in strips)

    @inline
    def columns(
        x: Any, xi: int, out: Any, oi: int, work: Any, outside: Any, lines: Any, inner: int,
        k: int, m: int, stride: int, dilation: int,
    ) -> None:
        c = 0
        direct = k <= _FEW or stride > 1
        while c < inner:
            # A last strip that is too narrow for whole vectors is a partial one.
            left = inner - c
            width = WIDE * lanes if left >= WIDE * lanes else min(left, lanes)
            if direct and stride == 1 and dilation == 1 and k > 1:
                if width > lanes:
                    wide_folds(x, xi + c, inner, lines, 0, outside, k, m, out, oi + c, inner, width)
                elif width == lanes:
                    folds(x, xi + c, inner, lines, 0, outside, k, m, out, oi + c, inner, width)
                else:
                    folds_part(x, xi + c, inner, lines, 0, outside, k, m, out, oi + c, inner,
                               width)
                c += width
                continue
            if direct:
                for i in range(m):
                    first, to = i * stride, oi + i * inner + c
                    if width > lanes:
                        wide_fold(x, xi + c, inner, lines, first, outside, k, dilation, out, to,
                                  width)
                    elif width == lanes:
                        fold(x, xi + c, inner, lines, first, outside, k, dilation, out, to, width)
                    else:
                        fold_part(x, xi + c, inner, lines, first, outside, k, dilation, out, to,
                                  width)
                c += width
                continue
            step = dilation
            for phase in range(min(step, m)):
                for block in range(phase, m, k * step):
                    count = min(k, (m - 1 - block) // step + 1)
                    nxt, to, row = block + k * step, oi + block * inner + c, step * inner
                    if width > lanes:
                        wide_suffix(x, xi + c, inner, lines, block, outside, k, step, work, 0,
                                    width)
                        wide_prefix(x, xi + c, inner, lines, nxt, outside, count, step, out, to,
                                    row, work, 0, width)
                    elif width == lanes:
                        suffix(x, xi + c, inner, lines, block, outside, k, step, work, 0, width)
                        prefix(x, xi + c, inner, lines, nxt, outside, count, step, out, to, row,
                               work, 0, width)
                    else:
                        suffix_part(x, xi + c, inner, lines, block, outside, k, step, work, 0,
                                    width)
                        prefix_part(x, xi + c, inner, lines, nxt, outside, count, step, out, to,
                                    row, work, 0, width)
            c += width

    return columns
