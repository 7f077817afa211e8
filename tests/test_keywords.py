"""What fastconv adds to NumPy's functions: axis, stride, out, method, accuracy and workers."""

import itertools

import numpy as np
import pytest
from agreement import assert_fresh, assert_guaranteed, assert_identical
from hypothesis import given
from hypothesis import strategies as st
from reference import FACES, along_axis
from strategies import EXACT, LAYOUTS, MODES, lay_out, problems, random_array

import fastconv

faces = pytest.mark.parametrize("face", list(FACES))


def ours(face):
    """fastconv's function of that name."""
    return getattr(fastconv, face)


def whole(shape, dtype="d", seed=0):
    """Small whole numbers: their sums of products are exact in every order (a transform is not)."""
    return np.random.default_rng(seed).integers(0, 9, shape).astype(dtype)


# ---------------------------------------------------------------- axis


@faces
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("a_shape", "v_shape", "axis"),
    [
        ((7,), (3,), 0),
        ((7,), (3,), -1),
        ((2, 7), (3,), -1),
        ((2, 7), (3,), 1),
        ((7, 2), (3,), 0),
        ((2, 7, 4), (3,), 1),
        ((2, 7, 4), (3,), -2),
        ((7,), (2, 3), -1),
        ((3,), (2, 7), -1),
        ((2, 3), (2, 7), -1),
        ((2, 7), (2, 3), 1),
        ((7, 2), (3, 2), 0),
        ((1, 7), (4, 3), -1),
        ((4, 7), (1, 3), -1),
        ((7, 1), (3, 4), 0),
        ((5, 1, 7), (4, 3), -1),
        ((2, 7, 4), (2, 3, 4), 1),
        ((2, 7, 1), (1, 3, 4), -2),
        ((2, 1), (2, 1), -1),
        ((0, 7), (3,), -1),
        ((7, 0), (3,), 0),
        ((0, 7), (1, 3), -1),
        ((2, 0, 7), (3,), -1),
    ],
)
def test_axis_convolves_along_it_and_broadcasts_the_others(face, mode, a_shape, v_shape, axis):
    for dtype in ("d", "h", "F"):
        a, v = whole(a_shape, dtype, 1), whole(v_shape, dtype, 2)
        expected = along_axis(FACES[face], a, v, mode, axis)
        for keywords in ({"accuracy": "componentwise"}, {"method": "direct"}):
            result = ours(face)(a, v, mode, axis=axis, **keywords)
            assert_identical(result, expected)
            assert_fresh(result)


@faces
def test_axis_of_a_vector_is_the_plain_call(face):
    a, v = whole(9), whole(4, seed=1)
    for mode, axis in itertools.product(MODES, (0, -1)):
        assert_identical(ours(face)(a, v, mode, axis=axis), ours(face)(a, v, mode))


@faces
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "b", "H", "q", "?", "e", "g", "O"])
def test_axis_takes_every_dtype(face, dtype):
    a, v = whole((2, 7, 3), dtype, 1), whole((3,), dtype, 2)
    result = ours(face)(a, v, "same", axis=1)
    expected = np.apply_along_axis(lambda row: getattr(np, face)(row, v, "same"), 1, a)
    assert_identical(result, expected)


@faces
@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 9, 16, 17, 33, 64, 100, 257])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "b", "i", "?"])
def test_signals_that_lie_side_by_side_are_convolved_as_rows_are(face, dtype, columns):
    a = whole((40, columns), dtype, 1)
    for taps, (mode, stride) in itertools.product([1, 3, 8, 17, 50], [("full", 1), ("same", 3)]):
        v = whole(taps, dtype, 2)
        expected = np.stack([getattr(np, face)(row, v, mode)[::stride] for row in a.T], axis=1)
        keywords = {"stride": stride, "accuracy": "componentwise"}
        assert_identical(ours(face)(a, v, mode, axis=0, **keywords), expected)
        both = ours(face)(np.stack([a, a]), v, mode, axis=1, **keywords)
        np.testing.assert_array_equal(both, [expected, expected])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis_takes_every_layout(axis, layout):
    a = lay_out(whole((4, 5, 6), "i"), layout)
    v = lay_out(whole((4, 5, 6), "i", 1), "fortran")
    result = fastconv.convolve(a, v, axis=axis)
    assert_identical(result, along_axis(FACES["convolve"], a, v, "full", axis))


def test_axis_takes_overlapping_rows():
    a = np.lib.stride_tricks.sliding_window_view(whole(12), 5)
    result = fastconv.convolve(a, [1.0, 2.0], axis=-1)
    assert_identical(result, along_axis(FACES["convolve"], a, np.array([1.0, 2.0]), "full", -1))


@faces
@pytest.mark.parametrize("axis", [1, -2, 5])
def test_axis_must_exist(face, axis):
    with pytest.raises(ValueError, match="axis"):
        ours(face)([1.0, 2.0], [1.0], "full", axis=axis)


@faces
@pytest.mark.parametrize("axis", [1.0, "0", (0,), [0]])
def test_axis_must_be_an_integer(face, axis):
    with pytest.raises(TypeError, match=r"axis must .*, got"):
        ours(face)([1.0, 2.0], [1.0], "full", axis=axis)


@faces
def test_other_axes_must_broadcast(face):
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        ours(face)(np.ones((2, 7)), np.ones((3, 3)), "full", axis=-1)


@faces
@pytest.mark.parametrize(("a", "v"), [((2, 0), (3,)), ((2, 3), (0,)), ((0, 2), (2, 0))])
def test_the_convolved_axis_must_not_be_empty(face, a, v):
    with pytest.raises(ValueError, match="empty"):
        ours(face)(np.ones(a), np.ones(v), "full", axis=-1)


@faces
def test_without_axis_two_dimensions_are_refused(face):
    with pytest.raises(ValueError, match=r"dimension|too deep"):
        ours(face)(np.ones((2, 7)), np.ones(3), "full", stride=2)


# ---------------------------------------------------------------- stride


@faces
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7, 100, np.int64(2)])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "b", "H", "i", "Q", "?", "e", "g", "O"])
def test_stride_is_slicing(face, dtype, stride):
    for n, k in [(13, 4), (4, 13), (8, 8), (1, 1), (40, 17)]:
        a, v = whole(n, dtype, n), whole(k, dtype, k)
        for mode in MODES:
            result = ours(face)(a, v, mode, stride=stride, accuracy="componentwise")
            expected = np.ascontiguousarray(getattr(np, face)(a, v, mode)[::stride])
            assert_identical(result, expected)
            assert_fresh(result)


@faces
def test_stride_applies_to_the_axis_only(face):
    a, v = whole((3, 11, 2)), whole(4, seed=1)
    for mode in MODES:
        result = ours(face)(a, v, mode, axis=1, stride=3)
        assert_identical(result, along_axis(FACES[face], a, v, mode, 1, 3).copy())


@faces
@pytest.mark.parametrize("stride", [0, -1, np.int64(-2)])
def test_stride_must_be_positive(face, stride):
    with pytest.raises(ValueError, match=r"stride must .*, got"):
        ours(face)([1.0, 2.0], [1.0], stride=stride)


@faces
@pytest.mark.parametrize("stride", [1.0, "2", None, [1], (2,)])
def test_stride_must_be_an_integer(face, stride):
    with pytest.raises(TypeError, match=r"stride must .*, got"):
        ours(face)([1.0, 2.0], [1.0], stride=stride)


# ---------------------------------------------------------------- out


def outs(expected):
    """Arrays of the right shape and dtype in every writeable layout, filled with a sentinel."""
    for layout in ("contiguous", "reversed", "spaced", "fortran", "misaligned", "field"):
        yield lay_out(np.full_like(expected, 77), layout)


@faces
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "b", "i", "Q", "?", "e", "g", "O"])
def test_out_receives_the_result_and_is_returned(face, dtype):
    a, v = whole(9, dtype), whole(4, dtype, 1)
    for mode, stride in itertools.product(MODES, (1, 2)):
        expected = ours(face)(a, v, mode, stride=stride)
        layouts = outs(expected) if dtype != "O" else [np.empty_like(expected)]
        for out in layouts:
            assert ours(face)(a, v, mode, stride=stride, out=out) is out
            np.testing.assert_array_equal(out, expected)


@faces
def test_out_of_many_rows(face):
    a, v = whole((3, 9, 2)), whole(4, seed=1)
    expected = along_axis(FACES[face], a, v, "same", 1)
    for out in outs(expected):
        assert ours(face)(a, v, "same", axis=1, out=out) is out
        np.testing.assert_array_equal(out, expected)


@faces
def test_out_leaves_its_neighbours_alone(face):
    buffer = np.full((5, 40), -1.0)
    out = buffer[1:4:2, 7:19:2]
    ours(face)(whole((2, 6)), [1.0, 2.0, 3.0], "same", axis=-1, out=out)
    assert (out != -1).all()
    assert np.count_nonzero(buffer != -1) == out.size


@faces
@pytest.mark.parametrize("shape", [(8,), (6,), (1, 7), (7, 1), (0,), ()])
def test_out_of_another_shape_is_a_value_error(face, shape):
    out = np.full(shape, 77.0)
    with pytest.raises(ValueError, match=r"out must .*, got"):
        ours(face)(np.ones(7), np.ones(3), "same", out=out)
    assert (out == 77).all()


@faces
@pytest.mark.parametrize("dtype", ["f", "D", "i", "?", "O", ">f8", "g"])
def test_out_of_another_dtype_is_refused(face, dtype):
    out = np.ones(7, dtype)
    before = out.copy()
    with pytest.raises((TypeError, ValueError), match=r"out must .*, got"):
        ours(face)(np.full(7, 5.0), np.ones(3), "same", out=out)
    np.testing.assert_array_equal(out, before)


@faces
def test_out_that_is_read_only_is_a_value_error(face):
    out = np.full(7, 77.0)
    out.flags.writeable = False
    with pytest.raises(ValueError, match=r"out must"):
        ours(face)(np.ones(7), np.ones(3), "same", out=out)
    assert (out == 77).all()


@faces
@pytest.mark.parametrize("out", [[0.0] * 7, (1.0,), 3.0, "out", memoryview(bytearray(56))])
def test_out_that_is_no_array_is_a_type_error(face, out):
    with pytest.raises(TypeError, match=r"out must .*, got"):
        ours(face)(np.ones(7), np.ones(3), "same", out=out)


@faces
def test_a_wrong_call_writes_nothing(face):
    out = np.full(7, 77.0)
    wrong = [{"stride": 0}, {"method": "x"}, {"accuracy": "x"}, {"workers": 0}, {"axis": 3}]
    for keyword in [*wrong, {"accuracy": "exact"}]:
        with pytest.raises(ValueError):
            ours(face)(np.ones(7), np.ones(3), "same", out=out, **keyword)
    with pytest.raises(ValueError):
        ours(face)(np.ones(7), np.ones(3), "x", out=out)
    assert (out == 77).all()


# Where `out` may lie over an operand of 12 samples, for a result of 12.
OVERLAPS = {
    "the signal itself": lambda buffer: (buffer[:12], buffer[14:17], buffer[:12]),
    "the signal, backwards": lambda buffer: (buffer[:12], buffer[14:17], buffer[11::-1]),
    "one sample later": lambda buffer: (buffer[:12], buffer[20:23], buffer[1:13]),
    "one sample earlier": lambda buffer: (buffer[1:13], buffer[20:23], buffer[:12]),
    "over the filter": lambda buffer: (buffer[:12], buffer[14:17], buffer[12:24]),
    "over both": lambda buffer: (buffer[:12], buffer[2:5], buffer[:12]),
    "between the samples": lambda buffer: (buffer[0:24:2], buffer[24:27], buffer[1:25:2]),
    "every other one": lambda buffer: (buffer[:12], buffer[24:27], buffer[0:24:2]),
}


@faces
@pytest.mark.parametrize("dtype", ["d", "F", "h"])
@pytest.mark.parametrize("place", OVERLAPS.values(), ids=OVERLAPS)
def test_out_may_overlap_the_operands(face, dtype, place):
    for method in ("auto", "direct"):
        buffer = whole(40, dtype, 5)
        a, v, out = place(buffer)
        expected = getattr(np, face)(a, v, "same")
        assert ours(face)(a, v, "same", method=method, out=out) is out
        np.testing.assert_array_equal(out, expected)


@given(st.data())
def test_out_may_overlap_in_any_way(data):
    buffer = whole(60, "i", 6)
    starts, steps = st.integers(0, 20), st.sampled_from([1, 2, 3, -1, -2])

    def view(n):
        step = data.draw(steps)
        start = data.draw(starts) + (-step * (n - 1) if step < 0 else 0)
        return np.lib.stride_tricks.as_strided(buffer[start:], (n,), (step * buffer.itemsize,))

    n, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6))
    a, v = view(n), view(k)
    mode, stride = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from([1, 2]))
    expected = np.convolve(a, v, mode)[::stride].copy()
    out = view(len(expected))
    fastconv.convolve(a, v, mode, stride=stride, out=out)
    np.testing.assert_array_equal(out, expected)


# ---------------------------------------------------------------- method, accuracy, workers


@faces
@pytest.mark.parametrize("method", ["fast", "", "DIRECT", "auto ", "fftconvolve"])
def test_unknown_methods_are_a_value_error_that_lists_the_known(face, method):
    with pytest.raises(ValueError, match=r"method must .*, got") as caught:
        ours(face)([1.0, 2.0], [1.0], method=method)
    for name in ("auto", *fastconv.paths.PATHS):
        assert name in str(caught.value)


@faces
@pytest.mark.parametrize("accuracy", ["fast", "", "Exact", "max"])
def test_unknown_accuracies_are_a_value_error_that_lists_the_known(face, accuracy):
    with pytest.raises(ValueError, match=r"accuracy must .*, got") as caught:
        ours(face)([1.0, 2.0], [1.0], accuracy=accuracy)
    for name in ("normwise", "componentwise", "exact"):
        assert name in str(caught.value)


@faces
@pytest.mark.parametrize("keyword", ["method", "accuracy"])
@pytest.mark.parametrize("value", [1, 2.0, b"auto", ["direct"]])
def test_method_and_accuracy_of_a_wrong_type_are_refused(face, keyword, value):
    with pytest.raises((TypeError, ValueError), match=f"{keyword} must .*, got"):
        ours(face)([1.0, 2.0], [1.0], **{keyword: value})


@faces
@pytest.mark.parametrize("dtype", ["d", "f", "F", "e", "g"])
def test_exact_floats_are_refused(face, dtype):
    with pytest.raises(ValueError, match="accuracy"):
        ours(face)(np.ones(5, dtype), np.ones(3, dtype), accuracy="exact")


@given(problems(dtypes=EXACT))
def test_whole_numbers_are_exact_whatever_is_asked(problem):
    request, a, v = problem
    if np.result_type(a, v).kind == "f":
        return
    expected = getattr(np, request.face)(a, v, request.mode)[:: request.stride].copy()
    for accuracy in (None, "normwise", "componentwise", "exact"):
        result = ours(request.face)(a, v, request.mode, stride=request.stride, accuracy=accuracy)
        assert_identical(result, expected)


@faces
@pytest.mark.parametrize("workers", [0, -1, -3])
def test_workers_must_be_positive(face, workers):
    with pytest.raises(ValueError, match=r"workers must .*, got"):
        ours(face)([1.0, 2.0], [1.0], workers=workers)


@faces
@pytest.mark.parametrize("workers", [1.0, "2", [1]])
def test_workers_must_be_an_integer(face, workers):
    with pytest.raises(TypeError, match=r"workers must .*, got"):
        ours(face)([1.0, 2.0], [1.0], workers=workers)


@faces
@pytest.mark.parametrize("workers", [1, 2, 3, 7, np.int64(2)])
def test_the_number_of_workers_changes_no_bit(face, workers):
    rng = np.random.default_rng(3)
    # Large enough for several bands, of one row and of many; and one that is too small.
    for (shape, taps, axis), dtype in itertools.product(MANY_BANDS, ["d", "f", "h"]):
        a, v = random_array(rng, dtype, shape), random_array(rng, dtype, taps)
        for mode, stride, method in [("full", 1, "auto"), ("same", 2, "direct"), (0, 1, "direct")]:
            keywords = {"axis": axis, "stride": stride, "method": method}
            alone = ours(face)(a, v, mode, workers=1, **keywords)
            together = ours(face)(a, v, mode, workers=workers, **keywords)
            assert_identical(together, alone)


MANY_BANDS = [((400_001,), (64,), None), ((70, 5000), (40,), -1), ((5,), (3,), 0)]


@pytest.mark.parametrize("taps", [1, 3, 4, 5, 8, 9, 16, 17, 40, 100])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F"])
def test_the_place_in_memory_changes_no_bit(dtype, taps):
    rng = np.random.default_rng(4)
    values, v = random_array(rng, dtype, 500), random_array(rng, dtype, taps)
    itemsize = np.dtype(dtype).itemsize
    buffer = np.zeros(500 + 128 // itemsize, dtype)
    first = fastconv.convolve(values, v, method="direct")
    for start in range(64 // itemsize):
        x = buffer[start : start + 500]
        x[:] = values
        assert_identical(fastconv.convolve(x, v, method="direct"), first)


# ---------------------------------------------------------------- all together


@given(problems(dtypes=["d", "i", "F"], smallest=1), st.integers(1, 3))
def test_keywords_combine(problem, workers):
    request, a, v = problem
    mode, stride = request.mode, request.stride
    keywords = {"axis": -1, "stride": stride, "accuracy": "componentwise", "workers": workers}
    rows = np.stack([a, a[::-1], a])
    length = len(getattr(np, request.face)(a, v, mode)[::stride])
    out = np.empty((3, length), np.result_type(a, v))
    result = ours(request.face)(rows, v, mode, method="direct", out=out, **keywords)
    assert result is out
    np.testing.assert_array_equal(result[0], result[2])
    guarantee = "exact" if result.dtype.kind == "i" else "componentwise"
    for row, signal in zip(result, (a, a[::-1], a), strict=True):
        assert_guaranteed(guarantee, row, request.face, signal, v, mode=mode, stride=stride)
