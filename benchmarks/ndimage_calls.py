"""Workloads of scipy.ndimage's filters: images, volumes, and lines along either axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

import fastconv
from fastconv.planner.explain import Explanation

from . import answers
from .families import Workload
from .operands import Operands, noise
from .peers import Call, Peer

__all__ = ["calls"]

Array = npt.NDArray[Any]

_IMAGE, _LINES, _VOLUME = (1024, 1024), (1000, 2000), (128, 128, 128)


def calls() -> Iterator[Workload]:
    """Yield realistic calls: filters from 3 to 63 samples, on what cameras and scanners deliver."""
    for dtype, sigma in (("float64", 1), ("float32", 2), ("uint8", 2), ("float64", 5)):
        quick = dtype == "float32"
        yield _call("gaussian_filter", dtype, _IMAGE, 8 * sigma + 1, (sigma,), quick=quick)
    yield _call("gaussian_filter", "float64", (64, 64), 9, (1,), quick=True)
    yield _call("gaussian_filter", "float32", _VOLUME, 9, (1,))
    for dtype, k in (("float64", 3), ("uint8", 5), ("float32", 7), ("float64", 15)):
        yield _convolve(dtype, _IMAGE, (k, k), quick=k == 3)
    yield _convolve("float64", (256, 256), (31, 31))
    yield _convolve("float32", _VOLUME, (3, 3, 3))
    for axis in (0, 1):
        for k in (5, 31, 63):
            yield _along("float64", _LINES, k, axis, quick=k == 31)
    yield _along("float64", (1000,), 5, 0)
    yield _along("float64", (10**6,), 31, 0)
    for name in ("sobel", "laplace", "prewitt"):
        yield _call(name, "float64", _IMAGE, 3, ())
    yield _call("gaussian_gradient_magnitude", "float32", _IMAGE, 9, (1,))
    for dtype, k in (("float64", 5), ("float32", 31), ("uint8", 9)):
        yield _call("uniform_filter", dtype, _IMAGE, k, (k,), quick=k == 5)
    yield _call("uniform_filter1d", "float64", (10**6,), 101, (101,))
    for dtype, k in (("uint8", 5), ("float64", 15), ("float32", 63)):
        yield _call("maximum_filter", dtype, _IMAGE, k, (k,), quick=k == 5)
    yield _call("minimum_filter", "float32", _VOLUME, 3, (3,))


def _call(
    name: str, dtype: str, shape: tuple[int, ...], k: int, args: tuple[Any, ...],
    quick: bool = False,
) -> Workload:  # fmt: skip
    """Return a workload of a filter that is named, not given."""
    separable = name not in ("laplace", "gaussian_gradient_magnitude")
    passes = len(shape) if separable else len(shape) ** 2
    found = [_scipy(name, args)]
    if name == "gaussian_filter" and len(shape) == 2 and dtype.startswith("float"):
        found.append(_gaussian_blur(*args))
    return _workload(name, f"k={k}", dtype, shape, (), args, passes * k, tuple(found), quick)


def _convolve(
    dtype: str, shape: tuple[int, ...], taps: tuple[int, ...], quick: bool = False
) -> Workload:
    sizes = "k=" + "x".join(map(str, taps))
    found = (_scipy("convolve", ()),)
    return _workload("convolve", sizes, dtype, shape, taps, (), prod(taps), found, quick)


def _along(dtype: str, shape: tuple[int, ...], k: int, axis: int, quick: bool = False) -> Workload:
    found = (_scipy("convolve1d", (axis,)),)
    words = f"k={k}/axis={axis}"
    return _workload("convolve1d", words, dtype, shape, (k,), (axis,), k, found, quick)


def _workload(
    name: str, words: str, dtype: str, shape: tuple[int, ...], taps: tuple[int, ...],
    args: tuple[Any, ...], products: int, found: tuple[Peer, ...], quick: bool,
) -> Workload:  # fmt: skip
    def operands(shape: tuple[int, ...]) -> Operands:
        x = np.abs(noise(dtype, shape, 1)) if dtype.startswith("float") else noise(dtype, shape, 1)
        if not taps:
            return (x,)
        w = np.abs(noise("float64", taps, 2))
        return x, w / w.sum()

    short = {"float64": "f64", "float32": "f32", "uint8": "u8"}[dtype]
    return Workload(
        name=f"ndimage/{name}/{short}/{'x'.join(map(str, shape))}/{words}",
        group="ndimage",
        operands=partial(operands, shape),
        small=partial(operands, tuple(min(n, 20 + 3 * a) for a, n in enumerate(shape))),
        ours=partial(_ours, name, args),
        peers=found,
        reference=partial(_reference, name, args),
        tolerance=answers.TOLERANCE.get(dtype, 0.0),
        multiply_adds=prod(shape) * products,
        flops=2 * prod(shape) * products,
        bytes_moved=2 * np.dtype(dtype).itemsize * prod(shape),
        explain=_explain,
        has_methods=False,
        quick=quick,
    )


def _scipys(name: str) -> Callable[..., Any]:
    from scipy.ndimage import _filters

    found: Callable[..., Any] = getattr(_filters, name)
    return found


def _scipy(name: str, args: tuple[Any, ...]) -> Peer:
    """Return SciPy's function of the same name."""

    def prepare(*operands: Array) -> Call:
        return partial(_scipys(name), *operands, *args)

    return Peer(f"scipy.ndimage.{name}", prepare, "scipy")


def _gaussian_blur(sigma: float) -> Peer:
    """Return OpenCV's Gaussian with the same taps and the same rim."""

    def prepare(x: Array) -> Call:
        from importlib import import_module

        cv2: Any = import_module("cv2")
        size = 2 * int(4 * sigma + 0.5) + 1
        keywords = {"sigmaX": sigma, "sigmaY": sigma, "borderType": cv2.BORDER_REFLECT}
        return partial(cv2.GaussianBlur, x, (size, size), **keywords)

    return Peer("cv2.GaussianBlur", prepare, "cv2")


def _ours(name: str, args: tuple[Any, ...], *operands: Array, method: str = "auto") -> Call:
    return partial(getattr(fastconv.ndimage, name), *operands, *args)


def _reference(name: str, args: tuple[Any, ...], x: Array, *taps: Array) -> Array:
    """Return SciPy's answer, from doubles for floats."""
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    return np.asarray(_scipys(name)(wide, *taps, *args))


def _explain(*operands: Array) -> Explanation:
    raise ValueError("operands must be one problem, got a filter that has SciPy's bits")
