"""Layers by Winograd's tiles: their error, where NaN and overflow go, and who may choose them."""

from contextlib import contextmanager

import numpy as np
import pytest
from agreement import assert_identical
from hypothesis import given
from hypothesis import strategies as st
from reference_layers import Call, agrees, winograd_bound

from fastconv import nn
from fastconv.filters import Filters
from fastconv.layer import Layer, LayerOperands
from fastconv.paths.channels import LAYER_PATHS, winograd_plan
from fastconv.planner import layers
from fastconv.runtime.target import host_target

SIZES = winograd_plan.SIZES


@contextmanager
def tiles_of(*sizes):
    """Have all tiles be of these sizes."""
    kept, winograd_plan.SIZES = winograd_plan.SIZES, sizes
    caches = (winograd_plan._size, winograd_plan.plan)
    for cache in caches:
        cache.cache_clear()
    try:
        yield
    finally:
        winograd_plan.SIZES = kept
        for cache in caches:
            cache.cache_clear()


def numbers(rng, dtype, shape):
    return rng.standard_normal(shape).astype(dtype)


def layer_of(images, outputs, output, pad):
    """A layer of float32 images with channels first."""
    ones = (1, 1)
    n, inputs, *signal = images
    return Layer("float32", n, 1, inputs, outputs, tuple(signal), (3, 3), output, ones, ones, pad)


@st.composite
def calls(draw):
    """A layer that has tiles: its geometry first, then images and filters that fit it."""
    dtype, groups = draw(st.sampled_from("fd")), draw(st.sampled_from([1, 1, 1, 2]))
    most = 2 * host_target().lanes(np.dtype(dtype).itemsize) + 1
    inputs, outputs = draw(st.integers(1, most)), draw(st.integers(1, 2 * most))
    padding = draw(st.sampled_from([(0, 0), (1, 1), (2, 0), (1, 4), "same"]))
    pads = (1, 1) if padding == "same" else padding
    signal = [draw(st.integers(max(1, 3 - 2 * p), 21)) for p in pads]
    images = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Channels and samples of very different sizes.
    x = numbers(rng, dtype, (images, groups * inputs, *signal))
    x *= np.exp(4 * numbers(rng, dtype, (1, groups * inputs, 1, 1)))
    w = numbers(rng, dtype, (groups * outputs, inputs, 3, 3))
    bias = draw(st.sampled_from([None, numbers(rng, dtype, groups * outputs)]))
    return Call(2, x, w, bias, (1, 1), padding, (1, 1), groups)


@pytest.mark.parametrize("m", SIZES)
@given(call=calls(), packed=st.booleans())
def test_the_error_is_within_the_stated_bound_of_its_tile(m, call, packed):
    bound = winograd_bound(call.x, call.w, call.pads, m, call.groups)
    keywords = call.keywords | {"method": "winograd"}
    w = nn.pack(call.w) if packed else call.w
    with tiles_of(m):
        for layout in ("NCHW", "NHWC"):
            x = call.x if layout == "NCHW" else np.moveaxis(call.x, 1, -1).copy()
            result = nn.conv2d(x, w, layout=layout, **keywords)
            result = result if layout == "NCHW" else np.moveaxis(result, -1, 1)
            agrees(result, call.define, call.x, call.w, call.bias, 1, bound)


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu", np.tanh])
def test_the_epilogue_is_what_would_be_done_afterwards(m, activation):
    rng = np.random.default_rng(0)
    x, w = numbers(rng, "f", (2, 5, 13, 9)), numbers(rng, "f", (21, 5, 3, 3))
    bias = numbers(rng, "f", 21)
    after = {
        None: lambda y: y,
        "relu": lambda y: np.maximum(y, 0),
        "leaky_relu": lambda y: np.where(y > 0, y, y * np.float32(0.2)),
        np.tanh: np.tanh,
    }[activation]
    with tiles_of(m):
        for layout in ("NCHW", "NHWC"):
            y = x if layout == "NCHW" else np.moveaxis(x, 1, -1).copy()
            keywords = {"padding": 1, "layout": layout, "method": "winograd"}
            plain = nn.conv2d(y, w, bias, **keywords)
            result = nn.conv2d(y, w, bias, activation=activation, negative_slope=0.2, **keywords)
            np.testing.assert_array_equal(result, after(plain))


# ---------------------------------------------------------------- NaN, infinities, overflow

WILD = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("dtype", ["f", "d"])
@given(data=st.data())
def test_nan_and_infinities_are_where_direct_sums_have_them(m, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x, w = numbers(rng, dtype, (3, 4, 15, 14)), numbers(rng, dtype, (6, 4, 3, 3))
    bias = numbers(rng, dtype, 6)
    huge = np.finfo(dtype).max
    for array in data.draw(st.lists(st.sampled_from([x, x, w, bias]), min_size=1, max_size=3)):
        array[tuple(rng.integers(0, array.shape))] = data.draw(
            st.sampled_from([*WILD, huge, huge / 8, -huge / 3, np.sqrt(huge)])
        )
    keywords = {"padding": data.draw(st.integers(0, 2))}
    with tiles_of(m), np.errstate(all="ignore"):
        result = nn.conv2d(x, w, bias, method="winograd", **keywords)
    want = nn.conv2d(x, w, bias, method="blocks", **keywords)
    for test in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(test(result), test(want))


def test_an_image_with_a_nan_is_summed_directly_and_no_other():
    rng = np.random.default_rng(0)
    x, w = numbers(rng, "f", (5, 8, 12, 12)), numbers(rng, "f", (16, 8, 3, 3))
    clean = nn.conv2d(x, w, padding=1, method="winograd")
    x[3, 2, 5, 6] = np.nan
    result = nn.conv2d(x, w, padding=1, method="winograd")
    direct = nn.conv2d(x, w, padding=1, method="blocks")
    others = [0, 1, 2, 4]
    np.testing.assert_array_equal(result[3], direct[3])
    np.testing.assert_array_equal(result[others], clean[others])
    assert np.isnan(result[3, :, 4:7, 5:8]).all()
    assert np.isnan(result).sum() == 16 * 9


def test_a_sample_that_no_window_sees_does_no_harm():
    x, w = np.ones((1, 4, 12, 12), "f"), np.ones((8, 4, 3, 3), "f")
    x[0, :, 0], x[0, :, :, -1] = np.nan, np.nan
    layer = layer_of(x.shape, 8, (6, 6), (-2, -2))
    out = np.zeros((1, 8, 6, 6), "f")
    assert LAYER_PATHS["winograd"].execute(layer, LayerOperands(x, Filters(w), out)) == []
    np.testing.assert_allclose(out, 36, rtol=1e-5)


# ---------------------------------------------------------------- workers, packed filters


@pytest.mark.parametrize("shape", [(1, 8, 61, 60), (3, 33, 20, 23), (7, 16, 7, 7), (2, 4, 9, 300)])
def test_workers_do_not_change_a_bit(shape):
    rng = np.random.default_rng(0)
    x, w = numbers(rng, "f", shape), numbers(rng, "f", (40, shape[1], 3, 3))
    for wild in (False, True):
        if wild:
            x[-1, 0, 3, 4] = np.nan
        alone = nn.conv2d(x, w, padding=1, method="winograd", workers=1)
        for workers in (2, 3, 5):
            result = nn.conv2d(x, w, padding=1, method="winograd", workers=workers)
            assert_identical(result, alone)


@pytest.mark.parametrize("shape", [(1, 8, 61, 60), (3, 33, 20, 23), (7, 16, 7, 7), (2, 4, 9, 300)])
def test_bands_cover_every_output_once(shape):
    images, _, *signal = shape
    layer = layer_of(shape, 8, tuple(signal), (1, 1))
    for workers in (1, 2, 5):
        found = winograd_plan.plan(layer, workers, False)
        seen = np.zeros((images, *signal), int)
        for band in found.bands:
            rows = slice(band.at[0], band.at[0] + band.high)
            columns = slice(band.at[1], band.at[1] + band.wide)
            seen[band.image : band.image + band.images, rows, columns] += 1
            assert band.at[0] % found.m == band.at[1] % found.m == 0
        assert (seen == 1).all()


def test_packed_filters_answer_every_call_alike():
    rng = np.random.default_rng(0)
    w = numbers(rng, "f", (24, 12, 3, 3))
    filters = nn.pack(w)
    for side in (7, 30, 7):
        x = numbers(rng, "f", (2, 12, side, side))
        keywords = {"padding": 1, "method": "winograd"}
        first, second = (nn.conv2d(x, filters, **keywords) for _ in range(2))
        assert_identical(first, second)
        np.testing.assert_allclose(first, nn.conv2d(x, w, **keywords), rtol=0, atol=1e-4)


# ---------------------------------------------------------------- who may choose it


def test_only_a_caller_who_accepts_normwise_errors_is_answered_by_tiles():
    x, w = np.ones((1, 64, 56, 56), "f"), np.ones((64, 64, 3, 3), "f")

    def chosen(w=w, **keywords):
        return nn.explain_conv2d(x, w, padding=1, **keywords).chosen

    assert chosen(accuracy="normwise") == "winograd"
    assert chosen(nn.pack(w), accuracy="normwise") == "winograd"
    assert chosen(method="winograd") == "winograd"
    assert chosen() != "winograd"
    assert chosen(accuracy="componentwise") != "winograd"
    row = next(r for r in nn.explain_conv2d(x, w, padding=1).rows if r.name == "winograd")
    assert not row.supported
    assert row.guarantee == "normwise"
    assert "accuracy='normwise'" in row.why
    with pytest.raises(ValueError, match="is normwise, not componentwise"):
        nn.conv2d(x, w, method="winograd", accuracy="componentwise")


def test_packed_filters_do_not_pay_for_their_transform():
    layer = layer_of((1, 256, 7, 7), 256, (7, 7), (1, 1))
    seconds = [
        next(v.seconds for v in layers.verdicts(layer, "normwise", packed) if v.name == "winograd")
        for packed in (True, False)
    ]
    assert seconds[0] < seconds[1]


@pytest.mark.parametrize(
    ("shape", "keywords", "why"),
    [
        ((4, 2, 3, 1), {}, "3 x 3 windows"),
        ((4, 2, 5, 5), {}, "3 x 3 windows"),
        ((4, 2, 3, 3), {"stride": 2}, "stride and dilation 1"),
        ((4, 2, 3, 3), {"dilation": (1, 2)}, "stride and dilation 1"),
    ],
)
def test_other_layers_are_refused_by_reason(shape, keywords, why):
    with pytest.raises(ValueError, match=why):
        nn.conv2d(np.ones((1, 2, 9, 9)), np.ones(shape), method="winograd", **keywords)
    with pytest.raises(ValueError, match="no compiled loop for int64"):
        nn.conv2d(np.ones((1, 2, 9, 9), int), np.ones((4, 2, 3, 3), int), method="winograd")
