"""Images of whole numbers by transforms: any cut gives the wrapping sums, bit for bit."""

import itertools
from functools import partial
from math import prod

import numpy as np
import pytest
from agreement import assert_identical
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import fastconv
from fastconv import geometry
from fastconv.path import Operands
from fastconv.paths import digits, limb_tiles
from fastconv.planner import selector
from fastconv.problem import Problem

DTYPES = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")


def whole(shape, dtype, seed=0):
    """Numbers of the whole range, its ends among them."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    numbers = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    ends = rng.integers(0, 9, shape)
    numbers[ends == 0], numbers[ends == 1] = info.min, info.max
    return numbers


def defined(problem, x, w, fill):
    """The definition, tap by tap, in the dtype itself: sums and products wrap."""
    out = np.zeros((problem.batch, *problem.output), problem.dtype)
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
    outside = x.dtype.type(fill if "fill" in problem.boundary else 0)
    for taps in itertools.product(*map(range, problem.filter)):
        value, beyond = x, np.zeros((1,) * x.ndim, bool)
        for a, t in enumerate(taps):
            step, stride = problem.dilation[a], problem.stride[a]
            index = maps[a][t * step :][: (problem.output[a] - 1) * stride + 1 : stride]
            value = np.take(value, np.maximum(index, 0), axis=a + 1)
            beyond = beyond | (index < 0).reshape((-1, *(1,) * (problem.ndim - 1 - a)))
        out += np.where(beyond, outside, value) * w[(slice(None), *taps)].reshape(
            (-1, *(1,) * problem.ndim)
        )
    return out


def hold(problem, seed=0, fill=0, workers=1):
    filters = 1 if problem.shared_filter else problem.batch
    x = whole((problem.batch, *problem.signal), problem.dtype, seed)
    w = whole((filters, *problem.filter), problem.dtype, seed + 1)
    out = np.full((problem.batch, *problem.output), 77, problem.dtype)
    assert limb_tiles.execute(problem, Operands(x, w, out, fill, workers)) == []
    assert_identical(out, defined(problem, x, w, fill))


@st.composite
def some_problems(draw):
    """Images and volumes that several small tiles cover."""
    ndim = draw(st.sampled_from([2, 2, 3, 4]))
    longest = {2: 120, 3: 24, 4: 9}[ndim]
    signal_shape = tuple(draw(st.integers(1, longest)) for _ in range(ndim))
    taps = tuple(draw(st.integers(1, 6 if ndim == 2 else 3)) for _ in range(ndim))
    stride = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(ndim))
    dilation = tuple(draw(st.sampled_from([1, 1, 2])) for _ in range(ndim))
    reach = tuple(geometry.span(k, d) for k, d in zip(taps, dilation, strict=True))
    pad = tuple(draw(st.integers(-3, r + 1)) for r in reach)
    output = tuple(draw(st.integers(1, n + r)) for n, r in zip(signal_shape, reach, strict=True))
    rules = [r for r in geometry.BOUNDARIES if r != "fill"]
    mixed = tuple(draw(st.sampled_from(rules)) for _ in range(ndim))
    boundary = mixed if draw(st.booleans()) else ("fill",) * ndim
    return Problem(
        draw(st.sampled_from(DTYPES)), draw(st.sampled_from([1, 1, 2])), draw(st.booleans()),
        signal_shape, taps, output, stride, dilation, pad, boundary,
    )  # fmt: skip


@pytest.fixture
def fresh():
    limb_tiles._tiling.cache_clear()
    yield
    limb_tiles._tiling.cache_clear()


@given(problem=some_problems(), small=st.booleans(), seed=st.integers(0, 9))
def test_any_problem_in_any_tiles(problem, small, seed):
    with pytest.MonkeyPatch.context() as patch:
        limb_tiles._tiling.cache_clear()
        if small:
            # The smallest tiles that hold the filter and, cut into 64 strips, three columns.
            largest = digits.smallest()
            first, *rest = map(geometry.span, problem.filter, problem.dilation)
            while 2 * largest < first * prod(reach + 3 for reach in rest):
                largest *= 2
            patch.setattr(limb_tiles, "_LARGEST", largest)
        hold(problem, seed, fill=5)
    limb_tiles._tiling.cache_clear()


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_are_those_of_the_direct_loop(dtype):
    x, w = whole((150, 210), dtype), whole((40, 33), dtype, 1)
    for mode, boundary in (("full", "fill"), ("same", "wrap"), ("valid", "symm")):
        call = partial(fastconv.convolve2d, x, w, mode, boundary)
        assert_identical(call(method="limb_tiles"), call(method="direct"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_volumes_are_those_of_the_direct_loop(dtype):
    x, w = whole((40, 36, 50), dtype), whole((9, 12, 7), dtype, 1)
    for mode in ("full", "same", "valid"):
        call = partial(fastconv.signal.convolve, x, w, mode)
        assert_identical(call(method="limb_tiles"), call(method="direct"))
    info = np.iinfo(dtype)
    for worst in (info.min, info.max):
        x, w = np.full((30, 20, 25), worst, dtype), np.full((8, 9, 7), worst, dtype)
        x[::2], w[:, ::3] = -x[::2], info.min
        result = fastconv.signal.convolve(x, w, method="limb_tiles")
        assert_identical(result, fastconv.signal.convolve(x, w, method="direct"))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
def test_the_worst_numbers_wrap_as_scipys_do(dtype):
    info = np.iinfo(dtype)
    ends = np.array([info.min, info.max, info.max // 2 + 1, -1 if info.min else 0], dtype)
    sign = np.where(np.add.outer(np.arange(60), np.arange(50)) % 2, 1, -1)
    for x in (
        np.full((60, 50), info.min, dtype),
        np.full((60, 50), info.max, dtype),
        (sign * (2**21 + 1)).astype(dtype),
        ends[np.random.default_rng(3).integers(0, 4, (60, 50))],
    ):
        for w in (x[:20, :30], whole((9, 31), dtype, 2)):
            expected = signal.convolve2d(x, w, "same", "symm")
            result = fastconv.convolve2d(x, w, "same", "symm", method="limb_tiles")
            assert_identical(result, expected)


def test_what_is_not_proven_is_computed_again_with_more_digits(monkeypatch, fresh):
    monkeypatch.setattr(limb_tiles, "SPREADS", (1e-4, 1.0))
    cuts, compute = [], limb_tiles._compute

    def watched(*arguments):
        cuts.append((arguments[-1].cut, compute(*arguments)))
        return cuts[-1][1]

    monkeypatch.setattr(limb_tiles, "_compute", watched)
    x, w = whole((300, 200), "int64"), whole((40, 40), "int64", 1)
    result = fastconv.convolve2d(x, w, method="limb_tiles")
    assert_identical(result, fastconv.convolve2d(x, w, method="direct"))
    (first, proven), (second, again) = cuts
    assert again and not proven
    assert second.bits < first.bits


def test_the_number_of_workers_changes_no_bit():
    x, w = whole((500, 400), "int32"), whole((40, 40), "int32", 1)
    results = [fastconv.convolve2d(x, w, method="limb_tiles", workers=n) for n in (1, 2, 3)]
    assert_identical(results[1], results[0])
    assert_identical(results[2], results[0])


def test_large_filters_of_whole_numbers_are_given_to_them():
    for dtype in ("int64", "int32", "uint32"):
        problem = Problem(
            dtype, 1, True, (1024, 1024), (64, 64), (1087, 1087), (1, 1), (1, 1), (63, 63),
            ("zero", "zero"),
        )  # fmt: skip
        assert selector.rank(problem)[0].name == "limb_tiles"
        assert selector.rank(problem._replace(filter=(5, 5)))[0].name != "limb_tiles"
