"""The contenders: other libraries' functions, each bound to one workload's operands.

A library is imported when one of its functions is first bound, and one that is not installed is
never listed. Binding does what a user of that library would do once, outside the clock: flip a
filter, wrap an array as a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from math import inf
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import numpy.typing as npt

__all__ = ["Call", "Peer", "limit_threads"]

Array = npt.NDArray[Any]
Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """One function of another library.

    Parameters
    ----------
    name : str
        As its users call it, ``scipy.signal.oaconvolve``.
    prepare : callable
        Operands -> a call without arguments that returns the answer, in any container that
        `numpy.asarray` takes; axes of length one do not matter.
    module : str
        What must be installed.
    accuracy : {"exact", "componentwise", "normwise"}
        As in `fastconv.path`: transforms are normwise.
    most : float
        Products above which it is not asked: it would take more than about a second.
    """

    name: str
    prepare: Callable[..., Call]
    module: str
    accuracy: str = "componentwise"
    most: float = inf

    @property
    def installed(self) -> bool:
        """Whether its library can be imported."""
        return _is_installed(self.module)


@cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _library(module: str) -> Any:
    with catch_warnings():
        simplefilter("ignore")  # What a library says of itself on import is not ours to judge.
        return import_module(module)


def limit_threads(workers: int, modules: Collection[str]) -> None:
    """Let those of `modules` that have thread pools of their own use `workers` threads.

    BLAS reads its limit from the environment when NumPy is loaded.
    """
    if "cv2" in modules and _is_installed("cv2"):
        _library("cv2").setNumThreads(workers)
    if "torch" in modules and _is_installed("torch"):
        _library("torch").set_num_threads(workers)


# ---------------------------------------------------------------- one dimension


def numpy_convolve(mode: str, stride: int = 1) -> Peer:
    """Return `numpy.convolve`; a stride is taken by slicing."""

    def prepare(x: Array, w: Array) -> Call:
        whole = partial(np.convolve, x, w, mode)
        return whole if stride == 1 else lambda: whole()[::stride]

    return Peer("numpy.convolve", prepare, "numpy", most=3e9)


def scipy_signal(name: str, mode: str, accuracy: str = "normwise", most: float = inf) -> Peer:
    """Return one of scipy.signal's functions of two arrays and a mode."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(getattr(_library("scipy.signal"), name), x, w, mode)

    return Peer(f"scipy.signal.{name}", prepare, "scipy", accuracy, most)


def upfirdn(stride: int) -> Peer:
    """Return `scipy.signal.upfirdn`, which computes only the outputs that a stride keeps."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(_library("scipy.signal").upfirdn, w, x, 1, stride)

    return Peer("scipy.signal.upfirdn", prepare, "scipy", most=1e9)


def ndimage_1d(axis: int = -1) -> Peer:
    """Return `scipy.ndimage.convolve1d` with zeros outside, centred as NumPy's 'same' is."""

    def prepare(x: Array, w: Array) -> Call:
        convolve1d = _library("scipy.ndimage").convolve1d
        return partial(convolve1d, x, w, axis, mode="constant", origin=len(w) % 2 - 1)

    return Peer("scipy.ndimage.convolve1d", prepare, "scipy", most=1e9)


def filter_blocks(lfilter: Callable[..., Any], block: int, x: Array, w: Array) -> Array:
    """Filter `x` block by block as it would arrive, carrying the state from call to call."""
    state, out = np.zeros(len(w) - 1, x.dtype), np.empty_like(x)
    one = np.ones(1, x.dtype)
    for start in range(0, len(x), block):
        here = slice(start, start + block)
        out[here], state = lfilter(w, one, x[here], zi=state)
    return out


def lfilter_blocks(block: int) -> Peer:
    """Return `scipy.signal.lfilter` for each block."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(filter_blocks, _library("scipy.signal").lfilter, block, x, w)

    return Peer("scipy.signal.lfilter", prepare, "scipy")


def bottleneck_mean() -> Peer:
    """Return `bottleneck.move_mean`: the mean of the last k samples, as a running sum."""

    def prepare(x: Array, w: Array) -> Call:
        move_mean, k = _library("bottleneck").move_mean, len(w)
        return lambda: move_mean(x, k)[k - 1 :]

    return Peer("bottleneck.move_mean", prepare, "bottleneck", "normwise")


def uniform_filter_1d() -> Peer:
    """Return `scipy.ndimage.uniform_filter1d`, without the samples whose window is not whole."""

    def prepare(x: Array, w: Array) -> Call:
        uniform_filter1d, k = _library("scipy.ndimage").uniform_filter1d, len(w)
        left = k // 2
        return lambda: uniform_filter1d(x, k)[left : left + len(x) - k + 1]

    return Peer("scipy.ndimage.uniform_filter1d", prepare, "scipy", "normwise")


def astropy_1d() -> Peer:
    """Return `astropy.convolution.convolve` with zeros outside and an odd filter."""

    def prepare(x: Array, w: Array) -> Call:
        convolve = _library("astropy.convolution").convolve
        return partial(convolve, x, w, boundary="fill", normalize_kernel=False)

    return Peer("astropy.convolution.convolve", prepare, "astropy", most=1e9)


def cv2_1d(dtype: str, k: int, axis: int = -1) -> Peer:
    """Return `cv2.filter2D` on an image of one row, or along one axis of an image."""

    def prepare(x: Array, w: Array) -> Call:
        cv2 = _library("cv2")
        image, taps = np.atleast_2d(x), np.ascontiguousarray(w[::-1])
        taps = taps[:, None] if axis == 0 else taps[None]
        return partial(cv2.filter2D, image, -1, taps, borderType=cv2.BORDER_CONSTANT)

    return Peer("cv2.filter2D", prepare, "cv2", _cv2_accuracy(dtype, k), 3e9)


def _cv2_accuracy(dtype: str, taps: int) -> str:
    # OpenCV's own thresholds (filter.dispatch.cpp): above them it goes through a DFT.
    return "normwise" if taps >= (130 if dtype == "float32" else 50) else "componentwise"


def torch_1d(mode: str, stride: int = 1) -> Peer:
    """Return `torch.nn.functional.conv1d`; of an even filter's 'same' the last output is cut."""

    def prepare(x: Array, w: Array) -> Call:
        torch = _library("torch")
        signal = torch.from_numpy(x.reshape(-1, 1, x.shape[-1]))
        taps = torch.from_numpy(w[::-1].copy())[None, None]
        k, n = len(w), x.shape[-1]
        pad = k - 1 if mode == "full" else k // 2
        whole = partial(torch.nn.functional.conv1d, signal, taps, stride=stride, padding=pad)
        return whole if mode == "full" or k % 2 else lambda: whole()[..., :n]

    return Peer("torch.conv1d", prepare, "torch", most=3e8)


# ---------------------------------------------------------------- batches of rows or columns


def numpy_rows(axis: int) -> Peer:
    """Return what NumPy's users write: one `numpy.convolve` for each signal."""

    def prepare(x: Array, w: Array) -> Call:
        def call() -> Array:
            out = np.empty_like(x)
            rows, results = (x, out) if axis == -1 else (x.T, out.T)
            for row, result in zip(rows, results, strict=True):
                result[:] = np.convolve(row, w, "same")
            return out

        return call

    return Peer("numpy.convolve by row", prepare, "numpy", most=1e9)


def oaconvolve_rows(axis: int) -> Peer:
    """Return `scipy.signal.oaconvolve` along one axis."""

    def prepare(x: Array, w: Array) -> Call:
        taps = w[None] if axis == -1 else w[:, None]
        return partial(_library("scipy.signal").oaconvolve, x, taps, "same", axes=axis)

    return Peer("scipy.signal.oaconvolve", prepare, "scipy", "normwise")


# ---------------------------------------------------------------- two dimensions

# What lies outside: scipy.signal's word for it, scipy.ndimage's, and OpenCV's.
_OUTSIDE = {
    "fill": ("constant", "BORDER_CONSTANT"),
    "symm": ("reflect", "BORDER_REFLECT"),
    "wrap": ("wrap", "BORDER_WRAP"),
}


def scipy_2d(mode: str, boundary: str = "fill") -> Peer:
    """Return `scipy.signal.convolve2d`."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(_library("scipy.signal").convolve2d, x, w, mode, boundary)

    return Peer("scipy.signal.convolve2d", prepare, "scipy", most=5e8)


def ndimage_2d(boundary: str = "fill") -> Peer:
    """Return `scipy.ndimage.convolve`."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(_library("scipy.ndimage").convolve, x, w, mode=_OUTSIDE[boundary][0])

    return Peer("scipy.ndimage.convolve", prepare, "scipy", most=5e8)


def cv2_2d(dtype: str, k: int, boundary: str = "fill") -> Peer:
    """Return `cv2.filter2D`; integer images give float32 where the filter is float32."""

    def prepare(x: Array, w: Array) -> Call:
        cv2 = _library("cv2")
        depth = -1 if x.dtype.kind == "f" else cv2.CV_32F
        border = getattr(cv2, _OUTSIDE[boundary][1])
        return partial(cv2.filter2D, x, depth, w[::-1, ::-1].copy(), borderType=border)

    return Peer("cv2.filter2D", prepare, "cv2", _cv2_accuracy(dtype, k * k), 2e10)


def torch_2d(dtype: str, stride: int = 1) -> Peer:
    """Return `torch.nn.functional.conv2d` of one image, cut to "same" where the filter is even."""

    def prepare(x: Array, w: Array) -> Call:
        torch = _library("torch")
        image = torch.from_numpy(x)[None, None]
        taps = torch.from_numpy(w[::-1, ::-1].copy())[None, None]
        pad = tuple(k // 2 for k in w.shape)
        whole = partial(torch.nn.functional.conv2d, image, taps, stride=stride, padding=pad)
        if all(k % 2 for k in w.shape):
            return whole
        rows, columns = (-(-n // stride) for n in x.shape)
        return lambda: whole()[..., :rows, :columns]

    # oneDNN has float32 alone; the rest goes through a matrix of all windows.
    return Peer("torch.conv2d", prepare, "torch", most=5e9 if dtype == "float32" else 3e8)


def torch_3d(dtype: str) -> Peer:
    """Return `torch.nn.functional.conv3d` of one volume, one channel and an odd filter."""

    def prepare(x: Array, w: Array) -> Call:
        torch = _library("torch")
        volume = torch.from_numpy(x)[None, None]
        taps = torch.from_numpy(w[::-1, ::-1, ::-1].copy())[None, None]
        pad = tuple(k // 2 for k in w.shape)
        return partial(torch.nn.functional.conv3d, volume, taps, padding=pad)

    return Peer("torch.conv3d", prepare, "torch", most=5e9 if dtype == "float32" else 3e8)


def sliced(peer: Peer, stride: int) -> Peer:
    """Return `peer` with every `stride`-th row and column of its answer."""

    def prepare(*operands: Any) -> Call:
        whole = peer.prepare(*operands)
        return lambda: whole()[::stride, ::stride]

    return Peer(peer.name, prepare, peer.module, peer.accuracy, peer.most)


# ---------------------------------------------------------------- filters with structure


def cv2_blur() -> Peer:
    """Return `cv2.blur`: the mean over windows of the filter's shape."""

    def prepare(x: Array, w: Array) -> Call:
        cv2 = _library("cv2")
        return partial(cv2.blur, x, w.shape, borderType=cv2.BORDER_CONSTANT)

    return Peer("cv2.blur", prepare, "cv2", "normwise")


def uniform_filter() -> Peer:
    """Return `scipy.ndimage.uniform_filter`: the mean over windows, as a running sum."""

    def prepare(x: Array, w: Array) -> Call:
        return partial(_library("scipy.ndimage").uniform_filter, x, w.shape, mode="constant")

    return Peer("scipy.ndimage.uniform_filter", prepare, "scipy", "normwise")


def separable(taps: Callable[[int, Any], Array]) -> tuple[Peer, ...]:
    """Return the functions that filter rows, then columns, with the same 1-D `taps`."""

    def prepare_cv2(x: Array, w: Array) -> Call:
        cv2, row = _library("cv2"), taps(w.shape[1], w.dtype)
        column, border = taps(w.shape[0], w.dtype), cv2.BORDER_CONSTANT
        return partial(cv2.sepFilter2D, x, -1, row, column, borderType=border)

    def prepare_ndimage(x: Array, w: Array) -> Call:
        convolve1d = _library("scipy.ndimage").convolve1d
        row, column = taps(w.shape[1], w.dtype), taps(w.shape[0], w.dtype)

        def call() -> Array:
            rows = convolve1d(x, row, 1, mode="constant")
            return convolve1d(rows, column, 0, mode="constant")  # type: ignore[no-any-return]

        return call

    return (
        Peer("cv2.sepFilter2D", prepare_cv2, "cv2"),
        Peer("scipy.ndimage.convolve1d twice", prepare_ndimage, "scipy"),
    )


# ---------------------------------------------------------------- pooling


def pools(k: int, stride: int, padding: int) -> tuple[Peer, ...]:
    """Return the ways to a maximum over k x k windows of the last two axes."""

    def prepare_torch(x: Array) -> Call:
        torch = _library("torch")
        image = torch.from_numpy(x)[None]
        return partial(torch.nn.functional.max_pool2d, image, k, stride, padding)

    def prepare_ndimage(x: Array) -> Call:
        size = (1,) * (x.ndim - 2) + (k, k)
        # Output 0 sees samples -padding..k-1-padding; ndimage's first window starts at -(k//2).
        origin = (0,) * (x.ndim - 2) + (0 if padding else -(k // 2),) * 2
        rows, columns = ((n + 2 * padding - k) // stride * stride + 1 for n in x.shape[-2:])
        whole = partial(
            _library("scipy.ndimage").maximum_filter, x, size,
            mode="constant", cval=-inf, origin=origin,
        )  # fmt: skip
        return lambda: whole()[..., :rows:stride, :columns:stride]

    def prepare_numpy(x: Array) -> Call:
        h, w = (n // k * k for n in x.shape[-2:])
        blocks = x[..., :h, :w].reshape(*x.shape[:-2], h // k, k, w // k, k)
        return partial(np.max, blocks, axis=(-3, -1))

    peers = [
        Peer("torch.max_pool2d", prepare_torch, "torch", "exact"),
        Peer("scipy.ndimage.maximum_filter", prepare_ndimage, "scipy", "exact"),
    ]
    if k == stride and padding == 0:
        peers.append(Peer("numpy.max of blocks", prepare_numpy, "numpy", "exact"))
    return tuple(peers)
