"""Plain calls that differ in their numbers only: what settled one settles the next.

Settling a layer takes Python 20 us, a sixth of many layers of small networks.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..filters import Filters
from ..layer import Layer
from ..records import NamedTuple
from .arguments import Settings

_MOST_KEPT = 1024


class Settled(NamedTuple):
    """What a call was settled to, apart from its numbers.

    Parameters
    ----------
    layer : Layer
        What is to be computed.
    shape : tuple of int
        Of the result, as the caller sees it.
    """

    layer: Layer
    shape: tuple[int, ...]


_kept: dict[Hashable, Settled] = {}


def key_of(value: Any, weight: Any, shape: tuple[Any, ...], settings: Settings) -> Any:
    """Return all that a plain call follows from besides its numbers, or None for others.

    A plain call's arrays are ready for the kernels as they are, and sizes are integers: 1.0 and
    True equal 1, and must not pass for it.
    """
    w = weight.array if type(weight) is Filters else weight
    if type(value) is not np.ndarray or type(w) is not np.ndarray or value.dtype != w.dtype:
        return None
    flags, others = value.flags, w.flags
    if not (flags.c_contiguous and flags.aligned and others.c_contiguous and others.aligned):
        return None
    layout, method, accuracy, _, workers = settings
    if workers is not None and type(workers) is not int:
        return None
    for size in shape:
        if type(size) is not int and not is_plain(size):
            return None
    return value.dtype, value.shape, w.shape, shape, layout, method, accuracy, workers


def is_plain(size: Any) -> bool:
    """Return whether a size is integers, or a word."""
    if type(size) is tuple:
        return all(type(one) is int for one in size)
    return type(size) is str


def find(key: Any) -> Settled | None:
    """Return what a call with this key was settled to."""
    try:
        return _kept.get(key) if key is not None else None
    except TypeError:  # A list among the words, which is refused elsewhere.
        return None


def place(known: Settled, out: Any, used: tuple[Any, ...]) -> Any:
    """Return where a plain call's result goes, fresh or in `out`, or None if that does not suit."""
    dtype = used[0].dtype
    if out is None:
        return np.empty(known.shape, dtype)
    if type(out) is not np.ndarray or out.dtype != dtype or out.shape != known.shape:
        return None
    if not out.flags.carray or any(np.may_share_memory(out, u) for u in used if u is not None):
        return None
    return out


def keep(key: Any, layer: Layer, shape: tuple[int, ...]) -> None:
    """Keep what a call was settled to."""
    if key is not None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = Settled(layer, shape)
