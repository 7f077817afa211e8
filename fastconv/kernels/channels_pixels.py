"""Depthwise windows of any kind with channels last: some pixels at once, for all channels.

Where windows lie inside the image, eight pixels share the vector of filters of each tap. A window
that meets zeros is a pixel of its own, whose taps outside read a row of zeros, for several vectors
of channels at once, so that no image is ever copied into a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_filters import make_beside
from .channels_tile import LEAKY_RELU, RELU, activate
from .emit import I64, Values, function, index, loop
from .workspace import address

PIXELS = (8, 4, 2, 1)
# Where a tap lies is found out once for so many vectors.
_SEVERAL = 4
# Taps of a part of the channels: no more than half of a first cache of 32 KiB.
_PART_TAPS = 1 << 12


def make_depthwise_last(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``depthwise_last``: channels last.

    ::

        out[i*out_row + j*out_px + c] = act(bias[c] + sum over t < kh*kw of
            X(i*step_r + t // kw * dil_r, j*step_c + t % kw * dil_c, c) * w[c*kh*kw + t])

    for i < rows, j < width, c < channels. X(r, s, c) is the sample of channel c in row r and column
    s of the image, which is ``x[x_at + i*x_row + j*x_px + c + offsets[t]]`` if top <= r < bottom
    and low <= s < end, else 0.

    Assumes: `offsets` count in bytes, everything else in elements; channels is at least a vector;
    `zeros` has as many zeros, `work` room for their taps.
    """
    a = Arithmetic.of(target, dtype)
    pixels, beside, most, lanes = make_pixels(a), make_beside(a), PIXELS[0], a.lanes
    several, most_taps = _SEVERAL * lanes, _PART_TAPS

    def depthwise_last(
        x: Any, w: Any, out: Any, bias: Any, slope: Any, offsets: Any, zeros: Any, work: Any,
        kh: int, kw: int, step_r: int, step_c: int, dil_r: int, dil_c: int,
        x_at: int, x_px: int, x_row: int, top: int, bottom: int, low: int, end: int,
        rows: int, width: int, out_px: int, out_row: int, channels: int, activation: int,
    ) -> None:
        # The columns whose windows lie between `low` and `end`.
        first = max((low + step_c - 1) // step_c, 0)
        stop = min((end - 1 - (kw - 1) * dil_c) // step_c + 1, width)
        part = max(most_taps // max(kh * kw * several, 1), 1) * several
        c = 0
        while c < channels:
            own = part if c + part + lanes <= channels else channels - c
            beside(w, c, kh * kw, own, work)
            for i in range(rows):
                r = i * step_r
                inside = r >= top and r + (kh - 1) * dil_r < bottom
                j = 0
                while j < width:
                    count, at = 0, j
                    if inside and first <= j < stop:
                        left = stop - j
                        count = most if left >= most else 4 if left >= 4 else 2 if left >= 2 else 1
                        if 4 < left < most <= stop - first:
                            # Over their neighbours the last pixels store the same numbers again.
                            count, at = most, stop - most
                    pixels(
                        count, x, x_at + i * x_row + at * x_px + c, x_px, work, offsets, zeros,
                        kh, kw, dil_r, dil_c,
                        top - r, bottom - r, low - at * step_c, end - at * step_c,
                        out, i * out_row + at * out_px + c, out_px, own, bias, c,
                        activation, slope,
                    )
                    j = at + max(count, 1)
            c += own

    return depthwise_last


def make_pixels(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``pixels``.

    ::

        out[out_at + p*out_px + c] = act(bias[bias_at + c] +
            sum over t < kh*kw of X(x_at + p*x_px + c, t) * w[t*channels + c])

    for p < count, c < channels, where ``X(at, t) = x[at + offsets[t]]``; with count 0 there is one
    pixel, p = 0, and X is 0 unless ``top <= t // kw * dil_r < bottom`` and
    ``low <= t % kw * dil_c < end``. `offsets` count in bytes.

    Assumes: the dtype is real; count is 0 or one of PIXELS; channels is at least a vector; `zeros`
    has as many zeros.
    """

    def model(
        count: int, x: Any, x_at: int, x_px: int, w: Any, offsets: Any, zeros: Any,
        kh: int, kw: int, dil_r: int, dil_c: int, top: int, bottom: int, low: int, end: int,
        out: Any, out_at: int, out_px: int, channels: int, bias: Any, bias_at: int,
        activation: int, slope: Any,
    ) -> None:
        if count not in (0, *PIXELS) or channels < a.lanes:
            raise ValueError(f"pixels must fit, got {count} of {channels}")

        def row(array: Any, at: int) -> Any:
            if at < 0 or at + channels > len(array):
                raise IndexError(f"channels from {at} on must lie within {len(array)}")
            return array[at : at + channels]

        for p in range(max(count, 1)):
            total = row(bias, bias_at).copy()
            for t in range(kh * kw):
                u, v = t // kw * dil_r, t % kw * dil_c
                inside = count > 0 or (top <= u < bottom and low <= v < end)
                at = x_at + p * x_px + int(offsets[t]) // x.itemsize
                total = total + (row(x, at) if inside else row(zeros, 0)) * row(w, t * channels)
            if activation == RELU:
                total = np.where(total <= 0, total.dtype.type(0), total)
            elif activation == LEAKY_RELU and total.dtype.kind == "f":
                total = np.where(total > 0, total, total * slope[0])
            row(out, out_at + p * out_px)[:] = total

    @intrinsic(model=model)
    def pixels(
        typingctx: Any, count: Any, x: Any, x_at: Any, x_px: Any, w: Any, offsets: Any, zeros: Any,
        kh: Any, kw: Any, dil_r: Any, dil_c: Any, top: Any, bottom: Any, low: Any, end: Any,
        out: Any, out_at: Any, out_px: Any, channels: Any, bias: Any, bias_at: Any,
        activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(
            n, x, n, n, w, offsets, zeros, n, n, n, n, n, n, n, n, out, n, n, n, bias, n, n, slope
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            zero = index(0)
            bias = at(19, args[20])
            ends = [at(15, args[16]), args[17], args[18], bias, args[21], at(22, zero)]
            own = [at(1, args[2]), args[3], at(4, zero), at(5, zero)]
            inner = [*own, builder.mul(args[7], args[8]), *ends]
            outer = [own[0], *own[2:], at(6, zero), *args[7:15], ends[0], *ends[2:]]
            done = builder.append_basic_block("pixels.end")
            switch = builder.switch(args[0], done)
            for number in (0, *PIXELS):
                block = builder.append_basic_block("pixels.kind")
                switch.add_case(I64(number), block)
                builder.position_at_end(block)
                passed = inner if number else outer
                micro = function(
                    builder.module, f"pixels_{a.dtype}_{number}", [p.type for p in passed],
                    lambda b, v, number=number: (
                        _emit_inside(b, a, number, v) if number else _emit_outside(b, a, v)
                    ),
                )
                builder.call(micro, passed)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return pixels


def _places(
    builder: Any, a: Arithmetic, channels: Any, wide: int, body: Callable[[Any], None]
) -> None:
    """Emit ``body(c)`` for all channels, `wide` at a time; the last ones reach back."""
    last = builder.sub(channels, index(wide))

    def place(k: Any, _: Values) -> Values:
        c = builder.mul(k, index(wide))
        body(builder.select(builder.icmp_signed("<", c, last), c, last))
        return []

    count = builder.sdiv(builder.add(channels, index(wide - 1)), index(wide))
    loop(builder, count, [], place)


def _emit_inside(builder: Any, a: Arithmetic, pixels: int, args: Values) -> None:
    x, x_px, w, offsets, taps, out, out_px, channels, bias, activation, slope = args
    byte = ir.IntType(8)
    pitch = builder.mul(x_px, index(a.size))
    twice = builder.add(pitch, pitch)
    hops = [None, pitch, twice, builder.add(twice, pitch)]
    four = builder.add(twice, twice)

    def vector(c: Any) -> None:
        start, factors = a.load(builder, a.at(builder, bias, c)), a.at(builder, w, c)
        samples = a.at(builder, x, c)

        def tap(t: Any, held: Values) -> Values:
            offset = builder.load(builder.gep(offsets, [t], source_etype=I64), typ=I64, align=8)
            place = builder.gep(samples, [offset], source_etype=byte)
            factor = a.load(builder, a.at(builder, factors, builder.mul(t, channels)))
            new = []
            for p in range(pixels):
                if p and p % 4 == 0:
                    place = builder.gep(place, [four], source_etype=byte)
                hop = hops[p % 4]
                here = place if hop is None else builder.gep(place, [hop], source_etype=byte)
                new.append(a.multiply_add(builder, a.load(builder, here), factor, held[p]))
            return new

        sums = loop(builder, taps, [start] * pixels, tap)
        finished = [a.finish(builder, [total]) for total in sums]
        for p, total in enumerate(activate(builder, a, finished, activation, slope)):
            goal = a.at(builder, out, builder.mul(out_px, index(p)))
            a.store(builder, total, a.at(builder, goal, c))

    _places(builder, a, channels, a.lanes, vector)


def _emit_outside(builder: Any, a: Arithmetic, args: Values) -> None:
    x, w, offsets, zeros, kh, kw, dil_r, dil_c, top, bottom, low, end, *after = args
    out, channels, bias, activation, slope = after
    byte = ir.IntType(8)

    def within(value: Any, least: Any, most: Any) -> Any:
        above = builder.icmp_signed(">=", value, least)
        return builder.and_(above, builder.icmp_signed("<", value, most))

    def vectors(c: Any, wide: int) -> None:
        samples, factors, nothing = (a.at(builder, base, c) for base in (x, w, zeros))

        def row(u: Any, held: Values) -> Values:
            here = within(builder.mul(u, dil_r), top, bottom)
            first = builder.mul(u, kw)

            def tap(v: Any, held: Values) -> Values:
                t = builder.add(first, v)
                inside = builder.and_(here, within(builder.mul(v, dil_c), low, end))
                offset = builder.load(builder.gep(offsets, [t], source_etype=I64), typ=I64, align=8)
                place = builder.gep(samples, [offset], source_etype=byte)
                place = builder.select(inside, place, nothing)
                own = a.at(builder, factors, builder.mul(t, channels))
                return [
                    a.multiply_add(
                        builder,
                        a.load(builder, a.at(builder, place, q * a.lanes)),
                        a.load(builder, a.at(builder, own, q * a.lanes)),
                        held[q],
                    )
                    for q in range(wide)
                ]

            return loop(builder, kw, held, tap)

        begin = a.at(builder, bias, c)
        sums = [a.load(builder, a.at(builder, begin, q * a.lanes)) for q in range(wide)]
        sums = loop(builder, kh, sums, row)
        finished = [a.finish(builder, [total]) for total in sums]
        goal = a.at(builder, out, c)
        for q, total in enumerate(activate(builder, a, finished, activation, slope)):
            a.store(builder, total, a.at(builder, goal, q * a.lanes))

    several = builder.icmp_signed(">=", channels, index(_SEVERAL * a.lanes))
    with builder.if_else(several) as (many, few):
        for branch, wide in ((many, _SEVERAL), (few, 1)):
            with branch:
                _places(builder, a, channels, wide * a.lanes, partial(vectors, wide=wide))
