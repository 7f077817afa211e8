"""Layers: rows of register tiles over pixels and blocks of output channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .channels_across import CHANNELS, VECTORS, make_across
from .channels_flat import FIRST, LAST, make_flat_tile, part_of, room, shapes
from .channels_tile import Tiles, make_tile
from .workspace import stack

# The tiles whose sums wait together: they stay in the second cache, beside the samples.
_WAITING = 64
# The samples of a pointwise tile stay in the first cache while all channels meet them.
_ACROSS_STEPS = 128
# The filters of a part meet the pixels of so many bytes of outputs before the next part's do.
_ACROSS_BYTES = 1 << 17


def make_channels(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``channels``.

    ::

        out[r*out_row + j*out_px + c*out_ch] = act(bias[c] +
            sum over k < steps of X(r*x_row + j*x_px + offsets[k]) * w[c // block, k, c % block])

    for r < rows, j < width, first <= c < last. act is the identity (0), relu (1) or leaky_relu
    with ``slope[0]`` (2). Every sum starts from the bias and runs over k, whatever the tile, so
    an output's bits do not depend on its place.

    Assumes: `offsets` count in bytes of x, everything else in elements; ``block`` is two vectors
    of channels, w has whole blocks of ``steps * block`` elements and bias whole blocks; `first`
    is a multiple of block; out_ch == 1 or out_px == 1; rows of out follow each other without a
    gap, ``out_row == width * out_px``; out overlaps nothing.
    """
    tiles = Tiles.of(target, dtype)
    return _flat(tiles) if tiles.flat else _by_rows(tiles)


def _by_rows(tiles: Tiles) -> Callable[..., Any]:
    """Return the kernel by tiles that lie in one row."""
    tile, a, block = make_tile(tiles), tiles.arithmetic, tiles.block
    lanes, size, most = a.lanes, a.size, tiles.pixels[0]

    fitting = _make_fitting(tiles.pixels)

    def channels(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any,
        steps: int, x_px: int, x_row: int, rows: int, width: int,
        out_px: int, out_ch: int, out_row: int, first: int, last: int, activation: int,
    ) -> None:
        parts = (width + most - 1) // most
        for channel in range(first, last, block):
            count = min(block, last - channel)
            vectors = 2 if count > lanes else 1
            w_at = channel * steps
            for r in range(rows):
                for part in range(parts):
                    at, end = part * width // parts, (part + 1) * width // parts
                    while at < end:
                        pixels = fitting(end - at, end)
                        # Over its neighbour the same numbers are stored again.
                        j = min(at, end - pixels)
                        at += pixels
                        tile(
                            pixels, vectors, x, r * x_row + j * x_px, x_px * size,
                            w, w_at, offsets, steps,
                            out, r * out_row + j * out_px + channel * out_ch, out_px, out_ch,
                            count, bias, channel, activation, slope,
                        )

    return channels


def _flat(tiles: Tiles) -> Callable[..., Any]:
    """Return the kernel by tiles of pixels in any rows, and parts of the steps."""
    tile, a, block = make_flat_tile(tiles), tiles.arithmetic, tiles.block
    lanes, size, most_steps = a.lanes, a.size, part_of(tiles)
    single, double = (_make_fitting(shapes(tiles, n)) for n in (1, 2))
    most_single, most_double = (_WAITING * shapes(tiles, n)[0] for n in (1, 2))
    each = room(tiles)
    held = max((_WAITING + 1) * each, _ACROSS_STEPS * VECTORS * lanes)
    pointwise, across = a.parts == 1, make_across(a)
    span = VECTORS * lanes
    waiting = _ACROSS_BYTES // (span * size)

    @inline
    def beside(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any, work: Any,
        steps: int, pixels: int, out_ch: int, first: int, last: int, activation: int,
    ) -> None:
        """Compute whole tiles of pixels that lie beside each other in x and in out."""
        parts = max(1, (steps + _ACROSS_STEPS - 1) // _ACROSS_STEPS)
        # Between parts the sums wait in out: of so many pixels that they stay in the second cache.
        group = max(1, waiting // max(1, last - first)) * span
        for begin in range(0, pixels, group):
            end = min(begin + group, pixels)
            for part in range(parts):
                low, high = part * steps // parts, (part + 1) * steps // parts
                stage = (FIRST if part == 0 else 0) + (LAST if part == parts - 1 else 0)
                for at in range(begin, end, span):
                    for channel in range(first, last, CHANNELS):
                        own = channel % block
                        across(
                            1 if channel == first else 0, stage, work, x, at,
                            w, (channel - own) * steps + low * block + own, block,
                            offsets, low, high - low, out, at + channel * out_ch, out_ch,
                            min(CHANNELS, last - channel), bias, channel, activation, slope,
                        )

    def channels(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any,
        steps: int, x_px: int, x_row: int, rows: int, width: int,
        out_px: int, out_ch: int, out_row: int, first: int, last: int, activation: int,
    ) -> None:
        work = stack(out, held)
        total, wrap = rows * width, x_row - (width - 1) * x_px
        parts = max(1, (steps + most_steps - 1) // most_steps)
        done = 0
        if pointwise and x_px == 1 and out_px == 1 and (rows == 1 or x_row == width):
            done = total // span * span
            beside(
                x, w, out, bias, slope, offsets, work, steps, done, out_ch, first, last, activation
            )
        for channel in range(first, last, block):
            count = min(block, last - channel)
            vectors = 2 if count > lanes else 1
            for begin in range(done, total, most_double if vectors == 2 else most_single):
                end = min(begin + (most_double if vectors == 2 else most_single), total)
                for part in range(parts):
                    low, high = part * steps // parts, (part + 1) * steps // parts
                    stage = (FIRST if part == 0 else 0) + (LAST if part == parts - 1 else 0)
                    at, work_at = begin, 0
                    while at < end:
                        left = end - at
                        pixels = double(left, end) if vectors == 2 else single(left, end)
                        # Over its neighbour the same numbers are stored again.
                        j = min(at, end - pixels)
                        at += pixels
                        r = j // width
                        tile(
                            pixels, vectors, stage, x, r * x_row + (j - r * width) * x_px,
                            x_px * size, j - r * width, width, wrap * size,
                            w, channel * steps + low * block, offsets, low, high - low,
                            work, work_at, out, j * out_px + channel * out_ch, out_px, out_ch,
                            count, bias, channel, activation, slope,
                        )
                        work_at += each

    return channels


def _make_fitting(shapes: tuple[int, ...]) -> Callable[..., Any]:
    """Return ``fitting(left, end)`` for tiles of these numbers of pixels."""

    @inline
    def fitting(left: int, end: int) -> int:
        """Return the least tile for `left` pixels that may reach back from `end`, or a part."""
        best = 0
        for pixels in shapes:
            if (best == 0 and pixels <= left) or left <= pixels <= end:
                best = pixels
        return best

    return fitting
