"""The gradients of pooling: what each window was given goes back to the samples it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .scalar import get, put


def make_pool_scatter(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_scatter``.

    ::

        out[b, places[b, i]] += grad[b, i]   for b < planes, i < outputs, in this order

    Assumes: planes of out are `samples` apart, and every place lies within one.
    """

    def pool_scatter(
        grad: Any, out: Any, places: Any, planes: int, samples: int, outputs: int
    ) -> None:
        for b in range(planes):
            for i in range(b * outputs, (b + 1) * outputs):
                at = b * samples + get(places, i)
                put(out, at, get(out, at) + get(grad, i))

    return pool_scatter


def make_pool_spread(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``pool_spread``.

    ::

        out[b, offsets[r] + t] += share[b, i, j]

    for b < planes, i < height, j < outputs, over the rows r of window i, which are
    offsets[starts[i]] to offsets[starts[i+1] - 1], and firsts[j] <= t < stops[j].

    Assumes: planes of out are x_step apart.
    """

    def pool_spread(
        share: Any, out: Any, offsets: Any, starts: Any, firsts: Any, stops: Any,
        planes: int, x_step: int, height: int, outputs: int,
    ) -> None:
        for b in range(planes):
            for i in range(height):
                for r in range(get(starts, i), get(starts, i + 1)):
                    row = b * x_step + get(offsets, r)
                    for j in range(outputs):
                        part = get(share, (b * height + i) * outputs + j)
                        for t in range(get(firsts, j), get(stops, j)):
                            put(out, row + t, get(out, row + t) + part)

    return pool_spread
