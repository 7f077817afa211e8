"""Workloads of convolution layers, against torch in both of its layouts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastconv import nn
from fastconv.planner.explain import Explanation

from . import answers
from .families import Array, Workload
from .operands import Operands, noise
from .peers import Call, Peer, _library

__all__ = ["layers"]


def layers() -> Iterator[Workload]:
    """Yield layers of image networks: 3x3, the stem, pointwise, depthwise, a single channel."""
    yield _layer((1, 64, 56, 56), (64, 64, 3, 3), padding=1, quick=True, headline=True)
    yield _layer((1, 128, 28, 28), (128, 128, 3, 3), padding=1)
    yield _layer((1, 256, 14, 14), (256, 256, 3, 3), padding=1, headline=True)
    for image, filters in (
        ((1, 64, 56, 56), (64, 64, 3, 3)),
        ((1, 128, 28, 28), (128, 128, 3, 3)),
        ((1, 256, 14, 14), (256, 256, 3, 3)),
    ):
        yield _layer(image, filters, padding=1, accuracy="normwise")
    yield _layer((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3, headline=True)
    yield _layer((1, 64, 56, 56), (256, 64, 1, 1), headline=True)
    yield _layer((1, 512, 28, 28), (128, 512, 1, 1))
    yield _layer((1, 64, 112, 112), (64, 1, 3, 3), padding=1, groups=64)
    yield _layer((1, 256, 28, 28), (256, 1, 3, 3), padding=1, groups=256, headline=True)
    yield _layer((1, 1, 512, 512), (1, 1, 3, 3), quick=True)
    yield _layer((1, 1, 512, 512), (1, 1, 5, 5))
    yield _layer((1, 1, 512, 512), (1, 1, 64, 64))


def _layer(
    image: tuple[int, ...],
    filters: tuple[int, ...],
    *,
    quick: bool = False,
    headline: bool = False,
    accuracy: str | None = None,
    **keywords: int,
) -> Workload:
    n, channels, h, w = image
    stride, padding = keywords.get("stride", 1), keywords.get("padding", 0)
    kh, kw = filters[2:]
    rows, columns = ((m + 2 * padding - k) // stride + 1 for m, k in ((h, kh), (w, kw)))
    outputs = n * filters[0] * rows * columns
    products = outputs * prod(filters[1:])
    words = "".join(f"/{name}={value}" for name, value in keywords.items())
    # Packed once: what a network does that is run more than once, as torch's copies are.
    packed = accuracy is not None
    if packed:
        words += f"/{accuracy}/packed"

    def operands(sides: tuple[int, int]) -> Operands:
        return noise("float32", (n, channels, *sides), 1), noise("float32", filters, 2)

    def ours(x: Array, w: Array, method: str = "auto") -> Call:
        filters = nn.pack(w) if packed else w
        return partial(
            nn.conv2d, x, filters, method=method, workers=None, accuracy=accuracy, **keywords
        )  # type: ignore[arg-type]

    return Workload(
        name=f"layer/f32/{'x'.join(map(str, image))}/{'x'.join(map(str, filters))}{words}",
        group="layers",
        operands=partial(operands, (h, w)),
        small=partial(operands, (kh + 6, kw + 8)),
        ours=ours,
        peers=(_torch(False, keywords), _torch(True, keywords)),
        reference=partial(_reference, **keywords),
        tolerance=answers.TOLERANCE["float32"],
        multiply_adds=products,
        flops=2 * products,
        bytes_moved=4 * (prod(image) + prod(filters) + outputs),
        explain=partial(_explain, accuracy=accuracy, **keywords),
        has_methods=False,
        quick=quick,
        headline=headline,
    )


def _torch(channels_last: bool, keywords: dict[str, int]) -> Peer:
    def prepare(x: Array, w: Array) -> Call:
        torch = _library("torch")
        form = torch.channels_last if channels_last else torch.contiguous_format
        tensors = [torch.from_numpy(a).contiguous(memory_format=form) for a in (x, w)]
        return partial(torch.nn.functional.conv2d, *tensors, **keywords)

    last = " channels_last" if channels_last else ""
    return Peer(f"torch.conv2d{last}", prepare, "torch")


def _reference(x: Array, w: Array, stride: int = 1, padding: int = 0, groups: int = 1) -> Array:
    pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    around = np.pad(x.astype(np.float64), pads)
    windows = np.lib.stride_tricks.sliding_window_view(around, w.shape[2:], (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    n, c, rows, columns = windows.shape[:4]
    split = windows.reshape(n, groups, c // groups, rows, columns, *w.shape[2:])
    taps = w.astype(np.float64).reshape(groups, len(w) // groups, *w.shape[1:])
    sums: Any = np.einsum("ngcijuv,gfcuv->ngfij", split, taps, optimize=True)
    return np.asarray(sums).reshape(n, len(w), rows, columns)


def _explain(x: Array, w: Array, accuracy: str | None, **keywords: int) -> Explanation:
    return nn.explain_conv2d(x, w, accuracy=accuracy, **keywords)  # type: ignore[arg-type]
