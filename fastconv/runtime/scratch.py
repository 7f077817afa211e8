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
    size = length * np.dtype(dtype).itemsize
    kept = getattr(_here, purpose, None)
    if kept is None or len(kept) < size:
        kept = aligned(size, np.uint8)
        if size <= KEPT_BYTES:
            setattr(_here, purpose, kept)
    return kept[:size].view(dtype)


def aligned(length: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Return `length` new elements on a 64-byte boundary, whatever they hold."""
    size = length * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    # Asking for an address takes microseconds: `scratch` does so once, not in every call.
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype)
