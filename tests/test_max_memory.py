"""`max_memory`: no call allocates more beside its operands and result, and none changes meaning."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

import fastconv
from fastconv import signal
from fastconv.paths import PATHS, fft_tables, tile_layout, tiles
from fastconv.planner import selector
from fastconv.problem import Problem
from fastconv.runtime import scratch

MB = 1 << 20


def whole(shape, dtype="d", seed=0):
    """Small whole numbers: a transform is off by less than a half, so rounding it is exact."""
    return np.random.default_rng(seed).integers(0, 5, shape).astype(dtype)


def wide(shape, seed=0):
    """Numbers of all 64 bits."""
    info = np.iinfo("i8")
    return np.random.default_rng(seed).integers(info.min, info.max, shape, endpoint=True)


def bell(n, dtype="d"):
    """Masses whose tails are far below their peak."""
    places = np.linspace(-5, 5, n)
    return np.exp(-(places**2) * 3).astype(dtype)


@contextmanager
def nothing_kept():
    """Tables, places and work space that earlier calls have kept are made again."""
    fft_tables._kept.clear()
    tiles._kept_places.cache_clear()
    scratch._here.__dict__.clear()
    yield


def allocated(call):
    """The call's result, and the most bytes it had beside it."""
    call()  # Kernels and plans are made once.
    with nothing_kept():
        tracemalloc.start()
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return result, peak - result.nbytes


def least(call):
    """The fewest bytes that the call can do with, in the words of its refusal."""
    with pytest.raises(ValueError, match=r"max_memory must be at least \d+ bytes .*, got 1$") as no:
        call(max_memory=1)
    return int(str(no.value).split()[5])


CALLS = {
    "image": lambda: (fastconv.convolve2d, whole((700, 900)), whole((21, 20)), {}),
    "image, reflected": lambda: (
        fastconv.convolve2d, whole((700, 900), "f"), whole((21, 20), "f"), {"boundary": "symm"}
    ),
    "every second output": lambda: (
        fastconv.convolve2d, whole((300, 300)), whole((11, 11)), {"stride": 2}
    ),
    "whole numbers, taken apart": lambda: (
        fastconv.convolve2d, whole((300, 300), "i8"), whole((19, 19), "i8"), {"stride": 2}
    ),
    "narrow image": lambda: (
        fastconv.convolve2d, whole((300, 300), "i1"), whole((5, 5), "i8"), {}
    ),
    "box": lambda: (fastconv.convolve2d, whole((600, 600)), np.ones((13, 13)), {}),
    "volume": lambda: (signal.convolve, whole((60, 50, 70)), whole((5, 5, 5)), {}),
    "strided volume": lambda: (
        signal.convolve, whole((40, 30, 70)), whole((3, 3, 3)), {"stride": 2}
    ),
    "signal": lambda: (fastconv.convolve, whole(200_000), whole(1000), {}),
    "equal lengths": lambda: (fastconv.convolve, whole(20_000), whole(20_000), {}),
    "every third": lambda: (fastconv.correlate, whole(200_000), whole(50), {"stride": 3}),
    "complex": lambda: (signal.fftconvolve, whole(100_000, "D"), whole(1000, "D"), {}),
    "half": lambda: (signal.oaconvolve, whole((90, 80), "e"), whole((9, 9), "e"), {}),
    "columns": lambda: (fastconv.convolve, whole((2000, 50)), whole(100), {"axis": 0}),
    "filters": lambda: (fastconv.convolve, whole((20, 5000)), whole((20, 500)), {"axis": -1}),
    "whole numbers": lambda: (fastconv.convolve, whole(50_000, "i8"), whole(500, "i8"), {}),
    "filters of one signal": lambda: (
        fastconv.convolve, whole(20_000), whole((40, 500)), {"axis": -1}
    ),
    "filters of one image": lambda: (
        signal.fftconvolve, whole((1, 400, 300)), whole((7, 30, 20)), {"axes": (1, 2)}
    ),
    "digits": lambda: (
        fastconv.convolve, whole(60_000, "i8"), whole(3000, "i8"), {"method": "limbs"}
    ),
    "digits, every third": lambda: (
        fastconv.correlate, wide(60_000), wide(3000), {"method": "limbs", "stride": 3}
    ),
    "digits of images": lambda: (
        fastconv.convolve2d, wide((300, 200)), wide((40, 30)), {"method": "limb_tiles"}
    ),
    "complex image": lambda: (
        fastconv.convolve2d, whole((300, 400), "D"), whole((21, 20), "D"), {"method": "tiles"}
    ),
    "digits of volumes": lambda: (
        signal.convolve, wide((50, 40, 60)), wide((9, 8, 10)), {"method": "limb_tiles"}
    ),
    "complex filters of one signal": lambda: (
        signal.fftconvolve, whole((1, 20_000), "F"), whole((12, 500), "F"), {"axes": 1}
    ),
    "digits of reflected images": lambda: (
        fastconv.convolve2d, whole((300, 200), "i4"), whole((40, 30), "i4"),
        {"method": "limb_tiles", "boundary": "symm", "mode": "same"},
    ),
}  # fmt: skip


def named(name):
    """The call of that name, its operands made."""
    function, x, w, keywords = CALLS[name]()
    return lambda **more: function(x, w, **keywords, **more)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_keeps_within_what_it_may_take(name):
    call = named(name)
    expected = np.rint(call(workers=1))
    lowest = least(call)
    for most in (lowest, 3 * lowest, 4 * MB):
        if most < lowest:
            continue
        result, peak = allocated(lambda most=most: call(workers=1, max_memory=most))
        assert peak <= most
        np.testing.assert_array_equal(np.rint(result), expected)


@pytest.mark.parametrize("name", ["image", "signal", "volume", "columns"])
def test_less_than_the_least_is_refused_before_anything_is_stored(name):
    call = named(name)
    lowest, result = least(call), call()
    out = np.full_like(result, 77)
    kept = out.copy()
    with pytest.raises(ValueError, match=f"at least {lowest} bytes"):
        call(max_memory=lowest - 1, out=out)
    np.testing.assert_array_equal(out, kept)
    assert call(max_memory=lowest, out=out) is out


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize(("n", "k"), [(60_000, 40_000), (90_000, 1000), (3000, 200), (300, 70)])
def test_tilts_keep_within_what_they_may_take(n, k, dtype, signed):
    x, w = bell(n, dtype), bell(k, dtype)
    if signed:
        x *= np.where(np.arange(n) % 3 == 1, -1, 1).astype(dtype)
    for mode in ("full", "same"):
        call = {"mode": mode, "method": "tilted", "workers": 1}
        lowest = least(lambda **more: fastconv.convolve(x, w, **call, **more))  # noqa: B023
        result, peak = allocated(lambda: fastconv.convolve(x, w, **call, max_memory=lowest))  # noqa: B023
        assert peak <= lowest
        if not signed:
            # Another local path may have computed what no tilt proves.
            np.testing.assert_allclose(
                result, fastconv.convolve(x, w, **call), rtol=4e-9 if dtype == "d" else 4e-5
            )


def test_tiles_take_three_tiles_and_one_for_each_worker():
    for n, k in ((1024, 32), (4096, 64), (4096, 128)):
        for dtype in ("float64", "float32"):
            problem = Problem(
                dtype, 1, True, (n, n), (k, k), (n, n), (1, 1), (1, 1), (k // 2, k // 2),
                ("reflect", "reflect"),
            )  # fmt: skip
            tile = tile_layout.layout(problem).size * 2 * np.dtype(dtype).itemsize
            shared, each = tiles.space(problem)
            # The filter's spectrum (twice a tile) and its taps laid out, twiddles, places of rows.
            assert shared <= 3.3 * tile + 150 * n
            assert each <= 1.5 * tile
            half = problem._replace(room=(shared + each) // 2)
            assert tiles.supports(half) == ""
            assert tiles.space(half).least <= half.room


def test_limited_room_is_for_fewer_threads():
    space = PATHS["tiles"].space
    problem = Problem(
        "float64", 1, True, (2000, 2000), (40, 40), (2000, 2000), (1, 1), (1, 1), (20, 20),
        ("zero", "zero"),
    )  # fmt: skip
    shared, each = space(problem)
    assert space(problem).workers(shared + 3 * each) == 3
    assert space(problem).workers(shared) == 1
    x, w = whole((2000, 2000)), whole((40, 40))
    call = {"mode": "same", "method": "tiles", "max_memory": shared + 2 * each}
    one, many = (fastconv.convolve2d(x, w, workers=n, **call) for n in (1, 4))
    np.testing.assert_array_equal(one, many)


def test_a_prepared_filter_keeps_within_what_it_may_take():
    for x, w, function in (
        (whole(100_000), whole(1000), "convolve"),
        (whole(9000, "i8"), whole(500, "i8"), "convolve"),
        (whole((300, 200)), whole((20, 30)), "convolve2d"),
    ):
        expected = np.rint(getattr(fastconv, function)(x, w))
        lowest = least(lambda **more: getattr(fastconv, function)(x, w, **more))  # noqa: B023
        for most in (lowest, 3 * lowest, MB):
            call = fastconv.prepare(w, function=function, max_memory=most, workers=1)
            result, peak = allocated(lambda: call(x))  # noqa: B023
            assert peak <= most
            assert call.nbytes <= most
            np.testing.assert_array_equal(np.rint(result), expected)
        with pytest.raises(ValueError, match=f"max_memory must be at least {lowest} bytes"):
            fastconv.prepare(w, function=function, max_memory=lowest - 1)(x)
    for wrong in (0, True, "1MB"):
        with pytest.raises((TypeError, ValueError), match=r"max_memory must .*, got"):
            fastconv.prepare(w, function="convolve2d", max_memory=wrong)


def test_bad_pixels_stay_within_their_windows_and_the_room():
    x, w = whole((400, 300)), whole((20, 17)) + 0.5
    x[7, 290] = x[200, 150] = np.nan
    expected = np.isnan(fastconv.convolve2d(x, w))
    lowest = least(lambda **k: fastconv.convolve2d(x, w, method="tiles", **k))
    for most in (lowest, MB, 8 * MB):
        result, peak = allocated(
            lambda most=most: fastconv.convolve2d(x, w, method="tiles", workers=1, max_memory=most)
        )
        assert peak <= most
        np.testing.assert_array_equal(np.isnan(result), expected)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "1MB"])
def test_only_positive_integers_are_amounts_of_memory(wrong):
    x, w = np.ones((9, 9)), np.ones((3, 3))
    for call in (fastconv.convolve, fastconv.correlate):
        with pytest.raises((TypeError, ValueError), match=r"max_memory must .*, got"):
            call(x[0], w[0], max_memory=wrong)
    for call in (fastconv.convolve2d, signal.correlate2d, signal.convolve, signal.correlate,
                 signal.fftconvolve, signal.oaconvolve):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=r"max_memory must .*, got"):
            call(x, w, max_memory=wrong)


def test_where_others_answer_no_limit_can_be_promised():
    x, w = np.ones((9, 9)), np.ones((3, 3))
    with pytest.raises(ValueError, match=r"max_memory must be None .*, got 1000000"):
        fastconv.convolve(x[0].astype("g"), w[0], max_memory=10**6)
    for call in (fastconv.convolve2d, signal.fftconvolve, signal.convolve):
        with pytest.raises(ValueError, match=r"max_memory must be None .*, got 1000000"):
            call(x.astype("g"), w, max_memory=10**6)
    with pytest.raises(ValueError, match=r"max_memory must be None .*, got 5"):
        fastconv.convolve(x[0], w[0], nan_policy="omit", max_memory=5)
    with pytest.raises(ValueError, match=r"max_memory must be None .*, got 1000000"):
        fastconv.convolve(x[0], w[0], method="library", max_memory=10**6)


def test_explain_says_what_takes_too_much():
    x, w = whole(200_000), whole(1000)
    table = fastconv.explain(x, w, max_memory=100_000)
    why = {row.name: row.why for row in table.rows if not row.supported}
    assert "states no bound" in why["fft"]
    assert table.chosen == "fused"
    assert "bytes of work space" in table.problem
    limited = Problem(
        "float64", 1, True, (200_000,), (100_000,), (299_999,), (1,), (1,), (99_999,), ("zero",),
        room=500_000,
    )  # fmt: skip
    assert selector.rank(limited)[0].name == "direct"


@pytest.mark.parametrize("dtype", ["d", "f", "D", "i8", "e", "?"])
def test_one_signal_for_many_filters_is_not_copied_for_each(dtype):
    x, w = whole(30_000, dtype), whole((6, 300), dtype, 1)
    result = fastconv.convolve(x, w, axis=-1, workers=1)
    for row in range(6):
        alone = fastconv.convolve(x, w[row], accuracy="componentwise")
        np.testing.assert_array_equal(np.rint(result[row]), alone)
    if dtype in "dfD":
        _, peak = allocated(lambda: fastconv.convolve(x, w, axis=-1, workers=1, max_memory=20 * MB))
        assert peak < 3 * x.nbytes + MB
    x, w = whole((60, 50), dtype), whole((3, 5, 4), dtype, 1)
    many = signal.fftconvolve(x[None], w, axes=(1, 2))
    one = [signal.fftconvolve(x, taps) for taps in w]
    np.testing.assert_array_equal(np.rint(many), np.rint(one))
    x[7, 7] = 3
    if dtype in "dfD":
        x[9, 9] = np.nan
        many = signal.fftconvolve(x[None], w, axes=(1, 2))
        assert np.isnan(many).sum() == 3 * 20


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
@pytest.mark.parametrize("function", ["convolve", "correlate", "convolve1d", "correlate1d"])
def test_filters_of_images_keep_within_it(function, dtype):
    taps = whole(400) if function.endswith("1d") else whole((21, 20))
    x, out = whole((300, 900), dtype), np.empty((300, 900), dtype)
    filtered = getattr(fastconv.ndimage, function)

    def call(**more):
        return filtered(x, taps, output=out, accuracy="normwise", workers=1, **more)

    expected = np.rint(call()).copy()
    # Other dtypes than doubles take a converted copy and converted results of 270,000 pixels.
    lowest = least(call) if dtype == "f8" else 8 * MB
    for most in (lowest, 3 * lowest):
        call(max_memory=most)
        with nothing_kept():
            tracemalloc.start()
            call(max_memory=most)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak <= most
        np.testing.assert_allclose(np.rint(out), expected, 1e-6)


def test_filters_of_images_refuse_it_where_there_is_nothing_to_bound():
    x, w = whole((30, 30)), whole((3, 3))
    with pytest.raises(ValueError, match="max_memory must be None where SciPy's bits are kept"):
        fastconv.ndimage.convolve(x, w, max_memory=1 << 20)
    with pytest.raises(ValueError, match="max_memory must be None but for real samples"):
        fastconv.ndimage.convolve(x * 1j, w, accuracy="normwise", max_memory=1 << 20)
    with pytest.raises(ValueError, match="max_memory must be at least 1"):
        fastconv.ndimage.correlate1d(x, w[0], stride=2, max_memory=0)
    result = fastconv.ndimage.convolve(x, w, stride=2, max_memory=1 << 20)
    np.testing.assert_array_equal(result, fastconv.ndimage.convolve(x, w)[::2, ::2])
