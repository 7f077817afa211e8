"""What every face asks of the engine: keywords checked, operands packed, `out` kept safe."""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import budget, continued
from .forms import Forms
from .path import Operands
from .planner import selector
from .planner.structure import Finding, describe, examine, pays, used_taps
from .problem import Problem
from .records import NamedTuple
from .runtime import threads

if TYPE_CHECKING:
    from .planner.explain import Explanation

Array = npt.NDArray[Any]

# What a request costs besides its sums.
_EACH_SECONDS = 1e-4
# Images of fewer samples are converted together, not one by one where they are computed.
_CONVERTED_AT_ONCE = 1 << 14
# Interleaved signals of narrow numbers that fill less than a vector are turned: 8000 x 5 int16 with
# 280 taps take 6.5 ms as they lie, 0.5 so. The copies cost doubles more than they win, but where
# rates change (300,000 x 2 by 3/2: 19 ms and 9), of as many as fill a few where there are many
# phases, each a call (5000 x 8 by 147/160: 2.1 ms and 0.5).
_TURNED_BYTES, _VECTOR_BYTES, _MANY_PHASES, _FEW_VECTORS = 4, 32, 32, 2


class Settings(NamedTuple):
    """The keywords that all faces share.

    Parameters
    ----------
    method : str
        "auto" or a path's name.
    accuracy : {None, "normwise", "componentwise", "exact"}
        The least guarantee that is acceptable; None accepts every path.
    out : ndarray or None
        Where the result goes.
    workers : int or None
        The most threads; None for as many as there are CPUs.
    structure : bool
        Whether to look for what is special about the filter.
    forms : Forms, optional
        Where what is made of the filter is kept.
    max_memory : int, optional
        The most bytes to allocate beside the operands and the result.
    """

    method: str = selector.AUTO
    accuracy: str | None = None
    out: Array | None = None
    workers: int | None = None
    structure: bool = True
    forms: Forms | None = None
    max_memory: int | None = None

    @property
    def plain(self) -> bool:
        """Whether all of them have their defaults."""
        rest = (self.accuracy, self.out, self.workers, self.max_memory)
        known = self.method == selector.AUTO and self.structure is True
        return known and all(value is None for value in rest)

    def check(self) -> None:
        """Refuse what no request could mean."""
        selector.check_method(self.method)
        selector.check_accuracy(self.accuracy)
        if self.workers is not None:
            positive("workers", self.workers)
        if self.max_memory is not None:
            positive("max_memory", self.max_memory)
        if not isinstance(self.structure, (bool, np.bool_)):
            raise TypeError(f"structure must be True or False, got {self.structure!r}")
        if self.out is not None and not isinstance(self.out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, got {type(self.out).__name__}")


class Request(NamedTuple):
    """A Problem and its arrays in canonical order: batch axes first, then the convolved ones.

    Parameters
    ----------
    problem : Problem
        The work.
    x, w : ndarray
        Signals (*batch, *signal) and correlation-ordered filters (*batch or (), *filter).
    shape : tuple of int
        The result's shape as the caller sees it.
    moved : tuple of int or None
        How the result's axes go back: `numpy.transpose` of the canonical result.
    dtype : dtype
        The result's dtype.
    fill : scalar
        The value outside, for the boundary rule "fill".
    """

    problem: Problem
    x: Array
    w: Array
    batch: tuple[int, ...]
    moved: tuple[int, ...] | None
    dtype: np.dtype[Any]
    fill: Any = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's shape as the caller sees it."""
        canonical = (*self.batch, *self.problem.output)
        return canonical if self.moved is None else tuple(canonical[a] for a in self.moved)


def positive(name: str, value: Any) -> int:
    """Return `value` as an int that is at least 1.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or less than 1.
    """
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return number


def integer(name: str, value: Any) -> int:
    """Return `value` as an int; bool and anything without ``__index__`` is a TypeError."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def less(settings: Settings, taken: int) -> Settings:
    """Return settings without `out`, for a result of so many bytes that is not yet the caller's.

    Raises
    ------
    ValueError
        If `max_memory` is less than that.
    """
    most = settings.max_memory
    if most is None:
        return settings._replace(out=None)
    if most <= taken:
        raise ValueError(f"max_memory must be more than {taken} bytes for this call, got {most}")
    return settings._replace(out=None, max_memory=most - taken)


def answer(request: Request, settings: Settings) -> Array:
    """Compute the request.

    Returns
    -------
    ndarray
        ``settings.out``, or a fresh C-contiguous array.

    Raises
    ------
    ValueError, TypeError
        If `out`, `method` or `accuracy` do not suit; before anything is stored.
    """
    if settings.out is not None:
        check_out(settings.out, request.shape, request.dtype)
    signals = _signals_of_several_filters(request)
    if signals and settings.max_memory is None and _pays_each(request, settings, signals):
        return _answer_each(request, settings, signals)
    request = _without_taps_outside(_exchanged(request))
    request = _going_on(_without_zero_taps(request, settings), settings)
    found = _examine(request, settings)
    problem = request.problem
    if found.structure is not None:
        problem = problem._replace(structure=found.structure)
    problem = _limited(request, problem, settings)
    best = selector.rank(problem, settings.method, settings.accuracy)[0]
    workers = threads.worthwhile(best.seconds, settings.workers)
    as_it_lies = _interleaved(request) if problem.room is None else None
    if as_it_lies is not None and selector.takes(best.name, as_it_lies):
        return _answer_interleaved(request, as_it_lies, settings, workers)
    x = _as_it_is(request, problem, settings)
    if x is None:
        x = _pack_signals(request, problem)
    filters = 1 if problem.shared_filter else problem.batch
    w = _pack(
        request.w,
        (filters, *problem.filter),
        () if problem.shared_filter else request.batch,
        problem,
    )
    target = settings.out if request.moved is None else None
    canonical = (*request.batch, *problem.output)
    result = _place(target, canonical, request)
    if problem.outputs:
        into = result.reshape(problem.batch, *problem.output)
        operands = Operands(x, w, into, request.fill, workers, found.factors, settings.forms)
        selector.run(problem, operands, settings.method, settings.accuracy)
    if request.moved is not None:
        result = result.transpose(request.moved)
        return _deliver(result, settings) if settings.out is not None else result.copy()
    return _deliver(result, settings)


def _signals_of_several_filters(request: Request) -> int:
    """Return how many leading batch axes belong to signals that all meet the same several filters.

    0 where signals and filters are not apart like that: (b, 1, n) with (m, k) or (1, m, k).
    """
    problem, lead = request.problem, len(request.batch)
    if lead < 2 or problem.shared_filter or problem.shared_signal or not problem.outputs:
        return 0
    of_x, of_w = (_lead(a, lead, problem) for a in (request.x, request.w))
    first = next(a for a in range(lead) if of_w[a] != 1)
    return first if prod(of_x[first:]) == 1 else 0


def _pays_each(request: Request, settings: Settings, signals: int) -> bool:
    """Return whether one signal after the other is sooner done than all pairs in one problem."""
    count = prod(request.batch[:signals])
    if count == 1:
        return True
    fastest = selector.rank(request.problem, settings.method, settings.accuracy)[0]
    return fastest.seconds > count * _EACH_SECONDS


def _lead(array: Array, lead: int, problem: Problem) -> tuple[int, ...]:
    own = array.shape[: array.ndim - problem.ndim]
    return (*(1,) * (lead - len(own)), *own)


def _answer_each(request: Request, settings: Settings, signals: int) -> Array:
    """Answer one signal after the other, each with all filters, whose forms are kept meanwhile."""
    problem, lead = request.problem, len(request.batch)
    x = request.x.reshape(*_lead(request.x, lead, problem), *problem.signal)
    w = request.w.reshape(*_lead(request.w, lead, problem), *problem.filter)[(0,) * signals]
    batch = request.batch[signals:]
    part = problem._replace(batch=count(batch), shared_signal=True)
    target = settings.out if request.moved is None else None
    result = _place(target, (*request.batch, *problem.output), request)
    forms = Forms() if settings.forms is None else settings.forms
    for index in np.ndindex(*request.batch[:signals]):
        one = Request(part, x[index], w, batch, None, request.dtype, request.fill)
        answer(one, settings._replace(out=result[index], forms=forms))
    if request.moved is not None:
        result = result.transpose(request.moved)
        return _deliver(result, settings) if settings.out is not None else result.copy()
    return _deliver(result, settings)


def _limited(request: Request, problem: Problem, settings: Settings) -> Problem:
    """Return the problem with the room that `max_memory` leaves, copies of arrays taken off."""
    if settings.max_memory is None:
        return problem
    filters = 1 if problem.shared_filter else problem.batch
    signals = 1 if _is_one(request, problem) else problem.batch
    spent = budget.copied(request.x, (signals, *problem.signal), problem.dtype)
    spent += budget.copied(request.w, (filters, *problem.filter), problem.dtype)
    if request.moved is not None or (
        settings.out is not None and not _writable_as_it_is(settings.out, request)
    ):
        spent += request.dtype.itemsize * problem.outputs
    most = positive("max_memory", settings.max_memory)
    return budget.limited(problem, most, spent, settings.method, settings.accuracy)


def _as_it_is(request: Request, problem: Problem, settings: Settings) -> Array | None:
    """Return an image of narrow numbers unconverted, for a path that converts what it reads."""
    x = request.x
    narrow = x.dtype.kind in "biu" and x.dtype.itemsize < np.dtype(problem.dtype).itemsize
    if problem.ndim != 2 or not narrow or not x.dtype.isnative or not x.flags.aligned:
        return None
    if problem.batch > 1 and prod(problem.signal) < _CONVERTED_AT_ONCE:
        return None
    if problem.room is not None:
        return None
    path = selector.choose(problem, settings.method, settings.accuracy)
    if not path.converts or not selector.is_ready(path.name, problem):
        return None
    return np.broadcast_to(x, (*request.batch, *problem.signal)).reshape(-1, *problem.signal)


def _without_taps_outside(request: Request) -> Request:
    """Leave out what meets no sample of a filter that is longer than the signal."""
    problem = request.problem
    if all(k <= n for k, n in zip(problem.filter, problem.signal, strict=True)):
        return request
    part = problem.met()
    if part is None:
        return request
    place: Any = (..., *part)
    return request._replace(problem=problem.with_taps(part), w=request.w[place])


def _exchanged(request: Request) -> Request:
    """Let images be the filters and filters the images where that is better."""
    problem, lead = request.problem, len(request.batch)
    if not problem.inside_out:
        return request
    turned: Any = (..., *(slice(None, None, -1),) * problem.ndim)
    x, w = request.w.reshape(*_lead(request.w, lead, problem), *problem.filter), request.x
    problem = problem.exchanged()
    if problem.shared_filter:
        w = w.reshape(problem.filter)
    return request._replace(problem=problem, x=x[turned], w=w[turned])


def _going_on(request: Request, settings: Settings) -> Request:
    """Copy a signal with a boundary rule beyond both ends where a transform then answers sooner."""
    problem = request.problem
    if problem.boundary == ("zero",) or problem.ndim > 1 or settings.max_memory is not None:
        return request
    # ndimage's normwise sums are cut off where they become whole numbers: these keep their loops.
    if settings.method != selector.AUTO or settings.accuracy is not None:
        return request
    longer = continued.continued(problem)
    if longer is None:
        return request
    x = continued.samples(problem, longer, request.x, request.fill)
    return request._replace(problem=longer, x=x)


def _without_zero_taps(request: Request, settings: Settings) -> Request:
    """Leave out rows and columns of zeros at the filter's ends, where no product is NaN."""
    if not settings.structure or request.dtype.kind not in "iufc":
        return request
    part = used_taps(request.problem, request.w)
    if part is None:
        return request
    if request.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            # A sum that is finite has no NaN and no infinity in it.
            if not np.isfinite(request.x.sum()) or not np.isfinite(request.fill):
                return request
    return request._replace(problem=request.problem.with_taps(part), w=request.w[part])


def _examine(request: Request, settings: Settings) -> Finding:
    """Return what is special about the filter, in the dtype of the work."""
    unweighted = request.problem.reduction != "sum"
    if not settings.structure or unweighted or not pays(request.problem):
        return _NOTHING
    if not budget.examines(request.problem, settings.max_memory):
        return _NOTHING
    return examine(request.problem, np.asarray(request.w, request.problem.dtype), settings.method)


_NOTHING = Finding()


def _deliver(result: Array, settings: Settings) -> Array:
    """Return `out` with the result in it, or the result."""
    if settings.out is None:
        return result
    if result.base is not settings.out:
        settings.out[...] = result
    return settings.out


def _interleaved(request: Request) -> Problem | None:
    """Return the problem of signals that lie interleaved, for an axis that is not the last."""
    problem, batch = request.problem, request.batch
    if request.moved is None or not problem.shared_filter or request.x.shape[:-1] != batch:
        return None
    if problem.boundary != ("zero",):
        return None
    position = request.moved.index(len(batch))
    inner = count(batch[position:])
    if inner < 2 or problem.outputs == 0 or _turns(problem, inner, request.dtype.itemsize):
        return None
    return problem._replace(batch=count(batch[:position]), inner=inner)


def _turns(problem: Problem, inner: int, size: int) -> bool:
    """Return whether so many interleaved signals are sooner computed one by one."""
    if inner * size < _VECTOR_BYTES:
        return size <= _TURNED_BYTES or problem.up > 1 or problem.stride != (1,)
    return problem.up >= _MANY_PHASES and inner * size <= _FEW_VECTORS * _VECTOR_BYTES


def _answer_interleaved(
    request: Request, problem: Problem, settings: Settings, workers: int
) -> Array:
    """Compute along an axis that is not the last one, without moving it."""
    assert request.moved is not None
    x = np.moveaxis(request.x, -1, request.moved.index(len(request.batch)))
    packed = np.require(x, problem.dtype, ("C", "A"))
    shape = (problem.batch, *problem.signal, problem.inner)
    w = _pack(request.w, (1, *problem.filter), (), request.problem)
    result = _place(settings.out, request.shape, request)
    into = result.reshape(problem.batch, *problem.output, problem.inner)
    selector.run(
        problem, Operands(np.asarray(packed).reshape(shape), w, into, request.fill, workers)
    )
    return _deliver(result, settings)


def explain(request: Request, settings: Settings) -> Explanation:
    """Return which path would answer, and why."""
    words = _words(request, settings)
    request = _without_taps_outside(_exchanged(request))
    request = _going_on(_without_zero_taps(request, settings), settings)
    found = _examine(request, settings)
    problem = request.problem._replace(structure=found.structure)
    problem = _limited(request, problem, settings)
    from .planner.explain import explain_problem

    return explain_problem(problem, settings.method, settings.accuracy, words)


def _words(request: Request, settings: Settings) -> tuple[str, ...]:
    return describe(request.w) if settings.structure and pays(request.problem) else ()


def check_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"out must have dtype {dtype}, got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array")


def _pack_signals(request: Request, problem: Problem) -> Array:
    """Return the signals, packed; one that meets many filters stands for all of them."""
    x, shape = request.x, (problem.batch, *problem.signal)
    # A signal of one sample that is seen many times would be a line of stride 0 to the loops, which
    # take lines for contiguous: they would read what lies beyond it.
    if problem.batch < 2 or not _is_one(request, problem) or request.x.size == 1:
        return _pack(x, shape, request.batch, problem)
    one = _pack(x.reshape(1, *problem.signal), (1, *problem.signal), (1,), problem)
    # NumPy's as_strided takes 10 us more.
    return np.ndarray(shape, one.dtype, one, strides=(0, *one.strides[1:]))


def _is_one(request: Request, problem: Problem) -> bool:
    return request.x.size == prod(problem.signal) > 0


def _pack(array: Array, shape: tuple[int, ...], batch: tuple[int, ...], problem: Problem) -> Array:
    """Return `array` broadcast over the batch: aligned, native, C-contiguous, of one dtype."""
    core = array.shape[array.ndim - problem.ndim :]
    if array.shape != (*batch, *core):
        array = np.broadcast_to(array, (*batch, *core))
    if type(array) is not np.ndarray or not array.flags.carray or array.dtype != problem.dtype:
        array = np.asarray(np.require(array, problem.dtype, ("C", "A")))
    return array if array.shape == shape else array.reshape(shape)


def _place(out: Array | None, shape: tuple[int, ...], request: Request) -> Array:
    """Return a view of `out` where a kernel may write to it directly, else a fresh array."""
    if out is not None and _writable_as_it_is(out, request):
        return np.ndarray(shape, out.dtype, out)
    return np.empty(shape, request.dtype)


def _writable_as_it_is(out: Array, request: Request) -> bool:
    return (
        out.flags.c_contiguous
        and out.flags.aligned
        and not np.may_share_memory(out, request.x)
        and not np.may_share_memory(out, request.w)
    )


def count(batch: tuple[int, ...]) -> int:
    """Return how many independent signals a batch shape holds."""
    return prod(batch)
