"""Compiled fronts of public functions: a small plain call takes next to no Python.

To look at each of a dozen keywords and to look up what answers a dtype takes Python 0.6 us, as long
as 500 samples take. So a function that was called with no keyword but `out` asks its front, which
compares numbers and goes on to the compiled entry of the dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import bind

__all__ = ["Front", "extend", "register"]


class Front:
    """What answers the plain calls of one function.

    Parameters
    ----------
    *choices : mapping of object to int
        For each argument beside the operands and `out` what it may be (that very object, so no
        string but a literal one), and what it adds to `what`.
    kinds : str
        The kinds of dtypes that the entries answer for this function.

    Attributes
    ----------
    entry : callable
        (x, w, an argument for each of `choices`, out) -> the result, or None where it declines.
    """

    __slots__ = ("_choices", "_dtypes", "_kinds", "entry")

    def __init__(self, *choices: Mapping[Any, int], kinds: str = "biufc") -> None:
        self._choices, self._kinds = choices, kinds
        self._dtypes: dict[np.dtype[Any], bind.Whole] = {}
        self.entry: Callable[..., Any] = _declines

    def add(self, dtype: np.dtype[Any], whole: bind.Whole) -> None:
        """Answer operands of `dtype`, too, by a kernel's entries."""
        if dtype.kind in self._kinds and dtype not in self._dtypes:
            self._dtypes[dtype] = whole
            self.entry = self._first

    def _first(self, *arguments: Any) -> Any:
        """Make the entry for the dtypes that there are now: what is never called costs nothing."""
        known: list[Any] = []
        while len(known) < len(self._dtypes):  # Another thread may add one meanwhile.
            known = list(self._dtypes.items())
            words = [len(self._choices)]
            for options in self._choices:
                words += [len(options), *(w for o, adds in options.items() for w in (id(o), adds))]
            words += [len(known), *(w for d, e in known for w in (bind.traits(d), e.whole, d.num))]
            self.entry = bind.front(known[0][1].front, words)
        return self.entry(*arguments)


_fronts: dict[str, list[Front]] = {}


def register(kernel: str, front: Front) -> Front:
    """Have `extend` add what there is of `kernel` to a front, and return that."""
    _fronts.setdefault(kernel, []).append(front)
    return front


def extend(kernel: str, dtype: np.dtype[Any], whole: bind.Whole) -> None:
    """Add a dtype's entries to the fronts that were registered for `kernel`."""
    for front in _fronts.get(kernel, ()):
        front.add(dtype, whole)


def _declines(*arguments: Any) -> None:
    return None
