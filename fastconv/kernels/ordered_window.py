"""One filter over three axes of samples of any dtype: continue, add in order, convert back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .ordered_convert import make_convert
from .ordered_run import make_run
from .scalar import get, put


def make_ordered_window(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``ordered_window``.

    ::

        out[p, r, c] = T(sum in the order of kernel `ordered` of X(p, r, c + first[t]) * w)
        X(p, r, v) = x[planes[p], rows[r], columns[v]] as a double, fill[0] where one of them < 0

    for p < np, r < nr, c < n2; offsets count samples of X, which has (np + k0 - 1) planes of
    nr + k1 - 1 rows of `wide` samples.

    Assumes: x has rows of n2 and planes of n1 rows; out has planes of out_plane elements and rows
    of n2; columns[pad + c] == c for 0 <= c < n2; k0 and k1 are given as how many more planes and
    rows X has, work holds X; out overlaps neither x nor work.
    """
    gather = make_convert(dtype, target.lanes(8))
    run = make_run(target, dtype)

    def ordered_window(
        x: Any, w: Any, out: Any, first: Any, planes: Any, rows: Any, columns: Any, fill: Any,
        work: Any, n1: int, n2: int, np: int, nr: int, out_plane: int, more_planes: int,
        more_rows: int, wide: int, pad: int, taps: int,
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
                gather(x, (plane * n1 + row) * n2, work, at + pad, n2)
                for v in range(wide - n2):
                    u = v
                    if v >= pad:
                        u = v + n2
                    j = get(columns, u)
                    if j < 0:
                        put(work, at + u, outside)
                    else:
                        put(work, at + u, get(work, at + pad + j))
        for p in range(np):
            for r in range(nr):
                run(work, (p * high + r) * wide, w, out, p * out_plane + r * n2, first, first, 1,
                    n2, taps, taps, 1)

    return ordered_window
