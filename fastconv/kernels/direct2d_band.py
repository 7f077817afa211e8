"""The macro loop of direct 2-D correlation: rows of register tiles, and the rims beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numba

from ..runtime.jit import FLAGS, inline
from .direct2d_element import Element
from .direct2d_rim import divide_columns, make_move, make_pack
from .direct2d_tile import ACCUMULATE, PAST_CACHE, STORE, Shape, make_tiles
from .scalar import get, join, misalignment, put, zero_like

# Rims follow the wide tiles, before both ends of so many results leave a second-level cache again.
_CHUNK_BYTES = 1 << 17


def make_band(element: Element, shapes: tuple[Shape, ...]) -> Callable[..., Any]:
    """Return ``band``: output rows begin <= t < end of one plane, in tiles of ``shapes[kind]``.

    ::

        out[out_at + t*out_row + j] (+)= sum over u, v of
            X(row_map[map_at + (t*row_step + u*tap_step)*unit], j + v*dilation) * w[w_at + u*kw + v]

    Columns whose windows lie inside the image are read where they are. The others, and all of a
    narrow image, are read from the workspace: for a chunk of output rows it holds the source
    rows' left and right ends, so that one tile of two vectors serves both ends. Where rows or
    columns do not divide into tiles the last tile overlaps its neighbour and stores the same
    values again; sums that must be accumulated once go through a scratch area instead.
    Without `with_rims` only the former columns are computed.

    Assumes: `rows` and `wide` are the rows and columns of the shape; end - begin >= rows, and
    ACCUMULATE needs a multiple of it; several rows need row_step == tap_step == 1; the workspace
    has room for wide + reach elements, a pair of vectors for each of `rows`, and, with rims, the
    packed source rows of one tile.
    """
    lanes, itemsize = element.lanes, element.itemsize
    pair, vector_bytes, streams = 2 * lanes, lanes * itemsize, element.streams
    # Each shape, for source rows one after another; then the same rows of two vectors, for any
    # others, for rims and for what is left of a row.
    wides_of = tuple(replace(s, dense=True) for s in shapes)
    pairs = tuple(
        Shape(s.rows, 2, s.kh, s.kw if s.kh else 0, prompt=s.prompt, low=s.low) for s in shapes
    )
    tiles = make_tiles(element, wides_of + pairs)
    first_pair = len(shapes)
    pack, move = make_pack(lanes, itemsize), make_move(lanes, itemsize)

    @inline
    def deliver(work: Any, at: int, out: Any, out_at: int, out_row: int, rows: int, count: int,
                accumulate: bool) -> None:
        """Bring `count` columns of the tile in the scratch area to where they belong."""
        for _ in range(rows):
            if accumulate:
                for t in range(count):
                    put(out, out_at + t, join(get(out, out_at + t), get(work, at + t)))
            else:
                move(work, at, out, out_at, count)
            at += pair
            out_at += out_row

    @numba.njit(**FLAGS)
    def band(
        kind: int, rows: int, wide: int,
        x: Any, w: Any, out: Any, row_map: Any, col_map: Any, fill: Any, work: Any,
        x_at: int, w_at: int, out_at: int, x_row: int, out_row: int, width: int, kh: int, kw: int,
        map_at: int, unit: int, row_step: int, tap_step: int, begin: int, end: int, ow: int,
        dilation: int, pad_c: int, skip: int, how: int, with_rims: int,
    ) -> None:
        # 1. Columns: [c0, c1) from the image, of which [first, last) in wide tiles; `sides`
        # vectors from the workspace on either side; the rest in pairs of vectors.
        reach = (kw - 1) * dilation
        columns = ow + reach
        c0, c1, sides, segment, packed_row = divide_columns(lanes, ow, width, pad_c, reach)
        narrow = c0 == c1
        if not with_rims:
            sides, packed_row = 0, 0
            if narrow:
                return
        if how == PAST_CACHE and (not streams or (out_row * itemsize) % vector_bytes):
            how = STORE
        excess = misalignment(out, out_at + begin * out_row + c0, vector_bytes)
        first = c0
        if how == PAST_CACHE and excess:
            first = min(c0 + (vector_bytes - excess) // itemsize, c1)
        leading = 1 if first > c0 else 0
        last = first + (c1 - first) // wide * wide
        wides = (last - first) // wide
        parts = 1 if wides else 0
        if how == STORE and wides and c1 - last > pair:
            last, parts = c1, 2
        rest = ((ow if narrow else c1) - last + pair - 1) // pair
        jobs = sides + leading + rest
        # 2. The workspace: a row outside the image, one tile, the packed rows.
        outside = zero_like(fill) if skip else get(fill, 0)
        scratch = wide + reach
        packed = scratch + rows * pair
        if not skip:
            for j in range(wide + reach):
                put(work, j, outside)
        chunk = end - begin
        if packed_row:
            room = (len(work) - packed) // packed_row
            chunk = (room - (kh - 1) * tap_step - 1) // row_step + 1
            chunk = min(chunk, _CHUNK_BYTES // (itemsize * max(ow, 1)))
            chunk = max(chunk // rows, 1) * rows
        # Each end of a source row: `size` virtual columns from `far` on (0 for the left end), of
        # which begin..end-1 are neighbours in the image.
        size = min(segment, columns)
        far = columns - size
        begin0 = min(max(pad_c, 0), size)
        end0 = min(max(pad_c + width, begin0), size)
        begin1 = min(max(pad_c - far, 0), size)
        end1 = min(max(pad_c + width - far, begin1), size)
        accumulate = how == ACCUMULATE
        start = begin
        while start < end:
            start = min(start, end - rows)
            stop = min(start + chunk, end)
            # 3. Wide tiles, from left to right; pairs where the source rows are no neighbours.
            t = start
            while t < stop and wides:
                t = min(t, stop - rows)
                m = get(row_map, map_at + t * row_step * unit)
                dense = m >= 0
                for s in range(1, kh + rows - 1):
                    step = s * tap_step * unit
                    dense = dense and get(row_map, map_at + t * row_step * unit + step) == m + step
                target = out_at + t * out_row
                if dense:
                    for part in range(parts):
                        j = c1 - wide if part else first
                        tiles(kind, 1 if part else wides, wide, 0, wide,
                              x, x_at + m * x_row + j - pad_c, tap_step * unit * x_row, lanes, 1,
                              row_map, 0, 0, work, 0, w, w_at, kh, kw, dilation,
                              out, target + j, out_row, lanes, how)
                else:
                    whole = (last - first) // pair
                    left = last - first - whole * pair
                    for part in range(2 if left else 1):
                        j = last - pair if part else first
                        place, place_at, place_row, store = out, target + j, out_row, how
                        if part and accumulate:
                            place, place_at, place_row, store = work, scratch, pair, STORE
                        tiles(first_pair + kind, 1 if part else whole, pair, 0, pair,
                              x, x_at + j - pad_c, x_row, lanes, 0,
                              row_map, map_at + t * row_step * unit, tap_step * unit, work, skip,
                              w, w_at, kh, kw, dilation,
                              place, place_at, place_row, lanes, store)
                        if part and accumulate:
                            deliver(work, scratch + pair - left, out, target + last - left, out_row,
                                    rows, left, accumulate)
                t += rows
            # 4. The workspace's rows, of lines that the wide tiles have brought near.
            if packed_row:
                at = packed
                for e in range((stop - start - 1) * row_step + (kh - 1) * tap_step + 1):
                    m = get(row_map, map_at + (start * row_step + e) * unit)
                    if m >= 0:
                        row = x_at + m * x_row
                        pack(x, row, col_map, pad_c, outside, work, at, 0, begin0, end0, size)
                        if sides:
                            pack(x, row, col_map, pad_c, outside, work, at + segment, far,
                                 begin1, end1, size)
                    elif not skip:
                        for j in range(packed_row):
                            put(work, at + j, outside)
                    at += packed_row
            # 5. Pairs of vectors, from the top to the bottom of the chunk.
            for job in range(jobs):
                # Vectors of columns a0.. and a1..; columns [b0, e0) and [b1, e1) are new.
                is_packed = narrow or job < sides
                if job < sides:
                    a0, a1 = job * lanes, ow - (sides - job) * lanes
                    b0, e0, b1, e1 = a0, min(a0 + lanes, c0), max(a1, c1), a1 + lanes
                else:
                    b0 = c0 if job < sides + leading else last + (job - sides - leading) * pair
                    a0 = max(min(b0, (ow if narrow else c1) - pair), 0)
                    a1 = a0 + lanes
                    e0, b1, e1 = min(a1, ow), max(a1, b0), min(a1 + lanes, ow)
                whole = e0 - b0 == lanes and e1 - b1 == lanes
                direct = whole or (a1 + lanes <= ow and not accumulate)
                vector = segment if job < sides else lanes
                t = start
                while t < stop:
                    t = min(t, stop - rows)
                    count = max((stop - t) // rows, 1) if direct else 1
                    source, source_at, source_row = x, x_at + a0 - pad_c, x_row
                    source_next = 0
                    if is_packed:
                        source, source_row = work, packed_row * tap_step
                        source_next = rows * row_step * packed_row
                        source_at = packed + (t - start) * row_step * packed_row + a0
                    place, place_at, place_row = out, out_at + t * out_row + a0, out_row
                    place_vector, store = a1 - a0, ACCUMULATE if accumulate else STORE
                    if not direct:
                        place, place_at, place_row = work, scratch, pair
                        place_vector, store = lanes, STORE
                    tiles(first_pair + kind, count,
                          source_next, rows * row_step * unit, rows * out_row,
                          source, source_at, source_row, vector, is_packed,
                          row_map, map_at + t * row_step * unit, tap_step * unit, work, skip,
                          w, w_at, kh, kw, dilation,
                          place, place_at, place_row, place_vector, store)
                    if not direct:
                        target = out_at + t * out_row
                        deliver(work, scratch + b0 - a0, out, target + b0, out_row, rows, e0 - b0,
                                accumulate)
                        deliver(work, scratch + lanes + b1 - a1, out, target + b1, out_row, rows,
                                e1 - b1, accumulate)
                    t += count * rows
            start = stop

    return band
