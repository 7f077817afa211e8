"""What small calls of ndimage are remembered by answers like the first one, wherever it goes."""

import numpy as np
import pytest
from scipy import ndimage as scipy_ndimage
from test_ndimage import agree

from fastconv import ndimage
from fastconv.paths import recalled

W1, W2 = np.array([1.5, -2.0, 0.75, 3.0]), np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -0.25]])
MARKS = np.array([[0, 1, 0], [1, 1, 1]], bool)
# name, what comes after the samples, keywords; samples have two axes.
CALLS = [
    ("maximum_filter1d", (4,), {"axis": 0}),
    ("minimum_filter1d", (1,), {"axis": 1}),
    ("maximum_filter", (1,), {}),
    ("minimum_filter", ((2, 3),), {}),
    ("maximum_filter", (3,), {"axes": (1,)}),
    ("maximum_filter", (), {"footprint": MARKS}),
    ("uniform_filter1d", (3,), {"axis": 1}),
    ("uniform_filter", ((2, 1),), {}),
    ("uniform_filter", (1,), {}),
    ("correlate1d", (W1,), {"axis": 0}),
    ("convolve", (W2,), {}),
    ("laplace", (), {}),
    ("sobel", (), {"axis": 0}),
]
COMPLEX = [
    ("uniform_filter1d", (3,), {"axis": 1}),
    ("correlate1d", (W1 + 1j * W1[::-1],), {"axis": 0}),
    ("convolve", (W2,), {}),
    ("correlate", (W2 - 2j,), {}),
    ("laplace", (), {}),
]
FILLS = [0.0, 1, 3.0, 0.5, -1.0, -0.5, 255.0, 256.0, 300.25, -200.0]


def samples(dtype, shape=(9, 7)):
    rng = np.random.default_rng(5)
    if np.dtype(dtype).kind == "b":
        return rng.random(shape) < 0.5
    if np.dtype(dtype).kind == "c":
        return (rng.integers(-9, 9, shape) + 1j * rng.integers(-9, 9, shape)).astype(dtype)
    return rng.integers(-9 if np.dtype(dtype).kind != "u" else 0, 90, shape).astype(dtype)


def call(name, x, args, keywords, **more):
    return getattr(ndimage, name)(x, *args, **keywords, **more)


@pytest.mark.parametrize("cval", FILLS)
@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i4", "f4", "f8"])
def test_a_second_call_has_scipys_bits_whatever_lies_outside(dtype, cval):
    x = samples(dtype)
    for mode in ("constant", "mirror"):
        for name, args, keywords in CALLS:
            for output in (None, np.float64, np.uint8):
                for _ in range(2):
                    agree(name, x, *args, mode=mode, cval=cval, output=output, **keywords)


@pytest.mark.parametrize("dtype", ["c8", "c16", "f8", "u1"])
@pytest.mark.parametrize("cval", [0.0, 2.5])
def test_a_second_call_of_complex_numbers_has_scipys_bits(dtype, cval):
    x = samples(dtype)
    for name, args, keywords in COMPLEX:
        if np.iscomplexobj(x) or (args and np.iscomplexobj(args[0])):
            for kind in (np.complex64, np.complex128, None):
                for _ in range(2):
                    agree(name, x, *args, mode="constant", cval=cval, output=kind, **keywords)


@pytest.mark.parametrize("dtype", ["?", "u1", "f4", "c8"])
def test_a_remembered_call_may_write_over_its_samples_and_beside_them(dtype):
    for name, args, keywords in COMPLEX if dtype == "c8" else CALLS:
        x = samples(dtype)
        outside = {"mode": "constant", "cval": 3.0}
        expected = getattr(scipy_ndimage, name)(x, *args, **keywords, **outside)
        expected = expected.view(np.uint8) != 0 if dtype == "?" else expected
        for _ in range(2):
            np.testing.assert_array_equal(call(name, x, args, keywords, **outside), expected)
        shared = np.empty(x.size + 3, expected.dtype)
        spaced = np.zeros((*x.shape, 2), expected.dtype)
        given = [
            (x, np.empty_like(expected)),
            (x, spaced[..., 0]),
            (shared[: x.size].reshape(x.shape), shared[3:].reshape(x.shape)),
            (shared[3:].reshape(x.shape), shared[: x.size].reshape(x.shape)),
            (shared[: x.size].reshape(x.shape),) * 2,
        ]
        for a, out in given:
            if x.dtype != expected.dtype and a is not x:
                continue
            a[...] = samples(dtype)
            assert call(name, a, args, keywords, **outside, output=out) is out
            np.testing.assert_array_equal(out, expected)
        assert not spaced[..., 1].any()


@pytest.mark.parametrize("dtype", ["?", "u1", "f4", "c8"])
def test_a_remembered_call_reads_samples_however_they_lie(dtype):
    for name, args, keywords in COMPLEX if dtype == "c8" else CALLS:
        x = samples(dtype)
        expected = [call(name, x, args, keywords, cval=0.5, mode="constant") for _ in range(2)][1]
        spaced = np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2]
        fixed = x.copy()
        fixed.flags.writeable = False
        odd = np.frombuffer(b"-" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
        for a in (spaced, fixed, np.asfortranarray(x), x[::-1].copy()[::-1], odd):
            got = call(name, a, args, keywords, cval=0.5, mode="constant")
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(a, x)


@pytest.mark.parametrize("dtype", ["?", "i2", "f4"])
@pytest.mark.parametrize("cval", [np.nan, np.inf, -np.inf, 1e300, 2.0**40])
def test_numbers_that_no_dtype_holds_lie_outside_in_every_call_alike(dtype, cval):
    x = samples(dtype)
    for name, args, keywords in CALLS:
        recalled._recipes.clear()
        with np.errstate(all="ignore"):
            got = [call(name, x, args, keywords, mode="constant", cval=cval) for _ in range(3)]
        for again in got[1:]:
            np.testing.assert_array_equal(got[0], again)


@pytest.mark.parametrize("dtype", ["?", "f4", "c8"])
def test_empty_samples_give_empty_results_each_time(dtype):
    for name, args, keywords in COMPLEX if dtype == "c8" else CALLS:
        for shape in ((0, 4), (4, 0)):
            for _ in range(2):
                assert call(name, np.zeros(shape, dtype), args, keywords).shape == shape


@pytest.mark.parametrize("name", ["maximum_filter", "minimum_filter"])
def test_of_two_zeros_under_a_footprint_other_results_have_scipys_too(name):
    x = np.random.default_rng(2).choice([0.0, -0.0, 1.0, -1.0], (8, 9))
    for _ in range(2):
        ours = getattr(ndimage, name)(x, footprint=MARKS, output=np.float32)
        theirs = getattr(scipy_ndimage, name)(x, footprint=MARKS, output=np.float32)
        np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


def test_of_two_zeros_beside_a_number_that_floats_do_not_hold_the_last_is_taken():
    x = np.random.default_rng(2).choice(np.float32([0.0, -0.0, 1.0, -1.0]), (8, 9))
    for name in ("maximum_filter1d", "minimum_filter1d"):
        for cval in (0.1, -0.1, 1e-60, -1e-60, 1e300, -1e300):
            for _ in range(2):
                ours, theirs = agree(name, x, 3, mode="constant", cval=cval)
                np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


def test_a_name_of_truth_values_is_an_error_after_their_type_was_none():
    for dtype in ("?", "f8"):
        for output in (np.bool_, np.bool_, "bool"):
            agree("sobel", samples(dtype), output=output)


def test_calls_of_other_dtypes_are_remembered():
    x, volume = samples("?"), samples("f8", (3, 4, 3, 5))
    calls = [
        ("maximum_filter1d", x, (4,), {"mode": "constant", "cval": 3.0}),
        ("maximum_filter", x, (3,), {"output": np.float32}),
        ("maximum_filter", x, (), {"footprint": MARKS, "output": np.float32}),
        ("uniform_filter1d", x, (3,), {}),
        ("laplace", x, (), {}),
        ("maximum_filter", samples("f4"), (3,), {"mode": "constant", "cval": 0.1}),
        ("correlate", volume, (np.ones((2, 1, 2, 2)),), {}),
        ("correlate", volume + 1j, (np.ones((2, 1, 2, 2)) + 1j,), {}),
    ]
    for name, a, args, keywords in calls:
        recalled._recipes.clear()
        call(name, a, args, keywords)
        assert any(key[0] == name for key in recalled._recipes), name
