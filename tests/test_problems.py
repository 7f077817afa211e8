"""Every path on every canonical Problem, also those that no face asks for yet.

Pads may be negative, windows may miss the signal, axes may differ in stride, dilation and boundary.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from agreement import assert_identical, assert_same_kind, assert_within
from hypothesis import example, given
from hypothesis import strategies as st
from reference import (
    componentwise_bound,
    correlate_nd,
    maximum_nd,
    normwise_bound,
    precise,
)
from strategies import any_value, finite

from fastconv.path import Operands
from fastconv.paths import PATHS, that_may_serve
from fastconv.planner import selector
from fastconv.problem import Problem, Structure

paths = pytest.mark.parametrize("path", list(PATHS))

LEAVING_OUT = ["zero", "reflect", "mirror", "nearest", "wrap"]


@dataclass(frozen=True)
class Task:
    """A Problem and its arrays."""

    problem: Problem
    x: np.ndarray
    w: np.ndarray
    fill: float = 0

    @property
    def shape(self):
        """The result's: interleaved signals lie along a last axis."""
        p = self.problem
        return (p.batch, *p.output, p.inner) if p.inner > 1 else (p.batch, *p.output)

    def computed_by(self, path):
        """The result of one path, mended where the path asks for it."""
        problem = self.problem
        out = np.full(self.shape, 77).astype(problem.dtype)
        operands = Operands(self.x.copy(), self.w.copy(), out, self.fill, 1)
        selector.run(problem, operands, path)
        return out

    def defined(self, x=None, w=None):
        """The same from the definition, one signal at a time."""
        p = self.problem
        x, w = self.x if x is None else x, self.w if w is None else w
        if p.inner > 1:
            rows = np.moveaxis(x, -1, 1).reshape(p.batch * p.inner, *p.signal)
            one = p._replace(batch=len(rows), inner=1)
            out = Task(one, rows, w, self.fill).defined()
            return np.moveaxis(out.reshape(p.batch, p.inner, *p.output), 1, -1)
        out = np.empty(self.shape, x.dtype)
        for b in range(p.batch):
            out[b] = self.defined_for_one(x[b], w[b % len(w)])
        return out

    def defined_for_one(self, x, w):
        """The definition for one signal and its filter."""
        p = self.problem
        keywords = {"stride": p.stride, "dilation": p.dilation}
        if p.reduction == "max":
            lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
            return maximum_nd(x, p.filter, p.pad, p.output, lowest=lowest, **keywords)
        keywords |= {"boundary": p.boundary, "fill": self.fill}
        return correlate_nd(x, w, p.pad, p.output, **keywords)


def supports(path, problem):
    """Whether the planner would let this path compute the problem."""
    verdict = next(v for v in selector.verdicts(problem, None) if v.name == path)
    assert verdict.why_not or PATHS[path] in that_may_serve(problem, True)
    return not verdict.why_not


@st.composite
def tasks(draw, dtypes=("float64", "float32", "complex128", "int16", "uint8"), elements=finite):
    """Any sum of products in one to three dimensions."""
    ndim = draw(st.sampled_from([1, 1, 1, 2, 2, 3]))
    longest, widest = {1: (30, 9), 2: (6, 4), 3: (3, 2)}[ndim]
    sizes = [draw(st.integers(1, longest)) for _ in range(ndim)]
    taps = [draw(st.integers(1, widest)) for _ in range(ndim)]
    stride = [draw(st.sampled_from([1, 1, 2, 3])) for _ in range(ndim)]
    dilation = [draw(st.sampled_from([1, 1, 2, 3])) for _ in range(ndim)]
    reach = [(k - 1) * d for k, d in zip(taps, dilation, strict=True)]
    # From windows that begin inside the signal to windows that miss it.
    pad = [draw(st.integers(-n, r + 2)) for n, r in zip(sizes, reach, strict=True)]
    output = [draw(st.integers(0, n + r)) for n, r in zip(sizes, reach, strict=True)]
    if draw(st.integers(0, 3)) == 0:
        boundary = ["fill"] * ndim
    else:
        boundary = [draw(st.sampled_from(["zero", *LEAVING_OUT])) for _ in range(ndim)]
    batch, shared = draw(st.sampled_from([1, 1, 2, 3])), draw(st.booleans())
    inner = draw(st.sampled_from([1, 1, 1, 2, 5])) if ndim == 1 and shared else 1
    dtype = draw(st.sampled_from(dtypes))
    axes = map(tuple, (sizes, taps, output, stride, dilation, pad, boundary))
    alone = batch > 1 and not shared and draw(st.booleans())
    problem = Problem(dtype, batch, shared, *axes, inner=inner, shared_signal=alone)
    count = 1 if alone else batch
    x = draw(values(dtype, (count, *sizes, inner) if inner > 1 else (count, *sizes), elements))
    x = np.broadcast_to(x, (batch, *x.shape[1:]))
    w = draw(values(dtype, (1 if shared else batch, *taps), finite))
    return Task(problem, x, w, draw(st.sampled_from([0, 1, 3])) if "fill" in boundary else 0)


@st.composite
def values(draw, dtype, shape, elements):
    """A packed array, as a face hands it on."""
    count = int(np.prod(shape))
    drawn = draw(st.lists(elements(dtype), min_size=count, max_size=count))
    return np.array(drawn, dtype).reshape(shape)


def one_axis(n, k, m, stride=1, dilation=1, pad=0, boundary="zero"):
    """A 1-D task with numbers that show which sample met which tap."""
    problem = Problem(
        "float64", 1, True, (n,), (k,), (m,), (stride,), (dilation,), (pad,), (boundary,)
    )
    return Task(problem, np.arange(1.0, n + 1)[None], 10.0 ** np.arange(k)[None])


def with_nan(task):
    """The same task with its last sample NaN."""
    task.x[0, -1] = np.nan
    return task


@paths
@given(task=tasks())
@example(task=one_axis(5, 2, 4, pad=-1))
@example(task=one_axis(5, 2, 9, pad=-3))  # the last windows miss the signal
@example(task=one_axis(5, 2, 4, pad=9))  # so do the first ones
@example(task=one_axis(2, 5, 6, pad=4, boundary="mirror"))
@example(task=one_axis(7, 3, 3, stride=2, dilation=2, pad=1))
@example(task=one_axis(4, 2, 0))
def test_a_path_computes_what_the_definition_says(path, task):
    problem = task.problem
    if not supports(path, problem):
        return
    result = task.computed_by(path)
    guarantee = PATHS[path].guarantee(problem)
    if guarantee == "exact":
        assert_identical(result, task.defined())
        return
    dtype = problem.dtype
    exact = task.defined(precise(task.x, dtype), precise(task.w, dtype))
    if guarantee == "componentwise":
        around = Task(problem, task.x, task.w, abs(task.fill))
        bound = componentwise_bound(around.defined, task.x, task.w, problem.taps, dtype)
    else:
        # A boundary shows a sample several times: no more often than there are taps and outputs.
        largest = np.abs(task.x).max(initial=abs(task.fill))
        times = problem.taps + int(np.prod(np.multiply(problem.output, problem.stride)))
        seen = np.full(times, largest)
        bound = normwise_bound(seen, task.w, dtype)
    assert_within(result, exact, bound)


@paths
@given(task=tasks(dtypes=("float64", "float32", "complex64"), elements=any_value))
@example(task=with_nan(one_axis(4, 1, 3, stride=2, boundary="reflect")))  # seen twice
@example(task=with_nan(one_axis(4, 2, 9, pad=4, boundary="wrap")))
def test_what_is_not_finite_stands_where_the_definition_has_it(path, task):
    problem = task.problem
    if not supports(path, problem) or set(problem.boundary) > {"zero"}:
        return  # where rules differ per axis, a zero outside may be multiplied
    assert_same_kind(task.computed_by(path), task.defined())


@paths
@given(task=tasks(dtypes=("float64", "int16")))
def test_a_part_of_a_problem_gives_a_part_of_its_result(path, task):
    problem = task.problem
    if not supports(path, problem) or PATHS[path].guarantee(problem) == "normwise":
        return
    lows = tuple(m // 3 for m in problem.output)
    highs = tuple(m - m // 4 for m in problem.output)
    part = Task(problem.part(lows, highs, problem.batch), task.x, task.w, task.fill)
    inside = tuple(slice(lo, hi) for lo, hi in zip(lows, highs, strict=True))
    whole = task.computed_by(path)[(slice(None), *inside)]
    exact = np.abs(whole).max(initial=0)
    np.testing.assert_allclose(part.computed_by(path), whole, rtol=1e-13, atol=1e-10 * exact)


@paths
@given(data=st.data())
def test_a_maximum_is_its_definition(path, data):
    task = data.draw(tasks(dtypes=("float64", "float32", "int16", "uint8"), elements=any_value))
    zeros = ("zero",) * task.problem.ndim
    problem = task.problem._replace(boundary=zeros, shared_filter=True, reduction="max")
    if not supports(path, problem):
        return
    task = Task(problem, task.x, task.w[:1])
    np.testing.assert_array_equal(task.computed_by(path), task.defined())


@paths
def test_a_path_refuses_what_it_cannot_reduce(path):
    one = one_axis(5, 2, 4).problem
    axes = ("signal", "filter", "output", "stride", "dilation", "pad", "boundary")
    two = one._replace(**{axis: 2 * getattr(one, axis) for axis in axes})
    factored = two._replace(structure=Structure(1, "componentwise"))
    some = (one, two, one._replace(dtype="int64"), one._replace(up=2), factored)
    problem = next((p for p in some if supports(path, p)), one)
    assert not (supports(path, problem) and supports(path, problem._replace(reduction="max")))


@paths
@pytest.mark.parametrize("dtype", ["float64", "int16", "complex64"])
def test_a_path_leaves_no_output_unwritten(path, dtype):
    for n, k, pad in itertools.product([1, 3, 40], [1, 2, 7], [-50, -3, 0, 3, 50]):
        problem = Problem(dtype, 2, True, (n,), (k,), (60,), (1,), (1,), (pad,), ("zero",))
        if not supports(path, problem):
            continue
        task = Task(problem, np.zeros((2, n), dtype), np.ones((1, k), dtype))
        assert (task.computed_by(path) == 0).all()


def test_a_problem_is_a_key():
    assert one_axis(5, 2, 4).problem == one_axis(5, 2, 4).problem
    assert len({one_axis(5, 2, 4).problem, one_axis(5, 2, 4).problem}) == 1
    assert one_axis(5, 2, 4).problem != one_axis(5, 2, 4, pad=1).problem
    with pytest.raises(AttributeError):
        one_axis(5, 2, 4).problem.batch = 2
