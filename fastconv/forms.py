"""What paths make of a filter before they use it, kept for the next call with the same filter."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from .runtime.locks import new_lock

Form = TypeVar("Form")

# A filter's spectra for a few block sizes and dtypes; the newest is kept whatever its size.
MAX_KEPT_BYTES, MAX_KEPT_FORMS = 1 << 26, 16


class Forms:
    """The prepared forms of one filter: safe for threads, bounded, the longest unused go first.

    Parameters
    ----------
    most : int, optional
        The most bytes to keep beside the newest form, if that is less than usual.
    """

    def __init__(self, most: int | None = None) -> None:
        self._lock = new_lock()
        self._most = MAX_KEPT_BYTES if most is None else min(most, MAX_KEPT_BYTES)
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def recall(self, key: Hashable, make: Callable[[], Form], size: Callable[[Form], int]) -> Form:
        """Return the form kept under `key`, or make it; two threads may make the same one."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key][0]  # type: ignore[no-any-return]
        made = make()
        with self._lock:
            self._found[key] = made, size(made)
            total = sum(kept for _, kept in self._found.values())
            while len(self._found) > 1 and (
                total > self._most or len(self._found) > MAX_KEPT_FORMS
            ):
                total -= self._found.popitem(last=False)[1][1]
        return made

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        with self._lock:
            return sum(kept for _, kept in self._found.values())


def recall(
    forms: Forms | None, key: Hashable, make: Callable[[], Form], size: Callable[[Form], int]
) -> Form:
    """Return the form kept under `key`; without a memory make it anew."""
    return make() if forms is None else forms.recall(key, make, size)
