"""Filters with factors: what is found, what it is worth, and that the answers keep it."""

import numpy as np
import pytest
from agreement import assert_identical, assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import componentwise_bound, convolve2d, normwise_bound, precise

import fastconv
from fastconv.path import Operands
from fastconv.paths import PATHS
from fastconv.planner import structure
from fastconv.planner.calibrate import _problem
from fastconv.problem import Problem

EPS = {"f": np.finfo("f").eps, "d": np.finfo("d").eps}


def gaussian(k, sigma, dtype="d"):
    t = np.arange(k) - (k - 1) / 2
    return np.exp(-(t**2) / (2 * sigma**2)).astype(dtype)


def found(w, n=4096):
    """The finding for a large image, where looking pays."""
    return structure.examine(_problem(w.dtype.name, (n, n), w.shape), w, "separable")


def product(factors, dtype=np.longdouble):
    return np.einsum("ru,rv->uv", *(f.astype(dtype) for f in factors))


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("k", [3, 5, 15, 31])
def test_an_outer_product_is_found_and_right_for_each_tap(dtype, k):
    g = gaussian(k, k / 5, dtype)
    direct = np.exp(-np.add.outer(*[(np.arange(k) - k // 2) ** 2] * 2) / (2 * (k / 5) ** 2))
    for w in (np.outer(g, g), np.outer(g, g) / np.outer(g, g).sum(), direct.astype(dtype)):
        finding = found(w)
        assert finding.structure.rank == 1
        assert finding.structure.guarantee == "componentwise"
        error = np.abs(product(finding.factors) - w)
        assert (error <= (k * k + 4 - 2 * k) * EPS[dtype] * w).all()


@pytest.mark.parametrize("dtype", "fd")
def test_a_sum_of_two_products_is_of_rank_two_within_the_norm(dtype):
    k, x = 21, np.arange(21) - 10.0
    g = gaussian(k, 3)
    w = (np.outer(g * (x * x - 9), g) + np.outer(g, g * (x * x - 9))).astype(dtype)
    finding = found(w)
    assert (finding.structure.rank, finding.structure.guarantee) == (2, "normwise")
    error = product(finding.factors) - w
    assert np.sqrt((error**2).sum()) <= 8 * EPS[dtype] * np.linalg.norm(w.astype("d"))


@pytest.mark.parametrize("dtype", "bhilBHIL")
def test_integers_are_factored_exactly(dtype):
    row, column = np.array([1, 3, 3, 1], dtype), np.array([2, 0, 1], dtype)
    finding = found(np.multiply.outer(column, row))
    assert (finding.structure.rank, finding.structure.guarantee) == (1, "exact")
    assert np.array_equal(product(finding.factors, dtype), np.multiply.outer(column, row))
    odd = np.multiply.outer(column, row)
    odd[0, 0] += 1
    assert found(odd).structure is None


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=6), st.data())
def test_whole_floats_have_whole_factors(column, data):
    row = data.draw(st.lists(st.integers(-9, 9), min_size=3, max_size=6))
    w = np.outer(column, row).astype(float)
    finding = found(w)
    if not w.any():
        assert finding.structure is None
        return
    assert np.array_equal(product(finding.factors, float), w)
    assert all(np.array_equal(f, np.rint(f)) for f in finding.factors)


@given(st.integers(0, 2**32), st.sampled_from("fd"), st.integers(3, 12), st.integers(3, 12))
def test_factors_are_never_found_where_there_are_none(seed, dtype, kh, kw):
    w = np.random.default_rng(seed).standard_normal((kh, kw)).astype(dtype)
    assert found(w).structure is None


@given(st.integers(0, 2**32), st.sampled_from("fd"), st.integers(0, 60))
def test_what_is_claimed_holds_near_and_far_from_a_product(seed, dtype, bits):
    rng = np.random.default_rng(seed)
    kh, kw = rng.integers(3, 9, 2)
    w = np.outer(rng.standard_normal(kh), rng.standard_normal(kw))
    w = (w * (1 + rng.standard_normal((kh, kw)) * 2.0**-bits)).astype(dtype)
    finding = found(w)
    if finding.structure is not None and finding.structure.guarantee == "componentwise":
        error = np.abs(product(finding.factors) - w)
        assert (error <= (kh * kw + 2 - kh - kw) * EPS[dtype] * np.abs(w.astype("g"))).all()


@pytest.mark.parametrize("w", [np.full((5, 5), np.nan), np.zeros((5, 5)), np.full((3, 3), np.inf)])
def test_what_is_not_finite_or_nothing_has_no_factors(w):
    assert found(w).structure is None


def test_nothing_is_looked_for_where_it_does_not_pay():
    assert found(np.ones((9, 9)), n=20).structure is None
    assert found(np.ones((9, 9)), n=2000).structure.rank == 1


def test_what_is_plain_to_see_is_named():
    line = np.arange(5.0)
    assert structure.describe(np.ones((3, 3))) == ("constant",)
    assert structure.describe(np.outer(line, line + 1)) == (
        "1 rows and 0 columns of zeros at its ends",
    )
    assert structure.describe(np.outer(line - 2, line * 0 + 1)) == ("antisymmetric",)


# ---------------------------------------------------------------- what comes out


@pytest.fixture
def always(monkeypatch):
    """Look for factors however small the work."""
    monkeypatch.setattr(structure, "_PRODUCTS", 0)
    monkeypatch.setattr(structure, "_PRODUCTS_PER_COST", 0)


MODES_2D = [(m, b) for m in ("full", "same", "valid") for b in ("fill", "wrap", "symm")]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("mode", "boundary"), MODES_2D)
@pytest.mark.parametrize("dtype", "fdhiL")
def test_the_path_keeps_what_it_claims(mode, boundary, dtype):
    rng = np.random.default_rng(5)
    for shape, k in [((20, 33), (3, 5)), ((6, 40), (4, 3)), ((9, 9), (9, 7)), ((50, 17), (5, 4))]:
        x = (rng.standard_normal(shape) * 9).astype(dtype)
        factors = [rng.standard_normal(t) * 5 for t in k]
        # Products that wrap around have no factors to be found.
        factors = [(np.abs(f) if dtype == "L" else f).astype(dtype) for f in factors]
        w = np.multiply.outer(*factors)
        if not w.any():
            continue
        fill = 3 if boundary == "fill" else 0
        keywords = {"mode": mode, "boundary": boundary, "fillvalue": fill}
        got = fastconv.convolve2d(x, w, method="separable", **keywords)
        if dtype in "hiL":
            assert_identical(got, convolve2d(x, w, **keywords))
            continue
        exact = convolve2d(precise(x, dtype), precise(w, dtype), **keywords)

        def face(x, w, fill=fill):
            return convolve2d(x, w, mode, boundary, fill)

        assert_within(got, exact, componentwise_bound(face, x, w, w.size, dtype))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", "fd")
def test_a_low_rank_is_within_the_norm(dtype):
    rng = np.random.default_rng(6)
    k = 17
    w = sum(np.outer(*rng.standard_normal((2, k))) for _ in range(2)).astype(dtype)
    x = rng.standard_normal((40, 60)).astype(dtype)
    got = fastconv.convolve2d(x, w, "same", method="separable")
    exact = convolve2d(precise(x, dtype), precise(w, dtype), "same")
    assert_within(got, exact, normwise_bound(x, w, dtype))
    with pytest.raises(ValueError, match="normwise, not componentwise"):
        fastconv.convolve2d(x, w, method="separable", accuracy="componentwise")


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5e308])
def test_what_is_not_finite_or_overflows_reaches_the_outputs_that_it_reaches_directly(rank, value):
    rng = np.random.default_rng(7)
    w = sum(np.outer(*rng.standard_normal((2, 9))) for _ in range(rank))
    x = rng.standard_normal((60, 50))
    x[20:23, 31] = value
    x[40, 5] = -value
    direct = fastconv.convolve2d(x, w, "same", method="direct")
    got = fastconv.convolve2d(x, w, "same", method="separable")
    for kind in (np.isnan, np.isposinf, np.isneginf):
        assert np.array_equal(kind(got), kind(direct))
    assert (~np.isfinite(direct)).any() or abs(value) < np.inf


@pytest.mark.usefixtures("always")
def test_structure_can_be_declined():
    x, w = np.ones((30, 30)), np.ones((5, 5))
    with pytest.raises(ValueError, match="separable"):
        fastconv.convolve2d(x, w, method="separable", structure=False)
    with pytest.raises(TypeError, match="structure"):
        fastconv.convolve2d(x, w, structure=None)
    rows = {r.name: r for r in fastconv.explain(x, w, structure=False).rows}
    assert not rows["separable"].supported


def test_explain_names_what_was_found():
    g = gaussian(31, 5.0)
    table = fastconv.explain(np.ones((1024, 1024)), np.outer(g, g), "same")
    assert table.chosen == "separable"
    assert "rank 1 (componentwise)" in table.problem
    assert table.found == ("symmetric",)
    assert "symmetric" in repr(table)


def test_results_do_not_depend_on_the_number_of_workers():
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((700, 900)), np.outer(gaussian(15, 3.0), gaussian(15, 2.0))
    results = [fastconv.convolve2d(x, w, method="separable", workers=n) for n in (1, 2, 3)]
    assert_identical(results[1], results[0])
    assert_identical(results[2], results[0])


def test_a_batch_of_images_meets_one_filter():
    rng = np.random.default_rng(9)
    problem = _problem("float64", (30, 40), (5, 7))
    from fastconv.problem import Structure

    down, across = rng.standard_normal((1, 5)), rng.standard_normal((1, 7))
    w, x = np.outer(down, across)[None], rng.standard_normal((3, 30, 40))
    many = problem._replace(batch=3, structure=Structure(1, "componentwise"))
    out, want = np.empty((3, 34, 46)), np.empty((3, 34, 46))
    assert PATHS["separable"].execute(many, Operands(x, w, out, factors=(down, across))) == []
    PATHS["direct"].execute(many, Operands(x, w, want))
    np.testing.assert_allclose(out, want, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("mode", "boundary"), MODES_2D)
@pytest.mark.parametrize("dtype", "dhF")
def test_zeros_at_the_ends_of_a_filter_are_left_out_unless_they_meet_a_nan(mode, boundary, dtype):
    rng = np.random.default_rng(10)
    x = (rng.standard_normal((20, 30)) * 9).astype(dtype)
    w = np.zeros((9, 8), dtype)
    w[2:5, 1:4] = (rng.standard_normal((3, 3)) * 9).astype(dtype)
    keywords = {"mode": mode, "boundary": boundary, "stride": (1, 2)}
    table = fastconv.explain(x, w, mode, boundary=boundary)
    assert "*3->" in table.problem
    assert "*9->" in fastconv.explain(x, w, mode, boundary=boundary, structure=False).problem
    got = fastconv.convolve2d(x, w, method="direct", **keywords)
    whole = fastconv.convolve2d(x, w, method="direct", structure=False, **keywords)
    if dtype == "h":
        assert_identical(got, whole)
    else:
        np.testing.assert_allclose(got, whole, rtol=1e-5, atol=1e-4 if dtype == "F" else 1e-12)
    if dtype != "h":
        x[10, 10] = np.nan
        got = fastconv.convolve2d(x, w, method="direct", **keywords)
        whole = fastconv.convolve2d(x, w, method="direct", structure=False, **keywords)
        assert np.array_equal(np.isnan(got), np.isnan(whole))


def test_no_filter_is_decomposed_where_a_transform_is_as_quick(monkeypatch):
    looked = []
    monkeypatch.setattr(structure, "_low_rank", lambda w, most: looked.append(w.shape) or ("", ()))
    for k in (9, 64, 128):
        problem = Problem(
            "float32", 1, True, (1024, 1024), (k, k), (1024, 1024), (1, 1), (1, 1),
            (k // 2, k // 2), ("zero", "zero"),
        )  # fmt: skip
        structure.examine(problem, np.random.default_rng(k).random((k, k)).astype("f"))
    assert (64, 64) not in looked and (128, 128) not in looked
