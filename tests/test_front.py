"""Compiled fronts: what they answer is what the function answers, and the rest they decline."""

import copy
import functools
import gc
import inspect
import pickle
import sys
import time
import typing
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from agreement import assert_fresh, assert_identical

import fastconv
from fastconv.runtime import bind, entry, switch
from fastconv.runtime.front import Front, declines, extend, register
from fastconv.runtime.load import kernel, whole

pytestmark = pytest.mark.skipif(not bind.layout_is_known(), reason="arrays lie otherwise here")

X, W = np.arange(12.0), np.array([1.0, 2.0, 4.0])


@pytest.fixture(autouse=True, params=[False] if entry.MORE else [True, False])
def can_change(request, monkeypatch):
    """As this interpreter has it and as one without a GIL does."""
    monkeypatch.setattr(switch, "_CAN_CHANGE", request.param)


def refuses(*arguments, **keywords):
    raise AssertionError("a plain call was not answered")


MODES = {"full": 2, "same": 1, "valid": 0}


def front(*dtypes, fallback=declines, **keywords):
    made = Front(fallback, {"mode": MODES}, **keywords)
    for dtype in dtypes:
        kernel("rows", dtype)
        made.add(np.dtype(dtype), whole("rows", dtype))
    return made


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_it_answers_every_dtype_that_was_added(mode, dtype):
    call = front("float64", "float32", "int64", fallback=refuses)
    x, w = X.astype(dtype), W.astype(dtype)
    result = call(x, w, mode)
    assert_fresh(result)
    assert_identical(result, np.convolve(x, w, mode))
    out = np.empty_like(result)
    for said in (call(x, w, mode, out=out), call(x, w, out=out, mode=mode)):
        assert said is out
        assert_identical(out, result)
    assert_identical(call(x, w, mode=mode, out=None), result)


def test_what_is_not_said_is_usual():
    call = front("float64", fallback=refuses)
    assert_identical(call(X, W), np.convolve(X, W))
    assert_identical(call(X, W, out=np.empty(14)), np.convolve(X, W))


def test_arrays_from_another_process_are_plain():
    call = front("float64", "float32")
    x, w = pickle.loads(pickle.dumps((X, W)))
    assert x.dtype is not X.dtype
    for operands in ((x, w), (x, W), (X, w)):
        result = call(*operands)
        assert_identical(result, np.convolve(X, W))
        assert result.dtype is X.dtype
    out = pickle.loads(pickle.dumps(result))
    assert call(X, W, out=out) is out
    for other in (x.astype(">f8"), x.view("i8"), x.view("M8[s]"), x.astype("f4").repeat(2)):
        assert call(other, W) is None
    swapped = X.astype(pickle.loads(pickle.dumps(np.dtype(">f8"))))
    assert call(swapped, swapped[:3]) is None


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        ((X, W, "".join(["fu", "ll"])), {}),
        ((X, W, 2), {}),
        ((X, W, None), {}),
        ((X, W), {"mode": None}),
        ((X, W, "full"), {"mode": "full"}),
        ((X, W), {"out": X}),
        ((X, W), {"ou": None}),
        ((X, W), {"out": None, "workers": None}),
        ((X, W, "full", None), {}),
        ((X, W.astype("f")), {}),
        ((X.astype("h"), W.astype("h")), {}),
        ((X.view(Subclass), W), {}),
        ((X, W.view(Subclass)), {}),
        ((list(X), W), {}),
        ((X, list(W)), {}),
        ((X.reshape(3, 4), W), {}),
        ((np.zeros(4000)[::2], W), {}),
        ((X[:0], W), {}),
        ((X,), {"v": W}),
        ((), {"a": X, "v": W}),
        ((), {}),
    ],
    ids=str,
)
def test_what_it_does_not_know_goes_on_as_it_came(arguments, keywords):
    call = front("float64", fallback=lambda *a, **k: (a, k))
    assert isinstance(call(X, W), np.ndarray)
    found = call(*arguments, **keywords)
    assert len(found[0]) == len(arguments)
    assert all(a is b for a, b in zip(found[0], arguments, strict=True))
    assert list(found[1]) == list(keywords)
    assert all(found[1][name] is keywords[name] for name in keywords)


def test_a_kind_that_it_does_not_answer_is_not_added():
    call = front("float64", "complex128", kinds="biuf")
    assert call(X, W) is not None
    assert call(X + 0j, W + 0j) is None


def test_it_calls_the_function_until_a_kernel_extends_it():
    call = register("no kernel", Front(declines, {"mode": MODES}))
    assert call(X, W) is None
    kernel("rows", "float64")
    extend("no kernel", X.dtype, whole("rows", "float64"))
    assert_identical(call(X, W), np.convolve(X, W))


def test_more_choices_than_there_is_room_for_are_refused():
    with pytest.raises(ValueError, match="choices must be fewer than 8, got 8"):
        bind.plain("f", {X.dtype: whole("rows", "float64")}, declines, dict.fromkeys("abcdefgh"))


@pytest.mark.parametrize("name", ["convolve", "correlate", "convolve2d", "correlate2d"])
def test_the_function_behind_it_is_what_a_reader_sees(name):
    function = getattr(fastconv, name)
    signature = inspect.signature(function)
    assert function.__name__ == name
    assert inspect.getdoc(function) == inspect.getdoc(function.__wrapped__)
    assert signature.parameters["workers"].kind is inspect.Parameter.KEYWORD_ONLY
    assert set(typing.get_type_hints(function)) == {*signature.parameters, "return"}
    assert repr(function) == f"<function {function.__module__}.{name}>"
    assert f"{name}(" in inspect.getsource(function)
    with pytest.raises(TypeError, match=rf"{name}\(\).* unexpected keyword"):
        function(X, W, nonsense=1)


def test_a_function_is_pickled_and_copied_by_its_name_and_binds_as_a_method():
    function = fastconv.convolve
    function(X, W)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is copy.copy(function) is function
    method = type("Method", (), {"call": function}).__dict__["call"].__get__(X)
    assert_identical(method(W), np.convolve(X, W))
    later = functools.partial(function, mode="same")
    assert_identical(later(X, W), np.convolve(X, W, "same"))


def test_threads_may_call_while_dtypes_are_added():
    dtypes = ["float64", "float32", "int64", "int32"]
    for dtype in dtypes:
        kernel("rows", dtype)
    call, expected = front(fallback=np.convolve), np.convolve(X, W)

    def calls():
        return all(np.array_equal(call(X, W), expected) for _ in range(20_000))

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(calls) for _ in range(4)]
        for dtype in dtypes:
            call.add(np.dtype(dtype), whole("rows", dtype))
            time.sleep(0.01)
        assert all(future.result() for future in running)


# ---------------------------------------------------------------- one filter


def bound(fallback):
    kernel("rows", "float64")
    return bind.plain("f", {W.dtype: whole("rows", "float64")}, fallback, {}, W, 2)


def test_a_bound_filter_answers_plain_calls():
    call, out = bound(refuses), np.empty(14)
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
    def no(*arguments):
        raise ValueError("no")

    call = bound(no)
    counts = [sys.getrefcount(o) for o in (no, X, W, call)]
    for _ in range(1000):
        with pytest.raises(ValueError, match="no"):
            call([1.0])
        call(X)
    after = [sys.getrefcount(o) for o in (no, X, W, call)]
    assert max(abs(a - b) for a, b in zip(after, counts, strict=True)) < 10


def test_a_prepared_filter_shows_its_signature_and_goes_when_it_is_dropped():
    prepared = fastconv.prepare(W)
    prepared(X)
    assert list(inspect.signature(prepared).parameters) == ["a", "out"]
    later, reference = functools.partial(prepared, out=np.empty(14)), weakref.ref(prepared)
    gc.disable()
    try:
        del prepared
        assert_identical(later(X), np.convolve(X, W))
        assert_identical(later(list(X)), np.convolve(X, W))
        del later
        assert reference() is None
    finally:
        gc.enable()


def test_a_mode_that_is_no_literal_is_known_all_the_same():
    mode = "".join(["va", "lid"])
    for name in ("convolve", "correlate"):
        ours, numpys = getattr(fastconv, name), getattr(np, name)
        assert_identical(ours(X, W, mode), numpys(X, W, mode))
        out = np.empty(10)
        assert ours(X, W, mode, out=out) is out
        assert_identical(out, numpys(X, W, mode))
