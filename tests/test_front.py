"""Compiled fronts: what they answer is what the function answers, and the rest they decline."""

import inspect
import pickle
import sys

import numpy as np
import pytest
from agreement import assert_fresh, assert_identical

import fastconv
from fastconv.runtime import bind
from fastconv.runtime.front import Front, extend, register
from fastconv.runtime.load import kernel, whole

pytestmark = pytest.mark.skipif(not bind.layout_is_known(), reason="arrays lie otherwise here")

X, W = np.arange(12.0), np.array([1.0, 2.0, 4.0])


def front(*dtypes, **keywords):
    made = Front({"full": 2, "same": 1, "valid": 0}, **keywords)
    for dtype in dtypes:
        kernel("rows", dtype)
        made.add(np.dtype(dtype), whole("rows", dtype))
    return made


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_it_answers_every_dtype_that_was_added(mode, dtype):
    entry = front("float64", "float32", "int64").entry
    x, w = X.astype(dtype), W.astype(dtype)
    result = entry(x, w, mode, None)
    assert_fresh(result)
    assert_identical(result, np.convolve(x, w, mode))
    out = np.empty_like(result)
    assert entry(x, w, mode, out) is out
    assert_identical(out, result)


def test_arrays_from_another_process_are_plain():
    entry = front("float64", "float32").entry
    x, w = pickle.loads(pickle.dumps((X, W)))
    assert x.dtype is not X.dtype
    for operands in ((x, w), (x, W), (X, w)):
        result = entry(*operands, "full", None)
        assert_identical(result, np.convolve(X, W))
        assert result.dtype is X.dtype
    out = pickle.loads(pickle.dumps(result))
    assert entry(X, W, "full", out) is out
    for other in (x.astype(">f8"), x.view("i8"), x.view("M8[s]"), x.astype("f4").repeat(2)):
        assert entry(other, W, "full", None) is None
    swapped = X.astype(pickle.loads(pickle.dumps(np.dtype(">f8"))))
    assert entry(swapped, swapped[:3], "full", None) is None


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize(
    "arguments",
    [
        (X, W, "".join(["fu", "ll"]), None),
        (X, W, 2, None),
        (X, W, "full", X),
        (X, W.astype("f"), "full", None),
        (X.astype("h"), W.astype("h"), "full", None),
        (X.view(Subclass), W, "full", None),
        (X, W.view(Subclass), "full", None),
        (list(X), W, "full", None),
        (X, list(W), "full", None),
        (X.reshape(3, 4), W, "full", None),
        (np.zeros(4000)[::2], W, "full", None),
        (X[:0], W, "full", None),
        (X, W, "full"),
        (X, W, "full", None, None),
        (),
    ],
    ids=str,
)
def test_it_declines_what_it_does_not_know(arguments):
    assert front("float64").entry(*arguments) is None


def test_a_kind_that_it_does_not_answer_is_not_added():
    made = front("float64", "complex128", kinds="biuf")
    assert made.entry(X, W, "full", None) is not None
    assert made.entry(X + 0j, W + 0j, "full", None) is None


def test_it_declines_until_a_kernel_extends_it():
    made = register("no kernel", Front({"full": 2}))
    assert made.entry(X, W, "full", None) is None
    kernel("rows", "float64")
    extend("no kernel", X.dtype, whole("rows", "float64"))
    assert_identical(made.entry(X, W, "full", None), np.convolve(X, W))


@pytest.mark.parametrize("name", ["convolve", "correlate", "convolve2d", "correlate2d"])
def test_the_function_behind_it_is_what_a_reader_sees(name):
    function = getattr(fastconv, name)
    signature = inspect.signature(function)
    assert function.__name__ == name
    assert signature.parameters["workers"].kind is inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(X, W, nonsense=1)


# ---------------------------------------------------------------- one filter


def bound(fallback):
    kernel("rows", "float64")
    return bind.bound(whole("rows", "float64"), W, 2, fallback)


def test_a_bound_filter_answers_plain_calls():
    call, out = bound(pytest.fail), np.empty(14)
    assert_fresh(call(X))
    assert_identical(call(X), np.convolve(X, W))
    for said in (call(X, out), call(X, out=out)):
        assert said is out
        assert_identical(out, np.convolve(X, W))
    assert_fresh(call(X, out=None))


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((), {}),
        ((X, None, None), {}),
        ((X, None), {"out": None}),
        ((), {"out": None}),
        ((X,), {"ou": None}),
        ((X,), {"out": None, "other": 1}),
        ((X,), {"out": X}),
        ((X, X), {}),
        ((X.astype("f"),), {}),
        ((list(X),), {}),
        ((X[:0],), {}),
    ],
    ids=str,
)
def test_what_a_bound_filter_declines_goes_on_as_it_came(arguments, keywords):
    found = bound(lambda *a, **k: (a, k))(*arguments, **keywords)
    assert len(found[0]) == len(arguments)
    assert all(a is b for a, b in zip(found[0], arguments, strict=True))
    assert list(found[1]) == list(keywords)
    assert all(found[1][name] is keywords[name] for name in keywords)


def test_errors_of_the_fallback_come_through_and_nothing_leaks():
    def refuses(*arguments):
        raise ValueError("no")

    call = bound(refuses)
    counts = [sys.getrefcount(o) for o in (refuses, X, W, call)]
    for _ in range(1000):
        with pytest.raises(ValueError, match="no"):
            call([1.0])
        call(X)
    after = [sys.getrefcount(o) for o in (refuses, X, W, call)]
    assert max(abs(a - b) for a, b in zip(after, counts, strict=True)) < 10
