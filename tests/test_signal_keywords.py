"""What fastconv.signal adds to SciPy's functions: one set of keywords on every name."""

import inspect

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from fastconv import signal

OURS = {"stride", "boundary", "accuracy", "out", "workers"}
FILTERS = [name for name in signal.__all__ if name != "savgol_coeffs"]  # It filters nothing.
PADDED = {"fill": "constant", "wrap": "wrap", "symm": "symmetric", "mirror": "reflect",
          "nearest": "edge"}  # fmt: skip
boundaries = pytest.mark.parametrize("boundary", [*PADDED])

# Each on a 2-D array along its last axis: what stays of a longer signal is the bordered result.
REACH = 12  # A multiple of every factor below.
CALLS = {
    "lfilter": lambda x, **k: signal.lfilter([1.0, 2, -1, 0.5], 2.0, x, **k),
    "upfirdn": lambda x, **k: signal.upfirdn([1.0, 2, -1, 0.5, 3], x, 3, 2, **k),
    "resample_poly": lambda x, **k: signal.resample_poly(x, 3, 2, 1, [1.0, 2, 4, 2, 1], **k),
    "decimate": lambda x, **k: signal.decimate(x, 2, 6, "fir", **k),
    "savgol_filter": lambda x, **k: signal.savgol_filter(x, 5, 2, **k),
}
RATES = {"upfirdn": (3, 2), "resample_poly": (3, 2), "decimate": (1, 2)}


@pytest.mark.parametrize("name", FILTERS)
def test_every_function_has_the_keywords(name):
    parameters = inspect.signature(getattr(signal, name)).parameters
    for keyword in OURS:
        assert keyword in parameters, keyword
        # convolve2d's boundary is SciPy's own, and positional there.
        assert parameters[keyword].kind is inspect.Parameter.KEYWORD_ONLY or (
            keyword == "boundary" and name in ("convolve2d", "correlate2d")
        )


# sepfir2d is compiled: it tells no signature.
@pytest.mark.parametrize("name", [name for name in FILTERS if name != "sepfir2d"])
def test_the_rest_of_every_signature_is_scipys(name):
    theirs = inspect.signature(getattr(scipy.signal, name)).parameters
    ours = inspect.signature(getattr(signal, name)).parameters
    kept = [
        (p.name, p.default)
        for p in ours.values()
        if p.name in theirs or p.kind is not p.KEYWORD_ONLY
    ]
    assert kept == [(p.name, p.default) for p in theirs.values()]


@boundaries
@pytest.mark.parametrize("name", CALLS)
def test_a_boundary_is_a_longer_signal(name, boundary):
    x = np.random.default_rng(1).standard_normal((3, 24))
    ours = CALLS[name](x, boundary=boundary)
    longer = np.pad(x, [(0, 0), (REACH, REACH)], PADDED[boundary])
    up, down = RATES.get(name, (1, 1))
    start = REACH * up // down
    whole = CALLS[name](longer)[:, start : start + ours.shape[1]]
    np.testing.assert_allclose(ours, whole, rtol=1e-13, atol=1e-12)


@given(st.data())
@pytest.mark.parametrize("name", CALLS)
def test_a_stride_keeps_every_nth_output_and_out_is_filled(name, data):
    n, stride = data.draw(st.integers(5, 30)), data.draw(st.integers(1, 9))
    boundary = data.draw(st.sampled_from([None, "wrap", "symm"]))
    keywords = {} if boundary is None else {"boundary": boundary}
    x = np.random.default_rng(n).standard_normal((2, n))
    whole = CALLS[name](x, **keywords)[:, ::stride]
    out = np.empty(whole.shape)
    assert CALLS[name](x, stride=stride, out=out, **keywords) is out
    np.testing.assert_allclose(out, whole, rtol=1e-13, atol=1e-13)
    with pytest.raises(ValueError, match="stride must"):
        CALLS[name](x, stride=0)
    with pytest.raises(ValueError, match="boundary must"):
        CALLS[name](x, boundary="reflected")


@boundaries
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_images_have_every_boundary(name, boundary):
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((9, 8)), rng.standard_normal((3, 4))
    padded = np.pad(x, 6, PADDED[boundary])
    for mode, first in (("same", 6), ("full", None)):
        whole = getattr(scipy.signal, name)(padded, w, mode)
        ours = getattr(signal, name)(x, w, mode, boundary)
        part = slice(6, -6)
        want = whole[part, part] if first else whole[6 : 6 + 11, 6 : 6 + 11]
        np.testing.assert_allclose(ours, want, atol=1e-12)


@boundaries
@pytest.mark.parametrize("name", ["convolve", "fftconvolve", "oaconvolve"])
def test_one_sample_has_a_border(name, boundary):
    x, w = np.array([[2.0], [3.0], [5.0]]), np.arange(1.0, 13.0).reshape(3, 4)
    padded = np.pad(x, [(2, 2), (3, 3)], PADDED[boundary])
    whole = scipy.signal.convolve(padded, w, "valid", "direct")
    ours = getattr(signal, name)(x, w, "same", boundary=boundary)
    np.testing.assert_allclose(ours, whole[1:4, 1:2], rtol=1e-12)


def test_a_border_that_the_call_says_otherwise_is_refused():
    x = np.arange(9.0)
    for call in (
        lambda: signal.lfilter([1, 2.0], 1, x, zi=[0.0], boundary="wrap"),
        lambda: signal.lfilter([1.0], [1, 0.5], x, boundary="wrap"),
        lambda: signal.upfirdn([1.0, 2], x, mode="wrap", boundary="wrap"),
        lambda: signal.resample_poly(x, 2, 1, padtype="line", boundary="wrap"),
        lambda: signal.savgol_filter(x, 3, 1, mode="wrap", boundary="wrap"),
        lambda: signal.decimate(x, 2, boundary="wrap"),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()


@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve", "oaconvolve"])
def test_what_scipy_answers_has_no_border_of_ours(name):
    x = np.ones(5, np.longdouble)
    with pytest.raises(ValueError, match="boundary"):
        getattr(signal, name)(x, x, boundary="wrap")


def test_a_stride_of_scipys_own_results_is_along_the_axis():
    x = np.random.default_rng(3).standard_normal((4, 9))
    np.testing.assert_array_equal(
        signal.lfilter([1.0], [1, 0.5], x, stride=2),
        scipy.signal.lfilter([1.0], [1, 0.5], x)[:, ::2],
    )
    long = x.astype(np.longdouble)
    np.testing.assert_array_equal(
        signal.savgol_filter(long, 5, 2, stride=3), scipy.signal.savgol_filter(long, 5, 2)[:, ::3]
    )


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_lags_are_strided_as_the_correlation_is(mode):
    whole = signal.correlation_lags(9, 4, mode)
    some = np.empty(len(whole[::3]), np.int64)
    assert signal.correlation_lags(9, 4, mode, stride=3, boundary="wrap", out=some) is some
    np.testing.assert_array_equal(some, whole[::3])
    assert len(signal.correlate(np.ones(9), np.ones(4), mode, stride=3)) == len(some)


@given(st.data())
def test_a_call_that_is_repeated_answers_as_before(data):
    # What the first call settled answers the second, for other numbers.
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    dtype = data.draw(st.sampled_from("fdFDl"))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    border = data.draw(st.sampled_from([*PADDED]))
    n, k = data.draw(st.integers(6, 40)), data.draw(st.integers(1, 6))

    def some(*shape):
        return (rng.integers(-9, 9, shape) * (1 + (1j if dtype in "FD" else 0))).astype(dtype)

    def calls(x, rows, image, w, plane):
        real = "d" if dtype in "FDl" else dtype
        yield signal.convolve(image, plane, mode, boundary=border)
        yield signal.correlate(image, plane, mode)
        yield signal.correlate(x, w, mode, boundary=border)
        yield signal.fftconvolve(rows, w[None], mode, 1)
        yield signal.fftconvolve(rows.T, w[:, None], mode, 0)
        yield signal.oaconvolve(image, plane, mode)
        yield signal.upfirdn(w, rows, 3, 2, mode="wrap")
        yield signal.upfirdn(w, rows.T, 2, axis=0)
        yield signal.upfirdn(w, x, 2, 3, mode="line")
        yield signal.savgol_filter(x.real.astype("d"), 5, 2, mode="mirror")
        yield signal.sepfir2d(image.real.astype(real), np.arange(3.0, dtype=real), np.ones(5, real))
        if dtype != "l":
            yield signal.lfilter(w, 2.0, rows)
            yield signal.lfilter(w, 2.0, rows, 0)
            yield from signal.lfilter(w, 2.0, rows, zi=rows[:, : k - 1])

    for _ in range(3):
        operands = some(n), some(3, n), some(n, 7), some(k), some(3, 2)
        longer = [np.repeat(o, 2, -1)[..., ::2] for o in operands]  # Of another layout.
        for one, other in zip(calls(*operands), calls(*longer), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
        _, rows, image, w, plane = operands
        scale = 1e-3 if dtype in "fF" else 1e-9
        theirs = scipy.signal.convolve(image, plane, "same")
        np.testing.assert_allclose(signal.convolve(image, plane, "same"), theirs, atol=scale)
        theirs = scipy.signal.upfirdn(w, rows, 3, 2, mode="wrap")
        np.testing.assert_allclose(signal.upfirdn(w, rows, 3, 2, mode="wrap"), theirs, atol=scale)


def test_the_choice_of_a_method_knows_the_call():
    x, w = np.ones(5000), np.ones(900)
    assert signal.choose_conv_method(x, w) == "fft"
    assert signal.choose_conv_method(x, w, stride=900) == "direct"
    best, times = signal.choose_conv_method(x, w, measure=True, boundary="wrap")
    assert best in times


@given(st.integers(1, 40), st.integers(2, 6), st.booleans(), st.sampled_from("fdDi"))
def test_systems_without_poles_decimate_here(n, q, zero_phase, dtype):
    x = np.random.default_rng(n).integers(-9, 9, (2, n)).astype(dtype)
    taps = np.array([1.0, 3.0, -2.0, 0.5, 1.0])
    system = scipy.signal.dlti(taps, [2.0])
    ours = signal.decimate(x, q, ftype=system, zero_phase=zero_phase)
    theirs = scipy.signal.decimate(x, q, ftype=system, zero_phase=zero_phase)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
