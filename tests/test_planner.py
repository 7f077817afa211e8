"""The planner: it chooses the cheapest path that may be chosen, says why, and remembers."""

import math

import numpy as np
import pytest
from hypothesis import given
from strategies import EXACT, FLOATS, NUMERIC, problems

import fastconv
from fastconv.paths import PATHS

GUARANTEES = ["normwise", "componentwise", "exact"]  # weakest first


def rows(table):
    """The rows of a table by name."""
    return {row.name: row for row in table.rows}


def allowed(table, accuracy=None):
    """The rows that may be chosen."""
    weakest = GUARANTEES.index(accuracy or "normwise")
    return [
        row for row in table.rows if row.supported and GUARANTEES.index(row.guarantee) >= weakest
    ]


@given(problems(dtypes=NUMERIC))
def test_the_table_has_one_row_for_each_path(problem):
    request, a, v = problem
    table = fastconv.explain(a, v, request.mode, stride=request.stride)
    assert sorted(row.name for row in table.rows) == sorted(PATHS)
    for row in table.rows:
        assert isinstance(row.supported, bool)
        if row.supported:
            assert row.guarantee in GUARANTEES
            assert row.seconds > 0
            assert math.isfinite(row.seconds)
        else:
            assert row.why


@given(problems(dtypes=NUMERIC))
def test_the_choice_is_the_same_whoever_is_asked(problem):
    request, a, v = problem
    keywords = {"stride": request.stride}
    table = fastconv.explain(a, v, request.mode, **keywords)
    assert table.chosen in PATHS
    assert rows(table)[table.chosen].supported
    assert isinstance(table.reason, str)
    assert table.reason
    assert fastconv.choose_method(a, v, request.mode, **keywords) == table.chosen


@pytest.mark.parametrize("accuracy", [None, *GUARANTEES])
@pytest.mark.parametrize("dtype", [*FLOATS, "h", "?"])
def test_the_chosen_path_is_the_cheapest_that_is_accurate_enough(dtype, accuracy):
    for n, k in [(10, 3), (1000, 50), (100_000, 8), (100_000, 5000), (30_000, 30_000)]:
        a, v = np.ones(n, dtype), np.ones(k, dtype)
        if accuracy == "exact" and dtype in FLOATS:
            with pytest.raises(ValueError, match="accuracy"):
                fastconv.explain(a, v, accuracy=accuracy)
            continue
        table = fastconv.explain(a, v, accuracy=accuracy)
        candidates = allowed(table, accuracy)
        assert table.chosen in [row.name for row in candidates]
        assert rows(table)[table.chosen].seconds == min(row.seconds for row in candidates)


def test_the_table_prints_every_path_and_the_choice():
    for a, v in [(np.ones(500), np.ones(20)), (np.ones(9, "i"), np.ones(3, "i"))]:
        table = fastconv.explain(a, v, "same")
        text = repr(table)
        assert text == str(table)
        assert table.reason in text
        for row in table.rows:
            line = next(line for line in text.splitlines() if row.name in line.split())
            if row.supported:
                assert row.guarantee in line
            else:
                assert row.why in line


def test_a_forced_method_is_the_chosen_one():
    a, v = np.ones(500), np.ones(20)
    for path in (row.name for row in allowed(fastconv.explain(a, v))):
        assert fastconv.explain(a, v, method=path).chosen == path
        assert fastconv.choose_method(a, v, method=path) == path


def test_a_forced_method_that_cannot_is_refused_with_its_reason():
    a, v = np.ones(500, "i"), np.ones(20, "i")
    why = rows(fastconv.explain(a, v))["fft"].why
    with pytest.raises(ValueError, match="fft") as caught:
        fastconv.convolve(a, v, method="fft")
    assert why in str(caught.value)


def test_explaining_takes_the_same_keywords_and_errors_as_computing():
    a, v = np.ones((3, 50)), np.ones(5)
    out = np.empty((3, 27))
    table = fastconv.explain(
        a, v, "full", axis=-1, stride=2, method="auto", accuracy="componentwise", out=out, workers=1
    )
    assert table.chosen in PATHS
    for wrong in [{"stride": 0}, {"method": "x"}, {"accuracy": "x"}, {"workers": 0}, {"mode": "x"}]:
        with pytest.raises(ValueError):
            fastconv.explain(np.ones(50), v, **wrong)
        with pytest.raises(ValueError):
            fastconv.choose_method(np.ones(50), v, **wrong)
    with pytest.raises(ValueError, match="a cannot be empty"):
        fastconv.explain([], v)


def test_explaining_leaves_the_operands_and_out_alone():
    a, v, out = np.arange(50.0), np.arange(5.0), np.full(54, 77.0)
    fastconv.explain(a, v, out=out)
    np.testing.assert_array_equal(a, np.arange(50.0))
    np.testing.assert_array_equal(v, np.arange(5.0))
    assert (out == 77).all()


@pytest.mark.parametrize("dtype", EXACT)
def test_whole_numbers_are_never_offered_a_transform(dtype):
    for n, k in [(10, 3), (100_000, 50_000)]:
        table = fastconv.explain(np.ones(n, dtype), np.ones(k, dtype))
        assert not rows(table)["fft"].supported
        assert not rows(table)["overlap_save"].supported
        assert rows(table)[table.chosen].guarantee == "exact"


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_choice_follows_the_size(dtype):
    long = fastconv.choose_method(np.ones(200_000, dtype), np.ones(100_000, dtype))
    assert not PATHS[long].local  # 10^10 products otherwise
    short = fastconv.choose_method(np.ones(20, dtype), np.ones(3, dtype))
    assert PATHS[short].local
    table = fastconv.explain(
        np.ones(200_000, dtype), np.ones(100_000, dtype), accuracy="componentwise"
    )
    assert rows(table)[table.chosen].guarantee == "componentwise"


def test_the_stride_lowers_the_price_of_the_direct_path():
    a, v = np.ones(100_000), np.ones(1000)
    every = rows(fastconv.explain(a, v))["direct"].seconds
    tenth = rows(fastconv.explain(a, v, stride=10))["direct"].seconds
    assert tenth < every / 2


def test_prices_grow_with_the_work():
    for path in (row.name for row in allowed(fastconv.explain(np.ones(9), np.ones(3)))):
        sizes = [(1000, 10), (100_000, 10), (100_000, 3000)]
        seconds = [rows(fastconv.explain(np.ones(n), np.ones(k)))[path].seconds for n, k in sizes]
        assert seconds == sorted(seconds)


def test_the_choice_is_the_same_every_time():
    a, v = np.ones(5000), np.ones(70)
    first = fastconv.explain(a, v)
    for _ in range(3):
        again = fastconv.explain(a.copy(), v.copy())
        assert repr(again) == repr(first)


def test_only_shapes_and_dtypes_decide():
    rng = np.random.default_rng(0)
    for n, k in [(50, 5), (5000, 70), (5000, 3000)]:
        plain = fastconv.choose_method(np.zeros(n), np.ones(k))
        assert fastconv.choose_method(rng.standard_normal(n), rng.standard_normal(k)) == plain
        spoiled = np.full(n, np.nan)
        assert fastconv.choose_method(spoiled, np.ones(k)) == plain
