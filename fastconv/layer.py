"""The Layer: a convolution over channels described without its arrays, and who computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .filters import Filters
from .path import Box, Guarantee, Work
from .records import NamedTuple

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """The canonical form of every convolution layer.

    ``out[n, g*outputs + o, i] = epilogue(sum over c < inputs, t of
    x~[n, g*inputs + c, i*stride + t*dilation - pad] * w[g*outputs + o, c, t])`` for each of the
    `groups` g, with x~ the images continued by zeros: a zero outside is a factor like any other,
    so that it makes NaN of an infinite tap, as in torch.

    Parameters
    ----------
    dtype : str
        NumPy's name of the one dtype that x, w and out have.
    images : int
        How many images.
    groups : int
        Into how many independent layers the channels fall.
    inputs, outputs : int
        Channels of x and of out in each group.
    signal, filter, output : tuple of int
        Lengths per axis.
    stride, dilation, pad : tuple of int
        Per axis; pad may be negative.
    input_last, output_last : bool
        Whether the channel is the last axis of x or of out; else it is the second.
    """

    dtype: str
    images: int
    groups: int
    inputs: int
    outputs: int
    signal: tuple[int, ...]
    filter: tuple[int, ...]
    output: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    input_last: bool = False
    output_last: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Every table is looked up by the layer: its hash is computed once.
        values = tuple(getattr(self, f.name) for f in fields(self) if f.init)
        object.__setattr__(self, "_hash", hash(values))

    def __hash__(self) -> int:
        return self._hash

    @property
    def ndim(self) -> int:
        """Number of axes that are convolved."""
        return len(self.signal)

    @property
    def pixels(self) -> int:
        """Outputs of one channel of one image."""
        return prod(self.output)

    @property
    def taps(self) -> int:
        """Factors of one output."""
        return self.inputs * prod(self.filter)

    @property
    def multiply_adds(self) -> int:
        """Products, those with the zeros outside included."""
        return self.images * self.groups * self.outputs * self.pixels * self.taps

    @property
    def elements(self) -> int:
        """Elements of x, w and out together."""
        x = self.images * self.groups * self.inputs * prod(self.signal)
        out = self.images * self.groups * self.outputs * self.pixels
        return x + out + self.groups * self.outputs * self.taps

    @property
    def is_matrix_product(self) -> bool:
        """Whether every output is a sum over the channels of one pixel, in order."""
        ones = all(k == s == 1 for k, s in zip(self.filter, self.stride, strict=True))
        return ones and not any(self.pad) and self.signal == self.output

    def as_planes(self) -> Layer:
        """Return a layer with one axis as the same layer with two, the first of length one."""
        if self.ndim != 1:
            return self
        one = {"signal": 1, "filter": 1, "output": 1, "stride": 1, "dilation": 1, "pad": 0}
        planes: dict[str, Any] = {f: (v, *getattr(self, f)) for f, v in one.items()}
        return replace(self, **planes)

    def __str__(self) -> str:
        axes = []
        for a in range(self.ndim):
            text = f"{self.signal[a]}*{self.filter[a]}->{self.output[a]} pad {self.pad[a]}"
            if self.stride[a] != 1:
                text += f" stride {self.stride[a]}"
            if self.dilation[a] != 1:
                text += f" dilation {self.dilation[a]}"
            axes.append(text)
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        last = {True: "last", False: "first"}
        return (
            f"layer {self.dtype} {self.images} x {self.inputs} to {self.outputs} channels{groups} "
            f"({', '.join(axes)}) channels {last[self.input_last]} to {last[self.output_last]}"
        )


class Epilogue(NamedTuple):
    """What happens to a sum before it is stored: plus bias, then the activation.

    Parameters
    ----------
    bias : ndarray or None
        One number per output channel.
    activation : {None, "relu", "leaky_relu"} or callable
        A callable is an element-wise ufunc-like ``f(x, out=)``.
    negative_slope : float
        The slope of leaky_relu below zero.
    """

    bias: Array | None = None
    activation: Any = None
    negative_slope: float = 0.01

    @property
    def compiled(self) -> bool:
        """Whether kernels of ours know the activation."""
        return not callable(self.activation)

    def apply(self, sums: Array, axis: int = 0) -> None:
        """Add the bias along `axis` of `sums` and activate them, in place, by NumPy.

        NaN stays NaN; "leaky_relu" takes the slope where a sum is not positive.
        """
        with np.errstate(all="ignore"):  # As silent as the loop itself.
            if self.bias is not None:
                sums += self.bias.reshape(-1, *(1,) * (sums.ndim - 1 - axis % sums.ndim))
            if self.activation == "relu":
                np.maximum(sums, sums.dtype.type(0), out=sums)
            elif self.activation == "leaky_relu":
                slope = sums.dtype.type(self.negative_slope)
                np.multiply(sums, slope, out=sums, where=sums <= 0)
            elif self.activation is not None:
                sums[...] = self.activation(sums)


class LayerOperands(NamedTuple):
    """The arrays of one layer: aligned, native, C-contiguous, with all axes the Layer has.

    Parameters
    ----------
    x : ndarray, shape (images, channels, *signal) or (images, *signal, channels)
        The images.
    w : Filters, shape (groups * outputs, inputs, *filter)
        The filters.
    out : ndarray, shape (images, channels, *output) or (images, *output, channels)
        The results; shares no memory with x or w.
    epilogue : Epilogue
        What happens to each sum.
    workers : int
        How many threads may be used.
    """

    x: Array
    w: Filters
    out: Array
    epilogue: Epilogue = Epilogue()
    workers: int = 1


def no_kernels(layer: Layer) -> tuple[tuple[str, str], ...]:
    """Return that a path runs no compiled loops of ours."""
    return ()


@dataclass(frozen=True, slots=True)
class LayerPath:
    """One algorithm for layers: what `Path` is for Problems.

    Parameters
    ----------
    name : str
        What ``method=`` calls it.
    summary : str
        One line for tables.
    supports : callable
        Layer -> "" or the reason why not.
    guarantee : callable
        Layer -> "exact", "componentwise" or "normwise".
    work : callable
        Layer -> Work of a call.
    execute : callable
        (Layer, LayerOperands) -> boxes of outputs that a local path must compute instead; None
        from a path whose outputs depend on their own windows only.
    kernels : callable
        Layer -> the (name, dtype) of every compiled loop it needs.
    packed_work : callable, optional
        Layer -> Work of a call with packed filters, where that is much less.
    opt_in : bool
        Whether only a caller who names it, or a guarantee that it has, is answered by it.
    by_kernels : callable
        Epilogue -> whether `execute` leaves all numbers to kernels, so that its calls of them can
        be taped.
    """

    name: str
    summary: str
    supports: Callable[[Layer], str]
    guarantee: Callable[[Layer], Guarantee]
    work: Callable[[Layer], Work]
    execute: Callable[[Layer, LayerOperands], list[Box] | None]
    kernels: Callable[[Layer], tuple[tuple[str, str], ...]] = no_kernels
    packed_work: Callable[[Layer], Work] | None = None
    opt_in: bool = False
    by_kernels: Callable[[Epilogue], bool] = lambda epilogue: False


def guarantee(layer: Layer) -> Guarantee:
    """Return componentwise for floats, exact for integers: the promise of every direct sum."""
    return "componentwise" if np.dtype(layer.dtype).kind in "fc" else "exact"
