"""Exact convolution of whole numbers through transforms of their digits, proven for each block."""

from __future__ import annotations

from functools import lru_cache
from math import log2
from typing import Any

import numpy as np

from .. import geometry
from ..forms import recall
from ..path import BAND_BYTES, SLACK, Box, Guarantee, Operands, Path, Space, Work, everything
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables
from .digits import (
    SKEW,
    SPREADS,
    WIDTHS,
    Digits,
    bias,
    cheapest,
    magnitude,
    proven,
    seconds,
    signed,
    smallest,
    taken_apart,
    transformed,
)

_BAND = 1 << 16


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if signed(problem.dtype) not in WIDTHS:
        return f"whole numbers only, not {problem.dtype}"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    if problem.room is not None and min(problem.output) > 0 and None in _whole_range(problem):
        return f"no digits that fit into {problem.room} bytes"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return exact: every rounded sum is proven to be nearest to the right whole number."""
    return "exact"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter's digits and the loop over blocks."""
    return (("spectrum", "float64"), ("limbs", signed(problem.dtype)))


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def work(problem: Problem) -> Work:
    """Return the transforms of all digits for numbers that use the whole range of their dtype."""
    (n,), (k,), outputs = problem.signal, problem.filter, _span(problem)
    if outputs < 1:
        return Work(calls=0)
    cut = _whole_range(problem)[0]
    assert cut is not None  # `supports` has seen to it.
    blocks = _blocks(cut.size, n, k, outputs)
    filters = 1 if problem.shared_filter else problem.batch
    transforms = (cut.of_x + cut.kept) * blocks * problem.batch + cut.of_w * filters
    return Work(
        calls=1 + filters,
        multiply_adds=cut.products * blocks * problem.batch * cut.size,
        butterflies=transforms * cut.size * log2(cut.size),
        bytes_moved=np.dtype(problem.dtype).itemsize * problem.batch * blocks * cut.size * 4,
    )


def _blocks(size: int, n: int, k: int, outputs: int) -> int:
    return 1 if n + k - 1 <= 2 * size else -(-outputs // (2 * size - k + 1))


def _whole_range(problem: Problem) -> list[Digits | None]:
    """Return the cuts for numbers that use the whole range: those of others take no more."""
    bits = WIDTHS[signed(problem.dtype)] - 1
    return [_cut(problem, bits, bits, spread) for spread in SPREADS]


def space(problem: Problem) -> Space:
    """Return the spectra of all filters' digits, and a block's digits for each worker."""
    cuts = [cut for cut in _whole_range(problem) if cut] if _span(problem) > 0 else []
    spaces = [_space(problem, cut) for cut in cuts] or [Space()]
    return Space(max(s.shared for s in spaces), max(s.each for s in spaces))


def _space(problem: Problem, cut: Digits) -> Space:
    (n,), (k,), outputs, batch = problem.signal, problem.filter, _span(problem), problem.batch
    filters = 1 if problem.shared_filter else batch
    need, blocks = fft_tables.lengths(cut.size, "float64"), _blocks(cut.size, n, k, outputs)
    norms = 4 * batch * blocks * cut.of_x
    made = filters * ((2 * cut.of_w + 4) * k + cut.of_w * need.spectrum)
    between = np.dtype(problem.dtype).itemsize * batch * outputs * (problem.stride != (1,))
    bands = BAND_BYTES * (batch + blocks * 2 * cut.size // _BAND + 1)
    each = 2 * (cut.size + SKEW) * max(cut.of_x, cut.kept)
    return Space(8 * (made + need.table + norms) + between + bands + SLACK, 8 * each + SLACK)


@lru_cache(maxsize=4096)
def _cut(problem: Problem, x_bits: int, w_bits: int, spread: float) -> Digits | None:
    """Return the cheapest cut whose errors stay below a half; None if none fits into the room.

    Samples lie within -2^x_bits .. 2^x_bits - 1, taps alike. `spread` is what the product of two
    norms of digits is taken to be, relative to its largest value.
    """
    (n,), (k,), outputs, room = problem.signal, problem.filter, _span(problem), problem.room
    width = WIDTHS[signed(problem.dtype)]
    best, least = None, float("inf")
    size = smallest()
    while 2 * size < k + 16:
        size *= 2

    def fits(cut: Digits) -> bool:
        return room is None or _space(problem, cut).least <= room

    while fits(Digits(size, 0, 1, 1, 1)):
        blocks = _blocks(size, n, k, outputs)
        found = cheapest(size, k, width, x_bits, w_bits, spread, blocks, fits)
        if found is not None:
            taken = seconds(found, blocks)
            if taken <= least:  # Equal cost: the larger block.
                best, least = found, taken
        if best is not None and (blocks == 1 or size > 64 * k or size > 1 << 21):
            return best
        if size > 1 << 40:
            raise AssertionError("digits of three bits must suffice")
        size *= 2
    return best


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; nothing is left to others unless a proof should fail."""
    if operands.out.size == 0:
        return []
    if operands.x.size == 0:
        operands.out[...] = 0
        return []
    dtype = signed(problem.dtype)
    x, w = operands.x.view(dtype), operands.w.view(dtype)
    x_bits, w_bits = magnitude(x), magnitude(w)
    tried = None
    for spread in SPREADS:
        cut = _cut(problem, x_bits, w_bits, spread)
        if cut and cut != tried and _compute(problem, operands, x, w, cut):
            return []
        tried = cut
    return everything(problem)


def _compute(problem: Problem, operands: Operands, x: Any, w: Any, cut: Digits) -> bool:
    """Compute all outputs with one cut; return whether every block's errors are below a half."""
    (n,), (k,), (pad,), (stride,) = problem.signal, problem.filter, problem.pad, problem.stride
    outputs, batch, filters = _span(problem), problem.batch, len(w)
    plan = fft_tables.transform(cut.size, "float64")
    form = (plan.size, plan.top, plan.levels)
    spectra, weights = recall(
        operands.forms,
        ("limbs", x.dtype.name, cut.size, cut.bits, cut.of_w, k),
        lambda: _filters(w, plan, cut, operands.forms is not None),
        lambda made: int(made[0].nbytes),
    )
    blocks, step, first, shift = geometry.blocks(n, k, pad, outputs, 2 * cut.size)
    norms = np.empty((batch, blocks, cut.of_x))
    out = operands.out.view(x.dtype)
    if stride != 1:
        out = np.empty((batch, outputs), x.dtype)
    kernel, apart = load.kernel("limbs", x.dtype.name), cut.size + SKEW
    room = 2 * apart * max(cut.of_x, cut.kept)
    workers = operands.workers
    if problem.room is not None:
        workers = min(workers, _space(problem, cut).workers(problem.room))
    cutting = (apart, cut.of_x, cut.of_w, cut.kept, cut.bits, bias(cut.bits, cut.of_x))

    def some_blocks(row: int, lo: int, hi: int) -> None:
        kernel(
            x[row], spectra[row % filters], plan.table, scratch(room, np.float64), out[row],
            norms[row].reshape(-1), 1, 0, 0, 0, n, lo * step, min(outputs, hi * step), first, step,
            shift, lo, hi, *form, *cutting,
        )  # fmt: skip

    if batch == 1:
        bands = geometry.shares(blocks, max(1, _BAND // step), workers)
        threads.run(lambda lo, hi: some_blocks(0, lo, hi), bands, workers)
    else:

        def some_rows(lo: int, hi: int) -> None:
            for row in range(lo, hi):
                some_blocks(row, 0, blocks)

        bands = geometry.shares(batch, max(1, _BAND // outputs), workers)
        threads.run(some_rows, bands, workers)
    if stride != 1:
        operands.out.view(x.dtype)[...] = out[:, ::stride]
    return proven(np.sqrt(norms), weights, cut)


def _filters(w: Any, plan: fft_tables.Transform, cut: Digits, kept: bool) -> tuple[Any, Any]:
    """Return the spectra of each filter's digits, and the digits' norms."""
    digits, weights = taken_apart(w, cut)
    spectra = transformed(digits.reshape(-1, w.shape[1]), plan, kept)
    return spectra.reshape(len(w), -1), weights


PATH = Path(
    name="limbs",
    summary="whole numbers by transforms of their digits, exact",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    space=space,
)
