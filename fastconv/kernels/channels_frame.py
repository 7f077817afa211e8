"""Zeros around a part of an image: what the tiles of a padded layer read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.target import Target
from .workspace import make_clear, make_copy


def make_frame(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``frame``.

    ::

        work[:total] = 0
        work[at + c*work_ch + r*work_row + j] = x[x_at + c*x_ch + r*x_row + j]

    for c < channels, r < rows, j < columns.

    Assumes: `work` has, beyond `total` and beyond every row, room for one vector; a row's places
    after its last column are zeros up to the next vector.
    """
    clear, copy = make_clear(target, dtype), make_copy(target, dtype)

    def frame(
        x: Any, work: Any, total: int, x_at: int, at: int, channels: int, rows: int, columns: int,
        x_ch: int, x_row: int, work_ch: int, work_row: int,
    ) -> None:
        clear(work, 0, total)
        if columns <= 0:
            return
        for c in range(channels):
            for r in range(rows):
                start = x_at + c * x_ch + r * x_row
                copy(x, start, start + columns, work, at + c * work_ch + r * work_row)

    return frame
