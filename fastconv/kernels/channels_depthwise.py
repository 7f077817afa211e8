"""Depthwise layers: every channel meets a filter of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_roll import EDGE, make_roll, widths
from .channels_split import make_split
from .channels_strip import make_strip
from .scalar import get, put
from .workspace import make_clear, make_copy

# Bytes in rows that are read down a column of vectors at once; of wider rows each would bring a
# line or two of many pages, and copying them into a frame first costs less.
_NARROW = 128


def make_depthwise(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``depthwise``: channels first.

    ::

        out[c*out_ch + m*out_filter + i*width + j] = act(bias[c*filters + m] + sum over t < taps of
            F_c(i*step_r*pitch + j + offsets[t]) * w[(c*filters + m)*taps + t])

    for c < channels, m < filters, i < rows, j < width. F_c is the frame of channel c in `work`:
    `total` zeros but for ``F_c(at(r, v)) = x[c*x_ch + x_at + r*x_row + v - low]``, r < high,
    low <= v < end, whose columns lie in `phases` parts, one for each residue of v:
    ``at(r, v) = frame_at + r*pitch + v % phases * half + v // phases``.

    Assumes: `offsets` count in bytes; `work` has room for `total` elements and as many more as a
    strip of vectors reads and a copy of whole vectors writes beyond; with one phase, what follows
    a row's last column is zeros up to the next vector or a later row; with two, `half` leaves room
    for the whole vectors of a row's samples.
    """
    a = Arithmetic.of(target, dtype)
    strip, lanes, size = make_strip(a, True, (1, 2)), a.lanes, a.size
    clear, copy, split = make_clear(target, dtype), make_copy(target, dtype), make_split(a)
    roll, masks, widest = make_roll(target, a), target.has_load_masks(a.size), widths(target)[0]

    whole_stores = not a.masks

    @inline
    def columns(
        x: Any, start: int, x_row: int, top: int, bottom: int, low: int, end: int, zeros: Any,
        w: Any, w_at: int, out: Any, out_at: int, rows: int, width: int,
        bias: Any, f: int, activation: int, slope: Any,
    ) -> None:
        """Compute all outputs of one 3 x 3 filter, some vectors of columns at a time."""
        j = 0
        while j < width:
            left = (width - j + lanes - 1) // lanes
            wide = 2 if left >= 2 else 1
            if whole_stores and width >= lanes:
                # Over its neighbour a column stores the same numbers again, which costs less
                # than the parts of a vector.
                wide = 2 if left >= 2 and width >= 2 * lanes else 1
                j = min(j, width - wide * lanes)
            if left >= widest and low <= j and j + widest * lanes + 2 <= end:
                wide = widest
            elif masks and (j < low or j + wide * lanes + 2 > end):
                wide += EDGE
            count = min(width - j, wide % EDGE * lanes)
            roll(
                wide, x, start + j, x_row, top, bottom, low - j, end - j, zeros, w, w_at,
                out, out_at + j, width, rows, count, bias, f, activation, slope,
            )
            j += count

    @inline
    def spread(x: Any, start: int, work: Any, at: int, count: int, phases: int) -> None:
        """Copy every `phases`-th sample."""
        for j in range(count):
            put(work, at + j, get(x, start + phases * j))

    def depthwise(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any, work: Any,
        channels: int, filters: int, taps: int, x_ch: int, out_ch: int, out_filter: int,
        total: int, x_at: int, frame_at: int, high: int, low: int, end: int, x_row: int,
        pitch: int, phases: int, half: int, step_r: int, rows: int, width: int, activation: int,
    ) -> None:
        square = phases == 1 and step_r == 1 and taps == 9
        for t in range(taps):
            square = square and get(offsets, t) == (t // 3 * pitch + t % 3) * size
        if square and masks and (not whole_stores or x_row * size <= _NARROW):
            # No frame: rows and columns outside are left out where samples are loaded.
            top = frame_at // pitch
            clear(work, 0, 4 * lanes + 2)
            for c in range(channels):
                start = c * x_ch + x_at - top * x_row - low
                for m in range(filters):
                    f = c * filters + m
                    columns(
                        x, start, x_row, top, top + high, low, end, work, w, f * taps,
                        out, c * out_ch + m * out_filter, rows, width, bias, f, activation, slope,
                    )
            return
        clear(work, 0, total)
        row = step_r * pitch * size
        for c in range(channels):
            for r in range(high):
                start, at = c * x_ch + x_at + r * x_row, frame_at + r * pitch
                if phases == 1:
                    copy(x, start, start + end - low, work, at + low)
                    continue
                if phases == 2:
                    behind = (low + 1) % 2 * half + (low + 1) // 2
                    goal = at + low % 2 * half + low // 2
                    split(x, start, end - low, work, goal, at + behind)
                    continue
                for phase in range(phases):
                    first = low + (phase - low) % phases
                    count = (end - first + phases - 1) // phases
                    goal = at + phase * half + first // phases
                    spread(x, start + first - low, work, goal, max(count, 0), phases)
            for m in range(filters):
                f = c * filters + m
                if square:
                    columns(
                        work, 0, pitch, 0, rows + 2, 0, width + 2, work, w, f * taps,
                        out, c * out_ch + m * out_filter, rows, width, bias, f, activation, slope,
                    )
                    continue
                i = 0
                while i < rows:
                    left = rows - i
                    height = 8 if left >= 8 else 4 if left >= 4 else 2 if left >= 2 else 1
                    j = 0
                    while j < width:
                        count = min(width - j, 2 * lanes)
                        strip(
                            height, 2 if count > lanes else 1,
                            work, i * step_r * pitch + j, row,
                            w, f * taps, 1, offsets, taps,
                            out, c * out_ch + m * out_filter + i * width + j, width, count,
                            bias, f, activation, slope,
                        )
                        j += count
                    i += height

    return depthwise


def make_depthwise_last(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``depthwise_last``: channels last.

    ::

        out[i*out_row + j*out_px + c] = act(bias[c] +
            sum over t < taps of X(i*x_row + j*x_px + c + offsets[t]) * w[t*channels + c])

    for i < rows, j < width, c < channels.

    Assumes: `offsets` count in bytes, everything else in elements; channels is at least a vector.
    """
    a = Arithmetic.of(target, dtype)
    strip, lanes, size = make_strip(a, False, (1,)), a.lanes, a.size

    def depthwise_last(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any,
        taps: int, x_px: int, x_row: int, rows: int, width: int, out_px: int, out_row: int,
        channels: int, activation: int,
    ) -> None:
        for i in range(rows):
            c = 0
            while c < channels:
                # Over its neighbour the last vector stores the same numbers again.
                at = min(c, channels - lanes)
                j = 0
                while j < width:
                    left = width - j
                    pixels = 8 if left >= 8 else 4 if left >= 4 else 2 if left >= 2 else 1
                    strip(
                        pixels, 1, x, i * x_row + j * x_px + at, x_px * size,
                        w, at, channels, offsets, taps,
                        out, i * out_row + j * out_px + at, out_px, lanes,
                        bias, at, activation, slope,
                    )
                    j += pixels
                c += lanes

    return depthwise_last
