"""Work space that belongs to a thread: fresh pages for every call would cost more than the work."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

# A thread keeps this much and no more; larger work space is fresh each time.
KEPT_BYTES = 1 << 23
_ALIGNMENT = 64

_here = threading.local()


def scratch(length: int, dtype: Any, purpose: str = "bytes") -> np.ndarray[Any, Any]:
    """Return `length` elements on a 64-byte boundary, whatever they hold.

    A thread's next call for the same purpose returns the same memory: use one at a time, within
    one function.
    """
    # A slice takes 0.2 us, and to find the memory and see it as `dtype` one more.
    seen = getattr(_here, "seen", None)
    if seen is not None:
        kept = seen.get((purpose, dtype))
        if kept is not None and len(kept) >= length:
            return kept[:length]  # type: ignore[no-any-return]
    return _find(length, dtype, purpose)[:length]


def _find(length: int, dtype: Any, purpose: str) -> np.ndarray[Any, Any]:
    """Return at least `length` elements of a thread's memory, as `scratch` finds them again."""
    itemsize = np.dtype(dtype).itemsize
    size = length * itemsize
    kept = getattr(_here, purpose, None)
    if kept is None or len(kept) < size:
        kept = aligned(size, np.uint8)
        if size > KEPT_BYTES:
            return np.asarray(kept.view(dtype))
        setattr(_here, purpose, kept)
        seen = getattr(_here, "seen", {})
        _here.seen = {key: array for key, array in seen.items() if key[0] != purpose}
    view: np.ndarray[Any, Any] = kept[: len(kept) // itemsize * itemsize].view(dtype)
    _here.seen[purpose, dtype] = view
    return view


def held() -> list[tuple[str, int, int]]:
    """Return this thread's memory: for each purpose where it begins and how many bytes it has."""
    found = vars(_here).items()
    return [
        (purpose, int(kept.__array_interface__["data"][0]), kept.nbytes)
        for purpose, kept in found
        if purpose != "seen"
    ]


def aligned(length: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Return `length` new elements on a 64-byte boundary, whatever they hold."""
    size = length * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    # Asking for an address takes microseconds: `scratch` does so once, not in every call.
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype)
