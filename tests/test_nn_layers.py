"""fastconv.nn's convolution layers equal their definition, and torch where it is installed."""

import numpy as np
import pytest
from agreement import assert_identical
from hypothesis import given
from hypothesis import strategies as st
from reference_layers import Call, agrees, conv, winograd_bound

import fastconv
from fastconv import nn
from fastconv.paths.channels import LAYER_PATHS, blocks

LAST = {1: "NLC", 2: "NHWC", 3: "NDHWC"}
METHODS = ["auto", *LAYER_PATHS]


def face(name, ndim):
    """A function of fastconv.nn by its stem: conv, conv_transpose, or a gradient."""
    return getattr(nn, name.replace("#", str(ndim)))


@st.composite
def calls(draw, dtypes="fdih", transposed=False, groups=(1, 1, 2, 3), channels=5):
    """A layer: its geometry first, then images and filters that fit it."""
    ndim = draw(st.sampled_from([1, 2, 2, 2, 3]))
    several = st.tuples(*[st.integers(1, 3)] * ndim)
    taps, stride, dilation = draw(several), draw(several), draw(several)
    padding = draw(st.tuples(*[st.integers(0, 3)] * ndim))
    if not transposed:
        padding = draw(st.sampled_from([padding, padding, "same", "valid"]))
        stride = (1,) * ndim if padding == "same" else stride
    pads = padding if isinstance(padding, tuple) else (0,) * ndim
    longest = {1: 40, 2: 18, 3: 5}[ndim]
    signal = []
    for k, d, p in zip(taps, dilation, pads, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p)
        signal.append(draw(st.integers(least, max(longest, least))))
    g = draw(st.sampled_from(groups))
    inputs, outputs = draw(st.integers(1, channels)), draw(st.integers(1, channels))
    n = draw(st.integers(0, 3))
    dtype = draw(st.sampled_from(list(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    few, many = (inputs, outputs) if transposed else (outputs, inputs)
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    return Call(
        ndim,
        numbers(rng, dtype, (n, g * inputs, *signal)),
        numbers(rng, dtype, (g * few, many, *taps)),
        draw(st.sampled_from([None, numbers(rng, dtype, (g * outputs,))])),
        stride,
        padding,
        dilation,
        g,
        extra,
    )


def numbers(rng, dtype, shape):
    """Random numbers; integers that wrap."""
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


@pytest.mark.parametrize("method", METHODS)
@given(call=calls("fdihFD"))
def test_a_layer_is_its_definition_in_both_layouts(method, call):
    taps = call.w[0].size + 1
    layer = face("conv#d", call.ndim)
    for last in (False, True):
        x = np.moveaxis(call.x, 1, -1).copy() if last else call.x
        keywords = call.keywords | {"method": method}
        if last:
            keywords["layout"] = LAST[call.ndim]
        try:
            result = layer(x, call.w, **keywords)
        except ValueError as error:
            assert method != "auto"
            assert "method must suit" in str(error)
            continue
        assert result.flags.c_contiguous
        result = np.moveaxis(result, -1, 1) if last else result
        normwise = 0
        if method == "winograd" and result.size:  # Nobody is asked for no outputs.
            normwise = winograd_bound(call.x, call.w, call.pads, 4, call.groups)
        agrees(result, call.define, call.x, call.w, call.bias, taps, normwise)


@given(call=calls("fdih", transposed=True))
def test_a_transposed_layer_is_its_definition_in_both_layouts(call):
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            call.x.shape[2:], call.stride, call.padding, call.dilation, call.w.shape[2:],
            call.extra, strict=True,
        )
    ]  # fmt: skip
    layer = face("conv_transpose#d", call.ndim)
    keywords = call.keywords | {"output_padding": call.extra}
    if min(sizes) < 0:
        with pytest.raises(ValueError, match="padding must leave outputs"):
            layer(call.x, call.w, **keywords)
        return
    taps = call.w.shape[0] * call.w[0, 0].size + 1
    for last in (False, True):
        x = np.moveaxis(call.x, 1, -1).copy() if last else call.x
        if last:
            keywords["layout"] = LAST[call.ndim]
        result = layer(x, call.w, **keywords)
        result = np.moveaxis(result, -1, 1) if last else result
        agrees(result, call.define_transposed, call.x, call.w, call.bias, taps)


@given(call=calls("d", channels=3))
def test_gradients_are_the_adjoint_of_the_layer(call):
    # <conv(x, w), g> is linear in x and in w: the gradients are what makes it so.
    layer = face("conv#d", call.ndim)
    keywords = {k: v for k, v in call.keywords.items() if k != "bias"}
    y = layer(call.x, call.w, **keywords)
    g = numbers(np.random.default_rng(1), "d", y.shape)
    by_x = face("conv#d_input", call.ndim)(call.x.shape, call.w, g, **keywords)
    by_w = face("conv#d_weight", call.ndim)(call.x, call.w.shape, g, **keywords)
    assert by_x.shape == call.x.shape
    assert by_w.shape == call.w.shape
    value = np.sum(y * g)
    scale = np.sum(layer(abs(call.x), abs(call.w), **keywords) * abs(g)) + 1
    assert abs(np.sum(by_x * call.x) - value) <= 1e-12 * scale
    assert abs(np.sum(by_w * call.w) - value) <= 1e-12 * scale
    # Finite differences are exact up to round-off for a linear function.
    rng = np.random.default_rng(2)
    dx, dw = numbers(rng, "d", call.x.shape), numbers(rng, "d", call.w.shape)
    assert abs(np.sum(by_x * dx) - np.sum(layer(dx, call.w, **keywords) * g)) <= 1e-9 * scale
    assert abs(np.sum(by_w * dw) - np.sum(layer(call.x, dw, **keywords) * g)) <= 1e-9 * scale


# ---------------------------------------------------------------- long filters


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("groups", [1, 2])
def test_long_filters_go_by_transforms_unless_each_output_counts(dtype, groups):
    rng = np.random.default_rng(0)
    x = numbers(rng, dtype, (2, 2, 200, 190))
    w = numbers(rng, dtype, (2, 2 // groups, 48, 50))
    bias = numbers(rng, dtype, (2,))
    x[1, 0, 150, 20] = np.nan
    keywords = {"padding": (3, 7), "groups": groups}
    found = {"chosen": nn.explain_conv2d(x, w, bias, **keywords).chosen}
    assert found["chosen"] == "pairs"
    exact = nn.explain_conv2d(x, w, bias, accuracy="componentwise", **keywords)
    assert all(row.guarantee != "normwise" for row in exact.rows if row.name == exact.chosen)
    fast = nn.conv2d(x, w, bias, activation="relu", **keywords)
    want = nn.conv2d(
        x.astype("d"), w.astype("d"), bias.astype("d"), activation="relu", method="blocks",
        **keywords,
    )  # fmt: skip
    assert np.array_equal(np.isnan(fast), np.isnan(want))
    bound = 20 * np.finfo(dtype).eps * np.log2(x[0, 0].size) * np.linalg.norm(x[0])
    bound *= np.linalg.norm(w[0]) * 2
    assert np.nanmax(abs(fast - want)) <= bound


# ---------------------------------------------------------------- the keywords


def test_an_unbatched_image_has_an_unbatched_answer():
    rng = np.random.default_rng(0)
    for ndim in (1, 2, 3):
        x, w = rng.standard_normal((2, *(5,) * ndim)), rng.standard_normal((4, 2, *(3,) * ndim))
        for name in ("conv#d", "conv_transpose#d"):
            v = w if name == "conv#d" else w.swapaxes(0, 1).copy()
            one, many = face(name, ndim)(x, v), face(name, ndim)(x[None], v)
            assert_identical(one, many[0].copy())


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("method", METHODS)
def test_the_epilogue_is_what_would_be_done_afterwards(dtype, layout, method):
    numba = pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    x, w = numbers(rng, dtype, (2, 3, 17, 17)), numbers(rng, dtype, (37, 3, 3, 3))
    bias = numbers(rng, dtype, (37,))
    if layout == "NHWC":
        x = np.moveaxis(x, 1, -1).copy()
    keywords = {"padding": 1, "layout": layout, "method": method}
    try:
        plain = nn.conv2d(x, w, bias, **keywords)
    except ValueError:
        pytest.skip(f"{method} does not compute this layer")
    first = x if layout == "NCHW" else np.moveaxis(x, -1, 1)
    agrees(
        plain if layout == "NCHW" else np.moveaxis(plain, -1, 1),
        lambda x, w, b: conv(x, w, b, pads=((1, 1), (1, 1))),
        first,
        w,
        bias,
        28,
        winograd_bound(first, w, ((1, 1), (1, 1)), 4) if method == "winograd" else 0,
    )

    @numba.njit
    def cube(value):
        return value * value * value if value > 0 else value * 0

    expected = {
        None: plain,
        "relu": np.maximum(plain, 0),
        "leaky_relu": np.where(plain > 0, plain, plain * np.dtype(dtype).type(0.1)),
        cube: np.where(plain > 0, plain * plain * plain, plain * 0),
        np.tanh: np.tanh(plain),
    }
    for activation, answer in expected.items():
        result = nn.conv2d(x, w, bias, activation=activation, negative_slope=0.1, **keywords)
        np.testing.assert_allclose(result, answer, rtol=1e-5 if dtype == "f" else 1e-12)


def test_the_epilogue_lets_nan_through():
    x = np.ones((1, 1, 20, 20), np.float32)
    x[0, 0, 5, 5] = np.nan
    for activation in (None, "relu", "leaky_relu"):
        result = nn.conv2d(x, np.ones((16, 1, 3, 3), np.float32), padding=1, activation=activation)
        where = np.zeros((20, 20), bool)
        where[4:7, 4:7] = True
        np.testing.assert_array_equal(np.isnan(result), np.broadcast_to(where, result.shape))


@pytest.mark.parametrize("method", METHODS)
def test_padding_zeros_meet_infinite_taps(method):
    x, w = np.ones((1, 16, 8, 8), np.float32), np.ones((16, 16, 3, 3), np.float32)
    w[0, 0, 0, 0] = np.inf
    try:
        result = nn.conv2d(x, w, padding=1, method=method)
    except ValueError:
        pytest.skip(f"{method} does not compute this layer")
    assert np.isnan(result[0, 0, 0]).all()
    assert np.isnan(result[0, 0, :, 0]).all()
    assert np.isposinf(result[0, 0, 1:, 1:]).all()
    assert np.isfinite(result[0, 1:]).all()


def test_out_is_filled_wherever_it_lies():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 9, 9)), rng.standard_normal((4, 3, 3, 3))
    expected = nn.conv2d(x, w)
    for out in (np.empty(expected.shape), np.empty(expected.shape[::-1]).T):
        assert nn.conv2d(x, w, out=out) is out
        np.testing.assert_array_equal(out, expected)
    # The result may overwrite the image.
    room = np.zeros(x.size + expected.size)
    image = room[: x.size].reshape(x.shape)
    image[...] = x
    out = room[10 : 10 + expected.size].reshape(expected.shape)
    np.testing.assert_array_equal(nn.conv2d(image, w, out=out), expected)
    one = np.empty(expected.shape[1:])
    assert nn.conv2d(x[0], w, out=one) is one
    np.testing.assert_array_equal(one, expected[0])
    with pytest.raises(ValueError, match="out must have shape"):
        nn.conv2d(x, w, out=np.empty((1, 2)))
    with pytest.raises(TypeError, match="out must"):
        nn.conv2d(x, w, out=np.empty(expected.shape, "f"))


def test_packed_filters_answer_like_their_weights():
    rng = np.random.default_rng(0)
    for shape in ((4, 3, 3, 3), (32, 3, 3, 3), (6, 1, 3, 3)):
        w = rng.standard_normal(shape).astype("f")
        filters = nn.pack(w)
        groups = 6 if shape[1] == 1 else 1
        x = rng.standard_normal((2, shape[1] * groups, 11, 12)).astype("f")
        for layout in ("NCHW", "NHWC", "NCHW"):
            y = x if layout == "NCHW" else np.moveaxis(x, 1, -1).copy()
            for stride in (1, 2):
                keywords = {"groups": groups, "stride": stride, "layout": layout}
                assert_identical(nn.conv2d(y, filters, **keywords), nn.conv2d(y, w, **keywords))
    w[...] = 0
    assert nn.conv2d(x, filters, groups=6).any()
    transposed = rng.standard_normal((3, 4, 3, 3))
    x = rng.standard_normal((2, 3, 5, 5))
    for _ in range(2):
        assert_identical(
            nn.conv_transpose2d(x, nn.pack(transposed), stride=2),
            nn.conv_transpose2d(x, transposed, stride=2),
        )


def test_channels_last_memory_is_read_as_it_lies():
    rng = np.random.default_rng(0)
    x = np.moveaxis(rng.standard_normal((2, 7, 9, 5)), -1, 1)
    w = rng.standard_normal((8, 5, 3, 3))
    result = nn.conv2d(x, w, padding=1)
    np.testing.assert_allclose(result, nn.conv2d(x.copy(), w, padding=1), rtol=1e-12, atol=1e-12)
    assert result.flags.c_contiguous


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_do_not_change_a_bit(workers):
    rng = np.random.default_rng(0)
    for groups, channels in ((1, 40), (40, 40)):
        x = rng.standard_normal((3, channels, 60, 61)).astype("f")
        w = rng.standard_normal((channels, channels // groups, 3, 3)).astype("f")
        keywords = {"padding": 1, "groups": groups}
        alone = nn.conv2d(x, w, workers=1, **keywords)
        assert_identical(nn.conv2d(x, w, workers=workers, **keywords), alone)


def test_what_settled_one_call_settles_the_next_but_nothing_that_only_equals_it():
    rng = np.random.default_rng(4)
    w = rng.standard_normal((4, 3, 3, 3))
    for _ in range(3):
        x, bias = rng.standard_normal((2, 3, 9, 8)), rng.standard_normal(4)
        want = conv(x, w, bias, stride=(1, 1), pads=((1, 1), (1, 1)))
        assert np.allclose(nn.conv2d(x, w, bias, 1, 1), want, rtol=1e-12, atol=1e-12)
        assert np.array_equal(nn.conv2d(x, nn.pack(w), bias, 1, 1), nn.conv2d(x, w, bias, 1, 1))
    for stride in (True, 1.0, (1, 1.0), [1, True]):
        with pytest.raises(TypeError, match="stride"):
            nn.conv2d(x, w, bias, stride, 1)
    with pytest.raises(TypeError, match="weight must have the dtype"):
        nn.conv2d(x, w.astype("f"), None, 1, 1)
    with pytest.raises(ValueError, match="bias must have shape"):
        nn.conv2d(x, w, bias[1:], 1, 1)


@pytest.mark.parametrize("channels", [16, 128, 1024])
@pytest.mark.parametrize("case", [((3, 3), 1, 1), ((3, 3), 2, 1), ((1, 1), 1, 0), ((1, 1), 2, 0)])
def test_pixels_that_alias_change_no_bit(channels, case):
    taps, stride, pad = case
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, channels, 5, 7)).astype("f")
    w = rng.standard_normal((5, channels, *taps)).astype("f")
    first = nn.conv2d(x, w, stride=stride, padding=pad, method="blocks")
    last = np.moveaxis(x, 1, -1).copy()
    got = nn.conv2d(last, w, stride=stride, padding=pad, method="blocks", layout="NHWC")
    assert np.array_equal(np.moveaxis(got, -1, 1), first)


@given(
    st.tuples(*[st.integers(1, 4)] * 2),
    st.tuples(*[st.integers(0, 3)] * 2),
    st.tuples(*[st.integers(1, 30)] * 2),
)
def test_single_samples_some_apart_are_a_product_of_what_is_taken(stride, pad, signal):
    rng = np.random.default_rng(7)
    x = rng.integers(-9, 9, (2, 6, *signal)).astype("f")
    w = rng.integers(-9, 9, (5, 6, 1, 1)).astype("f")
    got = nn.conv2d(x, w, stride=stride, padding=pad, method="blocks")
    around = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad)))
    taken = around[:, :, :: stride[0], :: stride[1]]
    assert np.array_equal(got, np.einsum("oc,nchw->nohw", w[:, :, 0, 0], taken))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("signal", [(5, 1), (1, 5), (1, 1), (2, 1)])
def test_a_stride_along_an_axis_of_one_sample_takes_it(signal, method):
    rng = np.random.default_rng(13)
    x, w = numbers(rng, "f", (3, 4, *signal)), numbers(rng, "f", (20, 4, 1, 1))
    for stride in ((1, 2), (3, 1), (2, 2)):
        try:
            result = nn.conv2d(x, w, stride=stride, method=method)
        except ValueError:  # A path that does not serve layers of one tap.
            assert method in ("depthwise", "winograd")
            continue
        agrees(result, lambda *a, s=stride: conv(*a, stride=s, pads=((0, 0),) * 2), x, w, None, 4)


@pytest.mark.parametrize("dtype", ["f", "d", "h", "F"])
def test_operands_lie_in_either_order_of_bytes(dtype):
    rng = np.random.default_rng(14)
    x, w = numbers(rng, dtype, (2, 3, 6, 7)), numbers(rng, dtype, (4, 3, 3, 3))
    bias = numbers(rng, dtype, (4,))
    turned = w.swapaxes(0, 1)
    for swapped in ((x,), (w,), (bias,), (x, w), (w, bias), (x, w, bias)):
        here = [
            a.astype(a.dtype.newbyteorder()) if any(a is s for s in swapped) else a
            for a in (x, w, bias)
        ]
        assert_identical(nn.conv2d(*here), nn.conv2d(x, w, bias))
        here[1] = here[1].swapaxes(0, 1)
        result = nn.conv_transpose2d(*here)
        assert_identical(result, nn.conv_transpose2d(x, turned, bias))
    gradient = nn.conv2d(x, w)
    weights = nn.conv2d_weight(x, w.shape, gradient)
    swapped = gradient.astype(gradient.dtype.newbyteorder())
    assert_identical(nn.conv2d_weight(x, w.shape, swapped), weights)
    swapped = x.astype(x.dtype.newbyteorder())
    assert_identical(nn.conv2d_weight(swapped, w.shape, gradient), weights)


@pytest.mark.parametrize("activation", [None, "relu", np.tanh])
def test_filters_laid_out_in_portions_change_no_bit(monkeypatch, activation):
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((2, 3, 9, 9)), rng.standard_normal((70, 3, 3, 3))
    bias = rng.standard_normal(70)

    def both():
        blocks._ready.cache_clear()
        return [
            nn.conv2d(images, w, bias, 1, 1, activation=activation, method="blocks", layout=layout)
            for images, layout in ((x, "NCHW"), (np.moveaxis(x, 1, -1).copy(), "NHWC"))
        ]

    whole = both()
    monkeypatch.setattr(blocks, "_FILTER_BYTES", 1)
    assert all(map(np.array_equal, both(), whole))
    blocks._ready.cache_clear()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_images_of_one_channel_are_each_what_they_are_alone(outputs, stride):
    rng = np.random.default_rng(9)
    x, w = rng.standard_normal((7, 1, 11, 13)), rng.standard_normal((outputs, 1, 3, 3))
    bias = rng.standard_normal(outputs)
    how = {"stride": stride, "padding": 1, "activation": "relu", "method": "depthwise"}
    alone = [nn.conv2d(image[None], w, bias, **how) for image in x]
    assert np.array_equal(nn.conv2d(x, w, bias, **how), np.concatenate(alone))


def test_explain_names_every_path():
    x, w = np.ones((3, 9, 9)), np.ones((8, 3, 3, 3))
    table = repr(nn.explain_conv2d(x, w))
    assert all(name in table for name in LAYER_PATHS)
    with pytest.raises(ValueError, match="method must be one of"):
        nn.conv2d(x, w, method="magic")
    with pytest.raises(ValueError, match="accuracy must be one of"):
        nn.conv2d(x, w, accuracy="exact")
    assert_identical(
        nn.conv2d(x.astype(int), w.astype(int), accuracy="exact"), np.full((8, 7, 7), 27)
    )


# ---------------------------------------------------------------- empties and errors


def test_no_images_and_no_channels_give_what_torch_gives():
    assert nn.conv2d(np.ones((0, 3, 8, 8)), np.ones((4, 3, 3, 3))).shape == (0, 4, 6, 6)
    assert nn.conv2d(np.ones((2, 0, 8, 8)), np.ones((4, 0, 3, 3))).shape == (2, 0, 6, 6)
    assert nn.conv_transpose2d(np.ones((0, 4, 8, 8)), np.ones((4, 2, 3, 3))).shape == (
        0, 2, 10, 10,
    )  # fmt: skip
    assert nn.unfold(np.ones((0, 4, 8, 8)), 3).shape == (0, 36, 36)


WRONG = [
    (((2, 3, 8, 8), (0, 3, 3, 3)), {}, "weight must"),
    (((2, 3, 2, 8), (4, 3, 3, 3)), {}, "weight must fit"),
    (((2, 3, 0, 8), (4, 3, 1, 1)), {}, "input must have pixels"),
    (((2, 3, 8, 8), (4, 3, 0, 3)), {}, "weight must have taps"),
    (((2, 3, 8, 8), (4, 2, 3, 3)), {}, "input must have 2 channels"),
    (((2, 4, 8, 8), (4, 2, 3, 3)), {"groups": 3}, "groups must"),
    (((2, 4, 8, 8), (5, 2, 3, 3)), {"groups": 2}, "groups must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"groups": 0}, "groups must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"stride": 0}, "stride must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"padding": -1}, "padding must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"dilation": 0}, "dilation must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"dilation": 5}, "weight must fit"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"stride": (1, 2, 3)}, "stride must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"padding": "same", "stride": 2}, "stride 1"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"padding": "full"}, "padding must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"bias": np.ones(3)}, "bias must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"bias": np.ones((4, 1))}, "bias must"),
    (((8, 8), (4, 4, 3, 3)), {}, "input must"),
    (((2, 4, 8, 8), (4, 4, 3)), {}, "weight must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"layout": "HWCN"}, "layout must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"activation": "gelu"}, "activation must"),
    (((2, 4, 8, 8), (4, 4, 3, 3)), {"workers": 0}, "workers must"),
]


@pytest.mark.parametrize(("shapes", "keywords", "message"), WRONG, ids=repr)
def test_wrong_arguments_are_refused_by_name(shapes, keywords, message):
    with pytest.raises(ValueError, match=message):
        nn.conv2d(np.ones(shapes[0]), np.ones(shapes[1]), **keywords)


def test_wrong_types_are_refused():
    x, w = np.ones((1, 2, 8, 8)), np.ones((4, 2, 3, 3))
    with pytest.raises(TypeError, match="weight must have the dtype"):
        nn.conv2d(x.astype("f"), w)
    with pytest.raises(TypeError, match="bias must have the dtype"):
        nn.conv2d(x, w, np.ones(4, "f"))
    with pytest.raises(TypeError, match="input must hold numbers"):
        nn.conv2d(x.astype(bool), w.astype(bool))
    with pytest.raises(TypeError, match="stride must"):
        nn.conv2d(x, w, stride=1.5)
    with pytest.raises(TypeError, match="activation must suit"):
        nn.conv2d(x.astype(int), w.astype(int), activation="leaky_relu")
    with pytest.raises(TypeError, match="activation must"):
        nn.conv2d(x, w, activation=3)
    with pytest.raises(TypeError, match="weight must hold numbers"):
        nn.pack(np.ones(3, bool))


# ---------------------------------------------------------------- unfold and fold


@given(call=calls("di", channels=3, groups=(1,)))
def test_a_layer_is_its_filters_times_the_unfolded_images(call):
    if call.ndim != 2 or call.padding == "same":
        return
    padding = (0, 0) if call.padding == "valid" else call.padding
    window = {"dilation": call.dilation, "padding": padding, "stride": call.stride}
    columns = nn.unfold(call.x, call.w.shape[2:], **window)
    y = np.matmul(call.w.reshape(len(call.w), -1), columns)
    expected = nn.conv2d(call.x, call.w, groups=1, **window)
    if call.x.dtype.kind == "i":
        np.testing.assert_array_equal(y.reshape(expected.shape), expected)
    else:
        np.testing.assert_allclose(y.reshape(expected.shape), expected, rtol=0, atol=1e-10)
    # fold is the transpose of unfold.
    c = numbers(np.random.default_rng(3), "d", columns.shape)
    back = nn.fold(c, call.x.shape[2:], call.w.shape[2:], **window)
    left, right = np.sum(back * call.x.astype(float)), np.sum(c * columns.astype(float))
    assert abs(left - right) <= 1e-12 * np.sum(abs(c) * abs(columns.astype(float)))


@pytest.mark.parametrize("layer", [nn.unfold, lambda x, k, **w: nn.fold(x, (8, 8), k, **w)])
@pytest.mark.parametrize(
    "keywords", [{"kernel_size": 9}, {"kernel_size": 0}, {"stride": 0}, {"padding": -1}], ids=repr
)
def test_wrong_windows_are_refused(layer, keywords):
    keywords = {"kernel_size": 3} | keywords
    with pytest.raises(ValueError, match="must"):
        layer(np.ones((1, 2, 8, 8)) if layer is nn.unfold else np.ones((9, 36)),
              keywords.pop("kernel_size"), **keywords)  # fmt: skip


def test_the_namespace_is_complete():
    assert set(nn.__all__) <= set(dir(fastconv.nn))
