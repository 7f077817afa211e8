"""The greatest or least sample under a footprint over three axes: continue, compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .scalar import get, put
from .window_lanes import MAX, MIN, Lanes
from .window_stage import make_stage
from .window_strip import Strip, make_fold

_WIDE = 4


def make_extreme_window(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``extreme_window``.

    ::

        out[p, r, c] = the greatest (least) over t of X(p, r, c + first[t])
        X(p, r, v) = x[planes[p], rows[r], columns[v]], fill[0] where one of them < 0

    for p < np, r < nr, c < n2 and t < taps; `greatest` tells which. Of equals the first, and NaN
    where there is one.

    Assumes: what `ordered_window` assumes, work of x's dtype; taps >= 1. Behind X work has two
    vectors more, which hold anything.
    """
    lanes = Lanes.of(target, dtype, MAX).lanes
    copy = make_stage(target, dtype, MAX, 1, 0)
    strips = Strip(_WIDE), Strip(1)
    most_wide, most = (make_fold(target, dtype, MAX, s) for s in strips)
    least_wide, least = (make_fold(target, dtype, MIN, s) for s in strips)

    def extreme_window(
        x: Any, out: Any, first: Any, planes: Any, rows: Any, columns: Any, fill: Any, work: Any,
        n1: int, n2: int, np: int, nr: int, out_plane: int, more_planes: int, more_rows: int,
        wide: int, pad: int, taps: int, greatest: int,
    ) -> None:
        outside, high = get(fill, 0), nr + more_rows
        for p in range(np + more_planes):
            plane = get(planes, p)
            for r in range(high):
                at, row = (p * high + r) * wide, get(rows, r)
                if plane < 0 or row < 0:
                    for v in range(wide):
                        put(work, at + v, outside)
                    continue
                source = (plane * n1 + row) * n2
                copy(x, source, 0, 0, x, source, 0, work, at + pad, n2)
                for v in range(wide - n2):
                    u = v
                    if v >= pad:
                        u = v + n2
                    j = get(columns, u)
                    if j < 0:
                        put(work, at + u, outside)
                    else:
                        put(work, at + u, get(work, at + pad + j))
        spare = (np + more_planes) * high * wide + lanes
        for p in range(np):
            for r in range(nr):
                at, to, c = (p * high + r) * wide, p * out_plane + r * n2, 0
                while c < n2:
                    goal, i, width = out, to + c, lanes
                    if n2 - c >= _WIDE * lanes:
                        width *= _WIDE
                    elif n2 >= lanes:
                        # The last vector overlaps the one before it: the same extremes again.
                        c = min(c, n2 - lanes)
                        i = to + c
                    else:
                        goal, i = work, spare
                    if greatest == 1:
                        if width > lanes:
                            most_wide(work, at + c, 1, first, 0, fill, taps, 1, goal, i, width)
                        else:
                            most(work, at + c, 1, first, 0, fill, taps, 1, goal, i, width)
                    elif width > lanes:
                        least_wide(work, at + c, 1, first, 0, fill, taps, 1, goal, i, width)
                    else:
                        least(work, at + c, 1, first, 0, fill, taps, 1, goal, i, width)
                    c += width
                for v in range(n2 if n2 < lanes else 0):
                    put(out, to + v, get(work, spare + v))

    return extreme_window
