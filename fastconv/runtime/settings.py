"""What a program may say about how it is answered: by call, by context, by environment."""

from __future__ import annotations

import os
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

POLICIES = ("adaptive", "compile", "never")

_policy: ContextVar[str | None] = ContextVar("fastconv_policy", default=None)
_workers: ContextVar[int | None] = ContextVar("fastconv_workers", default=None)


class Change:
    """A setting in force; as a context manager it ends with the block."""

    __slots__ = ("_token", "_variable")

    def __init__(self, variable: ContextVar[Any], value: Any) -> None:
        self._variable = variable
        self._token: Token[Any] = variable.set(value)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._variable.reset(self._token)


def policy(value: str) -> Change:
    """Say what to do about kernels that are not built yet, in this thread from now on.

    Parameters
    ----------
    value : {"adaptive", "compile", "never"}
        "adaptive": NumPy or SciPy answer while another process builds. "compile": wait for the
        build. "never": build nothing; kernels that are ready are used.

    Returns
    -------
    context manager
        In a ``with`` statement the setting ends with the block.

    Raises
    ------
    ValueError
        If it is none of them.

    Notes
    -----
    The setting belongs to the current context (`contextvars`): to this thread or task. For a whole
    process set ``FASTCONV_POLICY`` before it starts.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.policy("never"):
    ...     fastconv.convolve([1, 2, 3], [1, 1])
    array([1, 3, 5, 3])
    """
    return Change(_policy, check_policy("policy", value))


def check_policy(name: str, value: Any) -> str:
    """Return `value` if it is a policy."""
    if not isinstance(value, str) or value not in POLICIES:
        raise ValueError(f"{name} must be one of {list(POLICIES)}, got {value!r}")
    return value


def waits() -> bool:
    """Return whether this context, or the call itself, asks to wait for builds; quickly."""
    return _policy.get() == "compile"


def policy_in_force() -> str:
    """Return the policy of this context, or that of the variable ``FASTCONV_POLICY``."""
    value = _policy.get()
    if value is None:
        value = check_policy("FASTCONV_POLICY", os.environ.get("FASTCONV_POLICY", POLICIES[0]))
    return value


def set_workers(workers: int) -> Change:
    """Set the most threads that a call may use, in this thread from now on.

    Parameters
    ----------
    workers : int
        At least 1. A call's own ``workers=`` goes first.

    Returns
    -------
    context manager
        In a ``with`` statement the setting ends with the block.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or less than 1.

    Notes
    -----
    The setting belongs to the current context, as `scipy.fft.set_workers` has it. For a whole
    process set ``FASTCONV_WORKERS``. Results do not depend on it.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.set_workers(1):
    ...     fastconv.convolve([1, 2, 3], [1, 1])
    array([1, 3, 5, 3])
    """
    if isinstance(workers, bool) or not hasattr(workers, "__index__"):
        raise TypeError(f"workers must be an integer, got {workers!r}")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers!r}")
    return Change(_workers, int(workers))


def workers_in_force() -> int | None:
    """Return the most threads by this context or the variable ``FASTCONV_WORKERS``, if any.

    Raises
    ------
    ValueError
        If the variable is not a positive integer.
    """
    value = _workers.get()
    if value is None and (text := os.environ.get("FASTCONV_WORKERS")) is not None:
        if not text.isdigit() or int(text) < 1:
            raise ValueError(f"FASTCONV_WORKERS must be a positive integer, got {text!r}")
        return int(text)
    return value
