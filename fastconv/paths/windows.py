"""Windows over all axes at once, in bands of continued samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.scratch import scratch
from . import ordered
from .bands import Source, cast, read_rows

Array = npt.NDArray[Any]
# Computes all windows of continued samples: (around, pitch of around in elements, out).
Operation = Callable[[Array, Array], None]

BAND_OUTPUTS = 1 << 15


class Window(NamedTuple):
    """One filter over all axes.

    Parameters
    ----------
    size, pad : tuple of int
        Lengths of a window, and samples of the first one before the first sample, per axis.
    boundary : str
        One of `geometry.BOUNDARIES` but "zero".
    operation : callable
        Computes all windows of continued samples (n + k - 1 along each axis).
    """

    size: tuple[int, ...]
    pad: tuple[int, ...]
    boundary: str
    operation: Operation


def slide(
    sources: Sequence[Source], out: Array, over: Window, work: Any, workers: int,
    finish: Callable[..., Array] | None = None,
) -> None:  # fmt: skip
    """Compute `out`, band by band along the first axis.

    Parameters
    ----------
    sources : sequence of Source
        Of one shape with `out`; sharing no memory with it.
    out : ndarray
        The result, of any dtype and layout, with at least one axis and one element.
    over : Window
        The filter.
    work : dtype
        Of all that the operation meets.
    workers : int
        How many threads may be used.
    finish : callable, optional
        What makes the result of each source's windows: ``finish(lo, hi, *results)``.
    """
    work = np.dtype(work)
    n, rest = out.shape[0], out.shape[1:]
    around = tuple(m + k - 1 for m, k in zip(rest, over.size[1:], strict=True))
    row, k = prod(around), over.size[0]
    height = max(BAND_OUTPUTS // row, min(2 * (k - 1), 4 * BAND_OUTPUTS // row), 1)

    def band(lo: int, hi: int) -> None:
        last, count = out[lo:hi], hi - lo + k - 1
        direct = finish is None and last.dtype == work and last.flags.carray
        piece = (hi - lo) * prod(rest)
        room = scratch(count * row + (0 if direct else piece * len(sources)), work)
        extended = room[: count * row].reshape(count, *around)
        rows = geometry.source_map(lo - over.pad[0], count, n, over.boundary)
        results = []
        for number, source in enumerate(sources):
            at = count * row + number * piece
            goal = last if direct else room[at : at + piece].reshape(last.shape)
            _continue(source, rows, over, extended)
            over.operation(extended, goal)
            results.append(goal)
        if finish is not None:
            last[...] = finish(lo, hi, *results)
        elif not direct:
            last[...] = cast(results[0], last.dtype) if work == np.float64 else results[0]

    threads.run(band, geometry.bands(n, height), workers)


def _continue(source: Source, rows: npt.NDArray[np.int64], over: Window, into: Array) -> None:
    """Gather rows and continue them along the other axes."""
    inside = tuple(slice(p, p + n) for p, n in zip(over.pad[1:], source.shape[1:], strict=True))
    read_rows(source, rows, into[(slice(None), *inside)])
    missing: Any = (rows < 0, *inside)
    into[missing] = source.outside
    for axis in range(1, into.ndim):
        n, p = source.shape[axis], over.pad[axis]
        view: Any = into[(slice(None), *(slice(None),) * (axis - 1), slice(None), *inside[axis:])]
        ahead: tuple[Any, ...] = (slice(None),) * axis
        for low, high in ((0, p), (p + n, into.shape[axis])):
            if high > low:
                index = geometry.source_map(low - p, high - low, n, over.boundary)
                outside = index[0] < 0
                view[(*ahead, slice(low, high))] = (
                    source.outside if outside else view[(*ahead, index + p)]
                )


def correlation(w: Array) -> Operation:
    """Return what adds the products with a filter (float64, in correlation order)."""

    def operation(around: Array, out: Array) -> None:
        pitch = tuple(s // around.itemsize for s in around.strides)
        taps = ordered.window(w, pitch)
        if out.ndim == 1:
            ordered.run(taps, around, out, (1, 1, out.shape[0]), (0, 0), (0, 0))
        elif out.ndim == 2:
            ordered.run(taps, around, out, (1, *out.shape), (0, pitch[0]), (0, out.shape[1]))
        else:
            # The last three axes in one call; a loop over what lies before them.
            planes, rows, width = out.shape[-3:]
            for i in np.ndindex(*out.shape[:-3]):
                start = sum(a * b for a, b in zip(i, pitch, strict=False))
                ordered.run(
                    taps, around.reshape(-1)[start:], out[i], (planes, rows, width),
                    (pitch[-3], pitch[-2]), (rows * width, width),
                )  # fmt: skip

    return operation
