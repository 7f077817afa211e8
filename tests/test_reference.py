"""The definition itself: NumPy and SciPy agree with it; its bounds tell right from wrong."""

import numpy as np
import pytest
import reference
import scipy.signal
from agreement import assert_identical, assert_same_kind, assert_within
from strategies import EXACT, MODES, NUMERIC, random_array

SIZES = [(1, 1), (5, 1), (1, 5), (7, 3), (3, 7), (6, 4), (4, 6), (5, 5)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("face", ["convolve", "correlate"])
def test_the_definition_is_numpys(face, dtype, mode):
    rng = np.random.default_rng(1)
    for n, k in SIZES:
        a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
        if dtype not in EXACT:  # whole numbers, whose sums are exact in every order
            a, v = np.round(4 * a), np.round(4 * v)
        assert_identical(reference.FACES[face](a, v, mode), getattr(np, face)(a, v, mode))


def test_the_definition_does_not_multiply_what_is_not_there():
    a, v = np.array([np.inf, 1, 2, np.nan, 3]), np.array([0.0, 1.0, -np.inf])
    for mode in MODES:
        assert_same_kind(reference.convolve(a, v, mode), np.convolve(a, v, mode))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("rule", "numpys_name"),
    [("reflect", "symmetric"), ("mirror", "reflect"), ("nearest", "edge"), ("wrap", "wrap")],
)
def test_boundary_rules_are_numpys_pad(rule, numpys_name, n):
    x = np.arange(1.0, n + 1)
    padded = np.pad(x, 9, mode=numpys_name)
    continued = [x[reference.BOUNDARIES[rule](j, n)] for j in range(-9, n + 9)]
    np.testing.assert_array_equal(continued, padded)


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("face", ["convolve2d", "correlate2d"])
def test_the_2d_definition_is_scipys(face, mode, boundary):
    rng = np.random.default_rng(2)
    for shape, window in [((4, 5), (3, 3)), ((4, 5), (2, 4)), ((2, 3), (4, 5)), ((1, 1), (3, 2))]:
        x = np.round(9 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)))
        w = np.round(9 * (rng.standard_normal(window) + 1j * rng.standard_normal(window)))
        expected = getattr(scipy.signal, face)(x, w, mode, boundary, 3)
        result = reference.FACES_2D[face](x, w, mode, boundary, 3)
        np.testing.assert_array_equal(result, expected)


def test_the_componentwise_bound_accepts_numpy_and_rejects_single_precision():
    rng = np.random.default_rng(3)
    a, v = rng.standard_normal(300), rng.standard_normal(20)
    exact = np.convolve(a.astype(np.longdouble), v.astype(np.longdouble))
    bound = reference.componentwise_bound(np.convolve, a, v, 20, np.float64)
    assert_within(np.convolve(a, v), exact, bound)
    with pytest.raises(AssertionError, match="outputs are wrong"):
        assert_within(np.convolve(a.astype("f"), v.astype("f")).astype("d"), exact, bound)


def test_the_componentwise_bound_rejects_a_transform_beside_a_loud_sample():
    a, v = np.array([1e16, 0, 0, 0, 0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0])
    exact = np.convolve(a.astype(np.longdouble), v.astype(np.longdouble))
    transformed = scipy.signal.fftconvolve(a, v)
    assert_within(transformed, exact, reference.normwise_bound(a, v, np.float64))
    with pytest.raises(AssertionError, match="outputs are wrong"):
        bound = reference.componentwise_bound(np.convolve, a, v, 2, np.float64)
        assert_within(transformed, exact, bound)


def test_the_normwise_bound_rejects_single_precision():
    rng = np.random.default_rng(4)
    a, v = rng.standard_normal(3000), rng.standard_normal(300)
    exact = np.convolve(a.astype(np.longdouble), v.astype(np.longdouble))
    bound = reference.normwise_bound(a, v, np.float64)
    assert_within(scipy.signal.fftconvolve(a, v), exact, bound / 10)
    with pytest.raises(AssertionError, match="outputs are wrong"):
        single = scipy.signal.fftconvolve(a.astype("f"), v.astype("f"))
        assert_within(single.astype("d"), exact, bound)


def test_max_pool_is_the_maximum_of_numpys_windows():
    x = np.random.default_rng(5).standard_normal((2, 7, 6))
    x[0, 3, 3] = np.nan
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))[:, ::2, ::1]
    np.testing.assert_array_equal(
        reference.max_pool2d(x, (3, 2), (2, 1)), windows.max(axis=(-2, -1))
    )
