"""Several filters on one signal: the bits of single calls, NaN in its place, memory in bounds."""

import numpy as np
import pytest

import fastconv
from fastconv import signal
from fastconv.paths import PATHS, fused
from fastconv.problem import Problem

DTYPES = ("float64", "float32")


def drawn(dtype, n, filters, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n).astype(dtype), rng.standard_normal((filters, k)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "k"), [(50_000, 300), (3000, 3000), (900, 70), (150_000, 120_000)])
@pytest.mark.parametrize("workers", [1, 3])
def test_each_filter_gives_the_bits_of_a_call_of_its_own(dtype, n, k, workers):
    x, w = drawn(dtype, n, 5, k)
    call = {"method": "fused", "workers": workers}
    for stride in (1, 3):
        many = fastconv.convolve(x, w, axis=-1, stride=stride, **call)
        alone = [fastconv.convolve(x, taps, stride=stride, **call) for taps in w]
        np.testing.assert_array_equal(many, alone)


def test_filters_that_do_not_fit_together_take_turns(monkeypatch):
    x, w = drawn("float64", 20_000, 11, 300)
    whole = fastconv.convolve(x, w, axis=-1, method="fused")
    monkeypatch.setattr(fused, "KEPT_BYTES", 1)
    np.testing.assert_array_equal(fastconv.convolve(x, w, axis=-1, method="fused"), whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_samples_reach_the_outputs_that_the_loop_gives_them(bad):
    x, w = drawn("float64", 20_000, 3, 300)
    x[7], x[12_345] = bad, -bad
    with np.errstate(invalid="ignore"):
        expected = np.array([np.convolve(x, taps) for taps in w])
        result = fastconv.convolve(x, w, axis=-1, method="fused")
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(result), kind(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(result[finite], expected[finite], atol=1e-10)
    w[1, 3] = bad
    result = fastconv.convolve(x, w, axis=-1, method="fused")
    assert np.isfinite(result[0]).sum() == finite[0].sum()
    assert not np.isfinite(result[1, 3:-300]).any()


def test_the_faces_say_that_the_signal_is_one():
    x, w = drawn("float64", 5000, 4, 200)
    results = [
        fastconv.convolve(x, w, axis=-1),
        signal.fftconvolve(x[None], w, axes=1),
        signal.oaconvolve(np.broadcast_to(x, (1, 5000)), w, axes=-1),
        fastconv.convolve(x[:, None], w.T, axis=0).T,
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert "one signal for all filters" in fastconv.explain(x, w, axis=-1).problem


def test_a_shared_signal_costs_less_and_takes_no_more_than_it_says():
    apart = Problem(
        "float64", 64, False, (10_000,), (500,), (10_499,), (1,), (1,), (499,), ("zero",)
    )
    one = apart._replace(shared_signal=True)
    path = PATHS["fused"]
    ratio = path.work(one).butterflies / path.work(apart).butterflies
    assert 0.6 < ratio < 0.75
    assert one.part((0,), (100,), 1).shared_signal is False
    many = one._replace(batch=4096)
    assert path.space(many).shared < path.space(many._replace(shared_signal=False)).shared / 4
