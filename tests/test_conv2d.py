"""fastconv.convolve2d and correlate2d have scipy.signal's meaning, and a stride."""

import itertools
import sys
import warnings

import numpy as np
import pytest
import reference
import scipy.signal
from agreement import assert_fresh, assert_identical, assert_same_kind, assert_within
from hypothesis import given
from hypothesis import strategies as st
from reference import componentwise_bound, normwise_bound, precise
from strategies import (
    EXACT,
    INTEGERS,
    LAYOUTS,
    MODES,
    any_value,
    arrays,
    lay_out,
    lengths,
    random_array,
)

import fastconv
import fastconv.signal
from fastconv.paths import PATHS

BOUNDARIES = ["fill", "wrap", "symm"]
SCIPYS = ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d", "g", "F", "D", "G"]

faces = pytest.mark.parametrize("face", ["convolve2d", "correlate2d"])
modes = pytest.mark.parametrize("mode", MODES)
boundaries = pytest.mark.parametrize("boundary", BOUNDARIES)


def ours(face):
    """fastconv's function of that name."""
    return getattr(fastconv, face)


def scipys(face):
    """SciPy's function of that name."""
    return getattr(scipy.signal, face)


def whole(shape, dtype="d", seed=0):
    """Small whole numbers, complex where the dtype is: sums are exact in every order."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0 if np.dtype(dtype).kind == "u" else -9, 10, shape)
    if np.dtype(dtype).kind == "c":
        numbers = numbers + 1j * rng.integers(-9, 10, shape)
    return numbers.astype(dtype)


def outcome(function, *args, **keywords):
    """The exception of a call and its message, or None."""
    try:
        function(*args, **keywords)
    except Exception as error:
        return type(error), str(error)
    return None


def contains(shape, window):
    """Whether one operand of 'valid' contains the other."""
    return all(n >= k for n, k in zip(shape, window, strict=True)) or all(
        n <= k for n, k in zip(shape, window, strict=True)
    )


def test_the_signal_module_has_the_same_functions():
    assert fastconv.signal.convolve2d is fastconv.convolve2d
    assert fastconv.signal.correlate2d is fastconv.correlate2d


# ---------------------------------------------------------------- agreement with SciPy

# How whole numbers in floats stay exact: a plain call may choose a transform.
EXACT_WAYS = [{"accuracy": "componentwise"}, {"method": "direct"}, {"method": "library"}]

SHAPES = [
    ((5, 6), (3, 3)),
    ((5, 6), (2, 2)),
    ((5, 6), (4, 3)),
    ((5, 6), (1, 4)),
    ((5, 6), (5, 6)),
    ((6, 5), (1, 1)),
    ((2, 3), (4, 5)),
    ((2, 3), (5, 4)),
    ((2, 6), (4, 3)),
    ((1, 1), (3, 2)),
    ((1, 9), (1, 4)),
    ((9, 1), (4, 1)),
    ((3, 3), (9, 8)),
]


@faces
@modes
@boundaries
@pytest.mark.parametrize("dtype", ["d", "F", "h", "B"])
def test_every_mode_boundary_and_shape(face, mode, boundary, dtype):
    for fillvalue, (shape, window) in itertools.product((0, 3), SHAPES):
        if mode == "valid" and not contains(shape, window):
            continue
        x, w = whole(shape, dtype, 1), whole(window, dtype, 2)
        expected = scipys(face)(x, w, mode, boundary, fillvalue)
        for keywords in EXACT_WAYS:
            result = ours(face)(x, w, mode, boundary, fillvalue, **keywords)
            assert_identical(result, np.ascontiguousarray(expected) + 0)  # + 0: no negative zeros
            assert_fresh(result)


@faces
@pytest.mark.parametrize("first", SCIPYS)
@pytest.mark.parametrize("second", [*SCIPYS, "?", "e"])
def test_every_pair_of_dtypes(face, first, second):
    rng = np.random.default_rng(3)
    x, w = random_array(rng, first, (5, 6)), random_array(rng, second, (3, 2))
    if np.result_type(x, w) == np.float16:  # int8 with float16: SciPy has no loop
        with pytest.raises(ValueError, match="not available for this type"):
            ours(face)(x, w)
        return
    for mode, boundary in [("full", "fill"), ("same", "symm"), ("valid", "wrap")]:
        result = ours(face)(x, w, mode, boundary, 1, accuracy="componentwise")
        expected = scipys(face)(x, w, mode, boundary, 1)
        assert result.dtype == expected.dtype
        if expected.dtype.kind in "iu":
            assert_identical(result, np.ascontiguousarray(expected))
            continue
        dtype = expected.dtype

        def value(a, b, mode=mode, boundary=boundary, fill=1):
            return scipys(face)(a, b, mode, boundary, fill)

        exact = value(precise(x, dtype), precise(w, dtype))
        assert_within(result, exact, componentwise_bound(value, x, w, 6, dtype))


@faces
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(face, layout):
    for other, dtype in itertools.product(LAYOUTS, ["d", "i", "F"]):
        x, w = lay_out(whole((5, 6), dtype, 1), layout), lay_out(whole((3, 2), dtype, 2), other)
        for mode, boundary in [("full", "fill"), ("same", "symm")]:
            expected = np.ascontiguousarray(scipys(face)(x, w, mode, boundary))
            result = ours(face)(x, w, mode, boundary, accuracy="componentwise")
            assert_identical(result, expected + 0)


@faces
@given(data=st.data())
def test_any_small_problem(face, data):
    dtype = data.draw(st.sampled_from(["d", "f", "D", "h", "B", "q"]))
    side = lengths(6, smallest=1)
    shape, window = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    mode, boundary = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from(BOUNDARIES))
    stride = data.draw(st.sampled_from([1, 1, 2, 3, 9]))
    fillvalue = data.draw(st.sampled_from([0, 0, 1, 5]))
    x, w = data.draw(arrays(dtype, shape)), data.draw(arrays(dtype, window))
    if mode == "valid" and not contains(shape, window):
        with pytest.raises(ValueError, match="at least as large"):
            ours(face)(x, w, mode, boundary, fillvalue)
        return

    def value(a, b, fill=fillvalue):
        return reference.FACES_2D[face](a, b, mode, boundary, fill, stride)

    keywords = {"stride": stride, "method": data.draw(st.sampled_from(["direct", "library"]))}
    result = ours(face)(x, w, mode, boundary, fillvalue, **keywords)
    if dtype in EXACT:
        assert_identical(result, value(x, w).copy())
        return
    assert result.dtype == np.dtype(dtype)
    exact = value(precise(x, dtype), precise(w, dtype))
    taps = int(np.prod(np.minimum(shape, window))) if mode == "valid" else w.size
    assert_within(result, exact, componentwise_bound(value, x, w, taps, dtype))


@faces
@boundaries
@given(data=st.data())
def test_what_is_not_finite_stands_where_scipys_stands(face, boundary, data):
    side = st.integers(1, 6)
    x = data.draw(arrays("d", data.draw(st.tuples(side, side)), any_value))
    w = data.draw(arrays("d", data.draw(st.tuples(side, side))))
    for mode in ("full", "same"):
        expected = scipys(face)(x, w, mode, boundary)
        assert_same_kind(ours(face)(x, w, mode, boundary), expected)


@faces
@modes
def test_a_bad_tap_over_the_edge_is_what_scipy_makes_of_it(face, mode):
    x, w = np.ones((6, 7)), np.ones((3, 3))
    for value in (np.nan, np.inf):
        for place in itertools.product(range(3), range(3)):
            bad = w.copy()
            bad[place] = value
            for fillvalue in (0, 2):
                expected = scipys(face)(x, bad, mode, "fill", fillvalue)
                assert_same_kind(ours(face)(x, bad, mode, "fill", fillvalue), expected)


# ---------------------------------------------------------------- paths


@faces
@pytest.mark.parametrize("path", list(PATHS))
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F"])
def test_every_path_that_takes_two_dimensions(face, path, dtype):
    rng = np.random.default_rng(4)
    for (shape, window), mode, boundary in itertools.product(
        [((40, 50), (7, 6)), ((90, 33), (20, 30)), ((12, 80), (12, 3))], MODES, BOUNDARIES
    ):
        x, w = random_array(rng, dtype, shape), random_array(rng, dtype, window)
        try:
            result = ours(face)(x, w, mode, boundary, method=path)
        except ValueError as error:
            assert path in str(error)
            assert not (path == "direct" or (path == "fft" and boundary == "fill")), error
            continue

        def value(a, b, mode=mode, boundary=boundary):
            return scipys(face)(a, b, mode, boundary)

        assert result.dtype == np.dtype(dtype)
        # One boundary sample may be read many times: the padded image bounds its norm.
        padded = np.pad(x, [(k, k) for k in window], mode="symmetric" if min(shape) > 0 else "edge")
        exact = value(precise(x, dtype), precise(w, dtype))
        assert_within(result, exact, normwise_bound(padded, w, dtype))
        if PATHS[path].local:
            assert_within(result, exact, componentwise_bound(value, x, w, w.size, dtype))


@pytest.mark.parametrize("path", list(PATHS))
def test_a_bad_pixel_touches_its_own_outputs_on_every_path(path):
    for value, place in itertools.product([np.nan, np.inf], [(0, 0), (20, 31), (49, 59)]):
        x = np.ones((50, 60))
        x[place] = value
        w = np.ones((9, 8))
        try:
            result = fastconv.convolve2d(x, w, method=path)
        except ValueError as error:
            assert path in str(error)
            continue
        expected = np.zeros((58, 67), bool)
        expected[place[0] : place[0] + 9, place[1] : place[1] + 8] = True
        np.testing.assert_array_equal(~np.isfinite(result), expected)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers_wrap_and_take_no_transform(dtype):
    rng = np.random.default_rng(5)
    x, w = random_array(rng, dtype, (9, 8)), random_array(rng, dtype, (3, 4))
    expected = scipy.signal.convolve2d(x, w)
    assert_identical(fastconv.convolve2d(x, w), expected)
    assert_identical(fastconv.convolve2d(x, w, accuracy="exact"), expected)
    with pytest.raises(ValueError, match="fft"):
        fastconv.convolve2d(x, w, method="fft")


def test_a_large_image_with_a_large_filter():
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((300, 280)), rng.standard_normal((64, 65))
    for mode in MODES:
        expected = scipy.signal.fftconvolve(x, w, mode)
        assert_within(fastconv.convolve2d(x, w, mode), expected, 2 * normwise_bound(x, w, "d"))


# ---------------------------------------------------------------- keywords


@faces
@modes
@boundaries
@pytest.mark.parametrize("stride", [1, 2, 3, 50])
def test_stride_is_slicing_on_both_axes(face, mode, boundary, stride):
    for dtype, (shape, window) in itertools.product(["d", "F", "h"], SHAPES):
        if mode == "valid" and not contains(shape, window):
            continue
        x, w = whole(shape, dtype, 1), whole(window, dtype, 2)
        result = ours(face)(x, w, mode, boundary, stride=stride, accuracy="componentwise")
        expected = scipys(face)(x, w, mode, boundary)[::stride, ::stride]
        assert_identical(result, np.ascontiguousarray(expected) + 0)


@faces
@modes
def test_out_receives_the_result_and_is_returned(face, mode):
    x, w = whole((7, 8), "d", 1), whole((3, 2), "d", 2)
    expected = scipys(face)(x, w, mode)
    for layout in ("contiguous", "reversed", "spaced", "fortran", "misaligned"):
        out = lay_out(np.full(expected.shape, 77.0), layout)
        assert ours(face)(x, w, mode, out=out, accuracy="componentwise") is out
        np.testing.assert_array_equal(out, expected)


@faces
def test_out_may_be_an_operand(face):
    x, w = whole((7, 8), "d", 1), whole((3, 3), "d", 2)
    expected = scipys(face)(x, w, "same")
    assert ours(face)(x, w, "same", out=x, accuracy="componentwise") is x
    np.testing.assert_array_equal(x, expected)


@faces
def test_a_wrong_call_writes_nothing(face):
    out = np.full((7, 8), 77.0)
    x, w = np.ones((7, 8)), np.ones((3, 3))
    wrong = {"stride": 0, "workers": 0, "method": "x", "accuracy": "exact", "mode": "x"}
    for keyword, value in [*wrong.items(), ("boundary", "x")]:
        with pytest.raises(ValueError):
            ours(face)(x, w, **{"mode": "same", "out": out, keyword: value})
    with pytest.raises(TypeError):
        ours(face)(x, w, "same", out=out, stride=1.5)
    with pytest.raises(ValueError, match=r"out must .*, got"):
        ours(face)(x, w, "full", out=out)
    with pytest.raises((TypeError, ValueError), match=r"out must .*, got"):
        ours(face)(x.astype("f"), w.astype("f"), "same", out=out)
    assert (out == 77).all()


@faces
def test_the_number_of_workers_changes_no_bit(face):
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal((300, 200)), rng.standard_normal((5, 4))
    alone = ours(face)(x, w, "same", "symm", workers=1)
    for workers in (2, 3):
        assert_identical(ours(face)(x, w, "same", "symm", workers=workers), alone)


# ---------------------------------------------------------------- refusals and edges


@faces
@pytest.mark.parametrize("dtype", ["?", "e", "O", "m8[s]", "M8[s]", "S1", "U1", "V4", "i,i"])
def test_dtypes_that_scipy_refuses_are_refused(face, dtype):
    x = np.zeros((3, 3), dtype)
    theirs = outcome(scipys(face), x, x)
    if theirs is None:
        assert outcome(ours(face), x, x) is None
        return
    with pytest.raises(theirs[0]):
        ours(face)(x, x)


@faces
@pytest.mark.parametrize("mode", ["x", "", "FULL", "f", 2, None, b"full", 1.0])
def test_modes_that_scipy_refuses_are_refused(face, mode):
    theirs = outcome(scipys(face), np.ones((3, 3)), np.ones((2, 2)), mode)
    assert theirs is not None
    assert outcome(ours(face), np.ones((3, 3)), np.ones((2, 2)), mode) == theirs


@faces
@pytest.mark.parametrize("boundary", ["x", "", "reflect", "Fill", "zero", 0, None])
def test_boundaries_that_scipy_refuses_are_refused(face, boundary):
    theirs = outcome(scipys(face), np.ones((3, 3)), np.ones((2, 2)), "full", boundary)
    assert theirs is not None
    assert outcome(ours(face), np.ones((3, 3)), np.ones((2, 2)), "full", boundary) == theirs


@faces
@pytest.mark.parametrize(("long", "short"), [("circular", "wrap"), ("symmetric", "symm")])
def test_boundaries_have_two_names(face, long, short):
    x, w = whole((4, 5)), whole((3, 2), seed=1)
    assert_identical(ours(face)(x, w, boundary=long), ours(face)(x, w, boundary=short))


@faces
@pytest.mark.parametrize(
    ("in1", "in2"),
    [([1], [1]), ([[1]], [1]), ([1], [[1]]), ([[[1]]], [[1]]), (1, 1), (None, [[1]]), ("a", [[1]])],
    ids=repr,
)
def test_operands_must_have_two_dimensions(face, in1, in2):
    theirs = outcome(scipys(face), in1, in2)
    assert theirs is not None
    assert outcome(ours(face), in1, in2) == theirs


@faces
def test_valid_needs_one_operand_inside_the_other(face):
    for shape, window in [((2, 5), (3, 3)), ((3, 3), (2, 5)), ((0, 3), (1, 1))]:
        theirs = outcome(scipys(face), np.ones(shape), np.ones(window), "valid")
        assert theirs is not None
        assert outcome(ours(face), np.ones(shape), np.ones(window), "valid") == theirs


@faces
@pytest.mark.parametrize("fillvalue", [[1], [[2]], np.float32(2.0), np.array(3), 1.5, True, np.inf])
def test_fillvalue_may_be_anything_that_holds_one_number(face, fillvalue):
    x, w = whole((4, 5)), whole((3, 2), seed=1)
    expected = scipys(face)(x, w, fillvalue=fillvalue)
    np.testing.assert_array_equal(ours(face)(x, w, fillvalue=fillvalue), expected)


# Which integer a NaN becomes is the machine's business: floats only.
FINITE_FILLS = [3, -1, 300, 2**40, 1.5, -0.5, True, 2 - 3j, np.uint8(7)]
FILLS = [(dtype, fill) for dtype in "dfFbBiQ" for fill in FINITE_FILLS]
FILLS += [(dtype, fill) for dtype in "dfF" for fill in (np.nan, -np.inf, None)]


@faces
@pytest.mark.parametrize(("dtype", "fillvalue"), FILLS)
def test_fillvalues_of_every_kind_do_what_scipys_do(face, dtype, fillvalue):
    x, w = whole((4, 5), dtype), whole((3, 2), dtype, 1)
    with warnings.catch_warnings():
        # SciPy warns of lost imaginary parts wherever a cast is not safe, even for 300 in int8.
        warnings.simplefilter("ignore")
        theirs = outcome(scipys(face), x, w, fillvalue=fillvalue)
        if theirs is not None:
            with pytest.raises(theirs[0]):
                ours(face)(x, w, fillvalue=fillvalue)
            return
        expected = scipys(face)(x, w, fillvalue=fillvalue)
        result = ours(face)(x, w, fillvalue=fillvalue, accuracy="componentwise")
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@faces
@pytest.mark.parametrize("dtype", ["d", "f", "F", "g", "G"])
def test_exact_floats_are_refused(face, dtype):
    with pytest.raises(ValueError, match="accuracy"):
        ours(face)(np.ones((5, 5), dtype), np.ones((2, 2), dtype), accuracy="exact")


@faces
@pytest.mark.parametrize("fillvalue", [[1, 2], [], "a"])
def test_fillvalues_that_scipy_refuses_are_refused(face, fillvalue):
    theirs = outcome(scipys(face), np.ones((3, 3)), np.ones((2, 2)), fillvalue=fillvalue)
    assert theirs is not None
    with pytest.raises(theirs[0]):
        ours(face)(np.ones((3, 3)), np.ones((2, 2)), fillvalue=fillvalue)


@faces
def test_a_complex_fillvalue_reaches_a_complex_image(face):
    x, w = whole((4, 5), "D"), whole((3, 2), "D", 1)
    expected = scipys(face)(x, w, fillvalue=2 - 3j)
    np.testing.assert_array_equal(ours(face)(x, w, fillvalue=2 - 3j), expected)


NO_PIXELS = [((0, 3), (1, 1)), ((3, 0), (1, 1)), ((0, 3), (2, 2)), ((0, 0), (1, 1))]
NO_TAPS = [((3, 3), (0, 0)), ((3, 3), (0, 1)), ((3, 3), (1, 0)), ((0, 0), (0, 0)), ((0, 3), (0, 0))]


# SciPy's 'wrap' of an image without samples divides by zero and takes the process with it, so only
# 'fill' is compared.
@faces
@modes
@pytest.mark.parametrize(("shape", "window"), [*NO_PIXELS, *NO_TAPS])
def test_empty_operands_do_what_scipys_do(face, mode, shape, window):
    x, w = np.ones(shape), np.ones(window)
    theirs = outcome(scipys(face), x, w, mode)
    if theirs is not None:
        with pytest.raises(theirs[0]):
            ours(face)(x, w, mode)
        return
    assert_identical(ours(face)(x, w, mode), np.ascontiguousarray(scipys(face)(x, w, mode)))


@faces
@pytest.mark.parametrize("boundary", ["wrap", "symm"])
def test_empty_images_with_a_boundary_do_not_crash(face, boundary):
    try:
        result = ours(face)(np.ones((0, 3)), np.ones((2, 2)), "same", boundary)
    except ValueError:
        return
    assert result.shape == (0, 3)


@faces
def test_subclasses_and_lists_become_plain_arrays(face):
    masked = np.ma.array(np.ones((3, 3)), mask=np.eye(3))
    assert_identical(ours(face)(masked, [[1.0, 2.0]]), scipys(face)(masked, [[1.0, 2.0]]).copy())
    expected = scipys(face)([[1, 2], [3, 4]], [[1, 1]])
    assert_identical(ours(face)([[1, 2], [3, 4]], [[1, 1]]), np.ascontiguousarray(expected))


@faces
def test_operands_are_left_as_they_were(face):
    x, w = whole((6, 7), "D", 1), whole((3, 2), "D", 2)
    before = x.copy(), w.copy()
    ours(face)(x, w, "same", "symm")
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(w, before[1])


@boundaries
@pytest.mark.parametrize("dtype", ["d", "F", "h", "B"])
def test_before_scipy_signal_is_imported_numpy_adds_images_tap_by_tap(dtype, boundary, monkeypatch):
    for shape, k, stride in (
        ((9, 8), (3, 2), 1),
        ((400, 130), (2, 5), (3, 2)),
        ((1, 4), (1, 1), 1),
    ):
        x, w = whole(shape, dtype, 1), whole(k, dtype, 2)
        rows, columns = (stride, stride) if stride == 1 else stride
        expected = scipy.signal.convolve2d(x, w, "same", boundary)[::rows, ::columns]
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "scipy.signal")
            result = fastconv.convolve2d(x, w, "same", boundary, stride=stride, method="library")
            assert "scipy.signal" not in sys.modules
        assert_identical(result, np.ascontiguousarray(expected) + 0)
