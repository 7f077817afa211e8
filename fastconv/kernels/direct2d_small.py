"""Direct 2-D correlation of small images: laid out whole in the workspace, then tile by tile.

Where an image takes less time than the bookkeeping of bands and rims, all of it, with its border,
is copied once, and one shape of tile goes over it (8 x 8 doubles with 3 x 3 taps: 0.12 us of 0.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from .direct2d_element import Element
from .direct2d_rim import make_move, make_pack
from .direct2d_tile import STORE, Shape, make_tiles
from .scalar import get, put

# So many samples and bytes, border included, beside the image in a first-level cache; and so many
# columns to a row of results: lower images are sooner done by wide tiles (3 x 200 doubles: 2.5 us
# and 1.7).
_MOST_SAMPLES, _MOST_BYTES, _MOST_COLUMNS = 1 << 12, 20 << 10, 16


def make_small(
    element: Element, shapes: tuple[Shape, ...], in_half: Any
) -> tuple[Callable[..., Any], ...]:
    """Return ``suits`` and ``small``: ``plane`` for one image, without strides and dilations.

    ``suits(rows, ow, kh, kw)`` returns whether `small` computes so many results sooner. `shapes`
    are pairs of vectors: for 3 x 3, for tall filters, for two rows, for one; then, if there are
    more, the same for factors that fit into half a lane.

    Assumes: it suits, and the workspace has room for twice as many samples as may suit.
    """
    lanes, itemsize = element.lanes, element.itemsize
    pair = 2 * lanes
    tiles = make_tiles(element, shapes)
    pack, move = make_pack(lanes, itemsize), make_move(lanes, itemsize)
    three, tall = shapes[0].rows, shapes[1].rows
    kinds = 4
    more = len(shapes) > kinds
    most = min(_MOST_SAMPLES, _MOST_BYTES // itemsize)

    @inline
    def suits(rows: int, ow: int, kh: int, kw: int) -> bool:
        some = rows > 0 and ow > 0 and kh > 0 and kw > 0
        samples = (rows + kh - 1) * (max(ow, pair) + kw - 1)
        return some and samples <= most and ow <= _MOST_COLUMNS * rows

    @inline
    def small(
        x: Any, w: Any, out: Any, row_map: Any, col_map: Any, outside: Any, work: Any,
        x_at: int, w_at: int, out_at: int, x_row: int, out_row: int, width: int, kh: int, kw: int,
        map_at: int, rows: int, ow: int, pad_c: int,
    ) -> None:
        columns, source_rows = ow + kw - 1, rows + kh - 1
        packed_row = max(ow, pair) + kw - 1
        begin = min(max(pad_c, 0), columns)
        end = min(max(pad_c + width, begin), columns)
        blank = True
        for t in range(begin):
            blank = blank and get(col_map, t) < 0
        for t in range(end, columns):
            blank = blank and get(col_map, t) < 0
        at = source_rows * packed_row
        if blank or more:  # What a tile reads beyond the columns counts for `in_half`, too.
            for t in range(at):
                put(work, t, outside)
        for e in range(source_rows):
            m, goal = get(row_map, map_at + e), e * packed_row
            row = x_at + m * x_row
            if m >= 0 and blank:
                move(x, row + begin - pad_c, work, goal + begin, end - begin)
            elif m >= 0:
                pack(x, row, col_map, pad_c, outside, work, goal, 0, begin, end, columns)
            elif not blank:
                for t in range(packed_row):
                    put(work, goal + t, outside)
        low = 0
        if in_half(work, 0, at) and in_half(w, w_at, kh * kw):
            low = kinds
        kind, height = 3, 1
        if kh == 3 and kw == 3 and rows >= three:
            kind, height = 0, three
        elif kh >= tall and rows >= tall:
            kind, height = 1, tall
        elif kh >= 2 and rows >= 2:
            kind, height = 2, 2
        # A row of less than a vector is computed beside the samples, and brought from there.
        scratch, vector = at, lanes
        narrow = ow < lanes
        if not narrow and ow < pair:
            vector = ow - lanes
        whole = rows // height
        j = 0
        while j < ow:
            a0 = max(min(j, ow - pair), 0)
            t, count = 0, whole
            while t < rows:
                place, place_at, place_row = out, out_at + t * out_row + a0, out_row
                if narrow:
                    place, place_at, place_row = work, scratch + t * pair, pair
                tiles(kind + low, count, height * packed_row, 0, height * place_row,
                      work, t * packed_row + a0, packed_row, vector, 1,
                      row_map, map_at, 0, work, 0,
                      w, w_at, kh, kw, 1,
                      place, place_at, place_row, vector, STORE)
                t += count * height
                if t < rows:  # The last tile computes some rows again.
                    t, count = rows - height, 1
            j += pair
        if narrow:
            for t in range(rows):
                move(work, scratch + t * pair, out, out_at + t * out_row, ow)

    return suits, small
