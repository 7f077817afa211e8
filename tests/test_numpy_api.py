"""Without keywords fastconv.convolve and correlate are NumPy's, down to each wrong call."""

import array
import inspect
import threading
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from agreement import assert_fresh, assert_identical

import fastconv

PAIRS = [(fastconv.convolve, np.convolve), (fastconv.correlate, np.correlate)]
faces = pytest.mark.parametrize(("ours", "numpys"), PAIRS, ids=["convolve", "correlate"])


def outcome(function, *args):
    """What a call does: its exception and message, or its result with type, dtype and layout."""
    try:
        result = function(*args)
    except Exception as error:
        return type(error), str(error)
    return type(result), result.dtype, result.shape, result.tolist()


# ---------------------------------------------------------------- known answers


@pytest.mark.parametrize(
    ("a", "v", "mode", "expected"),
    [
        ([1, 2, 3], [0, 1, 0.5], "full", [0, 1, 2.5, 4, 1.5]),
        ([1, 2, 3], [0, 1, 0.5], "same", [1, 2.5, 4]),
        ([1, 2, 3], [0, 1, 0.5], "valid", [2.5]),
        ([1, 2, 3, 4, 5], [1, 1, 1, 2], "same", [3, 6, 11, 16, 15]),
        ([1, 1, 1, 2], [1, 2, 3, 4, 5], "same", [3, 6, 11, 16, 15]),
        ([1, 2], [1, 10, 100, 1000], "same", [1, 12, 120, 1200]),
        (3, 4, "full", [12]),
        ([1, 2], 3, "full", [3, 6]),
    ],
)
def test_convolve_gives_known_answers(a, v, mode, expected):
    np.testing.assert_array_equal(fastconv.convolve(a, v, mode), expected)


@pytest.mark.parametrize(
    ("a", "v", "mode", "expected"),
    [
        ([1, 2, 3], [0, 1, 0.5], "valid", [3.5]),
        ([1, 2, 3], [0, 1, 0.5], "same", [2, 3.5, 3]),
        ([1, 2, 3], [0, 1, 0.5], "full", [0.5, 2, 3.5, 3, 0]),
        ([1, 2, 3, 4, 5], [1, 1, 1, 2], "same", [5, 9, 14, 19, 12]),
        ([1, 2], [1, 2, 3, 4], "same", [11, 8, 5, 2]),
        ([1j, 1], [1 + 1j, 2, 3], "full", [3j, 3 + 2j, 3 + 1j, 1 - 1j]),
        ([1j, 1], [1 + 1j, 2, 3], "same", [3 + 2j, 3 + 1j, 1 - 1j]),
        ([1, 2j], [1j], "valid", [-1j, 2]),
    ],
)
def test_correlate_gives_known_answers(a, v, mode, expected):
    np.testing.assert_array_equal(fastconv.correlate(a, v, mode), expected)


def test_correlate_is_valid_by_default_and_convolve_is_full():
    assert len(fastconv.correlate([1, 2, 3], [1, 1])) == 2
    assert len(fastconv.convolve([1, 2, 3], [1, 1])) == 4


@pytest.mark.parametrize("first", [1, 2, 3])
def test_the_first_and_the_last_output_are_not_special(first):
    result = fastconv.convolve([first, 10, 100, 1000], [1, 2])
    assert result.tolist() == [first, 10 + 2 * first, 120, 1200, 2000]


# ---------------------------------------------------------------- the call


@faces
def test_signature_is_numpys_and_then_keywords_only(ours, numpys):
    theirs = list(inspect.signature(numpys).parameters.values())
    parameters = list(inspect.signature(ours).parameters.values())
    assert [(p.name, p.default) for p in parameters[:3]] == [(p.name, p.default) for p in theirs]
    gaps = {
        "nan_policy": "propagate",
        "mask": None,
        "sample_weights": None,
        "min_count": 1,
        "normalize": None,
    }
    assert {p.name: p.default for p in parameters[3:]} == {
        "axis": None,
        "stride": 1,
        "method": "auto",
        "accuracy": None,
        "out": None,
        "workers": None,
        "structure": True,
        "max_memory": None,
        "policy": None,
    } | (gaps if ours is fastconv.convolve else {})
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters[3:])


@faces
def test_operands_and_mode_have_numpys_keyword_names(ours, numpys):
    assert_identical(ours(a=[1, 2, 3], v=[1, 1], mode="same"), numpys([1, 2, 3], [1, 1], "same"))


@faces
@pytest.mark.parametrize("args", [(), ([1],), ([1], [1], "full", 1)])
def test_wrong_number_of_arguments_is_a_type_error(ours, numpys, args):
    with pytest.raises(TypeError):
        numpys(*args)
    with pytest.raises(TypeError):
        ours(*args)


@faces
def test_unknown_keywords_are_a_type_error(ours, numpys):
    with pytest.raises(TypeError, match="unexpected keyword"):
        ours([1], [1], boundary="fill")


# ---------------------------------------------------------------- modes

GOOD_MODES = [
    "valid",
    "same",
    "full",
    0,
    1,
    2,
    np.int64(2),
    np.uint8(1),
    np.str_("full"),
    np.array(2),
]
BAD_WORDS = ["f", "s", "v", "Full", "FULL", "fu", "va", "sam", "full ", "x", "", "c", "\u00e9"]
BAD_NUMBERS = [3, -1, 2**70, np.int64(7), True, False, np.True_, 1.0, 2.0]
BAD_TYPES = [None, b"full", [2], (2,), {}, np.array([2]), np.array([2, 2])]


@faces
@pytest.mark.parametrize("mode", GOOD_MODES, ids=repr)
def test_modes_are_three_words_or_three_integers(ours, numpys, mode):
    for a, v in [([1, 2, 3, 4], [1, 10]), ([1, 10], [1, 2, 3, 4]), ([1, 2], [3, 4])]:
        assert_identical(ours(a, v, mode), numpys(a, v, mode))


@faces
@pytest.mark.parametrize("mode", [*BAD_WORDS, *BAD_NUMBERS, *BAD_TYPES], ids=repr)
def test_every_other_mode_raises_what_numpy_raises(ours, numpys, mode):
    expected = outcome(numpys, [1, 2, 3], [1, 2], mode)
    assert issubclass(expected[0], Exception)
    assert outcome(ours, [1, 2, 3], [1, 2], mode) == expected


# ---------------------------------------------------------------- operands NumPy takes or refuses

# Made anew for each call: a generator is used up by the first.
OPERANDS = {
    "empty a": lambda: ([], [1]),
    "empty v": lambda: ([1, 2], []),
    "empty v that is longer elsewhere": lambda: (np.zeros(3), np.zeros(0)),
    "both empty": lambda: ([], []),
    "two numbers": lambda: (3, 4),
    "number and list": lambda: (3, [1, 2]),
    "list and number": lambda: ([1, 2], 3),
    "bool and number": lambda: (True, 2),
    "0-d arrays": lambda: (np.array(3.0), np.array(2.0)),
    "2-D a": lambda: ([[1, 2]], [1]),
    "2-D v": lambda: ([1], [[1, 2]]),
    "2-D both": lambda: (np.ones((2, 2)), np.ones((2, 2))),
    "2-D and empty": lambda: (np.zeros((0, 3)), [1]),
    "empty and 2-D": lambda: (np.zeros(0), np.ones((1, 1))),
    "2-D with empty rows": lambda: (np.zeros((2, 0)), [1]),
    "3-D": lambda: (np.ones((1, 1, 1)), [1]),
    "None and list": lambda: (None, [1]),
    "list and None": lambda: ([1], None),
    "generator": lambda: ((x for x in [1]), [1]),
    "set": lambda: ({1, 2}, [1]),
    "dict": lambda: ({1: 2}, [1]),
    "str": lambda: ("abc", [1]),
    "bytes": lambda: (b"a", [1]),
    "list with str": lambda: ([1, "a"], [1]),
    "lists of str": lambda: (["a"], ["b"]),
    "ragged": lambda: ([1, [2]], [1]),
    "range": lambda: (range(3), [1, 2]),
    "tuple": lambda: ((1, 2, 3), (1.5, 2)),
    "array.array": lambda: (array.array("d", [1, 2, 3]), array.array("f", [1, 2])),
    "memoryview": lambda: (memoryview(b"\x01\x02\x03"), [1, 2]),
    "booleans": lambda: ([True, False, True], [True, True]),
    "python int beyond int64": lambda: ([2**70, 1], [2, 3]),
    "python int beyond int64 but not uint64": lambda: ([2**63], [2]),
    "fractions": lambda: ([Fraction(1, 2), Fraction(1, 3)], [2, Fraction(3, 7)]),
    "decimals": lambda: ([Decimal(1), Decimal("0.5")], [Decimal(2)]),
    "objects": lambda: (np.array([1, 2.5, 3j], object), [1, 2]),
    "strings repeated and joined": lambda: (np.array(["a", "b"], object), np.array([1, 2], object)),
    "object None": lambda: (np.array([None], object), [1]),
    "datetime": lambda: (np.array([1, 2], "M8[s]"), [1]),
    "timedelta and int": lambda: (np.array([1, 2, 3], "m8[s]"), [1, 2]),
    "int and timedelta": lambda: ([1], np.array([1, 2], "m8[ms]")),
    "timedelta and bool": lambda: (np.array([1, 2], "m8[s]"), np.array([True])),
    "timedelta and timedelta": lambda: (np.array([1, 2], "m8[s]"), np.array([1], "m8[s]")),
    "timedelta and float": lambda: (np.array([1, 2], "m8[s]"), [1.5]),
    "not a time": lambda: (np.array([1, "NaT"], "m8[s]"), [2]),
    "structured": lambda: (np.array([(1, 2)], "i,i"), [1]),
    "void": lambda: (np.zeros(2, "V4"), [1]),
    "float16 overflow": lambda: (np.float16([6e4, 6e4]), np.float16([2, 2])),
    "float64 overflow": lambda: ([1e308, 1e308], [10.0, 10.0]),
    "infinity minus infinity": lambda: ([np.inf, np.inf], [1.0, -1.0]),
    "single float and python float": lambda: (np.float32([1, 2]), [1.5]),
    "int64 and uint64": lambda: (np.array([2**53 + 1]), np.array([1], "u8")),
    "masked": lambda: (np.ma.array([1, 2, 3], mask=[0, 1, 0]), [1, 1]),
    "big-endian": lambda: (np.array([1, 2, 3], ">i4"), np.array([1, 2], ">f8")),
}


@faces
@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_whatever_numpy_does_with_odd_operands_we_do(ours, numpys, operands, mode):
    theirs = repr(outcome(numpys, *operands(), mode))  # repr, for NaN
    assert repr(outcome(ours, *operands(), mode)) == theirs


@pytest.mark.parametrize(
    ("a", "v", "message"),
    [([], [1, 2], "a cannot be empty"), ([1, 2], [], "v cannot be empty"), ([], [], "a cannot")],
)
def test_convolve_names_the_operand_that_is_empty(a, v, message):
    with pytest.raises(ValueError, match=message):
        fastconv.convolve(np.array(a), np.array(v))


@faces
@pytest.mark.parametrize("mode", ["x", 7, None])
@pytest.mark.parametrize("operands", [([], [1]), ([[1]], [1]), (["a"], [1])], ids=repr)
def test_of_two_errors_the_same_one_is_reported(ours, numpys, operands, mode):
    assert outcome(ours, *operands, mode) == outcome(numpys, *operands, mode)


class Distance:
    """An object with `__array__` and nothing else."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0, 3.0], dtype)


@faces
def test_objects_with_an_array_method_are_arrays(ours, numpys):
    assert_identical(ours(Distance(), [1, 2], "full"), numpys(Distance(), [1, 2], "full"))
    assert_identical(ours([1, 2], Distance(), "full"), numpys([1, 2], Distance(), "full"))


class Quantity:
    """A foreign array that implements NumPy's functions itself and says which one was called."""

    def __array_function__(self, function, types, args, kwargs):
        call = inspect.signature(function).bind(*args, **kwargs)
        call.apply_defaults()
        return function.__name__, types, call.arguments


@faces
def test_foreign_arrays_answer_for_themselves(ours, numpys):
    quantity = Quantity()
    assert ours(quantity, [1], "same") == numpys(quantity, [1], "same")
    assert ours([1], quantity) == numpys([1], quantity)
    assert ours(a=quantity, v=[1], mode="full") == numpys(a=quantity, v=[1], mode="full")


class Refusing:
    """A foreign array that implements nothing."""

    def __array_function__(self, function, types, args, kwargs):
        return NotImplemented


@faces
def test_foreign_arrays_may_refuse(ours, numpys):
    with pytest.raises(TypeError, match="no implementation found"):
        numpys(Refusing(), [1])
    with pytest.raises(TypeError, match="no implementation found"):
        ours(Refusing(), [1])


# ---------------------------------------------------------------- subclasses


class Tagged(np.ndarray):
    """A plain subclass."""


class Important(Tagged):
    """A subclass that wins over Tagged."""

    __array_priority__ = 5


@faces
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_drops_subclasses_and_correlate_keeps_them(ours, numpys, mode):
    plain, tagged = np.arange(5.0), np.arange(3.0).view(Tagged)
    important = np.arange(4.0).view(Important)
    masked = np.ma.array(np.arange(4.0), mask=[0, 1, 0, 0])
    operands = [plain, tagged, important, masked]
    for a in operands:
        for v in operands:
            result, expected = ours(a, v, mode), numpys(a, v, mode)
            assert type(result) is type(expected)
            assert_identical(np.array(result), np.array(expected))


# ---------------------------------------------------------------- the result


@faces
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("v", [[1.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]], ids=len)
def test_the_result_is_fresh(ours, numpys, mode, v):
    a, v = np.arange(3.0), np.array(v)
    result = ours(a, v, mode)
    assert_fresh(result)
    assert result.base is None
    assert not np.shares_memory(result, a)
    assert not np.shares_memory(result, v)


@faces
def test_operands_are_left_as_they_were(ours, numpys):
    for dtype in ("d", "F", "h", "?"):
        a, v = np.ones(100, dtype), np.ones(3, dtype)
        a[::7] = 0
        before = a.copy(), v.copy()
        ours(a, v, "same")
        ours(v, a, "full")
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(v, before[1])


@faces
def test_sums_start_from_positive_zero(ours, numpys):
    for dtype in "fdFDeg":
        for taps in (1, 2, 3, 12, 40):
            a, v = np.full(20, -0.0, dtype), np.ones(taps, dtype)
            # A transform rounds to zeros of either sign; it is not for this size, nor promised.
            keywords = {} if taps <= 3 else {"accuracy": "componentwise"}
            result = ours(a, v, "full", **keywords)
            assert_identical(result, numpys(a, v, "full"))
            assert not np.signbit(result.real).any()


@faces
def test_overflow_and_nan_are_silent(ours, numpys):
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        for dtype in "efdgFD":
            top = np.finfo(dtype).max
            a = np.array([top, top, np.inf, -np.inf, np.nan, 1], dtype)
            v = np.array([top, -top, 1], dtype)
            result, expected = ours(a, v, "full"), numpys(a, v, "full")
            np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))
        ours(np.int8([127]), np.int8([127]))


@faces
def test_only_touched_outputs_become_nan(ours, numpys):
    np.testing.assert_array_equal(ours([np.inf, 1, 2], [1.0, 1.0], "full")[2:], [3, 2])
    for a, v in [([np.inf, 1, 2], [0.0, 1.0]), ([1, np.nan, 3, 4], [1.0, 1.0])]:
        np.testing.assert_array_equal(ours(a, v, "full"), numpys(a, v, "full"))


# ---------------------------------------------------------------- threads


@faces
def test_threads_may_call_at_the_same_time(ours, numpys):
    rng = np.random.default_rng(0)
    jobs = [(rng.integers(-99, 99, 3000), rng.integers(-9, 9, taps)) for taps in range(1, 17)]
    results = [None] * len(jobs)

    def work(number):
        for _ in range(5):
            results[number] = ours(*jobs[number], "full")

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job, result in zip(jobs, results, strict=True):
        assert_identical(result, numpys(*job, "full"))


@faces
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "i", "B", "e", "g"])
@pytest.mark.parametrize(("n", "k"), [(1, 7), (4, 9), (5, 300), (200, 1000)])
def test_no_order_of_operands_takes_the_long_way(ours, numpys, mode, dtype, n, k, monkeypatch):
    rng = np.random.default_rng(n)
    a, v = (rng.integers(-3, 4, size).astype(dtype) for size in (n, k))
    if dtype == "D":
        a, v = a + 1j, v - 2j * v[::-1]
    ours(a, v, mode)  # The kernel is there now.
    monkeypatch.setattr("fastconv.numpy_request.answer", None)
    for operands in ((a, v), (v, a), (a[::-1], v[::-1])):
        expected = numpys(*operands, mode)
        result = ours(*operands, mode)
        assert_fresh(result)
        assert_identical(result, expected)
        if dtype != "g":
            out = np.empty_like(expected)
            assert ours(*operands, mode, out=out) is out
            assert_identical(out, expected)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int64", "int16", "complex128", "complex64", "bool"]
)
@pytest.mark.parametrize("k", [255, 256, 257, 300, 5000])
def test_filters_as_long_as_the_signal_leave_few_outputs(k, dtype):
    rng = np.random.default_rng(k)
    for m in (1, 2, 3, 8, 16, 17, 25):
        x = (rng.standard_normal(k + m - 1) * 9).astype(dtype)
        w = (rng.standard_normal(2 * k) * 9).astype(dtype)
        for taps in (w[:k], w[k - 1 :: -1], w[::2], np.frombuffer(b"." + w[:k].tobytes(), "V1")):
            if taps.dtype == "V1":
                taps = taps[1:].view(dtype)  # Not aligned.
            for ours, numpys in (
                (fastconv.convolve, np.convolve),
                (fastconv.correlate, np.correlate),
            ):
                for a, v in ((x, taps), (taps, x)):
                    want = numpys(a, v, "valid")
                    scale = np.abs(x).sum() * np.abs(taps).max() if x.dtype.kind in "fc" else 0
                    bound = scale * np.finfo(dtype).eps if scale else 0
                    assert_fresh(got := ours(a, v, "valid"))
                    assert got.dtype == want.dtype
                    assert np.all(np.abs(got - want) <= bound) if scale else (got == want).all()
                    out = np.empty_like(want)
                    assert ours(a, v, "valid", out=out) is out
                    if x.dtype.kind != "c":  # NumPy's BLAS and our loop round otherwise.
                        assert_identical(out, got)
                    assert np.all(np.abs(out - want) <= bound) if scale else True


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("first", [0, 7, 290, 300])
def test_out_may_lie_in_a_long_filter(name, first):
    rng = np.random.default_rng(first)
    x, memory = rng.standard_normal(315), rng.standard_normal(340)
    w = memory[:300]
    want = getattr(np, name)(x, w, "valid")
    out = memory[first : first + 16]
    assert getattr(fastconv, name)(x, w, "valid", out=out) is out
    np.testing.assert_allclose(out, want, rtol=0, atol=1e-12)
