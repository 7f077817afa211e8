"""Measure the algorithms for layers on a grid of layers, fitted by their counts of work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..filters import Filters
from ..layer import Layer, LayerOperands, LayerPath
from ..paths.channels import LAYER_PATHS
from .layers import KIND
from .rates import Rates, Table

DTYPES = (
    "float64",
    "float32",
    "complex128",
    "complex64",
    "int64",
    "int32",
    "int16",
    "int8",
)
# Products above which a cell would take too long: NumPy multiplies integers without BLAS.
_MOST = 1 << 27
_MOST_BY_NUMPY = {"f": 1 << 27, "c": 1 << 25, "i": 1 << 21}
_CELL_SECONDS = 0.01

Fit = Callable[[list[Any], list[float]], Rates]


def layers(dtype: str) -> Iterator[Layer]:
    """Yield the grid for one dtype: dense, pointwise, depthwise and single-channel layers."""
    for inputs, outputs, side in (
        (3, 32, 64), (1, 6, 28), (6, 16, 14), (16, 120, 5), (16, 16, 16),
        (64, 64, 28), (64, 64, 56), (128, 128, 14), (256, 256, 7),
    ):  # fmt: skip
        for k in (1, 3, 5):
            for last in (False, True):
                yield _layer(dtype, 1, inputs, outputs, side, k, last)
    for channels, side in ((16, 8), (32, 32), (64, 56), (256, 14)):
        for k in (3, 5):
            for last in (False, True):
                yield _layer(dtype, channels, 1, 1, side, k, last)
    for outputs, side in ((1, 8), (1, 64), (1, 256), (4, 64)):
        for k in (3, 7):
            yield _layer(dtype, 1, 1, outputs, side, k, False)
    for groups, inputs, outputs in ((1, 8, 16), (16, 1, 1)):  # A call for each image, not one.
        yield replace(_layer(dtype, groups, inputs, outputs, 8, 3, False), images=32)


def _layer(
    dtype: str, groups: int, inputs: int, outputs: int, side: int, k: int, last: bool
) -> Layer:
    sides, ones = (side, side), (1, 1)
    pads = ((k - 1) // 2,) * 2
    return Layer(
        dtype, 1, groups, inputs, outputs, sides, (k, k), sides, ones, ones, pads, last, last
    )


def calibrate_layers(fit: Fit, progress: Callable[[float, str], None]) -> Table:
    """Return measured rates of every algorithm and dtype, on one thread; see `calibrate`."""
    table: Table = {}
    for i, dtype in enumerate(DTYPES):
        cells: dict[str, tuple[list[Any], list[float]]] = {}
        grid = list(layers(dtype))
        for j, layer in enumerate(grid):
            progress((i + j / len(grid)) / len(DTYPES), f"{dtype} {layer.groups * layer.inputs} ch")
            for path in LAYER_PATHS.values():
                if not path.supports(layer) and _affordable(path, layer):
                    rows, seconds = cells.setdefault(path.name, ([], []))
                    rows.append(path.work(layer))
                    seconds.append(measure(path, layer))
        for name, (rows, seconds) in cells.items():
            table[name, dtype, KIND] = fit(rows, seconds)
    return table


def _affordable(path: LayerPath, layer: Layer) -> bool:
    most = _MOST if path.kernels(layer) else _MOST_BY_NUMPY[np.dtype(layer.dtype).kind]
    return layer.multiply_adds <= most and path.work(layer).multiply_adds <= _MOST


def measure(path: LayerPath, layer: Layer) -> float:
    """Return the least seconds of several runs, filters laid out anew in each."""
    generator = np.random.default_rng(0)

    def sample(channels: int, sides: tuple[int, ...], last: bool) -> Any:
        n = layer.images
        shape = (n, *sides, channels) if last else (n, channels, *sides)
        return (generator.standard_normal(shape) * 50).astype(layer.dtype)

    x = sample(layer.groups * layer.inputs, layer.signal, layer.input_last)
    out = sample(layer.groups * layer.outputs, layer.output, layer.output_last)
    w = np.ones((layer.groups * layer.outputs, layer.inputs, *layer.filter), layer.dtype)
    best, spent, runs = float("inf"), 0.0, 0
    while runs < 3 or (spent < _CELL_SECONDS and runs < 100):
        operands = LayerOperands(x, Filters(w), out)
        start = time.perf_counter()
        path.execute(layer, operands)
        seconds = time.perf_counter() - start
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return best
