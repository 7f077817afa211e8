"""The kernel that sums in a stated order has the bits of that order, within its arrays."""

import os
import sys
from importlib import import_module

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, LEVELS, built, fenced

from fastconv import geometry
from fastconv.kernels import KERNELS
from fastconv.paths import ordered
from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")


# One dtype of each way to convert: the others differ by a width.
LINES = ("float64", "float32", "uint8", "uint32", "int64")
CASES = [(level, "ordered", "float64") for level in LEVELS]
for KERNEL in ("ordered_line", "ordered_window", "mean_line", "extreme_window"):
    assert set(LINES) <= set(KERNELS[KERNEL].dtypes)
    CASES += [(HOST, KERNEL, dtype) for dtype in LINES]
    CASES += [(level, KERNEL, "uint8") for level in LEVELS if level in ("x86-64-v2", "aarch64")]


@pytest.mark.parametrize(("level", "kernel", "dtype"), CASES)
def test_a_built_kernel_adds_in_order_within_its_arrays(level, kernel, dtype):
    run_apart(main, "built", level, kernel, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v2"])
def test_a_kernel_adds_in_order_without_the_jit(level):
    run_apart(main, "model", level, "ordered", "float64", NUMBA_DISABLE_JIT="1")
    run_apart(main, "model", level, "ordered_line", "int16", NUMBA_DISABLE_JIT="1")
    run_apart(main, "model", level, "ordered_window", "uint16", NUMBA_DISABLE_JIT="1")
    run_apart(main, "model", level, "mean_line", "int8", NUMBA_DISABLE_JIT="1")
    run_apart(main, "model", level, "extreme_window", "float32", NUMBA_DISABLE_JIT="1")


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


def converted(values, dtype):
    """Doubles as C converts them."""
    return (values.astype(np.int64) if np.dtype(dtype).kind in "iu" else values).astype(dtype)


def check_mean(function, rng, at_end, dtype):
    outer, n = int(rng.integers(0, 3)), int(rng.choice([1, 2, 5, 9, 40, 70, 200, 1500]))
    inner, k = int(rng.choice([1, 2, 3, 8, 9, 64, 65, 130])), int(rng.choice([1, 2, 3, 7, 20, 66]))
    lo = int(rng.integers(0, n)) if outer < 2 else 0
    hi = int(rng.integers(lo, n + 1)) if outer < 2 else n
    panel = min(int(rng.choice([64, 128, 256])), inner)
    rule = str(rng.choice(["reflect", "mirror", "nearest", "wrap", "fill"]))
    pad = int(rng.integers(0, k))
    source = geometry.source_map(-pad, n + k - 1, n, rule)
    x = fenced(rng.integers(0, 100, outer * n * inner).astype(dtype), at_end)
    out = fenced(np.full(outer * n * inner, 3, dtype), at_end)
    work = fenced(np.empty(2 * (hi - lo + k - 1) * panel + 768), at_end)
    size, fill = fenced(np.array([float(k)]), at_end), fenced(np.array([2.0]), at_end)
    function(x, size, out, fenced(source[: hi + k - 1], at_end), fill, work, outer, n * inner,
             n * inner, inner, lo, hi, k - 1, panel, pad, pad + n)
    for b in range(outer):
        signal = x.reshape(outer, n, inner)[b].astype("d")
        around = np.where(source[:, None] < 0, 2.0, signal[source])[lo : hi + k - 1]
        got = out.reshape(outer, n, inner)[b]
        # Sums of whole numbers are exact in every order.
        want = sum(around[t : t + hi - lo] for t in range(k)) / k
        np.testing.assert_array_equal(got[lo:hi], converted(want, dtype))
        assert (got[:lo] == 3).all() and (got[hi:] == 3).all()


def check_line(function, rng, at_end, dtype):
    outer, n = int(rng.integers(0, 3)), int(rng.choice([1, 2, 5, 9, 40, 70, 200]))
    inner = int(rng.choice([1, 2, 3, 8, 9, 16, 23, 64, 65, 72, 130, 300]))
    k = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 20, 41]))
    if inner == 1 and rng.random() < 0.7:
        n = int(rng.choice([255, 300, 340, 700]))
    lo = int(rng.integers(0, n)) if outer < 2 else 0
    hi = int(rng.integers(lo, n + 1)) if outer < 2 else n
    panel = min(int(rng.choice([64, 128, 256])), inner)
    rule = str(rng.choice(["reflect", "mirror", "nearest", "wrap", "fill"]))
    pad = int(rng.integers(0, k))
    source = geometry.source_map(-pad, n + k - 1, n, rule)
    samples = rng.standard_normal(outer * n * inner) * 100
    if np.dtype(dtype).kind == "f":
        samples[rng.random(samples.size) < 0.01] = np.nan
    with np.errstate(all="ignore"):
        x = fenced(samples.astype(dtype), at_end)
    w, fill = rng.standard_normal(k), 2.5
    w += rng.integers(-1, 2) * w[::-1]
    terms = ordered.line(w)
    w, first, second = (fenced(np.array(a), at_end) for a in terms[:3])
    singles, sign = terms.singles, terms.sign
    out = fenced(np.full(outer * n * inner, 3, dtype), at_end)
    with np.errstate(all="ignore"):
        work = fenced(np.empty((hi - lo + k - 1) * (panel + 16)), at_end)
        function(x, w, out, first, second, fenced(source[: hi + k - 1], at_end),
                 fenced(np.array([fill]), at_end), work,
                 outer, n * inner, n * inner, inner, lo, hi, k - 1, panel, pad, pad + n, singles,
                 terms.terms, sign)
        for b in range(outer):
            signal = x.reshape(outer, n, inner)[b].astype("d")
            around = np.where(source[:, None] < 0, fill, signal[source])[lo : hi + k - 1]
            flat = np.ascontiguousarray(around).reshape(-1)
            width = (hi - lo) * inner
            want = textbook(flat, w, 0, first * inner, second * inner, width, singles, sign)
            got = out.reshape(outer, n, inner)[b]
            want = converted(want, dtype).reshape(hi - lo, inner)
            np.testing.assert_array_equal(got[lo:hi], want)
            assert (got[:lo] == 3).all() and (got[hi:] == 3).all()


def check_window(function, rng, at_end, dtype):
    shape = tuple(int(n) for n in rng.choice([1, 1, 2, 3, 5, 8, 30, 70], 3))
    size = tuple(int(k) for k in rng.integers(1, 4, 3))
    pad = tuple(int(rng.integers(0, k)) for k in size)
    rule = str(rng.choice(["reflect", "mirror", "nearest", "wrap", "fill"]))
    maps = [geometry.source_map(-p, n + k - 1, n, rule)
            for p, n, k in zip(pad, shape, size, strict=True)]
    samples = rng.standard_normal(shape) * 100
    with np.errstate(all="ignore"):
        x = fenced(samples.astype(dtype).reshape(-1), at_end)
    w, fill = rng.standard_normal(size) * (rng.random(size) < 0.8), 2.5
    around = np.full([len(m) for m in maps], fill)
    inside = np.ix_(*[m >= 0 for m in maps])
    source = x.reshape(shape).astype("d")
    around[inside] = source[np.ix_(*[m[m >= 0] for m in maps])]
    places, (_, high, wide) = np.argwhere(w), around.shape
    offsets = [(a * high + b) * wide + c for a, b, c in places]
    taps = fenced(np.r_[0.0, w[w != 0]], at_end)
    out = fenced(np.full(x.size, 3, dtype), at_end)
    first = fenced(np.array(offsets, np.int64), at_end)
    maps = [fenced(m, at_end) for m in maps]
    with np.errstate(all="ignore"):
        function(x, taps, out, first, *maps, fenced(np.array([fill]), at_end),
                 fenced(np.empty(around.size), at_end), shape[1], shape[2], shape[0], shape[1],
                 shape[1] * shape[2], size[0] - 1, size[1] - 1, wide, pad[2], len(first))
        want = np.zeros(shape)
        for place, tap in zip(places, w[w != 0], strict=True):
            at = tuple(slice(t, t + n) for t, n in zip(place, shape, strict=True))
            want = want + around[at] * tap
        np.testing.assert_array_equal(out.reshape(shape), converted(want, dtype))


def check_footprint(function, rng, at_end, dtype, lanes):
    shape = tuple(int(n) for n in rng.choice([1, 1, 2, 3, 5, 8, 30, 70, 300], 3))
    size = tuple(int(k) for k in rng.integers(1, 4, 3))
    pad = tuple(int(rng.integers(0, k)) for k in size)
    rule, greatest = str(rng.choice(["reflect", "wrap", "fill"])), int(rng.integers(0, 2))
    maps = [geometry.source_map(-p, n + k - 1, n, rule)
            for p, n, k in zip(pad, shape, size, strict=True)]
    samples = rng.integers(0, 100, shape).astype(dtype)
    if samples.dtype.kind == "f":
        samples[rng.random(shape) < 0.05] = np.nan
    around = np.full([len(m) for m in maps], 2, dtype)
    around[np.ix_(*[m >= 0 for m in maps])] = samples[np.ix_(*[m[m >= 0] for m in maps])]
    places = np.argwhere(rng.random(size) < 0.6)
    places = places if len(places) else np.zeros((1, 3), np.int64)
    _, high, wide = around.shape
    first = fenced(np.ascontiguousarray(places @ [high * wide, wide, 1]), at_end)
    x = fenced(samples.reshape(-1), at_end)
    out = fenced(np.full(x.size, 3, dtype), at_end)
    maps = [fenced(m, at_end) for m in maps]
    function(x, out, first, *maps, fenced(np.array([2], dtype), at_end),
             fenced(np.ones(around.size + 2 * lanes, dtype), at_end), shape[1], shape[2], shape[0],
             shape[1], shape[1] * shape[2], size[0] - 1, size[1] - 1, wide, pad[2], len(first),
             greatest)
    best = np.maximum if greatest else np.minimum
    parts = [around[tuple(slice(t, t + n) for t, n in zip(place, shape, strict=True))]
             for place in places]
    np.testing.assert_array_equal(out.reshape(shape), best.reduce(parts))


def main(mode, level, kernel, dtype):
    rng = np.random.default_rng(5)
    if mode == "model":
        module = import_module(f"fastconv.kernels.{kernel}")
        function, times = getattr(module, f"make_{kernel}")(TARGETS[level], dtype), 40
    else:
        function, times = built(kernel, level, dtype), 250
    for j in range(times):
        if kernel == "ordered":
            check(function, rng, j % 2 == 0)
        elif kernel == "ordered_line":
            check_line(function, rng, j % 2 == 0, dtype)
        elif kernel == "mean_line":
            check_mean(function, rng, j % 2 == 0, dtype)
        elif kernel == "extreme_window":
            lanes = TARGETS[level].lanes(np.dtype(dtype).itemsize)
            check_footprint(function, rng, j % 2 == 0, dtype, lanes)
        else:
            check_window(function, rng, j % 2 == 0, dtype)


if __name__ == "__main__":
    main(*sys.argv[1:] or ("built", HOST, "ordered", "float64"))
