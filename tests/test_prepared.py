"""A prepared filter answers as `convolve` does, and transforms its filter once."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
from agreement import assert_identical, assert_within
from hypothesis import given
from reference import normwise_bound, precise
from strategies import EXACT, FLOATS, problems, random_array

import fastconv
from fastconv import forms
from fastconv.runtime import load


@given(problems(dtypes=EXACT + FLOATS))
def test_it_answers_as_the_plain_function(problem):
    request, a, v = problem
    call = fastconv.prepare(v, request.mode, function=request.face, stride=request.stride)
    expected = getattr(fastconv, request.face)(a, v, request.mode, stride=request.stride)
    first = call(a)
    assert first.dtype == expected.dtype and first.shape == expected.shape
    if expected.dtype.kind in "biu":
        assert_identical(first, expected)
    else:
        bound = 2 * normwise_bound(a, v, expected.dtype)
        wide = np.clongdouble if expected.dtype.kind == "c" else np.longdouble
        assert_within(first, expected.astype(wide), bound)
    out = np.empty(expected.shape, expected.dtype)
    for _ in range(2):
        assert call(a, out=out) is out
        np.testing.assert_array_equal(out, first)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "q", "h"])
@pytest.mark.parametrize("method", ["fused", "fused_complex", "limbs", "auto"])
def test_the_filter_is_transformed_once(dtype, method, monkeypatch):
    rng = np.random.default_rng(0)
    v = random_array(rng, dtype, 900)
    a, b = random_array(rng, dtype, 40_000), random_array(rng, dtype, 40_000)
    rows = fastconv.explain(a, v).rows
    if method != "auto" and not next(r for r in rows if r.name == method).supported:
        return
    asked, kernel = [], load.kernel

    def watched(name, loop):
        asked.append(name)
        return kernel(name, loop)

    monkeypatch.setattr(load, "kernel", watched)
    call = fastconv.prepare(v, method=method)
    for signal in (a, b, a):
        result = call(signal)
        expected = fastconv.convolve(precise(signal, dtype), precise(v, dtype))
        if np.dtype(dtype).kind in "iu":
            np.testing.assert_array_equal(result, np.convolve(signal, v))
        else:
            assert_within(result, expected, normwise_bound(signal, v, dtype))
    assert sum("spectrum" in name for name in asked) == 1
    assert call.nbytes > 0


def test_rows_dtypes_and_swapped_operands():
    rng = np.random.default_rng(1)
    v = rng.standard_normal(500)
    call = fastconv.prepare(v, "same", axis=-1)
    for a in (
        rng.standard_normal((3, 9000)),
        rng.standard_normal((3, 9000)).astype("f"),
        rng.standard_normal((2, 9000)) + 1j,
        rng.integers(0, 9, (2, 9000)),
        rng.standard_normal((2, 100)),  # Shorter than the filter: they change places.
    ):
        np.testing.assert_allclose(call(a), fastconv.convolve(a, v, "same", axis=-1), atol=1e-9)
    w = v + 1j
    correlated = fastconv.prepare(w, "valid", function="correlate")
    for n in (9000, 499, 500, 1):
        a = random_array(rng, "D", n)
        np.testing.assert_allclose(correlated(a), np.correlate(a, w, "valid"), atol=1e-9)


def test_the_filter_is_a_copy():
    v = np.ones(3)
    call = fastconv.prepare(v)
    v[:] = 7
    np.testing.assert_array_equal(call(np.ones(4)), [1, 2, 3, 3, 2, 1])
    with pytest.raises(ValueError, match="read-only"):
        call.filter[0] = 2


@pytest.mark.parametrize("function", ["convolve", "correlate", "convolve2d", "correlate2d"])
@pytest.mark.parametrize("dtype", ["d", "F"])
def test_copies_and_pickles_answer_the_same_and_nothing_stays_behind(function, dtype):
    plane = function.endswith("2d")
    rng = np.random.default_rng(7)
    a, v = (random_array(rng, dtype, n) for n in (((9, 8), (3, 2)) if plane else (50, 4)))
    call = fastconv.prepare(v, "same", function=function)
    expected = call(a)
    np.testing.assert_allclose(expected, getattr(fastconv, function)(a, v, "same"), rtol=1e-5)
    for _ in range(3):
        assert_identical(call(a), expected)
    for other in (copy.copy(call), copy.deepcopy(call), pickle.loads(pickle.dumps(call))):
        for _ in range(3):
            assert_identical(other(a), expected)
        assert repr(other) == repr(call)
    filters = weakref.ref(call.filter)
    del call, other
    gc.collect()
    assert filters() is None


def test_nan_stays_where_it_belongs_with_a_kept_spectrum():
    rng = np.random.default_rng(2)
    call = fastconv.prepare(rng.standard_normal(300), method="fused")
    a = rng.standard_normal(20_000)
    call(a)
    a[5000] = np.nan
    touched = np.flatnonzero(np.isnan(call(a)))
    np.testing.assert_array_equal(touched, np.arange(5000, 5300))


def test_many_threads_may_use_it():
    rng = np.random.default_rng(3)
    v, signals = rng.standard_normal(700), rng.standard_normal((8, 30_000))
    call = fastconv.prepare(v)
    found = [None] * 8

    def work(i):
        for _ in range(5):
            found[i] = call(signals[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        np.testing.assert_array_equal(found[i], fastconv.convolve(signals[i], v))


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(forms, "MAX_KEPT_BYTES", 100)
    kept = forms.Forms()
    for key in range(10):
        assert kept.recall(key, lambda: b"x" * 40, len) == b"x" * 40
        assert kept.nbytes <= 100
    made = []
    kept.recall(9, lambda: made.append(1), lambda _: 0)
    kept.recall(0, lambda: made.append(1), lambda _: 0)
    assert made == [1]
    kept.recall("large", lambda: b"y" * 400, len)
    assert kept.nbytes == 400


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        (([],), {}, ValueError),
        (([[1.0]],), {}, ValueError),
        ((["a"],), {}, TypeError),
        (([1.0], "half"), {}, ValueError),
        (([1.0],), {"function": "divide"}, ValueError),
        (([1.0],), {"stride": 0}, ValueError),
        (([1.0],), {"axis": 0.5}, TypeError),
        (([1.0],), {"method": "magic"}, ValueError),
        (([1.0],), {"workers": 0}, ValueError),
    ],
)
def test_what_no_filter_could_mean_is_refused(arguments, keywords, error):
    with pytest.raises(error, match="must"):
        fastconv.prepare(*arguments, **keywords)


def test_what_no_signal_could_mean_is_refused():
    call = fastconv.prepare([1.0, 2.0])
    for a in ([], [[1.0]], ["a"]):
        with pytest.raises((ValueError, TypeError)):
            call(a)
    with pytest.raises(ValueError, match="out must have shape"):
        call(np.ones(5), out=np.ones(5))


def test_a_filter_between_zeros_is_transformed_anew_where_its_zeros_count():
    rng = np.random.default_rng(3)
    v = np.zeros(500)
    v[100:400] = rng.random(300)
    call = fastconv.prepare(v, method="fused")
    a = rng.random(40_000)
    b = a.copy()
    b[100] = np.nan
    for signal in (a, b, a):  # Zeros at the ends are left out where nothing is NaN.
        np.testing.assert_allclose(call(signal), np.convolve(signal, v), rtol=0, atol=1e-9)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("function", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "h", "q", "B"])
def test_a_filter_for_images_answers_as_the_plain_function(function, mode, dtype):
    rng = np.random.default_rng(4)
    for shape, k, boundary, stride in (
        ((8, 9), (3, 3), "fill", 1),
        ((40, 33), (2, 5), "symm", 1),
        ((40, 33), (4, 3), "wrap", (2, 1)),
        ((3, 4), (5, 6), "fill", 1),
        ((90, 80), (33, 31), "fill", 1),
    ):
        x, w = random_array(rng, dtype, shape), random_array(rng, dtype, k)
        plain = getattr(fastconv, function)
        call = fastconv.prepare(w, mode, function=function, boundary=boundary, stride=stride)
        expected = plain(x, w, mode, boundary, stride=stride)
        out = np.empty_like(expected)
        for _ in range(3):
            np.testing.assert_array_equal(call(x), expected)
            assert call(x, out) is out
            np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(call(x.tolist()), plain(x.tolist(), w, mode, boundary,
                                                              stride=stride))  # fmt: skip


def test_a_filter_for_images_is_transformed_once(monkeypatch):
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(300, 280)), rng.normal(size=(40, 41))
    call = fastconv.prepare(w, "same", function="convolve2d", method="tiles")
    asked, kernel = [], load.kernel

    def watched(name, dtype):
        asked.append(name)
        return kernel(name, dtype)

    monkeypatch.setattr(load, "kernel", watched)
    expected = fastconv.convolve2d(x, w, "same", method="tiles")
    for image in (x, 2 * x, x):
        np.testing.assert_allclose(call(image) * (x[0, 0] / image[0, 0]), expected, atol=1e-9)
    assert sum("spectrum" in name for name in asked) == 2  # The plain call's and ours.
    assert call.nbytes > 0


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((np.ones(3),), {"function": "convolve2d"}, "two dimensions"),
        ((np.ones((3, 3)),), {}, "one dimension"),
        ((np.ones((0, 3)),), {"function": "convolve2d"}, "empty"),
        ((np.ones((3, 3)),), {"function": "convolve2d", "boundary": "mirror"}, "boundary must"),
        ((np.ones((3, 3)),), {"function": "convolve2d", "axis": 0}, "axis must"),
        ((np.ones((3, 3)),), {"function": "convolve2d", "stride": (1, 0)}, "stride must"),
        ((np.ones(3),), {"boundary": "wrap"}, "boundary must"),
        ((np.ones(3),), {"function": "convolve3d"}, "function must"),
    ],
)
def test_a_filter_for_images_refuses_what_does_not_suit(arguments, keywords, error):
    with pytest.raises(ValueError, match=error):
        fastconv.prepare(*arguments, **keywords)


@pytest.mark.parametrize("dtype", ["?", "b", "H", "f", ">d"])
def test_a_signal_of_another_dtype_is_converted(dtype):
    a, v = np.arange(30).astype(dtype), np.array([0, 0, 1.5, 2])
    call = fastconv.prepare(v)
    for _ in range(3):
        np.testing.assert_array_equal(call(a), np.convolve(a, v))
