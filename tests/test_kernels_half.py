"""float16 is summed in float32 and rounded once, within its arrays, at every instruction set.

Like `test_kernels_direct1d`, whose guard pages it uses: each case is a process of its own.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from apart import run_apart

import fastconv

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_kernels_direct1d import HOST, LEVELS, built, disagreement, fenced

HALF = np.float16
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 6e-8, -6e-8, 6.1e-5, 6.104e-5, 65504, -65504, np.inf, -np.inf, np.nan],
    HALF,
)


@pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")
@pytest.mark.parametrize("level", LEVELS)
def test_the_built_kernel_is_the_definition_within_its_arrays(level):
    run_apart(main, "built", level, NUMBA_OPT="0")


def test_the_kernel_is_the_definition_without_the_jit():
    run_apart(main, "model", HOST, NUMBA_DISABLE_JIT="1")


def test_every_half_survives_a_filter_of_one():
    everything = np.arange(1 << 16, dtype=np.uint16).view(HALF)
    got = fastconv.convolve(everything, np.ones(1, HALF))
    np.testing.assert_array_equal(got, everything)


def test_sums_are_not_rounded_before_they_are_whole():
    # 2048 + 1 is 2048 in float16: a loop that rounds in between stops there.
    got = fastconv.convolve(np.ones(5000, HALF), np.ones(5000, HALF))
    np.testing.assert_array_equal(got, np.r_[1:5001, 4999:0:-1].astype(HALF))


def draw(rng, size):
    values = rng.standard_normal(size).astype(HALF)
    kind = rng.integers(4)
    if kind == 0 and size:
        values[rng.integers(0, size, 1 + size // 40)] = rng.choice(SPECIAL)
    elif kind == 1:
        values *= HALF(3e-4)  # Products and sums among the subnormal numbers.
    return values


def textbook(x, w, m, pad):
    out, size = np.zeros(m, np.float32), np.zeros(m)
    x, w = x.astype(np.float32), w.astype(np.float32)
    with np.errstate(all="ignore"):
        for ahead, tap in zip(range(pad, pad - len(w), -1), w, strict=True):
            first, last = max(0, ahead), min(m, len(x) + ahead)
            if first < last:  # These outputs have a sample under this tap.
                products = x[first - ahead : last - ahead] * tap
                out[first:last] += products
                size[first:last] += np.abs(products)
        return out.astype(HALF), size


def check(function, rng, n, k, rows, pad, m, at_end):
    x, w = (fenced(draw(rng, rows * size).view(np.int16), at_end) for size in (n, k))
    out = fenced(np.full(rows * m, 3, np.int16), at_end)
    with np.errstate(all="ignore"):
        function(x, w, out, rows, n, k, m, n, k, m, 1, 1, pad)
    for b in range(rows):
        taps, samples = (a.view(HALF)[b * s : (b + 1) * s] for a, s in ((w, k), (x, n)))
        want, size = textbook(samples, taps, m, pad)
        got = out.view(HALF)[b * m : (b + 1) * m]
        # The last place of float16, and what float32 sums may differ by in another order.
        near = np.abs(got - want.astype(np.float64)) <= (
            np.spacing(np.abs(want)).astype(np.float64) + (k + 4) * 2.0**-23 * size
        )
        tame = np.isfinite(want) & np.isfinite(got)
        assert not disagreement(got[~tame], want[~tame], size[~tame], k) and near[tame].all(), (
            f"row {b} of {rows}, n {n}, k {k}, pad {pad}, m {m}"
        )


def main(mode, level):
    rng = np.random.default_rng(7)
    if mode == "model":
        from fastconv.kernels.direct1d_half import make_half_rows
        from fastconv.runtime.target import TARGETS

        function, tries = make_half_rows(TARGETS[level], "float16"), 40
        sizes, lengths = (0, 1, 2, 15, 17, 100, 1100), (1, 2, 3, 8, 17, 40)
    else:
        function, tries = built("half_rows", level, "float16"), 400
        sizes = (0, 1, 2, 7, 15, 16, 17, 33, 100, 520, 1023, 1024, 1025, 2300)
        lengths = (1, 2, 3, 5, 16, 17, 31, 64, 511, 512, 513, 1030)
    for j in range(tries):
        n, k = int(rng.choice(sizes)), int(rng.choice(lengths))
        pad = int(rng.choice([0, k - 1, k // 2, -2]))
        usual = max(0, n + 2 * pad - k + 1)
        m = int(rng.choice([usual, usual, n, 1, 0, n + 30]))
        check(function, rng, n, k, int(rng.integers(1, 4)), pad, m, j % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
