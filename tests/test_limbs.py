"""Whole numbers through transforms: bit-equal to the wrapping loop, whatever the numbers are."""

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest
from agreement import assert_identical
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import MODES, random_array

import fastconv
from fastconv.paths import digits, limbs
from fastconv.problem import Problem

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def assert_exact(a, v, mode="full", stride=1):
    """The wrapping loop's bits."""
    result = fastconv.convolve(a, v, mode, method="limbs", stride=stride)
    assert_identical(result, np.convolve(a, v, mode)[::stride].copy())


def extremes(dtype, n):
    """Signals that are as large as they can be, by name."""
    info = np.iinfo(dtype)
    ends = np.array([info.min, info.max], dtype)
    sides = np.arange(n) % 2
    yield "least", np.full(n, info.min, dtype)
    yield "largest", np.full(n, info.max, dtype)
    yield "alternating", ends[sides]
    yield "near 2^21", np.full(n, min(2**21 - 1, info.max), dtype)
    yield "alternating near 2^21", np.where(sides, min(2**21, info.max), 3 - 2**2).astype(dtype)
    # All digits of 16 bits at their ends: the norms are as large as the bound allows.
    digits = sum(-(1 << 15) << (16 * a) for a in range(4)) % 2**64
    yield "worst digits", np.full(n, digits, np.uint64).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "k"), [(1, 1), (40, 40), (2000, 300), (5000, 1800)])
def test_the_largest_numbers_wrap_as_numpys_do(dtype, n, k):
    for _, a in extremes(dtype, n):
        for _, v in extremes(dtype, k):
            assert_exact(a, v)


@st.composite
def whole_problems(draw):
    """Two operands of a dtype: their sizes in bits, each by itself, then random numbers."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    operands = []
    for length in (draw(st.integers(1, 3000)), draw(st.integers(1, 500))):
        shift = draw(st.integers(0, 8 * dtype.itemsize - 1))
        operands.append(random_array(rng, dtype, length) >> dtype.type(shift))
    return (*operands, draw(st.sampled_from(MODES)), draw(st.sampled_from([1, 1, 2, 7])))


@given(whole_problems())
@example((np.array([2**63 - 1, -(2**63)]), np.array([-(2**63)]), "full", 1))
def test_numbers_of_any_size_are_exact(problem):
    assert_exact(*problem)


def test_what_scipys_auto_gets_wrong_is_right():
    rng = np.random.default_rng(0)
    a = rng.integers(2**21 - 1000, 2**21, 100_000)
    v = rng.integers(2**21 - 1000, 2**21, 1000)
    expected = np.convolve(a[:5000], v)[:5000]
    for method in ("auto", "limbs"):
        np.testing.assert_array_equal(fastconv.convolve(a, v, method=method)[:5000], expected)
    assert fastconv.convolve([2**60, 255], [1, 1], method="limbs").tolist() == [
        2**60,
        2**60 + 255,
        255,
    ]


def test_auto_takes_them_for_long_filters_and_may_be_asked_for_exactness():
    a, v = np.ones(10**6, np.int64), np.arange(4096)
    assert fastconv.choose_method(a, v) == "limbs"
    assert fastconv.choose_method(a, v, accuracy="exact") == "limbs"
    assert fastconv.choose_method(a[:1000], v[:5]) == "direct"


@pytest.mark.parametrize("shape", [(3, 700), (1, 700)])
def test_batches_of_filters_and_strides(shape):
    rng = np.random.default_rng(3)
    a, v = random_array(rng, "q", (3, 2500)), random_array(rng, "q", shape)
    result = fastconv.convolve(a, v, "same", axis=-1, stride=3, method="limbs")
    for row in range(3):
        expected = np.convolve(a[row], v[row % len(v)], "same")[::3]
        np.testing.assert_array_equal(result[row], expected)


# ---------------------------------------------------------------- the proof


def full(width, n, k):
    """The full convolution of n numbers of `width` bits with k."""
    return Problem(
        f"int{width}", 1, True, (n,), (k,), (n + k - 1,), (1,), (1,), (k - 1,), ("zero",)
    )


def test_every_cut_that_is_tried_last_is_proven_for_all_numbers():
    for width in (8, 16, 32, 64):
        for k in (1, 50, 1000, 30_000, 10**6):
            for n in (k, 10 * k):
                cut = limbs._cut(full(width, n, k), width - 1, width - 1, 1.0)
                norm = np.full((1, 1, cut.of_x), 2.0 ** (cut.bits - 1) * (2 * cut.size) ** 0.5)
                weight = np.full((1, cut.of_w), 2.0 ** (cut.bits - 1) * k**0.5)
                assert digits.proven(norm, weight, cut), (width, n, k)
                assert cut.bits * (cut.kept - 1) < 64
                # Less than 2^51, so that rounding by an addition is right.
                assert norm[0, 0, 0] * weight[0, 0] * cut.kept < 2.0**51


def test_norms_beyond_the_bound_are_computed_again_with_more_digits(monkeypatch):
    cuts, compute = [], limbs._compute

    def watched(*arguments):
        cuts.append((arguments[-1], compute(*arguments)))
        return cuts[-1][1]

    monkeypatch.setattr(limbs, "_compute", watched)
    monkeypatch.setattr(limbs, "SPREADS", (1e-4, 1.0))
    rng = np.random.default_rng(0)
    assert_exact(random_array(rng, "q", 20_000), random_array(rng, "q", 4096))
    (first, proven), (second, again) = cuts
    assert again and not proven
    assert second.bits < first.bits


def test_small_numbers_need_fewer_transforms():
    wide = limbs._cut(full(64, 10**6, 1000), 63, 63, 1.0)
    narrow = limbs._cut(full(64, 10**6, 1000), 12, 12, 1.0)
    assert (narrow.of_x, narrow.of_w, narrow.kept) == (1, 1, 1)
    assert wide.kept >= 4


@pytest.mark.parametrize("bits", [8, 11, 13, 16, 18])
def test_measured_errors_stay_far_below_the_bound(bits):
    """The float transform of the same kernels, on digits at their ends: exact sums are known."""
    rng = np.random.default_rng(bits)
    size, k = 2048, 700
    half = 2.0 ** (bits - 1)
    x, w = (rng.choice([-half, half - 1], count) for count in (2 * size, k))
    result = fastconv.convolve(x, w, method="fused")
    error = np.abs(result - np.rint(result)).max()
    bound = digits.constant(size, 1) * np.linalg.norm(x) * np.linalg.norm(w)
    assert error <= bound


# ---------------------------------------------------------------- the kernel's contract


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by way of libc")
@pytest.mark.parametrize("dtype", ["int64", "int16", "int8"])
def test_no_byte_outside_signal_and_output_is_touched(dtype):
    rng = np.random.default_rng(6)
    for at_end in (False, True):
        for n, k in ((3, 2), (501, 40), (4096, 100)):
            a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
            expected = np.convolve(a, v)
            rooms = [_guard(array, at_end) for array in (a, v, np.zeros_like(expected))]
            (a, v, out) = (copy for copy, _ in rooms)
            fastconv.convolve(a, v, method="limbs", out=out)
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


SCRIPT = """
import numpy as np
from fastconv.kernels import fft_blocks, fft_limbs
from fastconv.paths import limbs
from fastconv.path import Operands
from fastconv.problem import Problem
from fastconv.runtime import load
from fastconv.runtime.target import host_target
if {model}:
    makers = dict(spectrum=fft_blocks.make_spectrum, limbs=fft_limbs.make_limbs)
    load.kernel = lambda name, dtype: makers[name](host_target(), dtype)
rng = np.random.default_rng(1)
for dtype in {dtypes}:
    info = np.iinfo(dtype)
    for n, k in ((700, 90), (30, 7)):
        x = rng.integers(info.min, info.max, (1, n), dtype, endpoint=True)
        w = rng.integers(info.min, info.max, (1, k), dtype, endpoint=True)
        out = np.empty((1, n + k - 1), dtype)
        problem = Problem(dtype, 1, True, (n,), (k,), (n + k - 1,), (1,), (1,), (k - 1,), ("zero",))
        assert limbs.execute(problem, Operands(x, w, out)) == []
        assert (out[0] == np.convolve(x[0], w[0, ::-1])).all(), (dtype, n, k)
"""


@pytest.mark.parametrize(
    ("level", "dtypes", "model"),
    [("plain", ["int16"], 0), ("x86-64-v3", ["int64"], 0), ("x86-64-v4", ["int64", "int8"], 1)],
)
def test_every_level_and_the_python_models_agree(level, dtypes, model):
    if level == "x86-64-v3" and level not in _levels():
        pytest.skip(f"this machine does not run {level}")
    environment = os.environ | {"FASTCONV_TARGET": level, "NUMBA_DISABLE_JIT": str(model)}
    script = SCRIPT.format(model=model, dtypes=dtypes)
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, env=environment)


def _levels():
    from fastconv.runtime.target import TARGETS, host_target

    names = list(TARGETS)
    return names[names.index(host_target().name) :]
