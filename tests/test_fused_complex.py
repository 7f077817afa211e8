"""The complex block kernels against the definition, their bound, and their contract."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from test_kernels_fft import _guard

import fastconv
from fastconv.kernels import fft_layout
from fastconv.paths import fft_tables, fused_complex
from fastconv.runtime import load
from fastconv.runtime.target import host_target

PARTS = {"complex128": "float64", "complex64": "float32"}


def kernel(name, part):
    """The compiled kernel, or its Python source where the JIT is disabled."""
    import numba

    if not numba.config.DISABLE_JIT:
        return load.kernel(name, part)
    from fastconv.kernels import fft_complex, fft_filters

    module = fft_filters if "filters" in name else fft_complex
    return getattr(module, f"make_{name}")(host_target(), part)


def random(rng, n, dtype):
    return (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(dtype)


def correlate(x, w, size, pad, m, parts=1, out=None):
    """out[i] = sum over t of x[i - pad + t] w[t], in blocks; also the norms of the blocks."""
    part, n, k = PARTS[x.dtype.name], len(x), len(w)
    plan = fft_tables.transform(size, part)
    form = (size, plan.top, plan.levels)
    stored, scratch = np.empty(plan.spectrum_length, part), np.empty(plan.scratch_length, part)
    taps = w[::-1].copy().view(part)
    kernel("complex_spectrum", part)(taps, stored, plan.table, scratch, 1, k, k, *form)
    step = size - k + 1
    blocks = -(-m // step)
    norms = np.full(blocks, np.nan, part)
    out = np.full(m, np.nan, x.dtype) if out is None else out
    edges = [blocks * j // parts for j in range(parts + 1)]
    for begin, end in pairwise(edges):
        kernel("complex_blocks", part)(
            x.view(part), stored, plan.table, scratch, out.view(part), norms, 1, 0, 0, 0, n,
            begin * step, min(end * step, m), 1 - k, step, k - 1 - pad, begin, end, *form,
        )  # fmt: skip
    return out, norms


def exact(x, w, pad, m):
    """The definition in extended precision."""
    n, k = len(x), len(w)
    padded = np.zeros(max(pad, 0) + n + m + 2 * k, np.clongdouble)
    padded[max(pad, 0) : max(pad, 0) + n] = x
    first = max(pad, 0) - pad
    windows = np.lib.stride_tricks.sliding_window_view(padded, k)[first : first + m]
    return windows @ w.astype(np.clongdouble)


def bound(x, w, size):
    """|err| <= 9 (1 + log2 M) eps ||x|| ||w||: see `complex_blocks`."""
    scale = np.linalg.norm(x.astype("D")) * np.linalg.norm(w.astype("D"))
    return 9 * (1 + np.log2(size)) * np.finfo(x.dtype).eps * scale


def some_sizes(dtype, count):
    unit = fft_layout.tile(host_target(), np.dtype(PARTS[dtype]).itemsize).points
    return [s for s in fft_tables.sizes(PARTS[dtype], 1 << 20) if s >= max(unit, 64)][:count]


@pytest.mark.parametrize("dtype", PARTS)
def test_every_block_size_gives_the_definition(dtype):
    rng = np.random.default_rng(1)
    for size in some_sizes(dtype, 10):
        for n, k in ((1, 1), (7, 3), (size + 5, 5), (2 * size + 1, min(size // 2, 300)), (3, 40)):
            x, w = random(rng, n, dtype), random(rng, k, dtype)
            for pad, m in ((k - 1, n + k - 1), (0, n), (-3, n), (k // 2, n + k)):
                out, norms = correlate(x, w, size, pad, m)
                assert np.abs(out - exact(x, w, pad, m)).max() <= bound(x, w, size), (size, n, k)
                assert np.isfinite(norms).all()


@pytest.mark.parametrize("dtype", PARTS)
def test_split_into_ranges_of_blocks_is_the_whole_bit_for_bit(dtype):
    rng = np.random.default_rng(3)
    size = some_sizes(dtype, 2)[-1]
    for k in (9, size // 2, size - 10):
        x, w = random(rng, 7 * size if k < 99 else size, dtype), random(rng, k, dtype)
        whole, _ = correlate(x, w, size, k - 1, len(x))
        for parts in (2, 3):
            split, _ = correlate(x, w, size, k - 1, len(x), parts)
            np.testing.assert_array_equal(split, whole)


def with_filters(x, w, size, pad, m, parts=1, there=None):
    """`correlate` with each row of w, by the kernel that transforms a block of x once."""
    part, n, (filters, k) = PARTS[x.dtype.name], len(x), w.shape
    plan = fft_tables.transform(size, part)
    form, apart = (size, plan.top, plan.levels), plan.spectrum_length
    stored = np.empty(filters * apart, part)
    held, scratch = (np.empty(plan.scratch_length, part) for _ in range(2))
    taps = w[:, ::-1].copy().view(part).reshape(-1)
    kernel("complex_spectrum", part)(taps, stored, plan.table, scratch, filters, k, k, *form)
    step = size - k + 1
    blocks = -(-m // step)
    norms = np.full((filters, blocks), np.nan, part)
    # Results beside which nothing is written.
    room = np.full(filters * m + 2000, 7, x.dtype)
    out = room[1000:-1000] if there is None else there
    edges = [blocks * j // parts for j in range(parts + 1)]
    for begin, end in pairwise(edges):
        kernel("complex_filters", part)(
            x.view(part), stored, plan.table, held, scratch, out.view(part), norms.ravel(),
            filters, apart, m, blocks, n, begin * step, min(end * step, m), 1 - k, step,
            k - 1 - pad, begin, end, *form,
        )  # fmt: skip
    assert (room[:1000] == 7).all() and (room[-1000:] == 7).all()
    return out.reshape(filters, m), norms


@pytest.mark.parametrize("dtype", PARTS)
def test_several_filters_give_the_bits_of_each_alone(dtype):
    rng = np.random.default_rng(12)
    for size in some_sizes(dtype, 10)[::3]:
        for n, k, m in ((5 * size, min(size, 50), 5 * size), (3, 9, 11), (size, size // 2, size)):
            x, w = random(rng, n, dtype), random(rng, (3, k), dtype)
            alone = [correlate(x, taps, size, k - 1, m) for taps in w]
            for parts in (1, 2):
                out, norms = with_filters(x, w, size, k - 1, m, parts)
                for f, (results, sums) in enumerate(alone):
                    np.testing.assert_array_equal(out[f], results)
                    np.testing.assert_array_equal(norms[f], sums)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by way of libc")
@pytest.mark.parametrize("dtype", PARTS)
@pytest.mark.parametrize("at_end", [False, True])
def test_several_filters_touch_no_byte_outside_signal_filters_and_outputs(dtype, at_end):
    rng = np.random.default_rng(13)
    size = some_sizes(dtype, 2)[-1]
    for n in (3, 501, 4096):
        x, w = random(rng, n, dtype), random(rng, (2, 5), dtype)
        expected, _ = with_filters(x, w, size, 4, n + 4)
        held = [_guard(a.reshape(-1), at_end) for a in (x, w, np.zeros_like(expected))]
        x_there, w_there, out_there = (array for array, _ in held)
        out, _ = with_filters(
            x_there, w_there.reshape(2, 5), size, 4, n + 4, there=out_there.reshape(-1)
        )
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", PARTS)
def test_nothing_outside_the_wanted_outputs_is_written(dtype):
    rng = np.random.default_rng(5)
    size = some_sizes(dtype, 1)[0]
    x, w = random(rng, 1000, dtype), random(rng, 11, dtype)
    for m in (1, 100, size - 10, 777):
        room = np.full(m + 2000, 7, dtype)
        correlate(x, w, size, 10, m, out=room[1000 : 1000 + m])
        assert (room[:1000] == 7).all() and (room[1000 + m :] == 7).all()


@pytest.mark.parametrize("dtype", PARTS)
def test_error_stays_within_the_bound_on_hard_signals(dtype):
    rng = np.random.default_rng(10)
    size = some_sizes(dtype, 4)[-1]
    n, k = 3 * size, size // 2
    t = np.arange(n)
    signals = {
        "noise": random(rng, n, dtype),
        "constant": np.full(n, 1 + 1j, dtype),
        "tone": np.exp(2j * np.pi * t / 7).astype(dtype),
        "burst": np.where(t == n // 3, 1e6j, 1e-6).astype(dtype),
    }
    for name, x in signals.items():
        for w in (random(rng, k, dtype), np.ones(k, dtype), x[:k].copy()):
            out, _ = correlate(x, w, size, 0, n - k + 1)
            assert np.abs(out - exact(x, w, 0, n - k + 1)).max() <= bound(x, w, size), name


@pytest.mark.parametrize("dtype", PARTS)
@pytest.mark.parametrize("bad", [complex(np.nan, 0), complex(0, np.inf), complex(-np.inf, 1)])
def test_norms_show_every_block_that_meets_a_bad_sample(dtype, bad):
    rng = np.random.default_rng(9)
    size = some_sizes(dtype, 1)[-1]
    w, n, step = random(rng, 12, dtype), 3 * size, size - 11
    with np.errstate(all="ignore"):
        for where in (*range(0, n, 37), n - 1):
            x = random(rng, n, dtype)
            x[where] = bad
            _, norms = correlate(x, w, size, 11, n + 11)
            starts = np.arange(len(norms)) * step - 11
            meets = (starts <= where) & (where < starts + size)
            np.testing.assert_array_equal(~np.isfinite(norms), meets)


def test_auto_takes_them_for_long_filters():
    for dtype in "FD":
        a, v = np.ones(10**6, dtype), np.ones(1000, dtype)
        assert fastconv.choose_method(a, v) == "fused_complex"
        assert fused_complex.block_points(10**6, 1000, 10**6, np.dtype(dtype).name) >= 2048
