"""The short way of long filters: the answers of the engine, bit for bit."""

import numpy as np
import pytest
from agreement import assert_identical

import fastconv
from fastconv import short_transform


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(short_transform, "_recipes", {})


def random_array(rng, dtype, length):
    made = rng.standard_normal(length)
    return (made + 1j * rng.standard_normal(length) if dtype[0] == "c" else made).astype(dtype)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64"])
@pytest.mark.parametrize("face", ["convolve", "correlate"])
def test_it_answers_as_the_engine_does(face, dtype, workers):
    rng = np.random.default_rng(1)
    call, method = getattr(fastconv, face), "fused_complex" if dtype[0] == "c" else "fused"
    for n, k in ((1400, 1400), (3000, 3000), (20_000, 700), (700, 20_000), (100_000, 3000)):
        x, w = (random_array(rng, dtype, length) for length in (n, k))
        for mode in ("full", "same") if n == k else ("full", "same", "valid"):
            expected = call(x, w, mode, method=method)
            for _ in range(2):
                with fastconv.set_workers(workers):
                    assert_identical(call(x, w, mode), expected)
    kept = short_transform._recipes.values()
    assert sum(recipe is not NotImplemented for recipe in kept) > 9


def test_what_no_transform_is_quicker_for_is_left_to_the_loop(monkeypatch):
    x, w = np.ones(600), np.ones(300)
    monkeypatch.setattr(short_transform, "_CALLS_SECONDS", 1.0)
    assert short_transform.transformed(x, w, 299, 899, None, False) is NotImplemented
    assert short_transform.transformed(x, w, 299, 899, None, True) is NotImplemented
    np.testing.assert_array_equal(fastconv.convolve(x, w), np.convolve(x, w))


@pytest.mark.parametrize("engine", [True, False])
def test_what_transforms_would_save_is_counted_once(engine, monkeypatch):
    savings = []
    monkeypatch.setattr(short_transform.load, "all_ready", lambda units, s: savings.append(s))
    x, w = np.ones(1400), np.ones(1400)
    found = short_transform.transformed(x, w, 1399, 2799, None, engine)
    assert found is (None if engine else NotImplemented)
    assert len(savings) == 1
    assert (savings[0] > 0) is not engine


def test_out_receives_the_result_or_keeps_its_values():
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal(5000), rng.standard_normal(3000)
    expected = fastconv.convolve(x, w)
    out = np.empty(7999)
    assert fastconv.convolve(x, w, out=out) is out
    np.testing.assert_array_equal(out, expected)
    same = x.copy()
    assert fastconv.convolve(same, w, "same", out=same) is same
    np.testing.assert_array_equal(same, fastconv.convolve(x, w, "same"))


def test_bad_samples_stay_within_their_windows():
    x, w = np.ones(20_000), np.linspace(1, 2, 2000)
    fastconv.convolve(x, w)
    for bad in (np.nan, np.inf):
        x[9000] = bad
        expected = np.zeros(21_999, bool)
        expected[9000:11_000] = True
        np.testing.assert_array_equal(~np.isfinite(fastconv.convolve(x, w)), expected)


def test_recipes_are_few_and_small():
    for n in range(3000, 3000 + 2 * short_transform._MOST_RECIPES):
        fastconv.convolve(np.ones(n), np.arange(2500.0))
    assert len(short_transform._recipes) <= short_transform._MOST_RECIPES
    fastconv.convolve(np.arange(1e6), np.arange(1e6))
    key = (10**6, 10**6, 10**6 - 1, np.dtype("float64"))
    assert key not in short_transform._recipes  # Its table is too large.
    assert short_transform._MOST_POINTS < 10**6


@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
@pytest.mark.parametrize("face", ["convolve", "correlate"])
def test_bad_complex_samples_stay_within_their_windows(face, dtype):
    rng = np.random.default_rng(3)
    x, w = random_array(rng, dtype, 1400), random_array(rng, dtype, 1000)
    x[700] = np.nan
    got, want = getattr(fastconv, face)(x, w, "same"), getattr(np, face)(x, w, "same")
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
