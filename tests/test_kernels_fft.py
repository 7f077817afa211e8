"""The block transform kernels against the definition, their error bound, and their contract."""

import ctypes
import mmap
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from fastconv.kernels import fft_layout
from fastconv.paths import fft_tables
from fastconv.runtime import load
from fastconv.runtime.target import TARGETS, host_target

DTYPES = ("float64", "float32")
UNITS = {d: fft_layout.tile(host_target(), np.dtype(d).itemsize) for d in DTYPES}


def kernel(name, dtype):
    """The compiled kernel, or its Python source where the JIT is disabled."""
    import numba

    if not numba.config.DISABLE_JIT:
        return load.kernel(name, dtype)
    from fastconv.kernels import fft_blocks, fft_filters

    module = fft_filters if "filters" in name else fft_blocks
    return getattr(module, f"make_{name}")(host_target(), dtype)


def spectrum(w, plan, delay=0):
    stored = np.empty(plan.spectrum_length, w.dtype)
    scratch = np.empty(plan.scratch_length, w.dtype)
    kernel("spectrum", str(w.dtype))(
        w, stored, plan.table, scratch, 1, 0, len(w), delay, plan.size, plan.top, plan.levels
    )
    return stored


def correlate(x, w, size, pad, m, *, delay=0, parts=1, out=None):
    """out[i] = sum over t of x[i - pad + t] w[t], in blocks; also the norms of the blocks."""
    dtype = str(x.dtype)
    n, k = len(x), len(w)
    plan = fft_tables.transform(size, dtype)
    stored, scratch = spectrum(w, plan, delay), np.empty(plan.scratch_length, dtype)
    head = k - 1 + delay
    step = 2 * size - head
    blocks = -(-m // step)
    norms = np.full(max(blocks, 1), np.nan, dtype)
    out = np.full(m, np.nan, dtype) if out is None else out
    edges = [blocks * j // parts for j in range(parts + 1)]
    for begin, end in pairwise(edges):
        kernel("overlap_save", dtype)(
            x, stored, plan.table, scratch, out, norms, 1, 0, 0, 0, n, begin * step,
            min(end * step, m), -head, step, head - pad, begin, end, size, plan.top, plan.levels,
        )  # fmt: skip
    return out, norms[:blocks]


def exact(x, w, pad, m):
    """The definition in extended precision."""
    n, k = len(x), len(w)
    padded = np.zeros(max(pad, 0) + n + max(m + k, 0) + k, np.longdouble)
    padded[max(pad, 0) : max(pad, 0) + n] = x
    first = max(pad, 0) - pad
    windows = np.lib.stride_tricks.sliding_window_view(padded, k)[first : first + m]
    return windows @ w.astype(np.longdouble)


def bound(x, w, size):
    """|err| <= 9 (1 + log2 M) eps ||x|| ||w||: see `overlap_save` in kernels/fft_blocks."""
    scale = np.linalg.norm(x.astype("f8")) * np.linalg.norm(w.astype("f8"))
    return 9 * (1 + np.log2(size)) * np.finfo(x.dtype).eps * scale


def some_sizes(dtype, count):
    return [s for s in fft_tables.sizes(dtype, 1 << 30) if s >= 64][:count]


def random(rng, n, dtype):
    return rng.standard_normal(n).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_block_size_gives_the_definition(dtype):
    rng = np.random.default_rng(1)
    for size in some_sizes(dtype, 14):
        for n, k in ((1, 1), (7, 3), (2 * size + 5, 5), (3 * size + 1, min(size, 700)), (3, 40)):
            x, w = random(rng, n, dtype), random(rng, k, dtype)
            out, norms = correlate(x, w, size, k - 1, n + k - 1)
            error = np.abs(out - exact(x, w, k - 1, n + k - 1)).max()
            assert error <= bound(x, w, size), (size, n, k)
            assert np.isfinite(norms).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pad", [-300, -1, 0, 2, 17, 400])
def test_any_pad_and_any_length_of_output(dtype, pad):
    rng = np.random.default_rng(2)
    size = some_sizes(dtype, 3)[-1]
    x, w = random(rng, 1000, dtype), random(rng, 18, dtype)
    for m in (1, 5, 2 * size - 17, 2 * size - 16, 999, 1400):
        out, _ = correlate(x, w, size, pad, m)
        assert np.abs(out - exact(x, w, pad, m)).max() <= bound(x, w, size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_split_into_ranges_of_blocks_is_the_whole_bit_for_bit(dtype):
    rng = np.random.default_rng(3)
    size = some_sizes(dtype, 2)[-1]
    for k in (9, size, 2 * size - 10):  # The last head is longer than many blocks.
        x, w = random(rng, 9 * size if k < size else size, dtype), random(rng, k, dtype)
        whole, _ = correlate(x, w, size, k - 1, len(x))
        for parts in (2, 3):
            split, _ = correlate(x, w, size, k - 1, len(x), parts=parts)
            np.testing.assert_array_equal(split, whole)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_compact_spectrum_gives_the_same_bits(dtype):
    rng = np.random.default_rng(11)
    for size in some_sizes(dtype, 8)[::3]:
        plan, k = fft_tables.transform(size, dtype), min(size, 50)
        x, w = random(rng, 5 * size, dtype), random(rng, k, dtype)
        tail, results = (plan.size, plan.top, plan.levels), []
        for name, reals in (("", UNITS[dtype].spectrum), ("_compact", 2)):
            stored, scratch = np.empty(reals * size, dtype), np.empty(plan.scratch_length, dtype)
            kernel(f"spectrum{name}", dtype)(w, stored, plan.table, scratch, 1, 0, k, 0, *tail)
            out, step = np.empty(5 * size, dtype), 2 * size - k + 1
            norms = np.empty(5, dtype)
            kernel(f"overlap_save{name}", dtype)(
                x, stored, plan.table, scratch, out, norms, 1, 0, 0, 0, 5 * size, 0, 5 * size,
                1 - k, step, 0, 0, -(-5 * size // step), *tail,
            )  # fmt: skip
            results.append(out)
        np.testing.assert_array_equal(*results)


def with_filters(x, w, size, pad, m, *, parts=1, compact="", out=None):
    """`correlate` with each row of w, by the kernel that transforms a block of x once."""
    dtype, n, (filters, k) = str(x.dtype), len(x), w.shape
    plan = fft_tables.transform(size, dtype)
    tail, reals = (plan.size, plan.top, plan.levels), 2 if compact else UNITS[dtype].spectrum
    stored = np.empty((filters, reals * size), dtype)
    held, scratch = (np.empty(plan.scratch_length, dtype) for _ in range(2))
    kernel(f"spectrum{compact}", dtype)(
        w.ravel(), stored.ravel(), plan.table, scratch, filters, k, k, 0, *tail
    )
    step = 2 * size - k + 1
    blocks = -(-m // step)
    norms = np.full((filters, blocks), np.nan, dtype)
    out = np.full((filters, m), np.nan, dtype) if out is None else out
    edges = [blocks * j // parts for j in range(parts + 1)]
    for begin, end in pairwise(edges):
        kernel(f"overlap_save_filters{compact}", dtype)(
            x, stored.ravel(), plan.table, held, scratch, out.reshape(-1), norms.ravel(), filters,
            stored.shape[1], m, blocks, n, begin * step, min(end * step, m), 1 - k, step,
            k - 1 - pad, begin, end, *tail,
        )  # fmt: skip
    return out, norms


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compact", ["", "_compact"])
def test_several_filters_give_the_bits_of_each_alone(dtype, compact):
    rng = np.random.default_rng(12)
    for size in some_sizes(dtype, 12)[::3]:
        for n, k, m in ((5 * size, min(size, 50), 5 * size), (3, 9, 11), (size, size, 2 * size)):
            x, w = random(rng, n, dtype), rng.standard_normal((3, k)).astype(dtype)
            alone = [correlate(x, taps, size, k - 1, m) for taps in w]
            for parts in (1, 2):
                out, norms = with_filters(x, w, size, k - 1, m, parts=parts, compact=compact)
                for f, (results, sums) in enumerate(alone):
                    np.testing.assert_array_equal(out[f], results)
                    np.testing.assert_array_equal(norms[f], sums)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by way of libc")
@pytest.mark.parametrize("dtype", DTYPES)
def test_several_filters_touch_no_byte_outside_signal_filters_and_outputs(dtype):
    rng = np.random.default_rng(13)
    size = some_sizes(dtype, 2)[-1]
    for at_end in (False, True):
        for n in (3, 501, 4096):
            x, w = random(rng, n, dtype), rng.standard_normal((2, 5)).astype(dtype)
            expected, _ = with_filters(x, w, size, 4, n + 4)
            guarded = [_guard(a.ravel(), at_end) for a in (x, w, np.zeros_like(expected))]
            (x_there, w_there, out_there) = (array for array, _ in guarded)
            out, _ = with_filters(
                x_there, w_there.reshape(2, 5), size, 4, n + 4, out=out_there.reshape(2, n + 4)
            )
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_filters_and_no_blocks_store_nothing(dtype):
    plan = fft_tables.transform(some_sizes(dtype, 1)[0], dtype)
    one = np.full(1, 7, dtype)
    held, scratch = (np.empty(plan.scratch_length, dtype) for _ in range(2))
    stored, tail = np.zeros(plan.spectrum_length, dtype), (plan.size, plan.top, plan.levels)
    for filters, end in ((0, 1), (1, 0)):
        kernel("overlap_save_filters", dtype)(
            one, stored, plan.table, held, scratch, one, one, filters, len(stored), 1, 1, 1, 0, 1,
            0, 9, 0, 0, end, *tail,
        )  # fmt: skip
    assert one[0] == 7


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_delay_moves_the_blocks_not_the_result(dtype):
    rng = np.random.default_rng(4)
    x, w = random(rng, 3000, dtype), random(rng, 30, dtype)
    size = some_sizes(dtype, 2)[-1]
    for delay in (1, 7):
        out, _ = correlate(x, w, size, 29, 3029, delay=delay)
        assert np.abs(out - exact(x, w, 29, 3029)).max() <= bound(x, w, size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_outside_the_wanted_outputs_is_written(dtype):
    rng = np.random.default_rng(5)
    size = some_sizes(dtype, 1)[0]
    x, w = random(rng, 2000, dtype), random(rng, 11, dtype)
    for m in (1, 100, 2 * size - 10, 1777):
        room = np.full(m + 4000, 7, dtype)
        correlate(x, w, size, 10, m, out=room[2000 : 2000 + m])
        assert (room[:2000] == 7).all() and (room[2000 + m :] == 7).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by way of libc")
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_byte_outside_signal_filter_and_output_is_touched(dtype):
    rng = np.random.default_rng(6)
    size = some_sizes(dtype, 2)[-1]
    for at_end in (False, True):
        for n in (3, 501, 4096):
            x, w = random(rng, n, dtype), random(rng, 5, dtype)
            expected, _ = correlate(x, w, size, 4, n + 4)
            guarded = [_guard(a, at_end) for a in (x, w, np.zeros_like(expected))]
            out, _ = correlate(guarded[0][0], guarded[1][0], size, 4, n + 4, out=guarded[2][0])
            np.testing.assert_array_equal(out, expected)


def _guard(array, at_end):
    """A copy whose first or last byte borders on a page that may not be touched."""
    page = mmap.PAGESIZE
    pages = -(-array.nbytes // page)
    room = mmap.mmap(-1, (pages + 2) * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for forbidden in (address, address + (pages + 1) * page):
        assert protect(forbidden, page, 0) == 0
    offset = page + (pages * page - array.nbytes if at_end else 0)
    copy = np.frombuffer(room, array.dtype, array.size, offset)
    copy[:] = array
    return copy, room


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_share_the_filter(dtype):
    rng = np.random.default_rng(7)
    size = some_sizes(dtype, 2)[-1]
    plan = fft_tables.transform(size, dtype)
    x, w = rng.standard_normal((3, 900)).astype(dtype), random(rng, 21, dtype)
    out, step = np.full((3, 950), 7, dtype), 2 * size - 20
    blocks = -(-920 // step)
    norms = np.empty((3, blocks), dtype)
    kernel("overlap_save", dtype)(
        x.ravel(), spectrum(w, plan), plan.table, np.empty(2 * size, dtype), out.ravel(),
        norms.ravel(), 3, 900, 950, blocks, 900, 0, 920, -20, step, 0, 0, blocks,
        size, plan.top, plan.levels,
    )  # fmt: skip
    for row in range(3):
        expected = correlate(x[row], w, size, 20, 920)[0]
        np.testing.assert_array_equal(out[row, :920], expected)
    assert (out[:, 920:] == 7).all() and np.isfinite(norms).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_filters_have_a_spectrum_each(dtype):
    rng = np.random.default_rng(8)
    plan = fft_tables.transform(some_sizes(dtype, 1)[0], dtype)
    w = rng.standard_normal((2, 13)).astype(dtype)
    stored = np.empty((2, plan.spectrum_length), dtype)
    kernel("spectrum", dtype)(
        w.ravel(), stored.ravel(), plan.table, np.empty(plan.scratch_length, dtype), 2, 13, 10, 0,
        plan.size, plan.top, plan.levels,
    )  # fmt: skip
    for row in range(2):
        np.testing.assert_array_equal(stored[row], spectrum(w[row, :10].copy(), plan))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_norms_show_every_block_that_meets_a_bad_sample(dtype, bad):
    rng = np.random.default_rng(9)
    size = some_sizes(dtype, 2)[-1]
    w = random(rng, 12, dtype)
    n = 4 * size
    step = 2 * size - 11
    with np.errstate(all="ignore"):
        for where in (*range(0, n, 37), size, 2 * size - 1, n - 1):
            x = random(rng, n, dtype)
            x[where] = bad
            _, norms = correlate(x, w, size, 11, n + 11)
            starts = np.arange(len(norms)) * step - 11
            meets = (starts <= where) & (where < starts + 2 * size)
            np.testing.assert_array_equal(~np.isfinite(norms), meets)


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_show_overflow(dtype):
    size = some_sizes(dtype, 2)[-1]
    x = np.zeros(3 * size, dtype)
    x[1000 % size] = np.finfo(dtype).max / 4
    with np.errstate(all="ignore"):
        _, norms = correlate(x, np.full(4, 8, dtype), size, 0, 3 * size)
    assert not np.isfinite(norms[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_work_stores_nothing(dtype):
    plan = fft_tables.transform(some_sizes(dtype, 1)[0], dtype)
    one, scratch = np.full(1, 7, dtype), np.empty(plan.scratch_length, dtype)
    stored = np.zeros(plan.spectrum_length, dtype)
    call = kernel("overlap_save", dtype)
    tail = (plan.size, plan.top, plan.levels)
    call(one, stored, plan.table, scratch, one, one, 0, 0, 0, 0, 1, 0, 1, 0, 9, 0, 0, 1, *tail)
    call(one, stored, plan.table, scratch, one, one, 1, 0, 0, 0, 1, 0, 1, 0, 9, 0, 0, 0, *tail)
    assert one[0] == 7
    # No samples: zeros. No taps: zeros.
    norm = np.empty(1, dtype)
    call(one, stored, plan.table, scratch, one, norm, 1, 0, 0, 0, 0, 0, 1, 0, 9, 0, 0, 1, *tail)
    assert one[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_stays_within_the_bound_on_hard_signals(dtype):
    rng = np.random.default_rng(10)
    for size in some_sizes(dtype, 16)[::5]:
        n, k = 2 * size, size // 2
        t = np.arange(n)
        signals = {
            "noise": random(rng, n, dtype),
            "positive": rng.random(n).astype(dtype),
            "constant": np.ones(n, dtype),
            "alternating": (1.0 - 2 * (t % 2)).astype(dtype),
            "tone": np.cos(2 * np.pi * t / 7).astype(dtype),
            "burst": np.where(t == n // 3, 1e6, 1e-6).astype(dtype),
        }
        for name, x in signals.items():
            for w in (random(rng, k, dtype), np.ones(k, dtype), x[:k].copy()):
                m = n - k + 1
                out, _ = correlate(x, w, size, 0, m)
                error = np.abs(out - exact(x, w, 0, m)).max()
                assert error <= bound(x, w, size), (size, name)


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("radices", [(5, 4, 8), (8, 8), (3, 8, 8, 8), (4, 4, 8, 8, 8)])
def test_twiddles_are_rounded_to_a_unit(target, dtype, radices):
    shape = fft_layout.tile(TARGETS[target], np.dtype(dtype).itemsize)
    table = fft_tables.twiddles(shape, radices, "float64", 0.5)
    pi = np.longdouble("3.14159265358979323846264338327950288")
    angle, parts = np.array([0.25], np.longdouble), []
    for radix in radices:
        parts.append(angle[:, None] / radix * np.arange(1, radix))
        turns = np.array(fft_layout.turns(radix))
        angle = ((angle[:, None] + turns) / radix).ravel()
    inside = [k / np.longdouble(shape.rows) for k in range(1, shape.rows)]
    inside += [k / np.longdouble(shape.rows * shape.inner) for k in range(1, shape.inner)]
    parts.append(angle[:, None] * np.array(inside))
    angles = 2 * pi * np.concatenate([p.ravel() for p in parts])
    expected = np.stack([np.cos(angles), np.sin(angles)], axis=1).ravel()
    assert len(table) == len(expected) + 1 and table[-1] == 0.5
    error = np.abs(table[:-1] - expected)
    assert error.max() <= 1.4 * 2.0**-53
    if np.finfo(np.longdouble).nmant > 60 and len(error) > 1 << 14:
        # Most of a long table are products of two short ones.
        assert error[-(1 << 14) :].max() <= 0.7 * 2.0**-53


def test_tables_are_kept_within_bounds_and_shared(monkeypatch):
    monkeypatch.setattr(fft_tables, "_kept", type(fft_tables._kept)())
    monkeypatch.setattr(fft_tables, "MAX_KEPT_REALS", 2000)
    sizes = some_sizes("float64", 20)
    first = fft_tables.transform(sizes[0], "float64")
    assert fft_tables.transform(sizes[0], "float64") is first
    for size in sizes:
        fft_tables.transform(size, "float64")
        kept = list(fft_tables._kept.values())
        assert len(kept) == 1 or sum(t.table.size for t in kept) <= 2000
    assert fft_tables.transform(sizes[0], "float64") is not first


def test_tables_may_be_asked_for_by_many_threads(monkeypatch):
    monkeypatch.setattr(fft_tables, "MAX_KEPT_REALS", 2000)
    sizes, failures = some_sizes("float64", 8), []

    def ask():
        found = [fft_tables.transform(size, "float64").size for size in sizes * 5]
        failures.extend(size for size in found if size not in sizes)
        failures.extend([] if found == sizes * 5 else ["out of order"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("size", [0, 1, 7, 448, 1000, -64])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="size must be"):
        fft_tables.transform(size, "float64")
