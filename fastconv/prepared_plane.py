"""A 2-D filter prepared once, for many images: see `fastconv.prepare`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import short2d
from .prepared import Kept
from .request import Settings
from .runtime.bind import Whole
from .signal import planes

__all__ = ["PreparedPlane"]

Array = npt.NDArray[Any]


class PreparedPlane(Kept):
    """A filter and how it is to be applied to images: see `prepare`."""

    __slots__ = ("boundary",)

    def __init__(
        self, taps: Array, mode: str, function: str, boundary: Any, stride: Any, settings: Settings
    ) -> None:
        super().__init__(taps, mode, function, stride, settings)
        self.boundary = boundary
        planes.pair(stride)
        planes.what(function, mode, boundary)

    def answer(self, a: Any, out: Array | None = None) -> Array:
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
                self._straight(whole)
        return result

    def _straight(self, whole: Whole) -> None:
        taps = self.filter
        if self._function == "correlate2d" and taps.dtype.kind == "c":
            taps = taps.conj()  # The compiled entries do not conjugate the filter.
        self._bind(whole, taps, planes.what(self._function, self.mode, self.boundary))

    def _keywords(self) -> dict[str, Any]:
        return super()._keywords() | {"boundary": self.boundary}

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.filter.shape))
        return f"<{self._function} with {shape} {self.filter.dtype} taps, {self.mode}>"
