"""The table of algorithms for layers: one file each, one line each here."""

from __future__ import annotations

from ...layer import LayerPath
from . import blocks, depthwise, matrix, planes, winograd

LAYER_PATHS: dict[str, LayerPath] = {
    path.name: path
    for path in (blocks.PATH, depthwise.PATH, planes.PATH, matrix.PATH, winograd.PATH)
}
