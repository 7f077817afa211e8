"""Depthwise 3 x 3 windows with channels last: some pixels at once, for all channels.

Every sample is loaded once for all the outputs of a patch that see it. A sample outside is read
from a row of zeros, so that no image is ever copied into a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_filters import make_beside
from .channels_tile import LEAKY_RELU, RELU, activate
from .emit import I64, Values, function, index, loop
from .workspace import address, to_aligned

_HIGH = 2


def make_square_last(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``square_last``.

    ::

        out[i*out_row + j*out_px + c] = act(bias[c] +
            sum over u, v < 3 of X(i + u, j + v, c) * w[9*c + 3*u + v])

    for i < rows, j < width, c < channels, where ``X(r, s, c) = x[x_at + r*x_row + s*x_px + c]`` if
    top <= r < bottom and low <= s < end, else 0. Every sum runs over the taps in order.

    Assumes: the dtype is real; channels is at least a vector; `zeros` has as many zeros, `work`
    room for their taps.
    """
    a = Arithmetic.of(target, dtype)
    # Nine taps, the sums and a sample stay in registers, or most of them where there are few.
    most = 4 if target.registers > 16 else 2
    patch, beside, lanes = make_patch(a, most), make_beside(a), a.lanes

    def square_last(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, zeros: Any, work: Any,
        x_at: int, x_row: int, x_px: int, top: int, bottom: int, low: int, end: int,
        rows: int, width: int, out_px: int, out_row: int, channels: int, activation: int,
    ) -> None:
        beside(w, 0, 9, channels, work)
        # Vectors of all pixels that each lie in one line of the cache instead of two; not for few,
        # since there is one more of them.
        begin = 0
        if channels % lanes == 0 and channels >= 8 * lanes:
            begin = to_aligned(x, x_at, lanes)
            if begin > 0:
                begin -= lanes
        i = 0
        while i < rows:
            high = min(_HIGH, rows - i)
            j = 0
            while j < width:
                wide = most if width >= most else 1
                # Over its neighbour the last patch stores the same numbers again.
                at = min(j, width - wide)
                patch(
                    high, wide, x, x_at + i * x_row + at * x_px, x_row, x_px,
                    top - i, bottom - i, low - at, end - at, zeros, work,
                    out, i * out_row + at * out_px, out_row, out_px, begin, channels,
                    bias, activation, slope,
                )
                j += wide
            i += high

    return square_last


def make_patch(a: Arithmetic, most: int) -> Callable[..., Any]:
    """Return the intrinsic ``patch``: ``square_last`` for `high` rows of `wide` pixels.

    Assumes: high is 1 or 2, wide is 1 or `most`; vectors of channels begin at `begin`, in
    -lanes < begin <= 0, and where that is outside, at the next channel within.
    """

    def model(
        high: int, wide: int, x: Any, x_at: int, x_row: int, x_px: int,
        top: int, bottom: int, low: int, end: int, zeros: Any, w: Any,
        out: Any, out_at: int, out_row: int, out_px: int, begin: int, channels: int,
        bias: Any, activation: int, slope: Any,
    ) -> None:
        if high not in (1, _HIGH) or wide not in (1, most) or channels < a.lanes:
            raise ValueError(f"patch must fit, got {high} x {wide} for {channels}")
        if not -a.lanes < begin <= 0:
            raise ValueError(f"begin must be less than a vector before 0, got {begin}")

        def row(array: Any, at: int) -> Any:
            if at < 0 or at + channels > len(array):
                raise IndexError(f"channels from {at} on must lie within {len(array)}")
            return array[at : at + channels]

        for i, j in np.ndindex(high, wide):
            total = row(bias, 0).copy()
            for u, v in np.ndindex(3, 3):
                inside = top <= i + u < bottom and low <= j + v < end
                at = x_at + (i + u) * x_row + (j + v) * x_px
                samples = row(x, at) if inside else row(zeros, 0)
                total = total + samples * row(w, (3 * u + v) * channels)
            if activation == RELU:
                total = np.where(total <= 0, total.dtype.type(0), total)
            elif activation == LEAKY_RELU and total.dtype.kind == "f":
                total = np.where(total > 0, total, total * slope[0])
            row(out, out_at + i * out_row + j * out_px)[:] = total

    @intrinsic(model=model)
    def patch(
        typingctx: Any, high: Any, wide: Any, x: Any, x_at: Any, x_row: Any, x_px: Any,
        top: Any, bottom: Any, low: Any, end: Any, zeros: Any, w: Any,
        out: Any, out_at: Any, out_row: Any, out_px: Any, begin: Any, channels: Any,
        bias: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(
            n, n, x, n, n, n, n, n, n, n, zeros, w, out, n, n, n, n, n, bias, n, slope
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            passed = [
                at(2, args[3]), *args[4:10], at(10, zero), at(11, zero), at(12, args[13]),
                *args[14:18], at(18, zero), args[19], at(20, zero),
            ]
            done = builder.append_basic_block("patch.end")
            switch = builder.switch(builder.add(builder.mul(args[0], index(8)), args[1]), done)
            for rows in (1, _HIGH):
                for pixels in (1, most):
                    block = builder.append_basic_block("patch.kind")
                    switch.add_case(I64(rows * 8 + pixels), block)
                    builder.position_at_end(block)
                    micro = function(
                        builder.module, f"patch_{a.dtype}_{rows}x{pixels}",
                        [p.type for p in passed],
                        lambda b, v, rows=rows, pixels=pixels: _emit(b, a, rows, pixels, v),
                    )
                    builder.call(micro, passed)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return patch


def _emit(builder: Any, a: Arithmetic, high: int, wide: int, args: Values) -> None:
    x, x_row, x_px, top, bottom, low, end, zeros, w, out, out_row, out_px, *after = args
    begin, channels, bias, activation, slope = after

    def within(value: int, least: Any, most: Any) -> Any:
        above = builder.icmp_signed("<=", least, index(value))
        return builder.and_(above, builder.icmp_signed("<", index(value), most))

    columns = [within(q, low, end) for q in range(wide + 2)]
    places: list[Values] = []
    for s in range(high + 2):
        here = within(s, top, bottom)
        row = a.at(builder, x, builder.mul(x_row, index(s)))
        pixels = [a.at(builder, row, builder.mul(x_px, index(q))) for q in range(wide + 2)]
        places.append(
            [
                builder.select(builder.and_(here, column), pixel, zeros)
                for column, pixel in zip(columns, pixels, strict=True)
            ]
        )
    last = builder.sub(channels, index(a.lanes))

    def vector(k: Any, _: Values) -> Values:
        c = builder.add(begin, builder.mul(k, index(a.lanes)))
        # Over their neighbours the first and last vectors store the same numbers again.
        c = builder.select(builder.icmp_signed("<", c, last), c, last)
        c = builder.select(builder.icmp_signed(">", c, index(0)), c, index(0))
        own = a.at(builder, w, c)
        factors = [
            a.load(builder, a.at(builder, own, builder.mul(channels, index(t)))) for t in range(9)
        ]
        start = a.load(builder, a.at(builder, bias, c))
        sums = [[start] * wide for _ in range(high)]
        for s in range(high + 2):
            for q in range(wide + 2):
                sample = a.load(builder, a.at(builder, places[s][q], c))
                for i in range(max(0, s - 2), min(high, s + 1)):
                    for j in range(max(0, q - 2), min(wide, q + 1)):
                        sums[i][j] = a.multiply_add(
                            builder, sample, factors[(s - i) * 3 + q - j], sums[i][j]
                        )
        finished = [a.finish(builder, [total]) for held in sums for total in held]
        finished = activate(builder, a, finished, activation, slope)
        for i in range(high):
            for j in range(wide):
                goal = a.at(builder, out, builder.mul(out_row, index(i)))
                goal = a.at(builder, a.at(builder, goal, builder.mul(out_px, index(j))), c)
                a.store(builder, finished[i * wide + j], goal)
        return []

    span = builder.sub(channels, begin)
    count = builder.sdiv(builder.add(span, index(a.lanes - 1)), index(a.lanes))
    loop(builder, count, [], vector)
