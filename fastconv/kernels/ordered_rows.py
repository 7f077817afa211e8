"""Rows of outputs of one ordered sum down the columns, in tiles where registers are few."""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .ordered_run import make_run
from .ordered_tile import PAIRED, SINGLE, make_tile

# Bytes of samples that one sweep over some columns meets again and again: half of a first level
# cache of 32 KiB.
_MET = 1 << 14


def make_rows(target: Target, dtype: str) -> tuple[Any, Any]:
    """Return ``pitch(width, rows, reach)`` and ``rows``: `count` rows of `width` outputs.

    ::

        rows(work, at, pitch, w, out, goal, inner, first, second, width, count, singles, taps,
             sign, reach)

    ``pitch`` says how far apart the rows of samples should lie, `width` or more.

    Assumes: the `count` + reach rows of samples exist, rows of outputs are `inner` apart; out
    overlaps neither work nor w.
    """
    run = make_run(target, dtype)
    if not target.has_row_tiles:
        @inline
        def as_wide(width: int, count: int, reach: int) -> int:
            return width

        @inline
        def rows(
            work: Any, at: int, pitch: int, w: Any, out: Any, goal: int, inner: int, first: Any,
            second: Any, width: int, count: int, singles: int, taps: int, sign: int, reach: int,
        ) -> None:
            if width == inner:
                run(work, at, w, out, goal, first, second, width, count * width, singles, taps,
                    sign)
            else:
                for i in range(count):
                    run(work, at + i * width, w, out, goal + i * inner, first, second, width,
                        width, singles, taps, sign)

        return as_wide, rows

    lanes = target.lanes(8)
    paired, single = make_tile(dtype, lanes, True), make_tile(dtype, lanes, False)
    most = max(PAIRED, SINGLE) * lanes

    @inline
    def spread(width: int, count: int, reach: int) -> int:
        if width < most or count < 2 or reach < 1:
            return width
        # An odd number of cache lines: the samples of a column meet in no set of the cache.
        return ((width + 7) // 8 | 1) * 8

    @inline
    def tiled_rows(
        work: Any, at: int, pitch: int, w: Any, out: Any, goal: int, inner: int, first: Any,
        second: Any, width: int, count: int, singles: int, taps: int, sign: int, reach: int,
    ) -> None:
        if width < most or count < 2 or reach < 1:
            if width == pitch and width == inner:
                run(work, at, w, out, goal, first, second, width, count * width, singles, taps,
                    sign)
            else:
                for i in range(count):
                    run(work, at + i * pitch, w, out, goal + i * inner, first, second, pitch,
                        width, singles, taps, sign)
            return
        c, some = 0, max(_MET // (8 * (reach + 2)) // most, 1) * most
        while c < width:
            here = width - c
            # What would remain is too narrow for a tile: it goes with these.
            if here >= some + most:
                here = some
            if taps > singles:
                paired(work, at + c, w, out, goal + c, pitch, inner, here, count, reach, sign)
            else:
                single(work, at + c, w, out, goal + c, pitch, inner, here, count, reach, sign)
            c += here

    return spread, tiled_rows
