"""Functions whose plain calls are answered by compiled entries: they take next to no Python.

To enter a Python function that has keywords, to look at each of them and to look up what answers a
dtype takes 0.8 us, as long as 700 samples take. A builtin compares addresses and goes on to the
compiled entry of the dtype, or else to the Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from . import bind
from .switch import Switch

__all__ = ["Front", "declines", "extend", "register"]


class Front(Switch):
    """A function: at first the one given, later a builtin that asks it for what it cannot answer.

    Parameters
    ----------
    fallback : callable
        (x, w, an argument for each of `choices`, \\*, out, ...) -> the result.
    choices : mapping of str to mapping of object to int
        See `bind.plain`.
    kinds : str
        The kinds of dtypes that the entries answer for this function.
    """

    def __new__(
        cls,
        fallback: Callable[..., Any],
        choices: Mapping[str, Mapping[Any, int]],
        kinds: str = "biufc",
    ) -> Front:
        made = super().__new__(cls, fallback)
        made._fallback, made._choices, made._kinds = fallback, choices, kinds
        made._dtypes = {}
        return made  # type: ignore[no-any-return]

    _fallback: Callable[..., Any]
    _choices: Mapping[str, Mapping[Any, int]]
    _kinds: str
    _dtypes: dict[np.dtype[Any], bind.Whole]

    def add(self, dtype: np.dtype[Any], whole: bind.Whole) -> None:
        """Answer operands of `dtype`, too, by a kernel's entries."""
        if dtype.kind in self._kinds and dtype not in self._dtypes:
            self._dtypes[dtype] = whole
            self.switch(self._first)

    def _first(self, *arguments: Any, **keywords: Any) -> Any:
        """Make the builtin for the dtypes that there are now: what is not called costs nothing."""
        known: dict[np.dtype[Any], bind.Whole] = {}
        while len(known) < len(self._dtypes):  # Another thread may add one meanwhile.
            known = self._dtypes.copy()
            name = self._fallback.__name__
            self.switch(bind.plain(name, known, self._fallback, self._choices))
        return self(*arguments, **keywords)

    def shows(self, function: Callable[..., Any]) -> Front:
        """Let readers see `function`, its annotations too: since 3.14 wrappers have their own."""
        update_wrapper(self, function, (*WRAPPER_ASSIGNMENTS, "__annotations__"))
        return self

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return self._fallback.__qualname__

    def __repr__(self) -> str:
        return f"<function {self._fallback.__module__}.{self._fallback.__qualname__}>"


_fronts: dict[str, list[Front]] = {}


def register(kernel: str, front: Front) -> Front:
    """Have `extend` add what there is of `kernel` to a front, and return that."""
    _fronts.setdefault(kernel, []).append(front)
    return front


def extend(kernel: str, dtype: np.dtype[Any], whole: bind.Whole) -> None:
    """Add a dtype's entries to the fronts that were registered for `kernel`."""
    for front in _fronts.get(kernel, ()):
        front.add(dtype, whole)


def declines(*arguments: Any, **keywords: Any) -> None:
    """Answer nothing: for fronts whose callers know what to do instead."""
