"""The kernel that sums in a stated order has the bits of that order, within its arrays."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_kernels_direct1d import HOST, LEVELS, built, fenced

from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")


@pytest.mark.parametrize("level", LEVELS)
def test_a_built_kernel_adds_in_order_within_its_arrays(level):
    run_script("built", level, NUMBA_OPT="0")


@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v2"])
def test_a_kernel_adds_in_order_without_the_jit(level):
    run_script("model", level, NUMBA_DISABLE_JIT="1")


def run_script(*args, **environment):
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path])
    result = subprocess.run(
        [sys.executable, __file__, *args],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, timeout=600,
    )
    assert result.returncode == 0, f"status {result.returncode}\n{result.stdout}{result.stderr}"


def textbook(x, w, at, first, second, width, singles, sign):
    """One row of outputs, each operation rounded by itself."""
    total = np.full(width, w[0])
    for t, tap in enumerate(w[1:]):
        term = x[at + first[t] : at + first[t] + width]
        if t >= singles:
            term = term + sign * x[at + second[t] : at + second[t] + width]
        total = total + term * tap
    return total


def draw(rng, size):
    values = rng.standard_normal(size) * 10.0 ** rng.integers(-3, 4, size)
    if rng.random() < 0.2:
        values[rng.random(size) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    return values


def check(function, rng, at_end):
    planes, rows = int(rng.integers(0, 3)), int(rng.integers(0, 4))
    width = int(rng.choice([0, 1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 100, 130, 300]))
    taps, reach = int(rng.integers(0, 9)), int(rng.integers(1, 20))
    singles, sign = int(rng.integers(0, taps + 1)), int(rng.choice([1, -1]))
    first, second = (rng.integers(0, reach, taps) for _ in range(2))
    x_row, out_row = width + reach - 1, width + int(rng.integers(0, 2))
    x_plane, out_plane = rows * x_row, rows * out_row
    x = fenced(draw(rng, max(planes * x_plane, 1)), at_end)
    w = fenced(np.r_[rng.choice([0.0, -0.0]), draw(rng, taps)], at_end)
    out = fenced(np.full(planes * out_plane, 3.0), at_end)
    first, second = (fenced(offsets, at_end) for offsets in (first, second))
    with np.errstate(all="ignore"):
        function(x, w, out, first, second, planes, rows, width, x_plane, x_row, out_plane, out_row,
                 singles, taps, sign)
        for p in range(planes):
            for r in range(rows):
                at, goal = p * x_plane + r * x_row, p * out_plane + r * out_row
                want = textbook(x, w, at, first, second, width, singles, sign)
                got = out[goal : goal + width]
                assert np.array_equal(got, want, equal_nan=True), f"width {width}, {taps} taps"
                numbers = ~np.isnan(want)
                assert np.array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))
                assert np.all(out[goal + width : goal + out_row] == 3.0), "a gap was written to"


def main(mode, level):
    rng = np.random.default_rng(5)
    if mode == "model":
        from fastconv.kernels.ordered import make_ordered

        function, times = make_ordered(TARGETS[level], "float64"), 100
    else:
        function, times = built("ordered", level, "float64"), 800
    for j in range(times):
        check(function, rng, j % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:] or ("built", HOST))
