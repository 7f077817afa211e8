"""Correlation with a constant filter along lines: running sums times the one tap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .lane_scans import Panel, make_collect, make_scans, make_spread
from .scalar import get, put


def make_box_line(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``box_line``.

    ::

        out[b, i] = factor[0] * sum over t < k of x~[b, i + t - pad]

    for b < rows and i < m: outputs lo..hi-1 have their windows inside 0..n-1; the virtual samples
    of outputs 0..lo-1 are listed in `left`, those of outputs hi..m-1 in `right`; -1 stands for
    ``fill[0]``. wild[0] becomes 1 if an output is NaN or infinite. A line is cut into as many
    parts as a panel has lines, of at most `per` outputs each: see `lane_scans`.

    Assumes: x, out have rows of n and m contiguous elements; k, per >= 1; work has
    max(len(left), len(right)) elements and per + k - 1 rows of a panel (`lines_of` elements each);
    out overlaps neither.
    """
    line = make_line(target, dtype)

    def box_line(
        x: Any, factor: Any, out: Any, fill: Any, left: Any, right: Any, wild: Any, work: Any,
        rows: int, n: int, k: int, m: int, lo: int, hi: int, pad: int, per: int,
    ) -> None:
        room = max(len(left), len(right))
        for b in range(rows):
            # The rims and the interior are one loop, so that `line` is compiled once for each.
            for part in range(3):
                first, last, length = 0, lo, len(left)
                if part == 1:
                    first, last = lo, hi
                elif part == 2:
                    first, last, length = hi, m, len(right)
                if last <= first:
                    continue
                if part == 1:
                    line(x, b * n + first - pad, factor, out, b * m + first, last - first, k, per,
                         work, room, wild)
                    continue
                for v in range(length):
                    at = get(left, v) if part == 0 else get(right, v)
                    if at < 0:
                        put(work, v, get(fill, 0))
                    else:
                        put(work, v, get(x, b * n + at))
                line(work, 0, factor, out, b * m + first, last - first, k, per, work, room, wild)

    return box_line


def make_line(target: Target, dtype: str) -> Any:
    """Return ``line``: `count` outputs whose windows begin at x[xi], x[xi + 1], ..."""
    lines = Panel.of(target, dtype).lines
    spread, scans = make_spread(target, dtype), make_scans(target, dtype)
    collect = make_collect(target, dtype)

    @inline
    def line(
        x: Any, xi: int, factor: Any, out: Any, oi: int, count: int, k: int, per: int, work: Any,
        wi: int, wild: Any,
    ) -> None:
        at = 0
        while at < count:
            here = min(lines, count - at)
            each = max(min((count - at) // lines, per), 1)
            spread(x, xi + at, each, here, work, wi, each + k - 1)
            scans(work, wi, k, each)
            collect(work, wi, factor, out, oi + at, each, here, each, wild, 0)
            at += here * each

    return line
