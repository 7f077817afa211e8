"""Callables that can be told to call another: a Python function first, a builtin once there is one.

A `functools.partial` without arguments is that. It costs a call 20 ns; a class with a ``__call__``
of its own, 0.1 us.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import bind, entry

__all__ = ["CAN_SWITCH", "Switch"]

# Without a GIL a thread may be between reading what to call and calling it.
CAN_SWITCH = not entry.MORE


class Switch(partial[Any]):
    """Calls what it was last told to call."""

    __slots__ = ("_were",)

    _were: list[Callable[..., Any]]

    def __new__(cls, first: Callable[..., Any]) -> Any:
        made = super().__new__(cls, first)
        made._were = []
        return made

    def __init_subclass__(cls) -> None:
        bind.call_as(partial, cls)

    def switch(self, function: Callable[..., Any]) -> None:
        """Call `function` from now on; if not `CAN_SWITCH`, only before anyone has the switch."""
        self._were.append(self.func)  # A thread may be in it that holds no reference.
        self.__setstate__((function, (), {}, self.__dict__))  # type: ignore[attr-defined]
