"""The separable kernel equals two textbook passes at every level, within its arrays."""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, built, disagreement, draw, fenced, lower
from test_kernels_direct2d import RULES, source_map

from fastconv.kernels import KERNELS
from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")

CASES = [(HOST, dtype) for dtype in KERNELS["separable"].dtypes]
CASES += [(level, "float32") for level in lower(0)]


@pytest.mark.parametrize(("level", "dtype"), CASES)
def test_a_built_kernel_is_two_textbook_passes_within_its_arrays(level, dtype):
    run_apart(main, "built", level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_the_kernel_is_two_textbook_passes_without_the_jit(dtype):
    run_apart(main, "model", "x86-64-v3", dtype, NUMBA_DISABLE_JIT="1")


def extended(x, maps, fill):
    """The image continued by its index maps, -1 being the fill value."""
    padded = np.pad(x, ((0, 1), (0, 1)), constant_values=fill)
    rows, columns = maps
    outside = (rows < 0)[:, None] | (columns < 0)[None, :]
    return np.where(outside, fill, padded[rows[:, None], columns[None, :]]).astype(x.dtype)


def textbook(x, factors, shape, maps, fill):
    """Sum over ranks of the column pass and the row pass, and the sum of magnitudes."""
    image = extended(x, maps, fill)
    out, size = np.zeros(shape, x.dtype), np.zeros(shape)
    for down, across in zip(*factors, strict=True):
        first = np.zeros((shape[0], image.shape[1]), x.dtype)
        for u, tap in enumerate(down):
            first += image[u : u + shape[0]] * tap
        for v, tap in enumerate(across):
            out += first[:, v : v + shape[1]] * tap
        magnitude = np.abs(np.outer(down.astype("d"), across.astype("d")))
        for u, v in np.ndindex(*magnitude.shape):
            part = image[u : u + shape[0], v : v + shape[1]]
            size += np.abs(part.astype("d")) * magnitude[u, v]
    return out, size


def check(function, dtype, rng, at_end, small):
    n = tuple(int(rng.choice([1, 2, 5, 7, 8, 9, 17, 40, 130][: 6 if small else 9])) for _ in "rc")
    k = tuple(int(rng.choice([1, 2, 3, 5, 9, 16, 17, 33][: 4 if small else 8])) for _ in "rc")
    pad = tuple(int(rng.choice([0, t // 2, t - 1])) for t in k)
    shape = tuple(max(a + 2 * p - t + 1, 0) for a, p, t in zip(n, pad, k, strict=True))
    begin = int(rng.integers(0, shape[0] + 1)) if rng.random() < 0.3 else 0
    rule, rank = str(rng.choice(RULES)), int(rng.integers(1, 4))
    x = fenced(draw(rng, dtype, n[0] * n[1]), at_end)
    factors = [draw(rng, dtype, rank * t) for t in k]
    for f in factors:
        if f.dtype.kind == "f":
            f[~np.isfinite(f)] = 1
    fill = fenced(np.zeros(1, dtype) if rule == "zero" else draw(rng, dtype, 1), at_end)
    maps = [source_map(rule, -p, m + t - 1 if m else 0, a).astype(np.int64)
            for p, m, t, a in zip(pad, shape, k, n, strict=True)]
    blank = draw(rng, dtype, shape[0] * shape[1])
    out, wild = fenced(blank, at_end), fenced(np.full(shape[0], 7), at_end)
    work = fenced(draw(rng, dtype, 8 * (2 * shape[1] + k[1] + 128) + (8 + k[0]) * (n[1] + 128)),
                  at_end)
    case = (dtype, n, k, pad, rule, rank, begin)
    with np.errstate(all="ignore"):
        function(x, *(fenced(f, at_end) for f in factors), out, work,
                 *(fenced(m, at_end) for m in maps), fill, wild,
                 n[1], shape[1], n[1], rank, *k, begin, shape[0], shape[1], pad[1])
        parts = [f.reshape(rank, -1) for f in factors]
        want, size = textbook(x.reshape(n), parts, shape, maps, fill[0])
    got, old = out.reshape(shape), blank.reshape(shape)
    problem = disagreement(got[begin:], want[begin:], size[begin:], rank * sum(k))
    assert not problem, f"{problem}: {case}"
    assert np.array_equal(got[:begin], old[:begin], equal_nan=got.dtype.kind == "f"), case
    if shape[1]:
        finite = np.isfinite(got[begin:]).all(axis=1)
        assert np.array_equal(wild[begin:], ~finite), case
        assert (wild[:begin] == 7).all(), case


def main(mode, level, dtype):
    rng = np.random.default_rng(2024)
    if mode == "model":
        from fastconv.kernels.separable2d import make_separable

        function, cases = make_separable(TARGETS[level], dtype), 25
    else:
        function, cases = built("separable", level, dtype), 300
    for turn in range(cases):
        check(function, dtype, rng, turn % 2 == 0, mode == "model")


if __name__ == "__main__":
    main(*sys.argv[1:])
