"""fastconv.signal has scipy.signal's meaning: differential tests over all signatures."""

import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.signal._upfirdn import _upfirdn_modes as UPFIRDN_MODES
from scipy.signal._upfirdn_apply import _pad_test

from fastconv import signal
from fastconv.signal import flat
from fastconv.signal.extend import extended

MODES = ["full", "same", "valid"]
DTYPES = list("?bBhHiIlLefdFD")
FLOATING = list("bhilfdFD")
NEED_TWO = ("smooth", "line", "reflect", "antireflect")  # SciPy crashes at a single sample.


def whole(rng, shape, dtype):
    """Small whole numbers of a dtype: sums are exact in every order, transforms nearly so."""
    kind = np.dtype(dtype).kind
    values = rng.integers(0 if kind in "bu" else -5, 6, shape)
    if kind == "c":
        values = values + 1j * rng.integers(-3, 4, shape)
    return values.astype(dtype)


def outcome(function, *args, **keywords):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args, **keywords)
        except Exception as error:
            return error


def assert_like_scipys(name, *args, **keywords):
    """Same exception type, or same dtype and shape and values within round-off."""
    ours = outcome(getattr(signal, name), *args, **keywords)
    theirs = outcome(getattr(scipy.signal, name), *args, **keywords)
    assert_alike(ours, theirs, *args)


def assert_alike(ours, theirs, *args):
    if isinstance(theirs, ValueError) and "Unsupported type" in str(theirs):
        return  # bool and float16 in N-D: computed here (README).
    for one, other in zip(_parts(ours), _parts(theirs), strict=True):
        if isinstance(one, Exception) or isinstance(other, Exception):
            assert type(one) is type(other), (one, other)
            continue
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        scale = max(1.0, np.abs(other).max(initial=0))
        narrow = any(np.asarray(a).dtype.char in "efF" for a in (other, *args) if np.ndim(a))
        np.testing.assert_allclose(
            one / scale, other / scale, rtol=0, atol=2e-3 if narrow else 1e-8
        )


def _parts(result):
    return result if isinstance(result, tuple) else (result,)


@st.composite
def shapes(draw, most=6, smallest=1):
    ndim = draw(st.integers(1, 3))
    lengths = st.integers(smallest, most)
    return tuple(draw(lengths) for _ in range(ndim))


seeds = st.integers(0, 2**32).map(np.random.default_rng)
dtypes = st.sampled_from(DTYPES)


@given(seeds, st.data(), shapes(smallest=0), dtypes, dtypes, st.sampled_from([*MODES, "?"]))
@pytest.mark.parametrize("method", ["auto", "direct"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions_are_scipys(name, method, rng, data, shape, one, other, mode):
    taps = tuple(data.draw(st.integers(0, 6)) for _ in shape)
    x, w = whole(rng, shape, one), whole(rng, taps, other)
    assert_like_scipys(name, x, w, mode, method)


@given(seeds, st.data(), shapes(), dtypes, dtypes, st.sampled_from(MODES))
@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
def test_convolutions_along_axes_are_scipys(name, rng, data, shape, one, other, mode):
    some = st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True)
    axes = data.draw(st.one_of(st.none(), st.sampled_from([0, -1, 3]), some))
    chosen = range(len(shape)) if axes is None else np.atleast_1d(axes) % len(shape)
    taps = [data.draw(st.integers(1, 6)) for _ in shape]
    for a in range(len(shape)):
        if a not in chosen and data.draw(st.booleans()):
            taps[a] = data.draw(st.sampled_from([1, shape[a]]))
    x, w = whole(rng, shape, one), whole(rng, taps, other)
    assert_like_scipys(name, x, w, mode, axes)
    assert_like_scipys(name, w, x, mode, axes)


@st.composite
def resamplings(draw):
    rng, shape = draw(seeds), draw(shapes(most=9))
    x = whole(rng, shape, draw(st.sampled_from(FLOATING)))
    h = whole(rng, draw(st.integers(1, 14)), draw(st.sampled_from(FLOATING)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    up, down = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return h, x, up, down, axis


@given(resamplings(), st.sampled_from([*UPFIRDN_MODES, "?"]), st.sampled_from([0, 2.0]))
def test_upfirdn_is_scipys(resampling, mode, cval):
    h, x, up, down, axis = resampling
    assume(mode not in NEED_TWO or x.shape[axis] > 1)
    assert_like_scipys("upfirdn", h, x, up, down, axis, mode, cval)
    # Without SciPy, which answers a few samples itself.
    assert_alike(
        outcome(signal.upfirdn, h, x, up, down, axis, mode, cval, workers=1),
        outcome(scipy.signal.upfirdn, h, x, up, down, axis, mode, cval),
        h, x,
    )  # fmt: skip
    assert_like_scipys(
        "upfirdn", h.real.astype("d"), x[(0,) * (x.ndim - 1)].real.astype("d"), up, down
    )


@pytest.mark.parametrize("mode", ["constant", "symmetric", "line"])
@pytest.mark.parametrize("dtype", ["f", "d", "F"])
def test_upfirdn_along_any_axis_of_volumes_is_scipys(mode, dtype):
    rng = np.random.default_rng(3)
    x, h = whole(rng, (20, 3, 17), dtype), whole(rng, 7, dtype)
    for axis in (-3, -2, -1, 0, 1, 2):
        for up, down in ((1, 2), (3, 2)):
            for _ in range(2):  # The second call finds what the first one settled.
                assert_like_scipys("upfirdn", h, x, up, down, axis, mode)


# From rows of 4 floats or 8 doubles NumPy 2.4 gets negatives wrong.
ROWS = [(60, 13), (13, 60), (9, 5, 7), (40, 2), (40, 1), (7, 30, 2), (1, 9), (9, 1), (31,),
        (99, 4), (99, 8)]  # fmt: skip
RATES = [(1, 1, 1), (5, 1, 1), (7, 5, 4), (2, 7, 9), (9, 2, 9), (23, 1, 3), (6, 4, 2), (8, 6, 6),
         (3, 4, 1)]  # fmt: skip


@pytest.mark.parametrize("mode", UPFIRDN_MODES)
@pytest.mark.parametrize("dtype", list("efdFDi"))
def test_upfirdn_of_many_short_rows_is_scipys(mode, dtype):
    """Rows side by side, along every axis, with more samples added than there are."""
    rng = np.random.default_rng(9)
    for shape in ROWS:
        x = whole(rng, shape, dtype)
        for axis in range(len(shape)):
            if mode in NEED_TWO and shape[axis] < 2:
                continue
            for k, up, down in RATES:
                h = whole(rng, k, "d" if dtype == "i" else dtype)
                for _ in range(2):  # The second call finds what the first one settled.
                    assert_like_scipys("upfirdn", h, x, up, down, axis, mode)
            h = whole(rng, 9, "f")
            assert_like_scipys("upfirdn", h, x[..., ::-1], 3, 2, axis, mode)
            assert_like_scipys("upfirdn", h, x, np.int64(3), np.uint8(2), np.int8(axis), mode, 2.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["sample", "tap"])
def test_upfirdns_products_are_those_of_its_definition(place, bad):
    rng = np.random.default_rng(4)
    x, h = rng.standard_normal((50, 11)), rng.standard_normal(6)
    if place == "sample":
        x[17, 10] = bad
    else:
        h[5] = bad
    for up, down in ((1, 1), (3, 2), (2, 3), (1, 4), (7, 1), (4, 2)):
        want = np.array([defined(h, row, up, down) for row in x])
        for workers in (None, 1):
            np.testing.assert_allclose(signal.upfirdn(h, x, up, down, workers=workers), want)
            turned = signal.upfirdn(h, np.ascontiguousarray(x.T), up, down, 0, workers=workers)
            np.testing.assert_allclose(turned.T, want)


def defined(h, x, up, down):
    """out[i] = sum over j of x[j] * h[i*down - j*up]."""
    out = np.zeros(((len(x) - 1) * up + len(h) - 1) // down + 1)
    for i in range(len(out)):
        for j in range(len(x)):
            if 0 <= i * down - j * up < len(h):
                out[i] += x[j] * h[i * down - j * up]
    return out


@pytest.mark.parametrize("mode", UPFIRDN_MODES)
def test_samples_are_added_along_any_axis_as_scipy_does(mode):
    rng = np.random.default_rng(8)
    for shape in ((7,), (3000,), (70, 3), (3, 20), (4, 5, 6)):
        x = rng.standard_normal(shape).astype("f")
        for axis in range(len(shape)):
            for count in (1, 2, shape[axis] - 1, 2 * shape[axis] + 1):
                got = extended(x, count, mode, 0, np.dtype("d"), axis)
                assert got.dtype == np.float64
                assert got.flags.c_contiguous
                for one, row in zip(_rows(got, axis), _rows(x.astype("d"), axis), strict=True):
                    want = _pad_test(row, count, count, mode=mode)
                    np.testing.assert_allclose(one, want, atol=1e-5)


def _rows(array, axis):
    return np.ascontiguousarray(np.moveaxis(array, axis, -1)).reshape(-1, array.shape[axis])


def test_a_copy_is_what_a_rate_of_one_returns():
    for dtype in "fdFDi":
        x = whole(np.random.default_rng(1), (4, 23), dtype)
        for axis, padtype in ((0, "constant"), (1, "edge"), (-1, "mean")):
            assert_like_scipys("resample_poly", x, 6, 6, axis, ("kaiser", 5.0), padtype)
            result = signal.resample_poly(x.T, 2, 2, axis)
            assert result.flags.c_contiguous
            assert not np.shares_memory(result, x)


def test_short_windows_meet_samples_beyond_their_signal():
    """An output of `resample_poly` may meet the first tap of a sample after the last one."""
    x, window = np.arange(1.0, 6), np.array([1.0, 2.0, 3.0])
    for up in (1, 5, 8):
        for padtype in ("constant", "edge", "symmetric", "line"):
            assert_like_scipys("resample_poly", x, up, 3, 0, window, padtype)


@pytest.mark.parametrize("mode", NEED_TWO)
def test_a_single_sample_has_no_slope(mode):
    x = np.array([[5.0], [3.0]])
    edge = signal.upfirdn([1, 2, 4.0], x, 2, mode="edge")
    np.testing.assert_array_equal(signal.upfirdn([1, 2, 4.0], x, 2, mode=mode), edge)
    np.testing.assert_array_equal(
        signal.resample_poly(x, 2, 1, 1, padtype=mode),
        signal.resample_poly(x, 2, 1, 1, padtype="edge"),
    )


PADS = ["mean", "median", "minimum", "maximum", "?"]


@given(resamplings(), st.sampled_from([*UPFIRDN_MODES, *PADS]), st.booleans())
def test_resample_poly_and_decimate_are_scipys(resampling, padtype, designed):
    h, x, up, down, axis = resampling
    assume(padtype not in NEED_TWO or x.shape[axis] > 1)
    window = ("kaiser", 5.0) if designed or h.dtype.kind == "i" else h
    assert_like_scipys("resample_poly", x, up, down, axis, window, padtype)
    for zero_phase in (True, False):
        assert_like_scipys("decimate", x, down, None, "fir", axis, zero_phase)


@given(resamplings(), st.sampled_from(["none", "whole", "broadcast"]), st.sampled_from([1, 2.0]))
def test_lfilter_is_scipys(resampling, state, gain):
    b, x, _, _, axis = resampling
    shape = list(x.shape)
    if state == "broadcast":
        shape = [1] * x.ndim
    shape[axis] = len(b) - 1
    zi = None if state == "none" else np.arange(float(np.prod(shape))).reshape(shape)
    assert_like_scipys("lfilter", b, gain, x, axis, zi)
    assert_like_scipys("lfilter", b, [gain], x[(0,) * (x.ndim - 1)].real.astype("d"))


@given(resamplings(), st.integers(1, 9), st.integers(0, 5), st.integers(0, 2))
@pytest.mark.parametrize("mode", ["interp", "mirror", "constant", "nearest", "wrap", "?"])
def test_savgol_filter_is_scipys(mode, resampling, window, order, derivative):
    _, x, _, _, axis = resampling
    assert_like_scipys("savgol_filter", x, window, order, derivative, 0.5, axis, mode)


@given(seeds, dtypes, st.integers(5, 9), st.integers(1, 5), st.integers(1, 5))
def test_sepfir2d_is_scipys(rng, dtype, n, row, column):
    image = whole(rng, (n, 7), dtype)
    assert_like_scipys("sepfir2d", image, [1.0, 2, 5, -3, 1][:row], np.arange(1.0, column + 1))
    assert_like_scipys("sepfir2d", image, whole(rng, row, "f"), whole(rng, column, "f"))


@pytest.mark.parametrize("dtype", "fd")
def test_a_large_image_is_filtered_again_as_before(dtype):
    rng = np.random.default_rng(3)
    image, row, column = whole(rng, (400, 300), dtype), whole(rng, 7, dtype), whole(rng, 9, dtype)
    for _ in range(3):
        assert_like_scipys("sepfir2d", image, row, column)
        image, row, column = np.asfortranarray(image), 2 * row, column + 1


@pytest.mark.parametrize("n", [1, 10, 11, 100, 5000])
@pytest.mark.parametrize("divisor", [1, 2.0, [4.0], True])
def test_one_plain_signal_is_filtered_like_many(n, divisor):
    x = whole(np.random.default_rng(3), n, "d")
    assert_like_scipys("lfilter", [1.0, -2, 3], divisor, x)
    assert_like_scipys("lfilter", np.array([1.0, -2, 3]), divisor, x)
    assert_like_scipys("resample_poly", x, 3, 2)
    for mode in ("interp", "nearest"):
        assert_like_scipys("savgol_filter", x, 11, 2, mode=mode)


# ---------------------------------------------------------------- what SciPy does not have


@given(seeds, shapes(), st.sampled_from("dfl"), st.sampled_from(MODES), st.integers(1, 3))
def test_a_stride_is_a_slice_and_out_is_filled(rng, shape, dtype, mode, stride):
    x, w = whole(rng, shape, dtype), whole(rng, [min(2, n) for n in shape], dtype)
    for name in ("convolve", "correlate", "fftconvolve"):
        function = getattr(signal, name)
        plain = function(x, w, mode)
        kept = plain[(slice(None, None, stride),) * x.ndim]
        out = np.empty(kept.shape, kept.dtype)
        assert function(x, w, mode, stride=stride, out=out) is out
        np.testing.assert_allclose(out, kept, atol=1e-4 if dtype == "f" else 1e-9)


PADDED = {"fill": "constant", "wrap": "wrap", "symm": "symmetric", "mirror": "reflect",
          "nearest": "edge"}  # fmt: skip


@given(seeds, shapes(smallest=2), st.sampled_from([*PADDED]), st.sampled_from(["full", "same"]))
def test_a_boundary_is_what_lies_outside(rng, shape, boundary, mode):
    x, w = whole(rng, shape, "l"), whole(rng, [min(3, n) for n in shape], "l")
    pads = [(k - 1, k - 1) for k in w.shape]
    full = scipy.signal.convolve(np.pad(x, pads, PADDED[boundary]), w, "valid", "direct")
    if mode == "same":
        full = full[
            tuple(
                slice((k - 1) // 2, (k - 1) // 2 + n) for n, k in zip(shape, w.shape, strict=True)
            )
        ]
    np.testing.assert_array_equal(signal.convolve(x, w, mode, boundary=boundary), full)


@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve", "oaconvolve"])
def test_a_nan_stays_within_its_windows(name):
    x = np.random.default_rng(0).standard_normal(5000)
    x[2000], w = np.nan, np.ones(700)
    spoiled = np.isnan(getattr(signal, name)(x, w))
    assert np.flatnonzero(spoiled).tolist() == list(range(2000, 2700))


def test_integers_are_exact_with_every_method():
    x, w = np.full((40, 40), 2**40 + 1), np.full((9, 9), 2**21 + 1)
    exact = sum(int(a) * int(b) for a, b in zip(x[:9, :9].flat, w.flat, strict=True)) % 2**64
    for method in ("auto", "direct", "fft"):
        assert int(signal.convolve(x, w, "valid", method)[3, 3]) % 2**64 == exact


@pytest.mark.parametrize("mode", MODES)
def test_lags_are_those_of_the_outputs(mode):
    for n in range(1, 8):
        for k in range(1, 8):
            lags = signal.correlation_lags(n, k, mode)
            x, w = np.arange(1.0, n + 1), np.arange(1.0, k + 1) ** 2
            for lag, value in zip(lags, signal.correlate(x, w, mode), strict=True):
                pairs = [x[i] * w[i - lag] for i in range(n) if 0 <= i - lag < k]
                assert value == pytest.approx(sum(pairs))


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([*MODES, "?"]))
def test_lags_are_scipys(n, k, mode):
    assume(mode != "same" or n % 2 == 0 or k % 2)  # SciPy is one too high there (README).
    assert_like_scipys("correlation_lags", n, k, mode)


def test_an_infinite_tap_does_not_meet_samples_that_are_not_there():
    x, w = np.ones((4, 5, 6)), np.ones((2, 2, 2))
    w[0, 0, 0] = np.inf
    assert np.isfinite(signal.convolve(x, w)[-1]).all()


def test_whoever_replaces_scipys_names_gets_no_recursion():
    program = """
        import numpy as np, scipy.signal
        from fastconv import signal
        for name in signal.__all__:
            setattr(scipy.signal, name, getattr(signal, name))
        objects = np.array([1, 2, 3], object)
        print(scipy.signal.convolve(objects, objects).tolist())
        print(scipy.signal.fftconvolve(np.ones(3, "g"), np.ones(2, "g")).dtype)
        print(scipy.signal.lfilter([1.0], [1.0, 0.5], np.ones(2)).tolist())
        print(scipy.signal.resample_poly(np.ones(4, "g"), 1, 1).tolist())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "[1, 4, 10, 12, 9]"


def test_a_small_direct_call_takes_no_transform_whoever_answers(monkeypatch):
    asked = []

    def engine(a, v, **keywords):
        asked.append(keywords["accuracy"])
        return np.convolve(a, v)

    monkeypatch.setattr(flat, "shortcut", lambda dtype: lambda *arguments: None)
    monkeypatch.setattr(flat.numpy_api, "convolve", engine)
    x, w = np.ones((3, 4, 5)), np.ones((2, 3, 2))
    for method in ("direct", "auto"):
        assert_like_scipys("convolve", x, w, method=method)
    assert asked == ["componentwise", None]


def test_a_long_axis_takes_the_last_ones_place():
    rng = np.random.default_rng(11)
    for shape, k in (((90, 80, 2), (9, 8, 2)), ((70, 3, 100, 1), (5, 2, 9, 3))):
        for dtype in ("d", "i4", "F"):
            x, w = (rng.integers(-9, 9, s).astype(dtype) for s in (shape, k))
            for mode in ("full", "same", "valid"):
                if mode == "valid" and any(n < m for n, m in zip(shape, k, strict=True)):
                    continue
                expected = scipy.signal.convolve(x, w, mode, "direct")
                into = np.empty_like(expected)
                for _ in range(2):
                    np.testing.assert_allclose(signal.convolve(x, w, mode), expected, atol=1e-3)
                assert signal.convolve(x, w, mode, out=into) is into
                np.testing.assert_allclose(into, expected, atol=1e-3)
                strided = signal.convolve(x, w, mode, stride=2)
                every = (slice(None, None, 2),) * x.ndim
                np.testing.assert_allclose(strided, expected[every], atol=1e-3)


@pytest.mark.parametrize("dtype", ["h", "B", "l", "f", "d", "F"])
@pytest.mark.parametrize("shape", [(40, 2), (3, 5, 2), (6000, 8)])
def test_channels_that_lie_side_by_side_are_resampled_as_scipys(shape, dtype):
    x = (np.random.default_rng(12).normal(size=shape) * 50).astype(dtype)
    for up, down in ((147, 160), (3, 2), (1, 4)):
        for padtype in ("constant", "mean", "median", "maximum", "line"):
            given = (x, up, down, -2, ("kaiser", 5.0), padtype)
            if dtype == "F" and padtype == "maximum":
                continue
            expected = scipy.signal.resample_poly(*given)
            for _ in range(2):  # What the first call settled answers the second.
                found = signal.resample_poly(*given)
                assert found.dtype == expected.dtype
                assert found.flags.c_contiguous
                np.testing.assert_allclose(
                    found, expected, rtol=0, atol=1e-3 if dtype in "fF" else 1e-10
                )


def test_operands_that_change_places_are_told_apart_when_a_call_is_made_again():
    """With every third plane of the filter it is as long as the signal was."""
    x, w = np.arange(1.0, 15).reshape(1, 2, 7), np.arange(42.0).reshape(3, 2, 7) - 4
    whole = scipy.signal.convolve(x, w, method="direct")
    for _ in range(3):
        np.testing.assert_array_equal(signal.convolve(x, w, stride=3), whole[::3, ::3, ::3])
