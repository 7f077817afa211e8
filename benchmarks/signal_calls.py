"""Workloads of scipy.signal's functions: filtering, resampling, smoothing, matching templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

import fastconv
from fastconv.planner.explain import Explanation, explain_problem
from fastconv.problem import Problem

from . import answers
from .families import Workload
from .operands import Operands, noise, smaller
from .peers import Call, Peer

__all__ = ["calls"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

# Samples of a long recording, channels of a short one, a picture, a scan.
_LONG, _MANY, _IMAGE, _VOLUME = (10**6,), (200, 5000), (512, 512), (64, 64, 64)


def calls() -> Iterator[Workload]:
    """Yield realistic calls, each beside SciPy's function of the same name."""
    yield from _filtering()
    yield from _resampling()
    for shape in ((100,), (10**5,), _MANY):
        yield _call("savgol_filter", "float64", shape, (), 11, (11, 2), quick=shape == _MANY)
    yield _call("savgol_filter", "float64", (5000, 200), (), 11, (11, 2), {"axis": 0})
    for shape, taps in (((10**5,), (5000,)), (_IMAGE, (32, 32))):
        yield _call("correlate", "float64", shape, taps, prod(taps), ("valid",), quick=True)
    yield _call("correlate", "float64", (10**4,), (10**4,), 10**4)
    yield _call("convolve", "float64", _IMAGE, (15, 15), 225, ("same",))
    yield _call("convolve", "float64", _VOLUME, (5, 5, 5), 125, ("same",))
    yield _call("convolve", "float64", (100,), (9,), 9, quick=True)
    yield _call("fftconvolve", "float64", _IMAGE, (63, 63), 63 * 63, ("same",))
    yield _call("fftconvolve", "float64", _MANY, (1, 127), 127, ("same", 1))
    yield _call("oaconvolve", "float64", _LONG, (1000,), 1000, ("same",))
    yield _call("correlate2d", "float64", (32, 32), (3, 3), 9, ("same",))
    for n in (8, 32):
        yield _call("convolve2d", "float64", (n, n), (3, 3), 9, quick=True)
    for k in (3, 7, 15):
        yield _call("convolve2d", "float64", _IMAGE, (k, k), k * k, ("same", "symm"), quick=k == 7)
    yield _call("correlate2d", "float32", (256, 256), (31, 31), 31 * 31, ("valid",))


def _filtering() -> Iterator[Workload]:
    """Yield FIR filters: the taps come first."""
    for shape, k in (((100,), 5), ((10**5,), 31), (_LONG, 127), (_MANY, 127)):
        yield _call("lfilter", "float64", shape, (k,), k, first=True, quick=shape == _MANY)
    yield _call("lfilter", "float64", (5000, 200), (31,), 31, (), {"axis": 0}, first=True)
    yield _call("upfirdn", "float64", (100,), (9,), 5, (), {"up": 2}, first=True)
    yield _call("upfirdn", "float64", (10**5,), (127,), 32, (), {"up": 4}, first=True)
    yield _call("upfirdn", "float64", (10**5,), (300,), 15, (), {"up": 20, "down": 19}, first=True)
    for dtype in ("float64", "float32"):
        yield _call("sepfir2d", dtype, _IMAGE, (7,), 14, (), twice=True)


def _resampling() -> Iterator[Workload]:
    """Yield changes of rate, the filter designed by the call."""
    for dtype, shape, up, down in (
        ("float64", (200,), 3, 2),
        ("float64", _LONG, 3, 2),
        ("float64", _LONG, 1, 4),
        ("float32", (10**5,), 2, 1),
        ("float64", (10**5,), 160, 147),
    ):
        quick = shape == (10**5,)
        yield _call("resample_poly", dtype, shape, (), 21, (up, down), quick=quick)
    for shape, axis in ((_MANY, 1), ((5000, 200), 0)):
        yield _call("resample_poly", "float64", shape, (), 21, (3, 2), {"axis": axis})
    yield _call("decimate", "float64", _LONG, (), 21, (10,), {"ftype": "fir"})


def _call(
    name: str, dtype: str, shape: Shape, taps: Shape, products: int, args: tuple[Any, ...] = (),
    keywords: dict[str, Any] | None = None, first: bool = False, twice: bool = False,
    quick: bool = False,
) -> Workload:  # fmt: skip
    """Return a workload; the filter stands first, second, twice, or is made by the call."""
    keywords = keywords or {}

    def operands(shape: Shape, taps: Shape) -> Operands:
        x = noise(dtype, shape, 1)
        w = (noise(dtype, taps, 2),) if taps else ()
        # lfilter has a denominator between its filter and the signal.
        unit = (np.ones(1, dtype),) if name == "lfilter" else ()
        return (*w, *unit, x) if first else (x, *w, *w) if twice else (x, *w)

    words = [f"k={'x'.join(map(str, taps))}"] if taps else []
    words += [str(a) for a in args] + [f"{k}={v}" for k, v in keywords.items()]
    short = {"float64": "f64", "float32": "f32"}[dtype]
    return Workload(
        name="/".join(["signal", name, short, "x".join(map(str, shape)), *words]),
        group="signal",
        operands=partial(operands, shape, taps),
        small=partial(operands, smaller(shape, 100), smaller(taps, 60)),
        ours=partial(_ours, name, args, keywords),
        peers=(_scipy(name, args, keywords),),
        reference=partial(_reference, name, args, keywords),
        tolerance=answers.TOLERANCE[dtype],
        multiply_adds=prod(shape) * products,
        flops=2 * prod(shape) * products,
        bytes_moved=2 * np.dtype(dtype).itemsize * prod(shape),
        explain=partial(_explain, name, keywords),
        has_methods=False,
        quick=quick,
    )


def _scipys(name: str) -> Callable[..., Any]:
    import scipy.signal

    found: Callable[..., Any] = getattr(scipy.signal, name)
    return found


def _scipy(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Peer:
    """Return SciPy's function of the same name."""

    def prepare(*operands: Array) -> Call:
        return partial(_scipys(name), *operands, *args, **keywords)

    return Peer(f"scipy.signal.{name}", prepare, "scipy", "normwise")


def _ours(
    name: str, args: tuple[Any, ...], keywords: dict[str, Any], *operands: Array,
    method: str = "auto",
) -> Call:  # fmt: skip
    return partial(getattr(fastconv.signal, name), *operands, *args, **keywords)


def _reference(
    name: str, args: tuple[Any, ...], keywords: dict[str, Any], *operands: Array
) -> Array:
    """Return SciPy's answer from doubles."""
    wide = (x.astype(np.float64) for x in operands)
    return np.asarray(_scipys(name)(*wide, *args, **keywords))


def _explain(name: str, keywords: dict[str, Any], *operands: Array) -> Explanation:
    """Return the planner's table where one problem is the whole call."""
    if name != "upfirdn":
        raise ValueError(f"operands must be one problem, got a call of {name}")
    w, x = operands
    (n,), (k,) = x.shape, w.shape
    up, down = keywords.get("up", 1), keywords.get("down", 1)
    outputs = ((n - 1) * up + k - 1) // down + 1
    problem = Problem(
        x.dtype.name, 1, True, (n,), (k,), (outputs,), (down,), (1,), (k - 1,), ("zero",), up=up
    )
    return explain_problem(problem, "auto", None)
