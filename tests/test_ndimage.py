"""fastconv.ndimage returns what scipy.ndimage returns: its bits, its dtypes, its exceptions."""

import warnings

import numpy as np
import pytest
import strategies
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage as scipy_ndimage

from fastconv import ndimage

MODES = [
    "reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap",
    "grid-constant",
]  # fmt: skip
REAL = ["b", "B", "h", "H", "i", "I", "l", "f", "d"]


def answer(module, name, x, args, keywords):
    """A result or the exception; warnings are not compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(module, name)(x, *args, **keywords)
        except Exception as error:
            return error


def agree(name, x, *args, **keywords):
    """Hold our answer to SciPy's; return both."""
    theirs = answer(scipy_ndimage, name, x, args, keywords)
    ours = answer(ndimage, name, x, args, keywords)
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert type(ours) is type(theirs), f"{ours!r} is not {theirs!r}"
    else:
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    return ours, theirs


# ---------------------------------------------------------------- drawing calls


def mild(dtype):
    """Values whose sums doubles hold exactly or nearly; the ends of wide integers wrap."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return st.integers(max(int(info.min), -300), min(int(info.max), 300))
    if dtype.kind == "c":
        return st.builds(complex, mild("f"), mild("f"))
    return st.floats(-8.0, 8.0, width=32)


@st.composite
def images(draw, dtypes=REAL, elements=mild, smallest=1):
    ndim = draw(st.sampled_from([1, 2, 3, 3, 4, 5]))
    largest = {1: 40, 2: 9, 3: 5, 4: 4, 5: 3}[ndim]
    shape = tuple(draw(strategies.lengths(largest, smallest)) for _ in range(ndim))
    dtype = draw(st.sampled_from(dtypes))
    return draw(strategies.arrays(dtype, shape, elements, ("contiguous", "fortran", "spaced")))


@st.composite
def around(draw, modes=MODES):
    """What lies outside, and where the result goes."""
    keywords = {"mode": draw(st.sampled_from(modes)), "cval": draw(st.sampled_from([0.0, -1.5, 3]))}
    if draw(st.booleans()):
        keywords["output"] = np.dtype(draw(st.sampled_from(REAL)))
    return keywords


def origins(k):
    return st.integers(-(k // 2), (k - 1) // 2)


def filters(shape):
    """Taps: whole numbers, symmetric, antisymmetric and arbitrary ones, zeros among them."""
    count = int(np.prod(shape))
    # Half precision: no tap is so small that SciPy would leave it out.
    value = st.one_of(st.integers(-3, 3), st.floats(-2, 2, width=16), st.just(0.0))
    taken = st.lists(value, min_size=count, max_size=count)
    return taken.map(lambda v: np.array(v, float).reshape(shape))


# ---------------------------------------------------------------- SciPy's bits


@given(st.data())
def test_filters_along_an_axis_have_scipys_bits(data):
    x, keywords = data.draw(images()), data.draw(around())
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    w = data.draw(strategies.lengths(12, 1).flatmap(lambda k: filters((k,))))
    kind = data.draw(st.sampled_from([None, np.add, np.subtract]))
    w = w if kind is None else kind(w, w[::-1])
    keywords["origin"] = data.draw(origins(len(w)))
    for name in ("correlate1d", "convolve1d"):
        agree(name, x, w, axis, **keywords)


@given(st.data())
def test_filters_over_all_axes_have_scipys_bits(data):
    x, keywords = data.draw(images()), data.draw(around())
    shape = tuple(data.draw(st.integers(1, 4 if x.ndim < 4 else 2)) for _ in range(x.ndim))
    w = data.draw(filters(shape))
    keywords["origin"] = [data.draw(origins(k)) for k in shape]
    for name in ("correlate", "convolve"):
        agree(name, x, w, **keywords)


@given(st.data())
def test_gaussian_filters_have_scipys_bits(data):
    x, keywords = data.draw(images()), data.draw(around())
    ndim = x.ndim
    sigma = [data.draw(st.sampled_from([0, 0.4, 1, 2.5])) for _ in range(ndim)]
    order = [data.draw(st.integers(0, 3)) for _ in range(ndim)]
    axis = data.draw(st.integers(-ndim, ndim - 1))
    agree("gaussian_filter1d", x, 1.2, axis, order[0], **keywords)
    agree("gaussian_laplace", x, 0.8, **keywords)
    agree("gaussian_gradient_magnitude", x, 0.8, **keywords)
    keywords["mode"] = [data.draw(st.sampled_from(MODES)) for _ in range(ndim)]
    agree("gaussian_filter", x, sigma, order, **keywords)


@given(images(), around(), st.data())
def test_derivatives_have_scipys_bits(x, keywords, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for name in ("sobel", "prewitt"):
        agree(name, x, axis, **keywords)
    agree("laplace", x, **keywords)


@given(st.data())
def test_maxima_and_minima_are_scipys(data):
    # Not into unsigned 64 bits, where negative numbers become larger than a double can hold.
    x, keywords = data.draw(images([*REAL, "?"])), data.draw(around())
    sizes = [data.draw(st.integers(1, 7)) for _ in range(x.ndim)]
    moves = [data.draw(origins(k)) for k in sizes]
    for name in ("maximum_filter", "minimum_filter"):
        agree(name, x, sizes, origin=moves, **keywords)
        agree(name + "1d", x, sizes[0], 0, origin=moves[0], **keywords)


@given(st.data())
def test_extremes_under_a_footprint_are_scipys(data):
    x, keywords = data.draw(images()), data.draw(around())
    shape = tuple(data.draw(st.integers(1, 4 if x.ndim < 4 else 2)) for _ in range(x.ndim))
    marks = data.draw(st.lists(st.booleans(), min_size=int(np.prod(shape)),
                               max_size=int(np.prod(shape))))  # fmt: skip
    footprint = np.array(marks).reshape(shape)
    moves = [data.draw(origins(k)) for k in shape]
    for name in ("maximum_filter", "minimum_filter"):
        agree(name, x, footprint=footprint, origin=moves, **keywords)


@given(st.data())
def test_means_of_integers_are_scipys(data):
    x = data.draw(images(REAL[:-2]))
    mode, cval = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from([0, -2, 7]))
    sizes = [data.draw(st.integers(1, 7)) for _ in range(x.ndim)]
    moves = [data.draw(origins(k)) for k in sizes]
    agree("uniform_filter", x, sizes, mode=mode, cval=cval, origin=moves)
    agree("uniform_filter1d", x, sizes[0], 0, mode=mode, cval=cval, origin=moves[0])


@given(st.data())
def test_means_of_floats_are_within_rounding_of_the_definition(data):
    x = data.draw(images(["f", "d"]))
    mode = data.draw(st.sampled_from(MODES))
    size = data.draw(st.integers(1, 9))
    theirs = scipy_ndimage.correlate1d(x.astype("d"), np.full(size, 1 / size), 0, mode=mode)
    scale = scipy_ndimage.correlate1d(np.abs(x).astype("d"), np.ones(size) / size, 0, mode=mode)
    ours = ndimage.uniform_filter1d(x, size, 0, mode=mode)
    eps = np.finfo(np.float64).eps * (size + 4) + np.finfo(x.dtype).eps
    assert (np.abs(ours - theirs) <= eps * scale + np.finfo(x.dtype).smallest_subnormal).all()


@given(st.data())
def test_complex_samples_and_taps_have_scipys_bits(data):
    x = data.draw(images(["F", "D", "d"]))
    mode = data.draw(st.sampled_from(MODES))
    w = data.draw(filters((3,))) + 1j * data.draw(filters((3,)))
    for name in ("correlate1d", "convolve1d"):
        agree(name, x, w, 0, mode=mode)
    agree("convolve", x, w.reshape((3,) + (1,) * (x.ndim - 1)), mode=mode)
    agree("gaussian_filter", x, 0.7, mode=mode)


@pytest.mark.parametrize("shape", [(300, 3), (70, 20, 4), (100, 1, 2), (64, 10), (80, 20)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "F", "D"])
def test_many_short_rows_have_scipys_bits(shape, dtype):
    """As the colours of an image: rows become columns, also in what is remembered."""
    x = (np.random.default_rng(3).normal(size=shape) * 60).astype(dtype)
    w = np.array([0.3, -1.0, 0.0, 2.5, 1.0])
    for mode in MODES[:5]:
        for _ in range(2):
            agree("correlate1d", x, w, -1, mode=mode)
            agree("gaussian_filter1d", x, 1.3, mode=mode)
            agree("laplace", x, mode=mode)
            agree("convolve", x, w.reshape((1,) * (x.ndim - 1) + (5,)), mode=mode)
        onto = x.copy()
        ndimage.correlate1d(onto, w, -1, output=onto, mode=mode)
        np.testing.assert_array_equal(onto, ndimage.correlate1d(x, w, -1, mode=mode))


@pytest.mark.parametrize("dtypes", [("i4", "f4"), ("f8", "f4"), ("f4", "u1"), ("u1", "u8")])
def test_results_of_another_dtype_have_scipys_bits_whatever_their_number(dtypes):
    x = (np.random.default_rng(4).random((390, 410)) * 100).astype(dtypes[0])
    for samples in (x, x[::2, ::-1]):
        for name, args in (("gaussian_filter", (1.5,)), ("sobel", ()), ("maximum_filter", (3,)),
                           ("correlate", (np.arange(9.0).reshape(3, 3),))):  # fmt: skip
            agree(name, samples, *args, output=dtypes[1])


@pytest.mark.parametrize("name", ["convolve", "gaussian_filter", "maximum_filter", "sobel"])
def test_lists_and_other_byte_orders_have_scipys_bits(name):
    x = np.arange(42.0).reshape(6, 7) % 5
    args = {"convolve": (((1, 2), (0, 1)),), "gaussian_filter": (1.5,), "maximum_filter": (3,)}
    for samples in (x.tolist(), tuple(x.tolist()), x.astype(">f8"), x.astype(int).tolist()):
        for _ in range(2):
            agree(name, samples, *args.get(name, ()))


@pytest.mark.parametrize("dtype", ["u2", "u4", "u8", "i4", "f4"])
@pytest.mark.parametrize("name", ["correlate1d", "sobel"])
def test_results_in_the_other_byte_order_have_scipys_bits(name, dtype):
    x = np.arange(800).astype(dtype).reshape(40, 20)[::-1] % 97
    args = (np.array([1.0, 0.0, -1.0]),) if name == "correlate1d" else ()
    # Negative sums among them, which unsigned results wrap.
    expected = getattr(scipy_ndimage, name)(x, *args, axis=0)
    out = np.empty(x.shape, np.dtype(dtype).newbyteorder())
    getattr(ndimage, name)(x, *args, axis=0, output=out)
    np.testing.assert_array_equal(out, expected)


@given(st.data())
def test_a_call_that_is_repeated_answers_as_before(data):
    # The second call goes the short way, also into an array or from another layout.
    x = data.draw(images([*REAL, "?"]))
    mode, cval = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from([0.0, 3]))
    name, args = data.draw(
        st.sampled_from(
            [
                ("correlate1d", ([1, -2, 4.0], 0)),
                ("convolve", (np.arange(2.0**x.ndim).reshape((2,) * x.ndim),)),
                ("gaussian_filter", (0.7,)),
                ("uniform_filter", (3,)),
                ("uniform_filter1d", (4, 0)),
                ("sobel", (0,)),
                ("prewitt", ()),
                ("laplace", ()),
                ("maximum_filter", ((3,) * x.ndim,)),
                ("minimum_filter1d", (3, -1)),
                ("maximum_filter", (None, np.eye(2)[(0,) * max(0, 2 - x.ndim)])),
            ]
        )
    )
    assume(not args or args[0] is not None or args[1].ndim == x.ndim)
    keywords = {"mode": mode, "cval": cval}
    once = getattr(ndimage, name)(x, *args, **keywords)
    twice = getattr(ndimage, name)(x, *args, **keywords)
    np.testing.assert_array_equal(twice, once)
    for out in (np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype, "F"), x.copy()):
        assert getattr(ndimage, name)(x, *args, output=out, **keywords) is out
        np.testing.assert_array_equal(out, once)
    spaced = np.repeat(x, 2, axis=0)[::2]
    np.testing.assert_array_equal(getattr(ndimage, name)(spaced, *args, **keywords), once)
    onto = x.copy()
    getattr(ndimage, name)(onto, *args, output=onto, **keywords)
    np.testing.assert_array_equal(onto, once)


@given(st.data())
def test_a_repeated_call_for_another_dtype_has_scipys_bits(data):
    x = data.draw(images([*REAL, "?", "F", "D"]))
    real = x.dtype.kind != "c"
    output = data.draw(
        st.sampled_from(["f", "d", np.int16, np.uint8] if real else [None, "F", "D"])
    )
    name, args = data.draw(
        st.sampled_from(
            [
                ("correlate1d", ([1, -2, 4.0], 0)),
                ("gaussian_filter", (0.7,)),
                ("gaussian_filter1d", (0.7, -1, 1)),
                ("sobel", (0,)),
                ("laplace", ()),
                ("convolve", (np.arange(2.0**x.ndim).reshape((2,) * x.ndim),)),
            ]
        )
    )
    cval = data.draw(st.sampled_from([0.0, 3] if real else [0.0, 3, 1 - 2j]))
    keywords = {"output": output, "mode": data.draw(st.sampled_from(MODES)), "cval": cval}
    for _ in range(2):
        agree(name, x, *args, **keywords)


# ---------------------------------------------------------------- large ones: several bands


SHAPES = [(70_000,), (3, 40_000), (300, 257), (40_000, 3), (40, 50, 60), (6, 7, 8, 300)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("dtype", "workers"), [("uint8", 3), ("float32", 1), ("float64", 3)])
def test_bands_join_without_a_seam(shape, dtype, workers):
    rng = np.random.default_rng(3)
    x = strategies.random_array(rng, dtype, shape)
    w = rng.standard_normal((3,) * len(shape))
    calls = [
        ("gaussian_filter", (1.3,)),
        ("sobel", (-1,)),
        ("laplace", ()),
        ("convolve", (w,)),
        ("maximum_filter", (5,)),
        (
            "minimum_filter",
            (None, np.eye(3)[(None,) * (len(shape) - 2)] > 0) if len(shape) > 1 else (4,),
        ),
        ("convolve1d", (rng.standard_normal(31), 0)),
    ]
    for name, args in calls:
        ours = getattr(ndimage, name)(x, *args, workers=workers)
        np.testing.assert_array_equal(ours, getattr(scipy_ndimage, name)(x, *args), name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", [200, 256, 301])
def test_rows_around_a_band_are_continued(mode, width):
    # Down columns some are copied first and some are not; 200 is a panel and 8 columns more.
    x = np.random.default_rng(3).standard_normal((400, width))
    for axis in (0, 1):
        agree("sobel", x, axis, mode=mode, cval=2.5)
        for k in (5, 6, 41):
            agree("correlate1d", x, np.arange(1.0, k + 1), axis, mode=mode, cval=2.5)
            agree("correlate1d", x, np.ones(k), axis, mode=mode, cval=2.5)


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("name", "args", "keywords"),
    [
        ("correlate1d", ([],), {}),
        ("correlate1d", ([[1]],), {}),
        ("correlate1d", ([1, 2, 3],), {"origin": 2}),
        ("correlate1d", ([1, 2, 3],), {"origin": 1.0}),
        ("correlate1d", ([1, 2, 3],), {"mode": "x"}),
        ("correlate1d", ([1, 2, 3],), {"axis": 2}),
        ("correlate1d", ([1, 2, 3],), {"cval": 1j}),
        ("correlate1d", ([1, 2, 3],), {"output": np.zeros(3)}),
        ("correlate1d", ([1, 2, 3],), {"output": "S3"}),
        ("correlate", ([1, 2, 3],), {}),
        ("correlate", ([[1, 2, 3]],), {"mode": ["wrap", "wrap"]}),
        ("correlate", ([[1, 2, 3]],), {"origin": (0, 0, 0)}),
        ("correlate", ([[1, 2, 3]],), {"axes": (0, 0)}),
        ("correlate", ([[1, 2, 3]],), {"axes": (0, 3)}),
        ("gaussian_filter", (1,), {"radius": 1.5}),
        ("gaussian_filter", (1,), {"order": -1}),
        ("gaussian_filter", ((1, 2, 3),), {}),
        ("uniform_filter1d", (0,), {}),
        ("uniform_filter1d", (3,), {"origin": 2}),
        ("maximum_filter", (), {}),
        ("maximum_filter", (), {"footprint": [[0, 0]]}),
        ("maximum_filter", (), {"footprint": [1, 0]}),
        ("maximum_filter1d", (0,), {}),
    ],
)
def test_errors_are_scipys(name, args, keywords):
    agree(name, np.arange(12.0).reshape(3, 4), *args, **keywords)
    ours = answer(ndimage, name, np.arange(12.0).reshape(3, 4), args, keywords)
    assert isinstance(ours, Exception)


@pytest.mark.parametrize("dtype", ["e", "g", "O"])
@pytest.mark.parametrize("name", ["correlate1d", "gaussian_filter1d", "uniform_filter1d"])
def test_dtypes_that_scipy_refuses_or_has_alone_are_its_own(name, dtype):
    args = {"correlate1d": ([1, 2],)}.get(name, (3,))
    agree(name, np.arange(8).astype(dtype), *args)


def test_a_replaced_public_name_is_not_called(monkeypatch):
    from scipy.ndimage import _filters

    for module in (scipy_ndimage, _filters):
        monkeypatch.setattr(module, "correlate1d", ndimage.correlate1d)
    with pytest.raises(RuntimeError):
        ndimage.correlate1d(np.arange(4, dtype="g"), [1, 2])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_no_samples_give_no_results(shape):
    for name, args in (("gaussian_filter", (1,)), ("uniform_filter", (3,)), ("sobel", (0,))):
        agree(name, np.zeros(shape), *args)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_result_may_overwrite_the_samples(axis):
    x = np.random.default_rng(0).standard_normal((300, 200))
    for name, args in [
        ("correlate1d", ([1, 2, 4], axis)),
        ("sobel", (axis,)),
        ("gaussian_filter1d", (2, axis)),
        ("uniform_filter1d", (5, axis)),
        ("maximum_filter1d", (5, axis)),
    ]:
        want, both = getattr(ndimage, name)(x, *args), x.copy()
        getattr(ndimage, name)(both, *args, output=both)
        np.testing.assert_array_equal(both, want, name)
        both = np.vstack([x, x[:1]])
        getattr(ndimage, name)(both[:-1], *args, output=both[1:])
        np.testing.assert_array_equal(both[1:], want, name)


@pytest.mark.parametrize("stride", [1, 2, 3, 50])
def test_stride_keeps_every_nth_output(stride):
    x = np.random.default_rng(0).standard_normal((30, 20))
    whole = ndimage.convolve1d(x, [1, 2, 4.5], 0, mode="mirror")
    some = ndimage.convolve1d(x, [1, 2, 4.5], 0, mode="mirror", stride=stride)
    np.testing.assert_allclose(some, whole[::stride], rtol=1e-13, atol=1e-13)
    w = np.random.default_rng(1).standard_normal((3, 4))
    whole = ndimage.correlate(x, w, mode="constant", cval=2)
    some = ndimage.correlate(x, w, mode="constant", cval=2, stride=stride)
    np.testing.assert_allclose(some, whole[::stride, ::stride], rtol=1e-13, atol=1e-13)


def test_a_weaker_accuracy_is_within_its_bound():
    x = np.random.default_rng(0).standard_normal((200, 180))
    w = np.random.default_rng(1).standard_normal((21, 25))
    exact = ndimage.convolve(x, w, mode="nearest")
    fast = ndimage.convolve(x, w, mode="nearest", accuracy="normwise")
    np.testing.assert_allclose(fast, exact, rtol=0, atol=1e-12 * np.abs(x).max() * np.abs(w).sum())


# ---------------------------------------------------------------- where we differ on purpose


def test_nan_stays_within_its_window():
    x = np.ones(40)
    x[5] = np.nan
    assert np.isnan(ndimage.uniform_filter1d(x, 5)).sum() == 5
    assert np.isnan(ndimage.maximum_filter1d(x, 4)).sum() == 4
    assert np.isnan(ndimage.minimum_filter(x, footprint=[1, 0, 1])).sum() == 2


def test_large_integers_are_compared_as_integers():
    x = np.array([2**53, 2**53 + 1, 3])
    assert ndimage.maximum_filter1d(x, 3).tolist() == [2**53 + 1] * 3


def test_a_mean_forgets_what_has_left_its_window():
    x = np.array([1, 1e16, 1, 1, 1, 1, 1])
    assert ndimage.uniform_filter1d(x, 2)[-1] == 1.0


def test_small_taps_count():
    w = np.array([1e-17, 0, -1e-17])
    x = np.arange(5.0)
    assert (ndimage.correlate1d(x, w)[1:-1] != 0).all()
    assert (ndimage.correlate(x, w)[1:-1] != 0).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_many_short_rows_are_filtered_like_a_few(dtype, n):
    x = (np.random.default_rng(n).standard_normal((700, n)) * 50).astype(dtype)
    for name, taps in (("correlate1d", [3.0, 1.0, 4.0, 1.5]), ("uniform_filter1d", 4),
                       ("maximum_filter1d", 4), ("minimum_filter1d", 3)):  # fmt: skip
        whole = getattr(ndimage, name)(x, taps, mode="mirror")
        want = getattr(scipy_ndimage, name)(x, taps, mode="mirror")
        np.testing.assert_allclose(whole, want, rtol=1e-6)
        parts = np.split(x, 14)
        few = [getattr(ndimage, name)(part, taps, mode="mirror") for part in parts]
        np.testing.assert_allclose(np.concatenate(few), whole, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "int16", "int32"])
def test_the_mean_of_equal_samples_is_that_sample(dtype):
    for k in range(1, 90):
        x = np.full((k + 20, 21), 99, dtype) if dtype[0] in "iu" else np.full((k + 20, 21), 0.1)
        x = x.astype(dtype)
        for axis in (0, 1):
            got = ndimage.uniform_filter1d(x, k, axis=axis)
            if dtype == "float64":  # Sums of many equal doubles round.
                np.testing.assert_allclose(got, x, rtol=k * 2.0**-53)
            else:
                np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize("name", ["gaussian_filter", "sobel", "correlate1d"])
def test_samples_that_are_no_numbers_are_refused_as_scipy_refuses_them(name):
    arguments = {"gaussian_filter": (1,), "sobel": (), "correlate1d": ([1.0, 2.0],)}[name]
    for dtype in ("S1", "U2", "O", "M8[s]"):
        x = np.arange(4).astype(dtype)
        with pytest.raises((RuntimeError, TypeError)) as theirs:
            getattr(scipy_ndimage, name)(x, *arguments)
        with pytest.raises(theirs.type):
            getattr(ndimage, name)(x, *arguments)


@pytest.mark.parametrize("made", ["?", "u8", "d", "B"])
@pytest.mark.parametrize("wanted", ["?", "u8"])
def test_results_without_loops_of_their_own_are_rounded_doubles(made, wanted):
    rng = np.random.default_rng(5)
    for shape in [(40,), (30, 30), (4, 5, 6)]:
        x = rng.integers(0, 9, shape).astype(made)
        w = rng.integers(0, 3, (3,) * x.ndim) / 4
        sums = scipy_ndimage.correlate(x.astype("d"), w)
        for _ in range(3):  # The first answer is settled, the others are remembered.
            found = ndimage.correlate(x, w, output=np.dtype(wanted))
            np.testing.assert_array_equal(found, np.trunc(sums).astype(wanted))


@pytest.mark.parametrize("dtype", ["?", "F", "D", "u8"])
def test_calls_that_are_remembered_are_scipys(dtype):
    rng = np.random.default_rng(9)
    calls = [
        ("sobel", {"axis": 0}), ("prewitt", {"mode": "wrap"}), ("laplace", {}),
        ("gaussian_filter", {"sigma": 1.0}), ("correlate1d", {"weights": [1.0, -2.0, 0.5]}),
    ]  # fmt: skip
    if dtype not in "FD":
        calls += [
            ("maximum_filter", {"size": 3}), ("minimum_filter1d", {"size": 4, "mode": "mirror"}),
            ("minimum_filter", {"footprint": np.eye(3)}), ("maximum_filter1d", {"size": 1}),
        ]  # fmt: skip
    outside = 1 if dtype == "?" else 3
    for name, keywords in calls:
        for extra in ({}, {"mode": "constant", "cval": outside}):
            for _ in range(3):  # The second one is answered by what the first one left.
                x = (rng.random((7, 9)) * 4).astype(dtype)
                if dtype in "FD":
                    x.imag = rng.random((7, 9))
                if dtype == "?":
                    x = rng.random((7, 9)) < 0.5
                agree(name, x, **{**keywords, **extra})
                agree(name, x[:, ::-1], **{**keywords, **extra})
                into = np.empty_like(x)
                getattr(ndimage, name)(x, output=into, **{**keywords, **extra})
                theirs = answer(scipy_ndimage, name, x, (), {**keywords, **extra})
                np.testing.assert_array_equal(into, theirs)
