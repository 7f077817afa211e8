"""The table of algorithms: one file each, one line each here."""

from __future__ import annotations

from ..path import Path
from . import (
    direct,
    fft,
    fused,
    fused_complex,
    library,
    limb_tiles,
    limbs,
    overlap_save,
    polyphase,
    scan,
    separable,
    separable_volumes,
    slices,
    tiles,
    tilted,
)

PATHS: dict[str, Path] = {
    path.name: path
    for path in (
        direct.PATH,
        separable.PATH,
        separable_volumes.PATH,
        fused.PATH,
        fused_complex.PATH,
        limbs.PATH,
        limb_tiles.PATH,
        tiles.PATH,
        overlap_save.PATH,
        fft.PATH,
        polyphase.PATH,
        library.PATH,
        scan.PATH,
        slices.PATH,
        tilted.PATH,
    )
}
