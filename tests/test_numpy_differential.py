"""fastconv against NumPy on everything: dtype pairs, layouts, modes, sizes, extreme values."""

import itertools

import numpy as np
import pytest
from agreement import (
    assert_fresh,
    assert_guaranteed,
    assert_identical,
    assert_same_kind,
    assert_within,
)
from hypothesis import example, given
from hypothesis import strategies as st
from reference import complex_factor
from strategies import (
    EXACT,
    FLOATS,
    LAYOUTS,
    MODES,
    NUMERIC,
    Request,
    any_value,
    arrays,
    lay_out,
    problems,
    random_array,
)

import fastconv

FACES = ["convolve", "correlate"]
# Seven lengths: one tap, equal, even and odd, the second longer, one sample.
SIZES = [(13, 1), (6, 6), (13, 4), (12, 5), (5, 13), (1, 1), (1, 9)]


def ways(dtype):
    """Keywords under which a sum of products is computed as one, so that whole numbers are exact.

    A plain call with floats may go through a transform; `assert_plain` tests that.
    """
    if np.dtype(dtype).kind in "biu":
        return [{}, {"method": "direct"}, {"method": "library"}]
    if np.dtype(dtype).char in FLOATS:
        return [{"accuracy": "componentwise"}, {"method": "direct"}, {"method": "library"}]
    return [{}, {"accuracy": "componentwise"}]


def assert_exactly_numpys(face, a, v, mode):
    """Identical to NumPy's answer in every way, for operands whose sums are exact in any order."""
    expected = getattr(np, face)(a, v, mode)
    for keywords in ways(expected.dtype):
        result = getattr(fastconv, face)(a, v, mode, **keywords)
        assert_identical(result, expected)
        assert_fresh(result)
    if expected.dtype.kind in "fc":
        assert_plain(face, a, v, mode, expected)


def assert_plain(face, a, v, mode, expected):
    """The call without keywords keeps the promise of the path that it chooses."""
    result = getattr(fastconv, face)(a, v, mode)
    assert type(result) is np.ndarray
    assert_same_kind(result, expected)
    table = fastconv.explain(a, v, mode)
    guarantee = next(row.guarantee for row in table.rows if row.name == table.chosen)
    if np.isfinite(expected).all():
        assert_guaranteed(guarantee, result, face, a, v, mode=mode)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("first", "second"), list(itertools.product(NUMERIC, NUMERIC)))
def test_every_pair_of_dtypes(face, first, second):
    rng = np.random.default_rng(7)
    for n, k in SIZES:
        a, v = random_array(rng, first, n), random_array(rng, second, k)
        for mode in MODES:
            expected = getattr(np, face)(a, v, mode)
            for keywords in ways(expected.dtype):
                result = getattr(fastconv, face)(a, v, mode, **keywords)
                guarantee = "exact" if expected.dtype.kind in "biu" else "componentwise"
                assert_guaranteed(guarantee, result, face, a, v, mode=mode)
                assert_same_kind(result, expected)
            assert_plain(face, a, v, mode, expected)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("other", ["O", "m8[s]", "m8", *NUMERIC])
@pytest.mark.parametrize("dtype", ["O", "m8[s]"])
def test_objects_and_times(face, dtype, other):
    a = np.arange(1, 8).astype(dtype)
    v = np.array([1, 0, 3]).astype(other)
    for first, second in [(a, v), (v, a)]:
        for mode in MODES:
            try:
                expected = getattr(np, face)(first, second, mode)
            except Exception as error:
                with pytest.raises(type(error)):
                    getattr(fastconv, face)(first, second, mode)
                continue
            result = getattr(fastconv, face)(first, second, mode)
            assert_identical(result, expected)
            assert [type(x) for x in result.tolist()] == [type(x) for x in expected.tolist()]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["d", "f", "F", "h", "L", "?", "e"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_pair_of_layouts(layout, dtype, mode):
    rng = np.random.default_rng(8)
    a = lay_out(np.round(4 * random_array(rng, dtype, 9)).astype(dtype), layout)
    for other in LAYOUTS:
        v = lay_out(np.round(4 * random_array(rng, dtype, 4)).astype(dtype), other)
        for face, (first, second) in itertools.product(FACES, [(a, v), (v, a)]):
            assert_exactly_numpys(face, first, second, mode)


@pytest.mark.parametrize("dtype", NUMERIC)
def test_two_views_of_one_buffer(dtype):
    buffer = np.round(9 * random_array(np.random.default_rng(9), dtype, 30)).astype(dtype)
    views = [buffer, buffer[3:9], buffer[::-1], buffer[5:25:3], buffer[7:8], buffer[20:4:-2]]
    before = buffer.copy()
    for a, v in itertools.product(views, views):
        for face, mode in itertools.product(FACES, MODES):
            assert_exactly_numpys(face, a, v, mode)
    assert_identical(buffer, before)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "b", "H", "i", "Q", "?"])
def test_every_small_size(dtype):
    rng = np.random.default_rng(10)
    for n, k in itertools.product(range(1, 20), range(1, 20)):
        a = np.round(4 * random_array(rng, dtype, n)).astype(dtype)
        v = np.round(4 * random_array(rng, dtype, k)).astype(dtype)
        for face, mode in itertools.product(FACES, MODES):
            assert_exactly_numpys(face, a, v, mode)


# A vector loop has a body and a tail; these lengths leave every tail of up to 64 lanes.
@pytest.mark.parametrize("taps", [1, 2, 3, 5, 8, 16, 17, 31, 33, 64, 100, 129])
@pytest.mark.parametrize("dtype", ["d", "f", "F", "D", "b", "h", "i", "l"])
def test_every_tail_of_a_vector_loop(dtype, taps):
    rng = np.random.default_rng(11)
    v = np.round(4 * random_array(rng, dtype, taps)).astype(dtype)
    for n in [*range(1, 70), 127, 128, 129, 255, 256, 257, 300]:
        a = np.round(4 * random_array(rng, dtype, n)).astype(dtype)
        for mode in MODES:
            result = fastconv.convolve(a, v, mode, method="direct")
            assert_identical(result, np.convolve(a, v, mode))


@given(problems(dtypes=EXACT, smallest=0))
@example((Request("convolve", 2, 2, "full", 1, "b", "b"), np.int8([-128] * 2), np.int8([-128] * 2)))
def test_whole_numbers_and_booleans_are_numpys_to_the_bit(problem):
    request, a, v = problem
    if not request.n or not request.k:
        with pytest.raises(ValueError, match="cannot be empty"):
            getattr(fastconv, request.face)(a, v, request.mode)
        return
    expected = getattr(np, request.face)(a, v, request.mode)
    if expected.dtype.kind == "f":  # int64 with uint64
        assert_plain(request.face, a, v, request.mode, expected)
    else:
        assert_exactly_numpys(request.face, a, v, request.mode)


@given(problems(dtypes=[*FLOATS, "e", "g", "h", "?"]))
def test_finite_floats_are_numpys_within_rounding(problem):
    request, a, v = problem
    expected = getattr(np, request.face)(a, v, request.mode)
    assert_plain(request.face, a, v, request.mode, expected)
    if expected.dtype.kind in "fc":
        result = getattr(fastconv, request.face)(a, v, request.mode, accuracy="componentwise")
        assert_guaranteed("componentwise", result, request.face, a, v, mode=request.mode)


@given(problems(dtypes=FLOATS, elements=any_value))
def test_what_is_not_finite_stands_where_numpys_stands(problem):
    request, a, v = problem
    expected = getattr(np, request.face)(a, v, request.mode)
    for keywords in ({}, {"accuracy": "componentwise"}):
        result = getattr(fastconv, request.face)(a, v, request.mode, **keywords)
        assert result.dtype == expected.dtype
        assert_same_kind(result, expected)


@given(st.data())
def test_zeros_have_numpys_signs(data):
    dtype = data.draw(st.sampled_from(FLOATS))
    signed_zeros = st.sampled_from([0.0, -0.0, 1.0, -1.0])
    a = data.draw(arrays(dtype, (data.draw(st.integers(1, 20)),), lambda _: signed_zeros))
    v = data.draw(arrays(dtype, (data.draw(st.integers(1, 20)),), lambda _: signed_zeros))
    for face, mode in itertools.product(FACES, MODES):
        assert_exactly_numpys(face, a, v, mode)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "k"), [(20_000, 41), (3000, 3000), (300_000, 5), (5000, 700)])
def test_long_signals(dtype, n, k):
    rng = np.random.default_rng(12)
    a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
    for face, mode in itertools.product(FACES, MODES):
        result, expected = getattr(fastconv, face)(a, v, mode), getattr(np, face)(a, v, mode)
        assert result.dtype == expected.dtype
        # NumPy's own error is within this, and auto promises no less than the norm of the block.
        size = np.linalg.norm(a.astype("D")) * np.linalg.norm(v.astype("D"))
        bound = 500 * np.finfo(dtype).eps * size * complex_factor(dtype)
        assert_within(result, expected, bound)


@pytest.mark.parametrize("dtype", [d for d in EXACT if d not in "iI"])
def test_long_signals_of_whole_numbers(dtype):
    rng = np.random.default_rng(13)
    for n, k in [(9000, 301), (300_000, 5)]:  # the longer one is cut into bands
        a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
        for face, mode in itertools.product(FACES, MODES):
            assert_exactly_numpys(face, a, v, mode)
