"""The windows of planes side by side, and added back into planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .scalar import get, join, put
from .strided_copy import make_line

__all__ = ["make_fold", "make_unfold"]


@inline
def first_inside(stride: int, at: int) -> int:
    """Return the first j >= 0 with j*stride + at >= 0."""
    return 0 if at >= 0 else (stride - 1 - at) // stride


@inline
def end_inside(n: int, stride: int, at: int, count: int) -> int:
    """Return the end of those j < count with j*stride + at < n."""
    return 0 if at >= n else min(count, (n - 1 - at) // stride + 1)


def make_unfold(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``unfold``.

    ::

        out[b, u, v, i, j] = x[b, i*s0 + u*d0 - p0, j*s1 + v*d1 - p1], 0 where that lies outside

    for b < planes, u < k0, v < k1, i < m0, j < m1; planes of x are n0 x n1, and ``zero[0]`` is 0.

    Assumes: x, out and zero share no memory.
    """
    line = make_line(Arithmetic.of(target, dtype))

    def unfold(
        x: Any, out: Any, zero: Any, planes: int, n0: int, n1: int, k0: int, k1: int, m0: int,
        m1: int, s0: int, s1: int, d0: int, d1: int, p0: int, p1: int,
    ) -> None:
        for b in range(planes):
            for u in range(k0):
                top, bottom = first_inside(s0, u * d0 - p0), end_inside(n0, s0, u * d0 - p0, m0)
                bottom = max(top, bottom)
                for v in range(k1):
                    start = v * d1 - p1
                    left, right = first_inside(s1, start), end_inside(n1, s1, start, m1)
                    right = max(left, right)
                    goal = ((b * k0 + u) * k1 + v) * m0 * m1
                    line(zero, 0, 0, out, goal, 1, min(top, m0) * m1)
                    for i in range(min(top, m0), bottom):
                        row = (b * n0 + i * s0 + u * d0 - p0) * n1
                        at = goal + i * m1
                        line(zero, 0, 0, out, at, 1, min(left, m1))
                        line(x, row + left * s1 + start, s1, out, at + left, 1, right - left)
                        line(zero, 0, 0, out, at + right, 1, m1 - right)
                    line(zero, 0, 0, out, goal + bottom * m1, 1, (m0 - bottom) * m1)

    return unfold


def make_fold(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``fold``.

    ::

        out[b] = 0, then
        out[b, i*s0 + u*d0 - p0, j*s1 + v*d1 - p1] += x[b, u, v, i, j]   where that lies inside

    for u < k0, v < k1, i < m0, j < m1 in this order; the rest as for ``unfold``.
    """
    line = make_line(Arithmetic.of(target, dtype))

    def fold(
        x: Any, out: Any, zero: Any, planes: int, n0: int, n1: int, k0: int, k1: int, m0: int,
        m1: int, s0: int, s1: int, d0: int, d1: int, p0: int, p1: int,
    ) -> None:
        line(zero, 0, 0, out, 0, 1, planes * n0 * n1)
        for b in range(planes):
            for u in range(k0):
                top, bottom = first_inside(s0, u * d0 - p0), end_inside(n0, s0, u * d0 - p0, m0)
                for v in range(k1):
                    start = v * d1 - p1
                    left, right = first_inside(s1, start), end_inside(n1, s1, start, m1)
                    source = ((b * k0 + u) * k1 + v) * m0 * m1
                    for i in range(top, bottom):
                        row = (b * n0 + i * s0 + u * d0 - p0) * n1 + start
                        at = source + i * m1
                        for j in range(left, right):
                            goal = row + j * s1
                            put(out, goal, join(get(out, goal), get(x, at + j)))

    return fold
