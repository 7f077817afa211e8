"""Resampling of rows: many phases over samples taken apart by a stride, outputs put together.

Phase r of output group q reads the samples ``(q + e)*stride + j``. So the samples of a stretch are
taken apart first, row j holding every stride-th one: then all taps of a phase with one j lie one
after the other over one row, and a vector of groups is a plain correlation of contiguous rows.
Short signals are taken apart together, side by side in the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_tile import model_sum
from .emit import I64, POINTER, Values, function, index, loop
from .scalar import get, madd, put, zero_like
from .workspace import address, make_finite

# Fields of a phase (first run, runs, first tap) and of a run (row, column, taps).
FIELDS = 3
# So many groups of outputs at the rims take as long one by one as in tiles of 32 to 128.
RIM_GROUPS = 6
# From so many rows side by side on one loop moves a sample of each: a loop along a short row is
# hardly begun when it ends.
MANY_ROWS = 8


def stretch(target: Target, dtype: str) -> int:
    """Return how many groups one step of the micro kernel makes."""
    a = Arithmetic.of(target, dtype)
    return _vectors(a) * a.lanes


def _vectors(a: Arithmetic) -> int:
    """Return the accumulators' vectors: eight registers hide the latency of a multiply-add."""
    return 8 // a.parts


def make_polyphase(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``polyphase``.

    ::

        out[b, q*phases + r] = sum over runs (j, e, taps) of phase r and t < taps of
                               x[b, (q + first + e + t)*stride + j] * w[tap of the run + t]

    for b < rows, start <= q < stop and those outputs below m; of the samples those in 0..n-1, all
    of which exist for lo <= q < hi. The other products are left out; zeros stand for these samples
    only where all k taps are finite. Every sum starts from +0.

    Assumes: row b of x and out starts at b*x_step and b*out_step; work holds stride rows of `pitch`
    samples and phases rows of `width` sums, width a multiple of `stretch` and pitch >= width + the
    columns of all runs; out overlaps neither x, w nor work.
    """
    size = stretch(target, dtype)
    runs, finite = make_runs(target, dtype), make_finite(target, dtype)

    @inline
    def rim(
        x: Any, w: Any, out: Any, table: Any, heads: Any, x0: int, out0: int, n: int, m: int,
        stride: int, phases: int, first: int, start: int, stop: int,
    ) -> None:
        for q in range(start, stop):
            for r in range(min(phases, m - q * phases)):
                total, tap = zero_like(x), get(heads, FIELDS * r + 2)
                at = get(heads, FIELDS * r) * FIELDS
                for _ in range(get(heads, FIELDS * r + 1)):
                    sample = (q + first + get(table, at + 1)) * stride + get(table, at)
                    for _ in range(get(table, at + 2)):
                        if 0 <= sample < n:
                            total = madd(get(x, x0 + sample), get(w, tap), total)
                        sample += stride
                        tap += 1
                    at += FIELDS
                put(out, out0 + q * phases + r, total)

    @inline
    def apart(
        x: Any, x0: int, x_step: int, rows: int, n: int, work: Any, begin: int, stride: int,
        span: int, columns: int, pitch: int,
    ) -> None:
        """Take the samples from begin*stride on apart, of each row `span` columns, and clear what
        is left of all `columns`."""
        for j in range(stride):
            first, goal = begin * stride + j, j * pitch
            low = 0
            if first < 0:
                low = min(-(first // stride), span)
            high = max(min(span, (n - 1 - j) // stride + 1 - begin), low)
            if rows < MANY_ROWS:
                for b in range(rows):
                    at = x0 + b * x_step + first + low * stride
                    for i in range(low):
                        put(work, goal + i, zero_like(work))
                    for i in range(low, high):
                        put(work, goal + i, get(x, at))
                        at += stride
                    for i in range(high, span):
                        put(work, goal + i, zero_like(work))
                    goal += span
            else:
                for i in range(span):
                    place, at = goal + i, x0 + first + i * stride
                    if low <= i < high:
                        for _ in range(rows):
                            put(work, place, get(x, at))
                            place += span
                            at += x_step
                    else:
                        for _ in range(rows):
                            put(work, place, zero_like(work))
                            place += span
                goal += rows * span
            for i in range(columns - rows * span):
                put(work, goal + i, zero_like(work))

    @inline
    def together(
        work: Any, sums: int, width: int, span: int, rows: int, out: Any, out0: int,
        out_step: int, phases: int, count: int, left: int,
    ) -> None:
        """Put the sums of `count` groups, but no more than `left` outputs, of each row together."""
        for r in range(min(phases, left)):
            groups = min(count, (left - r + phases - 1) // phases)
            if rows < MANY_ROWS:
                for b in range(rows):
                    source, goal = sums + r * width + b * span, out0 + b * out_step + r
                    for _ in range(groups):
                        put(out, goal, get(work, source))
                        source += 1
                        goal += phases
            else:
                for i in range(groups):
                    source, goal = sums + r * width + i, out0 + i * phases + r
                    for _ in range(rows):
                        put(out, goal, get(work, source))
                        source += span
                        goal += out_step

    def polyphase(
        x: Any, w: Any, out: Any, work: Any, table: Any, heads: Any, rows: int, x_step: int,
        out_step: int, n: int, k: int, m: int, stride: int, phases: int, first: int, reach: int,
        lo: int, hi: int, start: int, stop: int, width: int, pitch: int,
    ) -> None:
        # Groups begin..end-1 are made in tiles, the others one by one. Rows that would leave most
        # of a tile empty lie in it side by side, `span` columns each.
        begin, end = min(max(start, lo), stop), max(min(stop, hi), min(max(start, lo), stop))
        groups, several = stop - start, 1
        span = groups + reach
        if 0 < span <= (groups + size - 1) // size * size:
            several = max(min((width + reach) // span, rows), 1)
        rims = groups - (end - begin)
        if rims > 0 and (rims >= RIM_GROUPS or several > 1) and finite(w, 0, k):
            begin, end, rims = start, stop, 0
        span, sums = end - begin + reach, stride * pitch
        for b0 in range(0, rows, several):
            some = min(several, rows - b0)
            if rims > 0:
                for b in range(b0, b0 + some):
                    rim(x, w, out, table, heads, b * x_step, b * out_step, n, m, stride, phases,
                        first, start, begin)
                    rim(x, w, out, table, heads, b * x_step, b * out_step, n, m, stride, phases,
                        first, end, stop)
            for q in range(begin, end, width):
                count = min(width, end - q)
                strips = ((some - 1) * span + count + size - 1) // size
                columns = strips * size + reach
                each = span
                if some == 1:
                    each = columns
                apart(x, b0 * x_step, x_step, some, n, work, q + first, stride, each, columns,
                      pitch)
                for r in range(min(phases, m - q * phases)):
                    runs(work, 0, w, get(heads, FIELDS * r + 2), table,
                         get(heads, FIELDS * r) * FIELDS, get(heads, FIELDS * r + 1), pitch,
                         work, sums + r * width, strips)
                together(work, sums, width, span, some, out, b0 * out_step + q * phases, out_step,
                         phases, count, m - q * phases)

    return polyphase


def make_runs(target: Target, dtype: str) -> Any:
    """Return the micro kernel ``runs``.

    ::

        runs(x, xi, w, wi, table, ti, count, pitch, out, oi, strips)
        out[oi + i] = sum over s < count and t < taps[s] of
                      x[xi + row[s]*pitch + column[s] + t + i] * w[wi + taps before s + t]

    with row, column and taps of run s at table[ti + 3*s ...], for i < strips * `stretch`.

    Assumes: all of these samples exist; the outputs overlap neither samples nor taps.
    """
    a = Arithmetic.of(target, dtype)
    vectors = _vectors(a)
    size = vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        _emit(b, a, vectors, args)

    def model(
        x: Any, xi: int, w: Any, wi: int, table: Any, ti: int, count: int, pitch: int, out: Any,
        oi: int, strips: int,
    ) -> None:
        width = strips * size
        if oi < 0 or oi + width > len(out):
            raise IndexError(f"outputs {oi}..{oi + width} must lie within {len(out)}")
        total = out[oi : oi + width]
        total[:] = 0
        for s in range(count):
            row, column, taps = (int(v) for v in table[ti + FIELDS * s : ti + FIELDS * (s + 1)])
            for t in range(taps):
                total += model_sum(x, xi + row * pitch + column + t, w, wi, 0, 1, width)
                wi += 1

    @intrinsic(model=model)
    def runs(
        typingctx: Any, x: Any, xi: Any, w: Any, wi: Any, table: Any, ti: Any, count: Any,
        pitch: Any, out: Any, oi: Any, strips: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            params = [POINTER, POINTER, POINTER, I64, I64, POINTER, I64]
            micro = function(builder.module, f"runs_{dtype}", params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, w, args[2], args[3]),
                address(context, builder, table, args[4], args[5]),
                args[6], args[7],
                address(context, builder, out, args[8], args[9]), args[10],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, i, table, i, i, i, out, i, i), codegen

    return runs


def _emit(b: Any, a: Arithmetic, vectors: int, args: Values) -> None:
    x, w, table, count, pitch, out, strips = args

    def field(s: Any, number: int) -> Any:
        where = b.add(b.mul(s, index(FIELDS)), index(number))
        return b.load(b.gep(table, [where], source_etype=I64), typ=I64, align=8)

    def strip(j: Any, _: Values) -> Values:
        across = b.mul(j, index(vectors * a.lanes))
        base = a.at(b, x, across)

        def run(s: Any, carried: Values) -> Values:
            row = a.at(b, base, b.add(b.mul(field(s, 0), pitch), field(s, 1)))
            taps = field(s, 2)
            here = a.at(b, w, carried[0])

            def tap(t: Any, totals: Values) -> Values:
                held = a.tap(b, a.at(b, here, t))
                samples = a.at(b, row, t)
                for v in range(vectors):
                    value = a.load(b, a.at(b, samples, v * a.lanes))
                    for part in range(a.parts):
                        n = v * a.parts + part
                        totals[n] = a.multiply_add(b, value, held[part], totals[n])
                return totals

            return [b.add(carried[0], taps), *loop(b, taps, carried[1:], tap)]

        totals = loop(b, count, [index(0), *[a.zero()] * (vectors * a.parts)], run)[1:]
        goal = a.at(b, out, across)
        for v in range(vectors):
            vector = a.finish(b, totals[v * a.parts : (v + 1) * a.parts])
            a.store(b, vector, a.at(b, goal, v * a.lanes))
        return []

    loop(b, strips, [], strip)
