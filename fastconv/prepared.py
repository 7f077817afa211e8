"""A filter prepared once, for many signals: its transforms are kept from call to call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isfinite
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from . import numpy_request, request
from .forms import Forms
from .numpy_request import EXTENTS, ORDERS
from .paths import PATHS, one_signal
from .planner import selector, structure
from .request import Settings
from .runtime import bind, load
from .runtime.switch import Switch
from .short import DTYPES, is_packed, longest_filter
from .short_sums import Recipe, recipe_of

if TYPE_CHECKING:
    from .prepared_plane import PreparedPlane

__all__ = ["Prepared", "prepare"]

Array = npt.NDArray[Any]

_CALLS_PER_LOOK = 64
_MOST_RECIPES = 32


def prepare(
    v: npt.ArrayLike,
    mode: str | int = "full",
    *,
    function: str = "convolve",
    boundary: str = "fill",
    axis: int | None = None,
    stride: int = 1,
    method: str = "auto",
    accuracy: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
) -> Prepared | PreparedPlane:
    """Return a function of signals: `convolve`, or another of its kind, with the filter `v`.

    What a call makes of its filter (its spectrum, for a transform) is kept for the next one.

    Parameters
    ----------
    v : array_like, shape (k,), or (k0, k1) for images
        The filter; copied.
    mode, axis, stride, method, accuracy, workers, max_memory
        As in `convolve`; in `convolve2d` there is no axis.
    function : {"convolve", "correlate", "convolve2d", "correlate2d"}
        Which of them.
    boundary : {"fill", "wrap", "symm"}
        As in `convolve2d`; for images only.

    Returns
    -------
    Prepared or PreparedPlane
        ``call(a, out=None)`` returns what ``convolve(a, v, mode, ...)`` returns. Any number of
        threads may use it at a time.

    Raises
    ------
    ValueError
        If `v` is empty or has not the function's number of dimensions, or a keyword does not suit.
    TypeError
        If `v` holds no numbers, or a keyword has the wrong type.

    Notes
    -----
    Kept are at most 64 MB, or `max_memory` if that is less, beside the newest spectrum;
    `Prepared.nbytes` says how much.

    Examples
    --------
    >>> import fastconv
    >>> smooth = fastconv.prepare([0.25, 0.5, 0.25], "valid")
    >>> smooth([1.0, 2.0, 3.0, 8.0])
    array([2., 4.])
    """
    taps = np.asarray(v)
    plane = function in ("convolve2d", "correlate2d")
    if plane and taps.ndim != 2:
        raise ValueError(f"v must have two dimensions, got {taps.ndim}")
    if not plane and taps.ndim != 1:
        raise ValueError(f"v must have one dimension, got {taps.ndim}")
    if taps.size == 0:
        raise ValueError("v must not be empty, got an array of length 0")
    if taps.dtype.kind not in "biufc":
        raise TypeError(f"v must hold numbers, got {taps.dtype}")
    if not plane and function not in ORDERS:
        names = [*ORDERS, "convolve2d", "correlate2d"]
        raise ValueError(f"function must be one of {names}, got {function!r}")
    named = numpy_request.mode_name(mode)
    if named is None:
        raise ValueError(f"mode must be one of {list(EXTENTS)}, got {mode!r}")
    settings = Settings(method, accuracy, None, workers, True, None, max_memory)
    settings.check()
    settings = settings._replace(forms=Forms(max_memory))
    if plane:
        if axis is not None:
            raise ValueError(f"axis must be None for {function}, got {axis!r}")
        from .prepared_plane import PreparedPlane

        return PreparedPlane(_frozen(taps), named, function, boundary, stride, settings)
    if boundary != "fill":
        raise ValueError(f"boundary must be 'fill' for {function}, got {boundary!r}")
    request.positive("stride", stride)
    if axis is not None:
        request.integer("axis", axis)
    return Prepared(_frozen(taps), named, function, axis, stride, settings)


def _frozen(taps: Array) -> Array:
    """Return our own copy of a filter in the machine's byte order, never to be written again."""
    taps = taps.astype(taps.dtype.newbyteorder("="))
    taps.flags.writeable = False
    return taps


class Kept(Switch):
    """What filters that were prepared have in common: see `prepare`."""

    __slots__ = ("_fallback", "_function", "_settings", "filter", "mode", "stride")

    def __new__(cls, *arguments: Any) -> Any:
        return super().__new__(cls, cls.answer)

    def __init__(
        self, taps: Array, mode: str, function: str, stride: Any, settings: Settings
    ) -> None:
        self.filter, self.mode, self.stride = taps, mode, stride
        self._function, self._settings = function, settings
        self._fallback = _weakly(self)
        self.switch(self._fallback)

    if TYPE_CHECKING:  # `Switch` calls what answers.

        def __call__(self, a: npt.ArrayLike, out: Array | None = None) -> Array: ...

    @property
    def nbytes(self) -> int:
        """Bytes of the forms that are kept."""
        forms = self._settings.forms
        return forms.nbytes if forms is not None else 0

    def answer(self, a: Any, out: Array | None = None) -> Array:
        """Return the result for the signal or image `a`, in `out` where there is one."""
        raise NotImplementedError

    @property
    def __wrapped__(self) -> Any:
        """What has the signature of a call."""
        return self.answer

    def _bind(self, whole: bind.Whole, taps: Array, what: int) -> None:
        """Have calls go straight to a compiled entry, and what that declines to `answer`."""
        if self.calls is self._fallback:
            dtypes = {taps.dtype: whole}
            self.switch(bind.plain(self._function, dtypes, self._fallback, {}, taps, what))

    def _keywords(self) -> dict[str, Any]:
        """Return what `prepare` was told beside filter and mode."""
        settings = self._settings
        return {"function": self._function, "stride": self.stride, "method": settings.method,
                "accuracy": settings.accuracy, "workers": settings.workers,
                "max_memory": settings.max_memory}  # fmt: skip

    def __reduce__(self) -> Any:
        return partial(prepare, **self._keywords()), (self.filter, self.mode)


def _weakly(kept: Kept) -> Callable[..., Array]:
    """Return what answers calls of `kept`, without keeping that: a cycle would keep its spectra."""
    reference = ref(kept)

    def call(*arguments: Any, **keywords: Any) -> Array:
        alive = reference()
        if alive is None:
            raise ReferenceError("the prepared filter must be kept while it is called, got none")
        return alive.answer(*arguments, **keywords)

    return call


class Prepared(Kept):
    """A filter and how it is to be applied: see `prepare`."""

    __slots__ = ("_code", "_longest", "_loop", "_number", "_recipes", "_short", "_until_look",
                 "axis")  # fmt: skip

    def __init__(
        self, taps: Array, mode: str, function: str, axis: Any, stride: Any, settings: Settings
    ) -> None:
        super().__init__(taps, mode, function, stride, settings)
        self.axis = axis
        self._code = EXTENTS[mode] + ORDERS[function]
        self._number = taps.dtype.num
        conjugated = function == "correlate" and taps.dtype.kind == "c"
        plain = axis is None and stride == 1 and settings._replace(forms=None).plain
        loop = taps.dtype.name.removeprefix("u") if taps.dtype.name in DTYPES else ""
        self._loop = loop if plain and not conjugated else ""
        self._short: Any = None
        self._recipes: dict[int, tuple[Any, int]] = {}
        self._longest = self._until_look = 0

    def answer(self, a: Any, out: Array | None = None) -> Array:
        if self._loop:
            if self._short is None:
                self._look()
            if type(a) is np.ndarray and a.ndim == 1 and a.dtype == self.filter.dtype:
                # The entry transforms no filter: it has only what the direct loop is best for.
                if self._short is not None:
                    result = self._short(
                        a, self.filter, self._code, self._number, out, self._longest
                    )
                    if result is not None:
                        return result  # type: ignore[no-any-return]
                result = self._transformed(a, out)
                if result is not None:
                    return result
        settings = self._settings._replace(out=out)
        settings.check()
        x = np.asarray(a)
        if x.dtype.kind not in "biufc":
            raise TypeError(f"a must hold numbers, got {x.dtype}")
        made = numpy_request.settled(
            self._function, x, self.filter, self.mode, self.axis, self.stride
        )
        if made.problem.filter != self.filter.shape:
            # The operands have changed places: what is transformed as a filter is the signal.
            settings = settings._replace(forms=None)
        return request.answer(made, settings)

    def _transformed(self, a: Array, out: Array | None) -> Array | None:
        """Return a plain signal's result by the kept spectrum, or None where that does not do."""
        n, forms = a.size, self._settings.forms
        if n < self.filter.size or not is_packed(a) or forms is None:
            return None
        if n not in self._recipes:
            if len(self._recipes) >= _MOST_RECIPES:
                self._recipes.clear()
            self._keep(a, forms)
        recipe, m = self._recipes.get(n, (None, 0))
        if recipe is None:
            return None
        if out is None:
            out = np.empty(m, a.dtype)
        elif not (
            type(out) is np.ndarray
            and out.dtype == a.dtype
            and out.shape == (m,)
            and out.flags.carray
            and not np.may_share_memory(out, a)
        ):
            return None
        # What is not finite stays within its windows the long way.
        return out if isfinite(recipe(a, out)) else None

    def _keep(self, a: Array, forms: Forms) -> None:
        made = numpy_request.settled(self._function, a, self.filter, self.mode, None, 1)
        best = selector.rank(made.problem)[0]
        recipe = None
        path = PATHS[best.name]
        if path.one_signal is not None:
            if any(load.ready(*unit) is None for unit in path.kernels(made.problem)):
                return  # Ask again: they are being built.
            taps, signal = np.ascontiguousarray(made.w), path.one_signal(made.problem)
            recipe = one_signal.applied(signal, best.seconds, taps, forms)
        same = structure.constant(made.w)
        if same is not None:
            summed = recipe_of(made.problem._replace(structure=same))
            if summed is None:
                return
            if summed is not NotImplemented:
                recipe = _of_sums(summed, np.ascontiguousarray(made.w))
        self._recipes[a.size] = recipe, made.problem.output[0]

    def _look(self) -> None:
        """Look for the compiled entry that answers plain small calls; not too often."""
        self._until_look -= 1
        if self._until_look >= 0:
            return
        self._until_look = _CALLS_PER_LOOK
        if load.ready("rows", self._loop) is not None:
            whole = load.whole("rows", self._loop)
            if whole is not None:
                self._short = whole.call
                self._bind(whole, self.filter, self._code)
            self._longest = longest_filter(self.filter.dtype.name)

    def _keywords(self) -> dict[str, Any]:
        return super()._keywords() | {"axis": self.axis}

    def __repr__(self) -> str:
        return f"<{self._function} with {self.filter.size} {self.filter.dtype} taps, {self.mode}>"


def _of_sums(recipe: Recipe, w: Array) -> Callable[[Array, Array], float]:
    """Return a recipe for running sums as one for a kept spectrum: finite if its results are."""

    def run(x: Array, out: Array) -> float:
        return 0.0 if recipe(x, w, out) else inf

    return run
