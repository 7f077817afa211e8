"""fastconv.nn: max pooling against its definition, and the leaky ReLU."""

import itertools

import numpy as np
import pytest
import reference
from agreement import assert_fresh, assert_identical
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import INTEGERS, LAYOUTS, any_value, arrays, lay_out, random_array

import fastconv.nn

max_pool2d, leaky_relu = fastconv.nn.max_pool2d, fastconv.nn.leaky_relu

POOLED = ["f", "d", *INTEGERS]


@st.composite
def poolings(draw):
    """An image of any rank and a window that fits it."""
    window = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride = draw(st.one_of(st.none(), st.integers(1, 4), st.tuples(*[st.integers(1, 4)] * 2)))
    padding = draw(st.integers(0, window[0] // 2)), draw(st.integers(0, window[1] // 2))
    sides = [draw(st.integers(max(1, k - 2 * p), 9)) for k, p in zip(window, padding, strict=True)]
    batch = draw(st.sampled_from([(), (1,), (2,), (0,), (2, 3)]))
    x = draw(arrays(draw(st.sampled_from(["f", "d", "b", "H"])), (*batch, *sides), any_value))
    return x, window, stride, padding


@given(poolings())
@example((np.full((3, 3), -np.inf), (2, 2), 1, (1, 1)))
@example((np.full((3, 3), -128, np.int8), (3, 3), 1, (1, 1)))
@example((np.array([[np.nan, 1.0], [2.0, 3.0]]), (2, 2), 1, (1, 1)))
def test_max_pooling_is_its_definition(pooling):
    x, window, stride, padding = pooling
    result = max_pool2d(x, window, stride, padding)
    assert_same_maximum(result, reference.max_pool2d(x, window, stride, padding))
    assert_fresh(result)


def assert_same_maximum(result, expected):
    """Identical, but 0.0 and -0.0 are equally large."""
    assert result.dtype == expected.dtype.newbyteorder("=")
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", POOLED)
@pytest.mark.parametrize(
    ("kernel", "stride"), [(1, 1), (2, 2), (2, 1), (3, 2), (3, 1), (5, 3), (7, 7)]
)
def test_every_dtype_and_usual_window(dtype, kernel, stride):
    rng = np.random.default_rng(0)
    for height, width in itertools.product([7, 8, 33], [7, 16, 70]):
        x = random_array(rng, dtype, (2, height, width))
        for padding in range(kernel // 2 + 1):
            result = max_pool2d(x, kernel, stride, padding)
            assert_identical(result, reference.max_pool2d(x, kernel, stride, padding))


def test_a_known_answer():
    x = np.array([[1.0, 5, 2, 0], [3, 4, 8, 1], [7, 0, 0, 2], [6, 1, 1, 3]])
    assert max_pool2d(x, 2).tolist() == [[5, 8], [7, 3]]
    assert max_pool2d(x, 2, 1).tolist() == [[5, 8, 8], [7, 8, 8], [7, 1, 3]]
    assert max_pool2d(x, (1, 4)).tolist() == [[5], [8], [7], [6]]
    assert max_pool2d(x, 3, 2, 1).tolist() == [[5, 8], [7, 8]]


def test_the_stride_is_the_window_unless_it_is_given():
    x = np.arange(48.0).reshape(6, 8)
    assert_identical(max_pool2d(x, (2, 3)), max_pool2d(x, (2, 3), (2, 3), 0))
    assert max_pool2d(x, (2, 3)).shape == (3, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout):
    for dtype in ("d", "f", "h"):
        x = lay_out(random_array(np.random.default_rng(1), dtype, (2, 9, 8)), layout)
        assert_same_maximum(max_pool2d(x, 3, 2, 1), reference.max_pool2d(x, 3, 2, 1))


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_nan_wins_in_its_windows_and_nowhere_else(dtype):
    for place in itertools.product(range(9), range(37)):
        x = np.ones((9, 37), dtype)
        x[place] = np.nan
        result = max_pool2d(x, 3, 1, 1)
        expected = np.zeros((9, 37), bool)
        row, column = place
        expected[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
        np.testing.assert_array_equal(np.isnan(result), expected)


def test_padding_never_wins():
    assert (max_pool2d(np.full((4, 4), -5.0), 3, 1, 1) == -5).all()
    assert (max_pool2d(np.full((4, 4), -5, "i"), 3, 1, 1) == -5).all()
    assert np.isneginf(max_pool2d(np.full((4, 4), -np.inf), 3, 1, 1)).all()
    assert (max_pool2d(np.full((4, 4), -(2**63)), 3, 1, 1) == -(2**63)).all()


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"kernel_size": 0}, ValueError),
        ({"kernel_size": -2}, ValueError),
        ({"kernel_size": (2, 0)}, ValueError),
        ({"kernel_size": (2, 2, 2)}, ValueError),
        ({"kernel_size": 2.0}, TypeError),
        ({"kernel_size": "2"}, TypeError),
        ({"kernel_size": None}, TypeError),
        ({"kernel_size": 2, "stride": 0}, ValueError),
        ({"kernel_size": 2, "stride": (1, -1)}, ValueError),
        ({"kernel_size": 2, "stride": 1.5}, TypeError),
        ({"kernel_size": 2, "padding": -1}, ValueError),
        ({"kernel_size": 2, "padding": 2}, ValueError),
        ({"kernel_size": (4, 2), "padding": (2, 2)}, ValueError),
        ({"kernel_size": 3, "padding": 2}, ValueError),
        ({"kernel_size": 2, "padding": 0.5}, TypeError),
        ({"kernel_size": 7}, ValueError),
        ({"kernel_size": (2, 9), "padding": (0, 1)}, ValueError),
    ],
    ids=repr,
)
def test_wrong_windows_are_refused_by_name(keywords, error):
    name = list(keywords)[-1]
    with pytest.raises(error, match=rf"{name}|kernel_size"):
        max_pool2d(np.ones((6, 6)), **keywords)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_an_image_has_two_dimensions(shape):
    with pytest.raises(ValueError, match="input must"):
        max_pool2d(np.ones(shape), 2)


def test_the_image_is_left_as_it_was():
    x = np.arange(36.0).reshape(6, 6)
    result = max_pool2d(x, 1)
    assert not np.shares_memory(result, x)
    np.testing.assert_array_equal(x, np.arange(36.0).reshape(6, 6))


# ---------------------------------------------------------------- leaky ReLU


@given(st.sampled_from(["f", "d"]), st.data())
def test_leaky_relu_is_its_definition(dtype, data):
    x = data.draw(arrays(dtype, data.draw(st.sampled_from([(), (7,), (0,), (2, 3)])), any_value))
    slope = data.draw(st.sampled_from([0.0, 0.01, 0.25, 1.0]))
    before = x.copy()
    with np.errstate(invalid="ignore"):
        expected = reference.leaky_relu(x, slope)
    result = leaky_relu(x, slope)
    assert result.dtype == np.dtype(dtype)
    assert result.shape == x.shape
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(x, before)


def test_leaky_relu_keeps_a_hundredth_by_default():
    np.testing.assert_array_equal(leaky_relu(np.array([-2.0, 0.0, 3.0])), [-0.02, 0, 3])
