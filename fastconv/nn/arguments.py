"""What the arguments of layers mean: one number or one per axis, paddings by name, layouts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import geometry, request
from ..filters import Filters
from ..layer import Epilogue, Layer, LayerOperands
from ..planner import layers as planner
from ..planner.explain import Explanation
from ..planner.selector import check_accuracy
from ..records import NamedTuple
from ..runtime import threads
from ..runtime.elementwise import on_arrays

Array = npt.NDArray[Any]
Ints = int | tuple[int, ...]

LAYOUTS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
ACTIVATIONS = ("relu", "leaky_relu")


class Settings(NamedTuple):
    """The keywords that all layers share; see `request.Settings`."""

    layout: str
    method: str = "auto"
    accuracy: str | None = None
    out: Array | None = None
    workers: int | None = None

    def check(self, ndim: int) -> None:
        """Refuse what no layer could mean."""
        planner.check_method(self.method)
        check_accuracy(self.accuracy)
        if self.workers is not None:
            request.positive("workers", self.workers)
        if self.out is not None and not isinstance(self.out, np.ndarray):
            raise TypeError(f"out must be a NumPy array, got {type(self.out).__name__}")
        if self.layout not in LAYOUTS[ndim]:
            raise ValueError(f"layout must be one of {list(LAYOUTS[ndim])}, got {self.layout!r}")

    @property
    def channels_last(self) -> bool:
        """Whether the layout ends in C."""
        return self.layout.endswith("C")


class Images(NamedTuple):
    """The images of a call: with a batch axis, which the caller may have left out."""

    array: Array
    batched: bool
    channels_last: bool

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.array.shape[-1 if self.channels_last else 1])

    @property
    def signal(self) -> tuple[int, ...]:
        """Lengths per axis."""
        return self.array.shape[1:-1] if self.channels_last else self.array.shape[2:]

    def shape(self, channels: int, output: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a result, the batch axis included."""
        if self.channels_last:
            return (len(self.array), *output, channels)
        return (len(self.array), channels, *output)

    @property
    def stored_last(self) -> bool:
        """Whether the channels lie last in memory, whatever the layout says."""
        if self.channels_last or self.array.flags.c_contiguous:
            return self.channels_last
        last = np.moveaxis(self.array, 1, -1)
        return last.flags.c_contiguous and last.flags.aligned and last.dtype.isnative

    def stored(self) -> Array:
        """Return the images as they lie in memory, copied only if they lie in no known order."""
        if self.stored_last and not self.channels_last:
            return np.moveaxis(self.array, 1, -1)
        return packed(self.array)


def packed(array: Array) -> Array:
    """Return `array` native, aligned and C-contiguous."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array
    return np.asarray(np.require(array, array.dtype.newbyteorder("="), ("C", "A")))


@cache
def name_of(dtype: np.dtype[Any]) -> str:
    """Return NumPy's name of a dtype, whatever its byte order."""
    return dtype.newbyteorder("=").name


def images(name: str, value: npt.ArrayLike, ndim: int, channels_last: bool) -> Images:
    """Return `value` as images with `ndim` axes each, or refuse it."""
    array = np.asarray(value)
    if array.dtype.kind not in "iufc":
        raise TypeError(f"{name} must hold numbers, got {array.dtype}")
    if array.ndim not in (ndim + 1, ndim + 2):
        raise ValueError(
            f"{name} must have {ndim + 1} axes (one image) or {ndim + 2}, got shape {array.shape}"
        )
    batched = array.ndim == ndim + 2
    found = Images(array if batched else array[None], batched, channels_last)
    if 0 in found.signal:
        raise ValueError(f"{name} must have pixels, got shape {array.shape}")
    return found


def filters(value: npt.ArrayLike | Filters, ndim: int, dtype: np.dtype[Any]) -> Filters:
    """Return `value` as the weights of a layer for images of `dtype`, or refuse it."""
    if not isinstance(value, Filters):
        value = Filters(packed(np.asarray(value)))
    if value.ndim != ndim + 2:
        raise ValueError(f"weight must have {ndim + 2} axes, got shape {value.shape}")
    if value.dtype != dtype and value.dtype != dtype.newbyteorder("="):
        raise TypeError(f"weight must have the dtype of input, {dtype}, got {value.dtype}")
    if 0 in value.shape[2:]:
        raise ValueError(f"weight must have taps, got shape {value.shape}")
    if value.shape[0] == 0:
        raise ValueError(f"weight must have at least one filter, got shape {value.shape}")
    return value


def per_axis(name: str, value: Any, ndim: int, least: int) -> tuple[int, ...]:
    """Return one integer per axis, each at least `least`."""
    if type(value) is int and value >= least:
        return (value,) * ndim
    several = isinstance(value, (tuple, list))
    values = tuple(value) if several else (value,)
    if len(values) == 1:
        values *= ndim
    if len(values) != ndim:
        raise ValueError(f"{name} must be one integer or {ndim}, got {value!r}")
    numbers = tuple(request.integer(name, v) for v in values)
    if min(numbers) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return numbers


def paddings(
    value: tuple[int, ...] | str,
    taps: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """Return the zeros before and after each axis; `value` may be "same" or "valid"."""
    if isinstance(value, str):
        if value == "valid":
            return ((0, 0),) * len(taps)
        if value != "same":
            raise ValueError(f"padding must be integers, 'same' or 'valid', got {value!r}")
        if max(stride) != 1:
            raise ValueError(f"padding 'same' must come with stride 1, got {stride}")
        totals = [geometry.span(k, d) - 1 for k, d in zip(taps, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return tuple((p, p) for p in value)


def bias_of(value: npt.ArrayLike | None, channels: int, dtype: np.dtype[Any]) -> Array | None:
    """Return one number per output channel, or None."""
    if value is None:
        return None
    bias = np.asarray(value)
    if bias.shape != (channels,):
        raise ValueError(f"bias must have shape ({channels},), got {bias.shape}")
    if name_of(bias.dtype) != name_of(dtype):
        raise TypeError(f"bias must have the dtype of input, {dtype}, got {bias.dtype}")
    return packed(bias)


def epilogue_of(
    bias: Array | None, activation: Any, slope: float, dtype: np.dtype[Any]
) -> Epilogue:
    """Return what happens to each sum, or refuse it."""
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be None, a callable or one of {list(ACTIVATIONS)}, "
                f"got {activation!r}"
            )
        kind = dtype.kind
        if kind == "c" or (kind != "f" and activation == "leaky_relu"):
            raise TypeError(f"activation must suit the dtype of input, got {activation!r}")
        return Epilogue(bias, activation, float(slope))
    if activation is not None and not callable(activation):
        raise TypeError(f"activation must be None, a string or a callable, got {activation!r}")
    return Epilogue(bias, activation if activation is None else on_arrays(activation, dtype))


def result_array(x: Images, shape: tuple[int, ...], settings: Settings, *used: Any) -> Array:
    """Return where a layer may write: `out` itself where that is safe, else a fresh array."""
    dtype = x.array.dtype
    if not dtype.isnative:
        dtype = dtype.newbyteorder("=")
    out = settings.out
    if out is None:
        return np.empty(shape, dtype)
    request.check_out(out, shape if x.batched else shape[1:], dtype)
    others = [u for u in (x.array, *used) if u is not None]
    if (
        out.flags.c_contiguous
        and out.flags.aligned
        and not any(np.may_share_memory(out, other) for other in others)
    ):
        return np.ndarray(shape, dtype, out)
    return np.empty(shape, dtype)


def deliver(x: Images, result: Array, out: Array | None) -> Array:
    """Return the result without the batch axis that the caller did not give; in `out` if asked."""
    if not x.batched:
        result = result.reshape(result.shape[1:])
    if out is None:
        return result
    if result.base is not out:
        out[...] = result
    return out


def run(layer: Layer, operands: LayerOperands, settings: Settings) -> None:
    """Have the engine compute a layer."""
    if operands.out.size == 0:
        return
    verdict = planner.choose(layer, settings.method, settings.accuracy, operands.w.keeps)
    workers = threads.worthwhile(verdict.seconds, settings.workers)
    whole = LayerOperands(operands.x, operands.w, operands.out, operands.epilogue, workers)
    planner.run(layer, whole, verdict)


def explain(layer: Layer, settings: Settings, packed: bool) -> Explanation:
    """Return who would compute a layer, and why."""
    return planner.explain(layer, settings.method, settings.accuracy, packed)
