"""What users of fast FFT libraries write by hand: overlap-save over one library's transforms.

Blocks of one length are transformed as rows of an array, a batch that fits the second cache at a
time; the block length is the best of a few, tried while the call is bound. The filter's spectrum is
computed in every call, as in ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from .peers import Call, Peer

__all__ = ["transforms"]

Array = npt.NDArray[Any]

# Signals of one batch take about this much: half of a common second cache.
_BATCH_BYTES = 512 << 10


class Transform(NamedTuple):
    """Real transforms of the rows of one batch, forth and back."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array], Array]


def transforms(mode: str) -> tuple[Peer, ...]:
    """Return the peers that convolve 1-D floats by transforms of a library."""
    return tuple(
        Peer(f"{name} overlap-save", partial(_prepare, make, mode), module, "normwise")
        for name, module, make in (
            ("FFTW", "pyfftw", _fftw),
            ("ducc0", "ducc0", _ducc0),
            ("mkl_fft", "mkl_fft", _mkl),
            ("torch.fft", "torch", _torch),
        )
    )


def _prepare(make: Callable[..., Transform], mode: str, x: Array, w: Array) -> Call:
    """Return the call with the quickest of a few block lengths."""
    n, k = len(x), len(w)
    whole = next_fast_len(n + k - 1, real=True)
    lengths = {min(whole, next_fast_len(factor * k, real=True)) for factor in (3, 6, 12)}
    lengths |= {whole} if whole <= 1 << 18 else set()
    lengths |= {length for length in (512, 2048) if 2 * k <= length <= whole}
    calls = [partial(_overlap_save, make, length, mode)(x, w) for length in sorted(lengths)]

    def seconds(call: Call) -> float:
        call()
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(calls, key=seconds)


def _overlap_save(
    make: Callable[..., Transform], length: int, mode: str, x: Array, w: Array
) -> Call:
    n, k = len(x), len(w)
    outputs, step = n + k - 1, length - k + 1
    blocks = -(-outputs // step)
    batch = max(1, min(blocks, _BATCH_BYTES // (length * x.itemsize)))
    many, one = make(batch, length, x.dtype), make(1, length, x.dtype)
    first = {"full": 0, "same": (k - 1) // 2, "valid": k - 1}[mode]
    wanted = {"full": outputs, "same": n, "valid": n - k + 1}[mode]

    def call() -> Array:
        taps = np.zeros((1, length), x.dtype)
        taps[0, :k] = w
        spectrum = one.forward(taps).copy()
        padded = np.zeros((blocks - 1) * step + length, x.dtype)
        padded[k - 1 : k - 1 + n] = x
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::step]
        out = np.empty((blocks, step), x.dtype)
        for b in range(0, blocks, batch):
            # The last batch steps back: it has as many rows as all others.
            rows = slice(min(b, blocks - batch), min(b, blocks - batch) + batch)
            product = many.forward(windows[rows])
            product = product * spectrum
            out[rows] = many.backward(product)[:, k - 1 :]
        return out.reshape(-1)[first : first + wanted]

    return call


def _fftw(batch: int, length: int, dtype: Any) -> Transform:
    pyfftw = import_module("pyfftw")
    real = pyfftw.empty_aligned((batch, length), dtype)
    half = pyfftw.empty_aligned((batch, length // 2 + 1), np.result_type(dtype, np.complex64))
    forward = pyfftw.FFTW(real, half)
    backward = pyfftw.FFTW(half, real, direction="FFTW_BACKWARD")

    def there(x: Array) -> Array:
        real[:] = x
        return forward.execute() or half  # type: ignore[no-any-return]

    def back(y: Array) -> Array:
        half[:] = y
        backward.execute()
        return real / length  # type: ignore[no-any-return]

    return Transform(there, back)


def _ducc0(batch: int, length: int, dtype: Any) -> Transform:
    fft = import_module("ducc0").fft
    return Transform(
        lambda x: fft.r2c(x, axes=[1], nthreads=1),
        lambda y: fft.c2r(y, axes=[1], lastsize=length, forward=False, inorm=2, nthreads=1),
    )


def _mkl(batch: int, length: int, dtype: Any) -> Transform:
    fft = import_module("mkl_fft")
    return Transform(partial(fft.rfft, axis=1), partial(fft.irfft, n=length, axis=1))


def _torch(batch: int, length: int, dtype: Any) -> Transform:
    torch = import_module("torch")
    return Transform(
        lambda x: torch.fft.rfft(torch.from_numpy(np.ascontiguousarray(x)), dim=1).numpy(),
        lambda y: torch.fft.irfft(torch.from_numpy(y), n=length, dim=1).numpy(),
    )
