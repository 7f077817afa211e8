"""Tapes: the kernel calls of one plain call, made again without Python.

Python takes 15 to 30 us around the kernels of a layer, as long as torch takes for small layers
altogether. What a call does besides depends on lengths and words only, so its kernel calls are
written down once, arrays as places in the operands, the result or work space, and one compiled
entry (`kernels/player`) checks the operands of the next call, allocates, and makes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..kernels.player import MOST_ARGUMENTS, MOST_OPERANDS, RESULT, ROOM
from ..records import NamedTuple
from . import bind, load, scratch
from .entry import CONTIGUOUS_ALIGNED, WRITEABLE

__all__ = ["Tape", "can_record", "record"]

# A step takes 0.6 kB; calls of more are so long that Python does not show.
_MOST_STEPS = 100
# To give the interpreter's lock away and to have it back takes 0.1 us.
_RELEASE_SECONDS = 10e-6
_LINE = 64


class Tape(NamedTuple):
    """What plays a call, and what must live as long.

    Parameters
    ----------
    play : callable
        (operands) -> the result, or None where they are not what the tape was made for.
    kept : tuple
        The arrays whose addresses are on the tape.
    """

    play: Callable[..., Any]
    kept: tuple[Any, ...]


def can_record() -> bool:
    """Return whether what plays tapes is there; its build goes on if it is not."""
    return bind.layout_is_known() and load.ready("player", "int64") is not None


def record(
    run: Callable[[], Any],
    operands: Sequence[np.ndarray[Any, Any] | None],
    result: np.ndarray[Any, Any] | None,
    shape: tuple[int, ...],
    seconds: float,
    stored: int = 0,
) -> Tape | None:
    """Call ``run()`` and return a tape of the kernel calls it made, or None if there can be none.

    Whatever `run` does to operands and result it must do by kernels, in this thread, and the same
    whatever the numbers. Arrays that nobody may write to are taken for constants; any other that is
    neither an operand nor the result nor `scratch` leaves no tape.

    Parameters
    ----------
    run : callable
        Computes `result`.
    operands : sequence of ndarray or None
        What `play` will be given: C-contiguous and aligned.
    result : ndarray or None
        Where the result goes; None where that is the last operand, which `play` returns then.
    shape : tuple of int
        What `play` returns has this shape.
    seconds : float
        How long a call may take: for longer ones the interpreter's lock is released.
    stored : int
        How many of the last operands are stored to. Nobody looks whether they share memory with
        others when the tape is played.
    """
    notes = _Notes(operands, result, stored)
    with load.listening(notes.listen):
        run()
    return notes.tape(shape, seconds)


class _Notes:
    """The kernel calls so far, as words."""

    def __init__(
        self,
        operands: Sequence[np.ndarray[Any, Any] | None],
        result: np.ndarray[Any, Any] | None,
        stored: int,
    ) -> None:
        self._operands, self._result, self._stored = operands, result, stored
        self._places = [
            (slot, _address(array), array.nbytes)
            for slot, array in [*enumerate(operands, 1), (RESULT, result)]
            if array is not None
        ]
        # (entry, [(counted from, word)]); in scratch, the purpose stands for what it is counted
        # from.
        self._steps: list[tuple[int, list[tuple[int | str, int]]]] = []
        self._room: dict[str, int] = {}
        self._kept: list[Any] = []
        # Whose is an array that lies in two operands?
        ends = sorted((start, start + size) for _, start, size in self._places)
        self._fits = all(a[1] <= b[0] for a, b in pairwise(ends))

    def listen(self, name: str, dtype: str, loop: Callable[..., Any]) -> Callable[..., Any]:
        """Return a kernel that is written down whenever it is called."""
        self._fits = self._fits and name != ""
        entry = load.address(name, dtype)

        def heard(*arguments: Any) -> None:
            self._note(entry, arguments)
            loop(*arguments)

        return heard

    def _note(self, entry: int, arguments: tuple[Any, ...]) -> None:
        words: list[tuple[int | str, int]] = []
        for argument in arguments:
            if not isinstance(argument, np.ndarray):
                words.append((0, int(argument)))
                continue
            found = self._place(argument)
            if found is None:
                self._fits = False
                return
            words += [found, (0, argument.size)]
        self._fits = self._fits and entry != 0 and len(words) <= MOST_ARGUMENTS
        self._steps.append((entry, words))

    def _place(self, array: np.ndarray[Any, Any]) -> tuple[int | str, int] | None:
        """Return where an array begins, or None if nobody will know in the next call."""
        at = _address(array)
        for slot, start, size in self._places:
            if start <= at and at + array.nbytes <= start + size:
                return slot, at - start
        for purpose, start, size in scratch.held():
            if start <= at and at + array.nbytes <= start + size:
                end = at - start + array.nbytes
                self._room[purpose] = max(self._room.get(purpose, 0), end)
                return purpose, at - start
        if array.flags.writeable:
            return None
        self._kept.append(array)
        return 0, at

    def tape(self, shape: tuple[int, ...], seconds: float) -> Tape | None:
        """Return what plays these calls."""
        if not self._fits or len(self._steps) > _MOST_STEPS:
            return None
        room, starts = 0, {}
        for purpose, size in self._room.items():
            starts[purpose] = room
            room += -(-size // _LINE) * _LINE
        assert len(self._operands) <= MOST_OPERANDS
        count, result = len(self._operands), self._result
        given, number = (count, 0) if result is None else (0, result.dtype.num)
        words = [room + _LINE, int(seconds > _RELEASE_SECONDS), len(self._steps), count]
        words += [given, number]
        for j, operand in enumerate(self._operands):
            if operand is None:
                words += [-1, 0, 0]
                continue
            flags = WRITEABLE if j >= count - self._stored else CONTIGUOUS_ALIGNED
            words += [operand.ndim, bind.traits(operand.dtype), flags, *operand.shape]
        words += [len(shape), *shape]
        for entry, arguments in self._steps:
            words.append(entry)
            for base, word in arguments:
                words += [ROOM, starts[base] + word] if isinstance(base, str) else [base, word]
            words += [0, 0] * (MOST_ARGUMENTS - len(arguments))
        return Tape(bind.tape(load.address("player", "int64"), words), tuple(self._kept))


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])
