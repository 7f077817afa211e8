"""Running windows: maxima, minima and plain sums are their definition, whichever path answers."""

from math import prod

import numpy as np
import pytest
import reference
from agreement import assert_same_kind, assert_within
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import any_value, arrays

from fastconv import geometry
from fastconv.path import Operands
from fastconv.paths import PATHS
from fastconv.planner import selector
from fastconv.problem import Problem

REDUCTIONS = ("box", "max", "min")
both_paths = pytest.mark.parametrize("path", ["scan", "slices"])


def windows(dtype, signal, size, output=None, **changes):
    """A problem of windows, centred and as long as the signal unless told otherwise."""
    ones = (1,) * len(signal)
    fields = {
        "batch": 1,
        "shared_filter": True,
        "stride": ones,
        "dilation": ones,
        "pad": tuple(k // 2 for k in size),
        "boundary": ("zero",) * len(signal),
        "reduction": "max",
    }
    fields |= changes
    return Problem(
        dtype=dtype, signal=tuple(signal), filter=tuple(size), output=tuple(output or signal),
        **fields,
    )  # fmt: skip


def compute(path, problem, x, fill=0, workers=1):
    """The path's result, of shape (batch, *output) or with interleaved signals behind it."""
    inner = (problem.inner,) if problem.inner > 1 else ()
    out = np.empty((problem.batch, *problem.output, *inner), problem.dtype)
    w = np.zeros((1, *problem.filter), problem.dtype)
    assert PATHS[path].execute(problem, Operands(x, w, out, fill, workers)) == []
    return out


def neutral(dtype, reduction):
    """The value that changes nothing."""
    dtype = np.dtype(dtype)
    if reduction == "box":
        return dtype.type(0)
    if dtype.kind == "b":
        return reduction == "min"
    if dtype.kind == "f":
        return dtype.type(-np.inf if reduction == "max" else np.inf)
    info = np.iinfo(dtype)
    return info.min if reduction == "max" else info.max


def met(problem, x, fill, i):
    """The samples of one window, row by row."""
    rest = problem.pad, problem.stride, problem.dilation, problem.boundary, fill
    return [value for _, value in reference.window(x, i, problem.filter, *rest)]


def definition(problem, x, fill=0):
    """Every window by itself; sums in longdouble, of equals the first."""
    real = np.dtype(problem.dtype).kind == "f" and problem.reduction == "box"
    wide = np.dtype(np.longdouble if real else problem.dtype)
    out = np.empty((problem.batch, *problem.output), wide)
    with np.errstate(all="ignore"):
        for b in range(problem.batch):
            for i in np.ndindex(*problem.output):
                total = wide.type(neutral(problem.dtype, problem.reduction))
                samples = met(problem, x[b], fill, i)
                if problem.reduction == "box":
                    for value in samples:
                        total = total | value if wide.kind == "b" else total + wide.type(value)
                elif samples:
                    total = extreme(samples, problem.reduction)
                out[(b, *i)] = total
    return out


def extreme(samples, reduction):
    """The first of the largest, or NaN."""
    best = samples[0]
    for value in samples[1:]:
        better = value > best if reduction == "max" else value < best
        if better or value != value:
            best = value
    return best


def hold(path, problem, x, fill=0):
    """Hold a result to the definition: exactly, or within gamma of the window's magnitudes."""
    result, expected = compute(path, problem, x, fill), definition(problem, x, fill)
    if expected.dtype != np.longdouble:
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
        return
    assert_same_kind(result, expected.astype(problem.dtype))
    tame = np.isfinite(expected) & (np.abs(expected) < np.finfo(problem.dtype).max)
    sizes = definition(problem, np.abs(x), np.abs(fill))
    # Its own rounding at the end, where sums are made in a wider dtype.
    bound = (prod(problem.filter) + 1) * reference.unit(problem.dtype) * sizes
    assert_within(result[tame], expected[tame], bound[tame])


@st.composite
def problems(draw, boundaries=geometry.BOUNDARIES):
    """A small problem of any rank, and its signals."""
    ndim = draw(st.integers(1, 3))
    most = {1: 40, 2: 9, 3: 5}[ndim]

    def per_axis(strategy):
        return tuple(draw(strategy) for _ in range(ndim))

    signal, size = per_axis(st.integers(1, most)), per_axis(st.integers(1, 7 if ndim < 3 else 3))
    pad = tuple(draw(st.sampled_from([0, k // 2, k - 1, -1, 4])) for k in size)
    rule = draw(st.sampled_from(boundaries))
    boundary = per_axis(st.sampled_from(boundaries)) if draw(st.booleans()) else (rule,) * ndim
    dtype = draw(st.sampled_from(["float64", "float32", "float16", "int8", "uint16", "bool"]))
    problem = windows(
        dtype,
        signal,
        size,
        per_axis(st.integers(1, most)) if draw(st.booleans()) else signal,
        batch=draw(st.integers(1, 2)),
        stride=per_axis(st.sampled_from([1, 1, 2, 3])),
        dilation=per_axis(st.sampled_from([1, 1, 2])),
        pad=pad,
        boundary=boundary,
        reduction=draw(st.sampled_from(REDUCTIONS)),
    )
    x = draw(arrays(np.dtype(dtype).char, (problem.batch, *signal), any_value))
    x = np.array(x, dtype, order="C")  # Packed, as the engine hands it over.
    return problem, x, 1 if dtype == "bool" else draw(st.sampled_from([0, 5]))


@both_paths
@given(problems())
def test_a_window_is_reduced_as_it_is_defined(path, drawn):
    hold(path, *drawn)


# ---------------------------------------------------------------- larger, by whole arrays


def by_windows(problem, x, fill=0):
    """The same by NumPy's reductions over a sliding view, for one axis."""
    (n,), (k,), (m,), (s,) = problem.signal, problem.filter, problem.output, problem.stride
    (d,), (p,) = problem.dilation, problem.pad
    source = geometry.source_map(-p, (m - 1) * s + (k - 1) * d + 1, n, problem.boundary[0])
    outside = fill if problem.boundary == ("fill",) else neutral(x.dtype, problem.reduction)
    samples = np.where((source < 0)[:, None], outside, x[:, np.maximum(source, 0)].reshape(
        len(x), len(source), -1)).astype(x.dtype)  # fmt: skip
    view = np.lib.stride_tricks.sliding_window_view(samples, (k - 1) * d + 1, 1)[:, ::s, :, ::d]
    reduce = {"box": np.sum, "max": np.max, "min": np.min}[problem.reduction]
    dtype = {"dtype": x.dtype} if problem.reduction == "box" else {}
    return reduce(view, axis=-1, **dtype).reshape(*x.shape[:1], m, *x.shape[2:])


LONG = [(1, 1), (17, 3), (64, 4), (65, 5), (200, 16), (1000, 33), (5000, 300), (5000, 4100),
        (300, 700), (6000, 5000)]  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "uint8"])
def test_long_signals_and_windows(dtype, reduction):
    rng = np.random.default_rng(3)
    for (n, k), rule in zip(LONG, geometry.BOUNDARIES * 2, strict=False):
        for stride, dilation in ((1, 1), (3, 1), (1, 2)):
            x = rng.integers(0, 100, (2, n)).astype(dtype)
            problem = windows(
                dtype, (n,), (k,), batch=2, boundary=(rule,), reduction=reduction,
                stride=(stride,), dilation=(dilation,), output=(min(-(-n // stride), 400),),
            )  # fmt: skip
            # Sums of small whole numbers are exact.
            np.testing.assert_array_equal(compute("scan", problem, x, 7), by_windows(problem, x, 7))


@pytest.mark.parametrize("inner", [2, 3, 16, 33, 64, 130])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_interleaved_signals_are_reduced_as_they_lie(inner, reduction):
    rng = np.random.default_rng(inner)
    for n, k, stride, dilation in ((50, 3, 1, 1), (50, 9, 1, 2), (31, 5, 2, 1), (300, 40, 1, 1)):
        x = rng.integers(-50, 50, (2, n, inner)).astype("float32")
        problem = windows(
            "float32", (n,), (k,), batch=2, stride=(stride,), dilation=(dilation,),
            output=(-(-n // stride),), boundary=("mirror",), reduction=reduction, inner=inner,
        )  # fmt: skip
        expected = by_windows(problem, x)
        for path in ("scan", "slices"):
            np.testing.assert_array_equal(compute(path, problem, x), expected)


def test_planes_are_cut_into_bands_without_a_seam():
    rng = np.random.default_rng(5)
    for shape, size in (((700, 500), (9, 5)), ((300, 1100), (2, 30)), ((400, 30), (150, 3))):
        x = rng.integers(-50, 50, (1, *shape)).astype("float64")
        for reduction in REDUCTIONS:
            problem = windows("float64", shape, size, boundary=("reflect", "wrap"),
                              reduction=reduction)  # fmt: skip
            tall = windows("float64", shape[:1], size[:1], boundary=("reflect",), batch=1,
                           reduction=reduction)  # fmt: skip
            wide = windows("float64", shape[1:], size[1:], boundary=("wrap",), batch=shape[0],
                           reduction=reduction)  # fmt: skip
            expected = by_windows(tall, by_windows(wide, x[0])[None])
            for workers in (1, 3):
                result = compute("scan", problem, x, workers=workers)
                np.testing.assert_array_equal(result, expected)


# ---------------------------------------------------------------- what a running sum gets wrong


@both_paths
def test_a_sum_forgets_a_large_value_that_has_passed(path):
    x = np.array([[1, 1e16, 1, 1, 1, 1.0]])
    problem = windows("float64", (6,), (2,), pad=(1,), reduction="box")
    assert compute(path, problem, x).tolist() == [[1, 1e16 + 1, 1e16 + 1, 2, 2, 2]]


@both_paths
@pytest.mark.parametrize("k", [2, 3, 7, 16, 50])
def test_one_nan_stays_within_its_windows(path, k):
    for shape, axes in (((130,), 1), ((70, 90), 2)):
        for reduction in REDUCTIONS:
            x = np.ones((1, *shape), "float32")
            place = tuple(n // 2 for n in shape)
            x[(0, *place)] = np.nan
            result = compute(path, windows("float32", shape, (k,) * axes, reduction=reduction), x)
            touched = np.zeros(shape, bool)
            touched[tuple(slice(p - k + k // 2 + 1, p + k // 2 + 1) for p in place)] = True
            np.testing.assert_array_equal(np.isnan(result[0]), touched)


@pytest.mark.parametrize("k", [3, 20, 999, 6000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sum_errs_by_gamma_of_its_own_window(dtype, k):
    rng = np.random.default_rng(k)
    x = (rng.standard_normal((1, 9000)) * 10.0 ** rng.integers(-12, 12, 9000)).astype(dtype)
    problem = windows(dtype, (9000,), (k,), reduction="box")
    wide = problem._replace(dtype="longdouble")
    result = compute("scan", problem, x)
    bound = k * reference.unit(dtype) * by_windows(wide, np.abs(x).astype(np.longdouble))
    assert_within(result, by_windows(wide, x.astype(np.longdouble)), bound)


@both_paths
def test_of_equal_zeros_the_first_is_kept(path):
    for size, shape in ((5, (40,)), (3, (9, 37))):
        rng = np.random.default_rng(0)
        x = np.where(rng.random((1, *shape)) < 0.5, 0.0, -0.0)
        for reduction in ("max", "min"):
            problem = windows("float64", shape, (size,) * len(shape), reduction=reduction)
            result = compute("scan", problem, x)
            np.testing.assert_array_equal(
                np.signbit(result), np.signbit(definition(problem, x)), reduction
            )
            assert not compute(path, problem, x).any()


def test_a_sum_of_negative_zeros_is_positive():
    for k in (1, 2, 3, 9, 70):
        for shape in ((100,), (20, 30)):
            problem = windows("float64", shape, (k,) * len(shape), reduction="box")
            assert not np.signbit(compute("scan", problem, np.full((1, *shape), -0.0))).any()


def test_complex_numbers_have_sums_and_no_order():
    rng = np.random.default_rng(1)
    x = rng.integers(-9, 9, (1, 60)) + 1j * rng.integers(-9, 9, (1, 60))
    problem = windows("complex128", (60,), (7,), boundary=("wrap",), reduction="box")
    np.testing.assert_array_equal(compute("scan", problem, x), by_windows(problem, x))
    assert PATHS["scan"].supports(problem._replace(reduction="max"))
    assert PATHS["slices"].supports(problem._replace(reduction="min"))


@given(problems())
@example((windows("float32", (4,), (2,)), np.zeros((1, 4), "float32"), 0))
def test_only_windows_without_weights_are_taken_and_by_no_other_path(drawn):
    problem = drawn[0]
    usable = {v.name for v in selector.rank(problem)}
    assert usable == {"scan", "slices"}
    assert PATHS["scan"].supports(problem._replace(reduction="sum"))
