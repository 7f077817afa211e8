"""Zeros around a part of an image: what the tiles of a padded layer read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .arithmetic import Arithmetic
from .scalar import get, put
from .workspace import make_clear, make_copy


def make_frame(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``frame``.

    ::

        work[:total] = 0
        work[at + c*work_ch + r*work_row + j] = x[x_at + c*x_ch + r*x_row + j*step]

    for c < channels, r < rows, j < columns.

    Assumes: rows of `work` do not overlap and lie in order; `work` has, beyond `total` and beyond
    every row, room for one vector.
    """
    lanes = Arithmetic.of(target, dtype).lanes
    clear, copy = make_clear(target, dtype), make_copy(target, dtype)

    def frame(
        x: Any, work: Any, total: int, x_at: int, at: int, channels: int, rows: int, columns: int,
        x_ch: int, x_row: int, work_ch: int, work_row: int, step: int,
    ) -> None:
        # In order of addresses: whole vectors may write too far, and what follows mends it.
        done = 0
        if columns > 0:
            wide = (columns + lanes - 1) // lanes * lanes
            for c in range(channels):
                for r in range(rows):
                    start, goal = x_at + c * x_ch + r * x_row, at + c * work_ch + r * work_row
                    clear(work, done, goal)
                    if step == 1:
                        copy(x, start, start + columns, work, goal)
                        done = goal + wide
                    else:
                        for j in range(columns):
                            put(work, goal + j, get(x, start + j * step))
                        done = goal + columns
        clear(work, done, total)

    return frame
