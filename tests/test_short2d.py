"""Small 2-D calls that one compiled entry answers have SciPy's meaning, bit for bit in integers."""

import sys

import numpy as np
import pytest
import scipy.signal
from agreement import assert_fresh, assert_identical, assert_same_kind
from hypothesis import given
from hypothesis import strategies as st
from strategies import LAYOUTS, MODES, lay_out, random_array

import fastconv
from fastconv import short2d
from fastconv.paths import direct
from fastconv.problem import Problem
from fastconv.runtime import bind
from fastconv.signal import planes

BOUNDARIES = list(planes._RULES)
DTYPES = ["d", "f", "D", "F", "b", "B", "h", "i", "l", "q", "L"]
FACES = ["convolve2d", "correlate2d"]

pytestmark = pytest.mark.skipif(not bind.layout_is_known(), reason="arrays lie otherwise here")


def entry(face, dtype):
    """The compiled entry of that function for that dtype; a long call finds it."""
    dtype = np.dtype(dtype)
    if dtype not in short2d.wholes:
        fastconv.convolve2d(np.ones((3, 3), dtype), np.ones((2, 2), dtype))
    call = short2d.wholes[dtype].call
    return lambda x, w, mode="full", boundary="fill", out=None: call(
        x,
        w,
        planes.what(face, mode, boundary),
        dtype.num,
        out,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_a_plain_call_means_what_scipys_means(dtype, data):
    face = data.draw(st.sampled_from(FACES[: 1 + (np.dtype(dtype).kind != "c")]))
    mode, boundary = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from(BOUNDARIES))
    k = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    n = tuple(taps + data.draw(st.integers(0, 30)) for taps in k)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = random_array(rng, dtype, n), random_array(rng, dtype, k)
    w = lay_out(w, data.draw(st.sampled_from([name for name in LAYOUTS if name != "swapped"])))
    result = entry(face, dtype)(x, w, mode, boundary)
    with np.errstate(all="ignore"):
        expected = getattr(scipy.signal, face)(x, w, mode, boundary)
        size = getattr(scipy.signal, face)(np.abs(x), np.abs(w), mode, boundary)
    assert_fresh(result)
    if expected.dtype.kind in "iu":
        assert_identical(result, np.ascontiguousarray(expected))
    else:
        assert_same_kind(result, expected)
        there = np.isfinite(expected) & np.isfinite(size)
        bound = (2 * w.size + 8) * np.finfo(result.dtype).eps * size
        assert (np.abs(result - expected)[there] <= bound[there]).all()
    again = np.empty_like(expected, order="C")
    assert entry(face, dtype)(x, w, mode, boundary, again) is again
    assert again.tobytes() == result.tobytes()
    long_way = getattr(fastconv, face)(x, w, mode, boundary, workers=1, method=direct.PATH.name)
    np.testing.assert_array_equal(result, long_way)


@pytest.mark.parametrize("wild", [np.inf, np.nan])
def test_a_tap_that_is_not_finite_meets_the_zeros_outside_as_in_scipy(wild):
    x, w = np.arange(1.0, 31).reshape(5, 6), np.ones((3, 2))
    w[0, 1] = wild
    with np.errstate(all="ignore"):
        expected = scipy.signal.convolve2d(x, w)
    np.testing.assert_array_equal(entry("convolve2d", "d")(x, w), expected)


def test_what_is_not_plain_is_declined():
    call, x, w = entry("convolve2d", "d"), np.ones((6, 7)), np.ones((3, 3))
    assert call(x, w) is not None
    read_only = np.ones((8, 9))
    read_only.flags.writeable = False
    within = np.ones(100)
    shared = within[:42].reshape(6, 7)
    for declined in (
        (x[:, ::2], w), (x.T, w), (w, x, "valid"), (x, np.ones((1, 9)), "same", "wrap"),
        (w, x, "full", "symm"), (x, w.astype("f")), (x, w[0]), (np.ones((0, 3)), w),
        (x, [[1.0]]), ([[1.0]], w), (x, np.ones((0, 3))), (x, x.view(np.matrix)), (None, w),
        (np.ones((9, 2000)), w), (np.ones((800, 800)), w), (np.ones((40, 40)), np.ones((20, 20))),
    ):  # fmt: skip
        assert call(*declined) is None
    for out in (
        read_only, np.ones((8, 8)), np.ones((8, 9), "f"), np.ones((8, 9))[::-1], np.ones(72),
        np.ones((9, 8)).T, [[0.0]], within[20:92].reshape(8, 9),
    ):  # fmt: skip
        assert call(shared, w, out=out) is None


@pytest.mark.parametrize("function", ["convolve2d", "correlate2d"])
def test_a_filter_may_be_larger_than_its_image(function):
    call, rng = entry(function, "d"), np.random.default_rng(6)
    for shape, k in (((3, 3), (6, 7)), ((1, 9), (5, 2)), ((8, 2), (2, 11)), ((1, 1), (16, 16))):
        x, w = rng.integers(-9, 9, shape) * 1.0, rng.integers(-9, 9, k) * 1.0
        for mode in ("full", "same"):
            expected = getattr(scipy.signal, function)(x, w, mode)
            np.testing.assert_array_equal(call(x, w, mode), expected)


@pytest.mark.parametrize("dtype", ["d", "i", "D"])
def test_images_crosswise_their_filters_take_each_others_place(dtype):
    rng = np.random.default_rng(7)
    for shape, k in (((300, 2), (2, 300)), ((200, 10), (9, 201)), ((90, 30), (150, 31))):
        x, w = (rng.integers(-9, 9, s).astype(dtype) for s in (shape, k))
        whole = scipy.signal.fftconvolve(x.astype("D"), w.astype("D"))
        expected = np.rint(whole if dtype == "D" else whole.real).astype(dtype)
        first = [(t - 1) // 2 for t in k]
        middle = expected[first[0] :, first[1] :][: shape[0], : shape[1]]
        for face in (fastconv.signal.convolve2d, fastconv.signal.convolve):
            for _ in range(2):  # The second call finds the recipe that the first one kept.
                np.testing.assert_array_equal(np.rint(face(x, w)), expected)
                np.testing.assert_array_equal(np.rint(face(x, w, "same")), middle)
        if dtype == "d":
            x[3, 1] = np.nan  # Reaches the windows that it lies in.
            nan = np.isnan(fastconv.signal.convolve(x, w, accuracy="componentwise"))
            np.testing.assert_array_equal(nan, np.isnan(_spread(x, w)))


@pytest.mark.parametrize("dtype", ["d", "l", "F"])
@pytest.mark.parametrize("function", ["convolve", "correlate"])
def test_many_images_crosswise_their_filters_change_places_with_them(function, dtype):
    """Axes with one tap are no axes of the filter: what lies along them is many images."""
    rng = np.random.default_rng(8)
    for shape, k in (
        ((700, 2, 7), (2, 90, 1)), ((3, 40, 2), (1, 50, 300)), ((12, 3, 7), (1, 300, 3)),
        ((1, 8, 19), (4, 1, 751)), ((3, 2, 76), (1, 144, 53)),
    ):  # fmt: skip
        x, w = (rng.integers(-9, 9, s).astype(dtype) for s in (shape, k))
        if dtype == "F":
            x, w = x + 1j * x[::-1], w - 2j * w
        whole = scipy.signal.convolve(x, w, method="direct")
        expected = getattr(scipy.signal, function)(x, w, "same", method="direct")
        call = getattr(fastconv.signal, function)
        np.testing.assert_array_equal(_rounded(call(x, w, "same")), expected)
        np.testing.assert_array_equal(_rounded(fastconv.signal.convolve(w, x)), whole)
        if dtype == "d":
            x[1 % len(x), 1, 1] = np.inf  # Reaches the windows that it lies in.
            met = scipy.signal.convolve(np.isinf(x) + 0, np.ones_like(w, int), method="direct")
            found = fastconv.signal.convolve(x, w)
            np.testing.assert_array_equal(~np.isfinite(found), met > 0)


@pytest.mark.parametrize("dtype", ["d", "f", "B", "h", "F"])
@pytest.mark.parametrize("function", FACES)
def test_what_is_filled_in_is_told_apart(function, dtype):
    rng, numbers = np.random.default_rng(9), [1, 2, 3, 1.0, 2.5, 0.0, -0.0, True, 0]
    x, w = (rng.integers(0, 9, s).astype(dtype) for s in ((9, 4), (3, 5)))
    for number in (*numbers, *numbers):
        for boundary in ("fill", "wrap"):
            for mode in ("full", "same"):
                given = x, w, mode, boundary, number
                if dtype in "Bh" and type(number) is not int:
                    continue  # SciPy's own ways to cast, in test_conv2d.
                expected = getattr(scipy.signal, function)(*given)
                assert_identical(getattr(fastconv.signal, function)(*given), expected)


def _rounded(x):
    return np.rint(x) if x.dtype.kind in "fc" else x


def test_direct_loops_count_what_they_meet_outside():
    problem = Problem("float64", 1, True, (144, 53), (2, 76), (145, 128), (1, 1), (1, 1), (1, 75),
                      ("zero",) * 2)  # fmt: skip
    assert not problem.inside_out
    turned = problem.exchanged()
    assert turned.inside_out
    assert turned.exchanged() == problem
    assert direct.work(problem).multiply_adds == (144 * 2) * (128 * 76)
    assert direct.work(turned).multiply_adds > 5 * (144 * 2) * (128 * 76)


def test_taps_that_meet_no_sample_are_left_out():
    problem = Problem("int64", 1, True, (1, 8148), (4, 819), (1, 8148), (1, 1), (1, 1), (2, 409),
                      ("zero",) * 2)  # fmt: skip
    assert problem.met() == (slice(2, 3), slice(0, 819))
    part = problem.with_taps(problem.met())
    assert (part.filter, part.pad) == ((1, 819), (0, 409))
    assert part.met() is None
    rng = np.random.default_rng(10)
    for dtype in "lBdF":
        x, w = (rng.integers(0, 9, s).astype(dtype) for s in ((1, 8148), (4, 819)))
        for mode in ("same", "full"):
            expected = scipy.signal.correlate(x, w, mode, method="direct")
            found = fastconv.signal.correlate(x, w, mode)
            np.testing.assert_array_equal(_rounded(found), expected)


def _spread(x, w):
    """NaN where the definition has it."""
    seen = np.zeros([n + k - 1 for n, k in zip(x.shape, w.shape, strict=True)])
    for i, j in np.argwhere(np.isnan(x)):
        seen[i : i + w.shape[0], j : j + w.shape[1]] = np.nan
    return seen


def test_explain_names_the_entry_where_it_answers():
    entry("convolve2d", "d")
    words = "straight to plane_float64"
    assert words in str(fastconv.explain(np.ones((9, 9)), np.ones((3, 3))))
    for shape, k, stride in (((9, 9), (3, 3), 2), ((2000, 9), (3, 3), 1), ((30, 30), (17, 17), 1)):
        table = fastconv.explain(np.ones(shape), np.ones(k), stride=stride)
        assert words not in str(table)


def test_out_may_be_the_image_itself():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(9, 8)), rng.normal(size=(3, 3))
    entry("convolve2d", "d")
    expected = fastconv.convolve2d(x, w, "same")
    assert fastconv.convolve2d(x, w, "same", out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_no_reference_is_lost_or_kept():
    call, x, w = entry("convolve2d", "d"), np.ones((6, 7)), np.ones((3, 3))
    out = np.empty((8, 9))
    objects = (x, w, out, x.dtype, None)
    before = [sys.getrefcount(o) for o in objects]
    for _ in range(1000):
        call(x, w, "same")
        call(x, w, out=out)
        call(x.T, w)
    after = [sys.getrefcount(o) for o in objects]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True))


def test_images_computed_in_another_dtype_leave_no_short_way():
    x, w = np.arange(30, dtype="e").reshape(5, 6), np.ones((3, 3), "e")
    expected = fastconv.signal.convolve(x.astype("f"), w.astype("f")).astype("e")
    for _ in range(3):
        np.testing.assert_array_equal(fastconv.signal.convolve(x, w), expected)
    assert x.dtype not in short2d.wholes
