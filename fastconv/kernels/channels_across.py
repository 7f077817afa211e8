"""The tile of pointwise layers with channels first: lanes are pixels, which lie beside each other.

Three vectors of samples and four channels' filters feed twelve multiply-adds, and results are
stored as they are, where tiles whose lanes are channels transpose them. Samples of one pixel lie a
whole image apart, so that few of them stay in a cache of few ways: the first tile copies what it
reads to where all others read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .arithmetic import Arithmetic
from .channels_flat import FIRST, LAST
from .channels_tile import activate, activated
from .emit import I64, Values, by_pairs, choose, function, index
from .simd import call_llvm
from .workspace import address

VECTORS, CHANNELS = 3, 4


def make_across(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``across``.

    ::

        sums[c, p] = bias[bias_at + c] if stage & FIRST else out[out_at + c*out_ch + p]
        sums[c, p] += sum over k < steps of X(x_at + p + offsets[k_at + k]) * w[w_at + k*w_step + c]
        out[out_at + c*out_ch + p] = act(sums[c, p]) if stage & LAST else sums[c, p]

    for p < VECTORS * lanes and c < count; `offsets` count in bytes of x. If `fresh`, the samples
    are kept in `work`, else they are what `work` holds.

    Assumes: the dtype is real; 0 < count <= CHANNELS, and w and bias hold CHANNELS whatever count.
    """
    wide = VECTORS * a.lanes

    def model(
        fresh: int, stage: int, work: Any, x: Any, x_at: int, w: Any, w_at: int, w_step: int,
        offsets: Any, k_at: int, steps: int, out: Any, out_at: int, out_ch: int, count: int,
        bias: Any, bias_at: int, activation: int, slope: Any,
    ) -> None:
        for c in range(CHANNELS):
            start, at = bias[bias_at + c], out_at + min(c, count - 1) * out_ch
            if at < 0 or at + wide > len(out):
                raise IndexError(f"outputs from {at} on must lie within {len(out)}")
            row = out[at : at + wide]
            total = row * 0 + start if stage & FIRST else row.copy()
            for k in range(steps):
                samples = work[k * wide : (k + 1) * wide]
                if fresh and c == 0:
                    byte = int(offsets[k_at + k])
                    here = x_at + byte // x.itemsize
                    if byte % x.itemsize or here < 0 or here + wide > len(x):
                        raise IndexError(f"samples from {here} on must lie within {len(x)}")
                    samples[:] = x[here : here + wide]
                total = total + samples * w[w_at + k * w_step + c]
            if c < count:
                row[:] = activated(total, activation, slope) if stage & LAST else total

    @intrinsic(model=model)
    def across(
        typingctx: Any, fresh: Any, stage: Any, work: Any, x: Any, x_at: Any,
        w: Any, w_at: Any, w_step: Any, offsets: Any, k_at: Any, steps: Any,
        out: Any, out_at: Any, out_ch: Any, count: Any,
        bias: Any, bias_at: Any, activation: Any, slope: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(
            n, n, work, x, n, w, n, n, offsets, n, n, out, n, n, n, bias, n, n, slope
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args

            def at(array: int, where: Any) -> Any:
                return address(context, builder, kinds[array], args[array], where)

            passed = [
                args[1], at(2, index(0)), at(3, args[4]), at(5, args[6]), args[7], at(8, args[9]),
                args[10], at(11, args[12]), args[13], args[14], at(15, args[16]), args[17],
                at(18, index(0)),
            ]
            new = builder.icmp_signed("!=", args[0], index(0))
            with builder.if_else(new) as branches:
                for kind, branch in zip((True, False), branches, strict=True):
                    with branch:
                        micro = function(
                            builder.module, f"across_{a.dtype}_{int(kind)}",
                            [p.type for p in passed],
                            lambda b, values, kind=kind: _emit(b, a, kind, values),
                        )
                        builder.call(micro, passed)
            return context.get_dummy_value()

        return signature, codegen

    return across


def _emit(builder: Any, a: Arithmetic, fresh: bool, args: Values) -> None:
    stage, work, x, w, w_step, offsets, steps, out, out_ch, count, bias, activation, slope = args
    channels, vectors = range(CHANNELS), range(VECTORS)
    most = builder.sub(count, index(1))
    goals: list[Values] = []
    for c in channels:
        within = builder.icmp_signed("<", index(c), most)
        row = a.at(builder, out, builder.mul(out_ch, builder.select(within, index(c), most)))
        goals.append([a.at(builder, row, v * a.lanes) for v in vectors])

    def from_bias(_: Values) -> Values:
        return [a.tap(builder, a.at(builder, bias, c))[0] for c in channels for _ in vectors]

    def from_out(_: Values) -> Values:
        return [a.load(builder, goal) for row in goals for goal in row]

    # The next channels' outputs lie on pages of their own.
    far = builder.mul(out_ch, index(CHANNELS))
    for row in goals:
        for v in (0, VECTORS - 1):
            fetch(builder, a.at(builder, a.at(builder, row[v], far), (a.lanes - 1) * (v > 0)), True)

    sums = choose(
        builder, builder.and_(stage, index(FIRST)), {0: from_out, FIRST: from_bias},
        [a.zero()] * (CHANNELS * VECTORS),
    )

    def step(i: Any, held: Values) -> Values:
        place = kept = a.at(builder, work, builder.mul(i, index(VECTORS * a.lanes)))
        if fresh:
            offset = builder.load(builder.gep(offsets, [i], source_etype=I64), typ=I64, align=8)
            place = builder.gep(x, [offset], source_etype=ir.IntType(8))
        samples = [
            builder.load(a.at(builder, place, v * a.lanes), typ=a.stored, align=a.size)
            for v in vectors
        ]
        for v in vectors if fresh else ():
            a.store(builder, samples[v], a.at(builder, kept, v * a.lanes))
        if fresh:  # The next tile's samples lie on as many pages as there are steps.
            for v in (VECTORS, 2 * VECTORS - 1):
                fetch(builder, a.at(builder, place, v * a.lanes))
        samples = [a.widen(builder, sample) for sample in samples]
        row = a.at(builder, w, builder.mul(i, w_step))
        new: Values = []
        for c in channels:
            factor = a.tap(builder, a.at(builder, row, c))[0]
            for sample in samples:
                new.append(a.multiply_add(builder, sample, factor, held[len(new)]))
        return new

    sums = [a.finish(builder, [total]) for total in by_pairs(builder, steps, sums, step)]
    ends = builder.icmp_signed(">=", stage, index(LAST))
    chosen = builder.select(ends, activation, index(0))
    sums = activate(builder, a, sums, chosen, slope)
    for c in channels:
        with builder.if_then(builder.icmp_signed("<", index(c), count)):
            for v in vectors:
                a.store(builder, sums[c * VECTORS + v], goals[c][v])


def fetch(builder: Any, pointer: Any, to_write: bool = False) -> None:
    """Have the line at `pointer`, which may lie anywhere, brought into a cache.

    To be read soon, into the second; to be written, into the first.
    """
    word = ir.IntType(32)
    how = [ir.Constant(word, value) for value in ((1, 3, 1) if to_write else (0, 2, 1))]
    call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *how])
