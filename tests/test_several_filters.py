"""Several filters on one signal: the bits of single calls, NaN in its place, memory in bounds."""

import numpy as np
import pytest
import scipy.signal

import fastconv
from fastconv import request, signal
from fastconv.path import Operands
from fastconv.paths import PATHS, block_costs
from fastconv.planner import selector
from fastconv.problem import Problem

PATH_OF = dict.fromkeys(("float64", "float32"), "fused") | dict.fromkeys(
    ("complex128", "complex64"), "fused_complex"
)
DTYPES = tuple(PATH_OF)


def drawn(dtype, n, filters, k, seed=0):
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal(shape) for shape in (n, (filters, k))]
    if "complex" in dtype:
        drawn = [a + 1j * rng.standard_normal(a.shape) for a in drawn]
    return tuple(a.astype(dtype) for a in drawn)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "k"), [(50_000, 300), (3000, 3000), (900, 70), (150_000, 120_000)])
@pytest.mark.parametrize("workers", [1, 3])
def test_each_filter_gives_the_bits_of_a_call_of_its_own(dtype, n, k, workers):
    x, w = drawn(dtype, n, 5, k)
    call = {"method": PATH_OF[dtype], "workers": workers}
    for stride in (1, 3):
        many = fastconv.convolve(x, w, axis=-1, stride=stride, **call)
        alone = [fastconv.convolve(x, taps, stride=stride, **call) for taps in w]
        np.testing.assert_array_equal(many, alone)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_filters_that_do_not_fit_together_take_turns(dtype, monkeypatch):
    x, w = drawn(dtype, 20_000, 11, 300)
    method = PATH_OF[dtype]
    whole = fastconv.convolve(x, w, axis=-1, method=method)
    monkeypatch.setattr(block_costs, "KEPT_BYTES", 1)
    np.testing.assert_array_equal(fastconv.convolve(x, w, axis=-1, method=method), whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_complex_samples_reach_the_outputs_that_the_loop_gives_them(bad):
    x, w = drawn("complex128", 20_000, 3, 300)
    x[7], x[12_345] = bad, complex(0, bad)
    with np.errstate(invalid="ignore"):
        expected = np.array([np.convolve(x, taps) for taps in w])
        result = fastconv.convolve(x, w, axis=-1, method="fused_complex")
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(result[finite], expected[finite], atol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_samples_reach_the_outputs_that_the_loop_gives_them(bad):
    x, w = drawn("float64", 20_000, 3, 300)
    x[7], x[12_345] = bad, -bad
    with np.errstate(invalid="ignore"):
        expected = np.array([np.convolve(x, taps) for taps in w])
        result = fastconv.convolve(x, w, axis=-1, method="fused")
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(result), kind(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(result[finite], expected[finite], atol=1e-10)
    w[1, 3] = bad
    result = fastconv.convolve(x, w, axis=-1, method="fused")
    assert np.isfinite(result[0]).sum() == finite[0].sum()
    assert not np.isfinite(result[1, 3:-300]).any()


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_images_and_volumes_meet_several_filters(boundary, monkeypatch):
    rng = np.random.default_rng(3)
    for shape, taps in (((130, 90), (12, 9)), ((20, 30, 25), (4, 3, 5))):
        ndim, pad = len(shape), tuple(k // 2 for k in taps)
        one = Problem(
            "float64", 1, True, shape, taps, shape, (1,) * ndim, (1,) * ndim, pad,
            (boundary,) * ndim,
        )  # fmt: skip
        x, w = rng.standard_normal((1, *shape)), rng.standard_normal((6, *taps))
        x[0].flat[777] = np.nan
        alone, together, again = (np.empty((6, *shape)) for _ in range(3))
        for f in range(6):
            selector.run(one, Operands(x, w[f : f + 1], alone[f : f + 1]), "tiles")
        many = one._replace(batch=6, shared_filter=False, shared_signal=True)
        seen = np.broadcast_to(x, (6, *shape))
        selector.run(many, Operands(seen, w, together, workers=3), "tiles")
        np.testing.assert_array_equal(together, alone)
        monkeypatch.setattr(block_costs, "KEPT_BYTES", 1)
        selector.run(many, Operands(seen, w, again), "tiles")
        np.testing.assert_array_equal(again, alone)
        assert np.isnan(alone).sum() >= 6


def test_the_faces_say_that_the_signal_is_one():
    x, w = drawn("float64", 50_000, 8, 900)
    results = [
        fastconv.convolve(x, w, axis=-1),
        signal.fftconvolve(x[None], w, axes=1),
        signal.oaconvolve(np.broadcast_to(x, (1, 50_000)), w, axes=-1),
        fastconv.convolve(x[:, None], w.T, axis=0).T,
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert "one signal for all filters" in fastconv.explain(x, w, axis=-1).problem


@pytest.mark.parametrize("function", [fastconv.convolve, fastconv.correlate])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "e", "?", "i8", "u4", "i2", "i1"])
def test_a_few_rows_are_answered_as_single_calls_are(function, dtype):
    rng = np.random.default_rng(8)
    for n, k, rows in ((40, 5, 3), (5, 40, 3), (900, 64, 4), (3000, 700, 2), (33, 1, 1)):
        x, w = (rng.integers(-9, 9, shape) for shape in ((rows, n), (rows, k)))
        x, w = x.astype(dtype), w.astype(dtype)
        if dtype in "FD":
            x, w = x * 1j + x[:, ::-1], w * (2 - 1j) + w[:, ::-1]
        for mode in ("full", "same", "valid"):
            for signals, filters in ((x[0], w), (x[:1], w), (x, w[0]), (x, w[:1]), (x[0], w[:1])):
                shape = np.broadcast_shapes(signals.shape[:-1], filters.shape[:-1])
                pairs = zip(
                    np.broadcast_to(signals, (*shape, n)).reshape(-1, n),
                    np.broadcast_to(filters, (*shape, k)).reshape(-1, k),
                    strict=True,
                )
                alone = np.array([function(row, taps, mode) for row, taps in pairs])
                result = function(signals, filters, mode, axis=-1)
                assert result.shape == (*shape, alone.shape[-1]) and result.dtype == alone.dtype
                if dtype in "fdFDe":
                    scale = 1e-12 if dtype in "dD" else 1e-3
                    np.testing.assert_allclose(result, alone.reshape(result.shape), scale, 9000)
                else:
                    np.testing.assert_array_equal(result, alone.reshape(result.shape))
                out = np.empty_like(result)
                assert function(signals, filters, mode, axis=-1, out=out) is out
                np.testing.assert_array_equal(out, result)


def test_rows_that_lie_in_the_result_are_read_before_they_are_written():
    x, w = drawn("float64", 300, 3, 7)
    rows = np.array([x, x[::-1], 2 * x])
    expected = fastconv.convolve(rows, w[0], "same", axis=-1)
    assert fastconv.convolve(rows, w[0], "same", axis=-1, out=rows) is rows
    np.testing.assert_array_equal(rows, expected)
    with pytest.raises(ValueError, match="axis must lie"):
        fastconv.convolve(x, w, axis=5)
    with pytest.raises(ValueError, match="out must have shape"):
        fastconv.convolve(x, w, axis=-1, out=np.empty((3, 9)))


def test_explain_says_that_rows_go_one_by_one():
    x, w = drawn("float64", 300, 3, 7)
    assert "row by row" in str(fastconv.explain(x, w, axis=-1))
    assert "row by row" not in str(fastconv.explain(x, w, axis=-1, stride=2))


@pytest.mark.parametrize("dtype", ["d", "f", "D", "i8"])
def test_each_of_several_signals_meets_all_filters(dtype):
    rng = np.random.default_rng(5)
    x = rng.integers(-9, 9, (3, 2, 1, 4000)).astype(dtype)
    w = rng.integers(-9, 9, (4, 300)).astype(dtype)
    expected = np.array(
        [[[fastconv.convolve(row[0], taps) for taps in w] for row in rows] for rows in x]
    )
    same = np.testing.assert_array_equal
    result = fastconv.convolve(x, w, axis=-1)
    assert result.shape == (3, 2, 4, 4299)
    same(np.rint(result), np.rint(expected))
    out = np.empty_like(result)
    assert fastconv.convolve(x, w[None], axis=-1, out=out) is out
    same(out, result)
    last = fastconv.convolve(np.moveaxis(x, -1, 0), np.moveaxis(w[None, None], -1, 0), axis=0)
    same(last, np.moveaxis(result, -1, 0))
    images = signal.fftconvolve(x[:, 0], w[None, :2], axes=(2,))
    same(np.rint(images), np.rint(expected[:, 0, :2]))


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_a_shared_signal_costs_less_and_takes_no_more_than_it_says(dtype):
    apart = Problem(
        dtype, 64, False, (10_000,), (500,), (10_499,), (1,), (1,), (499,), ("zero",)
    )  # fmt: skip
    one = apart._replace(shared_signal=True)
    path = PATHS[PATH_OF[dtype]]
    ratio = path.work(one).butterflies / path.work(apart).butterflies
    assert 0.6 < ratio < 0.75
    assert one.part((0,), (100,), 1).shared_signal is False
    many = one._replace(batch=4096)
    assert path.space(many).shared < path.space(many._replace(shared_signal=False)).shared / 4


def test_short_signals_meet_several_filters_all_at_once_or_one_by_one(monkeypatch):
    rng = np.random.default_rng(4)
    for x_shape, w_shape, axes in (
        ((9, 1, 20), (1, 3, 5), [2]), ((4, 7, 9, 1), (2, 1, 3, 2), [0, 1, 2, 3]),
        ((6, 1, 5, 8), (1, 2, 3, 2), [2, 3]), ((5, 1, 300, 3), (1, 2, 40, 2), [2, 3]),
    ):  # fmt: skip
        x, w = rng.integers(-9, 9, x_shape) * 1.0, rng.integers(-9, 9, w_shape) * 1.0
        for seconds in (0.0, 1.0):
            monkeypatch.setattr(request, "_EACH_SECONDS", seconds)
            for mode in ("full", "same"):
                for _ in range(2):
                    got = signal.fftconvolve(x, w, mode, axes=axes)
                    want = scipy.signal.fftconvolve(x, w, mode, axes=axes)
                    np.testing.assert_allclose(got, want, atol=1e-9)


def test_nothing_convolved_is_a_product():
    rng = np.random.default_rng(5)
    for dtype in ("d", "f", "D", "i4", "u1"):
        x, w = (rng.random((4, 1, 5)) * 9).astype(dtype), (rng.random((4, 3, 1)) * 9).astype(dtype)
        for mode in ("full", "same", "valid"):
            got = signal.fftconvolve(x, w, mode, axes=[1, 2])
            want = scipy.signal.fftconvolve(x, w, mode, axes=[1, 2])
            np.testing.assert_array_equal(got, want)
            assert got.dtype == want.dtype
