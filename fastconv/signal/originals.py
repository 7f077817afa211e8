"""SciPy's own functions, and what is passed on to them: errors, and operands that are not ours."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import request
from ..path import is_float
from ..request import Settings

Array = npt.NDArray[Any]

# The private modules that define them: a public name may have been replaced by ours.
_HOME = "scipy.signal._support_alternative_backends"
# longdouble, objects and the rest have no compiled loops.
KINDS = "biufc"
COMPILED = frozenset(
    ["bool", "float16", "float32", "float64", "complex64", "complex128"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


@cache
def original(name: str, module: str = _HOME) -> Any:
    """Return SciPy's function, even where its public name has been replaced by ours."""
    return getattr(import_module(module), name)


def is_foreign(operand: Any) -> bool:
    """Return whether SciPy may hand `operand` to another library's functions."""
    if isinstance(operand, (np.ndarray, np.generic, list, tuple, int, float, complex)):
        return False
    marks = ("__array_namespace__", "__array_function__", "__torch_function__")
    return any(hasattr(operand, mark) for mark in marks)


def is_compiled(*operands: Array) -> bool:
    """Return whether all dtypes and what they promote to are computed here."""
    dtypes = {array.dtype for array in operands}
    if not all(map(_is_known, dtypes)):
        return False
    return len(dtypes) == 1 or _is_known(np.result_type(*operands))


@cache
def _is_known(dtype: np.dtype[Any]) -> bool:
    return dtype.name in COMPILED


def beside(
    result: Any, strides: Any, settings: Settings, boundary: str = "fill", theirs: str = "fill"
) -> Any:
    """Give SciPy's result the meaning of our keywords, or refuse them.

    Parameters
    ----------
    result : array_like
        What SciPy returned.
    strides : int or tuple of int
        Which outputs to keep, along all axes.
    settings : Settings
        The other keywords.
    boundary, theirs : str
        What was asked to lie outside, and what SciPy takes.

    Raises
    ------
    TypeError, ValueError
        If a keyword has no meaning for the result.
    """
    if boundary != theirs:
        kind = getattr(result, "dtype", type(result).__name__)
        raise ValueError(f"boundary must be {theirs!r} for a result of {kind}, got {boundary!r}")
    plain = settings.out is None and settings.accuracy is None and settings.workers is None
    if settings.max_memory is not None:
        raise ValueError(
            f"max_memory must be None where SciPy itself answers, got {settings.max_memory}"
        )
    if plain and settings.method == "auto" and (type(strides) is int and strides == 1):
        return result
    if not isinstance(result, np.ndarray):
        raise TypeError(
            f"in1 and in2 must be NumPy arrays with fastconv's own keywords, "
            f"got a result of type {type(result).__name__}"
        )
    if settings.method not in ("auto", "library"):
        raise ValueError(
            f"method must be 'auto' or 'library' for {result.dtype}, got {settings.method!r}"
        )
    if settings.accuracy == "exact" and is_float(result.dtype.name):
        raise ValueError(
            f"accuracy must be 'normwise' or 'componentwise' for {result.dtype}, got 'exact'"
        )
    steps = per_axis("stride", strides, result.ndim)
    result = result[tuple(slice(None, None, s) for s in steps)]
    return deliver(result, settings.out)


def beside_along(
    result: Any, axis: Any, stride: Any, settings: Settings, boundary: str = "fill"
) -> Any:
    """Give SciPy's result along one axis the meaning of our keywords, as `beside` does."""
    if type(stride) is int and stride == 1:
        return beside(result, 1, settings, boundary)
    steps = [1] * np.ndim(result)
    steps[axis] = request.positive("stride", stride)
    return beside(result, tuple(steps), settings, boundary)


def deliver(result: Array, out: Array | None) -> Array:
    """Return `out` with the result in it, or the result, contiguous."""
    if out is None:
        return result if result.flags.c_contiguous else result.copy()
    request.check_out(out, result.shape, result.dtype)
    out[...] = result
    return out


def per_axis(name: str, value: Any, count: int) -> tuple[int, ...]:
    """Return one positive integer per axis of a keyword that may be one for all."""
    if isinstance(value, (tuple, list)):
        if len(value) != count:
            raise ValueError(f"{name} must be one integer or {count} of them, got {value!r}")
        return tuple(request.positive(name, v) for v in value)
    return (request.positive(name, value),) * count
