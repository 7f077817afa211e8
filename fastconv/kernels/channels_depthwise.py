"""Depthwise layers with channels first: every channel meets a filter of its own."""

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
    strip, lanes, size = make_strip(a), a.lanes, a.size
    clear, copy, split = make_clear(target, dtype), make_copy(target, dtype), make_split(a)
    roll, masks, widest = make_roll(target, a), target.has_load_masks(a.size), widths(target)[0]

    whole_stores = not a.target.masks
    # Sixteen sums and what they are made of are more than so many registers hold.
    low_height = 8 if target.registers > 16 else 4

    @inline
    def columns(
        x: Any, start: int, x_row: int, top: int, bottom: int, low: int, end: int, zeros: Any,
        w: Any, w_at: int, out: Any, out_at: int, rows: int, width: int,
        spare: int, bias: Any, f: int, activation: int, slope: Any,
    ) -> None:
        """Compute all outputs of one 3 x 3 filter, some vectors of columns at a time."""
        j = 0
        while j < width:
            left = (width - j + lanes - 1) // lanes
            if whole_stores:
                wide = min(left, widest) if left != widest + 1 else widest - 1
                if j > 0:
                    # Over its neighbour a column stores the same numbers again, which costs less
                    # than the parts of a vector; one that is alone ends in the rows that follow.
                    j = min(j, width - wide * lanes)
                if masks and (j < low or j + wide * lanes + 2 > end):
                    if wide > 2 and (low - j > lanes or end - j < (wide - 1) * lanes + 2):
                        wide = 2
                    wide += EDGE
            else:
                wide = 2 if left >= 2 else 1
                if left >= widest and low <= j and j + widest * lanes + 2 <= end:
                    wide = widest
                elif masks and (j < low or j + wide * lanes + 2 > end):
                    wide += EDGE
            count = min(width - j, wide % EDGE * lanes)
            roll(
                wide, x, start + j, x_row, top, bottom, low - j, end - j, zeros, w, w_at,
                out, out_at + j, width, rows, count, spare, bias, f, activation, slope,
            )
            j += count

    @inline
    def spread(x: Any, start: int, work: Any, at: int, count: int, phases: int) -> None:
        """Copy every `phases`-th sample."""
        for j in range(count):
            put(work, at + j, get(x, start + phases * j))

    @inline
    def fill(
        x: Any, start: int, x_row: int, high: int, low: int, end: int, work: Any, goal: int,
        pitch: int, phases: int, half: int,
    ) -> None:
        """Copy a channel's samples into its frame."""
        for r in range(high):
            at = goal + r * pitch
            if phases == 1:
                copy(x, start, start + end - low, work, at + low)
            elif phases == 2:
                behind = (low + 1) % 2 * half + (low + 1) // 2
                even = at + low % 2 * half + low // 2
                split(x, start, end - low, work, even, at + behind)
            else:
                for phase in range(phases):
                    first = low + (phase - low) % phases
                    count = max((end - first + phases - 1) // phases, 0)
                    to = at + phase * half + first // phases
                    spread(x, start + first - low, work, to, count, phases)
            start += x_row

    @inline
    def strips(
        work: Any, step: int, w: Any, w_at: int, offsets: Any, taps: int,
        out: Any, out_at: int, rows: int, width: int, spare: int,
        bias: Any, f: int, activation: int, slope: Any,
    ) -> None:
        """Compute all outputs of one filter from a frame whose windows begin `step` apart."""
        most = low_height if width > lanes else 8
        i = 0
        while i < rows:
            left = rows - i
            height = 8 if left >= 8 else 4 if left >= 4 else 2 if left >= 2 else 1
            height = min(height, most)
            if whole_stores and height < min(left, most) and 2 * height <= rows:
                # One strip over its neighbour takes less than two that are lower.
                height = 2 * height
                i = rows - height
            j = 0
            while j < width:
                if whole_stores and width - j < 2 * lanes <= width:
                    j = width - 2 * lanes
                count = min(width - j, 2 * lanes)
                strip(
                    height, 2 if count > lanes else 1, work, i * step + j, step * size,
                    w, w_at, offsets, taps, out, out_at + i * width + j, width, count,
                    spare + (rows - i - height) * width, bias, f, activation, slope,
                )
                j += count
            i += height

    def depthwise(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any, work: Any,
        channels: int, filters: int, taps: int, x_ch: int, out_ch: int, out_filter: int,
        total: int, x_at: int, frame_at: int, high: int, low: int, end: int, x_row: int,
        pitch: int, phases: int, half: int, step_r: int, rows: int, width: int, activation: int,
    ) -> None:
        # Where rows make up whole planes, what follows one is the next, up to the last.
        last = channels * filters - 1
        whole_planes = rows * width == out_filter and filters * out_filter == out_ch
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
                    spare = (last - f) * out_filter if whole_planes else 0
                    columns(
                        x, start, x_row, top, top + high, low, end, work, w, f * taps,
                        out, c * out_ch + m * out_filter, rows, width, spare, bias, f,
                        activation, slope,
                    )
            return
        clear(work, 0, total)
        for c in range(channels):
            fill(
                x, c * x_ch + x_at, x_row, high, low, end, work, frame_at, pitch, phases, half
            )
            for m in range(filters):
                f = c * filters + m
                spare = (last - f) * out_filter if whole_planes else 0
                out_at = c * out_ch + m * out_filter
                if square:
                    columns(
                        work, 0, pitch, 0, rows + 2, 0, width + 2, work, w, f * taps,
                        out, out_at, rows, width, spare, bias, f, activation, slope,
                    )
                else:
                    strips(
                        work, step_r * pitch, w, f * taps, offsets, taps,
                        out, out_at, rows, width, spare, bias, f, activation, slope,
                    )

    return depthwise
