"""Calls on tape: what is played is what Python would have computed, and the rest is declined."""

import threading

import numpy as np
import pytest
from agreement import assert_fresh, assert_identical

from fastconv import nn
from fastconv.filters import Filters
from fastconv.nn import taped
from fastconv.runtime import bind, load, tape

pytestmark = pytest.mark.skipif(not bind.layout_is_known(), reason="arrays lie otherwise here")


def noise(shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return (8 * rng.standard_normal(shape)).astype(dtype)


@pytest.fixture(autouse=True)
def kernels():
    load.kernel("player", "int64")
    taped._tapes.clear()
    taped._seen.clear()
    return taped._tapes


LAYERS = {
    "one channel": ((1, 1, 20, 23), (1, 1, 3, 3), {}),
    "padded": ((1, 1, 20, 23), (6, 1, 5, 5), {"padding": 2}),
    "channels": ((1, 6, 14, 14), (16, 6, 5, 5), {}),
    "some of a block": ((2, 5, 9, 8), (7, 5, 3, 2), {"stride": 2, "padding": (1, 0)}),
    "groups": ((2, 6, 9, 8), (8, 3, 3, 3), {"groups": 2, "padding": "same"}),
    "depthwise": ((1, 8, 12, 12), (8, 1, 3, 3), {"groups": 8, "padding": 1}),
    "strided depthwise": ((1, 8, 12, 12), (8, 1, 3, 3), {"groups": 8, "stride": 2}),
    "pointwise": ((1, 16, 11, 13), (20, 16, 1, 1), {}),
    "channels last": ((1, 9, 10, 4), (5, 4, 3, 3), {"layout": "NHWC", "dilation": 2}),
    "depthwise last": ((1, 9, 10, 16), (16, 1, 3, 3), {"layout": "NHWC", "groups": 16}),
    "images of one channel": ((5, 1, 9, 10), (3, 1, 3, 3), {"method": "depthwise"}),
    "no batch": ((3, 12, 11), (4, 3, 3, 3), {"padding": 1}),
    "relu": ((1, 3, 12, 11), (4, 3, 3, 3), {"activation": "relu"}),
    "leaky": ((1, 3, 12, 11), (4, 3, 3, 3), {"activation": "leaky_relu", "negative_slope": 0.3}),
    "many bands": ((3, 40, 60, 60), (4, 40, 3, 3), {"padding": 1, "workers": 1}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_on_tape_gives_the_same_bits(name, biased, dtype, kernels):
    image, filters, keywords = LAYERS[name]
    if dtype[0] in "iu" and keywords.get("activation") == "leaky_relu":
        pytest.skip("leaky_relu is for floats")
    keywords = {"method": "depthwise" if "depthwise" in name else "blocks", **keywords}
    bias = noise(filters[0], dtype, 9) if biased else None
    for turn in range(4):
        x, w = noise(image, dtype, turn), noise(filters, dtype, 10 + turn)
        want = nn.conv2d(x, w, bias, out=np.empty_like(nn.conv2d(x, w, bias, **keywords)),
                         **keywords)  # fmt: skip
        for _ in range(2):
            got = nn.conv2d(x, w, bias, **keywords)
            assert_fresh(got)
            assert_identical(got, want)
    assert all(kernels.values()) and len(kernels) == 2  # Also with out.


def test_packed_filters_keep_their_own_tapes(kernels):
    x = noise((1, 3, 12, 11))
    several = [nn.pack(noise((4, 3, 3, 3), seed=s)) for s in range(3)]
    for _ in range(4):
        for filters in several:
            assert_identical(nn.conv2d(x, filters), nn.conv2d(x, filters.array))
    assert all(len(filters.tapes) == 1 for filters in several)
    assert Filters(several[0].array).tapes is None


def test_one_axis_and_two_are_told_apart():
    x, w = noise((4, 3, 30)), noise((5, 3, 5))
    for _ in range(4):
        assert nn.conv1d(x, w).shape == (4, 5, 26)
        assert nn.conv2d(x, noise((5, 4, 3, 5))).shape == (5, 1, 26)


TRANSPOSED = {
    "one phase": ((1, 3, 9, 8), (3, 4, 3, 3), {"padding": 1}),
    "phases": ((2, 4, 9, 8), (4, 6, 3, 2), {"stride": 2, "output_padding": (0, 1)}),
    "gaps": ((1, 3, 5, 6), (3, 4, 2, 2), {"stride": 3, "output_padding": 1}),
    "groups": ((1, 6, 9, 8), (6, 3, 4, 4), {"stride": 2, "padding": 1, "groups": 2}),
    "dilated": ((1, 3, 9, 8), (3, 4, 3, 3), {"stride": (2, 3), "dilation": (3, 2)}),
    "last": ((1, 9, 8, 3), (3, 4, 3, 3), {"stride": 2, "layout": "NHWC"}),
    "no batch": ((3, 7, 6), (3, 4, 3, 3), {"stride": 2}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_a_transposed_layer_on_tape_gives_the_same_bits(name, biased, activation, dtype, kernels):
    image, filters, keywords = TRANSPOSED[name]
    if dtype[0] in "iu" and activation == "leaky_relu":
        pytest.skip("leaky_relu is for floats")
    keywords = {**keywords, "activation": activation, "method": "blocks"}
    count = filters[1] * keywords.get("groups", 1)
    for turn in range(4):
        x, w = noise(image, dtype, turn), noise(filters, dtype, 10 + turn)
        bias = noise(count, dtype, 20 + turn) if biased else None
        strided = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype)[..., ::2]
        strided[...] = x
        want = nn.conv_transpose2d(strided, w, bias, **keywords)
        for _ in range(2):
            got = nn.conv_transpose2d(x, w, bias, **keywords)
            assert_identical(got, want)
        out, packed = np.empty_like(want), nn.pack(w)
        for _ in range(3):
            assert nn.conv_transpose2d(x, w, bias, out=out, **keywords) is out
            assert_identical(out, want)
            assert_identical(nn.conv_transpose2d(x, packed, bias, **keywords), want)
    # An unsigned bias is activated by NumPy, where an output meets no tap.
    taped_ones = [entry is not None for entry in kernels.values()]
    by_numpy = name == "gaps" and biased and activation and dtype == "uint8"
    assert taped_ones == [True, True] or by_numpy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_on_tape_have_the_same_bits(groups, layout, dtype, kernels):
    keywords = {"stride": 2, "padding": 1, "groups": groups, "layout": layout}

    def order(array):
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if layout == "NHWC" else array

    for turn in range(4):
        x, w = noise((2, 4, 9, 8), dtype, turn), noise((6, 4 // groups, 3, 3), dtype, 10 + turn)
        x, g = order(x), order(noise((2, 6, 5, 4), dtype, 20 + turn))
        strided = np.zeros((*g.shape[:-1], 2 * g.shape[-1]), dtype)[..., ::2]
        strided[...] = g
        by_x = nn.conv2d_input(x.shape, w, strided, **keywords)
        by_w = nn.conv2d_weight(x, w.shape, strided, **keywords)
        for _ in range(2):
            for got, want in ((nn.conv2d_input(x.shape, w, g, **keywords), by_x),
                              (nn.conv2d_weight(x, w.shape, g, **keywords), by_w)):  # fmt: skip
                assert_fresh(got)
                assert_identical(got, want)
    assert len(kernels) == 2


class Subclass(np.ndarray):
    pass


def test_what_differs_from_the_taped_call_is_answered_as_ever():
    x, w, bias = noise((1, 3, 12, 11)), noise((4, 3, 3, 3)), noise(4)
    for _ in range(3):
        want = nn.conv2d(x, w, bias)
    wide = noise((1, 3, 12, 22))
    assert_identical(nn.conv2d(wide[..., ::2], w, bias), nn.conv2d(wide[..., ::2].copy(), w, bias))
    assert_identical(nn.conv2d(x.view(Subclass), w, bias), want)
    assert nn.conv2d(x.astype("f8"), w.astype("f8"), bias.astype("f8")).dtype == np.float64
    assert_identical(nn.conv2d(x.astype(">f4"), w), nn.conv2d(x, w))
    with pytest.raises(TypeError):
        nn.conv2d(x, w.astype("f8"), bias)
    with pytest.raises(TypeError):
        nn.conv2d(x, w, bias.astype("f8"))
    with pytest.raises(ValueError):
        nn.conv2d(x, w, bias[:3])
    for wrong in (1.5, [1, 2, 3], {}):
        with pytest.raises((TypeError, ValueError)):
            nn.conv2d(x, w, bias, stride=wrong)
    with pytest.raises(ValueError):
        nn.conv2d(x, w, bias, workers=0)
    assert nn.conv2d(x, w, bias, stride=[1, 1]).shape == want.shape


def test_a_callable_is_called_every_time():
    x, w, calls = noise((1, 3, 12, 11)), noise((4, 3, 3, 3)), []

    def count(sums):
        calls.append(1)
        return sums

    for _ in range(4):
        nn.conv2d(x, w, activation=count)
    assert len(calls) >= 4


def test_out_is_written_whatever_was_kept():
    x, w, bias = noise((1, 3, 12, 11)), noise((3, 3, 1, 1)), noise(3)
    want = nn.conv2d(x, w, bias)
    out = np.zeros_like(want)
    for _ in range(4):
        out[...] = 0
        assert nn.conv2d(x, w, bias, out=out) is out
        assert_identical(out, want)
        assert_identical(nn.conv2d(x, w, bias), want)
    wide = np.zeros((*want.shape[:-1], 22), "f")
    assert_identical(nn.conv2d(x, w, bias, out=wide[..., ::2]), want)
    own = x.copy()
    assert nn.conv2d(own, w, bias, out=own) is own
    assert_identical(own, want)
    for wrong in (np.zeros((1, 3, 12, 10), "f"), np.zeros(want.shape), list(out)):
        with pytest.raises((TypeError, ValueError)):
            nn.conv2d(x, w, bias, out=wrong)
    out.flags.writeable = False
    with pytest.raises(ValueError):
        nn.conv2d(x, w, bias, out=out)


def test_words_need_no_hash():
    class Twice:
        __hash__ = None

        def __call__(self, sums):
            return 2 * sums

    x, w = noise((1, 3, 12, 11)), noise((4, 3, 3, 3))
    for _ in range(4):
        assert_identical(nn.conv2d(x, w, activation=Twice()), 2 * nn.conv2d(x, w))
        slope = np.array(0.25)
        got = nn.conv2d(x, w, activation="leaky_relu", negative_slope=slope)
        assert_identical(got, nn.conv2d(x, w, activation="leaky_relu", negative_slope=0.25))


POOLS = {
    "max": lambda x: nn.max_pool2d(x, 2),
    "max 3": lambda x: nn.max_pool2d(x, (3, 3), 2, 1, ceil_mode=True),
    "max of boxes": lambda x: nn.max_pool2d(x, 5),
    "places": lambda x: nn.max_pool2d(x, 3, 2, 1, return_indices=True),
    "places of dilated": lambda x: nn.max_pool2d(x, 3, 2, 1, 2, return_indices=True),
    "places of all": lambda x: nn.adaptive_max_pool2d(x, (3, 4), return_indices=True),
    "max of large windows": lambda x: nn.max_pool2d(x, 7, 1, 3),
    "mean": lambda x: nn.avg_pool2d(x, 2),
    "mean 3": lambda x: nn.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "mean over 7": lambda x: nn.avg_pool2d(x, 3, divisor_override=7),
    "mean of boxes": lambda x: nn.avg_pool2d(x, 5),
    "mean of all": lambda x: nn.adaptive_avg_pool2d(x, 1),
    "max of all": lambda x: nn.adaptive_max_pool2d(x, (2, 3)),
    "uneven": lambda x: nn.adaptive_avg_pool2d(x, (3, 4)),
    "one axis": lambda x: nn.max_pool1d(x, 3, 2),
    "three axes": lambda x: nn.avg_pool3d(x, 2),
    "relu": nn.relu,
    "leaky": lambda x: nn.leaky_relu(x, 0.5),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "bool", "float16"])
@pytest.mark.parametrize("name", POOLS)
def test_a_function_of_one_array_on_tape_gives_the_same_bits(name, dtype):
    if dtype == "bool" and ("mean" in name or name in ("uneven", "three axes")):
        pytest.skip("means are of numbers")
    for turn in range(4):
        x = noise((2, 3, 16, 18), dtype, turn)
        if x.dtype.kind == "f":
            x[0, 0, turn, 3] = np.nan
        strided = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype)[..., ::2]
        strided[...] = x
        want = POOLS[name](strided)
        for _ in range(2):
            got = POOLS[name](x)
            pairs = [r if type(r) is tuple else (r,) for r in (got, want)]
            for one, other in zip(*pairs, strict=True):
                assert_fresh(one)
                assert_identical(one, other)


def test_a_flag_is_no_size():
    x = noise((1, 8, 8))
    for _ in range(3):
        nn.max_pool2d(x, 1)
    with pytest.raises(TypeError):
        nn.max_pool2d(x, True)
    w = noise((1, 1, 1, 1))
    for _ in range(3):
        nn.conv2d(x, w)
    with pytest.raises(TypeError):
        nn.conv2d(x, w, stride=True)


# ---------------------------------------------------------------- recording


def test_arrays_of_unknown_origin_leave_no_tape():
    x, out, kernel = np.arange(3.0), np.empty(24), load.kernel("filters", "float64")

    def run(source):
        load.kernel("filters", "float64")(source, out, 1, 3)

    assert kernel is not None
    assert tape.record(lambda: run(x), (x,), out, (24,), 0.0) is not None
    assert tape.record(lambda: run(x.copy()), (x,), out, (24,), 0.0) is None
    constant = x.copy()
    constant.flags.writeable = False
    assert tape.record(lambda: run(constant), (x,), out, (24,), 0.0) is not None


def test_operands_that_share_memory_leave_no_tape():
    x = noise((1, 1, 8, 8), "float64")
    out = np.empty(64)
    assert tape.record(lambda: None, (x, x[:, :, :3, :3]), out, (64,), 0.0) is None


def test_other_threads_kernels_are_not_recorded():
    seen = []

    def elsewhere():
        load.kernel("filters", "float64")

    with load.listening(lambda name, dtype, loop: seen.append(name) or loop):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert not seen
        load.kernel("filters", "float64")
    assert seen == ["filters"]
    load.kernel("filters", "float64")
    assert seen == ["filters"]


def test_threads_play_one_tape_at_once():
    x, w = [noise((1, 6, 14, 14), seed=s) for s in range(8)], noise((16, 6, 5, 5))
    want = [nn.conv2d(one, w) for one in x]
    wrong = []

    def work(i):
        for _ in range(300):
            right = np.array_equal(nn.conv2d(x[i], w), want[i])
            wrong.extend([] if right else [i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
