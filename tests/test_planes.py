"""The 2-D loop in its other services: volumes, strides, images of another dtype, float16."""

from unittest import mock

import numpy as np
import pytest
from agreement import assert_identical, assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import BOUNDARIES, correlate_nd

import fastconv
from fastconv.kernels import direct2d
from fastconv.path import Operands
from fastconv.paths import PATHS, planes
from fastconv.problem import Problem

LONGEST = {2: (40, 8), 3: (12, 5), 4: (6, 3)}


@st.composite
def images(draw):
    """A problem of two to four axes that has outputs."""
    ndim = draw(st.sampled_from([2, 2, 3, 3, 4]))
    most, taps = LONGEST[ndim]

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    n, k = each(1, most), each(1, taps)
    stride = each(1, 3) if draw(st.booleans()) else (1,) * ndim
    dilation = each(1, 2) if draw(st.integers(0, 3)) == 0 else (1,) * ndim
    pad = tuple(draw(st.integers(0, t - 1)) for t in k)
    m = tuple(
        max(0, (a + 2 * p - (t - 1) * d - 1) // s + 1)
        for a, p, t, d, s in zip(n, pad, k, dilation, stride, strict=True)
    )
    rule = draw(st.sampled_from(sorted(BOUNDARIES)))
    dtype = draw(st.sampled_from(["float64", "float32", "int16", "uint8", "float16"]))
    batch, shared = draw(st.integers(1, 2)), draw(st.booleans())
    return Problem(dtype, batch, shared, n, k, m, stride, dilation, pad, (rule,) * ndim)


@pytest.mark.parametrize("rule", ["zero", "reflect", "fill"])
def test_what_was_settled_for_a_problem_is_kept_where_nothing_is_filled_in(rule):
    problem = Problem(
        "float64", 1, True, (5, 30), (3, 4), (5, 30), (1, 1), (1, 1), (1, 2), (rule, rule)
    )
    rng, hits = np.random.default_rng(1), planes._kept_runner.cache_info().hits
    for fill in (1, 2, 3):
        x, w = rng.normal(size=(1, 5, 30)), rng.normal(size=(1, 3, 4))
        out = np.full((1, 5, 30), np.nan)
        PATHS["direct"].execute(problem, Operands(x, w, out, fill, 1))
        want = correlate_nd(x[0], w[0], (1, 2), (5, 30), boundary=(rule, rule), fill=fill)
        np.testing.assert_allclose(out[0], want, rtol=1e-12, atol=1e-13)
    kept = planes._kept_runner.cache_info().hits - hits
    assert kept == 0 if rule == "fill" else kept >= 2


@given(images(), st.integers(0, 2**32), st.sampled_from("?Bhb"), st.integers(1, 2), st.booleans())
def test_the_direct_path_is_the_definition(problem, seed, narrow, workers, copied):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((problem.batch, *problem.signal)) * 5).astype(problem.dtype)
    if problem.ndim == 2 and np.dtype(narrow).itemsize < x.itemsize:
        x = x.astype(narrow)  # Converted by the path.
    w = rng.standard_normal((1 if problem.shared_filter else problem.batch, *problem.filter)) * 5
    w, out = w.astype(problem.dtype), np.full((problem.batch, *problem.output), 7, problem.dtype)
    with mock.patch.object(planes, "_RIM_BYTES", 0 if copied else planes._RIM_BYTES):
        PATHS["direct"].execute(problem, Operands(x, w, out, 3, workers))
    keywords = {
        "stride": problem.stride,
        "dilation": problem.dilation,
        "boundary": problem.boundary,
        "fill": 3,
    }
    for b in range(problem.batch):
        samples, taps = x[b].astype(problem.dtype), w[b % len(w)]
        if out.dtype.kind != "f":
            want = correlate_nd(samples, taps, problem.pad, problem.output, **keywords)
            assert_identical(np.ascontiguousarray(out[b]), want)
            continue
        wide, size = (
            correlate_nd(a, v, problem.pad, problem.output, **keywords)
            for a, v in (
                (samples.astype("g"), taps.astype("g")),
                (np.abs(samples).astype("g"), np.abs(taps).astype("g")),
            )
        )
        info = np.finfo(problem.dtype)
        bound = (problem.taps + 4) * info.eps * size + problem.taps * info.smallest_subnormal
        assert_within(out[b], wide, bound)


@pytest.mark.parametrize("boundary", ["fill", "symm", "wrap"])
@pytest.mark.parametrize("dtype", ["?", "B", "b", "h", "H"])
def test_narrow_images_are_as_if_converted_first(dtype, boundary):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2 if dtype == "?" else 100, (700, 901)).astype(dtype)
    for taps in ("f", "d", "l"):
        w = (rng.standard_normal((5, 4)) * 9).astype(taps)
        if dtype == "?":
            x = x.astype("B")
        got = fastconv.convolve2d(x[:, ::-1], w, "same", boundary)
        assert_identical(
            got, fastconv.convolve2d(x[:, ::-1].astype(got.dtype), w, "same", boundary)
        )


def test_a_tap_that_is_not_finite_meets_no_sample_outside_with_strides_either():
    x, w = np.ones((9, 20)), np.ones((3, 4))
    w[0, 0] = np.inf
    for stride in ((1, 1), (2, 3)):
        problem = Problem(
            "float64", 1, True, x.shape, w.shape, (4, 6), stride, (1, 1), (1, 2), ("zero",) * 2
        )
        out = np.empty((1, 4, 6))
        PATHS["direct"].execute(problem, Operands(x[None], w[None], out))
        want = correlate_nd(x, w, (1, 2), (4, 6), stride=stride)
        np.testing.assert_array_equal(np.isinf(out[0]), np.isinf(want))


def test_one_volume_meets_several_filters():
    rng = np.random.default_rng(6)
    x, w = rng.integers(-9, 9, (1, 9, 8, 20)) * 1.0, rng.integers(-9, 9, (4, 3, 2, 5)) * 1.0
    for rule in ("zero", "reflect"):
        problem = Problem(
            "float64", 4, False, x.shape[1:], w.shape[1:], (9, 8, 20), (1,) * 3, (1,) * 3,
            (1, 1, 2), (rule,) * 3, shared_signal=True,
        )  # fmt: skip
        out, want = np.empty((2, 4, 9, 8, 20))
        seen = np.broadcast_to(x, (4, 9, 8, 20))
        PATHS["direct"].execute(problem, Operands(seen, w, out))
        PATHS["library"].execute(problem, Operands(seen, w, want))
        np.testing.assert_array_equal(out, want)


def test_rims_of_large_filters_are_those_of_a_continued_image():
    assert planes._RIM_BYTES == direct2d.WORKSPACE_BYTES
    rng = np.random.default_rng(5)
    x, w = rng.integers(-9, 9, (2, 90, 70)).astype("f"), rng.integers(-9, 9, (60, 50)).astype("f")
    x[0, 40, 30] = np.nan
    for rules in (("zero", "zero"), ("reflect", "reflect"), ("fill", "fill"), ("wrap", "zero")):
        problem = Problem(
            "float32", 2, True, x.shape[1:], w.shape, (149, 119), (1, 1), (1, 1), (59, 49), rules
        )
        for value in (w[7, 7], np.inf) if rules != ("wrap", "zero") else (w[7, 7],):
            taps, (out, want) = w.copy(), np.empty((2, 2, 149, 119), "f")
            taps[7, 7] = value
            fill = 3 if "fill" in rules else 0
            PATHS["direct"].execute(problem, Operands(x, taps[None], out, fill, 2))
            PATHS["library"].execute(problem, Operands(x, taps[None], want, fill))
            np.testing.assert_array_equal(out, want)


def test_half_precision_is_rounded_once():
    rng = np.random.default_rng(4)
    x, w = rng.integers(-30, 30, 5000).astype("e"), rng.integers(-9, 9, 40).astype("e")
    # Whole numbers: every float32 sum is exact, so only the last rounding is left.
    assert_identical(fastconv.convolve(x, w, method="direct"), np.convolve(x, w))
    large = np.full(100, 6e4, "e")
    assert np.isinf(fastconv.convolve(large, large[:3], method="direct")).all()
