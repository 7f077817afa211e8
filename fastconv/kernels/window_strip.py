"""Micro kernels of windows down the columns: strips of a few vectors, row after row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba import types

from ..runtime.jit import intrinsic
from ..runtime.target import Target
from .emit import I64, POINTER, Values, function, index, loop
from .window_lanes import BOX, Lanes
from .workspace import address


@dataclass(frozen=True, slots=True)
class Strip:
    """The width of a strip.

    Parameters
    ----------
    vectors : int
        Vectors side by side.
    partial : bool
        Whether the one vector is shorter than a register.
    """

    vectors: int
    partial: bool = False


def _row(b: Any, a: Lanes, arrays: Values, number: Any) -> Any:
    """Return the address of the row of x that virtual row `number` stands for."""
    x, row_bytes, lines, outside = arrays
    line = b.load(b.gep(lines, [number], source_etype=I64), typ=I64, align=8)
    inside = b.gep(x, [b.mul(line, row_bytes)], source_etype=a.memory.element)
    return b.select(b.icmp_signed("<", line, index(0)), outside, inside)


def _vectors(b: Any, a: Lanes, strip: Strip, pointer: Any, size: Any) -> Values:
    if strip.partial:
        return [a.memory.load_first(b, pointer, size)]
    return [a.memory.load(b, a.memory.at(b, pointer, v * a.lanes)) for v in range(strip.vectors)]


def _put(b: Any, a: Lanes, strip: Strip, values: Values, pointer: Any, size: Any) -> None:
    if strip.partial:
        a.memory.store_first(b, values[0], pointer, size)
        return
    for v, value in enumerate(values):
        a.memory.store(b, value, a.memory.at(b, pointer, v * a.lanes))


_PARAMS = (POINTER, I64, POINTER, POINTER, I64, I64, I64)


def make_fold(target: Target, dtype: str, op: int, strip: Strip) -> Any:
    """Return the micro kernel ``fold``.

    ::

        fold(x, xi, row, lines, li, outside, k, step, out, oi, size)
        out[oi + c] = reduction over t < k of x[xi + lines[li + t*step]*row + c]

    for the c of one strip (c < size if partial); a line -1 is read from `outside`, k >= 1.
    """
    a = Lanes.of(target, dtype, op)

    def body(b: Any, args: Values) -> None:
        *arrays, k, step, size, out = args

        def tap(t: Any, totals: Values) -> Values:
            number = b.mul(b.add(t, index(1)), step)
            row = _vectors(b, a, strip, _row(b, a, arrays, number), size)
            return [a.join(b, total, value) for total, value in zip(totals, row, strict=True)]

        first = _vectors(b, a, strip, _row(b, a, arrays, index(0)), size)
        totals = loop(b, b.sub(k, index(1)), [a.begin(b, v) for v in first], tap)
        _put(b, a, strip, totals, out, size)

    def model(
        x: Any, xi: int, row: int, lines: Any, li: int, outside: Any, k: int, step: int,
        out: Any, oi: int, size: int,
    ) -> None:
        width = size if strip.partial else strip.vectors * a.lanes
        total = _model_row(x, xi, row, lines, li, outside, width)
        total = total + total.dtype.type(0) if op == BOX else total
        for t in range(1, k):
            total = a.model(total, _model_row(x, xi, row, lines, li + t * step, outside, width))
        _model_put(out, oi, total)

    @intrinsic(model=model)
    def fold(
        typingctx: Any, x: Any, xi: Any, row: Any, lines: Any, li: Any, outside: Any, k: Any,
        step: Any, out: Any, oi: Any, size: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"fold{op}_{strip.vectors}{'p' * strip.partial}_{dtype}"
            micro = function(builder.module, name, [*_PARAMS, POINTER], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2],
                address(context, builder, lines, args[3], args[4]),
                address(context, builder, outside, args[5], index(0)), args[6], args[7],
                args[10], address(context, builder, out, args[8], args[9]),
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, lines, i, outside, i, i, out, i, i), codegen

    return fold


def make_folds(target: Target, dtype: str, op: int, strip: Strip) -> Any:
    """Return the micro kernel ``folds``: row after row by itself, extremes in pairs.

    ::

        folds(x, xi, row, lines, li, outside, k, m, out, oi, out_row, size)
        out[oi + i*out_row + c] = reduction over t < k of x[xi + lines[li + i + t]*row + c]

    for i < m and the c of one strip (c < size if partial); a line -1 is read from `outside`.

    Assumes: k >= 2; x and out do not overlap.
    """
    a = Lanes.of(target, dtype, op)

    def body(b: Any, args: Values) -> None:
        *arrays, k, m, size, out, out_row = args

        def row(number: Any) -> Values:
            return _vectors(b, a, strip, _row(b, a, arrays, number), size)

        def join(first: Values, second: Values) -> Values:
            return [a.join(b, u, v) for u, v in zip(first, second, strict=True)]

        def following(totals: Values, first: Any, count: Any) -> Values:
            return loop(b, count, totals, lambda t, some: join(some, row(b.add(first, t))))

        def put(i: Any, totals: Values) -> None:
            _put(b, a, strip, totals, a.memory.at(b, out, b.mul(i, out_row)), size)

        def single(i: Any, _: Values) -> Values:
            i = b.add(i, done)
            first = [a.begin(b, v) for v in row(i)]
            put(i, following(first, b.add(i, index(1)), b.sub(k, index(1))))
            return []

        def pair(p: Any, _: Values) -> Values:
            # All rows but one are common to both windows.
            i = b.mul(p, index(2))
            common = following(row(b.add(i, index(1))), b.add(i, index(2)), b.sub(k, index(2)))
            put(i, join(row(i), common))
            put(b.add(i, index(1)), join(common, row(b.add(i, k))))
            return []

        pairs = index(0) if op == BOX else b.ashr(m, index(1))
        if op != BOX:
            loop(b, pairs, [], pair)
        done = b.mul(pairs, index(2))
        loop(b, b.sub(m, done), [], single)

    def model(
        x: Any, xi: int, row: int, lines: Any, li: int, outside: Any, k: int, m: int, out: Any,
        oi: int, out_row: int, size: int,
    ) -> None:
        width = size if strip.partial else strip.vectors * a.lanes
        for i in range(m):
            total = _model_row(x, xi, row, lines, li + i, outside, width)
            total = total + total.dtype.type(0) if op == BOX else total
            for t in range(1, k):
                total = a.model(total, _model_row(x, xi, row, lines, li + i + t, outside, width))
            _model_put(out, oi + i * out_row, total)

    @intrinsic(model=model)
    def folds(
        typingctx: Any, x: Any, xi: Any, row: Any, lines: Any, li: Any, outside: Any, k: Any,
        m: Any, out: Any, oi: Any, out_row: Any, size: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"folds{op}_{strip.vectors}{'p' * strip.partial}_{dtype}"
            micro = function(builder.module, name, [*_PARAMS, POINTER, I64], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2],
                address(context, builder, lines, args[3], args[4]),
                address(context, builder, outside, args[5], index(0)), args[6], args[7],
                args[11], address(context, builder, out, args[8], args[9]), args[10],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, lines, i, outside, i, i, out, i, i, i), codegen

    return folds


def make_suffix(target: Target, dtype: str, op: int, strip: Strip) -> Any:
    """Return the micro kernel ``suffix``: one block's scan from its end.

    ::

        suffix(x, xi, row, lines, li, outside, k, step, work, wi, size)
        work[wi + j*width + c] = reduction over j <= t < k of x[xi + lines[li + t*step]*row + c]

    for j < k and the c of one strip, `width` of whole vectors.
    """
    a = Lanes.of(target, dtype, op)
    width = strip.vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        *arrays, k, step, size, work = args

        def put(j: Any, totals: Values) -> None:
            whole = Strip(strip.vectors)
            _put(b, a, whole, totals, a.memory.at(b, work, b.mul(j, index(width))), size)

        def tap(t: Any, totals: Values) -> Values:
            j = b.sub(last, b.add(t, index(1)))
            row = _vectors(b, a, strip, _row(b, a, arrays, b.mul(j, step)), size)
            totals = [a.join(b, value, total) for total, value in zip(totals, row, strict=True)]
            put(j, totals)
            return totals

        last = b.sub(k, index(1))
        totals = _vectors(b, a, strip, _row(b, a, arrays, b.mul(last, step)), size)
        totals = [a.begin(b, total) for total in totals]
        put(last, totals)
        loop(b, last, totals, tap)

    def model(
        x: Any, xi: int, row: int, lines: Any, li: int, outside: Any, k: int, step: int,
        work: Any, wi: int, size: int,
    ) -> None:
        some = size if strip.partial else width
        total = _model_row(x, xi, row, lines, li + (k - 1) * step, outside, some)
        total = total + total.dtype.type(0) if op == BOX else total
        _model_put(work, wi + (k - 1) * width, total)
        for j in range(k - 2, -1, -1):
            total = a.model(_model_row(x, xi, row, lines, li + j * step, outside, some), total)
            _model_put(work, wi + j * width, total)

    @intrinsic(model=model)
    def suffix(
        typingctx: Any, x: Any, xi: Any, row: Any, lines: Any, li: Any, outside: Any, k: Any,
        step: Any, work: Any, wi: Any, size: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"suffix{op}_{strip.vectors}{'p' * strip.partial}_{dtype}"
            micro = function(builder.module, name, [*_PARAMS, POINTER], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2],
                address(context, builder, lines, args[3], args[4]),
                address(context, builder, outside, args[5], index(0)), args[6], args[7],
                args[10], address(context, builder, work, args[8], args[9]),
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, lines, i, outside, i, i, work, i, i), codegen

    return suffix


def make_prefix(target: Target, dtype: str, op: int, strip: Strip) -> Any:
    """Return the micro kernel ``prefix``: the next block's scan, joined with the suffixes.

    ::

        prefix(x, xi, row, lines, li, outside, count, step, out, oi, out_row, work, wi, size)
        out[oi + j*out_row + c] = work[wi + j*width + c] + reduction over t < j of
                                  x[xi + lines[li + t*step]*row + c]

    for j < count and the c of one strip; + is the reduction, count >= 1.
    """
    a = Lanes.of(target, dtype, op)
    width = strip.vectors * a.lanes

    def body(b: Any, args: Values) -> None:
        *arrays, count, step, size, out, out_row, work = args
        whole = Strip(strip.vectors)

        def suffixes(j: Any) -> Values:
            return _vectors(b, a, whole, a.memory.at(b, work, b.mul(j, index(width))), size)

        def deliver(j: Any, totals: Values) -> None:
            joined = [a.join(b, s, p) for s, p in zip(suffixes(j), totals, strict=True)]
            _put(b, a, strip, joined, a.memory.at(b, out, b.mul(j, out_row)), size)

        def tap(t: Any, totals: Values) -> Values:
            j = b.add(t, index(1))
            row = _vectors(b, a, strip, _row(b, a, arrays, b.mul(j, step)), size)
            totals = [a.join(b, total, value) for total, value in zip(totals, row, strict=True)]
            deliver(b.add(j, index(1)), totals)
            return totals

        _put(b, a, strip, suffixes(index(0)), out, size)
        with b.if_then(b.icmp_signed(">", count, index(1))):
            first = _vectors(b, a, strip, _row(b, a, arrays, index(0)), size)
            first = [a.begin(b, v) for v in first]
            deliver(index(1), first)
            loop(b, b.sub(count, index(2)), first, tap)

    def model(
        x: Any, xi: int, row: int, lines: Any, li: int, outside: Any, count: int, step: int,
        out: Any, oi: int, out_row: int, work: Any, wi: int, size: int,
    ) -> None:
        some = size if strip.partial else width
        _model_put(out, oi, work[wi : wi + some])
        total = None
        for j in range(1, count):
            value = _model_row(x, xi, row, lines, li + (j - 1) * step, outside, some)
            if total is None:
                total = value + value.dtype.type(0) if op == BOX else value
            else:
                total = a.model(total, value)
            _model_put(out, oi + j * out_row, a.model(work[wi + j * width :][:some], total))

    @intrinsic(model=model)
    def prefix(
        typingctx: Any, x: Any, xi: Any, row: Any, lines: Any, li: Any, outside: Any, count: Any,
        step: Any, out: Any, oi: Any, out_row: Any, work: Any, wi: Any, size: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"prefix{op}_{strip.vectors}{'p' * strip.partial}_{dtype}"
            micro = function(builder.module, name, [*_PARAMS, POINTER, I64, POINTER], body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]), args[2],
                address(context, builder, lines, args[3], args[4]),
                address(context, builder, outside, args[5], index(0)), args[6], args[7],
                args[13], address(context, builder, out, args[8], args[9]), args[10],
                address(context, builder, work, args[11], args[12]),
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, i, lines, i, outside, i, i, out, i, i, work, i, i), codegen

    return prefix


def _model_row(x: Any, xi: int, row: int, lines: Any, li: int, outside: Any, width: int) -> Any:
    line = lines[li]
    source, at = (outside, 0) if line < 0 else (x, xi + line * row)
    if at < 0 or at + width > len(source):
        raise IndexError(f"samples {at}..{at + width} must lie within {len(source)}")
    return source[at : at + width].copy()


def _model_put(out: Any, oi: int, values: Any) -> None:
    if oi < 0 or oi + len(values) > len(out):
        raise IndexError(f"{oi}..{oi + len(values)} must lie within {len(out)}")
    out[oi : oi + len(values)] = values
