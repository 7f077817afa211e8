"""The way back of pooling: what each window was given goes to the samples that it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .arithmetic import Arithmetic
from .scalar import get, put
from .strided_copy import make_line


def make_pool_put(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_put``.

    ::

        out[b] = 0, then out[b, places[b, i]] = x[b, i]   for b < planes, i < outputs, in this order
        wrong[0] = whether a place lies outside 0..samples-1; nothing is stored there

    Assumes: planes of out are `samples` apart; ``zero[0]`` is 0; no two arrays share memory.
    """
    line = make_line(Arithmetic.of(target, dtype))

    def pool_put(
        x: Any, out: Any, places: Any, wrong: Any, zero: Any, planes: int, samples: int,
        outputs: int,
    ) -> None:
        line(zero, 0, 0, out, 0, 1, planes * samples)
        outside = 0
        for b in range(planes):
            for i in range(b * outputs, (b + 1) * outputs):
                place = get(places, i)
                if 0 <= place < samples:
                    put(out, b * samples + place, get(x, i))
                else:
                    outside = 1
        put(wrong, 0, outside)

    return pool_put


def make_pool_scatter(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_scatter``: as ``pool_put``, but values add up.

    ::

        out[b, places[b, i]] += grad[b, i]
    """
    line = make_line(Arithmetic.of(target, dtype))

    def pool_scatter(
        grad: Any, out: Any, places: Any, wrong: Any, zero: Any, planes: int, samples: int,
        outputs: int,
    ) -> None:
        line(zero, 0, 0, out, 0, 1, planes * samples)
        outside = 0
        for b in range(planes):
            for i in range(b * outputs, (b + 1) * outputs):
                place = get(places, i)
                if 0 <= place < samples:
                    at = b * samples + place
                    put(out, at, get(out, at) + get(grad, i))
                else:
                    outside = 1
        put(wrong, 0, outside)

    return pool_scatter


def make_pool_spread(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_spread``.

    ::

        out[b] = 0, then out[b, offsets[r] + t] += grad[b, i, j] / (shares[i] * columns[j])

    for b < planes, i < height, j < outputs, over the rows r of window i, which are
    offsets[starts[i]] to offsets[starts[i+1] - 1], and firsts[j] <= t < stops[j].

    Assumes: planes of out are x_step apart; ``zero[0]`` is 0; no two arrays share memory.
    """
    line = make_line(Arithmetic.of(target, dtype))

    def pool_spread(
        grad: Any, out: Any, shares: Any, columns: Any, zero: Any, offsets: Any, starts: Any,
        firsts: Any, stops: Any, planes: int, x_step: int, height: int, outputs: int,
    ) -> None:
        line(zero, 0, 0, out, 0, 1, planes * x_step)
        for b in range(planes):
            for i in range(height):
                for j in range(outputs):
                    share = get(shares, i) * get(columns, j)
                    part = get(grad, (b * height + i) * outputs + j) / share
                    for r in range(get(starts, i), get(starts, i + 1)):
                        row = b * x_step + get(offsets, r)
                        for t in range(get(firsts, j), get(stops, j)):
                            put(out, row + t, get(out, row + t) + part)

    return pool_spread
