"""Exact convolution of whole numbers through transforms of their digits, proven for each block."""

from __future__ import annotations

from functools import lru_cache
from math import log2
from typing import Any, NamedTuple

import numpy as np

from .. import geometry
from ..forms import recall
from ..path import Box, Guarantee, Operands, Path, Work, everything
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import fft_tables

WIDTHS = {"int64": 64, "int32": 32, "int16": 16, "int8": 8}
# The bound on the error of a sum of digit products must stay below this: half a unit, less what
# second-order terms and the rounding of the bound itself may add.
_HALF = 0.499
# Digits of random numbers are spread evenly: two such norms have a third of the largest product.
# That much is tried first; the norms that the kernel reports decide whether it was right.
_SPREADS = (0.36, 1.0)
# Nanoseconds per complex point of one transform of M points and of one product of spectra; the
# optimum is flat (one core of an AMD Zen 5 server CPU with AVX-512, 2026-11, numba 0.68.1).
_TRANSFORM_COSTS = {1: 0.5, 1024: 0.62, 4096: 0.8, 16384: 1.1, 65536: 1.35, 1 << 18: 2.2}
_PRODUCT_COSTS = {1: 0.25, 4096: 0.3, 16384: 0.45, 65536: 0.8}
_SPECTRUM_COST = 1.5
# Complex points between the members of a bundle, beyond M: powers of two would share their sets.
_SKEW = 64
_BAND = 1 << 16


class Digits(NamedTuple):
    """How numbers are cut and transformed: blocks of 2 `size` samples, digits of `bits` bits."""

    size: int
    bits: int
    of_x: int
    of_w: int
    kept: int

    @property
    def products(self) -> int:
        """Products of spectra in one block."""
        pairs = range(self.kept)
        return sum(min(c, self.of_x - 1) - max(0, c - self.of_w + 1) + 1 for c in pairs)


def supports(problem: Problem) -> str:
    """Return "" or why the blocks cannot serve."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if _signed(problem.dtype) not in WIDTHS:
        return f"whole numbers only, not {problem.dtype}"
    if problem.ndim != 1:
        return "one axis only"
    if problem.boundary != ("zero",):
        return "zeros outside only"
    if problem.dilation != (1,):
        return "no dilation"
    return ""


def _signed(dtype: str) -> str:
    """Return the signed dtype of the same bits: sums of products wrap alike."""
    return dtype[1:] if dtype.startswith("uint") else dtype


def guarantee(problem: Problem) -> Guarantee:
    """Return exact: every rounded sum is proven to be nearest to the right whole number."""
    return "exact"


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the transform of the filter's digits and the loop over blocks."""
    return (("spectrum", "float64"), ("limbs", _signed(problem.dtype)))


def _span(problem: Problem) -> int:
    """Return how many outputs there are before a stride keeps some of them."""
    return (problem.output[0] - 1) * problem.stride[0] + 1


def work(problem: Problem) -> Work:
    """Return the transforms of all digits for numbers that use the whole range of their dtype."""
    (n,), (k,), outputs = problem.signal, problem.filter, _span(problem)
    if outputs < 1:
        return Work(calls=0)
    width = WIDTHS[_signed(problem.dtype)]
    cut = _cut(n, k, outputs, width, width - 1, width - 1, _SPREADS[0])
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


@lru_cache(maxsize=4096)
def _cut(
    n: int, k: int, outputs: int, width: int, x_bits: int, w_bits: int, spread: float
) -> Digits:
    """Return the cheapest cut whose errors stay below a half.

    Samples lie within -2^x_bits .. 2^x_bits - 1, taps alike. `spread` is what the product of two
    norms of digits is taken to be, relative to its largest value.
    """
    best, least = None, float("inf")
    size = fft_tables.sizes("float64", 256)[0]
    while size & (size - 1) or 2 * size < k + 16:
        size *= 2
    while True:
        blocks = _blocks(size, n, k, outputs)
        for bits in range(26, 2, -1):
            cut = _digits(size, bits, width, x_bits, w_bits)
            # The largest product of two digits, and how many of them meet.
            norms = spread * 4.0 ** (bits - 1) * (2.0 * size * k) ** 0.5
            pairs = min(cut.of_x, cut.of_w)
            if constant(size, pairs) * pairs * norms < _HALF:
                seconds = _seconds(cut, blocks)
                if seconds <= least:  # Equal cost: the fewest bits, the smallest error.
                    best, least = cut, seconds
        if best is not None and (blocks == 1 or size > 64 * k or size > 1 << 21):
            return best
        if size > 1 << 40:
            raise AssertionError("digits of three bits must suffice")
        size *= 2


def _digits(size: int, bits: int, width: int, x_bits: int, w_bits: int) -> Digits:
    of_x, of_w = (_count(bits, width, b) for b in (x_bits, w_bits))
    return Digits(size, bits, of_x, of_w, min(-(-width // bits), of_x + of_w - 1))


def _count(bits: int, width: int, magnitude: int) -> int:
    """Return how many digits hold -2^magnitude .. 2^magnitude - 1, modulo 2^width at most."""
    count, reach = 1, (1 << (bits - 1)) - 1
    while reach < (1 << magnitude) - 1 and bits * count < width:
        reach += ((1 << (bits - 1)) - 1) << (bits * count)
        count += 1
    return count


def constant(size: int, pairs: int) -> float:
    """Return the factor of the error bound: see the kernel ``limbs``."""
    return float((9 * (1 + log2(size)) + 6 * pairs) * np.finfo(np.float64).eps)


def _seconds(cut: Digits, blocks: int) -> float:
    transform = _at(_TRANSFORM_COSTS, cut.size) * (cut.of_x + cut.kept)
    product = _at(_PRODUCT_COSTS, cut.size) * cut.products
    return cut.size * (blocks * (transform + product) + _SPECTRUM_COST * cut.of_w)


def _at(table: dict[int, float], size: int) -> float:
    return table[max(known for known in table if known <= size)]


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs; nothing is left to others unless a proof should fail."""
    if operands.out.size == 0:
        return []
    if operands.x.size == 0:
        operands.out[...] = 0
        return []
    (n,), (k,), outputs = problem.signal, problem.filter, _span(problem)
    dtype = _signed(problem.dtype)
    x, w = operands.x.view(dtype), operands.w.view(dtype)
    ranges = (WIDTHS[dtype], _magnitude(x), _magnitude(w))
    tried = None
    for spread in _SPREADS:
        cut = _cut(n, k, outputs, *ranges, spread)
        if cut != tried and _compute(problem, operands, x, w, cut):
            return []
        tried = cut
    return everything(problem)


def _magnitude(numbers: Any) -> int:
    """Return the least m such that all numbers lie within -2^m .. 2^m - 1."""
    return max(int(numbers.max()).bit_length(), (-1 - int(numbers.min())).bit_length())


def _compute(problem: Problem, operands: Operands, x: Any, w: Any, cut: Digits) -> bool:
    """Compute all outputs with one cut; return whether every block's errors are below a half."""
    (n,), (k,), (pad,), (stride,) = problem.signal, problem.filter, problem.pad, problem.stride
    outputs, batch, filters = _span(problem), problem.batch, len(w)
    plan = fft_tables.transform(cut.size, "float64")
    form = (plan.size, plan.top, plan.levels)
    spectra, weights = recall(
        operands.forms,
        ("limbs", x.dtype.name, cut.size, cut.bits, cut.of_w),
        lambda: _filter(w, plan, cut),
        lambda made: int(made[0].nbytes),
    )
    blocks = _blocks(cut.size, n, k, outputs)
    if blocks == 1 and n + k - 1 <= 2 * cut.size and 0 <= pad < k:
        # The whole signal and its tail fit into one block: nothing wraps, its head is good too.
        step, first, shift = outputs, pad - k + 1, k - 1 - pad
    else:
        step, first, shift = 2 * cut.size - k + 1, 1 - k, k - 1 - pad
        blocks = -(-outputs // step)
    norms = np.empty((batch, blocks, cut.of_x))
    out = operands.out.view(x.dtype)
    if stride != 1:
        out = np.empty((batch, outputs), x.dtype)
    kernel, apart = load.kernel("limbs", x.dtype.name), cut.size + _SKEW
    room = 2 * apart * max(cut.of_x, cut.kept)
    cutting = (apart, cut.of_x, cut.of_w, cut.kept, cut.bits, _bias(cut.bits, cut.of_x))

    def some_blocks(row: int, lo: int, hi: int) -> None:
        kernel(
            x[row], spectra[row % filters], plan.table, scratch(room, np.float64), out[row],
            norms[row].reshape(-1), 1, 0, 0, 0, n, lo * step, min(outputs, hi * step), first, step,
            shift, lo, hi, *form, *cutting,
        )  # fmt: skip

    if batch == 1:
        bands = geometry.bands(blocks, max(1, _BAND // step))
        threads.run(lambda lo, hi: some_blocks(0, lo, hi), bands, operands.workers)
    else:

        def some_rows(lo: int, hi: int) -> None:
            for row in range(lo, hi):
                some_blocks(row, 0, blocks)

        bands = geometry.bands(batch, max(1, _BAND // outputs))
        threads.run(some_rows, bands, operands.workers)
    if stride != 1:
        operands.out.view(x.dtype)[...] = out[:, ::stride]
    return _proven(np.sqrt(norms), weights, cut)


def _bias(bits: int, count: int) -> int:
    """Return the sum of half units of the digits, wrapped to a signed 64-bit integer."""
    total = sum(1 << (bits * a + bits - 1) for a in range(count)) % (1 << 64)
    return total - (1 << 64) if total >> 63 else total


def _filter(w: Any, plan: fft_tables.Transform, cut: Digits) -> tuple[Any, Any]:
    """Return the spectra of the filters' digits and the digits' norms."""
    filters, k = w.shape
    with np.errstate(over="ignore"):
        biased = (w.astype(np.int64) + np.int64(_bias(cut.bits, cut.of_w))).view(np.uint64)
    digits = np.empty((filters, cut.of_w, k))
    for b in range(cut.of_w):
        part = (biased >> np.uint64(cut.bits * b)) & np.uint64((1 << cut.bits) - 1)
        digits[:, b] = part
    digits -= 2.0 ** (cut.bits - 1)
    spectra = np.empty((filters, cut.of_w * plan.spectrum_length))
    load.kernel("spectrum", "float64")(
        digits.reshape(-1), spectra.reshape(-1), plan.table, scratch(plan.scratch_length, "f8"),
        filters * cut.of_w, k, k, 0, plan.size, plan.top, plan.levels,
    )  # fmt: skip
    return spectra, np.sqrt(np.square(digits).sum(axis=2))


def _proven(norms: Any, weights: Any, cut: Digits) -> bool:
    """Return whether the bound on every rounded sum's error is below a half."""
    for c in range(cut.kept):
        pairs = range(max(0, c - cut.of_w + 1), min(c, cut.of_x - 1) + 1)
        # (signals, blocks): filters are as many as signals, or one.
        total = sum(norms[:, :, a] * weights[:, c - a, None] for a in pairs)
        if not constant(cut.size, len(pairs)) * float(np.max(total)) < _HALF:
            return False
    return True


PATH = Path(
    name="limbs",
    summary="whole numbers by transforms of their digits, exact",
    local=False,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
