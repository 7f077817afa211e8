"""Layers of 3 x 3 windows by Winograd's tiles: a band of tiles, and the filters' frequencies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .channels_tile import Tiles
from .channels_winograd_copy import make_deliver, make_gather, make_peak
from .channels_winograd_tile import make_product
from .channels_winograd_transform import samples, sums, taps
from .scalar import put

# The fewest pixels whose sums hide the latency of multiply-adds: four cycles, two units.
FEW = 4


def make_winograd_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``winograd_filters``: the frequencies of one block of filters.

    ::

        u[f*pitch + c*block + o] = (G w[c] G')[f]   for c < inputs, o < block
        peak[0] = the largest magnitude of all taps; NaN if one is

    where ``w[(9*c + 3*i + j)*block + o]`` are the taps, as the kernel ``filters`` lays them out.

    Assumes: m is 2 or 4; pitch >= inputs * block.
    """
    tiles = Tiles.of(target, dtype)
    lanes, block, largest = tiles.arithmetic.lanes, tiles.block, make_peak(target, dtype)

    def winograd_filters(w: Any, u: Any, peak: Any, inputs: int, m: int, pitch: int) -> None:
        put(peak, 0, largest(w, 0, 9 * inputs * block))
        for c in range(inputs):
            if m == 2:
                taps(lanes, 2, w, u, 9 * c * block, block, c * block, pitch, block)
            else:
                taps(lanes, 4, w, u, 9 * c * block, block, c * block, pitch, block)

    return winograd_filters


def make_winograd(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``winograd``: all outputs of some tiles of m x m, in some images.

    ::

        out[n*out_image + r*out_row + j*out_px + o*out_ch] = act(bias[o] +
            sum over c < inputs, i, k < 3 of X(n, top + r + i, left + j + k, c) * w[o, c, i, k])
        peak[0] = the largest magnitude of all samples in the tiles' windows; NaN if one is

    for n < images, r < high, j < wide, o < outputs, where ``X(n, r, s, c) =
    x[n*x_image + r*x_row + s*x_px + c*x_ch]`` if 0 <= r < height and 0 <= s < width, else 0, and u
    holds the filters' frequencies: for each block (m + 2)^2 times `u_pitch` elements. Every sum
    runs over the channels in order, so that an output's bits depend on its tile alone.

    Work space, with room the inputs in whole vectors and count = images * rows * columns tiles: at
    0 the frequencies of the samples, (m + 2)^2 times ``v_pitch >= count * room``; at `after` the
    samples, ``images * (m*rows + 2) * (m*columns + 2) * room``, and later in their place the
    products, (m + 2)^2 times ``p_pitch >= count * (outputs in whole blocks)``, and the results of
    one block, ``count * m * m * block``, with room for a vector of pixels more.

    Assumes: m is 2 or 4; high <= m * rows, wide <= m * columns; x_ch == 1 or x_px == 1,
    out_ch == 1 or out_px == 1; bias has whole blocks.
    """
    tiles = Tiles.of(target, dtype)
    lanes, block, shapes = tiles.arithmetic.lanes, tiles.block, tiles.pixels
    most = shapes[0]
    gather, largest = make_gather(target, dtype), make_peak(target, dtype)
    deliver, product = make_deliver(target, dtype), make_product(tiles)

    @inline
    def fitting(left: int, end: int) -> int:
        """Return how many of `left` pixels come next; a tile may reach back from `end`."""
        if left >= most + FEW or left == most:
            return most
        if left > most:
            return FEW
        best = 1
        for pixels in shapes:
            if left <= pixels <= end or (best == 1 and pixels <= left):
                best = pixels
        return best

    @inline
    def multiply(
        work: Any, v_at: int, room: int, u: Any, u_at: int, inputs: int, vectors: int,
        at: int, px: int, count: int,
    ) -> None:
        """Multiply one frequency of all tiles with that of a block of filters."""
        t = 0
        while t < count:
            pixels = fitting(count - t, count)
            # Over its neighbour the same numbers are stored again.
            j = min(t, count - pixels)
            t += pixels
            product(
                pixels, vectors, work, v_at + j * room, room, u, u_at, inputs,
                work, at + j * px, px,
            )

    def winograd(
        x: Any, u: Any, out: Any, bias: Any, slope: Any, peak: Any, work: Any,
        m: int, x_image: int, x_row: int, x_px: int, x_ch: int, top: int, left: int,
        height: int, width: int, inputs: int, images: int, rows: int, columns: int,
        out_image: int, out_row: int, out_px: int, out_ch: int, high: int, wide: int,
        outputs: int, v_pitch: int, u_pitch: int, p_pitch: int, after: int, activation: int,
    ) -> None:
        frequencies, each = (m + 2) * (m + 2), rows * columns
        count = images * each
        room = (inputs + lanes - 1) // lanes * lanes
        deep, across = m * rows + 2, m * columns + 2
        # 1. The samples, channels last, with zeros around.
        first = min(max(-left, 0), across)
        last = max(first, min(width - left, across))
        for line in range(images * deep):
            image, row = line // deep, top + line % deep
            some = last if 0 <= row < height else first
            gather(
                x, image * x_image + row * x_row + left * x_px, x_px, x_ch, inputs,
                work, after + line * across * room, room, first, some, across,
            )
        put(peak, 0, largest(work, after, images * deep * across * room))
        # 2. Their frequencies.
        for t in range(count):
            image, place = t // each, t % each
            line = image * deep + place // columns * m
            at = after + (line * across + place % columns * m) * room
            if m == 2:
                samples(lanes, 2, work, work, at, across * room, room, t * room, v_pitch, room)
            else:
                samples(lanes, 4, work, work, at, across * room, room, t * room, v_pitch, room)
        # 3. Products, frequency by frequency.
        px = (outputs + block - 1) // block * block
        for f in range(frequencies):
            for o in range(0, outputs, block):
                multiply(
                    work, f * v_pitch, room, u, (o // block * frequencies + f) * u_pitch, inputs,
                    2 if outputs - o > lanes else 1, after + f * p_pitch + o, px, count,
                )
        results, y_row = after + frequencies * p_pitch, columns * m * block
        for o in range(0, outputs, block):
            # 4. Sums, in whole tiles.
            used = block if outputs - o > lanes else lanes
            for t in range(count):
                image, place = t // each, t % each
                line = (image * rows + place // columns) * m
                to = results + line * y_row + place % columns * m * block
                at = after + t * px + o
                if m == 2:
                    sums(lanes, 2, work, bias, work, at, p_pitch, o, to, y_row, block, used)
                else:
                    sums(lanes, 4, work, bias, work, at, p_pitch, o, to, y_row, block, used)
            # 5. What lies inside the image.
            for line in range(images * high):
                image, row = line // high, line % high
                at = results + (image * rows * m + row) * y_row
                goal = image * out_image + row * out_row + o * out_ch
                for c in range(0, min(block, outputs - o), lanes):
                    deliver(
                        work, at + c, block, out, goal + c * out_ch, out_px, out_ch,
                        wide, min(lanes, outputs - o - c), activation, slope,
                    )

    return winograd
