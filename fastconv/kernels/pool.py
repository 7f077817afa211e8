"""Pooling of planes: the largest sample or the mean of each window, row of outputs by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .pool_row import make_pool_row
from .scalar import get
from .strided_copy import make_line
from .window_lanes import BOX, MAX, Lanes

__all__ = ["make_framed", "make_pool_max", "make_pool_mean", "reach_of", "whole"]


@inline
def whole(outputs: int, lanes: int) -> int:
    """Return the outputs of as many whole vectors as hold so many."""
    return (outputs + lanes - 1) // lanes * lanes


@inline
def reach_of(outputs: int, lanes: int, k: int, s: int) -> int:
    """Return how many samples whole vectors of so many outputs load; see `pool_row.Shape`."""
    last = s * lanes + 1 if k == s + 1 and s > 1 else s * lanes + ((k + s - 1) // s - 1) * s
    return (outputs - lanes) * s + last


def make_framed(target: Target, dtype: str) -> Any:
    """Return ``framed(x, start, width, rows, frame, step, pad)``: rows copied `step` apart."""
    line = make_line(Lanes.of(target, dtype, MAX).memory)

    @inline
    def framed(
        x: Any, start: int, width: int, rows: int, frame: Any, step: int, pad: int
    ) -> None:
        for r in range(rows):
            line(x, start + r * width, 1, frame, r * step + pad, 1, width)

    return framed


def make_pool_max(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_max``.

    ::

        out[b, i, j] = max over the rows r of window i and t < k of
                       x[b, offsets[r] + j*s + t - pad]

    for b < planes, i < height, j < outputs. The rows of window i are offsets[starts[i]] to
    offsets[starts[i+1] - 1], at least one, in order; columns outside 0..width-1 are left out (they
    are ``outside[0]``). NaN wins. Where `step` is not 0, rows of x are copied into `frame` first,
    `step` apart and `pad` from its beginning, and offsets count there.

    Assumes: planes of x and out are x_step and height*outputs apart; (k, s) is one of SHAPES;
    step is at least what whole vectors of outputs reach, and `frame` has a plane's rows.
    """
    row = _make_rows(target, dtype, MAX)
    walk = _make_walk(target, dtype, row)

    def pool_max(
        x: Any, out: Any, outside: Any, frame: Any, offsets: Any, starts: Any, planes: int,
        x_step: int, height: int, width: int, outputs: int, k: int, s: int, pad: int, step: int,
    ) -> None:
        walk(x, out, outside, frame, out, out, 0, offsets, starts, planes, x_step, height, width,
             outputs, k, s, pad, step)

    return pool_max


def make_pool_mean(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_mean``: as ``pool_max``, but sums over shares.

    ::

        out[b, i, j] = (sum of the window's samples) / (shares[i] * columns[j])

    where shares and columns count what the mean is taken over along each axis, columns on to the
    end of a vector.
    """
    row = _make_rows(target, dtype, BOX)
    walk = _make_walk(target, dtype, row)

    def pool_mean(
        x: Any, out: Any, outside: Any, frame: Any, shares: Any, columns: Any, offsets: Any,
        starts: Any, planes: int, x_step: int, height: int, width: int, outputs: int, k: int,
        s: int, pad: int, step: int,
    ) -> None:
        walk(x, out, outside, frame, columns, shares, 1, offsets, starts, planes, x_step, height,
             width, outputs, k, s, pad, step)

    return pool_mean


def _make_walk(target: Target, dtype: str, row: Any) -> Any:
    """Return ``walk``: the rows of all planes.

    Rows of outputs are stored in whole vectors where what lies behind is stored later, so that
    narrow planes take no masks.
    """
    a, framed = Lanes.of(target, dtype, MAX).memory, make_framed(target, dtype)
    lanes, line = a.lanes, make_line(a)

    @inline
    def walk(
        x: Any, out: Any, outside: Any, frame: Any, columns: Any, shares: Any, share_step: int,
        offsets: Any, starts: Any, planes: int, x_step: int, height: int, width: int, outputs: int,
        k: int, s: int, pad: int, step: int,
    ) -> None:
        wide = whole(outputs, lanes)
        reach, end = reach_of(wide, lanes, k, s), planes * height * outputs
        inside = pad == 0 and (outputs - 1) * s + k <= width
        if step > 0 and planes > 0:
            line(outside, 0, 0, frame, 0, 1, x_step // width * step)
        for b in range(planes):
            xi = b * x_step
            if step > 0:
                framed(x, xi, width, x_step // width, frame, step, pad)
            for i in range(height):
                first, rows = get(starts, i), get(starts, i + 1) - get(starts, i)
                oi = (b * height + i) * outputs
                there = oi + wide <= end
                if step > 0:
                    row(frame, 0, offsets, first, rows, step, 0, outside, out, oi,
                        wide if there else outputs, columns, shares, i * share_step, k, s)
                else:
                    last = xi + get(offsets, first + rows - 1)
                    there = there and inside and last + reach <= planes * x_step
                    row(x, xi, offsets, first, rows, reach if there else width, pad, outside, out,
                        oi, wide if there else outputs, columns, shares, i * share_step, k, s)

    return walk


def _make_rows(target: Target, dtype: str, op: int) -> Any:
    """Return ``row``: the micro kernel of (k, s)."""
    one_one = make_pool_row(target, dtype, op, 1, 1)
    two_two, three_two = (make_pool_row(target, dtype, op, k, 2) for k in (2, 3))
    two_one, three_one = (make_pool_row(target, dtype, op, k, 1) for k in (2, 3))
    three_three = make_pool_row(target, dtype, op, 3, 3)

    @inline
    def row(
        x: Any, xi: int, offsets: Any, first: int, rows: int, width: int, pad: int, outside: Any,
        out: Any, oi: int, outputs: int, columns: Any, shares: Any, i: int, k: int, s: int,
    ) -> None:
        if s == 2 and k == 2:
            two_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs, columns,
                    shares, i)
        elif s == 2:
            three_two(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs, columns,
                      shares, i)
        elif s == 3:
            three_three(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs,
                        columns, shares, i)
        elif k == 1:
            one_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs, columns,
                    shares, i)
        elif k == 2:
            two_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs, columns,
                    shares, i)
        else:
            three_one(x, xi, offsets, first, rows, width, pad, outside, out, oi, outputs, columns,
                      shares, i)

    return row
