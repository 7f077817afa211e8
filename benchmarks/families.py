"""What a workload is, and the families that make one from its sizes: 1-D, batched, 2-D, pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

import fastconv
from fastconv.planner import structure
from fastconv.planner.explain import Explanation, explain_problem
from fastconv.problem import Problem

from . import answers, peers
from .operands import Maker, Operands, mixed, noise, plain, smaller, with_nan
from .peers import Call, Peer
from .peers_fft import transforms

__all__ = ["OURS", "Workload", "batch", "by_path", "image", "pool", "signal", "stream", "volume"]

Array = npt.NDArray[Any]

OURS = "fastconv"
_SHORT_NAMES = {"float": "f", "complex": "c", "uint": "u", "int": "i"}


@dataclass(frozen=True, slots=True)
class Workload:
    """One piece of work.

    Parameters
    ----------
    name : str
        Unique, ``1d/f64/n=1e5/k=31``.
    group : str
        A key of `workloads.GROUPS`.
    operands : callable
        () -> the arrays, always the same.
    small : callable
        () -> arrays of the same kind that take next to no time, for tests.
    ours : callable
        (*operands, method="auto") -> our call. Without a method it is what a user would write.
    peers : tuple of Peer
        Who else can do it, installed or not.
    reference : callable
        (*operands) -> the right answer, computed independently.
    tolerance : float
        The largest error relative to the largest output; 0 demands equality.
    multiply_adds : int
        Products of the definition, whatever the algorithm.
    flops, bytes_moved : int
        The definition's operations; every array read or written once.
    explain : callable
        (*operands) -> the planner's table for the call.
    has_methods : bool
        Whether the call takes ``method=``.
    quick : bool
        Whether ``bench --quick`` and the smoke tests run it.
    headline : bool
        Whether the README's table shows it.
    """

    name: str
    group: str
    operands: Callable[[], Operands]
    small: Callable[[], Operands]
    ours: Callable[..., Call]
    peers: tuple[Peer, ...]
    reference: Callable[..., Array]
    tolerance: float
    multiply_adds: int
    flops: int
    bytes_moved: int
    explain: Callable[..., Explanation]
    has_methods: bool = True
    quick: bool = False
    headline: bool = False

    def table(self, *operands: Array) -> Explanation | None:
        """Return the planner's table; None for what SciPy answers without our planner."""
        try:
            return self.explain(*operands)
        except ValueError:
            return None

    def contenders(self, *operands: Array) -> dict[str, Callable[[], Call]]:
        """Return who can do it, by name: the plain call, our paths by method, installed peers.

        A value binds the contender to `operands` and returns its call.
        """
        found: dict[str, Callable[[], Call]] = {OURS: partial(self.ours, *operands)}
        table = self.table(*operands)
        if self.has_methods and table is not None:
            for row in table.rows:
                if row.supported:
                    found[by_path(row.name)] = partial(self.ours, *operands, method=row.name)
        for peer in self.peers:
            if peer.installed:
                found[peer.name] = partial(peer.prepare, *operands)
        return found


def by_path(name: str) -> str:
    """Return the contender's name of our call with ``method=name``."""
    return f"{OURS}[{name}]"


# ---------------------------------------------------------------- the families


def signal(
    group: str,
    dtype: str,
    n: int,
    k: int,
    mode: str = "same",
    *,
    stride: int = 1,
    accuracy: str | None = None,
    kept: bool = False,
    prefix: str = "1d",
    make: Maker = plain,
    special: tuple[Peer, ...] = (),
    **flags: bool,
) -> Workload:
    """Return a workload of n samples and k taps; `special` as in `image`.

    `kept`: our filter is prepared beforehand, as in a loop over signals.
    """
    # A user who wants NumPy's default mode leaves it out.
    arguments = () if mode == "full" else (mode,)
    keywords: dict[str, Any] = {} if stride == 1 else {"stride": stride}
    keywords |= {} if accuracy is None else {"accuracy": accuracy}
    outputs = -(-{"full": n + k - 1, "same": n, "valid": n - k + 1}[mode] // stride)
    return Workload(
        name=f"{prefix}/{_short(dtype)}/n={_count(n)}/k={_count(k)}" + _steps(stride),
        group=group,
        operands=partial(make, dtype, (n,), (k,)),
        small=partial(make, dtype, smaller((n,), 1500), smaller((k,), 130)),
        ours=partial(_prepared if kept else _call, fastconv.convolve, arguments, keywords),
        peers=special + _signal_peers(dtype, n, k, mode, stride, make is with_nan),
        reference=partial(answers.convolve_1d, mode=mode, stride=stride),
        tolerance=answers.TOLERANCE.get(dtype, 0.0),
        multiply_adds=outputs * k,
        flops=(8 if np.dtype(dtype).kind == "c" else 2) * outputs * k,
        bytes_moved=np.dtype(dtype).itemsize * (n + k + outputs),
        explain=partial(_explain, mode=mode, **keywords),
        **flags,
    )


def stream(group: str, dtype: str, n: int, k: int, block: int, **flags: bool) -> Workload:
    """Return a workload of n samples that arrive block by block, the filter's state carried on."""
    return Workload(
        name=f"stream/{_short(dtype)}/n={_count(n)}/k={k}/block={block}",
        group=group,
        operands=partial(plain, dtype, (n,), (k,)),
        small=partial(plain, dtype, (5 * block,), (k,)),
        ours=partial(_stream, block),
        peers=(peers.lfilter_blocks(block),),
        reference=partial(answers.causal, mode="full"),
        tolerance=answers.TOLERANCE[dtype],
        multiply_adds=n * k,
        flops=2 * n * k,
        bytes_moved=2 * np.dtype(dtype).itemsize * n,
        explain=_explain_nothing,
        has_methods=False,
        **flags,
    )


def batch(
    group: str, dtype: str, rows: int, columns: int, k: int, axis: int, **flags: bool
) -> Workload:
    """Return a workload of rows x columns samples filtered along one axis."""
    contenders = [
        peers.numpy_rows(axis),
        peers.ndimage_1d(axis),
        peers.oaconvolve_rows(axis),
        peers.cv2_1d(dtype, k, axis),
    ]
    if axis == -1:
        contenders.append(peers.torch_1d("same"))
    return Workload(
        name=f"batch/{_short(dtype)}/{rows}x{columns}/k={k}/axis={axis}",
        group=group,
        operands=partial(plain, dtype, (rows, columns), (k,)),
        small=partial(plain, dtype, (37, 41), (k,)),
        ours=partial(_call, fastconv.convolve, ("same",), {"axis": axis}),
        peers=tuple(contenders),
        reference=partial(answers.convolve_1d, mode="same", axis=axis),
        tolerance=answers.TOLERANCE[dtype],
        multiply_adds=rows * columns * k,
        flops=2 * rows * columns * k,
        bytes_moved=2 * np.dtype(dtype).itemsize * rows * columns,
        explain=partial(_explain, mode="same", axis=axis),
        **flags,
    )


def image(
    group: str,
    dtype: str,
    n: int,
    k: int,
    boundary: str = "fill",
    *,
    prefix: str = "2d",
    stride: int = 1,
    filter_dtype: str = "",
    make: Maker = plain,
    special: tuple[Peer, ...] = (),
    **flags: bool,
) -> Workload:
    """Return a workload of an n x n image and a k x k filter, 'same' with its border counted.

    `special` are peers that exploit what the filter is; they come before the general ones.
    """
    result = np.result_type(dtype, filter_dtype or dtype)
    kind = _short(dtype) + (f"*{_short(filter_dtype)}" if filter_dtype else "")
    name = f"{prefix}/{kind}/{n}x{n}/k={k}x{k}" + ("" if boundary == "fill" else f"/{boundary}")
    if filter_dtype:
        make = mixed(filter_dtype)
    keywords = {} if boundary == "fill" else {"boundary": boundary}
    keywords |= {} if stride == 1 else {"stride": stride}
    outputs = (-(-n // stride)) ** 2
    return Workload(
        name=name + _steps(stride),
        group=group,
        operands=partial(make, dtype, (n, n), (k, k)),
        small=partial(make, dtype, _small_image(n, bool(special)), (k, k)),
        ours=partial(_call, fastconv.convolve2d, ("same",), keywords),
        peers=special + _image_peers(dtype, n, k, boundary, stride, make is with_nan, result),
        reference=partial(answers.convolve_2d, boundary=boundary, stride=stride),
        tolerance=answers.TOLERANCE.get(result.name, 0.0),
        multiply_adds=outputs * k * k,
        flops=2 * outputs * k * k,
        bytes_moved=np.dtype(dtype).itemsize * n * n + result.itemsize * outputs,
        explain=partial(_explain, mode="same", **keywords),
        **flags,
    )


def volume(
    group: str, dtype: str, n: int, k: int, prefix: str = "3d", make: Maker = plain, **flags: bool
) -> Workload:
    """Return a workload of n x n x n samples and k x k x k taps, 'same', zeros outside."""
    # Large enough for the planner to look at the filter.
    small = (12, 15, 17) if make is plain else (30, 35, 40)
    found = [peers.ndimage_2d(), peers.torch_3d(dtype)]
    if k > 3:
        found += [peers.scipy_signal("fftconvolve", "same")]
    found += [peers.scipy_signal("oaconvolve", "same")]
    return Workload(
        name=f"{prefix}/{_short(dtype)}/{n}x{n}x{n}/k={k}x{k}x{k}",
        group=group,
        operands=partial(make, dtype, (n,) * 3, (k,) * 3),
        small=partial(make, dtype, small, (k,) * 3),
        ours=_volume,
        peers=_affordable(found, n**3 * k**3),
        reference=answers.convolve_3d,
        tolerance=answers.TOLERANCE[dtype],
        multiply_adds=n**3 * k**3,
        flops=2 * n**3 * k**3,
        bytes_moved=2 * np.dtype(dtype).itemsize * n**3,
        explain=_explain_volume,
        has_methods=False,
        **flags,
    )


def pool(
    group: str, shape: tuple[int, ...], k: int, stride: int, padding: int, **flags: bool
) -> Workload:
    """Return a workload of the maximum over k x k windows of the last two axes, float32."""
    outputs = prod(shape[:-2]) * prod((n + 2 * padding - k) // stride + 1 for n in shape[-2:])

    def operands(shape: tuple[int, ...]) -> Operands:
        return (noise("float32", shape, 1),)

    return Workload(
        name=f"pool/f32/{'x'.join(map(str, shape))}/k={k}x{k}" + _steps(stride),
        group=group,
        operands=partial(operands, shape),
        small=partial(operands, (*smaller(shape[:-2], 3), 33, 46)),
        ours=partial(_call, fastconv.nn.max_pool2d, (k, stride, padding), {}),
        peers=peers.pools(k, stride, padding),
        reference=partial(answers.max_pool, k=k, stride=stride, padding=padding),
        tolerance=0.0,
        multiply_adds=outputs * k * k,
        flops=outputs * k * k,
        bytes_moved=4 * (prod(shape) + outputs),
        explain=partial(_explain_pool, k=k, stride=stride, padding=padding),
        has_methods=False,
        **flags,
    )


# ---------------------------------------------------------------- who else can do it


def _signal_peers(
    dtype: str, n: int, k: int, mode: str, stride: int, has_nan: bool
) -> tuple[Peer, ...]:
    """Return who does the same; of those that transform only where there is no NaN to spread."""
    found = [peers.numpy_convolve(mode, stride)]
    kind = np.dtype(dtype).kind
    if kind not in "fc":
        return tuple(found)  # Other libraries round integers, or saturate them.
    if stride > 1:
        found.append(peers.upfirdn(stride))
    elif not has_nan:
        found.append(peers.scipy_signal("convolve", mode))
        if k >= 31:
            found.append(peers.scipy_signal("oaconvolve", mode))
        if 50 * k >= n >= 1000:
            found.append(peers.scipy_signal("fftconvolve", mode))
        if kind == "f" and k >= 64:
            found += transforms(mode)
    centred = mode == "same" and stride == 1
    if centred:
        found.append(peers.ndimage_1d())
    if kind == "f":
        if centred and not has_nan:
            found.append(peers.cv2_1d(dtype, k))
        if mode != "valid":
            found.append(peers.torch_1d(mode, stride))
        if centred and not has_nan and k % 2 and dtype == "float64":
            found.append(peers.astropy_1d())
    return _affordable(found, n * k)


def _image_peers(
    dtype: str, n: int, k: int, boundary: str, stride: int, has_nan: bool, result: Any
) -> tuple[Peer, ...]:
    """Return who does the same on an image; strides that a library lacks are slices."""
    found = [peers.scipy_2d("same", boundary)]
    if result.kind != "f":
        return tuple(found)  # Other libraries saturate integers.
    real, zeros = np.dtype(dtype).kind == "f", boundary == "fill"
    if real:
        found.append(peers.ndimage_2d(boundary))
    if not has_nan:
        if zeros and k > 3 and n <= 1024:
            found.append(peers.scipy_signal("fftconvolve", "same"))
        if zeros and k > 3 and n > 256:
            found.append(peers.scipy_signal("oaconvolve", "same"))
        if boundary != "wrap":  # filter2D refuses it.
            found.append(peers.cv2_2d(dtype, k, boundary))
    if stride > 1:
        found = [peers.sliced(peer, stride) for peer in found]
    if zeros and real:
        found.append(peers.torch_2d(dtype, stride))
    return _affordable(found, n * n * k * k)


def _small_image(n: int, structured: bool) -> tuple[int, int]:
    """Return a shape for tests; the planner looks at filters only where the work repays it."""
    return (min(n, 260), min(n, 263)) if structured else (min(n, 40), min(n, 43))


def _affordable(found: list[Peer], multiply_adds: int) -> tuple[Peer, ...]:
    return tuple(peer for peer in found if multiply_adds <= peer.most)


# ---------------------------------------------------------------- names and calls


def _short(dtype: str) -> str:
    """Return f64 for float64, i8 for int8, and bool."""
    word = dtype.rstrip("0123456789")
    if word not in _SHORT_NAMES:
        return dtype
    bits = np.dtype(dtype).itemsize * 8
    return f"{_SHORT_NAMES[word]}{bits}"


def _count(n: int) -> str:
    """Return 1000 as 1e3, any other number as it is."""
    zeros = len(str(n)) - 1
    return f"1e{zeros}" if zeros > 2 and n == 10**zeros else str(n)


def _steps(stride: int) -> str:
    return "" if stride == 1 else f"/stride={stride}"


def _call(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: Mapping[str, Any],
    *operands: Array,
    method: str = "auto",
) -> Call:
    """Bind one of our functions as a user would call it; `method` only where it is asked for."""
    extra = {} if method == "auto" else {"method": method}
    return partial(function, *operands, *arguments, **keywords, **extra)


def _prepared(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: Mapping[str, Any],
    x: Array,
    w: Array,
    method: str = "auto",
) -> Call:
    """Bind a filter that is prepared before the clock starts."""
    return partial(fastconv.prepare(w, *arguments, method=method, **keywords), x)


def _stream(block: int, x: Array, w: Array) -> Call:
    return partial(peers.filter_blocks, fastconv.signal.lfilter, block, x, w)


def _volume(x: Array, w: Array) -> Call:
    return partial(fastconv.signal.convolve, x, w, "same")


def _explain_nothing(*operands: Array) -> Explanation:
    raise ValueError("operands must be one problem, got many calls")


def _explain_volume(x: Array, w: Array) -> Explanation:
    ones, pad = (1,) * x.ndim, tuple(k // 2 for k in w.shape)
    problem = Problem(
        x.dtype.name, 1, True, x.shape, w.shape, x.shape, ones, ones, pad, ("zero",) * x.ndim
    )
    found = structure.examine(problem, np.ascontiguousarray(np.flip(w)))
    return explain_problem(problem._replace(structure=found.structure), "auto", None)


def _explain(*operands: Array, **keywords: Any) -> Explanation:
    return fastconv.explain(*operands, **keywords)


def _explain_pool(x: Array, k: int, stride: int, padding: int) -> Explanation:
    sides = tuple((n + 2 * padding - k) // stride + 1 for n in x.shape[-2:])
    window, steps, pads = (k, k), (stride, stride), (padding, padding)
    problem = Problem(
        dtype=x.dtype.name,
        batch=prod(x.shape[:-2]),
        shared_filter=True,
        signal=x.shape[-2:],
        filter=window,
        output=sides,
        stride=steps,
        dilation=(1, 1),
        pad=pads,
        boundary=("zero", "zero"),
        reduction="max",
    )
    return explain_problem(problem, "auto", None)
