"""Direct 2-D correlation of planes: one multiply-add per tap, any boundary by index maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .direct2d_band import make_band
from .direct2d_call import whole_plane
from .direct2d_element import Element, element_of
from .direct2d_rim import divide_columns
from .direct2d_small import make_small
from .direct2d_tile import ACCUMULATE, STORE, Shape
from .low_halves import has_low, make_fits
from .scalar import get, join, madd, put, zero_like
from .workspace import stack

__all__ = ["exact", "make_plane", "shapes_of", "whole_plane"]

# Rows are packed in chunks that fit here. More than this many bytes of source rows (a filter of
# some 40 x 40 doubles) leaves the rims to the loop `exact`.
WORKSPACE_BYTES = 40 << 10
# Rows so far apart meet in the same few lines of a first-level cache: the 10 + 8 rows of the 3 x 3
# tile then push each other out (1024^2 float32: 183 us, 151 by the tile for 6 + 4 rows; AVX2, with
# 8 lines to a set: 545 us by the tile for 6 + 4 rows, 370 by the one for 4 + 2).
_ALIAS_BYTES = 4096


def make_plane(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``plane``.

    ::

        out[b, i, j] (+)= sum over u, v of X(row_map[i*stride_r + u*dil_r],
                                             col_map[j*stride_c + v*dil_c]) * w[b, u, v]

    for b < planes, row_begin <= i < row_end, j < ow, u < kh, v < kw. A map entry of -1 is outside
    the image: such a product is left out (`skip_outside`), or its sample is ``fill[0]``. Every
    sum starts from +0 and runs over u, then v, whatever the tile. `how` is 0 to store it, 1 to
    add it to what `out` holds, 2 to store it without bringing `out` into the cache.

    With `leading` > 0, for volumes, plane b is the sum of so many sums: that of plane
    sources[t*planes + b] of x, of none where this is -1, and the filter t further. The first is
    stored (unless `how` is 1), the others are added.

    Assumes: plane b of x, w, out starts at b*x_step, b*w_step, b*out_step; a row of x is
    contiguous and x_row_step from the next, likewise out; a filter is kh*kw contiguous taps;
    col_map[c] == c - pad_c wherever 0 <= c - pad_c < width; out overlaps neither x nor w.
    """
    element = element_of(target, dtype)
    shapes = shapes_of(target, element)
    more, static, lowest = len(shapes) > 4, len(shapes) > 5, len(shapes) - 1
    element_bytes = element.itemsize
    pairs = tuple(Shape(s.rows, 2, s.kh, s.kw, prompt=s.prompt) for s in shapes[:4])
    kinds, in_half = len(shapes), _never
    if has_low(target, dtype):
        in_half = make_fits(target)
        shapes, pairs = _with_low(shapes), _with_low(pairs)
    band, all_fit = make_band(element, shapes), _make_all_fit(in_half)
    suits, small = make_small(element, pairs, in_half)
    lanes, size = element.lanes, WORKSPACE_BYTES // element.itemsize
    three_wide, tall_wide, two_wide, one_wide = (s.vectors * lanes for s in shapes[:4])
    three_high, tall = shapes[0].rows, shapes[1].rows
    few, few_wide = shapes[lowest].rows, shapes[lowest].vectors * lanes
    most_rows = max(three_high, tall)
    widest = max(three_wide, tall_wide, two_wide, one_wide) + 2 * lanes * most_rows

    def plane(
        x: Any, w: Any, out: Any, row_map: Any, col_map: Any, fill: Any, sources: Any,
        planes: int, x_step: int, w_step: int, out_step: int, x_row_step: int, out_row_step: int,
        width: int, kh: int, kw: int, row_begin: int, row_end: int, ow: int,
        stride_r: int, stride_c: int, dil_r: int, dil_c: int, pad_c: int,
        skip_outside: int, how: int, leading: int,
    ) -> None:
        if ow <= 0:
            return
        # Output rows `unit` apart share source rows: a dilated filter is a plain one on them.
        shared = stride_r == 1
        unit = dil_r if shared else 1
        tap_step = 1 if shared else dil_r
        work = stack(out, size)
        reach = (kw - 1) * dil_c
        plain = stride_r == 1 and stride_c == 1 and dil_r == 1 and dil_c == 1
        if plain and planes == 1 and leading == 0 and not skip_outside and how == STORE and suits(
            row_end - row_begin, ow, kh, kw
        ):
            small(x, w, out, row_map, col_map, get(fill, 0), work, 0, 0,
                  row_begin * out_row_step, x_row_step, out_row_step, width, kh, kw, row_begin,
                  row_end - row_begin, ow, pad_c)
            return
        c0, c1, _, _, packed_row = divide_columns(lanes, ow, width, pad_c, reach)
        packed_rows = (most_rows - 1) * stride_r + (kh - 1) * tap_step + 1
        fits = widest + reach + packed_rows * packed_row <= size
        tiled = stride_c == 1 and kh * kw > 0 and widest + reach <= size
        t, b = 0, -1
        for number in range(max(leading, 1) * planes):
            b += 1
            if b == planes:
                t, b = t + 1, 0
            x_at, w_at, what = b * x_step, b * w_step + t * kh * kw, how
            if leading:
                source = get(sources, number)
                if source < 0:
                    continue
                x_at = source * x_step
                if t > 0:
                    what = ACCUMULATE
            # A packed zero times a tap is no change to a sum if the tap is finite.
            total = zero_like(fill)
            for tap in range(kh * kw):
                total = madd(total, get(w, w_at + tap), total)
            with_rims = fits and (not skip_outside or total == zero_like(fill))
            if not tiled:
                c0, c1 = 0, 0
            if not (tiled and with_rims):
                exact(x, w, out, row_map, col_map, fill, x_at, w_at, b * out_step, x_row_step,
                      out_row_step, kh, kw, row_begin, row_end, ow, c0, c1, stride_r, stride_c,
                      dil_r, dil_c, skip_outside, what)
            if not tiled:
                continue
            lower = 0
            some = row_end > row_begin and kh * kw > 1
            if some and all_fit(x, w, fill, row_map, x_at, w_at, x_row_step, width, kh * kw,
                                       row_begin * stride_r,
                                       (row_end - 1) * stride_r + (kh - 1) * dil_r):
                lower = kinds
            for begin in range(row_begin, min(row_begin + unit, row_end)):
                rows = (row_end - begin + unit - 1) // unit
                out_at, out_row = b * out_step + begin * out_row_step, unit * out_row_step
                map_at, done = begin * stride_r, 0
                while done < rows:
                    left = rows - done
                    kind, height, wide = 3, 1, one_wide
                    if shared and kh == 3 and kw == 3 and dil_c == 1 and left >= three_high:
                        kind, height, wide = 0, three_high, three_wide
                        if more and (out_row * element_bytes) % _ALIAS_BYTES == 0:
                            kind, height, wide = lowest, few, few_wide
                    elif shared and kh >= tall and left >= tall:
                        kind, height, wide = 1, tall, tall_wide
                        if static and dil_c == 1 and (kw == 5 or kw == 7):
                            kind = kw // 2 + 2
                    elif shared and kh >= 2 and left >= 2:
                        kind, height, wide = 2, 2, two_wide
                    end = rows if what != ACCUMULATE else done + left // height * height
                    band(kind + lower, height, wide, x, w, out, row_map, col_map, fill, work,
                         x_at, w_at, out_at, x_row_step, out_row, width, kh, kw, map_at, unit,
                         stride_r, tap_step, done, end, ow, dil_c, pad_c, skip_outside, what,
                         int(with_rims))
                    done = end

    return plane


@inline
def _never(x: Any, start: int, n: int) -> bool:
    """Stand for `make_fits` where there is but one way to multiply."""
    return False


def _with_low(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    return shapes + tuple(replace(s, low=True) for s in shapes)


def _make_all_fit(in_half: Any) -> Any:
    """Return ``all_fit``: whether all that a plane multiplies passes `in_half`."""

    @inline
    def all_fit(
        x: Any, w: Any, fill: Any, row_map: Any, x_at: int, w_at: int, x_row: int, width: int,
        taps: int, first: int, last: int,
    ) -> bool:
        found = in_half(w, w_at, taps) and in_half(fill, 0, 1)
        e = first
        while found and e <= last:
            m = get(row_map, e)
            if m >= 0:
                found = in_half(x, x_at + m * x_row, width)
            e += 1
        return found

    return all_fit


def shapes_of(target: Target, element: Element) -> tuple[Shape, ...]:
    """Return the tiles: for 3 x 3, for filters at least as tall as the tile, for two rows, one.

    The last of more than four is one for 3 x 3 that meets fewer rows. Before it, where shuffles are
    quick, come the tall one for filters 5 and 7 columns wide.
    """
    if target.registers < 32:
        three = Shape(4, 2, 3, 3, prompt=True)
        return three, Shape(4, 3), Shape(2, 4), Shape(1, 6), Shape(2, 2, 3, 3, prompt=True)
    if target.vector_bytes < 64 or element.dtype not in ("float64", "float32"):
        return Shape(6, 3, 3, 3), Shape(5, 4), Shape(2, 6), Shape(1, 8)
    near = [Shape(5, 4, 0, 5, adjacent=True), Shape(5, 4, 0, 7, adjacent=True)]
    near.append(Shape(4, 4, 3, 3, adjacent=True))
    return Shape(8, 2, 3, 3, adjacent=True), Shape(5, 4), Shape(2, 6), Shape(1, 8), *near


@inline
def exact(
    x: Any, w: Any, out: Any, row_map: Any, col_map: Any, fill: Any, x_at: int, w_at: int,
    out_at: int, x_row: int, out_row: int, kh: int, kw: int, begin: int, end: int, ow: int,
    c0: int, c1: int, stride_r: int, stride_c: int, dil_r: int, dil_c: int, skip: int, how: int,
) -> None:
    """Compute rows begin <= i < end but for columns [c0, c1), one output at a time, by the maps."""
    for i in range(begin, end):
        for position in range(ow - (c1 - c0)):
            j = position if position < c0 else position + c1 - c0
            total = zero_like(fill)
            for u in range(kh):
                row = get(row_map, i * stride_r + u * dil_r)
                for v in range(kw):
                    column = get(col_map, j * stride_c + v * dil_c)
                    tap = get(w, w_at + u * kw + v)
                    if row >= 0 and column >= 0:
                        total = madd(get(x, x_at + row * x_row + column), tap, total)
                    elif not skip:
                        total = madd(get(fill, 0), tap, total)
            at = out_at + i * out_row + j
            if how == ACCUMULATE:
                total = join(get(out, at), total)
            put(out, at, total)
