"""scipy.signal's convolutions, to the letter, with keywords of our own."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import geometry, request, short2d
from ..kernels.direct2d_call import ORDER, RULE
from ..path import is_float
from ..problem import Problem
from ..request import Request, Settings
from ..runtime.front import Front, register
from ..runtime.settings import policy as in_force
from ..short import as_array, is_packed
from . import settle
from .originals import original

if TYPE_CHECKING:
    from ..planner.explain import Explanation

__all__ = ["convolve2d", "correlate2d"]

_AUTO, _ZERO, _ONE = "auto", 0, 1
_NUMBERS = frozenset((int, float))

_MODES = ("full", "same", "valid")
_BOUNDARIES = {
    "fill": "fill",
    "wrap": "wrap",
    "circular": "wrap",
    "symm": "reflect",
    "symmetric": "reflect",
    "mirror": "mirror",
    "nearest": "nearest",
}
_EXTENDING = ("wrap", "circular", "symm", "symmetric")
_EXTENTS = {"valid": 0, "same": 1, "full": 2}
_RULES = {"fill": 0, "wrap": 1, "symm": 2}
# bool, float16, longdouble and objects are SciPy's own: it refuses them or has loops for them.
_COMPILED = "iufc"


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _plain_calls_first(order: int, kinds: str) -> Callable[[_Function], _Function]:
    """Make a function of two images leave its plain calls to a compiled front."""
    choices: dict[str, dict[Any, int]] = {
        "mode": {mode: _EXTENTS[mode] + order for mode in _MODES},
        "boundary": {boundary: RULE * rule for boundary, rule in _RULES.items()},
        "fillvalue": {_ZERO: 0},
    }

    def decorate(function: _Function) -> _Function:
        front = register("plane", Front(function, choices, kinds))
        return front.shows(function)  # type: ignore[return-value]

    return decorate


@_plain_calls_first(0, "iufc")
def convolve2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    stride: int | tuple[int, int] = 1,
    method: str = "auto",
    accuracy: str | None = None,
    out: npt.NDArray[Any] | None = None,
    workers: int | None = None,
    structure: bool = True,
    max_memory: int | None = None,
    policy: str | None = None,
) -> npt.NDArray[Any]:
    """Convolve two 2-D arrays: `scipy.signal.convolve2d`, with keywords of its own.

    Parameters
    ----------
    in1 : array_like, shape (n0, n1)
        The image.
    in2 : array_like, shape (k0, k1)
        The filter.
    mode : {"full", "same", "valid"}
        "full" returns (n0 + k0 - 1, n1 + k1 - 1) outputs, "same" the shape of `in1` centred on
        "full", "valid" those that need nothing outside (one operand must contain the other).
    boundary : {"fill", "wrap", "symm", "mirror", "nearest"}
        What lies outside `in1`: `fillvalue`, the other side, its mirror image with the edge
        repeated or not, or its edge. SciPy has the first three.
    fillvalue : scalar
        For ``boundary="fill"``.
    stride : int or pair of int
        Compute every `stride`-th row and column only.
    method, accuracy, out, workers, max_memory, policy
        As in `fastconv.convolve`.
    structure : bool
        Whether to look for factors of a large filter: a product or a short sum of products of a
        column and a row takes two short passes. A product keeps the bound below; a sum of several
        (never taken with ``accuracy="componentwise"``) that of a transform.

    Returns
    -------
    ndarray
        `out`, or a fresh C-contiguous array of dtype ``numpy.result_type(in1, in2)``.

    Raises
    ------
    ValueError
        If an operand is not 2-D or is of a dtype that SciPy refuses, if mode or boundary are
        unknown, or in "valid" if neither operand contains the other.
    TypeError
        If a keyword has the wrong type.

    Notes
    -----
    ``out[i, j] = sum over u, v of in1[i - u, j - v] * in2[u, v]``. Integers wrap and are exact;
    error bounds are `fastconv.convolve`'s with k0*k1 taps. A transform in tiles
    allocates 3.3 tiles, at most 1.5 for each worker and 0.1 kB for each row of the image.

    References
    ----------
    `scipy.signal.convolve2d`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.convolve2d([[1, 2], [3, 4]], [[1, 1]], "same", boundary="symm")
    array([[2, 3],
           [6, 7]])
    """
    # Identity, not equality: whatever is not literally the default takes the long way.
    if (
        method is _AUTO
        and stride is _ONE
        and accuracy is None
        and workers is None
        and max_memory is None
        and structure is True
        and policy is None
        and type(mode) is type(boundary) is str
        and _plain(in1, in2, fillvalue)
    ):
        key = _key("convolve2d", in1, in2, mode, boundary, fillvalue)
        result = _kept(key, in1, in2, out)
        if result is not None:
            return result
    settings = Settings(method, accuracy, out, workers, structure, None, max_memory)
    if policy is None:
        return answer2d("convolve2d", in1, in2, mode, boundary, fillvalue, stride, settings)
    with in_force(policy):
        return answer2d("convolve2d", in1, in2, mode, boundary, fillvalue, stride, settings)


# SciPy conjugates the second operand of a correlation; the compiled entries do not.
@_plain_calls_first(ORDER, "iuf")
def correlate2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    stride: int | tuple[int, int] = 1,
    method: str = "auto",
    accuracy: str | None = None,
    out: npt.NDArray[Any] | None = None,
    workers: int | None = None,
    structure: bool = True,
    max_memory: int | None = None,
    policy: str | None = None,
) -> npt.NDArray[Any]:
    """Cross-correlate two 2-D arrays: `scipy.signal.correlate2d`, with keywords of its own.

    Parameters
    ----------
    in1 : array_like, shape (n0, n1)
        The image.
    in2 : array_like, shape (k0, k1)
        The template, conjugated if complex.
    mode, boundary, fillvalue, stride, method, accuracy, out, workers, structure, max_memory, policy
        As in `convolve2d`. For even sizes "same" is centred one sample later than `convolve2d`
        has it, as in SciPy.

    Returns
    -------
    ndarray
        `out`, or a fresh array.

    Raises
    ------
    ValueError, TypeError
        As in `convolve2d`.

    Notes
    -----
    ``out[i, j] = sum over u, v of in1[i + u, j + v] * conj(in2[u, v])``.

    References
    ----------
    `scipy.signal.correlate2d`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.correlate2d([[1, 2, 3]], [[1, 0]], "valid")
    array([[1, 2]])
    """
    # Identity, not equality: whatever is not literally the default takes the long way.
    if (
        method is _AUTO
        and stride is _ONE
        and accuracy is None
        and workers is None
        and max_memory is None
        and structure is True
        and policy is None
        and type(mode) is type(boundary) is str
        and _plain(in1, in2, fillvalue)
    ):
        key = _key("correlate2d", in1, in2, mode, boundary, fillvalue)
        result = _kept(key, in1, in2, out)
        if result is not None:
            return result
    settings = Settings(method, accuracy, out, workers, structure, None, max_memory)
    if policy is None:
        return answer2d("correlate2d", in1, in2, mode, boundary, fillvalue, stride, settings)
    with in_force(policy):
        return answer2d("correlate2d", in1, in2, mode, boundary, fillvalue, stride, settings)


def explain2d(
    in1: Any, in2: Any, mode: Any, boundary: Any, stride: Any, settings: Settings
) -> Explanation:
    """Return what `fastconv.explain` shows for 2-D operands."""
    settings.check()
    x, w = np.asarray(in1), np.asarray(in2)
    if not _settled(x, w, mode, boundary, np.asarray(0), strict=False):
        original("convolve2d")(x, w, mode, boundary)  # Raises what SciPy raises.
        raise ValueError(f"in1 and in2 must have a compiled dtype, got {x.dtype} and {w.dtype}")
    made = _request("convolve2d", x, w, mode, boundary, 0, stride)
    table = request.explain(made, settings)
    plain = settings._replace(out=None).plain and x.dtype == w.dtype and made.x is x
    way = short2d.short_way(made.problem) if plain else ""
    return table._replace(notes=(*table.notes, way)) if way else table


def what(name: str, mode: Any, boundary: Any) -> int:
    """Return what the compiled entry of a whole call is told; mode and boundary must be known."""
    if not isinstance(boundary, str) or boundary not in _RULES:
        raise ValueError(f"boundary must be one of {list(_RULES)}, got {boundary!r}")
    return _EXTENTS[mode] + ORDER * (name == "correlate2d") + RULE * _RULES[boundary]


def answer2d(
    name: str,
    in1: Any,
    in2: Any,
    mode: Any,
    boundary: Any,
    fillvalue: Any,
    stride: Any,
    settings: Settings,
) -> npt.NDArray[Any]:
    """Answer SciPy's function `name`, with our keywords."""
    key, given = None, (in1, in2)
    plain = settings._replace(out=None).plain and type(stride) is int and stride == 1
    in1, in2 = as_array(in1), as_array(in2)
    if mode == "valid" and settle.larger_second(in1, in2) and in1.ndim == 2:
        # A convolution is the same with its operands exchanged, and ready for the short way then.
        if name == "convolve2d":
            in1, in2 = in2, in1
        else:  # SciPy conjugates the smaller one.
            name, in1, in2 = "convolve2d", in2[::-1, ::-1], _ordered(name, in1)
    small = type(in1) is np.ndarray and in1.size <= short2d.COPIED
    if small and not is_packed(in1) and settings.max_memory is None:
        in1 = in1.astype(in1.dtype.newbyteorder("="), order="C")
    if small and type(in2) is np.ndarray and not in2.dtype.isnative:
        in2 = in2.astype(in2.dtype.newbyteorder("="))
    if plain and (in1 is not given[0] or in2 is not given[1]):
        function = convolve2d if name == "convolve2d" else correlate2d
        return function(in1, in2, mode, boundary, fillvalue, out=settings.out)
    if plain and _plain(in1, in2, fillvalue):
        key = _key(name, in1, in2, mode, boundary, fillvalue)
        result = _kept(key, in1, in2, settings.out)
        if result is not None:
            return result
    settings.check()
    x, w, fill = np.asarray(in1), np.asarray(in2), np.asarray(fillvalue)
    if not _settled(x, w, mode, boundary, fill, isinstance(fillvalue, np.ndarray)):
        if x.size == 0 and w.size and mode == "full" and boundary in _EXTENDING:
            # SciPy divides by the number of samples, which ends the process.
            raise ValueError(f"in1 must not be empty with boundary={boundary!r}, got {x.shape}")
        # SciPy's own words for its errors, and its loops for rare dtypes and for no samples.
        result = original(name)(in1, in2, mode, boundary, fillvalue)
        return _beside(result, pair(stride), settings)
    made = _request(name, x, w, mode, boundary, fill[()], stride)
    if key is not None and made.x is x:
        short2d.keep(key, made.problem, x.dtype, fill=made.fill)
    return request.answer(made, settings)


def _key(name: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> Any:
    """Return what a plain call's request follows from: numbers that are equal differ in kind."""
    outside = (type(fillvalue), fillvalue) if fillvalue is not _ZERO else ()
    return (name, in1.dtype, in1.shape, in2.shape, mode, boundary, *outside)


def _kept(key: Any, in1: Any, in2: Any, out: Any) -> npt.NDArray[Any] | None:
    """Return the short way's answer, where one is kept for such operands."""
    recipe = short2d.recipe(key)
    return recipe(in1, _ordered(key[0], in2).copy(), out) if recipe is not None else None


def _plain(in1: Any, in2: Any, fillvalue: Any) -> bool:
    """Return whether the operands alone leave the short way open."""
    if type(in1) is not np.ndarray or type(in2) is not np.ndarray or in1.dtype != in2.dtype:
        return False
    if not is_packed(in1) or type(fillvalue) not in _NUMBERS or fillvalue != fillvalue:
        return False
    # Taps that are not finite meet the zeros outside (see `_request`).
    return in2.dtype.kind in "iu" or (in2.dtype.kind in "fc" and isfinite(np.vdot(in2, in2).real))


def _ordered(name: str, w: Any) -> Any:
    """Return the filter in correlation order."""
    if name == "convolve2d":
        return w[::-1, ::-1]
    return w.conj() if w.dtype.kind == "c" else w


def _beside(
    result: npt.NDArray[Any], strides: tuple[int, int], settings: Settings
) -> npt.NDArray[Any]:
    """Give SciPy's result the meaning of our keywords, or refuse them."""
    if settings.max_memory is not None:
        raise ValueError(
            f"max_memory must be None where SciPy itself answers, got {settings.max_memory}"
        )
    if settings.method not in ("auto", "library"):
        raise ValueError(
            f"method must be 'auto' or 'library' for {result.dtype}, got {settings.method!r}"
        )
    if settings.accuracy == "exact" and is_float(result.dtype.name):
        raise ValueError(
            f"accuracy must be 'normwise' or 'componentwise' for {result.dtype}, got 'exact'"
        )
    result = result[:: strides[0], :: strides[1]]
    if settings.out is None:
        return result.copy()
    request.check_out(settings.out, result.shape, result.dtype)
    settings.out[...] = result
    return settings.out


def _settled(x: Any, w: Any, mode: Any, boundary: Any, fill: Any, strict: bool) -> bool:
    """Return whether SciPy would accept the call and we have the means to answer it."""
    if x.ndim != 2 or w.ndim != 2 or x.size == 0 or w.size == 0 or fill.ndim:
        return False
    if not isinstance(mode, str) or mode not in _MODES:
        return False
    if not isinstance(boundary, str) or boundary not in _BOUNDARIES:
        return False
    dtype = np.result_type(x, w)
    if dtype.kind not in _COMPILED or dtype.name not in _WIDTHS:
        return False
    if x.dtype.kind == "b" or w.dtype.kind == "b" or fill.dtype.kind not in "biufc":
        return False
    contains = [
        all(a >= b for a, b in zip(p, q, strict=True))
        for p, q in ((x.shape, w.shape), (w.shape, x.shape))
    ]
    return (mode != "valid" or any(contains)) and _castable(fill, dtype, strict)


def _castable(fill: Any, dtype: Any, strict: bool) -> bool:
    """Return whether the fill value means the same in `dtype`; SciPy casts the others its way.

    It takes numbers as they come, and arrays (`strict`) where no value of their dtype is lost.
    """
    if strict:
        return np.can_cast(fill.dtype, dtype, "safe")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return fill.dtype.kind in "biu" and limits.min <= int(fill) <= limits.max
    return np.can_cast(fill.dtype, dtype, "same_kind")


_WIDTHS = frozenset(
    ["float64", "float32", "complex128", "complex64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


def pair(stride: Any) -> tuple[int, int]:
    """Return a stride, one integer or two, as rows and columns."""
    if isinstance(stride, (tuple, list)):
        if len(stride) != 2:
            raise ValueError(f"stride must be one integer or a pair, got {stride!r}")
        return request.positive("stride", stride[0]), request.positive("stride", stride[1])
    return (request.positive("stride", stride),) * 2


def _extent(n: int, k: int, mode: str, convolving: bool) -> tuple[int, int]:
    """Return pad and the number of outputs along one axis, in correlation order."""
    if mode == "full":
        return k - 1, n + k - 1
    if mode == "same":
        return k // 2 if convolving else (k - 1) // 2, n
    return 0, n - k + 1


def _request(
    name: str, x: Any, w: Any, mode: str, boundary: str, fill: Any, stride: Any
) -> Request:
    """Settle mode, swap, flip and conjugation."""
    convolving = name == "convolve2d"
    swap = mode == "valid" and any(k > n for n, k in zip(x.shape, w.shape, strict=True))
    dtype = np.result_type(x, w)
    if swap:
        x, w = w, x
    w = _ordered(name, w)
    if swap and not convolving:
        x, w = x[::-1, ::-1], w[::-1, ::-1]  # SciPy reverses the result.
    extents = [_extent(n, k, mode, convolving) for n, k in zip(x.shape, w.shape, strict=True)]
    strides = pair(stride)
    rule = _BOUNDARIES[boundary]
    if rule == "fill" and fill == 0 and (w.dtype.kind not in "fc" or np.isfinite(w).all()):
        # Zeros times a finite tap add nothing; SciPy multiplies them, so inf and nan taps do.
        rule = "zero"
    problem = Problem(
        dtype.name,
        1,
        True,
        x.shape,
        w.shape,
        tuple(geometry.strided(m, s) for (_, m), s in zip(extents, strides, strict=True)),
        strides,
        (1, 1),
        tuple(p for p, _ in extents),
        (rule, rule),
    )
    return Request(problem, x, w, (), None, dtype, dtype.type(fill))
