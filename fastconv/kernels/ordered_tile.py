"""Ordered sums down columns, two rows of outputs at once: their samples are loaded once."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .emit import I64, POINTER, Values, function, index, loop, splat
from .ordered_convert import element_of, from_double
from .simd import call_llvm, overload_suffix
from .workspace import address

# Vectors side by side. With pairs of samples 4 sums, 8 samples, a tap and what is under way; with
# single ones 8 sums, 2 taps, a sample: 16 registers.
PAIRED, SINGLE = 2, 4


def make_tile(dtype: str, lanes: int, paired: bool) -> Any:
    """Return the micro kernel ``tile``: `rows` times `width` outputs, converted to `dtype`.

    ::

        tile(x, xi, w, out, oi, pitch, out_pitch, width, rows, reach, sign)

        out[r, c] = (w[0] + x[r + reach // 2, c] * w[1]) + T_0 + T_1 + ...
        T_t = (x[r + t, c] + sign * x[r + reach - t, c]) * w[t + 2]     for t < reach // 2, paired
        out[r, c] = (w[0] + x[r + reach, c] * w[1]) + T_0 + T_1 + ...
        T_t = x[r + t, c] * w[t + 2]                                    for t < reach, else

    with the order and roundings of kernel ``ordered``. x[r, c] is at xi + r*pitch + c.

    Assumes: rows >= 2, width >= the tile's, reach >= 1 (paired: 2, and even); all rows + reach rows
    of samples exist; out overlaps neither x nor w. The last tiles overlap those before: the same
    sums again.
    """
    vectors = PAIRED if paired else SINGLE
    across = vectors * lanes
    goal_element, goal_size = element_of(dtype), np.dtype(dtype).itemsize
    element = ir.DoubleType()
    vector = ir.VectorType(element, lanes)

    def model(
        x: Any, xi: int, w: Any, out: Any, oi: int, pitch: int, out_pitch: int, width: int,
        rows: int, reach: int, sign: int,
    ) -> None:
        if rows < 2 or width < across or reach < 1:
            raise IndexError(f"a tile must fit, got {rows} x {width} outputs")
        last, last_out = (rows + reach - 1) * pitch, (rows - 1) * out_pitch
        if min(xi, oi) < 0 or xi + last + width > len(x) or oi + last_out + width > len(out):
            raise IndexError(f"{rows} rows from {xi} must lie within {len(x)}, also outputs")
        for r in range(rows):
            def sample(t: int, r: int = r) -> Any:
                at = xi + (r + t) * pitch
                return x[at : at + width]

            with np.errstate(all="ignore"):
                total = w[0] + sample(reach // 2 if paired else reach) * w[1]
                for t in range(reach // 2 if paired else reach):
                    term = sample(t)
                    if paired:
                        term = term + sample(reach - t) * sign
                    total = total + term * w[t + 2]
                out[oi + r * out_pitch : oi + r * out_pitch + width] = total.astype(dtype)

    def body(b: Any, args: Values) -> None:
        x, w, out, pitch, out_pitch, width, rows, reach, sign = args

        def at(pointer: Any, position: Any, kind: Any = element) -> Any:
            return b.gep(pointer, [position], source_etype=kind)

        def tap(t: Any) -> Any:
            return splat(b, b.load(at(w, t), typ=element), vector)

        def add(total: Any, samples: Any, held: Any) -> Any:
            # Numba marks every operation of a module as free to fuse; nothing fuses over a fence.
            name = "llvm.arithmetic.fence." + overload_suffix(vector)
            return b.fadd(total, call_llvm(b, name, vector, [b.fmul(samples, held)]))

        def clamped(j: Any, step: int, length: Any) -> Any:
            start, last = b.mul(j, index(step)), b.sub(length, index(step))
            return b.select(b.icmp_signed("<", start, last), start, last)

        def ask(row: Any, kind: Any, writing: bool) -> None:
            size = 8 if kind is element else goal_size
            flags = [ir.Constant(ir.IntType(32), v) for v in (int(writing), 3, 1)]
            for line in range(0, across * size, 64):
                place = b.gep(row, [index(line)], source_etype=ir.IntType(8))
                call_llvm(b, "llvm.prefetch.p0", ir.VoidType(), [place, *flags])

        def some(r: Any, c: Any) -> None:
            base = at(x, b.add(b.mul(r, pitch), c))
            for row in range(2):
                # The rows that two tiles further down meet first, and where those are stored.
                ask(at(base, b.mul(b.add(reach, index(4 + row)), pitch)), element, writing=False)
                there = b.add(b.mul(b.add(r, index(2 + row)), out_pitch), c)
                ask(at(out, there, goal_element), goal_element, writing=True)

            def samples(t: Any) -> Values:
                row = at(base, b.mul(t, pitch))
                return [
                    b.load(at(row, index(v * lanes)), typ=vector, align=8) for v in range(vectors)
                ]

            def begun(centre: Any, row: int) -> Values:
                held, start = tap(index(1)), tap(index(0))
                return [add(start, s, held) for s in samples(b.add(centre, index(row)))]

            totals = pairs(samples, begun) if paired else singles(samples, begun)
            for row in range(2):
                goal = at(out, b.add(b.mul(b.add(r, index(row)), out_pitch), c), goal_element)
                for v in range(vectors):
                    value = from_double(b, totals[row * vectors + v], dtype, lanes)
                    b.store(value, at(goal, index(v * lanes), goal_element), align=goal_size)

        def pairs(samples: Any, begun: Any) -> Values:
            half = b.ashr(reach, index(1))
            totals = [*begun(half, 0), *begun(half, 1)]
            above, below = samples(index(0)), samples(b.add(reach, index(1)))

            def stepping(join: Any) -> Any:
                def step(t: Any, carried: Values) -> Values:
                    first, second = carried[:vectors], carried[vectors : 2 * vectors]
                    above, below = carried[2 * vectors : 3 * vectors], carried[3 * vectors :]
                    held = tap(b.add(t, index(2)))
                    middle = samples(b.add(t, index(1)))
                    lower = samples(b.sub(reach, t))
                    first = [
                        add(total, join(u, v), held)
                        for total, u, v in zip(first, above, lower, strict=True)
                    ]
                    second = [
                        add(total, join(u, v), held)
                        for total, u, v in zip(second, middle, below, strict=True)
                    ]
                    return [*first, *second, *middle, *lower]

                return step

            positive = b.icmp_signed(">", sign, index(0))
            carried = [*totals, *above, *below]
            for join, wanted in ((b.fadd, index(1)), (b.fsub, index(0))):
                taken = b.icmp_unsigned("==", b.zext(positive, I64), wanted)
                count = b.select(taken, half, index(0))
                carried = _twice(b, index(0), count, carried, stepping(join))
            return carried[: 2 * vectors]

        def singles(samples: Any, begun: Any) -> Values:
            first, second = begun(reach, 0), begun(reach, 1)
            before = tap(index(2))
            first = [add(t, s, before) for t, s in zip(first, samples(index(0)), strict=True)]

            def step(t: Any, carried: Values) -> Values:
                first, second, before = carried[:vectors], carried[vectors:-1], carried[-1]
                held, here = tap(b.add(t, index(2))), samples(t)
                first = [add(total, s, held) for total, s in zip(first, here, strict=True)]
                second = [add(total, s, before) for total, s in zip(second, here, strict=True)]
                return [*first, *second, held]

            count = b.sub(reach, index(1))
            *totals, before = _twice(b, index(1), count, [*first, *second, before], step)
            ended = zip(totals[vectors:], samples(reach), strict=True)
            return [*totals[:vectors], *(add(t, s, before) for t, s in ended)]

        def of_rows(q: Any, _: Values) -> Values:
            r = clamped(q, 2, rows)

            def of_columns(s: Any, _: Values) -> Values:
                some(r, clamped(s, across, width))
                return []

            loop(b, b.sdiv(b.add(width, index(across - 1)), index(across)), [], of_columns)
            return []

        loop(b, b.ashr(b.add(rows, index(1)), index(1)), [], of_rows)

    @intrinsic(model=model)
    def tile(
        typingctx: Any, x: Any, xi: Any, w: Any, out: Any, oi: Any, pitch: Any, out_pitch: Any,
        width: Any, rows: Any, reach: Any, sign: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"ordered_tile{vectors}x{lanes}_{dtype}"
            micro = function(builder.module, name, [*[POINTER] * 3, *[I64] * 6], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, w, args[2], index(0)),
                address(context, builder, out, args[3], args[4]),
                *args[5:],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, out, i, *[i] * 6), codegen

    return tile


def _twice(b: Any, first: Any, count: Any, carried: Values, step: Any) -> Values:
    """Emit ``for t in range(first, first + count)``, two steps at a time: what one step carries
    on to the next needs no move then."""

    def both(j: Any, values: Values) -> Values:
        t = b.add(first, b.shl(j, index(1)))
        return step(b.add(t, index(1)), step(t, values))

    def last(_: Any, values: Values) -> Values:
        return step(b.add(first, b.sub(count, index(1))), values)

    carried = loop(b, b.ashr(count, index(1)), carried, both)
    return loop(b, b.and_(count, index(1)), carried, last)
