"""Every function of fastconv.signal means by every argument, right or wrong, what SciPy means."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal._upfirdn import _upfirdn_modes as UPFIRDN_MODES
from strategies import LAYOUTS, lay_out

from fastconv import signal

MODES = ["full", "same", "valid"]
NEED_TWO = ("smooth", "line", "reflect", "antireflect")  # SciPy crashes at a single sample.
DTYPES = [*"?bBhHiIlLefdFDgGO", ">f8", ">i4", ">c8"]
WIDE = [*"dfDFlih"]  # Drawn as often as all others together: these have loops of our own.
# What may stand where something else is expected.
JUNK = [
    None, "?", "", b"full", -1, 0, 1, 7, 2**70, 1.5, 2.0, np.int64(1), np.uint8(2), np.float64(1.0),
    True, np.True_, [], [1], [1.0, 2.0], (), (0, 1), {}, np.nan, np.inf, 1j, "full", "FULL",
    np.array(2), np.array([1]), np.array([1.5, 2.0]), np.ones((2, 2)), np.ones((2, 0)),
    np.array(["a"]), np.array(["2020"], "M8[Y]"), np.array([1, 2], "m8[s]"), slice(None), object(),
    np.array([(1, 2.0)], "i4,f8"),
]  # fmt: skip


class Draw:
    """What a call may be given."""

    def __init__(self, data):
        self.data = data
        self.rng = np.random.default_rng(self.integer(0, 2**32))

    def one(self, *values):
        return self.data.draw(st.sampled_from(values))

    def integer(self, low, high):
        return self.data.draw(st.integers(low, high))

    def rarely(self):
        return self.integer(0, 5) == 5

    def shape(self, ndim=None, most=7):
        ndim = self.one(1, 1, 2, 2, 3) if ndim is None else ndim
        return tuple(self.one(0, 1, most, self.integer(1, most)) if self.rarely()
                     else self.integer(1, most) for _ in range(ndim))  # fmt: skip

    def array(self, shape, dtypes=DTYPES, wide=WIDE):
        """Small whole numbers: their sums of products are exact in every order."""
        dtype = np.dtype(self.one(self.one(*dtypes), self.one(*wide)))
        low, high = (0 if dtype.kind in "bu" else -5), (2 if dtype.kind == "b" else 6)
        values = self.rng.integers(low, high, shape)
        if dtype.kind == "c":
            values = values + 1j * self.rng.integers(-3, 4, shape)
        values = np.asarray(values).astype(dtype)
        form = self.one("list", "subclass", "any", "any", "any", "plain", "plain", "plain", "plain")
        if form == "list":
            return values.tolist()
        if form == "subclass":
            return values.view(Samples)
        layouts = ["contiguous"] if form == "plain" or dtype.kind == "O" else list(LAYOUTS)
        return lay_out(values, self.one(*layouts))

    def some(self, values, most):
        """Some of the values, rarely one of them twice."""
        return self.data.draw(st.lists(st.sampled_from(values), max_size=most)) if values else []

    def axis(self, x):
        return self.integer(-max(1, np.ndim(x)), max(1, np.ndim(x)) - 1)


class Samples(np.ndarray):
    """An array of somebody else's making."""


# One function each returns the arguments by their names, in the order of SciPy's signature.
def _pair(d, ndim=None):
    shape = d.shape(ndim)
    taps = d.shape(len(shape) if not d.rarely() else None)
    x, w = d.array(shape), d.array(taps)
    return (x, w) if d.rarely() or np.size(x) >= np.size(w) else (w, x)


def convolution(d):
    x, w = _pair(d)
    return {"in1": x, "in2": w, "mode": d.one(*MODES), "method": d.one("auto", "direct", "fft")}


def choice(d):
    x, w = _pair(d)
    measure = d.rarely()
    return {"in1": x, "in2": w, "mode": d.one(*MODES), "measure": measure}


def along_axes(d):
    x, w = _pair(d)
    ndim = np.ndim(x)
    some = d.some(range(-ndim, ndim), ndim)
    axes = d.one(None, d.axis(x), some, tuple(some))
    return {"in1": x, "in2": w, "mode": d.one(*MODES), "axes": axes}


def plane(d):
    x, w = _pair(d, 2)
    boundary = d.one("fill", "wrap", "circular", "symm", "symmetric")
    fill = d.one(
        0, 0, 1, 2.5, -3, 1 + 2j, np.float32(2), np.nan, [3], np.array([4.0]), 300, -(2**40)
    )
    return {"in1": x, "in2": w, "mode": d.one(*MODES), "boundary": boundary, "fillvalue": fill}


def rates(d):
    return d.integer(1, 6), d.integer(1, 6)


def resampling(d):
    x, h = d.array(d.shape(most=9)), d.array(d.shape(1, most=14))
    up, down = rates(d)
    return {
        "h": h, "x": x, "up": d.one(up, up, np.int32(up), float(up)), "down": down,
        "axis": d.axis(x), "mode": d.one(*UPFIRDN_MODES, "WRAP"),
        "cval": d.one(0, 0, 2, -1.5, np.float32(3), 2j),
    }  # fmt: skip


PADS = [*UPFIRDN_MODES, "mean", "median", "minimum", "maximum"]


def poly(d):
    x = d.array(d.shape(most=12))
    up, down = rates(d)
    taps = d.array(d.shape(1, most=9))
    window = d.one(("kaiser", 5.0), "hamming", ("tukey", 0.5), ["kaiser", 5.0], taps, taps, 4.0)
    padtype = d.one(*PADS, "Mean")
    cval = d.one(None, None, 0, 2, -1.5, np.float64(1.0))
    if padtype != "constant" and not d.rarely():
        cval = None
    return {
        "x": x, "up": d.one(up, up, np.int64(up), float(up)), "down": down, "axis": d.axis(x),
        "window": window, "padtype": padtype, "cval": cval,
    }  # fmt: skip


def decimation(d):
    x = d.array(d.shape(most=40))
    taps = d.one([1.0, 3.0, -2.0, 0.5], [2, 1], np.array([1, 2j, 3]), np.float32([4, 1, 1]))
    system = scipy.signal.dlti(taps, d.one([2.0], [1.0], [1.0, 0.5]))
    return {
        "x": x, "q": d.integer(1, 6), "n": d.one(None, None, d.integer(1, 12)),
        "ftype": d.one("fir", "fir", "fir", "iir", system), "axis": d.axis(x),
        "zero_phase": d.one(True, False, 1, None),
    }  # fmt: skip


def recursion(d):
    b, x = d.array(d.shape(1, most=6)), d.array(d.shape(most=9))
    a = d.one(1, 2.0, [1], [2.0], np.array([4.0]), [1.0, 0.5], np.float32(2), 1j, d.array((1,)))
    axis = d.axis(x)
    shape = list(np.shape(x))
    if shape:
        shape[axis] = max(0, len(b) - 1)
    if d.rarely():
        shape = [1 if d.rarely() else n for n in shape]
    zi = d.one(None, None, d.array(shape))
    return {"b": b, "a": a, "x": x, "axis": axis, "zi": zi}


def smoothing(d):
    x = d.array(d.shape(most=16))
    window = d.integer(1, 9)
    return {
        "x": x, "window_length": d.one(window, window, np.int64(window), float(window)),
        "polyorder": d.integer(0, 5), "deriv": d.one(0, 0, 1, 2, 7), "delta": d.one(1.0, 0.5, 2),
        "axis": d.axis(x), "mode": d.one("interp", "mirror", "constant", "nearest", "wrap"),
        "cval": d.one(0.0, 0.0, 2, -1.5, np.nan),
    }  # fmt: skip


def design(d):
    window = d.integer(1, 9)
    return {
        "window_length": window, "polyorder": d.integer(0, 5), "deriv": d.one(0, 0, 1, 2, 7),
        "delta": d.one(1.0, 0.5), "pos": d.one(None, None, d.integer(0, window)),
        "use": d.one("conv", "dot"), "xp": None, "device": None,
    }  # fmt: skip


def spline(d):
    x = d.array(d.shape(2, most=9))
    odd = [d.array(2 * d.integer(0, 2) + (not d.rarely())) for _ in range(2)]
    return {"input": x, "hrow": odd[0], "hcol": odd[1]}


def lags(d):
    n, k = d.integer(0, 12), d.integer(0, 12)
    n, k = d.one((n, k), (n, k), (np.int64(n), np.int32(k)), (float(n), k))
    return {"in1_len": n, "in2_len": k, "mode": d.one(*MODES)}


CALLS = {
    "choose_conv_method": choice, "convolve": convolution, "convolve2d": plane,
    "correlate": convolution, "correlate2d": plane, "correlation_lags": lags,
    "decimate": decimation, "fftconvolve": along_axes, "lfilter": recursion,
    "oaconvolve": along_axes, "resample_poly": poly, "savgol_coeffs": design,
    "savgol_filter": smoothing, "sepfir2d": spline, "upfirdn": resampling,
}  # fmt: skip
COMPILED = {"sepfir2d": ["input", "hrow", "hcol"]}  # It tells no signature: positional only.


def parameters(name):
    """Return the names of the parameters, and of those the keyword-only ones."""
    if name in COMPILED:
        return COMPILED[name], []
    every = inspect.signature(getattr(scipy.signal, name)).parameters.values()
    return [p.name for p in every], [p.name for p in every if p.kind is p.KEYWORD_ONLY]


def test_every_function_is_drawn():
    assert list(CALLS) == sorted(signal.__all__)


@settings(max_examples=1)
@given(st.data())
@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_is_drawn(name, data):
    assert list(CALLS[name](Draw(data))) == parameters(name)[0]


@given(st.data())
@pytest.mark.parametrize("name", CALLS)
def test_every_argument_means_what_it_means_in_scipy(name, data):
    call = request(Draw(data), name)
    assume(call is not None)
    assert_alike(name, *call)


def request(d, name):
    """Draw a call: some arguments left out, some by keyword, every third call with a wrong one."""
    call = CALLS[name](d)
    if d.integer(0, 2) == 2:
        call[d.one(*call)] = d.one(*JUNK)
    if is_fatal(name, call):
        return None
    names, keywords = parameters(name)
    optional = [] if name in COMPILED else defaults(name)
    for left_out in optional:
        if d.rarely():
            del call[left_out]
    positional = len(names) if name in COMPILED else d.integer(0, len(names) - len(keywords))
    args = []
    for parameter in names[:positional]:
        if parameter not in call:
            break
        args.append(call.pop(parameter))
    return args, call


def defaults(name):
    """Return the parameters that may be left out."""
    every = inspect.signature(getattr(scipy.signal, name)).parameters.values()
    return [p.name for p in every if p.default is not p.empty]


def is_fatal(name, call):
    """Whether SciPy ends the process or returns what was in memory; here it goes on (README)."""
    lengths = shape_of(call.get("x", call.get("input", call.get("in1"))))
    if name in ("upfirdn", "resample_poly", "decimate"):
        rule = str(call.get("mode", call.get("padtype", "constant"))).lower()
        reads_beyond = (1 in lengths and rule in NEED_TWO) or (0 in lengths and rule != "constant")
        return reads_beyond or call["axis"] is True
    if name in ("convolve2d", "correlate2d"):
        return 0 in lengths and call["boundary"] != "fill"
    if name == "sepfir2d":
        taps = [np.size(call["hrow"]), np.size(call["hcol"])]
        return min(taps) == 0 or max(taps) > min(lengths, default=0)
    if name == "savgol_filter" and type(call["deriv"]) is int and call["deriv"] > 99:
        return True  # It takes delta to that power.
    return name == "lfilter" and 0 in lengths and call["zi"] is not None


def shape_of(value):
    """Return the shape of what may be no array."""
    try:
        return np.shape(value)
    except ValueError:
        return ()


def outcome(function, args, keywords):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args, **keywords)
        except Exception as error:
            return error


def assert_alike(name, args, keywords):
    """Same type of exception, or same types, dtypes, shapes and values within round-off."""
    outcome(getattr(signal, name), args, keywords)
    ours = outcome(getattr(signal, name), args, keywords)  # By what the first call settled.
    if name in ("upfirdn", "resample_poly", "decimate"):
        args = [_in_step(a) for a in args]
        keywords = {k: _in_step(a) for k, a in keywords.items()}
    theirs = outcome(getattr(scipy.signal, name), args, keywords)
    if is_deliberate(name, [*args, *keywords.values()], ours, theirs):
        return
    for one, other in zip(_parts(ours), _parts(theirs), strict=True):
        if isinstance(one, Exception) or isinstance(other, Exception):
            assert type(one) is type(other), (one, other)
            continue
        assert type(one) is type(other), (type(one), type(other))
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        if one.dtype.kind not in "fc":
            assert one.tolist() == other.tolist() or one.dtype.kind == "O"
            continue
        narrow = any(_is_narrow(a) for a in (one, *args, *keywords.values()))
        scale = np.abs(other[np.isfinite(other)]).max(initial=1.0)
        np.testing.assert_allclose(
            one, other, rtol=0, atol=scale * (3e-3 if narrow else 1e-9), equal_nan=True
        )


def is_deliberate(name, values, ours, theirs):
    """Whether the results may differ: see the README."""
    if isinstance(theirs, (ValueError, RuntimeError)) and "nsupported" in str(theirs):
        return True  # bool and float16 in N-D are computed here.
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        return False
    words = [v for v in values if isinstance(v, str)]
    if name in ("upfirdn", "resample_poly") and any(v is np.inf or v is np.nan for v in values):
        return True  # A filter padded with zeros meets them.
    if name == "choose_conv_method":
        return type(ours) is type(theirs)  # Another formula.
    if name == "correlation_lags" and "same" in words:
        n, k = (v if isinstance(v, (int, np.integer)) else 0 for v in values[:2])
        return n % 2 == 1 and k % 2 == 0  # SciPy is one too high.
    return "fft" in words and theirs.dtype.kind in "biu"  # SciPy rounds.


def _in_step(value):
    """Return an array whose strides are whole numbers of samples: SciPy takes them for such."""
    if isinstance(value, np.ndarray) and any(s % value.itemsize for s in value.strides):
        return value.copy()
    return value


def _is_narrow(value):
    return isinstance(value, np.ndarray) and value.dtype.char in "efF"


def _parts(result):
    return result if isinstance(result, tuple) else (result,)


def test_no_samples_cannot_be_continued():
    # SciPy divides by their number, or reads what lies beyond.
    nothing, taps = np.ones((3, 0)), np.ones(4)
    for boundary in ("wrap", "symm"):
        with pytest.raises(ValueError, match="empty"):
            signal.convolve2d(nothing, np.ones((2, 3)), boundary=boundary)
        assert signal.convolve2d(nothing, np.ones((2, 3)), "same", boundary).shape == (3, 0)
    for mode in ("wrap", "edge", "reflect", "line"):
        with pytest.raises(ValueError, match="samples"):
            signal.upfirdn(taps, nothing, mode=mode)
        assert signal.upfirdn(taps, np.ones((0, 3)), mode=mode).shape == (0, 6)
        assert signal.resample_poly(nothing, 3, 2, 1, padtype=mode).shape == (3, 0)


@pytest.mark.parametrize("dtype", ["b", "?", "i", "f", "d", "D"])
def test_one_sample_meets_many_filters(dtype):
    # Seen once for each filter it is a line of stride 0, which no loop may take for contiguous.
    one, many = np.array([[1]], dtype), np.arange(1, 41).reshape(40, 1).astype(dtype)
    for _ in range(3):
        np.testing.assert_array_equal(signal.fftconvolve(one, many, axes=-1), many)
    planes = many.reshape(40, 1, 1)
    np.testing.assert_array_equal(signal.fftconvolve(one[None], planes, axes=(1, 2)), planes)


@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve"])
def test_numbers_are_multiplied(name):
    for args in ((), ("full", "direct")[: 1 if name == "fftconvolve" else 2]):
        x, w = np.array(3 + 1j), np.array(2j)
        assert getattr(signal, name)(x, w, *args) == getattr(scipy.signal, name)(x, w, *args)


def test_the_other_byte_order_is_of_the_same_width():
    x = np.arange(30.0).reshape(5, 6)
    image = (x + 1j * x.T.reshape(5, 6)).astype(">c8")
    ours = signal.sepfir2d(image, np.ones(3, "f"), np.ones(1, "f"))
    theirs = scipy.signal.sepfir2d(image, np.ones(3, "f"), np.ones(1, "f"))
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert signal.decimate(x.astype(">f2"), 2, ftype="fir").dtype == np.float64


def test_fields_of_packed_records_are_read_where_they_lie():
    records = np.zeros(40, [("tag", "u1"), ("value", "f8")])
    records["value"] = np.arange(40.0)
    x, taps = records["value"], np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(
        signal.upfirdn(taps, x, 3, 2), signal.upfirdn(taps, x.copy(), 3, 2)
    )
    long = signal.resample_poly(x, 3, 2, window=np.array([1, 2, 1]))  # SciPy's own.
    np.testing.assert_array_equal(long, signal.resample_poly(x.copy(), 3, 2, window=[1, 2, 1]))
