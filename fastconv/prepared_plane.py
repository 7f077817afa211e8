"""A 2-D filter prepared once, for many images: see `fastconv.prepare`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import short2d
from .request import Settings
from .runtime.front import Front
from .signal import planes

__all__ = ["PreparedPlane"]

Array = npt.NDArray[Any]


class PreparedPlane:
    """A filter and how it is to be applied to images: see `prepare`."""

    __slots__ = ("_front", "_function", "_settings", "_taps", "boundary", "filter", "mode",
                 "stride")  # fmt: skip

    def __init__(
        self, taps: Array, mode: str, function: str, boundary: Any, stride: Any, settings: Settings
    ) -> None:
        self.filter, self.mode, self.boundary, self.stride = taps, mode, boundary, stride
        self._function, self._settings = function, settings
        self._front = Front({mode: planes.what(function, mode, boundary)})
        planes.pair(stride)
        # The compiled entries do not conjugate the filter of a correlation.
        self._taps = taps.conj() if function == "correlate2d" and taps.dtype.kind == "c" else taps

    @property
    def nbytes(self) -> int:
        """Bytes of the forms that are kept."""
        forms = self._settings.forms
        return forms.nbytes if forms is not None else 0

    def __call__(self, a: npt.ArrayLike, out: Array | None = None) -> Array:
        """Return the result for the image `a`, in `out` where there is one."""
        entry = self._front.entry  # Not a method: Python would look for one, 60 ns long.
        result = entry(a, self._taps, self.mode, out)
        return result if result is not None else self._answer(a, out)

    def _answer(self, a: Any, out: Array | None) -> Array:
        settings = self._settings._replace(out=out)
        x = np.asarray(a)
        if self.mode == "valid" and any(
            k > n for k, n in zip(self.filter.shape, x.shape, strict=False)
        ):
            # The operands change places: what is transformed as a filter is the image.
            settings = settings._replace(forms=None)
        result = planes.answer2d(
            self._function, a, self.filter, self.mode, self.boundary, 0, self.stride, settings
        )
        if self._settings.plain and planes.pair(self.stride) == (1, 1):
            # What the long way has found, the next call takes.
            whole = short2d.wholes.get(self.filter.dtype)
            if whole is not None:
                self._front.add(self.filter.dtype, whole)
        return result

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.filter.shape))
        return f"<{self._function} with {shape} {self.filter.dtype} taps, {self.mode}>"
