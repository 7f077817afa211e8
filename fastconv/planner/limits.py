"""Measure what this machine can do at most: multiply-adds, and bytes copied per memory level."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import FLOATS
from ..runtime import load
from ..runtime.target import host_target

# Sizes where the system does not tell them: common ones.
_DEFAULT_SIZES = (32 << 10, 1 << 20, 32 << 20)
_MOST_BYTES = 256 << 20
_ROUNDS = 12
# One timed loop takes about this long.
_LOOP_SECONDS = 0.004
# The kernel `peak`: two steps of twelve chains a round; `copy`: eight vectors a step.
_CHAINS, _STEP = 12, 8


@dataclass(frozen=True, slots=True)
class Level:
    """One memory level: its capacity, and how fast data that lives there is copied.

    Parameters
    ----------
    name : str
        L1, L2, L3 or DRAM.
    capacity : float
        Bytes; infinite for DRAM.
    bytes_per_second : float
        Bytes read and bytes written, together.
    """

    name: str
    capacity: float
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one thread can do at most.

    Parameters
    ----------
    flops : dict of str to float
        Multiply-adds per second, counted as two, by dtype.
    levels : tuple of Level
        Memory levels, the nearest first.
    """

    flops: dict[str, float]
    levels: tuple[Level, ...]

    def level(self, working_set: float) -> Level:
        """Return the nearest level that holds `working_set` bytes."""
        return next(level for level in self.levels if working_set <= level.capacity)

    def bound(self, dtype: str, flops: float, bytes_moved: float) -> tuple[float, str]:
        """Return the least seconds that work can take, and what sets them.

        The roofline: ``max(flops / peak, bytes / bandwidth of the level they fit in)``.

        Parameters
        ----------
        dtype : str
            The dtype computed in; only float64, float32 and their complex kin have a peak.
        flops, bytes_moved : float
            Counts; zero where they do not bound.
        """
        level = self.level(bytes_moved)
        memory = bytes_moved / level.bytes_per_second
        real = {"complex128": "float64", "complex64": "float32"}.get(dtype, dtype)
        arithmetic = flops / self.flops[real] if real in self.flops else 0.0
        return (arithmetic, "FMA") if arithmetic > memory else (memory, level.name)

    def as_json(self) -> dict[str, Any]:
        """Return plain data; DRAM's capacity is left out."""
        levels = [asdict(level) for level in self.levels]
        levels[-1]["capacity"] = None
        return {"flops": self.flops, "levels": levels}


def measure_limits(progress: Callable[[float, str], None] = lambda share, what: None) -> Limits:
    """Measure the limits of one thread, in about a second.

    Raises
    ------
    RuntimeError
        Where no kernel can be built.
    """
    flops = {}
    sizes = cache_sizes()
    steps = len(FLOATS) + len(sizes) + 1
    for i, dtype in enumerate(FLOATS):
        progress(i / steps, f"multiply-adds in {dtype}")
        flops[dtype] = _peak(dtype)
    levels = []
    for i, size in enumerate((*sizes, 0)):
        name = f"L{i + 1}" if size else "DRAM"
        progress((len(FLOATS) + i) / steps, f"copying within {name}")
        # Half of the level: the rest is the stack's and the system's.
        working_set = size // 2 if size else min(_MOST_BYTES, 4 * sizes[-1])
        levels.append(Level(name, size or float("inf"), _copy(working_set)))
    progress(1.0, "done")
    return Limits(flops, tuple(levels))


def _peak(dtype: str) -> float:
    kernel = load.kernel("peak", dtype)
    lanes = host_target().lanes(np.dtype(dtype).itemsize)
    flops_a_round = 2 * _CHAINS * lanes * 2

    def run(rounds: int) -> None:
        # x -> x/2 + 1/2 stays at one: no denormals, no overflow.
        kernel(np.full(lanes, 0.5, dtype), rounds)

    return flops_a_round / _seconds_a_round(run, 1e-6)


def _copy(working_set: int) -> float:
    kernel = load.kernel("copy", "float64")
    multiple = _STEP * host_target().lanes(8)
    n = max(multiple, working_set // 16 // multiple * multiple)
    x, out = _aligned(n), _aligned(n)
    x[:], out[:] = 1, 0  # Pages are there before the clock runs.

    def run(rounds: int) -> None:
        kernel(x, out, n, rounds)

    return 16 * n / _seconds_a_round(run, 16 * n / 1e11)


def _aligned(n: int) -> npt.NDArray[np.float64]:
    room = np.empty(n + 8)
    skip = -room.ctypes.data % 64 // 8
    return room[skip : skip + n]


def _seconds_a_round(run: Callable[[int], None], guess: float) -> float:
    rounds = max(1, int(_LOOP_SECONDS / guess))
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run(rounds)
        best = min(best, time.perf_counter() - start)
    return best / rounds


def cache_sizes() -> tuple[int, ...]:
    """Return the bytes of each data cache of the first CPU, the nearest first."""
    folder = "/sys/devices/system/cpu/cpu0/cache"
    found: dict[int, int] = {}
    try:
        for entry in os.listdir(folder):
            if not entry.startswith("index"):
                continue
            kind, level, size = (_line(folder, entry, f) for f in ("type", "level", "size"))
            if kind != "Instruction":
                number, unit = re.fullmatch(r"(\d+)([KM]?)", size).groups()  # type: ignore[union-attr]
                found[int(level)] = int(number) * {"": 1, "K": 1 << 10, "M": 1 << 20}[unit]
    except (OSError, AttributeError, ValueError):
        return _DEFAULT_SIZES
    return tuple(found[level] for level in sorted(found)) or _DEFAULT_SIZES


def _line(*parts: str) -> str:
    with open(os.path.join(*parts)) as file:
        return file.read().strip()
