"""NaN and infinity reach exactly the outputs that NumPy's loop would give them, on every path."""

import numpy as np
import pytest
from agreement import assert_same_kind, assert_within
from hypothesis import example, given
from hypothesis import strategies as st
from reference import componentwise_bound, normwise_bound, precise
from strategies import FLOATS, MODES, any_value, problems, random_array

import fastconv
from fastconv.paths import PATHS


def takes(dtype):
    """The paths that add products of this dtype, in the order of the table."""
    a, v = np.ones(900, dtype), np.ones(50, dtype)
    supported = {row.name for row in fastconv.explain(a, v).rows if row.supported}
    return [path for path in PATHS if path in supported]


LINEAR = takes("d")
paths = pytest.mark.parametrize("path", LINEAR)
every_path = pytest.mark.parametrize("path", sorted({p for dtype in FLOATS for p in takes(dtype)}))
paths_and_dtypes = pytest.mark.parametrize(
    ("path", "dtype"), [(path, dtype) for dtype in FLOATS for path in takes(dtype)]
)
NOT_FINITE = [np.nan, np.inf, -np.inf]


def cleaned(x):
    """X with zeros for what is not finite."""
    return np.where(np.isfinite(x), x, 0).astype(x.dtype)


def assert_numpys_placement(path, a, v, mode, stride=1, face="convolve"):
    """The kinds are NumPy's; finite outputs are as accurate as if nothing else were there."""
    dtype = np.result_type(a, v)
    rows = fastconv.explain(a, v, mode, stride=stride).rows
    said = next(row for row in rows if row.name == path)
    if not said.supported:  # test_paths.py holds it to a reason
        return
    expected = getattr(np, face)(a, v, mode)[::stride]
    result = getattr(fastconv, face)(a, v, mode, method=path, stride=stride)
    assert_same_kind(result, expected)

    guarantee = said.guarantee
    clean_a, clean_v = cleaned(a), cleaned(v)

    def value(x, w):
        return getattr(np, face)(x, w, mode)[::stride]

    exact = value(precise(clean_a, dtype), precise(clean_v, dtype))
    if guarantee == "normwise":
        bound = np.full(exact.shape, normwise_bound(clean_a, clean_v, dtype))
    else:
        bound = componentwise_bound(value, clean_a, clean_v, min(len(a), len(v)), dtype)
    finite = np.isfinite(expected)
    assert_within(result[finite], exact[finite], bound[finite])


@every_path
@given(problem=problems(dtypes=FLOATS, elements=any_value))
def test_small_problems(path, problem):
    request, a, v = problem
    # Values so large that the sum itself may overflow are a test of their own, below.
    assert_numpys_placement(path, a, v, request.mode, request.stride, request.face)


@st.composite
def spoiled(draw):
    """A signal of several blocks, a filter, and a few bad samples in either."""
    n, k = draw(st.integers(1, 3000)), draw(st.integers(1, 260))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(FLOATS))
    a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
    bad = st.sampled_from(NOT_FINITE)
    edges = st.sampled_from([0, n - 1, n // 2])
    for place in draw(st.lists(st.one_of(edges, st.integers(0, n - 1)), max_size=4)):
        a[place] = draw(bad)
    if draw(st.integers(0, 3)) == 0:
        v[draw(st.integers(0, k - 1))] = draw(bad)
    return a, v, draw(st.sampled_from(MODES)), draw(st.sampled_from([1, 1, 2, 7]))


@every_path
@given(problem=spoiled())
def test_several_blocks(path, problem):
    assert_numpys_placement(path, *problem)


@paths_and_dtypes
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("taps", [1, 2, 33, 400])
def test_one_bad_sample_touches_as_many_outputs_as_there_are_taps(path, dtype, value, taps):
    rng = np.random.default_rng(0)
    for place in (0, 1, 1234, 2998, 2999):
        a, v = random_array(rng, dtype, 3000), random_array(rng, dtype, taps)
        a[place] = value
        result = fastconv.convolve(a, v, method=path)
        touched = ~np.isfinite(result)
        expected = np.zeros(3000 + taps - 1, bool)
        expected[place : place + taps] = True
        np.testing.assert_array_equal(touched, expected)


@paths
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("place", [0, 20, 39])
def test_a_bad_tap_touches_an_output_for_each_sample(path, value, place):
    a, v = np.ones(2000), np.ones(40)
    v[place] = value
    touched = ~np.isfinite(fastconv.convolve(a, v, method=path))
    assert touched[place : place + 2000].all()
    assert np.count_nonzero(touched) == 2000  # where the tap hangs over the edge, nothing is


@paths_and_dtypes
def test_zero_taps_do_not_hide_a_bad_sample(path, dtype):
    a, v = np.ones(500, dtype), np.zeros(64, dtype)
    v[10] = 1
    a[200] = np.inf
    a[300] = np.nan
    assert_numpys_placement(path, a, v, "full")


@paths
def test_bad_samples_that_are_skipped_by_the_stride_touch_nothing(path):
    a = np.ones(1000)
    a[501] = np.nan
    result = fastconv.convolve(a, [2.0], stride=2, method=path)
    assert (np.abs(result - 2) < 1e-9).all()


@paths
def test_a_signal_that_is_all_nan(path):
    assert np.isnan(fastconv.convolve(np.full(900, np.nan), np.ones(50), method=path)).all()


@paths
def test_a_bad_row_leaves_the_other_rows_alone(path):
    a = np.ones((4, 300))
    a[1, 150] = np.nan
    result = fastconv.convolve(a, np.ones(20), "same", axis=-1, method=path)
    assert np.isfinite(result[[0, 2, 3]]).all()
    assert np.count_nonzero(np.isnan(result[1])) == 20


@paths
def test_infinities_keep_their_sign_and_cancel_to_nan(path):
    a = np.zeros(600)
    a[100], a[110], a[400] = np.inf, -np.inf, -np.inf
    result = fastconv.convolve(a, np.full(20, 2.0), method=path)
    assert np.isposinf(result[100:110]).all()
    assert np.isnan(result[110:120]).all()
    assert np.isneginf(result[120:130]).all()
    assert np.isneginf(result[400:420]).all()
    assert np.isfinite(np.delete(result, [*range(100, 130), *range(400, 420)])).all()


@paths_and_dtypes
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_nothing_warns(path, dtype, stride):
    """NumPy's loop is silent about infinities, NaN, overflow and underflow; warnings are errors."""
    top = np.finfo(dtype).max
    wild = np.array([np.inf, 1, -np.inf, np.nan, top, top, -top, 1e-30, 0] * 40, dtype)
    v = np.array([1, top, -1, 1e-30, np.inf] * 5, dtype)
    with np.errstate(all="warn"):
        for a, w in [(wild, v), (wild, v[[0, 2, 3]]), (wild[[1, 4, 5]], v), (wild[[4, 4, 4]], v)]:
            for rows in (a, np.stack([a, a])):
                fastconv.convolve(rows, w, axis=-1, stride=stride, method=path)


# ---------------------------------------------------------------- near the top of the range


@paths_and_dtypes
@pytest.mark.parametrize(("n", "k"), [(5, 3), (600, 8), (1000, 64), (3000, 300)])
def test_results_near_the_top_of_the_range_are_finite(path, dtype, n, k):
    rng = np.random.default_rng(1)
    top = float(np.finfo(dtype).max)
    # Each sample is a quarter of the largest number, the taps add up to one: every result fits,
    # every sum over a block does not.
    a = (rng.random(n) * top / 4).astype(dtype)
    v = rng.random(k)
    v = (v / v.sum()).astype(dtype)
    for mode in MODES:
        assert_numpys_placement(path, a, v, mode)


@paths_and_dtypes
@pytest.mark.parametrize(("n", "k"), [(5, 3), (600, 8), (3000, 300)])
def test_what_overflows_is_infinite_and_its_neighbours_are_not(path, dtype, n, k):
    top = float(np.finfo(dtype).max)
    a, v = np.ones(n, dtype), np.ones(k, dtype)
    a[n // 2] = top / 2
    a[n // 2 + 1] = top / 1.5  # together with the one before: 1.17 times the largest number
    expected = np.convolve(a, v)
    result = fastconv.convolve(a, v, method=path)
    assert np.count_nonzero(~np.isfinite(expected)) == k - 1
    assert_same_kind(result, expected)


@paths_and_dtypes
def test_huge_samples_times_tiny_taps_are_moderate(path, dtype):
    rng = np.random.default_rng(2)
    top = float(np.finfo(dtype).max)
    a = (rng.standard_normal(2000) * (top / 64)).astype(dtype)
    v = (rng.standard_normal(100) / top * 1024).astype(dtype)
    assert_numpys_placement(path, a, v, "full")
    assert_numpys_placement(path, v, a, "valid")


@pytest.mark.parametrize("path", [name for name in LINEAR if PATHS[name].local])
@pytest.mark.parametrize("dtype", FLOATS)
def test_denormals_are_not_flushed(path, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    a = (np.arange(200) * tiny).astype(dtype)
    result = fastconv.convolve(a, np.array([1], dtype), method=path)
    np.testing.assert_array_equal(result, a)


@given(
    st.lists(st.sampled_from([*NOT_FINITE, 0.0, -0.0, 1.0, -1.0, 1e300]), min_size=1),
    st.lists(st.sampled_from([0.0, 1.0, -1.0]), min_size=1),
)
@example([np.inf, 1.0, 2.0], [0.0, 1.0])
@example([1.0, np.nan, 3.0, 4.0], [1.0, 1.0])
def test_auto_places_them_too(a, v):
    for mode in MODES:
        assert_same_kind(fastconv.convolve(a, v, mode), np.convolve(a, v, mode))
