"""Strided windows, and a few long ones, as dot products along the taps.

With a stride, the samples of neighbouring outputs that meet one tap lie apart; the samples of one
output do not. So each of L outputs has an accumulator along the taps, and one vector of taps serves
all of them; the lanes are added up at the end, all L accumulators at once. Where a long filter
leaves few outputs, a tile of outputs would be mostly empty, and would read the signal once for each
phase of its taps: two signals of 100,000 float64, 'valid', took 140 us, by dot products 30.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_call import DOTS, FEW_OUTPUTS
from .emit import I64, POINTER, Values, choose, function, index, lanes, loop
from .workspace import address

# From so many taps on a few outputs are made by dot products.
LONG = 64


def make_few(target: Target, dtype: str) -> tuple[Any, int]:
    """Return ``few(x, w, out, x0, w0, out0, k, m)`` and the most outputs to ask it for.

    It makes m neighbouring outputs whose windows lie inside the signal.
    """
    if dtype not in DOTS:

        @inline
        def none(x: Any, w: Any, out: Any, x0: int, w0: int, out0: int, k: int, m: int) -> None:
            return

        return none, 0
    dots, size = make_dots(target, dtype)
    dot = make_dots(target, dtype, single=True)[0]

    @inline
    def few(x: Any, w: Any, out: Any, x0: int, w0: int, out0: int, k: int, m: int) -> None:
        alone = m if m <= size // 4 else 0
        for i in range(alone):
            dot(x, w, out, x0 + i, w0, out0 + i, k, 1, 1)
        for i in range(alone, m, size):
            dots(x, w, out, x0 + i, w0, out0 + i, k, 1, min(m - i, size))

    return few, FEW_OUTPUTS


def make_strided(target: Target, dtype: str, plain: Any) -> Any:
    """Return ``strided(x, w, out, sums, x0, w0, out0, n, k, m, stride, dilation, pad)``.

    It makes a row's outputs as the formula of `make_rows` says: those whose windows lie inside the
    signal as dot products, where the dtype has them and taps follow each other, and the others by
    the loop ``plain``.
    """
    if dtype not in DOTS:

        @inline
        def strided(
            x: Any, w: Any, out: Any, sums: Any, x0: int, w0: int, out0: int, n: int, k: int,
            m: int, stride: int, dilation: int, pad: int,
        ) -> None:
            plain(x, w, out, sums, x0, w0, out0, n, k, 0, m, stride, dilation, pad)

        return strided
    dots, size = make_dots(target, dtype)
    least = size // 2

    @inline
    def strided_floats(
        x: Any, w: Any, out: Any, sums: Any, x0: int, w0: int, out0: int, n: int, k: int,
        m: int, stride: int, dilation: int, pad: int,
    ) -> None:
        lo = hi = m
        if dilation == 1 and k >= least:
            lo = min(max(pad + stride - 1, 0) // stride, m)
            hi = max(min(max(n - k + pad + stride, 0) // stride, m), lo)
        plain(x, w, out, sums, x0, w0, out0, n, k, 0, lo, stride, dilation, pad)
        for i in range(lo, hi, size):
            dots(x, w, out, x0 + i * stride - pad, w0, out0 + i, k, stride, min(hi - i, size))
        plain(x, w, out, sums, x0, w0, out0, n, k, hi, m, stride, dilation, pad)

    return strided_floats


def make_dots(target: Target, dtype: str, *, single: bool = False) -> tuple[Any, int]:
    """Return the micro kernel ``dots`` for real floats, and how many outputs one call makes.

    ::

        dots(x, w, out, xi, wi, oi, k, step, count)
        out[oi + j] = sum over t < k of x[xi + j*step + t] * w[wi + t]    for j < min(count, size)

    An output's sum does not depend on its neighbours, nor on `count`. With `single` there is one:
    no samples of others are loaded, and more sums of its own are kept.

    Assumes: all windows lie in x; count and step are at least 1.
    """
    a = Arithmetic.of(target, dtype)
    size, outputs = a.lanes, 1 if single else a.lanes
    # Eight sums at a time hide the latency of additions; four leave one output little to add up.
    sets = 4 if single else max(1, 8 // size)

    def body(b: Any, args: Values) -> None:
        x, w, out, k, step, count = args
        last = b.sub(count, index(1))
        starts = []
        for j in range(outputs):
            # Outputs that nobody wants repeat the last one.
            wanted = b.select(b.icmp_signed("<", index(j), last), index(j), last)
            starts.append(a.at(b, x, b.mul(wanted, step)))

        def chunk(t: Any, totals: Values) -> Values:
            taps = a.load(b, a.at(b, w, t))
            return [
                a.multiply_add(b, a.load(b, a.at(b, start, t)), taps, total)
                for start, total in zip(starts, totals, strict=True)
            ]

        def chunks_of_all(c: Any, totals: Values) -> Values:
            t, made = b.mul(c, index(sets * size)), []
            for s in range(sets):
                mine = totals[s * outputs : (s + 1) * outputs]
                made += chunk(b.add(t, index(s * size)), mine)
            return made

        rounds, rest = b.udiv(k, index(sets * size)), b.urem(k, index(size))
        totals = loop(b, rounds, [a.zero()] * (sets * outputs), chunks_of_all)
        while len(totals) > outputs:
            half = len(totals) // 2
            totals = [a.add(b, p, q) for p, q in zip(totals[:half], totals[half:], strict=True)]
        chunks, done = b.udiv(k, index(size)), b.mul(rounds, index(sets))
        totals = loop(
            b, b.sub(chunks, done), totals,
            lambda c, totals: chunk(b.mul(b.add(done, c), index(size)), totals),
        )  # fmt: skip
        done = b.mul(chunks, index(size))

        def tail(totals: Values) -> Values:
            # Zeros on both sides: no sample beyond a window is multiplied.
            taps = a.load_first(b, a.at(b, w, done), rest)
            return [
                a.multiply_add(b, a.load_first(b, a.at(b, start, done), rest), taps, total)
                for start, total in zip(starts, totals, strict=True)
            ]

        ragged = b.zext(b.icmp_unsigned("!=", rest, index(0)), I64)
        totals = choose(b, ragged, {1: tail}, totals)
        totals += [a.zero()] * (size - outputs)
        even, odd = (lanes([first + 2 * j for j in range(size)]) for first in (0, 1))
        while len(totals) > 1:
            totals = [
                a.add(b, b.shuffle_vector(p, q, even), b.shuffle_vector(p, q, odd))
                for p, q in zip(totals[::2], totals[1::2], strict=True)
            ]
        whole, partial, end = (b.append_basic_block(n) for n in ("whole", "partial", "stored"))
        b.cbranch(b.icmp_signed(">=", count, index(size)), whole, partial)
        b.position_at_end(whole)
        a.store(b, totals[0], out)
        b.branch(end)
        b.position_at_end(partial)
        a.store_first(b, totals[0], out, count)
        b.branch(end)
        b.position_at_end(end)

    def model(
        x: Any, w: Any, out: Any, xi: int, wi: int, oi: int, k: int, step: int, count: int
    ) -> None:
        padded = -(-k // size) * size
        taps = np.zeros(padded, out.dtype)
        taps[:k] = w[wi : wi + k]
        for j in range(min(count, size)):
            window = np.zeros(padded, out.dtype)
            window[:k] = x[xi + j * step :][:k]
            out[oi + j] = (window * taps).reshape(-1, size).sum(0).sum()

    @intrinsic(model=model)
    def dots(
        typingctx: Any, x: Any, w: Any, out: Any, xi: Any, wi: Any, oi: Any, k: Any, step: Any,
        count: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER] * 3 + [I64] * 3
            name = f"{'dot' if single else 'dots'}_{dtype}"
            micro = function(builder.module, name, params, body)
            pairs = ((x, 0, 3), (w, 1, 4), (out, 2, 5))
            builder.call(micro, [
                *(address(context, builder, kind, args[j], args[i]) for kind, j, i in pairs),
                *args[6:9],
            ])
            return context.get_dummy_value()

        return types.none(x, w, out, *[types.intp] * 6), codegen

    return dots, size
