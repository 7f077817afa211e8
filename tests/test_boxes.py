"""Constant filters: found, answered by running sums without drift, where that is quicker."""

import numpy as np
import pytest
from agreement import assert_identical
from reference import convolve2d
from test_separable import MODES_2D

import fastconv
from fastconv import short_sums
from fastconv.planner import structure
from fastconv.problem import Structure


@pytest.fixture
def always(monkeypatch):
    """Look for constant filters however small the work."""
    monkeypatch.setattr(structure, "_CONSTANT_PRODUCTS", 0)
    monkeypatch.setattr(structure, "_CONSTANT_SAMPLES", 0)
    monkeypatch.setattr(structure, "_TAPS", 1)


@pytest.mark.parametrize("dtype", "fdilIL")
def test_a_constant_filter_is_found_and_no_other(dtype):
    guarantee = "componentwise" if dtype in "fd" else "exact"
    for shape in ((9,), (3, 5)):
        w = np.full(shape, 7, dtype)
        assert structure.constant(w) == Structure(1, guarantee, constant=True)
        w.flat[1] = 6
        assert structure.constant(w) is None
    for tap in (0.0, np.nan, np.inf):
        assert structure.constant(np.full(9, tap)) is None
    assert structure.constant(np.ones(9, complex)) is None


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("mode", "boundary"), MODES_2D)
@pytest.mark.parametrize("dtype", "fdilIL")
def test_images_are_right_in_every_mode(mode, boundary, dtype):
    rng = np.random.default_rng(5)
    for shape, k in [((20, 33), (3, 5)), ((6, 40), (4, 3)), ((40, 19), (9, 7)), ((30, 17), (1, 4))]:
        x = (rng.standard_normal(shape) * 9).astype(np.int64).astype(dtype)
        w = np.full(k, 3.25).astype(dtype)
        fill = 3 if boundary == "fill" else 0
        keywords = {"mode": mode, "boundary": boundary, "fillvalue": fill}
        got = fastconv.convolve2d(x, w, method="boxes", **keywords)
        # Whole numbers, and a tap of so few bits: their sums are exact in any order.
        assert_identical(got, convolve2d(x, w, **keywords))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", "fdilIL")
@pytest.mark.parametrize(("n", "k"), [(1, 1), (9, 9), (70, 3), (4000, 41), (4000, 2500)])
def test_signals_are_right_in_every_mode(mode, dtype, n, k):
    rng = np.random.default_rng(6)
    x, w = (rng.standard_normal(n) * 9).astype(np.int64).astype(dtype), np.full(k, 3).astype(dtype)
    got = fastconv.convolve(x, w, mode, method="boxes")
    # Whole numbers: their sums are exact in any order.
    assert_identical(got, np.convolve(x, w, mode))
    many = np.stack([x, x[::-1]])
    got = fastconv.convolve(many, w, mode, axis=-1, method="boxes")
    assert_identical(got, np.stack([np.convolve(row, w, mode) for row in many]))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5e308])
def test_what_is_not_finite_or_overflows_reaches_the_outputs_that_it_reaches_directly(value):
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal((60, 50)), np.full((9, 9), 1 / 81)
    x[20:23, 31], x[40, 5] = value, -value
    pairs = [
        [fastconv.convolve2d(x, w, "same", method=method) for method in ("boxes", "direct")],
        [fastconv.convolve(x.ravel(), w[0], method=method) for method in ("boxes", "direct")],
    ]
    for got, direct in pairs:
        for kind in (np.isnan, np.isposinf, np.isneginf):
            assert np.array_equal(kind(got), kind(direct))
        assert np.isfinite(direct).any()


@pytest.mark.usefixtures("always")
def test_a_sum_forgets_a_large_value_that_has_passed():
    x = np.array([1, 1e16, 1, 1, 1, 1])
    got = fastconv.convolve(x, np.ones(2), "valid", method="boxes")
    assert_identical(got, np.array([1e16 + 1, 1e16 + 1, 2, 2, 2]))
    x = np.random.default_rng(8).random(100_000)
    x[:3] = 1e18
    want = np.convolve(x[3:], np.ones(100) / 100, "valid")
    got = fastconv.convolve(x, np.ones(100) / 100, "valid")[3:]
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_results_do_not_depend_on_the_number_of_workers():
    rng = np.random.default_rng(9)
    x, line = rng.standard_normal((700, 900)), rng.standard_normal(400_000)
    for call in (
        lambda n: fastconv.convolve2d(x, np.full((15, 11), 0.1), method="boxes", workers=n),
        lambda n: fastconv.convolve(line, np.full(41, 0.1), method="boxes", workers=n),
    ):
        results = [call(n) for n in (1, 2, 3)]
        assert_identical(results[1], results[0])
        assert_identical(results[2], results[0])


def test_explain_names_it_and_it_can_be_declined():
    x, w = np.ones((1024, 1024)), np.ones((31, 31))
    table = fastconv.explain(x, w, "same")
    assert table.chosen == "boxes" and table.found == ("constant",)
    assert "one tap" in table.problem
    assert fastconv.explain(x, w, "same", structure=False).chosen != "boxes"
    with pytest.raises(ValueError, match="constant"):
        fastconv.convolve2d(x, w, method="boxes", structure=False)
    line, taps = np.arange(300_000.0) % 7, np.full(100, 0.5)
    for face in (fastconv.convolve, fastconv.correlate):
        products = face(line, taps, structure=False)
        np.testing.assert_allclose(products, face(line, taps), rtol=1e-12, atol=1e-12)
        with pytest.raises(ValueError, match="method"):
            face(line, taps, method="boxes", structure=False)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint32"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_plain_signals_take_a_short_way(dtype, mode, monkeypatch):
    monkeypatch.setattr(short_sums, "_recipes", {})
    x = (np.random.default_rng(10).random(30_000) * 100).astype(dtype).round()
    w = np.full(91, 2, dtype)
    for _ in range(2):
        assert_identical(fastconv.convolve(x, w, mode), np.convolve(x, w, mode))
        assert_identical(fastconv.correlate(x, w, mode), np.correlate(x, w, mode))
    assert any(callable(recipe) for recipe in short_sums._recipes.values())
    out = np.empty_like(np.convolve(x, w, mode))
    assert fastconv.convolve(x, w, mode, out=out) is out
    # What is alike at three places only is not constant.
    w[1] = 3
    np.testing.assert_allclose(fastconv.convolve(x, w, mode), np.convolve(x, w, mode), rtol=1e-5)
    same = fastconv.prepare(np.full(91, 2, dtype), mode)
    assert_identical(same(x), np.convolve(x, np.full(91, 2, dtype), mode))


def test_recipes_are_few():
    for n in range(9000, 9000 + 2 * short_sums._MOST_RECIPES):
        fastconv.convolve(np.ones(n), np.ones(101))
    assert len(short_sums._recipes) <= short_sums._MOST_RECIPES
