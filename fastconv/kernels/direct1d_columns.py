"""Direct 1-D correlation along an axis that is not the contiguous one, whole columns at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d_tile import model_sum
from .emit import I64, POINTER, Values, choose, function, index, loop
from .simd import call_llvm
from .workspace import address, make_copy, stack

# The rows of x under the taps of one row of outputs shall stay in a second-level cache: of 1 MiB
# where registers have 64 bytes, else of 512 KiB (AVX2, 2000 x 1000 float64, 100 taps: 23.5 ms by
# panels of that size, 14.2 by those of 128 KiB).
_PANEL_BYTES, _SMALL_PANEL_BYTES = 1 << 19, 1 << 18
# Rows so far apart meet in a few sets of a first-level cache, of 8 lines each. They are copied
# first, some columns at a time, where the taps are neither so few that this costs more nor so many
# that most rows would be copied twice (AVX2, 2000 x 1024 float64, 31 taps: 15.2 ms, and 7.0 so).
_ALIAS_BYTES, _WORK_BYTES, _FEWEST_COPIED, _MOST_COPIED = 2048, 40 << 10, 8, 48
# Signals of so many bytes lie in memory, not in a cache: rows to come are asked for (4000 x 500
# float64, 9 taps: 1.25 ms without, 0.8 with; within a cache it would cost a tenth).
_FAR_BYTES = 12 << 20


def make_columns(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``columns``.

    ::

        out[b, i, c] = sum over t of x[b, i*stride + t*dilation - pad, c] * w[b, t]

    for b < outer, i < m, c < inner and those t < k whose sample lies in 0..n-1; the other products
    are left out. Every sum starts from +0.

    Assumes: x[b, j, c] is at b*x_step + j*x_row + c, out[b, i, c] at b*out_step + i*out_row + c,
    w[b, t] at b*w_step + t; out overlaps neither x nor w; stride, dilation >= 1; pad may be
    negative.
    """
    size = Arithmetic.of(target, dtype).size
    band, rows, widest = make_column_band(target, dtype)
    short = target.vector_bytes < 64
    panel_bytes = _SMALL_PANEL_BYTES if short else _PANEL_BYTES
    # A row of the work space is a line longer than two of the widest strips: no aliases there.
    copy, elements, narrow = make_copy(target, dtype), _WORK_BYTES // size, 2 * widest
    pitch = narrow + 64 // size

    def columns(
        x: Any, w: Any, out: Any, outer: int, x_step: int, w_step: int, out_step: int,
        n: int, k: int, m: int, inner: int, x_row: int, out_row: int,
        stride: int, dilation: int, pad: int,
    ) -> None:
        # Windows lo..hi-1 lie inside the signal.
        lo = min(max(pad + stride - 1, 0) // stride, m)
        reach = n - 1 - (k - 1) * dilation + pad
        hi = lo
        if reach >= 0:
            hi = min(max(reach // stride + 1, lo), m)
        panel = max(panel_bytes // size // (k + rows) // widest, 1) * widest
        ahead = int(len(x) * size >= _FAR_BYTES)
        work, copied = stack(out, elements), 0
        aliases = short and stride == dilation and (dilation * x_row * size) % _ALIAS_BYTES == 0
        if aliases and _FEWEST_COPIED <= k <= _MOST_COPIED:
            copied, panel = (elements // pitch - (k - 1)) // rows * rows, narrow
        for b in range(outer):
            for c in range(0, inner, panel):
                width, i, top, bottom = min(panel, inner - c), 0, 0, 0
                while i < m:
                    start, first, last, height = i * stride - pad, 0, k, 1
                    if lo <= i < hi:
                        if stride == dilation and hi - i >= rows:
                            height = rows
                    else:
                        if start < 0:
                            first = min((dilation - 1 - start) // dilation, k)
                        if start >= n:
                            last = 0
                        elif start + (k - 1) * dilation >= n:
                            last = (n - 1 - start) // dilation + 1
                        last = max(last, first)
                    source, step = x, dilation * x_row
                    at = b * x_step + (start + first * dilation) * x_row + c
                    if copied > 0 and height > 1:
                        if i >= bottom:
                            top, bottom = i, min(i + copied, hi)
                            for r in range(bottom - top + k - 1):
                                here = at + r * step
                                copy(x, here, here + width, work, r * pitch)
                        source, step, at = work, pitch, (i - top) * pitch
                    band(source, at, w, b * w_step + first, last - first,
                         out, b * out_step + i * out_row + c, width, step, out_row, height, ahead)
                    i += height

    return columns


def make_column_band(target: Target, dtype: str) -> tuple[Any, int, int]:
    """Return ``band``, the rows that it makes at once, and the width of its widest strip.

    ::

        out[oi + r*out_row + c] = sum over t < taps of x[xi + (r + t)*step + c] * w[wi + t]

    for r < height, which is 1 or `rows`, and c < width.

    Assumes: all of these samples exist; out overlaps neither x nor w.
    """
    a = Arithmetic.of(target, dtype)
    lanes = a.lanes
    # 16 accumulators where there are 32 registers, else 8; for one row of outputs 8.
    rows, many = target.registers // 4 // a.parts, 8 // a.parts
    block = make_strip(target, dtype, Strip(rows, 2))
    tall = make_strip(target, dtype, Strip(rows, 1))
    tall_part = make_strip(target, dtype, Strip(rows, 1, partial=True))
    wide = make_strip(target, dtype, Strip(1, many))
    thin = make_strip(target, dtype, Strip(1, 1, apart=True))
    thin_part = make_strip(target, dtype, Strip(1, 1, apart=True, partial=True))

    @inline
    def band(
        x: Any, xi: int, w: Any, wi: int, taps: int, out: Any, oi: int, width: int, step: int,
        out_row: int, height: int, ahead: int,
    ) -> None:
        """Make `height` (1 or rows) rows of `width` outputs; if `ahead`, ask for the next ones."""
        c = 0
        if height > 1:
            strips = width // (2 * lanes)
            block(x, xi, w, wi, taps, out, oi, strips, step, out_row, lanes, ahead)
            c = strips * 2 * lanes
        else:
            strips = width // (many * lanes)
            wide(x, xi, w, wi, taps, out, oi, strips, step, out_row, lanes, ahead)
            c = strips * many * lanes
        strips = (width - c) // lanes
        count = lanes
        for last in range(2):
            if last == 1:
                if c >= width:
                    break
                # The last vector overlaps the one before it, if there is one.
                count, strips = min(lanes, width), 1
                c = width - count
            if height > 1:
                if count == lanes:
                    tall(x, xi + c, w, wi, taps, out, oi + c, strips, step, out_row, count, ahead)
                else:
                    tall_part(x, xi + c, w, wi, taps, out, oi + c, strips, step, out_row, count,
                              ahead)
            elif count == lanes:
                thin(x, xi + c, w, wi, taps, out, oi + c, strips, step, out_row, count, ahead)
            else:
                thin_part(x, xi + c, w, wi, taps, out, oi + c, strips, step, out_row, count, ahead)
            c += strips * lanes

    return band, rows, many * lanes


@dataclass(frozen=True, slots=True)
class Strip:
    """The shape of a register tile.

    Parameters
    ----------
    rows, vectors : int
        Rows of outputs, and vectors in each.
    apart : bool
        Whether each tap of a group has accumulators of its own (to hide latency in a small tile).
    partial : bool
        Whether vectors are shorter than a register.
    """

    rows: int
    vectors: int
    apart: bool = False
    partial: bool = False


# Taps held in registers: each vector of x that is loaded serves up to so many rows.
_TAPS = 4


def make_strip(target: Target, dtype: str, tile: Strip) -> Any:
    """Return the micro kernel ``strip``.

    ::

        strip(x, xi, w, wi, taps, out, oi, strips, step, out_row, size, ahead)
        out[oi + i*out_row + c] = sum over t < taps of x[xi + (i + t)*step + c] * w[wi + t]

    for i < rows and c < strips * vectors * lanes; for c < size (with one strip) if partial.

    Assumes: all of these samples exist; out overlaps neither x nor w.
    """
    a = Arithmetic.of(target, dtype)

    def body(b: Any, args: Values) -> None:
        _emit(b, a, tile, args)

    def model(
        x: Any, xi: int, w: Any, wi: int, taps: int, out: Any, oi: int, strips: int,
        step: int, out_row: int, size: int, ahead: int,
    ) -> None:
        width = size if tile.partial else strips * tile.vectors * a.lanes
        for i in range(tile.rows if width else 0):
            at = oi + i * out_row
            if at < 0 or at + width > len(out):
                raise IndexError(f"outputs {at}..{at + width} must lie within {len(out)}")
            out[at : at + width] = 0
            for t in range(taps):
                out[at : at + width] += model_sum(x, xi + (i + t) * step, w, wi + t, 0, 1, width)

    @intrinsic(model=model)
    def strip(
        typingctx: Any, x: Any, xi: Any, w: Any, wi: Any, taps: Any, out: Any, oi: Any,
        strips: Any, step: Any, out_row: Any, size: Any, ahead: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            name = f"strip{tile.rows}x{tile.vectors}{'p' * tile.partial}_{dtype}"
            params = [POINTER, POINTER, I64, POINTER, *[I64] * 5]
            micro = function(builder.module, name, params, body)
            builder.call(micro, [
                address(context, builder, x, args[0], args[1]),
                address(context, builder, w, args[2], args[3]), args[4],
                address(context, builder, out, args[5], args[6]), *args[7:],
            ])
            return context.get_dummy_value()

        i = types.intp
        return types.none(x, i, w, i, i, out, *[i] * 6), codegen

    return strip


def _emit(b: Any, a: Arithmetic, tile: Strip, args: Values) -> None:
    x, w, taps, out, strips, step, out_row, size, ahead = args
    sets = _TAPS if tile.apart else 1
    per_set = tile.rows * tile.vectors * a.parts

    def load(pointer: Any) -> Any:
        if tile.partial:
            return a.widen(b, a.load_first(b, pointer, size))
        return a.load(b, pointer)

    def strip(j: Any, _: Values) -> Values:
        across = b.mul(j, index(tile.vectors * a.lanes))
        base = a.at(b, x, across)

        def group(t: Any, count: int, totals: Values) -> Values:
            held = [a.tap(b, a.at(b, w, b.add(t, index(q)))) for q in range(count)]
            row = a.at(b, base, b.mul(t, step))
            for r in range(tile.rows + count - 1):
                for v in range(tile.vectors):
                    value = load(a.at(b, row, v * a.lanes))
                    for q in range(count):
                        if 0 <= r - q < tile.rows:
                            n = ((r - q) * tile.vectors + v) * a.parts + q % sets * per_set
                            for part in range(a.parts):
                                total = totals[n + part]
                                totals[n + part] = a.multiply_add(b, value, held[q][part], total)
                row = a.at(b, row, step)
            return totals

        if tile.rows > 1 and tile.vectors > 1:
            with b.if_then(b.icmp_signed("!=", ahead, index(0))):
                new = b.mul(b.add(taps, index(tile.rows - 1)), step)
                _prefetch(b, a, tile, a.at(b, base, new), step, writing=False)
                new = b.add(across, b.mul(index(tile.rows), out_row))
                _prefetch(b, a, tile, a.at(b, out, new), out_row, writing=True)
        times, rest = b.udiv(taps, index(_TAPS)), b.urem(taps, index(_TAPS))
        totals = loop(
            b, times, [a.zero()] * (per_set * sets),
            lambda g, t: group(b.mul(g, index(_TAPS)), _TAPS, t),
        )
        at = b.mul(times, index(_TAPS))
        cases = {c: (lambda t, c=c: group(at, c, t)) for c in range(1, _TAPS)}
        totals = choose(b, rest, cases, totals)
        for chosen in range(1, sets):
            for n in range(per_set):
                totals[n] = a.add(b, totals[n], totals[chosen * per_set + n])
        row = a.at(b, out, across)
        for r in range(tile.rows):
            for v in range(tile.vectors):
                n = (r * tile.vectors + v) * a.parts
                vector, goal = a.finish(b, totals[n : n + a.parts]), a.at(b, row, v * a.lanes)
                if tile.partial:
                    a.store_first(b, vector, goal, size)
                else:
                    a.store(b, vector, goal)
            row = a.at(b, row, out_row)
        return []

    loop(b, strips, [], strip)


def _prefetch(b: Any, a: Arithmetic, tile: Strip, row: Any, step: Any, *, writing: bool) -> None:
    """Ask for what is new to the rows of outputs after these; beyond an array nothing is read.

    So many rows side by side are more streams than a processor follows by itself.
    """
    number = ir.IntType(32)
    flags = [ir.Constant(number, f) for f in (int(writing), 3, 1)]
    for _ in range(tile.rows):
        for v in range(tile.vectors):
            call_llvm(b, "llvm.prefetch.p0", ir.VoidType(), [a.at(b, row, v * a.lanes), *flags])
        row = a.at(b, row, step)
