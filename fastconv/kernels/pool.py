"""Pooling of planes: the largest sample or the mean of each window, row of outputs by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .pool_row import make_pool_row
from .scalar import get
from .window_lanes import BOX, MAX


def make_pool_max(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_max``.

    ::

        out[b, i, j] = max over the rows r of window i and t < k of
                       x[b, offsets[r] + j*s + t - pad]

    for b < planes, i < height, j < outputs. The rows of window i are offsets[starts[i]] to
    offsets[starts[i+1] - 1], at least one; columns outside 0..width-1 are left out (they are
    ``outside[0]``). NaN wins.

    Assumes: planes of x and out are x_step and height*outputs apart; (k, s) is one of SHAPES.
    """
    two_two, three_two = (make_pool_row(target, dtype, MAX, k, 2) for k in (2, 3))
    two_one, three_one = (make_pool_row(target, dtype, MAX, k, 1) for k in (2, 3))
    three_three = make_pool_row(target, dtype, MAX, 3, 3)

    def pool_max(
        x: Any, out: Any, outside: Any, offsets: Any, starts: Any, planes: int, x_step: int,
        height: int, width: int, outputs: int, k: int, s: int, pad: int,
    ) -> None:
        for b in range(planes):
            xi = b * x_step
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                oi = (b * height + i) * outputs
                if s == 2 and k == 2:
                    two_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                            out, out, 0)
                elif s == 2:
                    three_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                              out, out, 0)
                elif s == 3:
                    three_three(x, xi, offsets, first, rows, width, pad, outside, out, oi,
                                outputs, out, out, 0)
                elif k == 2:
                    two_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                            out, out, 0)
                else:
                    three_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                              out, out, 0)

    return pool_max


def make_pool_mean(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_mean``: as ``pool_max``, but sums over shares.

    ::

        out[b, i, j] = (sum of the window's samples) / (shares[i] * columns[j])

    where shares and columns count what the mean is taken over along each axis.
    """
    two_two, three_two = (make_pool_row(target, dtype, BOX, k, 2) for k in (2, 3))
    two_one, three_one = (make_pool_row(target, dtype, BOX, k, 1) for k in (2, 3))
    three_three = make_pool_row(target, dtype, BOX, 3, 3)

    def pool_mean(
        x: Any, out: Any, outside: Any, shares: Any, columns: Any, offsets: Any, starts: Any,
        planes: int, x_step: int, height: int, width: int, outputs: int, k: int, s: int, pad: int,
    ) -> None:
        for b in range(planes):
            xi = b * x_step
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                oi = (b * height + i) * outputs
                if s == 2 and k == 2:
                    two_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                            columns, shares, i)
                elif s == 2:
                    three_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                              columns, shares, i)
                elif s == 3:
                    three_three(x, xi, offsets, first, rows, width, pad, outside, out, oi,
                                outputs, columns, shares, i)
                elif k == 2:
                    two_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                            columns, shares, i)
                else:
                    three_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                              columns, shares, i)

    return pool_mean
