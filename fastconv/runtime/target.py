"""The instruction sets that kernels are built for: vector width and registers as data."""

from __future__ import annotations

import os
import sys
from functools import cache

from ..records import NamedTuple


class Target(NamedTuple):
    """One instruction-set level.

    Parameters
    ----------
    name : str
        The psABI level, "plain" for any other machine.
    cpu, features : str
        What LLVM is told; empty means the machine that builds.
    vector_bytes : int
        Bytes in one vector register: the unit that explicit SIMD kernels are written in.
    registers : int
        Vector registers, which bound the accumulators of a register tile.
    requires : tuple of str
        NumPy's names for the CPU features that must be present to run this level.
    """

    name: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    requires: tuple[str, ...]

    @property
    def masks(self) -> bool:
        """Whether a store that leaves out lanes costs what a whole one does.

        AVX2's takes AMD's processors 12 to 20 cycles; without AVX2 it is a branch for each lane.
        """
        return self.vector_bytes == 64

    @property
    def has_row_tiles(self) -> bool:
        """Whether ordered sums down columns go in tiles of two rows, which fill 16 registers."""
        return self.registers == 16

    @property
    def has_line_panels(self) -> bool:
        """Whether means along lines go in panels of parts, which are transposed in registers.

        Measured with AVX2; with AVX-512 doubling has half as many stages' loads for each sample.
        """
        return self.vector_bytes < 64

    def has_load_masks(self, itemsize: int) -> bool:
        """Return whether a load that leaves out lanes costs what a whole one does.

        AVX2's does, for elements of four and eight bytes.
        """
        return self.vector_bytes == 64 or (self.vector_bytes == 32 and itemsize >= 4)

    def lanes(self, itemsize: int) -> int:
        """Return how many elements of `itemsize` bytes one vector register holds."""
        return self.vector_bytes // itemsize


_V2 = ("SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT")
_V3 = (*_V2, "AVX", "F16C", "FMA3", "AVX2")
_V4 = (*_V3, "AVX512F", "AVX512CD", "AVX512_SKX")

# Best first. LLVM tunes x86-64-v4 for 256-bit vectors; our tiles are written for 512.
TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target("x86-64-v4", "x86-64-v4", "-prefer-256-bit", 64, 32, _V4),
        Target("x86-64-v3", "x86-64-v3", "", 32, 16, _V3),
        Target("x86-64-v2", "x86-64-v2", "", 16, 16, _V2),
        Target("aarch64", "generic", "+neon", 16, 32, ("ASIMD",)),
        Target("plain", "", "", 16, 16, ()),
    )
}


@cache
def host_target() -> Target:
    """Return the best target that this machine runs.

    NumPy's own CPU feature table decides, so ``NPY_DISABLE_CPU_FEATURES`` limits it; the
    variable ``FASTCONV_TARGET`` names a level outright, and Numba's ``NUMBA_CPU_NAME`` or
    ``NUMBA_CPU_FEATURES`` limit it to what they describe.

    Raises
    ------
    ValueError
        If ``FASTCONV_TARGET`` names no target.
    """
    wanted = os.environ.get("FASTCONV_TARGET")
    if wanted:
        if wanted not in TARGETS:
            raise ValueError(f"FASTCONV_TARGET must be one of {list(TARGETS)}, got {wanted!r}")
        return TARGETS[wanted]
    if sys.maxsize < 2**63 - 1:
        return TARGETS["plain"]
    present = _cpu_features()
    limit = _numba_limit()
    for target in TARGETS.values():
        runs = all(present.get(feature, False) for feature in target.requires)
        if runs and target.vector_bytes <= limit:
            return target
    return TARGETS["plain"]


def _cpu_features() -> dict[str, bool]:
    from numpy._core._multiarray_umath import __cpu_features__

    return dict(__cpu_features__)


def _numba_limit() -> int:
    """Return the widest vector, in bytes, that Numba's own environment variables leave."""
    features = os.environ.get("NUMBA_CPU_FEATURES")
    name = os.environ.get("NUMBA_CPU_NAME")
    if features is None and name is None:
        return 1 << 30
    if features:
        enabled = {f[1:] for f in features.split(",") if f.startswith("+")}
        return 64 if "avx512f" in enabled else 32 if "avx2" in enabled else 16
    return {"x86-64-v4": 64, "x86-64-v3": 32, "haswell": 32, "host": 1 << 30}.get(name or "", 16)
