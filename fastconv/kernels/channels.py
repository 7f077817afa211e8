"""Layers: rows of register tiles over pixels and blocks of output channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .channels_tile import Tiles, make_tile


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
    is a multiple of block; out_ch == 1 or out_px == 1; out overlaps nothing.
    """
    tiles = Tiles.of(target, dtype)
    tile, a, block = make_tile(tiles), tiles.arithmetic, tiles.block
    lanes, size, shapes = a.lanes, a.size, tiles.pixels
    most = shapes[0]

    @inline
    def fitting(left: int, end: int) -> int:
        """Return the least tile for `left` pixels that may reach back from `end`, or a part."""
        best = 0
        for pixels in shapes:
            if (best == 0 and pixels <= left) or left <= pixels <= end:
                best = pixels
        return best

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
