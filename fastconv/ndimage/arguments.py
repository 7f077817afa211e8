"""What SciPy's arguments mean: modes, axes, origins, outputs, and its errors."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request, short
from ..paths import recalled
from ..planner import selector
from ..runtime import threads

Array = npt.NDArray[Any]

# SciPy's modes for filters; "constant" is the rule "fill".
RULES = {
    "nearest": "nearest",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "reflect": "reflect",
    "grid-mirror": "reflect",
    "mirror": "mirror",
    "constant": "fill",
    "grid-constant": "fill",
}
# A band of this many products is worth a thread of its own.
_SECONDS_PER_PRODUCT = 1e-10
_FILTERED = frozenset("?bBhHiIlLqQfdFD")


def rule(mode: Any) -> str:
    """Return the boundary rule that a mode means.

    Raises
    ------
    RuntimeError
        If SciPy knows no such mode.
    """
    if isinstance(mode, str) and mode in RULES:
        return RULES[mode]
    raise RuntimeError("boundary mode not supported")


def native(*arrays: Array | None) -> bool:
    """Return whether all are of dtypes that SciPy's filters and ours compute."""
    return all(a is None or a.dtype.char in _FILTERED for a in arrays)


def per_axis(value: Any, count: int) -> list[Any]:
    """Return one value per axis.

    Raises
    ------
    RuntimeError
        If a sequence has another length.
    """
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return values


def one_axis(axis: Any, ndim: int) -> int:
    """Return an axis counted from the front."""
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise np.exceptions.AxisError(number, ndim)
    return number % ndim


def some_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the front; all of them for None.

    Raises
    ------
    ValueError
        If one does not exist or comes twice.
    """
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        axes = (axes,)
    elif not isinstance(axes, Iterable):
        raise ValueError("axes must be an integer, iterable of integers, or None")
    numbers = tuple(operator.index(a) for a in axes)
    for number in numbers:
        if not -ndim <= number < ndim:
            raise ValueError(f"specified axis: {number} is out of range")
    numbers = tuple(a % ndim for a in numbers)
    if len(set(numbers)) != len(numbers):
        raise ValueError("axes must be unique")
    return numbers


def integer(value: Any) -> int:
    """Return an index as an int; TypeError for anything else."""
    return operator.index(value)


def place(
    output: Any, kind: np.dtype[Any], shape: tuple[int, ...], complex_output: bool = False
) -> Array:
    """Return the array to write to: fresh, of a dtype, or the one that was given.

    Raises
    ------
    RuntimeError
        If a given array has another shape, or a dtype cannot hold the result.
    """
    if output is None and not complex_output and kind.isnative and kind.kind in "biufc":
        return np.empty(shape, kind)
    if output is None:
        dtype = np.promote_types(kind, np.complex64) if complex_output else np.dtype(kind.name)
        return np.empty(shape, dtype)
    if isinstance(output, (type, np.dtype)):
        dtype = np.dtype(output)
        if complex_output and dtype.kind != "c":
            warnings.warn("promoting specified output dtype to complex", stacklevel=4)
            dtype = np.promote_types(dtype, np.complex64)
        return np.empty(shape, dtype)
    if isinstance(output, str):
        dtype = np.dtype(output)
        if complex_output and dtype.kind != "c":
            raise RuntimeError("output must have complex dtype")
        if not issubclass(dtype.type, np.number):
            raise RuntimeError("output must have numeric dtype")
        return np.empty(shape, dtype)
    given = np.asarray(output)
    if given.shape != shape:
        raise RuntimeError("output shape not correct")
    if complex_output and given.dtype.kind != "c":
        raise RuntimeError("output must have complex dtype")
    return given


def keywords(workers: Any, accuracy: Any, max_memory: Any = None, stride: Any = 1) -> None:
    """Refuse what our own keywords cannot mean."""
    if max_memory is not None:
        request.positive("max_memory", max_memory)
        if accuracy != "normwise" and type(stride) is int and stride == 1:
            raise ValueError(
                f"max_memory must be None where SciPy's bits are kept (give accuracy='normwise'), "
                f"got {max_memory}"
            )
    if workers is not None:
        request.positive("workers", workers)
    if accuracy is not None:
        selector.check_accuracy(accuracy)
        if accuracy == "exact":
            raise ValueError(
                "accuracy must be 'normwise' or 'componentwise' in doubles, got 'exact'"
            )


def crew(products: float, workers: int | None) -> int:
    """Return how many threads pay for some products."""
    return threads.worthwhile(products * _SECONDS_PER_PRODUCT, workers)


def apart(x: Array, out: Array) -> Array:
    """Return x, or its copy where `out` may share its memory."""
    return x.copy() if np.may_share_memory(x, out) else x


def whole(out: Array) -> Array:
    """Return `out`, or of one that does not lie in one piece and is small a fresh array for it."""
    return out if out.flags.carray or out.size > MOST_CONVERTED else np.empty(out.shape, out.dtype)


def beside(name: str, *args: Any, **named: Any) -> Array:
    """Return SciPy's own answer: its errors, and dtypes that only it has loops for."""
    return original(name)(*args, **named)  # type: ignore[no-any-return]


@cache
def original(name: str) -> Callable[..., Any]:
    """Return SciPy's function, even where its public name has been replaced by ours."""
    # The names that SciPy collects before it decorates them: what nobody replaces.
    from scipy.ndimage import _ndimage_api

    return getattr(_ndimage_api, name)  # type: ignore[no-any-return]


def as_array(value: Any) -> Any:
    """Return a list or a tuple as an array, and an array in the machine's byte order."""
    x = value if type(value) is np.ndarray else short.as_array(value)
    if type(x) is not np.ndarray or x.dtype.isnative:
        return x
    return x.astype(x.dtype.newbyteorder("="))


def key_of(name: str, x: Any, w: Any, output: Any, *rest: Any) -> tuple[Any, ...] | None:
    """Return what a plain call follows from, or None where the short way does not serve.

    Parameters
    ----------
    name : str
        The function.
    x, w : object
        Samples and filter (None for none), as they were given.
    output : object
        None for a fresh result, or what it goes to.
    *rest
        Everything else that decides.
    """
    if type(x) is not np.ndarray or x.size > _MOST_SAMPLES:
        return None
    if output is not None and output is not x.dtype:
        if type(output) is np.ndarray:
            kind = output.dtype
        elif type(output) is str or isinstance(output, (type, np.dtype)):
            kind = np.dtype(output)
        else:
            return None
        if kind.kind == "b" and type(output) is str:
            return None  # An error.
        if kind != x.dtype:
            if kind.kind not in ("c" if x.dtype.kind == "c" else "biufc"):
                return None
            rest = (*rest, kind)
    kinds = tuple(map(type, rest))
    if list in kinds or tuple in kinds:
        rest = tuple(map(_hashable, rest))
    rest = (rest, kinds)  # 1.0 is no axis, though it equals 1.
    if w is None:
        return (name, x.dtype, x.shape, rest)
    w = short.as_array(w)
    if type(w) is not np.ndarray or w.size > _LONGEST_KEY:
        return None
    return (name, x.dtype, x.shape, w.tobytes(), w.shape, w.dtype, rest)


def _hashable(value: Any) -> Any:
    """Return a sequence as a tuple of its elements and their types."""
    return (*value, *map(type, value)) if isinstance(value, (list, tuple)) else value


def remembered(key: Any, x: Any, output: Any) -> Array | None:
    """Return the answer to a call that was settled before, or None."""
    if key is None:
        return None
    known = recalled.recipe(key)
    return known and known(x, output if type(output) is np.ndarray else None)


# So many samples may be there a second time, converted or in one piece, as doubles that a thread
# keeps: more go band by band, which takes two to five times as long.
MOST_CONVERTED = 1 << 20
# Taps whose bytes are compared in a time that does not matter, and samples beside whose own time
# what is settled in each call does not matter: it takes 50 to 90 us, 256 x 256 maxima 50.
_LONGEST_KEY, _MOST_SAMPLES = 512, 1 << 20
