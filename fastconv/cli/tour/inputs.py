"""Bytes from a file or a URL, and the one error a wrong input raises."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["InputError", "fetch", "is_url", "short"]

_TIMEOUT_SECONDS = 30.0
_LARGEST_BYTES = 64 * 2**20


class InputError(Exception):
    """An input breaks a rule; the message is one line, ``<name> must <rule>, got <value>``."""


def is_url(source: str) -> bool:
    """Tell whether `source` names a web address rather than a file."""
    return source.startswith(("http://", "https://"))


def short(value: object, length: int = 60) -> str:
    """Return ``repr(value)`` on one line, cut to `length` characters."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 4] + "..." + text[-1]


def fetch(name: str, source: str) -> bytes:
    """Return the bytes of a file or a URL.

    Parameters
    ----------
    name : str
        The option the source was given to, for the error message.
    source : str
        A path, or an address starting with ``http://`` or ``https://``.

    Raises
    ------
    InputError
        If it cannot be read or is larger than 64 MiB.
    """
    try:
        if is_url(source):
            with urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS) as reply:
                data: bytes = reply.read(_LARGEST_BYTES + 1)
        else:
            with Path(source).expanduser().open("rb") as file:
                data = file.read(_LARGEST_BYTES + 1)
    except (OSError, ValueError, RuntimeError, http.client.HTTPException) as error:
        what = "an address that answers" if is_url(source) else "a file that can be read"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InputError(f"{name} must be {what}, got {short(source, 200)} ({reason})") from None
    if len(data) > _LARGEST_BYTES:
        raise InputError(f"{name} must be at most 64 MiB, got more from {short(source, 200)}")
    return data
