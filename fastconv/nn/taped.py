"""Plain calls on tape: from the third time on, only their kernels and some 2 us of Python.

The first call is settled as any other, the second is recorded (`runtime.tape`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..filters import Filters
from ..layer import Epilogue, Layer
from ..planner import layers as planner
from ..planner.selector import Verdict
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.tape import Tape, can_record, record
from .arguments import Settings
from .settled import is_plain

__all__ = ["Call", "compute", "compute_layer", "key_of", "layer", "play"]

Array = npt.NDArray[Any]

_MOST_TAPES = 512
# Under all that a call follows from besides its numbers; None where it leaves no tape. Packed
# filters, whose forms are on the tapes, have tapes of their own.
_tapes: dict[Hashable, Taped | None] = {}
_seen: set[Hashable] = set()


class Taped(NamedTuple):
    """A tape, what one worker takes for what is on it, as predicted, and what is stored beside.

    That is integers of the shape `beside`, or nothing.
    """

    play: Any
    seconds: float
    tape: Tape
    beside: tuple[int, ...] | None = None


def layer(
    name: str, extra: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any,
    dilation: Any, groups: Any, activation: Any, slope: Any, layout: Any, out: Any, workers: Any,
    accuracy: Any, method: Any,
) -> Any:  # fmt: skip
    """Return what a call gives that is on tape, None for any other.

    `name` tells functions apart whose other arguments may be the same, and `extra` is what they
    take besides, sizes as `stride` are.
    """
    if type(x) is not np.ndarray:
        return None
    tapes: Any = _tapes
    if type(weight) is not np.ndarray:
        if type(weight) is not Filters:
            return None
        tapes, weight = weight.tapes, weight.array
    if not (type(stride) is type(padding) is type(dilation) is type(groups) is type(extra) is int):
        for size in (stride, padding, dilation, groups, extra):
            if type(size) is not int and not is_plain(size):
                return None
    try:
        found = tapes.get((
            name, extra, x.dtype, x.shape, weight.shape, bias is None, out is None, stride,
            padding, dilation, groups, activation, slope, layout, workers, accuracy, method,
        ))  # fmt: skip
    except TypeError:  # A list among the words, which is refused elsewhere.
        return None
    if found is None or (workers is not None and type(workers) is not int):
        return None
    play, seconds, _, _ = found
    if seconds >= threads.FEW_SECONDS and threads.worthwhile(seconds, workers) > 1:
        return None
    if out is None:
        return play(x, weight, bias)
    if type(out) is not np.ndarray or any(
        a is not None and np.may_share_memory(out, a) for a in (x, weight, bias)
    ):
        return None
    return play(x, weight, bias, out)


class Call(NamedTuple):
    """A call of a layer's function, as far as tapes know it.

    Parameters
    ----------
    name, extra
        As in `layer`.
    given : tuple
        The images, weights and bias as the caller gave them.
    words : tuple
        Stride, padding, dilation, groups, activation, slope, layout, workers, accuracy, method.
    """

    name: str
    extra: Any
    given: tuple[Any, Any, Any]
    words: tuple[Any, ...]


def compute_layer(
    call: Call, layers: tuple[Layer, ...], run: Callable[[], None], result: Array,
    epilogue: Epilogue, settings: Settings,
) -> None:  # fmt: skip
    """Have ``run()`` compute a plain call into `result`, the second time on tape.

    It has the engine compute `layers`, and does nothing else without kernels but `load.aside`.
    `result` is as the caller sees it; it is `settings.out` where that is given.
    """
    x, weight, bias = call.given
    w, tapes, keeps = weight, _tapes, False
    if type(weight) is Filters:
        w, keeps = weight.array, weight.keeps
        tapes = {} if weight.tapes is None else weight.tapes
    plain = type(x) is type(w) is type(result) is np.ndarray and epilogue.compiled
    # A callable leaves no tape, and need not have a hash, nor need a slope that is an array.
    plain = plain and type(call.words[_SLOPE]) in (float, int) and all(
        type(size) is int or is_plain(size) for size in (*call.words[:4], call.extra)
    )  # fmt: skip
    if not plain:
        run()
        return
    out = settings.out
    words = (x.dtype, x.shape, w.shape, bias is None, out is None)
    key = (call.name, call.extra, *words, *call.words)
    try:
        fresh = key not in _seen or key in tapes
    except TypeError:
        run()
        return
    fits = (bias is None or bias is epilogue.bias) and result.size and (
        out is None or out is result
    )  # fmt: skip
    if fresh or not (fits and _can_be_taped(layers, epilogue, settings, keeps)):
        _see(key)
        run()
        return
    seconds = sum(v.seconds for v in _verdicts(layers, settings, keeps))
    operands = (x, w, bias) if out is None else (x, w, bias, out)
    tape = record(
        run, operands, result if out is None else None, result.shape, seconds,
        int(out is not None),
    )  # fmt: skip
    _keep(tapes, key, tape, seconds)


# Where in a layer's words the slope is: behind stride, padding, dilation, groups and activation.
_SLOPE = 5


def _verdicts(layers: tuple[Layer, ...], settings: Settings, keeps: bool) -> list[Verdict]:
    return [planner.choose(one, settings.method, settings.accuracy, keeps) for one in layers]


def _can_be_taped(
    layers: tuple[Layer, ...], epilogue: Epilogue, settings: Settings, keeps: bool
) -> bool:
    """Return whether one worker's kernel calls will always compute these layers."""
    words = settings.method, settings.accuracy, keeps
    if not can_record() or not all(planner.is_settled(one, *words) for one in layers):
        return False
    return all(
        planner.ALGORITHMS[v.name].by_kernels(epilogue)
        and threads.worthwhile(v.seconds, settings.workers) == 1
        for v in _verdicts(layers, settings, keeps)
    )


def key_of(
    name: str, x: Any, sizes: tuple[Any, ...], flags: tuple[Any, ...], layout: str, out: Any,
    workers: Any,
) -> Hashable:  # fmt: skip
    """Return all that a plain function of one array follows from besides its numbers, or None."""
    if type(x) is not np.ndarray or not (out is None or type(out) is np.ndarray):
        return None
    for size in sizes:
        if type(size) is not int and size is not None and not is_plain(size):
            return None
    for flag in flags:
        if type(flag) is not bool:  # 1 equals True.
            return None
    if workers is not None and type(workers) is not int:
        return None
    return name, x.dtype, x.shape, sizes, flags, layout, out is None, workers


def play(
    key: Hashable, operands: tuple[Any, ...], workers: int | None = None, out: Array | None = None
) -> Any:
    """Return what a plain function of arrays gives that is on tape, None for any other.

    What `compute` stores beside a result comes with it, as a pair.
    """
    try:
        found = _tapes.get(key)
    except TypeError:  # A list among the words, which is refused elsewhere.
        return None
    if found is None:
        return None
    play, seconds, _, beside = found
    if seconds >= threads.FEW_SECONDS and threads.worthwhile(seconds, workers) > 1:
        return None
    if out is not None:
        if any(np.may_share_memory(out, x) for x in operands):
            return None
        operands = *operands, out
    if beside is None:
        return play(*operands)
    other = np.empty(beside, np.int64)
    count = len(operands) - (out is not None)
    result = play(*operands[:count], other, *operands[count:])
    return None if result is None else (result, other)


def compute(
    key: Hashable, operands: tuple[Array, ...], shape: tuple[int, ...], seconds: float,
    workers: int | None, by_kernels: Callable[..., bool], beside: tuple[int, ...] | None = None,
    out: Array | None = None, dtype: Any = None,
) -> Any:  # fmt: skip
    """Compute a function of arrays, the second time by `key` on tape; None if not by kernels.

    ``by_kernels(result)`` stores the result by kernels alone, or returns False; so does
    ``by_kernels(result, other)`` where something is computed beside it: integers of the shape
    `beside`. The result is `out`, or a new array of `dtype` or of that of the first operand.
    """
    for x in operands:
        if not (x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative and x.size):
            return None
    dtype = operands[0].dtype if dtype is None else dtype
    result = out
    if out is None:
        result = np.empty(shape, dtype)
    elif out.dtype != dtype or out.shape != shape or not out.flags.carray or not (
        out.dtype.isnative
    ) or any(np.may_share_memory(out, x) for x in operands):  # fmt: skip
        return None
    other = () if beside is None else (np.empty(beside, np.int64),)
    answer: Any = (result, *other) if other else result
    if key is None or key not in _seen or key in _tapes or not can_record() or (
        threads.worthwhile(seconds, workers) > 1
    ):  # fmt: skip
        _see(key)
        return answer if by_kernels(result, *other) else None
    done: list[bool] = []
    stored = other if out is None else (*other, out)
    tape = record(
        lambda: done.append(by_kernels(result, *other)), (*operands, *stored),
        None if out is not None else result, shape, seconds, len(stored),
    )  # fmt: skip
    _keep(_tapes, key, tape if done[0] else None, seconds, beside)
    return answer if done[0] else None


def _see(key: Hashable) -> None:
    if key is None:
        return
    if len(_seen) >= _MOST_TAPES:
        _seen.clear()
    _seen.add(key)


def _keep(
    tapes: dict[Hashable, Any], key: Hashable, tape: Tape | None, seconds: float,
    beside: tuple[int, ...] | None = None,
) -> None:  # fmt: skip
    if len(tapes) >= _MOST_TAPES:
        tapes.clear()
    tapes[key] = tape and Taped(tape.play, seconds, tape, beside)
