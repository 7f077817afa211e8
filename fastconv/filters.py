"""Filters: the weights of a layer, and the forms of them that algorithms have prepared."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from .runtime.locks import new_lock

Array = npt.NDArray[Any]


class Filters:
    """Weights that remember what has been made of them.

    An algorithm asks for a form of the weights by a key; the first request makes it. Safe to use
    from several threads.

    Parameters
    ----------
    array : ndarray
        The weights: native, aligned, C-contiguous, and not changed as long as this lives.
    keeps : bool
        Whether this outlives a call, so that a form is worth memory of its own.
    """

    __slots__ = ("_forms", "_lock", "array", "keeps", "tapes")

    def __init__(self, array: Array, keeps: bool = False) -> None:
        self.array = array
        self.keeps = keeps
        self._forms: dict[Hashable, Any] = {}
        # Those of one call are one thread's, and a lock costs as much as a small layer's checks.
        self._lock: Any = new_lock() if keeps else nullcontext()
        # What plays calls with these weights, whose forms are on the tapes; see `nn.settled`.
        self.tapes: dict[Hashable, Any] | None = {} if keeps else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The weights' shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The weights' dtype."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The weights' number of axes."""
        return self.array.ndim

    def form(self, key: Hashable, make: Callable[[Array], Any]) -> Any:
        """Return ``make(weights)``, made once per key."""
        with self._lock:
            if key not in self._forms:
                self._forms[key] = make(self.array)
            return self._forms[key]

    def __repr__(self) -> str:
        return f"<packed filters {self.shape} {self.dtype}>"
