"""NumPy's convolve and correlate, to the letter, with keywords of our own.

What the short way does not answer is settled in `numpy_request`, imported when first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from .kernels.direct1d_call import CONJUGATE
from .runtime.front import Front, declines, register
from .runtime.settings import policy as in_force
from .short import CONVOLVE, CORRELATE, alike, converted, inner_products, shortcut, waiting
from .short_rows import answer_rows

if TYPE_CHECKING:
    from .planner.explain import Explanation

__all__ = ["choose_method", "convolve", "correlate", "explain"]

_EXTENTS = {"valid": 0, "same": 1, "full": 2}
_ndarray, _ONE, _AUTO, _PROPAGATE = np.ndarray, 1, "auto", "propagate"


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _plain_calls_first(order: int) -> Callable[[_Function], _Function]:
    """Make a function of two sequences and a mode leave its plain calls to a compiled front."""
    marks = order + (CONJUGATE if order == CORRELATE else 0)

    def decorate(function: _Function) -> _Function:
        (usual,) = function.__defaults__ or ()
        modes = {mode: _EXTENTS[mode] + marks for mode in (usual, *_EXTENTS)}
        literal = {mode: mode for mode in modes}
        entry = register("rows", Front(declines, {"mode": modes}))

        @wraps(function)
        def fallback(
            a: Any, v: Any, mode: Any = usual, *, out: Any = None, **keywords: Any
        ) -> Any:  # fmt: skip
            result = None
            named = literal.get(mode) if type(mode) is str and not keywords else None
            if named is not None:
                if named is not mode:  # The front knows the literal alone.
                    result = entry(a, v, named, out=out)
                if result is None and out is None:
                    both = alike(a, v)
                    if both is None:
                        result = inner_products(a, v, _EXTENTS[named], order)
                        if result is None and waiting:
                            result = _meanwhile(a, v, named, order)
                        if result is None and type(a) is _ndarray and not a.flags.c_contiguous:
                            a = a.copy()  # The entry has room for a thousand samples only.
                            result = entry(a, v, named)
                    # Others stay as they came: NumPy's errors speak of what it was given.
                    elif both[0].ndim == both[1].ndim == 1:
                        a, v = both
                        result = entry(a, v, named)
            return function(a, v, mode, out=out, **keywords) if result is None else result

        front = register("rows", Front(fallback, {"mode": modes}))
        return front.shows(function)  # type: ignore[return-value]

    return decorate


def _meanwhile(a: Any, v: Any, mode: Any, order: int) -> npt.NDArray[Any] | None:
    """Return NumPy's answer to a small call where the compiled loop is not there yet."""
    if type(a) is type(v) is _ndarray and (dtype := a.dtype) is v.dtype and type(mode) is str:
        answers, extent = waiting.get(dtype), _EXTENTS.get(mode)
        if answers is not None and extent is not None:
            return answers(a, v, extent, order)
    return None


@_plain_calls_first(CONVOLVE)
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
    structure: bool = True,
    max_memory: int | None = None,
    nan_policy: str = "propagate",
    mask: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    min_count: int = 1,
    normalize: bool | None = None,
    policy: str | None = None,
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
        floats are at least normwise. "componentwise" goes to transforms where they prove each
        output (real floats), else, and for complex numbers, to direct loops.
    out : ndarray, optional
        Where to put the result: its shape and dtype exactly. It may overlap the operands.
    workers : int, optional
        The most threads to use; by default as many as there are CPUs. Results do not depend on it.
    structure : bool
        Whether to look for a filter of equal taps, and for zeros at its ends.
    max_memory : int, optional
        The most bytes to allocate beside the operands and the result: for copies of operands that
        do not lie in memory as needed (a filter read backwards is one), tables, spectra and work
        space. Transforms take smaller blocks and fewer threads, or leave the call to direct loops.
    policy : {None, "adaptive", "compile", "never"}
        What this call does about a kernel that is not built yet, as in `fastconv.policy`; None
        leaves it to the context and the environment.
    nan_policy, mask, sample_weights, min_count, normalize
        Samples of `a` that are missing, as in `fastconv.ndimage.convolve`; what lies outside counts
        as zeros that are there. With one of them `a` is the signal and `v` the filter, whichever is
        longer, `v` has one dimension, and integers give float64.

    Returns
    -------
    ndarray
        `out`, or a fresh C-contiguous array of dtype ``numpy.result_type(a, v)``.

    Raises
    ------
    ValueError
        If an operand is empty or has more than one dimension, if the mode is unknown, or if a
        keyword does not suit (where `max_memory` is not enough, the error names the least that is);
        before anything is stored.
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
    >>> fastconv.convolve([1.0, float("nan"), 4.0], [1, 1], "same", nan_policy="omit")
    array([0.5, 1. , 4. ])
    """
    if policy is not None:
        with in_force(policy):
            return convolve(
                a, v, mode, axis=axis, stride=stride, method=method, accuracy=accuracy, out=out,
                workers=workers, structure=structure, max_memory=max_memory, nan_policy=nan_policy,
                mask=mask,
                sample_weights=sample_weights, min_count=min_count, normalize=normalize,
            )  # fmt: skip
    if (
        nan_policy is not _PROPAGATE
        or mask is not None
        or sample_weights is not None
        or normalize is not None
        or min_count is not _ONE
    ):
        from .gaps import convolve_with_gaps

        if max_memory is not None:
            raise ValueError(f"max_memory must be None where samples are missing, got {max_memory}")
        gaps = (nan_policy, mask, sample_weights, min_count, normalize)
        plain = method, accuracy
        return convolve_with_gaps(a, v, mode, axis, stride, out, workers, gaps, plain)
    # Identity, not equality: whatever is not literally the default takes the long way.
    if (
        method is _AUTO
        and stride is _ONE
        and accuracy is None
        and workers is None
        and structure is True
        and max_memory is None
        and type(mode) is str
        and mode in _EXTENTS
    ):
        result = None
        if axis is not None:
            result = answer_rows(a, v, _EXTENTS[mode], CONVOLVE, axis, out)
        elif type(a) is _ndarray and type(v) is _ndarray and (dtype := a.dtype) == v.dtype:
            result = shortcut(dtype)(a, v, _EXTENTS[mode], CONVOLVE, out)
        elif out is None:
            result = converted(a, v, _EXTENTS[mode], CONVOLVE)
        if result is not None:
            return result
    from .numpy_request import answer
    from .request import Settings

    settings = Settings(method, accuracy, out, workers, structure, None, max_memory)
    return answer("convolve", a, v, mode, axis, stride, settings)


@_plain_calls_first(CORRELATE)
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
    structure: bool = True,
    max_memory: int | None = None,
    policy: str | None = None,
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
    axis, stride, method, accuracy, out, workers, structure, max_memory, policy
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
    if policy is not None:
        with in_force(policy):
            return correlate(
                a, v, mode, axis=axis, stride=stride, method=method, accuracy=accuracy, out=out,
                workers=workers, structure=structure, max_memory=max_memory,
            )  # fmt: skip
    if (
        method is _AUTO
        and stride is _ONE
        and accuracy is None
        and workers is None
        and structure is True
        and max_memory is None
        and type(mode) is str
        and mode in _EXTENTS
    ):
        result = None
        if axis is not None:
            result = answer_rows(a, v, _EXTENTS[mode], CORRELATE, axis, out)
        elif type(a) is _ndarray and type(v) is _ndarray and (dtype := a.dtype) == v.dtype:
            w = v.conj() if dtype.kind == "c" else v
            result = shortcut(dtype)(a, w, _EXTENTS[mode], CORRELATE, out)
        elif out is None:
            result = converted(a, v, _EXTENTS[mode], CORRELATE)
        if result is not None:
            return result
    from .numpy_request import answer
    from .request import Settings

    settings = Settings(method, accuracy, out, workers, structure, None, max_memory)
    return answer("correlate", a, v, mode, axis, stride, settings)


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
    structure: bool = True,
    max_memory: int | None = None,
) -> Explanation:
    """Tell how `convolve` (or `convolve2d`, for 2-D operands) would answer, without doing it.

    Parameters
    ----------
    a, v, mode, axis, stride, method, accuracy, out, workers, max_memory
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}
    structure : bool
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
    from .numpy_request import explained
    from .request import Settings

    settings = Settings(method, accuracy, out, workers, structure, None, max_memory)
    return explained(a, v, mode, boundary, axis, stride, settings)


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
