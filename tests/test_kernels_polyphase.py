"""The polyphase kernel equals the textbook loop of each phase at every level, within its arrays."""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, LEVELS, built, disagreement, draw, fenced, textbook

from fastconv.kernels import KERNELS
from fastconv.paths import polyphase as path
from fastconv.problem import Problem
from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")

CASES = [(HOST, dtype) for dtype in KERNELS["polyphase"].dtypes]
CASES += [(level, dtype) for level in LEVELS if level != HOST for dtype in ("float32",)]


@pytest.mark.parametrize(("level", "dtype"), CASES)
def test_a_built_kernel_is_the_textbook_loop_of_each_phase_within_its_arrays(level, dtype):
    run_apart(main, "built", level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_the_kernel_is_the_textbook_loop_of_each_phase_without_the_jit(dtype):
    run_apart(main, "model", "x86-64-v3", dtype, NUMBA_DISABLE_JIT="1")


def check(function, dtype, rng, step, at_end, small):
    n = int(rng.choice([1, 2, 7, 30, 100, 500][: 4 if small else 6]))
    k = int(rng.choice([1, 2, 5, 16, 41, 130][: 4 if small else 6]))
    up, stride = int(rng.choice([1, 2, 3, 4, 7])), int(rng.choice([1, 2, 3, 5, 9]))
    pad = int(rng.choice([0, k - 1, k // 2, -3, k + 4]))
    m = int(rng.choice([0, 1, max(0, (n * up + pad - k) // stride + 1), n * up // stride + 3]))
    problem = Problem(dtype, 1, True, (n,), (k,), (m,), (stride,), (1,), (pad,), ("zero",), up=up)
    layout = path._layout(problem)
    groups = -(-m // layout.phases)
    start, stop = sorted(int(v) for v in rng.integers(0, groups + 1, 2))
    if rng.random() < 0.5:
        start, stop = 0, groups
    # Many short rows lie side by side in one tile.
    rows, width = int(rng.choice([1, 2, 9])), step * int(rng.choice([1, 2]))
    pitch = width + layout.reach
    x, w = draw(rng, dtype, rows * n), draw(rng, dtype, k)
    blank = draw(rng, dtype, rows * m)
    out = fenced(blank, at_end)
    work = fenced(draw(rng, dtype, layout.stride * pitch + layout.phases * width), at_end)
    tables = (fenced(t, at_end) for t in (layout.table, layout.heads))
    case = (dtype, n, k, m, up, stride, pad, start, stop, width)
    with np.errstate(all="ignore"):
        function(fenced(x, at_end), fenced(w[layout.order], at_end), out, work, *tables, rows, n,
                 m, n, len(layout.order), m, layout.stride, layout.phases, layout.first,
                 layout.reach, layout.lo, layout.hi, start, stop, width, pitch)
    begin, end = min(m, start * layout.phases), min(m, stop * layout.phases)
    for b in range(rows):
        want, size = blank[b * m : (b + 1) * m].copy(), np.zeros(m)
        with np.errstate(all="ignore"):
            for first, every, taps, part in problem.phases():
                want[first::every], size[first::every] = textbook(
                    x[b * n : (b + 1) * n], w[taps], *part.output, *part.stride, 1, *part.pad
                )
        got = out[b * m : (b + 1) * m]
        wrong = disagreement(got[begin:end], want[begin:end], size[begin:end], k)
        assert not wrong, f"{wrong}: {case}"
        for outside in (slice(0, begin), slice(end, m)):
            old = blank[b * m : (b + 1) * m][outside]
            assert np.array_equal(got[outside], old, equal_nan=True), case


def main(mode, level, dtype):
    rng = np.random.default_rng(2024)
    from fastconv.kernels.polyphase import make_polyphase, stretch

    if mode == "model":
        function, cases = make_polyphase(TARGETS[level], dtype), 40
    else:
        function, cases = built("polyphase", level, dtype), 400
    for turn in range(cases):
        step = stretch(TARGETS[level], dtype)
        check(function, dtype, rng, step, turn % 2 == 0, mode == "model")


if __name__ == "__main__":
    main(*sys.argv[1:])
