"""The Problem: one piece of work described without its arrays."""

from __future__ import annotations

from math import gcd, prod

from . import geometry
from .records import NamedTuple

# Up to so many a compiled entry answers plain calls, with operands as they are.
_FEW_PRODUCTS = 1 << 20


class Structure(NamedTuple):
    """What is special about a filter, as far as an algorithm may use it.

    Parameters
    ----------
    rank : int
        The filter is a sum of so many outer products of one filter per axis.
    guarantee : str
        What the sum of these products keeps: "exact", "componentwise" or "normwise".
    constant : bool
        Whether all taps are the same number.
    """

    rank: int
    guarantee: str
    constant: bool = False

    def __str__(self) -> str:
        constant = "one tap, " if self.constant else ""
        return f"{constant}rank {self.rank} ({self.guarantee})"


class Problem(NamedTuple):
    """The canonical form that every request is reduced to.

    ``out[b, i] = sum over t of x~[b, i*stride + t*dilation - pad] * w[b, t]`` on each axis, with
    w in correlation order and x~ the signal extended by the boundary rule. What was a mode, a
    swap, a flip or a conjugation has been settled before.

    Parameters
    ----------
    dtype : str
        NumPy's name of the one dtype that x, w and out have.
    batch : int
        How many independent signals.
    shared_filter : bool
        Whether all of them meet the same filter.
    signal, filter, output : tuple of int
        Lengths per axis.
    stride, dilation, pad : tuple of int
        Per axis; pad may be negative.
    boundary : tuple of str
        One of `geometry.BOUNDARIES` per axis.
    reduction : str
        "sum" for convolution; "max", "min" and "box" (the plain sum) over windows, where the filter
        has only a size (`paths.scan`).
    inner : int
        How many signals lie interleaved: sample j of signal c is element (j, c). One axis only.
    structure : Structure, optional
        What was found out about the filter.
    up : int
        How far apart the samples stand: x~ has up - 1 gaps after each, which are left out. One
        axis only, with zeros outside and no dilation.
    shared_signal : bool
        Whether all filters meet the same signal.
    room : int, optional
        The most bytes of work space that a path may take; None for no limit.
    """

    dtype: str
    batch: int
    shared_filter: bool
    signal: tuple[int, ...]
    filter: tuple[int, ...]
    output: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    boundary: tuple[str, ...]
    reduction: str = "sum"
    inner: int = 1
    structure: Structure | None = None
    up: int = 1
    shared_signal: bool = False
    room: int | None = None

    @property
    def ndim(self) -> int:
        """Number of axes that are convolved."""
        return len(self.signal)

    @property
    def outputs(self) -> int:
        """Number of outputs, the batch included."""
        return self.batch * prod(self.output) * self.inner

    @property
    def taps(self) -> int:
        """Number of taps of one filter."""
        return prod(self.filter)

    @property
    def multiply_adds(self) -> int:
        """Number of products inside the signal that a direct loop adds up."""
        if self.up > 1:
            return self.outputs * -(-self.taps // self.up)
        if any(rule != "zero" for rule in self.boundary):
            return self.outputs * self.taps
        total = self.batch * self.inner
        for axis in range(self.ndim):
            total *= self.products(axis)
        return total

    def products(self, axis: int) -> int:
        """Return the products inside the signal along one axis, at least 1."""
        n, k, m = self.signal[axis], self.filter[axis], self.output[axis]
        s, d, p = self.stride[axis], self.dilation[axis], self.pad[axis]
        if s == d == 1:
            return max(1, geometry.clipped_sum(k - p, m, n) - geometry.clipped_sum(-p, m, n))
        lo, hi = geometry.interior(n, k, m, s, d, p)
        return max(1, (hi - lo) * k + (m - hi + lo) * min(k // 2, n))

    def part(self, lows: tuple[int, ...], highs: tuple[int, ...], batch: int) -> Problem:
        """Return the problem of the outputs lows..highs alone, for `batch` signals."""
        pad = tuple(p - lo * s for p, lo, s in zip(self.pad, lows, self.stride, strict=True))
        output = tuple(hi - lo for lo, hi in zip(lows, highs, strict=True))
        one = self.shared_signal and batch > 1
        return self._replace(batch=batch, output=output, pad=pad, shared_signal=one)

    def met(self) -> tuple[slice, ...] | None:
        """Return the taps that meet a sample along each axis; None where that is all or none."""
        if self.up > 1:
            return None
        found = []
        for axis, k in enumerate(self.filter):
            n, m, s = self.signal[axis], self.output[axis], self.stride[axis]
            ends = geometry.met(n, k, m, s, self.dilation[axis], self.pad[axis])
            found.append(slice(*ends) if self.boundary[axis] == "zero" else slice(0, k))
        counts = [part.stop - part.start for part in found]
        return tuple(found) if min(counts) > 0 and counts != list(self.filter) else None

    def with_taps(self, part: tuple[slice, ...]) -> Problem:
        """Return the problem with these taps of the filter only."""
        pads = zip(self.pad, part, self.dilation, strict=True)
        return self._replace(
            filter=tuple(taps.stop - taps.start for taps in part),
            pad=tuple(p - taps.start * d for p, taps, d in pads),
        )

    @property
    def inside_out(self) -> bool:
        """Whether images had better be the filters and filters the images, where they are large.

        Loops run along rows of images and over all taps, of which there should be few.
        """
        if self.outputs * self.taps <= _FEW_PRODUCTS or min(self.signal) < 1:
            return False
        if set(self.boundary) != {"zero"} or set(self.dilation) != {1} or self.reduction != "sum":
            return False
        if self.inner > 1 or self.up > 1:
            return False
        return _looped(self.signal, self.filter) > _looped(self.filter, self.signal)

    def exchanged(self) -> Problem:
        """Return the problem where signals and filters, all turned around, change places.

        For zeros outside and no dilation.
        """
        axes = zip(self.signal, self.filter, self.pad, strict=True)
        return self._replace(
            signal=self.filter,
            filter=self.signal,
            pad=tuple(n - k + p for n, k, p in axes),
            shared_filter=self.shared_signal or self.batch == 1,
            shared_signal=self.shared_filter and self.batch > 1,
        )

    def phases(self) -> list[tuple[int, int, slice, Problem]]:
        """Return the problems without gaps that this one with gaps falls apart into.

        Returns
        -------
        list of (first, step, taps, problem)
            Outputs first, first + step, ... are those of `problem` with every up-th tap.
        """
        (m,), (k,), (s,), (p,) = self.output, self.filter, self.stride, self.pad
        step = self.up // gcd(self.up, s)
        found = []
        for first in range(min(step, m)):
            start = (p - first * s) % self.up
            part = self._replace(
                filter=(len(range(start, k, self.up)),),
                output=(-(-(m - first) // step),),
                stride=(step * s // self.up,),
                pad=((p - first * s - start) // self.up,),
                up=1,
            )
            found.append((first, step, slice(start, None, self.up), part))
        return found

    def __str__(self) -> str:
        axes = []
        for a in range(self.ndim):
            text = f"{self.signal[a]}*{self.filter[a]}->{self.output[a]}"
            text += f" pad {self.pad[a]}"
            if self.stride[a] != 1:
                text += f" stride {self.stride[a]}"
            if self.dilation[a] != 1:
                text += f" dilation {self.dilation[a]}"
            axes.append(f"{text} {self.boundary[a]}")
        interleaved = f" x {self.inner} interleaved" if self.inner > 1 else ""
        gaps = f" up {self.up}" if self.up > 1 else ""
        gaps += ", one signal for all filters" if self.shared_signal else ""
        known = f", filter of {self.structure}" if self.structure else ""
        if self.room is not None:
            known += f", in {self.room} bytes of work space"
        what = f"{self.reduction} {self.dtype} {self.batch} x ({', '.join(axes)})"
        return f"{what}{gaps}{interleaved}{known}"


def _looped(signal: tuple[int, ...], taps: tuple[int, ...]) -> int:
    """Return what an output costs: rows shorter than the taps' are rims on both ends."""
    return prod(taps) * (2 if signal[-1] < taps[-1] else 1)
