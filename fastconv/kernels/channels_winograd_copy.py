"""How samples come into a frame with channels last, and results leave a room of whole tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_filters import make_square
from .channels_tile import LEAKY_RELU, RELU, activate
from .channels_vectors import transpose
from .emit import Values, function, index, loop
from .workspace import address, make_clear, make_copy


def make_gather(target: Target, dtype: str) -> Any:
    """Return ``gather``: the samples of one row of one image, zeros outside, channels last.

    ::

        work[at + p*room + c] = x[x_at + p*x_px + c*x_ch]   for first <= p < last, c < channels

    and 0 for the other p < across and c < room. Assumes: room is the least multiple of the lanes
    that is at least `channels`; x_ch == 1 or x_px == 1; 0 <= first <= last <= across.
    """
    a = Arithmetic.of(target, dtype)
    clear, copy, square = make_clear(target, dtype), make_copy(target, dtype), make_square(a)
    lanes = a.lanes

    @inline
    def gather(
        x: Any, x_at: int, x_px: int, x_ch: int, channels: int,
        work: Any, at: int, room: int, first: int, last: int, across: int,
    ) -> None:
        clear(work, at, at + first * room)
        if x_ch == 1 and x_px == room and first < last:
            start = x_at + first * x_px
            copy(x, start, start + (last - first) * x_px, work, at + first * room)
        elif x_ch == 1:
            for p in range(first, last):
                start = x_at + p * x_px
                copy(x, start, start + channels, work, at + p * room)
        else:
            for c in range(0, channels, lanes):
                for p in range(first, last, lanes):
                    square(
                        x, x_at + c * x_ch + p, x_ch, min(lanes, channels - c),
                        work, at + p * room + c, room, min(lanes, last - p),
                    )
        clear(work, at + last * room, at + across * room)

    return gather


def make_peak(target: Target, dtype: str) -> Any:
    """Return ``peak(x, start, count)``: the largest magnitude in some whole vectors; NaN if any."""
    a = Arithmetic.of(target, dtype)
    number = ir.IntType(8 * a.size)
    vector = ir.VectorType(number, a.lanes)

    def model(x: Any, start: int, count: int) -> Any:
        if start < 0 or start + count > len(x) or count % a.lanes:
            raise IndexError(f"{count} elements from {start} on must lie within {len(x)}")
        return abs(x[start : start + count]).max(initial=x.dtype.type(0))

    @intrinsic(model=model)
    def peak(typingctx: Any, x: Any, start: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base = address(context, builder, x, args[0], args[1])
            sign = ir.Constant(vector, [(1 << (8 * a.size - 1)) - 1] * a.lanes)

            def larger(one: Any, other: Any) -> Any:
                # As integers, magnitudes are in order, with NaN beyond infinity.
                return builder.select(builder.icmp_signed(">", one, other), one, other)

            def some(j: Any, held: Values) -> Values:
                place = a.at(builder, base, builder.mul(j, index(a.lanes)))
                bits = builder.bitcast(a.load(builder, place), vector)
                return [larger(builder.and_(bits, sign), held[0])]

            vectors = builder.sdiv(args[2], index(a.lanes))
            (held,) = loop(builder, vectors, [ir.Constant(vector, None)], some)
            found = ir.Constant(number, 0)
            for lane in range(a.lanes):
                part = builder.extract_element(held, ir.Constant(ir.IntType(32), lane))
                found = larger(part, found)
            return builder.bitcast(found, a.element)

        return x.dtype(x, types.intp, types.intp), codegen

    return peak


def make_deliver(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the intrinsic ``deliver``: some pixels of one vector of channels, activated.

    ::

        out[out_at + p*out_px + c*out_ch] = act(y[at + p*y_px + c])   for p < pixels, c < count

    Assumes: 1 <= count <= lanes; out_ch == 1, or out_px == 1; y has `lanes` elements for as many
    whole vectors of pixels as are needed.
    """
    a = Arithmetic.of(target, dtype)

    def model(
        y: Any, at: int, y_px: int, out: Any, out_at: int, out_px: int, out_ch: int,
        pixels: int, count: int, activation: int, slope: Any,
    ) -> None:
        if not 0 < count <= a.lanes or (out_ch != 1 and out_px != 1):
            raise ValueError(f"channels must fit, got {count} of {a.lanes}")
        for p, c in np.ndindex(pixels, count):
            total, goal = y[at + p * y_px + c], out_at + p * out_px + c * out_ch
            if activation == RELU:
                total = y.dtype.type(0) if total <= 0 else total
            elif activation == LEAKY_RELU:
                total = total if total > 0 else total * slope[0]
            if not 0 <= goal < len(out):
                raise IndexError(f"output {goal} must lie within {len(out)}")
            out[goal] = total

    @intrinsic(model=model)
    def deliver(
        typingctx: Any, y: Any, at: Any, y_px: Any, out: Any, out_at: Any, out_px: Any,
        out_ch: Any, pixels: Any, count: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            passed = [
                address(context, builder, y, args[0], args[1]), args[2],
                address(context, builder, out, args[3], args[4]), *args[5:10],
                address(context, builder, slope, args[10], index(0)),
            ]
            kinds = [p.type for p in passed]
            last = function(
                builder.module, f"deliver_last_{a.dtype}", kinds, lambda b, v: _emit_last(b, a, v)
            )
            first = function(
                builder.module, f"deliver_first_{a.dtype}", kinds,
                lambda b, v: _emit_first(b, a, v),
            )
            with builder.if_else(builder.icmp_signed("==", args[6], index(1))) as (yes, no):
                with yes:
                    builder.call(last, passed)
                with no:
                    builder.call(first, passed)
            return context.get_dummy_value()

        return types.none(y, n, n, out, n, n, n, n, n, n, slope), codegen

    return deliver


def _emit_last(builder: Any, a: Arithmetic, args: Values) -> None:
    """Emit the stores of a row of channels for each pixel."""
    y, y_px, out, out_px, _, pixels, count, activation, slope = args
    whole = builder.icmp_signed("==", count, index(a.lanes))

    def pixel(p: Any, _: Values) -> Values:
        held = [a.load(builder, a.at(builder, y, builder.mul(y_px, p)))]
        (value,) = activate(builder, a, held, activation, slope)
        goal = a.at(builder, out, builder.mul(out_px, p))
        with builder.if_else(whole) as (all_channels, some_channels):
            with all_channels:
                a.store(builder, value, goal)
            with some_channels:
                a.store_first(builder, value, goal, count)
        return []

    loop(builder, pixels, [], pixel)


def _emit_first(builder: Any, a: Arithmetic, args: Values) -> None:
    """Emit the stores of a row of pixels for each channel."""
    y, y_px, out, _, out_ch, pixels, count, activation, slope = args
    many = builder.icmp_signed(">=", pixels, index(a.lanes))
    last = builder.sub(pixels, index(a.lanes))

    def chunk(i: Any, _: Values) -> Values:
        p = builder.mul(i, index(a.lanes))
        # Over its neighbour the last chunk stores the same numbers again.
        back = builder.and_(many, builder.icmp_signed(">", p, last))
        p = builder.select(back, last, p)
        start = a.at(builder, y, builder.mul(y_px, p))
        rows = [
            a.load(builder, a.at(builder, start, builder.mul(y_px, index(j))))
            for j in range(a.lanes)
        ]
        columns = activate(builder, a, transpose(builder, a, rows), activation, slope)
        place = a.at(builder, out, p)
        for c, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", index(c), count)):
                goal = a.at(builder, place, builder.mul(out_ch, index(c)))
                with builder.if_else(many) as (all_pixels, some_pixels):
                    with all_pixels:
                        a.store(builder, column, goal)
                    with some_pixels:
                        a.store_first(builder, column, goal, pixels)
        return []

    chunks = builder.sdiv(builder.add(pixels, index(a.lanes - 1)), index(a.lanes))
    loop(builder, chunks, [], chunk)
