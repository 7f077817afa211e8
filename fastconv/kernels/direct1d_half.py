"""Direct 1-D correlation of float16: converted in pieces that stay in the first-level cache.

Sums are float32's, by the loop for float32, and are rounded once at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .direct1d import make_rows, whole_rows
from .emit import Values, index, loop
from .scalar import get, put
from .workspace import address, singles

# Outputs and taps that are converted at a time; all four pieces together take 24 KiB.
_OUTPUTS, _TAPS = 1024, 512

# A whole call is one of ``rows`` on elements of two bytes.
whole_half_rows = whole_rows


def make_half_rows(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``half_rows``: ``rows`` for float16, whose bits are taken for int16.

    ::

        out[b, i] = round(sum over t of x[b, i + t - pad] * w[b, t])

    for b < rows, i < m and those t < k whose sample lies in 0..n-1; the sum is float32's.

    Assumes: what `make_rows` does, and stride == dilation == 1.
    """
    inner = inline(make_rows(target, "float32"))
    widen, narrow = make_widen(target), make_narrow(target)
    # A vector more than is counted may be written.
    piece = _OUTPUTS + _TAPS + target.lanes(4)

    def half_rows(
        x: Any, w: Any, out: Any, rows: int, x_step: int, w_step: int, out_step: int,
        n: int, k: int, m: int, stride: int, dilation: int, pad: int,
    ) -> None:
        samples, taps = singles(piece), singles(piece)
        sums, parts = singles(piece), singles(piece)
        for b in range(rows):
            for i in range(0, m, _OUTPUTS):
                count = min(_OUTPUTS, m - i)
                t = 0
                while t == 0 or t < k:
                    few = min(_TAPS, k - t)
                    # Samples lo..hi-1 meet these taps.
                    first = i + t - pad
                    lo = min(max(first, 0), n)
                    hi = max(min(first + count + few - 1, n), lo)
                    widen(x, b * x_step + lo, samples, hi - lo)
                    if i == 0 or k > _TAPS:
                        widen(w, b * w_step + t, taps, few)
                    goal = sums
                    if t > 0:
                        goal = parts
                    inner(samples, taps, goal, 1, 0, 0, 0, hi - lo, few, count, 1, 1, lo - first)
                    if t > 0:
                        for j in range(count):
                            put(sums, j, get(sums, j) + get(parts, j))
                    t += _TAPS
                narrow(sums, out, b * out_step + i, count)

    return half_rows


def make_widen(target: Target) -> Any:
    """Return ``widen(x, start, work, count)``: work[:count] = x[start : start + count].

    Assumes: `work` has room for `count` rounded up to a vector.
    """
    h, s = _halves(target)

    def model(x: Any, start: int, work: Any, count: int) -> None:
        whole = -(-max(count, 0) // s.lanes) * s.lanes
        if count > 0 and (start < 0 or start + count > len(x) or whole > len(work)):
            raise IndexError(f"x must have {start + count} elements and work {whole}")
        work[:whole] = 0
        work[: max(count, 0)] = x[start : start + max(count, 0)].view(np.float16)

    @intrinsic(model=model)
    def widen(typingctx: Any, x: Any, start: Any, work: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = address(context, builder, x, args[0], args[1])
            goal = address(context, builder, work, args[2], index(0))

            def whole(b: Any, at: Any, _: Any) -> None:
                s.store(b, _to_single(b, target, h.load(b, h.at(b, source, at))), s.at(b, goal, at))

            def part(b: Any, at: Any, left: Any) -> None:
                bits = h.load_first(b, h.at(b, source, at), left)
                s.store(b, _to_single(b, target, bits), s.at(b, goal, at))

            _vectors(builder, s.lanes, args[3], whole, part)
            return context.get_dummy_value()

        return types.none(x, types.intp, work, types.intp), codegen

    return widen


def make_narrow(target: Target) -> Any:
    """Return ``narrow(work, out, start, count)``: out[start : start + count] = work[:count].

    Rounded to nearest, ties to even. Assumes: `work` holds `count` rounded up to a vector.
    """
    h, s = _halves(target)

    def model(work: Any, out: Any, start: int, count: int) -> None:
        if start < 0 or start + count > len(out):
            raise IndexError(f"out must have {start + count} elements")
        with np.errstate(all="ignore"):
            out[start : start + count] = work[:count].astype(np.float16).view(np.int16)

    @intrinsic(model=model)
    def narrow(typingctx: Any, work: Any, out: Any, start: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = address(context, builder, work, args[0], index(0))
            goal = address(context, builder, out, args[1], args[2])

            def bits(b: Any, at: Any) -> Any:
                return _to_half(b, target, s.load(b, s.at(b, source, at)))

            def whole(b: Any, at: Any, _: Any) -> None:
                h.store(b, bits(b, at), h.at(b, goal, at))

            def part(b: Any, at: Any, left: Any) -> None:
                h.store_first(b, bits(b, at), h.at(b, goal, at), left)

            _vectors(builder, s.lanes, args[3], whole, part)
            return context.get_dummy_value()

        return types.none(work, out, types.intp, types.intp), codegen

    return narrow


def _halves(target: Target) -> tuple[Arithmetic, Arithmetic]:
    """Return the arithmetic of the bits of float16, and of float32, with as many lanes."""
    single = Arithmetic.of(target, "float32")
    return Arithmetic("int16", single.lanes, 1, target), single


def _vectors(
    b: Any, lanes: int, count: Any, whole: Callable[[Any, Any, Any], None],
    part: Callable[[Any, Any, Any], None],
) -> None:
    """Emit `whole` for each vector of `count` elements, `part` for what is left."""

    def vector(j: Any, _: Values) -> Values:
        whole(b, b.mul(j, index(lanes)), None)
        return []

    times = b.sdiv(count, index(lanes))
    loop(b, times, [], vector)
    done = b.mul(times, index(lanes))
    left = b.sub(count, done)
    with b.if_then(b.icmp_signed(">", left, index(0))):
        part(b, done, left)


def _converts(target: Target) -> bool:
    """Return whether the machine has instructions for it: elsewhere LLVM calls a library."""
    return "F16C" in target.requires or target.name == "aarch64"


def _to_single(b: Any, target: Target, bits: Any) -> Any:
    """Return the float32 vector of the float16 numbers with these bits."""
    lanes = bits.type.count
    floats = ir.VectorType(ir.FloatType(), lanes)
    if _converts(target):
        return b.fpext(b.bitcast(bits, ir.VectorType(ir.HalfType(), lanes)), floats)
    number = _Constants(lanes)
    wide = b.zext(bits, number.kind)
    size = b.and_(wide, number(0x7FFF))
    shifted = b.shl(size, number(13))
    # Times 2**112: the exponents' biases differ by that, and subnormal numbers become normal.
    scaled = b.bitcast(b.fmul(b.bitcast(shifted, floats), number.float(2.0**112)), number.kind)
    wild = b.or_(shifted, number(0x7F800000))
    value = b.select(b.icmp_unsigned(">=", size, number(0x7C00)), wild, scaled)
    sign = b.shl(b.and_(wide, number(0x8000)), number(16))
    return b.bitcast(b.or_(value, sign), floats)


def _to_half(b: Any, target: Target, floats: Any) -> Any:
    """Return the bits of the float16 numbers nearest to a float32 vector."""
    lanes = floats.type.count
    halves = ir.VectorType(ir.IntType(16), lanes)
    if _converts(target):
        return b.bitcast(b.fptrunc(floats, ir.VectorType(ir.HalfType(), lanes)), halves)
    number = _Constants(lanes)
    bits = b.bitcast(floats, number.kind)
    size = b.and_(bits, number(0x7FFFFFFF))
    # Normal: the bias changes, 13 bits go, half of them and the last kept bit make ties even.
    last = b.and_(b.lshr(size, number(13)), number(1))
    rebiased = b.add(b.sub(size, number(0x38000000 - 0xFFF)), last)
    normal = b.lshr(rebiased, number(13))
    # Subnormal: added to 0.5, whose last place is theirs, a number is rounded by the addition.
    half = number.float(0.5)
    small = b.sub(b.bitcast(b.fadd(b.bitcast(size, floats.type), half), number.kind),
                  b.bitcast(half, number.kind))
    value = b.select(b.icmp_unsigned("<", size, number(0x38800000)), small, normal)
    value = b.select(b.icmp_unsigned(">=", size, number(0x47800000)), number(0x7C00), value)
    value = b.select(b.icmp_unsigned(">", size, number(0x7F800000)), number(0x7E00), value)
    sign = b.and_(b.lshr(bits, number(16)), number(0x8000))
    return b.trunc(b.or_(value, sign), halves)


class _Constants:
    """Makes vectors of one 32-bit number in all lanes."""

    def __init__(self, lanes: int) -> None:
        self.lanes, self.kind = lanes, ir.VectorType(ir.IntType(32), lanes)

    def __call__(self, value: int) -> Any:
        return ir.Constant(self.kind, [value] * self.lanes)

    def float(self, value: float) -> Any:
        return ir.Constant(ir.VectorType(ir.FloatType(), self.lanes), [value] * self.lanes)
