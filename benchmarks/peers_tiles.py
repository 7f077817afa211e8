"""What users of fast FFT libraries write by hand for large images: overlap-save in square tiles.

The side of the tiles is the best of a few, tried while the call is bound; the filter's spectrum is
computed in every call, as in ours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .peers import Call, Peer

__all__ = ["tiled"]

Array = npt.NDArray[Any]

_SIDES = (256, 320, 512)


class Transform(NamedTuple):
    """The real transform of one square tile, forth and back."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array], Array]


def tiled() -> tuple[Peer, ...]:
    """Return the peers that convolve images ('same') by tiles, each with a library's transforms."""
    return tuple(
        Peer(f"{name} tiles", partial(_prepare, make), module, "normwise")
        for name, module, make in (
            ("scipy.fft", "scipy", _scipy),
            ("FFTW", "pyfftw", _fftw),
            ("ducc0", "ducc0", _ducc0),
            ("torch.fft", "torch", _torch),
        )
    )


def _prepare(make: Callable[..., Transform], x: Array, w: Array) -> Call:
    """Return the call with the quickest of a few tiles."""
    sides = [side for side in _SIDES if side >= 2 * max(w.shape)]
    calls = [partial(_overlap_save, make(side, x.dtype), side, x, w) for side in sides]

    def seconds(call: Call) -> float:
        call()
        start = perf_counter()
        call()
        return perf_counter() - start

    return min(calls, key=seconds)


def _overlap_save(transform: Transform, side: int, x: Array, w: Array) -> Array:
    heads = [k - 1 for k in w.shape]
    before = [(k - 1) - (k - 1) // 2 for k in w.shape]
    taps = np.zeros((side, side), x.dtype)
    taps[: w.shape[0], : w.shape[1]] = w
    spectrum = transform.forward(taps).copy()
    out, buffer = np.empty_like(x), np.zeros((side, side), x.dtype)
    for i in range(0, x.shape[0], side - heads[0]):
        for j in range(0, x.shape[1], side - heads[1]):
            top, left = i - before[0], j - before[1]
            tile = x[max(0, top) : top + side, max(0, left) : left + side]
            if tile.shape != buffer.shape:
                buffer[...] = 0
                r, c = max(0, -top), max(0, -left)
                buffer[r : r + tile.shape[0], c : c + tile.shape[1]] = tile
                tile = buffer
            product = transform.forward(tile) * spectrum
            result = transform.backward(product)[heads[0] :, heads[1] :]
            goal = out[i : i + side - heads[0], j : j + side - heads[1]]
            goal[...] = result[: goal.shape[0], : goal.shape[1]]
    return out


def _scipy(side: int, dtype: Any) -> Transform:
    fft = import_module("scipy.fft")
    return Transform(fft.rfft2, lambda y: fft.irfft2(y, (side, side)))


def _fftw(side: int, dtype: Any) -> Transform:
    pyfftw = import_module("pyfftw")
    real = pyfftw.empty_aligned((side, side), dtype)
    half = pyfftw.empty_aligned((side, side // 2 + 1), np.result_type(dtype, np.complex64))
    forward = pyfftw.FFTW(real, half, axes=(0, 1))
    backward = pyfftw.FFTW(half, real, axes=(0, 1), direction="FFTW_BACKWARD")

    def there(x: Array) -> Array:
        real[:] = x
        forward.execute()
        return half  # type: ignore[no-any-return]

    def back(y: Array) -> Array:
        np.multiply(y, y.real.dtype.type(1 / side**2), out=half)
        backward.execute()
        return real  # type: ignore[no-any-return]

    return Transform(there, back)


def _ducc0(side: int, dtype: Any) -> Transform:
    fft = import_module("ducc0").fft
    return Transform(
        lambda x: fft.r2c(np.ascontiguousarray(x), nthreads=1),
        lambda y: fft.c2r(y, lastsize=side, forward=False, inorm=2, nthreads=1),
    )


def _torch(side: int, dtype: Any) -> Transform:
    torch = import_module("torch")
    return Transform(
        lambda x: torch.fft.rfft2(torch.from_numpy(np.ascontiguousarray(x))).numpy(),
        lambda y: torch.fft.irfft2(torch.from_numpy(y), (side, side)).numpy(),
    )
