"""Volumes with separable filters: three passes give what the direct loop gives."""

import threading
import tracemalloc

import numpy as np
import pytest
from agreement import assert_identical
from hypothesis import given
from hypothesis import strategies as st

import fastconv
from fastconv.path import Operands
from fastconv.paths import PATHS, separable_volumes
from fastconv.planner import selector, structure
from fastconv.planner.calibrate import _problem
from fastconv.problem import Problem, Structure

RULES = ("zero", "nearest", "wrap", "reflect", "mirror")
PATH = PATHS["separable_volumes"]


def outer(factors):
    """The filter whose terms these are, (rank, taps) for each axis."""
    return np.einsum("ri,rj,rk->ijk", *factors).astype(factors[0].dtype)


def gaussian(k, dtype="d"):
    t = np.arange(k) - (k - 1) / 2
    return np.exp(-(t**2) / (k / 2) ** 2).astype(dtype)


@st.composite
def problems(draw):
    """A problem for three passes, its operands whole numbers so small that sums are exact."""
    signal = draw(st.tuples(*[st.integers(1, 9)] * 2, st.integers(1, 40)))
    taps = draw(st.tuples(*[st.integers(1, 6)] * 3))
    output = draw(st.tuples(*[st.integers(1, 9)] * 2, st.integers(1, 40)))
    pad = tuple(draw(st.integers(-3, 6)) for _ in range(3))
    rules = draw(st.tuples(*[st.sampled_from(RULES)] * 3))
    rules = draw(st.sampled_from([rules, ("zero",) * 3, ("fill",) * 3]))
    dtype = draw(st.sampled_from(["float64", "float32", "int16", "uint32", "int64"]))
    rank, batch = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    problem = Problem(
        dtype, batch, True, signal, taps, output, (1,) * 3, (1,) * 3, pad, rules,
        structure=Structure(rank, "normwise" if dtype[0] == "f" else "exact"),
    )  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.integers(-9, 9, (batch, *signal)).astype(dtype)
    factors = tuple(rng.integers(-3, 4, (rank, k)).astype(dtype) for k in taps)
    return problem, x, factors


@given(problems(), st.sampled_from([1 << 18, 256, 4096]), st.integers(1, 3))
def test_three_passes_are_the_direct_sums(drawn, block_bytes, workers):
    problem, x, factors = drawn
    if PATH.supports(problem):
        assert "whole rows" in PATH.supports(problem)
        return
    w, fill = outer(factors)[None], x.dtype.type(5 if "fill" in problem.boundary else 0)
    out, want = (np.full((problem.batch, *problem.output), 77, x.dtype) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separable_volumes, "_BLOCK_BYTES", block_bytes)
        patch.setattr(separable_volumes, "_LEAST_ROWS", 1)
        boxes = PATH.execute(problem, Operands(x, w, out, fill, workers, factors))
    assert boxes == []
    PATHS["direct"].execute(problem, Operands(x, w, want, fill))
    assert_identical(out, want)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5e308])
def test_what_is_not_finite_reaches_the_outputs_that_it_reaches_directly(rank, value):
    rng = np.random.default_rng(3)
    factors = tuple(rng.standard_normal((rank, 3)) for _ in range(3))
    w, x = outer(factors)[None], rng.standard_normal((2, 12, 30, 40))
    x[0, 5, 20:22, 31], x[1, 3, 4, 5], x[0, 6, 20, 30] = value, -value, -value
    problem = _problem("float64", (12, 30, 40), (3, 3, 3))._replace(
        batch=2, structure=Structure(rank, "normwise")
    )
    shape = (2, 14, 32, 42)
    out, want = np.empty(shape), np.empty(shape)
    selector.run(problem, Operands(x, w, out, factors=factors), "separable_volumes")
    selector.run(problem, Operands(x, w, want, factors=factors), "direct")
    for kind in (np.isnan, np.isposinf, np.isneginf):
        assert np.array_equal(kind(out), kind(want))
    assert not np.isfinite(want).all()


def test_results_do_not_depend_on_the_number_of_workers():
    rng = np.random.default_rng(4)
    factors = tuple(rng.standard_normal((2, k)) for k in (5, 3, 4))
    w, x = outer(factors)[None], rng.standard_normal((1, 30, 70, 300))
    problem = _problem("float64", x.shape[1:], w.shape[1:])._replace(
        structure=Structure(2, "normwise")
    )
    results = []
    for workers in (1, 2, 3):
        out = np.empty((1, *problem.output))
        PATH.execute(problem, Operands(x, w, out, 0, workers, factors))
        results.append(out)
    assert_identical(results[1], results[0])
    assert_identical(results[2], results[0])


@pytest.mark.parametrize("rule", ["zero", "wrap"])
def test_the_stated_space_is_enough(rule):
    rng = np.random.default_rng(5)
    factors = tuple(rng.standard_normal((2, k)) for k in (5, 7, 3))
    w, x = outer(factors)[None], rng.standard_normal((1, 20, 300, 500))
    problem = _problem("float64", x.shape[1:], w.shape[1:])._replace(
        structure=Structure(2, "normwise"), boundary=(rule,) * 3
    )
    out, peaks = np.empty((1, *problem.output)), []
    operands = Operands(x, w, out, 0, 1, factors)
    PATH.execute(problem, operands)  # What is loaded once does not count.

    def measured():
        with np.errstate(all="ignore"):
            pass  # What a free-threaded interpreter keeps for each thread does not count either.
        tracemalloc.start()
        try:
            PATH.execute(problem, operands)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()

    thread = threading.Thread(target=measured)  # Its work space is new.
    thread.start()
    thread.join()
    assert peaks[0] <= PATH.space(problem).least


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("dtype", "fd")
def test_a_gaussian_volume_is_found_and_right_for_each_tap(dtype):
    lines = [gaussian(k, dtype) for k in (5, 9, 7)]
    w = outer([line[None] for line in lines])
    for filter in (w, w / w.sum(), -w):
        problem = _problem(filter.dtype.name, (64, 64, 64), filter.shape)
        finding = structure.examine(problem, filter)
        assert finding.structure == Structure(1, "componentwise")
        wide = outer([f.astype("g") for f in finding.factors])
        bound = (filter.size + 1 - sum(filter.shape)) * np.finfo(dtype).eps * abs(filter)
        assert (abs(wide - filter) <= bound).all()
        ranked = selector.rank(problem._replace(structure=finding.structure), "auto")
        names = [verdict.name for verdict in ranked]
        assert names.index("separable_volumes") < names.index("direct")


@pytest.mark.parametrize("dtype", "bhilBHIL")
def test_integers_are_factored_exactly(dtype):
    factors = [np.array(f, dtype)[None] for f in ([2, 0, 1], [1, 3, 3, 1], [4, 5])]
    w = outer(factors)
    problem = _problem(w.dtype.name, (90, 90, 90), w.shape)
    finding = structure.examine(problem, w)
    assert finding.structure == Structure(1, "exact")
    assert np.array_equal(outer(finding.factors), w)
    w[0, 0, 0] += 1
    assert structure.examine(problem, w).structure is None


@pytest.mark.parametrize("dtype", "fd")
def test_a_sum_of_volumes_is_found_within_the_norm(dtype):
    k, x = 15, np.arange(15) - 7.0
    g = gaussian(k)
    log = sum(
        outer([(g * (x * x - 9) if a == b else g)[None] for b in range(3)]) for a in range(3)
    ).astype(dtype)
    problem = _problem(log.dtype.name, (200, 200, 200), log.shape)
    finding = structure.examine(problem, log, "separable_volumes")
    assert finding.structure.guarantee == "normwise"
    assert finding.structure.rank <= 4
    wide = np.einsum("ri,rj,rk->ijk", *(f.astype("g") for f in finding.factors))
    assert np.linalg.norm((wide - log).astype("d")) <= 8 * np.finfo(dtype).eps * np.linalg.norm(log)


@given(st.integers(0, 2**32), st.sampled_from("fd"), st.tuples(*[st.integers(2, 6)] * 3))
def test_factors_are_never_found_where_there_are_none(seed, dtype, taps):
    w = np.random.default_rng(seed).standard_normal(taps).astype(dtype)
    problem = _problem(w.dtype.name, (300, 300, 300), taps)
    assert structure.examine(problem, w, "separable_volumes").structure is None


def test_a_face_uses_what_is_found():
    rng = np.random.default_rng(6)
    x, lines = rng.standard_normal((50, 60, 70)), [gaussian(k) for k in (5, 7, 5)]
    w = outer([line[None] for line in lines])
    got = fastconv.signal.convolve(x, w, "same")
    want = fastconv.signal.convolve(x, w, "same", accuracy="componentwise")
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    assert structure.describe(w) == ("symmetric",)
    w[0] = 0
    assert structure.describe(w)[-1] == "1 slices, 0 rows and 0 columns of zeros at its ends"
