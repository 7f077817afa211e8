"""The loops that move numbers equal their definition, within their arrays.

As in test_kernels_direct1d: each case is a process of its own, on arrays beside guard pages.
"""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, built, fenced, lower

from fastconv.kernels import KERNELS
from fastconv.runtime.target import TARGETS

NAMES = ("strided_copy", "unfold", "fold")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")
CASES = [(HOST, name, dtype) for name in NAMES for dtype in KERNELS[name].dtypes]
CASES += [(level, name, "int32") for j, name in enumerate(NAMES) for level in lower(j)]


@pytest.mark.parametrize(("level", "name", "dtype"), CASES)
def test_a_built_kernel_is_its_definition_within_its_arrays(level, name, dtype):
    run_apart(main, "built", name, level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v3"])
def test_a_kernel_is_its_definition_without_the_jit(name, level):
    run_apart(main, "model", name, level, "int32", NUMBA_DISABLE_JIT="1")


def draw(rng, dtype, size):
    return rng.integers(-50, 50, size).astype(dtype)


def check_strided_copy(function, dtype, rng, at_end):
    shape = (*(int(n) for n in rng.choice([1, 1, 2, 3], 5)), int(rng.choice([1, 3, 17, 70])))
    if rng.integers(10) == 0:
        shape = (*shape[:2], 0, *shape[3:])
    # Axes in any order, some backwards, with gaps between the elements; in x some not moving.
    views = []
    for still in (True, False):
        order, gaps = rng.permutation(6), [int(n) for n in rng.choice([1, 1, 2], 6)]
        steps, step = np.zeros(6, int), 1
        for axis, gap in zip(order, gaps, strict=True):
            steps[axis] = step * gap
            step *= gap * max(shape[axis], 1)
        back = rng.integers(0, 4, 6) == 0
        if still:
            steps[rng.integers(0, 5, 6) == 0] = 0
        first = sum(int(s) * (n - 1) for s, n, b in zip(steps, shape, back, strict=True) if b and n)
        views.append((first, np.where(back, -steps, steps), step))
    (x_at, x_steps, x_size), (at, steps, size) = views
    x, out = fenced(draw(rng, dtype, x_size), at_end), fenced(draw(rng, dtype, size), at_end)
    want = out.copy()
    function(x, out, x_at, at, *shape, *(int(s) for s in x_steps), *(int(s) for s in steps))
    for j in np.ndindex(shape):
        want[at + np.dot(j, steps)] = x[x_at + np.dot(j, x_steps)]
    assert np.array_equal(out, want)


def windows(rng):
    """Planes, lengths, size, windows per axis, stride, dilation, padding."""
    k, s, d = (rng.integers(1, 4, 2) for _ in range(3))
    p = rng.integers(0, 3, 2)
    span = (k - 1) * d + 1
    n = np.maximum(span - 2 * p, 1) + rng.choice([0, 1, 5, 20], 2)
    m = (n + 2 * p - span) // s + 1
    return [int(rng.integers(0, 3)), *(int(v) for f in (n, k, m, s, d, p) for v in f)]


def meeting(counts):
    """Yield (where in the windows, where in the planes) of all samples that lie inside."""
    planes, n0, n1, k0, k1, m0, m1, s0, s1, d0, d1, p0, p1 = counts
    for b, u, v, i, j in np.ndindex(planes, k0, k1, m0, m1):
        row, column = i * s0 + u * d0 - p0, j * s1 + v * d1 - p1
        if 0 <= row < n0 and 0 <= column < n1:
            yield (b, u, v, i, j), (b, row, column)


def check_unfold(function, dtype, rng, at_end):
    counts = windows(rng)
    planes, n0, n1, k0, k1, m0, m1 = counts[:7]
    x = fenced(draw(rng, dtype, planes * n0 * n1), at_end)
    out = fenced(draw(rng, dtype, planes * k0 * k1 * m0 * m1), at_end)
    want = np.zeros((planes, k0, k1, m0, m1), dtype)
    function(x, out, fenced(np.zeros(1, dtype), at_end), *counts)
    for window, sample in meeting(counts):
        want[window] = x.reshape(planes, n0, n1)[sample]
    assert np.array_equal(out, want.reshape(-1)), counts


def check_fold(function, dtype, rng, at_end):
    counts = windows(rng)
    planes, n0, n1, k0, k1, m0, m1 = counts[:7]
    x = fenced(draw(rng, dtype, planes * k0 * k1 * m0 * m1), at_end)
    out = fenced(draw(rng, dtype, planes * n0 * n1), at_end)
    want = np.zeros((planes, n0, n1), dtype)
    function(x, out, fenced(np.zeros(1, dtype), at_end), *counts)
    with np.errstate(over="ignore"):
        for window, sample in meeting(counts):
            want[sample] += x.reshape(planes, k0, k1, m0, m1)[window]
    assert np.array_equal(out, want.reshape(-1)), counts


def main(kind, name, level, dtype):
    import importlib

    if kind == "built":
        function = built(name, level, dtype)
    else:
        module = importlib.import_module(f"fastconv.kernels.{KERNELS[name].module}")
        function = getattr(module, f"make_{name}")(TARGETS[level], dtype)
    rng = np.random.default_rng(0)
    for trial in range(100 if kind == "built" else 12):
        globals()[f"check_{name}"](function, dtype, rng, trial % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
