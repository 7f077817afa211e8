"""Whole numbers as digits for transforms: how they are cut, what that costs, and the proof.

Digits to the base 2^bits are balanced, -2^(bits-1) .. 2^(bits-1) - 1, so that their products add up
to small sums; see the kernel ``limbs`` and decision 13.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import log2
from typing import Any

import numpy as np

from ..records import NamedTuple
from ..runtime import load
from ..runtime.scratch import scratch
from ..runtime.target import host_target
from . import fft_tables

# Costs of a transform and of a product from so many points on, and of a spectrum.
_Costs = tuple[dict[int, float], dict[int, float], float]

WIDTHS = {"int64": 64, "int32": 32, "int16": 16, "int8": 8}
# The bound on the error of a sum of digit products must stay below this: half a unit, less what
# second-order terms and the rounding of the bound itself may add.
_HALF = 0.499
# Digits of random numbers are spread evenly: two such norms have a third of the largest product.
# That much is tried first; the norms that the kernel reports decide whether it was right.
SPREADS = (0.36, 1.0)
# Nanoseconds per complex point of one transform of M points, of one product of spectra, and of a
# filter's spectrum; the optimum is flat (one core of an AMD Zen 5 server CPU with AVX-512, 2026-11,
# numba 0.68.1).
_COSTS: _Costs = (
    {1: 0.5, 1024: 0.62, 4096: 0.8, 16384: 1.1, 65536: 1.35, 1 << 18: 2.2},
    {1: 0.25, 4096: 0.3, 16384: 0.45, 65536: 0.8},
    1.5,
)
# The same for AVX2, fitted to 1 to 5 digits at every size on one core of an AMD Zen 3 server CPU
# (2026-11), scaled to the reference at M = 1024, where a transform takes 13 cycles per point.
_COSTS_AVX2: _Costs = (
    {
        1: 0.85, 128: 0.72, 256: 0.62, 2048: 0.72, 4096: 0.78, 8192: 0.84, 16384: 0.88,
        32768: 0.92, 65536: 1.0, 131072: 1.25, 1 << 18: 1.5,
    },
    {1: 0.1, 16384: 0.15, 32768: 0.2, 65536: 0.25, 131072: 0.3},
    1.0,
)  # fmt: skip
_OF_TARGET = {"x86-64-v3": _COSTS_AVX2}
# Complex points between the members of a bundle, beyond M: powers of two would share their sets.
SKEW = 64


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


def smallest() -> int:
    """Return the points of the smallest block: blocks are powers of two."""
    size = fft_tables.sizes("float64", 256)[0]
    while size & (size - 1):
        size *= 2
    return size


def cheapest(
    size: int, taps: int, width: int, x_bits: int, w_bits: int, spread: float, blocks: int = 1,
    fits: Callable[[Digits], bool] = lambda cut: True,
) -> Digits | None:  # fmt: skip
    """Return the cheapest digits for blocks of 2 `size` samples whose errors stay below a half.

    Samples lie within -2^x_bits .. 2^x_bits - 1, taps alike. `spread` is what the product of two
    norms of digits is taken to be, relative to its largest value. `fits` tells those that there is
    room for. None where none will do.
    """
    best, least = None, float("inf")
    for bits in range(26, 2, -1):
        cut = _digits(size, bits, width, x_bits, w_bits)
        # The largest product of two digits, and how many of them meet.
        norms = spread * 4.0 ** (bits - 1) * (2.0 * size * taps) ** 0.5
        pairs = min(cut.of_x, cut.of_w)
        if constant(size, pairs) * pairs * norms < _HALF and fits(cut):
            taken = seconds(cut, blocks)
            if taken <= least:  # Equal cost: the fewest bits, the smallest error.
                best, least = cut, taken
    return best


def signed(dtype: str) -> str:
    """Return the signed dtype of the same bits: sums of products wrap alike."""
    return dtype[1:] if dtype.startswith("uint") else dtype


@lru_cache(maxsize=1 << 14)
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


def seconds(cut: Digits, blocks: int) -> float:
    """Return what a signal of so many blocks takes, relative to other cuts."""
    block, spectra = _parts(cut)
    return cut.size * (blocks * block + spectra)


@lru_cache(maxsize=1 << 14)
def _parts(cut: Digits) -> tuple[float, float]:
    """Return what a point of one block takes, and what a point of the filter does."""
    transforms, products, spectrum = _OF_TARGET.get(host_target().name, _COSTS)
    transform = _at(transforms, cut.size) * (cut.of_x + cut.kept)
    product = _at(products, cut.size) * cut.products
    return transform + product, spectrum * cut.of_w


def _at(table: dict[int, float], size: int) -> float:
    return table[max(known for known in table if known <= size)]


def magnitude(numbers: Any) -> int:
    """Return the least m such that all numbers lie within -2^m .. 2^m - 1."""
    return max(int(numbers.max()).bit_length(), (-1 - int(numbers.min())).bit_length())


def bias(bits: int, count: int) -> int:
    """Return the sum of half units of the digits, wrapped to a signed 64-bit integer."""
    total = sum(1 << (bits * a + bits - 1) for a in range(count)) % (1 << 64)
    return total - (1 << 64) if total >> 63 else total


def taken_apart(w: Any, cut: Digits) -> tuple[Any, Any]:
    """Return the filters' digits, shape (filters, of_w, taps), and their norms."""
    filters, k = w.shape
    with np.errstate(over="ignore"):
        biased = (w.astype(np.int64) + np.int64(bias(cut.bits, cut.of_w))).view(np.uint64)
    digits = scratch(filters * cut.of_w * k, "f8", "digits").reshape(filters, cut.of_w, k)
    for b in range(cut.of_w):
        part = (biased >> np.uint64(cut.bits * b)) & np.uint64((1 << cut.bits) - 1)
        digits[:, b] = part
    digits -= 2.0 ** (cut.bits - 1)
    return digits, np.sqrt(np.einsum("fbt,fbt->fb", digits, digits))


def transformed(rows: Any, plan: fft_tables.Transform, kept: bool) -> Any:
    """Return the spectra of rows of digits, end to end; `kept`: in memory of their own.

    Fresh pages would cost as much as the transform.
    """
    count, k = rows.shape
    length = count * plan.spectrum_length
    spectra = np.empty(length) if kept else scratch(length, "f8", "spectra")
    load.kernel("spectrum", "float64")(
        rows.reshape(-1), spectra, plan.table, scratch(plan.scratch_length, "f8"),
        count, k, k, 0, plan.size, plan.top, plan.levels,
    )  # fmt: skip
    return spectra


def proven(norms: Any, weights: Any, cut: Digits) -> bool:
    """Return whether the bound on every rounded sum's error is below a half."""
    for c in range(cut.kept):
        pairs = range(max(0, c - cut.of_w + 1), min(c, cut.of_x - 1) + 1)
        # (signals, blocks): filters are as many as signals, or one.
        total = sum(norms[:, :, a] * weights[:, c - a, None] for a in pairs)
        if not constant(cut.size, len(pairs)) * float(np.max(total)) < _HALF:
            return False
    return True
