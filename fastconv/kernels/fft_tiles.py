"""Overlap-save in tiles of images and volumes: the block transform, rows gathered and spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from . import fft_rows
from .fft_walk import make_walk
from .scalar import get, put
from .workspace import make_copy


def _make_ends(target: Target, dtype: str, parts: int) -> tuple[Any, Any]:
    """Return the first pass, which gathers a tile, and the last one, which stores its results.

    Samples have so many `parts`: a point is two real ones, P/2 rows apart, or a complex one.
    """
    copy = make_copy(target, dtype)
    lanes, folds = target.lanes(np.dtype(dtype).itemsize), 2 // parts
    read_rows, write_rows, write_rows_rim = (
        (fft_rows.read_rows, fft_rows.write_rows, fft_rows.write_rows_rim) if parts == 1 else
        (fft_rows.read_complex_rows, fft_rows.write_complex_rows, fft_rows.write_complex_rows_rim)
    )

    @inline
    def gather(x: Any, columns: Any, fill: Any, room: Any, source: int, first: int, at: int,
               width: int, left: int, right: int, shift: int) -> None:
        """Put one row together whose columns left..right-1 lie in a piece."""
        start = source + first - shift
        copy(x, parts * (start + left), parts * (start + right), room, parts * (at + left))
        for part in range(parts):
            outside = get(fill, part)
            for j in range(left):
                c = get(columns, first + j)
                value = outside if c < 0 else get(x, parts * (source + max(c, 0)) + part)
                put(room, parts * (at + j) + part, value)
            for j in range(right, width):
                c = get(columns, first + j)
                value = outside if c < 0 else get(x, parts * (source + max(c, 0)) + part)
                put(room, parts * (at + j) + part, value)

    @inline
    def load(
        x: Any, table: Any, scratch: Any, room: Any, fill: Any, sources: Any, columns: Any,
        positions: Any, tile: int, first: int, rows: int, width: int, inner_low: int,
        inner_high: int, shift: int, size: int, top: int,
    ) -> None:
        points, group = size // top, rows // (folds * top)
        left = min(width, max(0, inner_low - first))
        right = min(width, max(left, inner_high - first))
        for i in range(group):
            for r in range(folds * top):
                source = get(sources, tile * rows + i + r * group)
                if source < 0:
                    put(positions, r, -1)
                elif right - left == width:
                    put(positions, r, parts * (source + first - shift))
                else:
                    at = (r + 1) * width
                    gather(x, columns, fill, room, source, first, at, width, left, right, shift)
                    put(positions, r, -1 - parts * at)
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
            for part in range(parts):
                put(out, parts * to + part, get(room, parts * (at + j) + part))
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
        points, group = size // top, rows // (folds * top)
        put(norms, at, 0.0)
        for i in range(group):
            wanted = 0
            for r in range(folds * top):
                goal = get(targets, tile * rows + i + r * group)
                if goal >= 0:
                    wanted += 1
                place = base + goal + first if goal >= 0 and stride == 1 else -1
                put(positions, r, parts * place if place >= 0 else -1 - parts * (r + 1) * width)
            if wanted == 0:
                continue
            write_any(out, room, scratch, norms, table, positions, i * width, points, top,
                      low, low + count, at)
            if stride > 1:
                for r in range(folds * top):
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
    return _tiles(target, dtype, 1)


def make_tiles_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``tiles_filters``: ``tiles`` with several filters on one image.

    The results of filter f, whose spectrum lies f * apart from the first one's, are out_step
    further on than those of filter f - 1, its norms norm_step. They are to the bit what ``tiles``
    computes with each: a tile is transformed once and held, see ``overlap_save_filters``.

    Assumes: as ``tiles``; held and scratch have 2M reals each.
    """
    return _tiles_filters(target, dtype, 1)


def make_complex_tiles(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``complex_tiles``: ``tiles`` for complex samples, each a point: M = P * Q.

    All arrays hold reals, fill two of them; places, steps and counts are those of samples.

    Assumes: P is a multiple of top; room has 2 * (top + 1) * Q elements and one vector, positions
    top; otherwise as ``tiles``.
    """
    return _tiles(target, dtype, 2)


def make_complex_tiles_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``complex_tiles_filters``: ``complex_tiles`` with several filters."""
    return _tiles_filters(target, dtype, 2)


def _tiles(target: Target, dtype: str, parts: int) -> Callable[..., Any]:
    walk = make_walk(target, dtype, "product")
    load, store = _make_ends(target, dtype, parts)

    def tiles(
        x: Any, spectrum: Any, table: Any, scratch: Any, room: Any, out: Any, norms: Any,
        fill: Any, sources: Any, targets: Any, columns: Any, positions: Any,
        begin: int, end: int, across: int, rows: int, width: int, low: int, step: int,
        results: int, stride: int, inner_low: int, inner_high: int, shift: int,
        size: int, top: int, levels: int,
    ) -> None:
        # Row 0 of the room stands for all rows outside.
        for j in range(width):
            for part in range(parts):
                put(room, parts * j + part, get(fill, part))
        for number in range(begin, end):
            tile, column = number // across, number % across
            first = column * step
            load(x, table, scratch, room, fill, sources, columns, positions, tile, first, rows,
                 width, inner_low, inner_high, shift, size, top)
            walk(scratch, table, spectrum, size, top, levels, 0, x, scratch, 0, 0, 0)
            store(out, table, scratch, room, norms, targets, positions, tile, first, number, rows,
                  width, low, min(step, results - first), stride, size, top, 0)

    return tiles


def _tiles_filters(target: Target, dtype: str, parts: int) -> Callable[..., Any]:
    there = make_walk(target, dtype, "forward")
    back = make_walk(target, dtype, "inverse")
    load, store = _make_ends(target, dtype, parts)

    def tiles_filters(
        x: Any, spectra: Any, table: Any, held: Any, scratch: Any, room: Any, out: Any, norms: Any,
        fill: Any, sources: Any, targets: Any, columns: Any, positions: Any,
        filters: int, apart: int, out_step: int, norm_step: int,
        begin: int, end: int, across: int, rows: int, width: int, low: int, step: int,
        results: int, stride: int, inner_low: int, inner_high: int, shift: int,
        size: int, top: int, levels: int,
    ) -> None:
        # Row 0 of the room stands for all rows outside.
        for j in range(width):
            for part in range(parts):
                put(room, parts * j + part, get(fill, part))
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
