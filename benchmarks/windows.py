"""The families of windows without weights: running extremes and means, and the other poolings."""

from __future__ import annotations

from collections.abc import Callable
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
from .operands import Operands, noise
from .peers import Call, Peer, _library

__all__ = ["pool_means", "pool_places", "running"]

Array = npt.NDArray[Any]


def running(group: str, dtype: str, n: int, k: int, what: str, **flags: bool) -> Workload:
    """Return a workload of the maximum or the mean of k x k windows of an n x n image, mirrored."""
    names = {"max": "maximum_filter", "mean": "uniform_filter"}

    def ours(x: Array) -> Call:
        import fastconv.ndimage

        return partial(getattr(fastconv.ndimage, names[what]), x, k)

    def scipy(x: Array) -> Call:
        return partial(getattr(_library("scipy.ndimage"), names[what]), x, k)

    def opencv(x: Array) -> Call:
        cv2 = _library("cv2")
        # ndimage's reflect, whose edge sample is repeated; for a maximum the default is the same.
        if what == "max":
            return partial(cv2.dilate, x, np.ones((k, k), np.uint8))
        return partial(cv2.blur, x, (k, k), borderType=cv2.BORDER_REFLECT)

    def reference(x: Array) -> Array:
        padded = np.pad(x.astype(np.float64), k // 2, "symmetric")
        for axis in (0, 1):
            view = np.lib.stride_tricks.sliding_window_view(padded, k, axis)
            padded = view.max(-1) if what == "max" else view.mean(-1)
        return padded

    size = np.dtype(dtype).itemsize
    return _workload(
        f"window/{what}/{dtype}/{n}x{n}/k={k}x{k}", group, dtype, ((n, n), (40, 43)), ours,
        (Peer("scipy.ndimage." + names[what], scipy, "scipy"),
         Peer("cv2.dilate" if what == "max" else "cv2.blur", opencv, "cv2")),
        reference, 0.0 if what == "max" else answers.TOLERANCE[dtype], n * n * k * k,
        2 * size * n * n, partial(_explain, k=k, stride=1, pad=k // 2, reflect=True, what=what),
        **flags,
    )  # fmt: skip


def pool_means(
    group: str, shape: tuple[int, ...], k: int, stride: int, padding: int, **flags: bool
) -> Workload:
    """Return a workload of the mean of k x k windows, padding counted, float32."""

    def torch(x: Array) -> Call:
        library = _library("torch")
        image = library.from_numpy(x)[None]
        return partial(library.nn.functional.avg_pool2d, image, k, stride, padding)

    def reference(x: Array) -> Array:
        return _windows(x.astype(np.float64), k, stride, padding, 0).mean((-2, -1))

    return _pooling(
        "means", group, shape, (k, stride, padding), fastconv.nn.avg_pool2d, {},
        Peer("torch.avg_pool2d", torch, "torch"), reference, answers.TOLERANCE["float32"], **flags,
    )  # fmt: skip


def pool_places(
    group: str, shape: tuple[int, ...], k: int, stride: int, padding: int, **flags: bool
) -> Workload:
    """Return a workload of the places of the maxima of k x k windows, float32."""

    def ours(x: Array, *window: int) -> Array:
        return np.asarray(fastconv.nn.max_pool2d(x, *window, return_indices=True)[1])

    def torch(x: Array) -> Call:
        library = _library("torch")
        image, pool = library.from_numpy(x)[None], library.nn.functional.max_pool2d
        return lambda: pool(image, k, stride, padding, return_indices=True)[1]

    def reference(x: Array) -> Array:
        flat = np.arange(prod(x.shape[-2:])).reshape(x.shape[-2:])
        places = _windows(np.broadcast_to(flat, x.shape), k, stride, padding, -1)
        samples = _windows(x, k, stride, padding, -np.inf)
        best = samples.reshape(*samples.shape[:-2], -1).argmax(-1)[..., None]
        found = np.take_along_axis(places.reshape(*places.shape[:-2], -1), best, -1)
        return np.asarray(found[..., 0])

    return _pooling(
        "places", group, shape, (k, stride, padding), ours, {},
        Peer("torch.max_pool2d", torch, "torch"), reference, 0.0, **flags,
    )  # fmt: skip


def _pooling(
    what: str, group: str, shape: tuple[int, ...], window: tuple[int, int, int],
    function: Callable[..., Any], keywords: dict[str, Any], peer: Peer,
    reference: Callable[[Array], Array], tolerance: float, **flags: bool,
) -> Workload:  # fmt: skip
    k, stride, padding = window
    outputs = prod(shape[:-2]) * prod((n + 2 * padding - k) // stride + 1 for n in shape[-2:])
    return _workload(
        f"pool/{what}/f32/{'x'.join(map(str, shape))}/k={k}x{k}/stride={stride}", group,
        "float32", (shape, (3, 33, 46)), lambda x: partial(function, x, *window, **keywords),
        (peer,), reference, tolerance, outputs * k * k, 4 * (prod(shape) + outputs),
        partial(_explain, k=k, stride=stride, pad=padding, reflect=False, what="max"), **flags,
    )  # fmt: skip


def _workload(
    name: str, group: str, dtype: str, shapes: tuple[tuple[int, ...], tuple[int, ...]],
    ours: Callable[[Array], Call], contenders: tuple[Peer, ...],
    reference: Callable[[Array], Array], tolerance: float, steps: int, moved: int,
    explain: Callable[..., Explanation], **flags: bool,
) -> Workload:  # fmt: skip
    def operands(shape: tuple[int, ...]) -> Operands:
        return (noise(dtype, shape, 1),)

    return Workload(
        name=name,
        group=group,
        operands=partial(operands, shapes[0]),
        small=partial(operands, shapes[1]),
        ours=ours,
        peers=contenders,
        reference=reference,
        tolerance=tolerance,
        multiply_adds=steps,
        flops=steps,
        bytes_moved=moved,
        explain=explain,
        has_methods=False,
        **flags,
    )


def _windows(x: Array, k: int, stride: int, padding: int, outside: float) -> Array:
    pads = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
    padded = np.pad(x, pads, constant_values=outside)
    view = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (-2, -1))
    return view[..., ::stride, ::stride, :, :]


def _explain(x: Array, k: int, stride: int, pad: int, reflect: bool, what: str) -> Explanation:
    sides = tuple((n + 2 * pad - k) // stride + 1 for n in x.shape[-2:])
    rule = "reflect" if reflect else "zero"
    problem = Problem(
        x.dtype.name, prod(x.shape[:-2]), True, x.shape[-2:], (k, k), sides, (stride, stride),
        (1, 1), (pad, pad), (rule, rule), "max" if what == "max" else "box",
    )  # fmt: skip
    return explain_problem(problem, "auto", None)
