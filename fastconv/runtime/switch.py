"""Callables that can be told to call another: a Python function first, a builtin once there is one.

A `functools.partial` without arguments is that. It costs a call 20 ns; a class with a ``__call__``
of its own, 0.1 us.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import bind, entry

__all__ = ["Switch"]

# Without a GIL a thread may be between reading what a partial calls and calling it.
_CAN_CHANGE = not entry.MORE


class Switch(partial[Any]):
    """Calls what it was last told to call."""

    # All of them are kept: a thread may be in an earlier one that holds no reference. They are no
    # slot: a partial of a partial without a dictionary calls what that calls, and lets go of it.
    _told: list[Callable[..., Any]]

    def __new__(cls, first: Callable[..., Any]) -> Any:
        told = [first]
        made = super().__new__(cls, first if _CAN_CHANGE else _last(told))
        made._told = told
        return made

    def __init_subclass__(cls) -> None:
        bind.call_as(partial, cls)

    @property
    def calls(self) -> Callable[..., Any]:
        """What it was last told to call."""
        return self._told[-1]

    def switch(self, function: Callable[..., Any]) -> None:
        """Call `function` from now on."""
        self._told.append(function)
        if _CAN_CHANGE:
            self.__setstate__((function, (), {}, self.__dict__))  # type: ignore[attr-defined]


def _last(told: list[Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that calls the last of them: 0.1 us, for what cannot be changed."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        return told[-1](*arguments, **keywords)

    return call
