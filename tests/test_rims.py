"""Rims of rows: what lies beyond an end is copied, and reaches the outputs of the definition."""

from contextlib import ExitStack
from unittest import mock

import numpy as np
import pytest
from agreement import assert_identical, assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import BOUNDARIES, correlate_nd

from fastconv import continued, signal
from fastconv.path import Operands
from fastconv.paths import PATHS, direct, rims
from fastconv.problem import Problem

# As small as the problems drawn here.
SMALL = [(rims, "_LEAST", 8), (rims, "_BYTES", 100), (rims, "_ZEROS", 16),
         (rims, "_WORTHWHILE", 0), (direct, "_PHASE_PRODUCTS", 0)]  # fmt: skip


@st.composite
def signals(draw, dtypes=("float64", "float32")):
    """A problem of one axis that has outputs."""
    n, k = draw(st.integers(1, 60)), draw(st.integers(1, 70))
    s, d = draw(st.integers(1, 4)), draw(st.sampled_from([1, 1, 1, 2]))
    pad = draw(st.integers(-2, (k - 1) * d))
    m = draw(st.integers(1, max(1, (n + 2 * pad - (k - 1) * d - 1) // s + 1)))
    batch = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["each", "one filter", "one signal"]))
    return Problem(
        draw(st.sampled_from(dtypes)), batch, kind == "one filter" or batch == 1, (n,), (k,), (m,),
        (s,), (d,), (pad,), (draw(st.sampled_from(sorted(BOUNDARIES))),),
        shared_signal=kind == "one signal" and batch > 1,
        room=draw(st.sampled_from([None, None, 1 << 18])),
    )  # fmt: skip


def operands(problem, rng, workers=1):
    x = rng.integers(-9, 9, (1 if problem.shared_signal else problem.batch, *problem.signal))
    w = rng.integers(-9, 9, (1 if problem.shared_filter else problem.batch, *problem.filter))
    x = np.broadcast_to(x.astype(problem.dtype), (problem.batch, *problem.signal))
    out = np.full((problem.batch, *problem.output), 7, problem.dtype)
    return Operands(x, w.astype(problem.dtype), out, 3, workers)


def computed(problem, given, small=True):
    with ExitStack() as stack:
        for where, name, value in SMALL if small else ():
            stack.enter_context(mock.patch.object(where, name, value))
        PATHS["direct"].execute(problem, given)
    return given.out


def expected(problem, given):
    keywords = {
        "stride": problem.stride,
        "dilation": problem.dilation,
        "boundary": problem.boundary,
        "fill": 3,
    }
    w = np.broadcast_to(given.w, (problem.batch, *problem.filter))
    with np.errstate(all="ignore"):
        return np.stack([
            correlate_nd(x, taps, problem.pad, problem.output, **keywords)
            for x, taps in zip(given.x, w, strict=True)
        ])  # fmt: skip


EXACT = ("int16", "uint8", "bool", "float64", "float32", "complex128", "float16")


@given(signals(dtypes=EXACT), st.integers(0, 2**32), st.integers(1, 2), st.booleans())
def test_rows_of_whole_numbers_are_the_definition(problem, seed, workers, small):
    given = operands(problem, np.random.default_rng(seed), workers)
    # All of these sums are exact.
    np.testing.assert_array_equal(computed(problem, given, small), expected(problem, given))


@pytest.mark.parametrize("rule", BOUNDARIES)
@pytest.mark.parametrize("stride", [1, 2])
def test_no_outputs_are_no_rims(rule, stride):
    problem = Problem("float64", 1, False, (1,), (1,), (0,), (stride,), (1,), (0,), (rule,))
    nothing = Operands(np.zeros((1, 1)), np.zeros((1, 1)), np.empty((1, 0)), 0, 1)
    assert PATHS["direct"].execute(problem, nothing) == []


@given(signals(), st.integers(0, 2**32), st.sampled_from([np.nan, np.inf]), st.booleans())
def test_what_is_not_finite_reaches_the_outputs_of_the_definition(problem, seed, wild, tap):
    rng = np.random.default_rng(seed)
    given = operands(problem, rng)
    x = given.x.copy()
    array = given.w if tap else x
    array[..., rng.integers(array.shape[-1])] = wild
    if problem.shared_signal:
        x = np.broadcast_to(x[:1], x.shape)
    given = given._replace(x=x)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(computed(problem, given), expected(problem, given))


@given(signals(), st.integers(0, 2**32))
def test_rows_keep_their_bound_and_their_bits_for_any_workers(problem, seed):
    rng = np.random.default_rng(seed)
    given = operands(problem, rng)
    x, w = (rng.standard_normal(a.shape).astype(problem.dtype) for a in (given.x, given.w))
    if problem.shared_signal:
        x = np.broadcast_to(x[:1], x.shape)
    given = given._replace(x=x, w=w, fill=0)
    one = computed(problem, given).copy()
    assert_identical(computed(problem, given._replace(workers=3)), one)
    rule = problem.boundary if problem.boundary != ("fill",) else ("zero",)
    same, wide = problem._replace(boundary=rule), given._replace(x=x.astype("g"), w=w.astype("g"))
    size = given._replace(x=np.abs(wide.x), w=np.abs(wide.w))
    bound = (problem.taps + 4) * np.finfo(problem.dtype).eps * expected(same, size)
    assert_within(one, expected(same, wide), bound)


@pytest.mark.parametrize("rule", ["zero", "reflect", "fill", "wrap"])
@pytest.mark.parametrize(("n", "k", "stride"), [(9000, 2861, 2), (31, 3789, 2), (40_000, 700, 7)])
def test_long_rims_are_those_of_a_continued_signal(rule, n, k, stride):
    m = (n + k - 2) // stride + 1
    for batch in (1, 3):
        problem = Problem(
            "float32", batch, True, (n,), (k,), (m,), (stride,), (1,), (k - 1,), (rule,)
        )
        given = operands(problem, np.random.default_rng(1))
        np.testing.assert_array_equal(computed(problem, given, False), expected(problem, given))


PADDED = {"symm": "symmetric", "wrap": "wrap", "mirror": "reflect", "nearest": "edge"}


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("boundary", PADDED)
def test_a_longer_signal_answers_where_a_transform_is_sooner(boundary, dtype):
    rng = np.random.default_rng(2)
    x, w = (rng.integers(-9, 9, size).astype(dtype) for size in (60_000, 1000))
    x[700] = np.nan
    longer = np.pad(x, 999, PADDED[boundary])
    for stride in (1, 3):
        with mock.patch.object(continued, "samples", wraps=continued.samples) as copied:
            got = signal.convolve(x, w, stride=stride, boundary=boundary)
            exact = signal.convolve(x, w, stride=stride, boundary=boundary, method="direct")
        assert copied.call_count == 1  # A sum of products is no transform.
        want = np.convolve(longer, w, "valid")[::stride]
        np.testing.assert_array_equal(exact, want)
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=0.05)
