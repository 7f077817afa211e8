"""Every path on every problem: what it declares it must keep, and what it refuses it must name."""

import itertools

import numpy as np
import pytest
from agreement import assert_fresh, assert_guaranteed, assert_identical, assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import FACES, along_axis, componentwise_bound, normwise_bound, precise
from strategies import (
    COMPLEX,
    EXACT,
    EXOTIC,
    FLOATS,
    MODES,
    NUMERIC,
    long_problems,
    problems,
    random_array,
)

import fastconv
from fastconv.paths import PATHS

# The paths that can add products of floats.
TABLE = fastconv.explain(np.ones(900), np.ones(50))
LINEAR = sorted(r.name for r in TABLE.rows if r.supported)
GUARANTEES = ["normwise", "componentwise", "exact"]  # weakest first

# Every path in the table; some take maxima only, which is a refusal like any other here.
paths = pytest.mark.parametrize("path", sorted(PATHS))


def row(path, a, v, mode, **keywords):
    """What `explain` says of one path."""
    return next(r for r in fastconv.explain(a, v, mode, **keywords).rows if r.name == path)


def compute(face, path, a, v, mode, **keywords):
    """The result of one path, and its guarantee."""
    guarantee = row(path, a, v, mode, **keywords).guarantee
    return getattr(fastconv, face)(a, v, mode, method=path, **keywords), guarantee


def bound_of(guarantee, a, v, mode, stride=1):
    """Allowed error of each output of np.convolve(a, v, mode)[::stride] under a guarantee."""
    dtype = np.result_type(a, v)
    if guarantee == "exact":
        return 0
    if guarantee == "normwise":
        return normwise_bound(a, v, dtype)

    def face(x, w):
        return np.convolve(x, w, mode)[::stride]

    return componentwise_bound(face, a, v, min(len(a), len(v)), dtype)


def hold(path, request, a, v):
    """Compute a request by a path and hold it to its guarantee, or see it refused with a reason."""
    keywords = {"stride": request.stride}
    said = row(path, a, v, request.mode, **keywords)
    call = getattr(fastconv, request.face)
    if not said.supported:
        assert said.why
        with pytest.raises(ValueError, match=path):
            call(a, v, request.mode, method=path, **keywords)
        return
    result = call(a, v, request.mode, method=path, **keywords)
    assert_fresh(result)
    assert said.guarantee in GUARANTEES
    if np.result_type(a, v).kind in "biu":
        assert said.guarantee == "exact"
    assert_guaranteed(
        said.guarantee, result, request.face, a, v, mode=request.mode, stride=request.stride
    )


def test_the_four_paths_are_in_the_table_under_their_names():
    assert {"direct", "overlap_save", "fft", "library"} <= set(PATHS)
    assert all(name == path.name for name, path in PATHS.items())
    assert "auto" not in PATHS


# ---------------------------------------------------------------- against the definition


@paths
@given(problem=problems(dtypes=NUMERIC))
def test_a_path_keeps_its_guarantee_or_says_why_not(path, problem):
    hold(path, *problem)


@paths
@given(problem=long_problems())
def test_a_path_keeps_its_guarantee_on_long_signals(path, problem):
    hold(path, *problem)


SHORT = [(1, 1), (2, 2), (7, 8), (8, 7), (64, 64), (65, 64), (1, 100), (100, 1)]
SEVERAL_BLOCKS = [(1000, 33), (33, 1000), (1024, 1024), (1023, 129), (4097, 512), (20_000, 60)]


@paths
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "k"), [*SHORT, *SEVERAL_BLOCKS])
def test_a_path_keeps_its_guarantee_at_every_size(path, dtype, n, k):
    rng = np.random.default_rng(n + k)
    a, v = random_array(rng, dtype, n), random_array(rng, dtype, k)
    if not supported(path, a, v):
        return
    for mode, stride in [("full", 1), ("same", 1), ("valid", 1), ("full", 3), ("valid", 2)]:
        result, guarantee = compute("convolve", path, a, v, mode, stride=stride)
        wide = precise(a, dtype), precise(v, dtype)
        exact = np.convolve(*wide, mode)[::stride]
        assert result.dtype == np.dtype(dtype)
        assert_within(result, exact, bound_of(guarantee, a, v, mode, stride))


# Long signals are cut into bands for the threads: 300_007 samples make three of each path's.
@pytest.mark.parametrize("path", LINEAR)
@pytest.mark.parametrize("dtype", ["d", "F", "q"])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_path_keeps_its_guarantee_across_its_bands(path, dtype, stride):
    rng = np.random.default_rng(2)
    a, v = random_array(rng, dtype, 300_007), random_array(rng, dtype, 40)
    if not supported(path, a, v, stride=stride):
        return
    result, guarantee = compute("convolve", path, a, v, "same", stride=stride)
    if guarantee == "exact":
        assert_identical(result, np.convolve(a, v, "same")[::stride].copy())
        return
    exact = np.convolve(precise(a, dtype), precise(v, dtype), "same")[::stride]
    assert_within(result, exact, bound_of(guarantee, a, v, "same", stride))


ONE_FILTER = [((3, 50), (9,), -1), ((50, 3), (9,), 0), ((2, 50, 3), (9,), 1), ((9,), (3, 50), -1)]
MANY_FILTERS = [((3, 50), (3, 9), -1), ((1, 50), (4, 9), 1), ((3, 1, 50), (2, 9), -1)]
NO_SIGNAL = [((0, 50), (9,), -1)]
BATCHES = [*ONE_FILTER, *MANY_FILTERS, *NO_SIGNAL]


@paths
@pytest.mark.parametrize("face", list(FACES))
@pytest.mark.parametrize("dtype", ["d", "F", "h"])
def test_a_path_takes_batches_on_any_axis(path, face, dtype):
    rng = np.random.default_rng(1)
    for a_shape, v_shape, axis in BATCHES:
        a, v = random_array(rng, dtype, a_shape), random_array(rng, dtype, v_shape)
        if not row(path, a, v, "same", axis=axis).supported:
            continue
        result, guarantee = compute(face, path, a, v, "same", axis=axis)
        expected = along_axis(
            FACES[face], precise(a, dtype) if dtype != "h" else a, v, "same", axis
        )
        if guarantee == "exact":
            assert_identical(result, expected)
            continue
        assert result.dtype == np.dtype(dtype)
        # One bound for all rows: the norm of all of them.
        assert_within(result, expected, normwise_bound(a, v, dtype))


@pytest.mark.parametrize("path", LINEAR)
def test_rows_do_not_leak_into_each_other(path):
    a = np.zeros((5, 400))
    a[2] = 1e200
    result = fastconv.convolve(a, np.ones(30), axis=-1, method=path)
    assert (result[[0, 1, 3, 4]] == 0).all()


# ---------------------------------------------------------------- what a path declares


@pytest.mark.parametrize("path", LINEAR)
@given(problem=problems(dtypes=NUMERIC))
def test_a_path_is_one_of_its_accuracies(path, problem):
    request, a, v = problem
    said = row(path, a, v, request.mode)
    if not said.supported:
        return
    for accuracy in GUARANTEES:
        enough = GUARANTEES.index(said.guarantee) >= GUARANTEES.index(accuracy)
        if enough:
            fastconv.convolve(a, v, request.mode, method=path, accuracy=accuracy)
        else:
            with pytest.raises(ValueError, match=f"accuracy|not {accuracy}"):
                fastconv.convolve(a, v, request.mode, method=path, accuracy=accuracy)


@pytest.mark.parametrize("path", ["fft", "overlap_save"])
@pytest.mark.parametrize("first", EXACT)
def test_whole_numbers_never_pass_through_a_float_transform(path, first):
    for second in EXACT:
        a, v = np.ones(5000, first), np.ones(500, second)
        if np.result_type(a, v).kind == "f":
            continue  # int64 with uint64 is a float problem
        assert not row(path, a, v, "full").supported
        with pytest.raises(ValueError, match=path):
            fastconv.convolve(a, v, method=path)


@pytest.mark.parametrize("dtype", FLOATS)
def test_transforms_are_not_local_and_not_componentwise(dtype):
    a, v = np.ones(5000, dtype), np.ones(500, dtype)
    for path in ("fft", "overlap_save"):
        assert not PATHS[path].local
        assert row(path, a, v, "full").supported
        assert row(path, a, v, "full").guarantee == "normwise"
    assert PATHS["direct"].local
    assert row("direct", a, v, "full").guarantee == "componentwise"


@pytest.mark.parametrize("dtype", [*EXACT, *FLOATS])
def test_the_direct_path_takes_everything_we_compile(dtype):
    for stride, axis in itertools.product((1, 3), (None, 0)):
        said = row(
            "direct", np.ones(50, dtype), np.ones(5, dtype), "same", stride=stride, axis=axis
        )
        assert said.supported, said.why


@pytest.mark.parametrize("dtype", [*NUMERIC, "O"])
def test_some_path_takes_every_dtype(dtype):
    assert row("library", np.ones(50, dtype), np.ones(5, dtype), "same").supported


@pytest.mark.parametrize("dtype", [dtype for dtype in EXOTIC if dtype != "e"])
def test_what_we_do_not_compile_goes_to_the_library_visibly(dtype):
    table = fastconv.explain(np.ones(50, dtype), np.ones(5, dtype))
    assert table.chosen == "library"
    for said in table.rows:
        assert said.supported == (said.name == "library")


# ---------------------------------------------------------------- algebra, without the definition


def operands(seed, dtype, n=700, k=60):
    """Two random operands."""
    rng = np.random.default_rng(seed)
    return random_array(rng, dtype, n), random_array(rng, dtype, k)


algebra_dtypes = pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "l", "B"])


def supported(path, a, v, mode="full", **keywords):
    """Whether this path takes the problem; refusing whole numbers is tested above."""
    return row(path, a, v, mode, **keywords).supported


def slack(guarantee, *pairs):
    """Sum of the bounds of several full convolutions, as one number."""
    return sum(np.max(bound_of(guarantee, a, v, "full")) for a, v in pairs)


def assert_near(result, expected, bound):
    """Within a bound, or identical where the bound is zero."""
    if np.max(bound) == 0:
        assert_identical(result, np.asarray(expected))
    else:
        wide = np.clongdouble if np.iscomplexobj(expected) else np.longdouble
        assert_within(result, np.asarray(expected).astype(wide), bound)


@paths
@algebra_dtypes
@pytest.mark.parametrize("taps", [1, 4, 60])
def test_convolution_is_linear_in_both_operands(path, dtype, taps):
    a, v = operands(1, dtype, k=taps)
    b, w = operands(2, dtype, k=taps)
    if not supported(path, a, v):
        return
    with np.errstate(over="ignore"):
        sum_ab, sum_vw = a + b, v + w
    (together, guarantee) = compute("convolve", path, sum_ab, sum_vw, "full")
    parts = [compute("convolve", path, x, y, "full")[0] for x in (a, b) for y in (v, w)]
    with np.errstate(over="ignore"):
        expected = parts[0] + parts[1] + parts[2] + parts[3]
    pairs = [(x, y) for x in (a, b) for y in (v, w)]
    eps = 0 if guarantee == "exact" else 8 * np.finfo(dtype).eps * np.max(np.abs(expected)) * taps
    # a + b itself is rounded, as are the sums of the parts.
    assert_near(together, expected, slack(guarantee, (sum_ab, sum_vw), *pairs) + eps)


@paths
@algebra_dtypes
def test_convolution_commutes(path, dtype):
    a, v = operands(3, dtype)
    if not supported(path, a, v):
        return
    for mode in MODES:
        first, guarantee = compute("convolve", path, a, v, mode)
        second, _ = compute("convolve", path, v, a, mode)
        assert_near(first, second, 2 * slack(guarantee, (a, v)))


@paths
@algebra_dtypes
@pytest.mark.parametrize("shift", [1, 7, 333])
def test_a_shifted_signal_gives_a_shifted_result(path, dtype, shift):
    a, v = operands(4, dtype)
    if not supported(path, a, v):
        return
    later = np.concatenate([np.zeros(shift, dtype), a])
    plain, guarantee = compute("convolve", path, a, v, "full")
    shifted, _ = compute("convolve", path, later, v, "full")
    assert_near(shifted[shift:], plain, 2 * slack(guarantee, (a, v)))
    assert_near(shifted[:shift], np.zeros(shift, dtype), slack(guarantee, (a, v)))


@paths
@algebra_dtypes
@pytest.mark.parametrize("place", [0, 1, 350, 698, 699])
def test_an_impulse_gives_the_filter(path, dtype, place):
    _, v = operands(5, dtype)
    impulse = np.zeros(700, dtype)
    impulse[place] = 1
    if not supported(path, impulse, v):
        return
    result, guarantee = compute("convolve", path, impulse, v, "full")
    expected = np.zeros(759, dtype)
    expected[place : place + 60] = v
    bound = slack(guarantee, (impulse, v)) if guarantee == "normwise" else 0
    assert_near(result, expected, bound)
    backwards, guarantee = compute("correlate", path, impulse, v, "full")
    assert_near(
        backwards[place : place + 60], v[::-1].conj() if dtype in COMPLEX else v[::-1], bound
    )


@paths
@algebra_dtypes
@pytest.mark.parametrize("stride", [2, 3, 5, 64, 1000])
def test_stride_is_slicing_on_every_path(path, dtype, stride):
    for a, v in (operands(6, dtype), operands(7, dtype, n=40, k=40)):
        for face, mode in itertools.product(FACES, MODES):
            if not supported(path, a, v, mode, stride=stride):
                continue
            every, guarantee = compute(face, path, a, v, mode, stride=stride)
            # Some paths do nothing but strides.
            whole = path if supported(path, a, v, mode) else "direct"
            full, _ = compute(face, whole, a, v, mode)
            assert_near(every, full[::stride].copy(), 2 * slack(guarantee, (a, v)))


@paths
@algebra_dtypes
@pytest.mark.parametrize("cut", [1, 59, 60, 61, 400])
def test_the_parts_of_a_signal_give_the_whole(path, dtype, cut):
    a, v = operands(8, dtype)
    if not supported(path, a, v):
        return
    whole, guarantee = compute("convolve", path, a, v, "full")
    parts = np.zeros_like(whole)
    for low, high in [(0, cut), (cut, len(a))]:
        part, _ = compute("convolve", path, a[low:high], v, "full")
        with np.errstate(over="ignore"):
            parts[low : low + len(part)] += part
    extra = 0 if guarantee == "exact" else np.finfo(dtype).eps * np.max(np.abs(whole))
    assert_near(whole, parts, 3 * slack(guarantee, (a, v)) + extra)


@paths
@algebra_dtypes
def test_same_and_valid_are_parts_of_full(path, dtype):
    for n, k in [(700, 60), (700, 61), (61, 700), (64, 64), (5, 5)]:
        a, v = operands(9, dtype, n, k)
        if not supported(path, a, v):
            continue
        full, guarantee = compute("convolve", path, a, v, "full")
        longer, shorter = max(n, k), min(n, k)
        for mode, start, length in [
            ("same", (shorter - 1) // 2, longer),
            ("valid", shorter - 1, longer - shorter + 1),
        ]:
            result, _ = compute("convolve", path, a, v, mode)
            part = full[start : start + length].copy()
            assert_near(result, part, 2 * slack(guarantee, (a, v)))


@paths
@algebra_dtypes
def test_correlation_is_convolution_with_the_flipped_conjugate(path, dtype):
    for n, k in [(700, 60), (60, 700), (31, 31)]:
        a, v = operands(10, dtype, n, k)
        if not supported(path, a, v):
            continue
        flipped = v[::-1].conj() if dtype in COMPLEX else v[::-1]
        for mode in ("full", "valid"):
            correlated, guarantee = compute("correlate", path, a, v, mode)
            convolved, _ = compute("convolve", path, a, flipped, mode)
            assert_near(correlated, convolved, 2 * slack(guarantee, (a, v)))


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(LINEAR, 2)))
@given(problem=long_problems(dtypes=[*FLOATS, "h", "q"], n=600, k=200))
def test_any_two_paths_agree_within_their_bounds(one, other, problem):
    request, a, v = problem
    mode, stride = request.mode, request.stride
    if not all(supported(path, a, v, mode, stride=stride) for path in (one, other)):
        return
    first, weaker = compute(request.face, one, a, v, mode, stride=stride)
    second, stronger = compute(request.face, other, a, v, mode, stride=stride)
    assert_near(first, second, slack(weaker, (a, v)) + slack(stronger, (a, v)))


# ---------------------------------------------------------------- accuracy as promised


@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 90))
def test_nothing_negative_comes_from_non_negative_numbers(seed, n, k):
    rng = np.random.default_rng(seed)
    for dtype in ("d", "f"):
        a = (rng.random(n) * 10.0 ** rng.integers(-15, 1, n) * (rng.random(n) < 0.6)).astype(dtype)
        v = (rng.random(k) * 10.0 ** rng.integers(-15, 1, k)).astype(dtype)
        result = fastconv.convolve(a, v, accuracy="componentwise")
        assert (result >= 0).all()
        np.testing.assert_array_equal(result == 0, np.convolve(a, v) == 0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_whisper_after_a_shout_is_heard_where_componentwise_is_asked(dtype):
    rng = np.random.default_rng(11)
    a, v = random_array(rng, dtype, 6000), random_array(rng, dtype, 300)
    a[:3000] *= 1e10
    exact = np.convolve(precise(a, dtype), precise(v, dtype))
    bound = bound_of("componentwise", a, v, "full")
    assert_within(fastconv.convolve(a, v, accuracy="componentwise"), exact, bound)


def test_auto_keeps_the_accuracy_that_is_asked():
    a, v = operands(12, "d", 50_000, 5000)
    for accuracy in GUARANTEES[:2]:
        table = fastconv.explain(a, v, accuracy=accuracy)
        chosen = next(r for r in table.rows if r.name == table.chosen)
        assert GUARANTEES.index(chosen.guarantee) >= GUARANTEES.index(accuracy)
