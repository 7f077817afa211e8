"""Tiles of images and volumes: any cut gives the definition, within the bound of the transform."""

import itertools
from functools import partial

import numpy as np
import pytest
from agreement import assert_within
from hypothesis import given
from hypothesis import strategies as st

import fastconv
from fastconv import geometry
from fastconv.path import Operands
from fastconv.paths import PATHS, tile_layout, tiles
from fastconv.planner import selector
from fastconv.problem import Problem

DTYPES = ("float64", "float32", "complex128", "complex64")
RULES = geometry.BOUNDARIES


def defined(problem, x, w, fill=0.0):
    """The definition in float64 or better, tap by tap."""
    exact = np.clongdouble if "complex" in problem.dtype else np.longdouble
    out = np.zeros((problem.batch, *problem.output), exact)
    maps = [
        geometry.source_map(
            -problem.pad[a],
            (problem.output[a] - 1) * problem.stride[a]
            + geometry.span(problem.filter[a], problem.dilation[a]),
            problem.signal[a],
            problem.boundary[a],
        )
        for a in range(problem.ndim)
    ]
    outside = fill if "fill" in problem.boundary else 0
    x = x.astype(exact)
    for t in itertools.product(*(range(k) for k in problem.filter)):
        value, beyond = x, np.zeros((1,) * (problem.ndim + 1), bool)
        for a in range(problem.ndim):
            start, m, s = t[a] * problem.dilation[a], problem.output[a], problem.stride[a]
            index = maps[a][start : start + (m - 1) * s + 1 : s]
            value = np.take(value, np.maximum(index, 0), axis=a + 1)
            shape = [1] * (problem.ndim + 1)
            shape[a + 1] = m
            beyond = beyond | (index < 0).reshape(shape)
        tap = w[(slice(None), *t)].reshape(-1, *(1,) * problem.ndim)
        out += np.where(beyond, outside, value) * tap.astype(exact)
    return out


def bound(problem, x, w, size, fill=0.0):
    """|err| <= 9 (1 + log2 M) eps ||x|| ||w||: a boundary may show a sample in all places."""
    largest = max(np.abs(x).max(), abs(fill)) * np.sqrt(2.0 * size)
    norm = np.linalg.norm(w.reshape(len(w), -1), axis=1).max()
    return 9 * (1 + np.log2(size)) * np.finfo(problem.dtype).eps * largest * norm


def drawn(rng, shape, dtype):
    numbers = rng.standard_normal(shape)
    if "complex" in dtype:
        numbers = numbers + 1j * rng.standard_normal(shape)
    return numbers.astype(dtype)


def hold(problem, seed=0, fill=0.0, workers=1):
    rng = np.random.default_rng(seed)
    filters = 1 if problem.shared_filter else problem.batch
    x = drawn(rng, (problem.batch, *problem.signal), problem.dtype)
    w = drawn(rng, (filters, *problem.filter), problem.dtype)
    if "complex" in problem.dtype:
        fill *= 1 - 2j
    out = np.full((problem.batch, *problem.output), 77, problem.dtype)
    assert tiles.PATH.execute(problem, Operands(x, w, out, fill, workers)) == []
    size = tiles.layout(problem).size
    assert_within(out, defined(problem, x, w, fill), bound(problem, x, w, size, fill))


@st.composite
def some_problems(draw):
    """Images and volumes of several small tiles."""
    ndim = draw(st.sampled_from([2, 2, 3]))
    longest = {2: 150, 3: 30}[ndim]
    signal = tuple(draw(st.integers(1, longest)) for _ in range(ndim))
    taps = tuple(draw(st.integers(1, {2: 9, 3: 4}[ndim])) for _ in range(ndim))
    stride = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(ndim))
    dilation = tuple(draw(st.sampled_from([1, 1, 2])) for _ in range(ndim))
    reach = tuple(geometry.span(k, d) for k, d in zip(taps, dilation, strict=True))
    pad = tuple(draw(st.integers(-3, r + 1)) for r in reach)
    output = tuple(draw(st.integers(1, n + r)) for n, r in zip(signal, reach, strict=True))
    rules = [draw(st.sampled_from([r for r in RULES if r != "fill"])) for _ in range(ndim)]
    boundary = tuple(rules) if draw(st.booleans()) else ("fill",) * ndim
    return Problem(
        draw(st.sampled_from(DTYPES)), draw(st.sampled_from([1, 1, 2])), draw(st.booleans()),
        signal, taps, output, stride, dilation, pad, boundary,
    )  # fmt: skip


@given(problem=some_problems(), small=st.booleans(), seed=st.integers(0, 9))
def test_any_problem_in_any_tiles(problem, small, seed):
    least = partial(tile_layout.layout, most_points=2048)
    with pytest.MonkeyPatch.context() as patch:
        if small and least(problem) is not None:
            patch.setattr(tiles, "layout", least)
        hold(problem, seed, fill=2.5)


def image(dtype, n, k, boundary="zero", stride=1):
    shapes = ((n, n + 9), (k, k + 1))
    pad = tuple(side - 1 for side in shapes[1])
    output = tuple(-(-(a + b - 1) // stride) for a, b in zip(*shapes, strict=True))
    return Problem(
        dtype, 1, True, *shapes, output, (stride, stride), (1, 1), pad, (boundary, boundary)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("boundary", RULES)
def test_every_rule_over_several_tiles(dtype, boundary):
    hold(image(dtype, 200, 11, boundary), fill=-3.0)
    hold(image(dtype, 20, 15, boundary), fill=1.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_of_all_first_radices(dtype, monkeypatch):
    tops = set()
    for rows in (24, 40, 48, 64, 80, 96):
        shape = (rows, 128 if dtype in ("float64", "complex128") else 512)
        monkeypatch.setattr(tile_layout, "_shape", lambda *rest, shape=shape: shape)
        tile_layout.layout.cache_clear()
        problem = image(dtype, 150, 9)
        size = tile_layout.layout(problem).size
        tops.add(tiles.fft_tables.transform(size, tiles._part(problem)).top)
        hold(problem)
    tile_layout.layout.cache_clear()
    assert tops == {3, 4, 5}


def test_the_number_of_workers_changes_no_bit():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((700, 500)), rng.standard_normal((40, 40))
    results = [fastconv.convolve2d(x, w, method="tiles", workers=count) for count in (1, 2, 3)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("dtype", DTYPES)
def test_bad_pixels_stay_within_their_windows(dtype):
    rng = np.random.default_rng(2)
    for value in (np.nan, np.inf):
        x = drawn(rng, (400, 300), dtype)
        w = drawn(rng, (20, 17), dtype)
        x[7, 290] = x[200, 150] = value
        result = fastconv.convolve2d(x, w, method="tiles")
        expected = np.zeros(result.shape, bool)
        for i, j in ((7, 290), (200, 150)):
            expected[i : i + 20, j : j + 17] = True
        np.testing.assert_array_equal(~np.isfinite(result), expected)


def test_a_filling_value_that_is_not_finite_is_left_to_a_local_path():
    x, w = np.ones((60, 50)), np.ones((9, 9))
    result = fastconv.convolve2d(x, w, "same", "fill", np.inf, method="tiles")
    assert np.isinf(result[0]).all()
    np.testing.assert_array_equal(result[4:-4, 4:-4], 81)


@pytest.mark.parametrize("ndim", [4, 5, 6])
def test_many_axes_are_cut_or_refused(ndim):
    ones = (1,) * ndim
    problem = Problem(
        "float64", 1, True, (9, 7, 6, 5, 4, 3)[:ndim], (3,) * ndim, (7, 5, 4, 3, 2, 1)[:ndim],
        ones, ones, (0,) * ndim, ("zero",) * ndim,
    )  # fmt: skip
    if tiles.supports(problem):
        assert tile_layout.layout(problem) is None
    else:
        hold(problem)


def test_large_filters_of_large_images_are_given_to_the_tiles():
    for dtype in DTYPES:
        for n, k in ((1024, 64), (4096, 128)):
            assert selector.rank(image(dtype, n, k))[0].name == "tiles"
    assert PATHS["tiles"] is tiles.PATH


@pytest.mark.parametrize("boundary", ["reflect", "mirror", "nearest", "wrap", "fill"])
def test_bad_pixels_and_their_images_in_the_rim_stay_local(boundary):
    rng = np.random.default_rng(8)
    for stride, dilation in ((1, 1), (2, 1), (1, 2)):
        problem = Problem(
            "float64", 2, True, (120, 90), (9, 7), (120 // stride, 90 // stride),
            (stride,) * 2, (dilation,) * 2, (5, 3), (boundary,) * 2,
        )  # fmt: skip
        x, w = rng.standard_normal((2, 120, 90)), rng.standard_normal((1, 9, 7))
        x[0, 2, 3] = x[1, 60, 89] = np.nan
        x[1, 0, 0] = np.inf
        results = []
        for method in ("tiles", "direct"):
            out = np.empty((2, *problem.output))
            selector.run(problem, Operands(x, w, out, 0.5), method)
            results.append(out)
        assert tiles.execute(problem, Operands(x, w, np.empty_like(out), 0.5)) != [
            (0, 2, tuple((0, m) for m in problem.output))
        ]
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(results[0]), kind(results[1]))
        assert np.isfinite(results[0]).mean() > 0.9
