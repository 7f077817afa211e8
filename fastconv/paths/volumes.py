"""How the 2-D loop serves volumes: planes of results are sums over the planes that they meet."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..path import SLACK, Space
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.scratch import scratch
from .planes import ADD, STORE, arguments, take

# Results that are added to while they lie in a second-level cache.
_BLOCK_BYTES = 1 << 18
# What a volume of no more results is made of is kept for the next call.
_FEW_OUTPUTS = 1 << 14


class _Block(NamedTuple):
    """Some planes of volumes first..last-1, and what they are made of.

    Parameters
    ----------
    first, last : int
        Which volumes.
    place : tuple
        Which of their planes: an index of all leading axes.
    read : slice or ndarray of int
        The planes that are read, numbered over these volumes.
    numbers : ndarray of int
        For each leading tap and plane the one of those that is met: -1 for one outside.
    missing, begun : bool
        Whether there are any outside, and whether the first tap meets none of them.
    """

    first: int
    last: int
    place: tuple[Any, ...]
    read: Any
    numbers: Any
    missing: bool
    begun: bool


def run(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int) -> None:
    """Compute a block at a time: some rows of some planes, or some volumes, of the results.

    The planes that a block reads are copied with their columns continued beyond both ends: every
    row would be met by each leading tap, and its rim be made anew.
    """
    if out.size == 0:
        return
    skip = all(rule == "zero" for rule in problem.boundary)
    # A zero in place of a missing sample is multiplied: not with taps that are not finite.
    continued = not skip or w.dtype.kind not in "fc" or bool(np.isfinite(w).all())
    value, step, pad = x.dtype.type(0 if skip else fill), problem.stride[-1], problem.pad[-1]
    few = problem.outputs <= _FEW_OUTPUTS
    columns, known, rows, blocks = (_settled if few else _settled.__wrapped__)(problem, continued)
    leading, height = prod(problem.filter[:-2]), problem.signal[-2]
    most = max(b.read.stop - b.read.start if type(b.read) is slice else len(b.read) for b in blocks)
    fill = np.asarray(value).reshape(1)

    def block(first: int, last: int, place: Any, read: Any, numbers: Any, missing: bool,
              begun: bool) -> None:  # fmt: skip
        here = out[(slice(first, last), *place)]
        planes = x[0] if problem.shared_signal else x[first:last]
        planes = planes.reshape(-1, *problem.signal[-2:])[read]
        if continued:
            shape = (len(planes) + (missing and not skip), height, len(columns))
            # As much as any block asks for: room that grows would be there twice.
            room = scratch((most + (not skip)) * height * len(columns), x.dtype)
            samples = room[: prod(shape)].reshape(shape)
            take(planes, columns, -pad, 1, value, samples[: len(planes)])
            if missing and not skip:  # What is outside is a plane, too.
                samples[-1], numbers = value, np.where(numbers < 0, len(planes), numbers)
            planes = samples
        sums = here
        if step > 1:
            wide = (problem.output[-1] - 1) * step + 1
            sums = scratch(here.size // here.shape[-1] * wide, out.dtype, "sums")
            sums = sums.reshape(*here.shape[:-1], wide)
        if skip and not begun:
            sums[...] = 0
        arrays = planes.reshape(-1), w[first % len(w)].reshape(-1), sums.reshape(-1)
        how = ADD if skip and not begun else STORE
        for top, bottom in geometry.bands(problem.output[-2], rows):
            kernel(
                *arrays, *known[:2], fill, numbers, len(numbers) // leading, known[5], 0,
                *known[7:13], top, bottom, *known[15:-2], how, leading,
            )  # fmt: skip
        if step > 1:
            here[...] = sums[..., ::step]

    if len(blocks) == 1:
        block(*blocks[0])
        return

    def some_blocks(lo: int, hi: int) -> None:
        for j in range(lo, hi):
            block(*blocks[j])

    threads.run(some_blocks, geometry.bands(len(blocks), 1), workers)


@lru_cache(maxsize=64)
def _settled(problem: Problem, continued: bool) -> tuple[Any, tuple[Any, ...], int, list[_Block]]:
    """Return the columns that planes are continued by, the loop's arguments, rows, and blocks."""
    columns = _columns(problem)
    # Of strided columns all are computed, and every s-th is kept.
    plane = problem._replace(
        output=(*problem.output[:-1], (problem.output[-1] - 1) * problem.stride[-1] + 1),
        stride=(*problem.stride[:-1], 1),
        shared_signal=False,
    )
    if continued:
        plane = plane._replace(signal=(*plane.signal[:-1], len(columns)), pad=(*plane.pad[:-1], 0))
    rows, places = _places(problem)
    sources, of_volume = _sources(problem), prod(problem.signal[:-2])
    blocks = []
    for first, last, place in places:
        numbers = sources[(slice(None), None, *place)].reshape(len(sources), 1, -1)
        after = np.arange(last - first)[:, None] * (0 if problem.shared_signal else of_volume)
        read, numbers = _met(np.where(numbers < 0, -1, numbers + after))
        outside = numbers < 0
        missing, begun = bool(outside.any()), not outside[0].any()
        blocks.append(_Block(first, last, place, read, numbers.reshape(-1), missing, begun))
    return columns, arguments(plane, 0), rows, blocks


def calls(problem: Problem) -> int:
    """Return how many blocks a volume's results are made in."""
    return len(_places(problem)[1])


def planes_met(problem: Problem) -> int:
    """Return how many planes all planes of the results meet, some of them outside."""
    return problem.batch * prod(problem.output[:-2]) * prod(problem.filter[:-2])


def space(problem: Problem) -> Space:
    """Return the numbers of planes, and the planes that a block reads and makes."""
    lead, size = problem.ndim - 2, np.dtype(problem.dtype).itemsize
    taps, planes = prod(problem.filter[:lead]), prod(problem.output[:lead])
    _, deep, volumes = _cut(problem)
    reach = (deep - 1) * problem.stride[lead - 1]
    reach += geometry.span(problem.filter[lead - 1], problem.dilation[lead - 1])
    read = min(reach, problem.signal[lead - 1]) * prod(
        min(k, n) for k, n in zip(problem.filter[: lead - 1], problem.signal, strict=False)
    )
    if volumes:
        read, deep = volumes * prod(problem.signal[:lead]), volumes * planes
    copied = (read + 1) * problem.signal[-2] * max(0, len(_columns(problem))) * size
    if problem.stride[-1] > 1:
        copied += deep * problem.output[-2] * problem.output[-1] * problem.stride[-1] * size
    maps = 24 * (len(_columns(problem)) + (problem.output[-2] - 1) * problem.stride[-2])
    maps += 24 * geometry.span(problem.filter[-2], problem.dilation[-2])
    blocks = 900 * len(_places(problem)[1])
    return Space(maps + 80 * taps * planes * (volumes or 1) + blocks + SLACK, copied + SLACK)


def _columns(problem: Problem) -> Any:
    """Return for each column from the first that is read to the last the one it stands for."""
    count = (problem.output[-1] - 1) * problem.stride[-1]
    count += geometry.span(problem.filter[-1], problem.dilation[-1])
    return geometry.source_map(
        -problem.pad[-1], max(0, count), problem.signal[-1], problem.boundary[-1]
    )


def _cut(problem: Problem) -> tuple[int, int, int]:
    """Return how many rows, planes and, where one is less than a block, volumes one block makes."""
    oh, ow = problem.output[-2:]
    row_bytes = max(1, ow * problem.stride[-1] * np.dtype(problem.dtype).itemsize)
    # Whole register tiles of 2, 5 and 8 rows.
    rows = min(max(oh, 1), max(40, _BLOCK_BYTES // row_bytes // 40 * 40))
    deep = max(1, _BLOCK_BYTES // (row_bytes * rows))
    of_volume = max(1, prod(problem.output[:-2]))
    if deep < of_volume:
        return rows, deep, 0
    return rows, of_volume, deep // of_volume if problem.shared_filter else 1


def _places(problem: Problem) -> tuple[int, list[tuple[int, int, tuple[Any, ...]]]]:
    """Return how many rows a block has, and (first volume, last, planes of each) of all."""
    rows, deep, volumes = _cut(problem)
    *others, last = problem.output[:-2]
    if volumes:
        every = (slice(None),) * (len(others) + 1)
        return rows, [(*band, every) for band in geometry.bands(problem.batch, volumes)]
    return rows, [
        (b, b + 1, (*i, slice(*band)))
        for b in range(problem.batch)
        for i in product(*map(range, others))
        for band in geometry.bands(last, deep)
    ]


def _met(numbers: Any) -> tuple[Any, Any]:
    """Return which planes are met, and the numbers counted among them."""
    inside = numbers >= 0
    low, high = int(numbers.min(where=inside, initial=numbers.max())), int(numbers.max()) + 1
    if high <= low or high == 0:
        return slice(0, 0), numbers
    if high - low <= 2 * numbers.size:
        return slice(low, high), np.where(inside, numbers - low, -1)
    met = np.unique(numbers[inside])
    return met, np.where(inside, np.searchsorted(met, numbers), -1)


def _sources(problem: Problem) -> Any:
    """Return the number of the plane that each leading tap of each plane meets, -1 outside."""
    ndim = problem.ndim - 2
    total: Any = np.zeros((1,) * (2 * ndim), np.int64)
    outside: Any = False
    for a in range(ndim):
        k, m, n = problem.filter[a], problem.output[a], problem.signal[a]
        s, d = problem.stride[a], problem.dilation[a]
        count = max(0, (m - 1) * s + geometry.span(k, d))
        found = geometry.source_map(-problem.pad[a], count, n, problem.boundary[a])
        shape = [1] * (2 * ndim)
        shape[a], shape[ndim + a] = k, m
        here = found[np.add.outer(np.arange(k) * d, np.arange(m) * s)].reshape(shape)
        total, outside = total * n + here, outside | (here < 0)
    return np.where(outside, -1, total).reshape(-1, *problem.output[:ndim])
