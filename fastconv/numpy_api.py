"""NumPy's convolve and correlate, to the letter, with keywords of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import geometry, request
from .planner.explain import Explanation
from .problem import Problem
from .request import Request, Settings
from .short import CONVOLVE, CORRELATE, shortcut

__all__ = ["choose_method", "convolve", "correlate", "explain"]

_MODES: dict[Any, str] = {0: "valid", 1: "same", 2: "full"}
_EXTENTS = {name: number for number, name in _MODES.items()}
_ndarray, _ONE, _AUTO = np.ndarray, 1, "auto"


def convolve(
    a: npt.ArrayLike,
    v: npt.ArrayLike,
    mode: str | int = "full",
    *,
    axis: int | None = None,
    stride: int = 1,
    method: str = "auto",
    accuracy: str | None = None,
    out: npt.NDArray[Any] | None = None,
    workers: int | None = None,
) -> npt.NDArray[Any]:
    """Convolve two sequences: `numpy.convolve`, with keywords of its own.

    Parameters
    ----------
    a : array_like, shape (n,)
        The first operand; with `axis`, of any shape.
    v : array_like, shape (k,)
        The second operand; with `axis`, of any shape.
    mode : {"full", "same", "valid"} or {2, 1, 0}
        "full" returns n + k - 1 outputs, "same" max(n, k), "valid" max(n, k) - min(n, k) + 1.
    axis : int, optional
        Convolve along this axis of each operand; their other axes broadcast, as in a generalised
        ufunc ``(n),(k)->(m)``. An operand with one dimension lies along `axis` whatever its number.
    stride : int
        Compute every `stride`-th output only: the result is ``convolve(...)[::stride]``.
    method : str
        "auto", or the name of a path (see `explain`).
    accuracy : {None, "normwise", "componentwise", "exact"}
        The least error guarantee to accept. None accepts all of them: integers are always exact;
        floats are at least normwise.
    out : ndarray, optional
        Where to put the result: its shape and dtype exactly. It may overlap the operands.
    workers : int, optional
        The most threads to use; by default as many as there are CPUs. Results do not depend on it.

    Returns
    -------
    ndarray
        `out`, or a fresh C-contiguous array of dtype ``numpy.result_type(a, v)``.

    Raises
    ------
    ValueError
        If an operand is empty or has more than one dimension, if the mode is unknown, or if a
        keyword does not suit; before anything is stored.
    TypeError
        If the mode is no string or integer, or a keyword or `out` has the wrong type.

    Notes
    -----
    ``out[i] = sum over j of a[j] * v[i - j]``, samples outside an operand left out (they are not
    multiplied by zero, so that ``inf`` and ``nan`` reach exactly the outputs whose windows hold
    them). Integers wrap as NumPy's do. With k taps, min(n, k) = k:

    - componentwise: ``|error[i]| <= (k + 4) eps sum over j |a[j]| |v[i - j]|``;
    - normwise (paths through a Fourier transform of length L, chosen for long operands):
      ``|error[i]| <= 9 eps log2(L) ||a||_2 ||v||_2`` over each block of L samples.

    Operands that NumPy's protocol hands to other libraries (``__array_function__``) are passed on.

    References
    ----------
    `numpy.convolve`; N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> fastconv.convolve([1, 2, 3, 4, 5], [1, 1], "valid", stride=2)
    array([3, 7])
    """
    # Identity, not equality: whatever is not literally the default takes the long way.
    if (
        type(a) is _ndarray
        and type(v) is _ndarray
        and axis is None
        and out is None
        and accuracy is None
        and workers is None
        and stride is _ONE
        and method is _AUTO
    ):
        dtype = a.dtype
        if dtype is v.dtype and type(mode) is str and mode in _EXTENTS:
            result = shortcut(dtype)(a, v, _EXTENTS[mode], CONVOLVE)
            if result is not None:
                return result
    return _answer("convolve", a, v, mode, axis, stride, Settings(method, accuracy, out, workers))


def correlate(
    a: npt.ArrayLike,
    v: npt.ArrayLike,
    mode: str | int = "valid",
    *,
    axis: int | None = None,
    stride: int = 1,
    method: str = "auto",
    accuracy: str | None = None,
    out: npt.NDArray[Any] | None = None,
    workers: int | None = None,
) -> npt.NDArray[Any]:
    """Cross-correlate two sequences: `numpy.correlate`, with keywords of its own.

    Parameters
    ----------
    a : array_like, shape (n,)
        The signal; with `axis`, of any shape.
    v : array_like, shape (k,)
        The template, conjugated if complex; with `axis`, of any shape.
    mode : {"valid", "same", "full"} or {0, 1, 2}
        As in `convolve`.
    axis, stride, method, accuracy, out, workers
        As in `convolve`.

    Returns
    -------
    ndarray
        `out`, or a fresh array. Where k > n the result is that of the swapped call, reversed and
        conjugated, as NumPy has it.

    Raises
    ------
    ValueError, TypeError
        As in `convolve`.

    Notes
    -----
    ``out[i] = sum over j of a[i + j] * conj(v[j])``, with the error bounds of `convolve`.

    References
    ----------
    `numpy.correlate`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.correlate([1, 2, 3], [0, 1, 0.5])
    array([3.5])
    >>> fastconv.correlate([1, 2, 3], [0, 1, 0.5], "full")
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    if (
        type(a) is _ndarray
        and type(v) is _ndarray
        and axis is None
        and out is None
        and accuracy is None
        and workers is None
        and stride is _ONE
        and method is _AUTO
    ):
        dtype = a.dtype
        if dtype is v.dtype and dtype.kind != "c" and type(mode) is str and mode in _EXTENTS:
            result = shortcut(dtype)(a, v, _EXTENTS[mode], CORRELATE)
            if result is not None:
                return result
    return _answer("correlate", a, v, mode, axis, stride, Settings(method, accuracy, out, workers))


def explain(
    a: npt.ArrayLike,
    v: npt.ArrayLike,
    mode: str | int = "full",
    *,
    boundary: str = "fill",
    axis: int | None = None,
    stride: int = 1,
    method: str = "auto",
    accuracy: str | None = None,
    out: npt.NDArray[Any] | None = None,
    workers: int | None = None,
) -> Explanation:
    """Tell how `convolve` (or `convolve2d`, for 2-D operands) would answer, without doing it.

    Parameters
    ----------
    a, v, mode, axis, stride, method, accuracy, out, workers
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}
        As in `convolve2d`; 2-D operands without `axis` only.

    Returns
    -------
    Explanation
        Its repr is a table: every path, its guarantee and predicted time or why it cannot serve.

    Raises
    ------
    ValueError, TypeError
        As the call itself would.

    Notes
    -----
    Predicted seconds are counts of work times measured rates (`python -m fastconv calibrate`).

    Examples
    --------
    >>> import fastconv, numpy as np
    >>> table = fastconv.explain(np.ones(8, int), np.ones(3, int))
    >>> [row.name for row in table.rows if row.supported and row.guarantee == "exact"] != []
    True
    """
    settings = Settings(method, accuracy, out, workers)
    if axis is None and np.ndim(a) == np.ndim(v) == 2:
        from .signal import explain2d

        return explain2d(a, v, mode, boundary, stride, settings)
    settings.check()
    made = _request("convolve", np.asarray(a), np.asarray(v), mode, axis, stride)
    return request.explain(made, settings)


def choose_method(
    a: npt.ArrayLike, v: npt.ArrayLike, mode: str | int = "full", **keywords: Any
) -> str:
    """Return the name of the path that `convolve` would take.

    Parameters
    ----------
    a, v, mode, **keywords
        As in `explain`.

    Returns
    -------
    str
        A name that ``method=`` accepts.

    Raises
    ------
    ValueError, TypeError
        As in `explain`.

    Notes
    -----
    The same as ``explain(...).chosen``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.choose_method([1, 2, 3], [1, 1]) in fastconv.paths.PATHS
    True
    """
    return explain(a, v, mode, **keywords).chosen


def _answer(
    name: str, a: Any, v: Any, mode: Any, axis: Any, stride: Any, settings: Settings
) -> npt.NDArray[Any]:
    settings.check()
    original = getattr(_NUMPY, name)
    plain = axis is None and settings.plain and type(stride) is int and stride == 1
    if _foreign(a) or _foreign(v):
        if not plain:
            raise TypeError(
                f"a and v must be NumPy arrays with fastconv's own keywords, "
                f"got {type(a).__name__} and {type(v).__name__}"
            )
        return original(a, v, mode)  # type: ignore[no-any-return]
    if plain and name == "correlate" and (_subclass(a) or _subclass(v)):
        return original(a, v, mode)  # type: ignore[no-any-return]
    x, w = np.asarray(a), np.asarray(v)
    if plain and (
        x.ndim > 1
        or w.ndim > 1
        or x.size == 0
        or w.size == 0
        or (name == "correlate" and 0 in (x.ndim, w.ndim))
        or x.dtype.kind not in "biufc"
        or w.dtype.kind not in "biufc"
        or _mode_name(mode) is None
    ):
        # Errors in NumPy's own words, and the dtypes that only NumPy has loops for.
        return original(a, v, mode)  # type: ignore[no-any-return]
    made = _request(name, x, w, mode, axis, stride)
    return request.answer(made, settings)


class _NUMPY:
    """NumPy's own functions, whatever np.convolve may name later."""

    convolve = staticmethod(np.convolve)
    correlate = staticmethod(np.correlate)


def _foreign(operand: Any) -> bool:
    """Return whether NumPy's protocol would hand `operand` to another library."""
    kind = type(operand)
    if kind is np.ndarray:
        return False
    handler = getattr(kind, "__array_function__", None)
    return handler is not None and handler is not np.ndarray.__array_function__


def _subclass(operand: Any) -> bool:
    return isinstance(operand, np.ndarray) and type(operand) is not np.ndarray


def _mode_name(mode: Any) -> str | None:
    """Return the mode's name, or None for what only NumPy can judge."""
    if type(mode) is str:
        return mode if mode in _EXTENTS else None
    if type(mode) is bool or not isinstance(mode, (int, np.integer)):
        return None
    return _MODES.get(int(mode))


def extent(n: int, k: int, mode: str) -> tuple[int, int]:
    """Return pad and the number of outputs of NumPy's modes, for n >= k in correlation order."""
    if mode == "full":
        return k - 1, n + k - 1
    if mode == "same":
        return k // 2, n
    return 0, n - k + 1


def _request(
    name: str, x: npt.NDArray[Any], w: npt.NDArray[Any], mode: Any, axis: Any, stride: Any
) -> Request:
    """Settle modes, swaps, flips and conjugation: what is left is a correlation."""
    named = _mode_name(mode)
    if named is None:
        np.convolve(np.ones(1), np.ones(1), mode)  # Raises what NumPy raises.
        raise ValueError(f"mode must be one of {list(_EXTENTS)}, got {mode!r}")
    step = request.positive("stride", stride)
    x, w, back = _aligned(x, w, axis)
    n, k = x.shape[-1], w.shape[-1]
    for label, length in (("a", n), ("v", k)):
        if length == 0:
            raise ValueError(f"{label} cannot be empty")
    dtype = np.result_type(x.dtype, w.dtype)
    reverse = False
    if name == "convolve":
        if k > n:
            x, w, n, k = w, x, k, n
        w = w[..., ::-1]
    else:
        if w.dtype.kind == "c":
            w = w.conj()
        if k > n:
            x, w, n, k, reverse = w, x, k, n, True
    pad, m = extent(n, k, named)
    if reverse:
        # out[m-1-i] of the swapped call: both operands read backwards.
        x, w = x[..., ::-1], w[..., ::-1]
        pad = m - 1 - n + k - pad
    batch = np.broadcast_shapes(x.shape[:-1], w.shape[:-1])
    shared = request.count(w.shape[:-1]) == 1
    if shared:
        w = w.reshape(k)
    problem = Problem(
        dtype.name if dtype.isbuiltin == 1 else str(dtype),
        request.count(batch),
        shared,
        (n,),
        (k,),
        (geometry.strided(m, step),),
        (step,),
        (1,),
        (pad,),
        ("zero",),
    )
    return Request(problem, x, w, batch, back, dtype)


def _aligned(
    x: npt.NDArray[Any], w: npt.NDArray[Any], axis: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[int, ...] | None]:
    """Return both operands with the convolved axis last, and the way back for the result."""
    if axis is None:
        x, w = np.atleast_1d(x), np.atleast_1d(w)
        for label, operand in (("a", x), ("v", w)):
            if operand.ndim > 1:
                raise ValueError(
                    f"{label} must have one dimension, got {operand.ndim}: "
                    "name the axis to convolve along"
                )
        return x, w, None
    number = request.integer("axis", axis)
    x, w = np.atleast_1d(x), np.atleast_1d(w)
    ndim = max(x.ndim, w.ndim)
    smallest = min([o.ndim for o in (x, w) if o.ndim > 1] or [1])
    if not -smallest <= number < smallest:
        raise ValueError(f"axis must lie in {-smallest}..{smallest - 1}, got {axis}")
    x, w = (np.moveaxis(o, number, -1) if o.ndim > 1 else o for o in (x, w))
    position = number % ndim if number < 0 else number
    if position == ndim - 1:
        return x, w, None
    order = list(range(ndim - 1))
    order.insert(position, ndim - 1)
    return x, w, tuple(order)
