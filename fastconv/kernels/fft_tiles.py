"""Overlap-save in tiles of images and volumes: the block transform, rows gathered and spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_rows import read_rows, write_rows, write_rows_rim
from .fft_walk import make_walk
from .scalar import get, put
from .workspace import make_copy


def _make_ends(target: Target, dtype: str) -> tuple[Any, Any]:
    """Return the first pass, which gathers a tile, and the last one, which stores its results."""
    copy = make_copy(target, dtype)
    lanes = target.lanes(np.dtype(dtype).itemsize)

    @inline
    def gather(x: Any, columns: Any, fill: Any, room: Any, source: int, first: int, at: int,
               width: int, left: int, right: int, shift: int) -> None:
        """Put one row together whose columns left..right-1 lie in a piece."""
        copy(x, source + first + left - shift, source + first + right - shift, room, at + left)
        outside = get(fill, 0)
        for j in range(left):
            c = get(columns, first + j)
            put(room, at + j, outside if c < 0 else get(x, source + max(c, 0)))
        for j in range(right, width):
            c = get(columns, first + j)
            put(room, at + j, outside if c < 0 else get(x, source + max(c, 0)))

    @inline
    def load(
        x: Any, table: Any, scratch: Any, room: Any, fill: Any, sources: Any, columns: Any,
        positions: Any, tile: int, first: int, rows: int, width: int, inner_low: int,
        inner_high: int, shift: int, size: int, top: int,
    ) -> None:
        points, group = size // top, rows // (2 * top)
        left = min(width, max(0, inner_low - first))
        right = min(width, max(left, inner_high - first))
        for i in range(group):
            for r in range(2 * top):
                source = get(sources, tile * rows + i + r * group)
                if source < 0:
                    put(positions, r, -1)
                elif right - left == width:
                    put(positions, r, source + first - shift)
                else:
                    at = (r + 1) * width
                    gather(x, columns, fill, room, source, first, at, width, left, right, shift)
                    put(positions, r, -1 - at)
            point = i * width
            if top == 4:
                read_rows(lanes, 4, x, room, scratch, table, positions, point, points, width)
            elif top == 3:
                read_rows(lanes, 3, x, room, scratch, table, positions, point, points, width)
            else:
                read_rows(lanes, 5, x, room, scratch, table, positions, point, points, width)

    @inline
    def pick(out: Any, room: Any, goal: int, at: int, first: int, count: int, stride: int) -> None:
        """Store those of `count` results, the first of them number `first`, that a stride keeps."""
        skipped = -first % stride
        to = goal + (first + skipped) // stride
        for j in range(skipped, count, stride):
            put(out, to, get(room, at + j))
            to += 1

    @inline
    def write_any(
        out: Any, room: Any, scratch: Any, norms: Any, table: Any, positions: Any, point: int,
        points: int, top: int, low: int, high: int, at: int,
    ) -> None:
        # Whole vectors of results first, then what is left at both ends.
        full = -(-low // lanes) * lanes
        last = full + max(0, high - full) // lanes * lanes
        if top == 4:
            write_rows(lanes, 4, out, room, scratch, norms, table, positions, point, points,
                       full, last, low, high, at)
        elif top == 3:
            write_rows(lanes, 3, out, room, scratch, norms, table, positions, point, points,
                       full, last, low, high, at)
        else:
            write_rows(lanes, 5, out, room, scratch, norms, table, positions, point, points,
                       full, last, low, high, at)
        for part in range(2):
            b, e = (full - lanes, full) if part == 0 else (last, high)
            if (part == 0 and full == low) or b >= e:
                continue
            if top == 4:
                write_rows_rim(lanes, 4, out, room, scratch, norms, table, positions, point,
                               points, b, e, low, high, at)
            elif top == 3:
                write_rows_rim(lanes, 3, out, room, scratch, norms, table, positions, point,
                               points, b, e, low, high, at)
            else:
                write_rows_rim(lanes, 5, out, room, scratch, norms, table, positions, point,
                               points, b, e, low, high, at)

    @inline
    def store(
        out: Any, table: Any, scratch: Any, room: Any, norms: Any, targets: Any, positions: Any,
        tile: int, first: int, at: int, rows: int, width: int, low: int, count: int, stride: int,
        size: int, top: int, base: int,
    ) -> None:
        points, group = size // top, rows // (2 * top)
        norms[at] = 0.0
        for i in range(group):
            wanted = 0
            for r in range(2 * top):
                goal = get(targets, tile * rows + i + r * group)
                if goal >= 0:
                    wanted += 1
                at_once = goal >= 0 and stride == 1
                put(positions, r, base + goal + first if at_once else -1 - (r + 1) * width)
            if wanted == 0:
                continue
            write_any(out, room, scratch, norms, table, positions, i * width, points, top,
                      low, low + count, at)
            if stride > 1:
                for r in range(2 * top):
                    goal = get(targets, tile * rows + i + r * group)
                    if goal >= 0:
                        pick(out, room, base + goal, (r + 1) * width, first, count, stride)

    return load, store


def make_tiles(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``tiles``.

    A tile of P rows of Q samples is laid end to end: a filter tap (u, v) is u * Q + v samples
    away, in any number of dimensions, so that a convolution of 2M = P * Q samples serves. What
    runs over the end of a row meets the first columns of the next one, what runs over the end of
    the tile its first rows; neither is stored::

        z[i, j] = x[sources[t, i] + columns[c * step + j]]
        out[targets[t, i] + (c * step + j - low) / stride] = (z * h)[i, j], low <= j < low + step

    for tiles ``begin <= t * across + c < end``, h as in ``spectrum``. A source or column of -1
    reads fill[0]; a target of -1 is a row that is not stored. Of the columns of results, those
    whose number is a multiple of `stride` and below `results` are stored. ``columns`` is -1 or the
    identity minus `shift` where ``inner_low <= c < inner_high``.

    ``norms[t * across + c]`` becomes not finite if the tile meets a sample or a stored result that
    is not finite (or beyond the square root of the largest number), else finite. The error is that
    of ``overlap_save``.

    Assumes: top is 3, 4 or 5; P is a multiple of 2 * top; Q of the lanes; Q >= low + step; room
    has (2 * top + 1) * Q elements and one vector, positions 2 * top.
    """
    walk = make_walk(target, dtype, "product")
    load, store = _make_ends(target, dtype)

    def tiles(
        x: Any, spectrum: Any, table: Any, scratch: Any, room: Any, out: Any, norms: Any,
        fill: Any, sources: Any, targets: Any, columns: Any, positions: Any,
        begin: int, end: int, across: int, rows: int, width: int, low: int, step: int,
        results: int, stride: int, inner_low: int, inner_high: int, shift: int,
        size: int, top: int, levels: int,
    ) -> None:
        outside = get(fill, 0)
        # Row 0 of the room stands for all rows outside.
        for j in range(width):
            put(room, j, outside)
        for number in range(begin, end):
            tile, column = number // across, number % across
            first = column * step
            load(x, table, scratch, room, fill, sources, columns, positions, tile, first, rows,
                 width, inner_low, inner_high, shift, size, top)
            walk(scratch, table, spectrum, size, top, levels, 0, x, scratch, 0, 0, 0)
            store(out, table, scratch, room, norms, targets, positions, tile, first, number, rows,
                  width, low, min(step, results - first), stride, size, top, 0)

    return tiles


def make_tiles_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``tiles_filters``: ``tiles`` with several filters on one image.

    The results of filter f, whose spectrum lies f * apart from the first one's, are out_step
    further on than those of filter f - 1, its norms norm_step. They are to the bit what ``tiles``
    computes with each: a tile is transformed once and held, see ``overlap_save_filters``.

    Assumes: as ``tiles``; held and scratch have 2M reals each.
    """
    there = make_walk(target, dtype, "forward")
    back = make_walk(target, dtype, "inverse")
    load, store = _make_ends(target, dtype)

    def tiles_filters(
        x: Any, spectra: Any, table: Any, held: Any, scratch: Any, room: Any, out: Any, norms: Any,
        fill: Any, sources: Any, targets: Any, columns: Any, positions: Any,
        filters: int, apart: int, out_step: int, norm_step: int,
        begin: int, end: int, across: int, rows: int, width: int, low: int, step: int,
        results: int, stride: int, inner_low: int, inner_high: int, shift: int,
        size: int, top: int, levels: int,
    ) -> None:
        outside = get(fill, 0)
        # Row 0 of the room stands for all rows outside.
        for j in range(width):
            put(room, j, outside)
        for number in range(begin, end):
            tile, column = number // across, number % across
            first = column * step
            load(x, table, held, room, fill, sources, columns, positions, tile, first, rows,
                 width, inner_low, inner_high, shift, size, top)
            there(held, table, spectra, size, top, levels, 0, x, scratch, 0, 0, 0)
            for f in range(filters):
                back(scratch, table, spectra, size, top, levels, f * apart, held, scratch, 0, 0, 0)
                store(out, table, scratch, room, norms, targets, positions, tile, first,
                      f * norm_step + number, rows, width, low, min(step, results - first),
                      stride, size, top, f * out_step)

    return tiles_filters
