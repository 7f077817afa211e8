"""Small errors for each output by itself, at the speed of transforms: tails, zeros, signs."""

import math
from fractions import Fraction

import numpy as np
import pytest
from agreement import assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import componentwise_bound, precise
from strategies import MODES, random_array

import fastconv
from fastconv.path import Operands
from fastconv.paths import PATHS, tilted
from fastconv.problem import Problem


def bell(n, centre, width, dtype="d"):
    """A normal distribution's masses, as far down as numbers go."""
    p = np.exp(-0.5 * ((np.arange(n) - centre) / width) ** 2)
    return (p / p.sum()).astype(dtype)


def assert_componentwise(a, v, mode="full", stride=1, method="tilted"):
    """Within (k + 4) eps sum|a||v|, and the sign of what is never negative."""
    dtype = np.result_type(a, v)
    result = fastconv.convolve(a, v, mode, method=method, stride=stride)

    def value(x, w):
        return np.convolve(x, w, mode)[::stride]

    exact = value(precise(a, dtype), precise(v, dtype))
    taps = min(len(a), len(v))
    assert_within(result, exact, componentwise_bound(value, a, v, taps, dtype))
    if a.min() >= 0 and v.min() >= 0:
        assert (result >= 0).all()
    return result, exact


def left_to_others(a, v):
    """How many outputs no transform proves."""
    return sum(high - low for low, high in boxes_left_to_others(a, v))


def boxes_left_to_others(a, v):
    """The ranges of outputs that no transform proves."""
    n, k = len(a), len(v)
    problem = Problem(
        str(a.dtype), 1, True, (n,), (k,), (n + k - 1,), (1,), (1,), (k - 1,), ("zero",)
    )
    out = np.empty((1, n + k - 1), a.dtype)
    boxes = tilted.execute(problem, Operands(a[None], v[None, ::-1].copy(), out))
    return [axis for _, _, (axis,) in boxes]


# ---------------------------------------------------------------- tails


def test_a_tail_of_1e_200_keeps_ten_digits():
    p, q = bell(4000, 2000, 65), bell(4000, 1500, 60)
    result, exact = assert_componentwise(p, q)
    tiny = (exact > 1e-220) & (exact < 1e-180)
    assert np.count_nonzero(tiny) > 50
    assert np.max(np.abs(result[tiny] / exact[tiny] - 1)) < 1e-10
    # A transform alone knows nothing of it.
    wrong = fastconv.convolve(p, q, method="fused")
    assert np.max(np.abs(wrong[tiny] / exact[tiny] - 1)) > 1


def test_tilts_prove_nearly_all_of_long_distributions():
    n = 60_000
    p, q = bell(n, n / 2, n / 50), bell(n, n / 3, n / 55)
    left = left_to_others(p, q)
    # The ends, where outputs have few products, are cheaper by the direct loop.
    assert left < 0.3 * (2 * n - 1)
    result = fastconv.convolve(p, q, method="tilted")
    some = np.arange(0, 2 * n - 1, 499)
    for i in some.tolist():
        low, high = max(0, i - n + 1), min(n, i + 1)
        exact = (p[low:high].astype("g") * q[i - high + 1 : i - low + 1][::-1].astype("g")).sum()
        assert abs(result[i] - exact) <= 5e-11 * exact + 1e-300


@pytest.mark.parametrize("n", [20_000, 100_000])
def test_a_few_tilts_reach_both_tails(n, monkeypatch):
    # Noise on a bell: less than a tenth of the products is left.
    q = bell(n, n / 3, n / 12) * np.random.default_rng(6).random(n)
    taken, take = [], tilted._Search._take_tilt

    def counted(search, *rest):
        taken.append(take(search, *rest))
        return taken[-1]

    monkeypatch.setattr(tilted._Search, "_take_tilt", counted)
    left = boxes_left_to_others(q, q)
    place = np.concatenate([np.arange(low, high) for low, high in left])
    taps = np.minimum(np.minimum(place + 1, 2 * n - 1 - place), n)
    assert taps.sum() < 0.1 * n * n
    assert 1 <= len(taken) <= 6
    assert min(taken) > 0


def test_asking_for_componentwise_takes_it_for_long_distributions():
    p = 1 / np.arange(1, 200_001)
    assert fastconv.choose_method(p, p, accuracy="componentwise") == "tilted"
    assert fastconv.choose_method(p, p) != "tilted"
    assert not PATHS["tilted"].local


# ---------------------------------------------------------------- any data


@st.composite
def wild(draw):
    """Operands of wildly different sizes: spikes, slopes, gaps, signs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from("df"))
    operands = []
    for n in (draw(st.integers(64, 4000)), draw(st.integers(64, 900))):
        decades = draw(st.sampled_from([0, 3, 15]))
        x = rng.random(n) * 10.0 ** rng.uniform(-decades, 0, n)
        x *= np.exp(draw(st.sampled_from([0, 0.02, -0.02])) * np.arange(n))
        x[rng.random(n) < draw(st.sampled_from([0, 0.5, 0.98]))] = 0
        if draw(st.booleans()):
            x[:: draw(st.integers(2, 9))] = 0
        if draw(st.integers(0, 3)) == 0:
            x *= rng.choice([-1, 1], n)
        operands.append((x * draw(st.sampled_from([1, 1e-25, 1e12]))).astype(dtype))
    return (*operands, draw(st.sampled_from(MODES)), draw(st.sampled_from([1, 1, 3])))


@given(wild())
def test_every_output_has_a_small_error_of_its_own(problem):
    assert_componentwise(*problem)


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_signed_noise_is_proven_where_there_are_many_taps(dtype):
    rng = np.random.default_rng(0)
    a, v = random_array(rng, dtype, 20_000), random_array(rng, dtype, 1500)
    assert_componentwise(a, v)
    assert left_to_others(a, v) < 4000


def test_a_lattice_of_zeros_stays_zero():
    rng = np.random.default_rng(1)
    a, v = np.zeros(30_000), np.zeros(6000)
    a[::3], v[::3] = rng.random(10_000), rng.random(2000)
    assert left_to_others(a, v) < 9000
    result = fastconv.convolve(a, v, method="tilted")
    places = np.arange(35_999)
    np.testing.assert_array_equal(result != 0, (places % 3 == 0) & (places <= 35_994))
    assert_componentwise(a[:9000], v[:2000])


def test_two_far_humps_are_both_right():
    p = np.zeros(30_000)
    p[:3000], p[27_000:] = bell(3000, 1500, 40), 1e-150 * bell(3000, 1400, 50)
    assert_componentwise(p, bell(2000, 900, 30))


def test_denormals_and_the_largest_numbers_are_the_direct_loops():
    rng = np.random.default_rng(2)
    for scale in (1e-310, 1e-160, 1e150, 1e304):
        a, v = rng.random(2000) * scale, rng.random(100)
        assert_componentwise(a, v)
    wide = rng.random(2000) * 10.0 ** rng.uniform(-320, 300, 2000)
    assert_componentwise(wide, rng.random(70))


# ---------------------------------------------------------------- powers


def exact_power(p, n):
    """Whole numbers' convolution power by one power of one long number."""
    bits = n * (int(max(p)).bit_length() + len(p).bit_length() + 1)
    packed = sum(int(v) << (bits * i) for i, v in enumerate(p))
    packed **= n
    mask = (1 << bits) - 1
    return [(packed >> (bits * i)) & mask for i in range(n * (len(p) - 1) + 1)]


def test_binomial_tails():
    n = 500
    result = fastconv.convolve_power([0.75, 0.25], n)
    for i in (0, 1, 125, 300, 430, 499, 500):
        exact = Fraction(math.comb(n, i) * 3 ** (n - i), 4**n)
        assert abs(Fraction(float(result[i])) / exact - 1) < 1e-12
    assert result[n] < 1e-300


def test_powers_of_long_distributions_are_right_to_a_relative_error():
    weights = np.rint(2.0**40 * bell(300, 130, 20)).astype(np.int64)
    p = weights / 2.0**40
    n = 16
    result = fastconv.convolve_power(p, n)
    exact = exact_power(weights, n)
    assert len(result) == len(exact)
    for i in range(0, len(exact), 37):
        if exact[i] == 0:
            assert result[i] == 0
        else:
            wrong = Fraction(float(result[i])) / Fraction(exact[i], 2 ** (40 * n)) - 1
            assert abs(wrong) < 1e-10


@pytest.mark.parametrize("dtype", ["?", "b", "B", "q", "Q", "f", "d", "F", "D"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_powers_keep_the_dtype_and_are_repeated_convolutions(dtype, n):
    p = random_array(np.random.default_rng(3), dtype, 9)
    result = fastconv.convolve_power(p, n)
    expected = np.ones(1, dtype)
    for _ in range(n):
        expected = np.convolve(expected, p)
    assert result.dtype == np.dtype(dtype)
    assert result.shape == (8 * n + 1,)
    assert result is not p
    assert not np.shares_memory(result, p)
    if np.dtype(dtype).kind in "biu":
        np.testing.assert_array_equal(result, expected)
    else:
        scale = np.abs(p).sum(dtype="d") ** n
        assert np.abs(result - expected).max(initial=0) <= 50 * np.finfo(dtype).eps * scale


@pytest.mark.parametrize(
    ("p", "n", "error"),
    [
        ([1, 2], -1, ValueError),
        ([1, 2], 1.5, TypeError),
        ([1, 2], True, TypeError),
        ([], 2, ValueError),
        ([[1, 2]], 2, ValueError),
        (["a"], 2, TypeError),
    ],
)
def test_powers_that_mean_nothing_are_refused(p, n, error):
    with pytest.raises(error, match="must"):
        fastconv.convolve_power(p, n)
