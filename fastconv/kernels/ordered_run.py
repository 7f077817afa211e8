"""A run of outputs of one ordered sum, in the widest strips that fit."""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .ordered import make_strip

_WIDE, _MIDDLE = 8, 4


def make_run(target: Target, dtype: str) -> Any:
    """Return ``run``: `width` outputs of `dtype` that lie one after the other.

    ::

        run(work, at, w, out, goal, first, second, scale, width, singles, taps, sign)

    Assumes: all samples exist; out overlaps neither work nor w.
    """
    lanes = target.lanes(8)
    wide = make_strip("float64", _WIDE, lanes, dtype)
    middle = make_strip("float64", _MIDDLE, lanes, dtype)
    thin = make_strip("float64", 1, lanes, dtype)
    single = make_strip("float64", 1, 1, dtype)

    @inline
    def run(
        work: Any, at: int, w: Any, out: Any, goal: int, first: Any, second: Any, scale: int,
        width: int, singles: int, taps: int, sign: int,
    ) -> None:
        strips = width // (_WIDE * lanes)
        wide(work, at, w, out, goal, first, second, scale, strips, singles, taps, sign)
        i = strips * _WIDE * lanes
        strips = (width - i) // (_MIDDLE * lanes)
        middle(work, at + i, w, out, goal + i, first, second, scale, strips, singles, taps, sign)
        i += strips * _MIDDLE * lanes
        strips = (width - i) // lanes
        thin(work, at + i, w, out, goal + i, first, second, scale, strips, singles, taps, sign)
        i += strips * lanes
        if i < width:
            if width >= lanes:
                # The last vector overlaps the one before it: the same sums again.
                i = width - lanes
                thin(work, at + i, w, out, goal + i, first, second, scale, 1, singles, taps, sign)
            else:
                single(work, at + i, w, out, goal + i, first, second, scale, width - i, singles,
                       taps, sign)

    return run
