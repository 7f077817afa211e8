"""The definition of convolution layers, as a textbook writes it, and their error."""

from dataclasses import dataclass, field

import numpy as np
import reference


def conv(x, w, bias=None, stride=1, pads=(), dilation=1, groups=1):
    """Channels first, batched; `pads` has (before, after) per axis.

    Zeros are put around the images and multiplied like any other number.
    """
    ndim = x.ndim - 2
    stride, dilation = reference.per_axis(stride, ndim), reference.per_axis(dilation, ndim)
    around = np.pad(x, ((0, 0), (0, 0), *pads))
    shape = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(around.shape[2:], w.shape[2:], stride, dilation, strict=True)
    ]
    outputs, inputs = len(w) // groups, w.shape[1]
    out = np.zeros((len(x), len(w), *shape), x.dtype)
    with np.errstate(all="ignore"):
        for group, c, t in np.ndindex(groups, inputs, int(np.prod(w.shape[2:]))):
            tap = np.unravel_index(t, w.shape[2:])
            channel, filters = group * inputs + c, slice(group * outputs, (group + 1) * outputs)
            window = tuple(
                slice(t * d, t * d + (m - 1) * s + 1, s)
                for t, d, m, s in zip(tap, dilation, shape, stride, strict=True)
            )
            samples = around[(slice(None), slice(channel, channel + 1), *window)]
            out[:, filters] += samples * w[(filters, c, *tap)].reshape(-1, *(1,) * ndim)
        if bias is not None:
            out += bias.reshape(-1, *(1,) * ndim)
    return out


def conv_transpose(x, w, bias=None, stride=1, padding=(), extra=(), dilation=1, groups=1):
    """Every sample adds its multiple of the filter, `stride` apart; then `padding` is cut off."""
    ndim = x.ndim - 2
    stride, dilation = reference.per_axis(stride, ndim), reference.per_axis(dilation, ndim)
    inputs, outputs = len(w) // groups, w.shape[1]
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    whole = [(n - 1) * s + e for n, s, e in zip(x.shape[2:], stride, spans, strict=True)]
    room = [n + e for n, e in zip(whole, extra, strict=True)]
    out = np.zeros((len(x), groups * outputs, *room), x.dtype)
    for c, f, i in np.ndindex(len(w), outputs, int(np.prod(x.shape[2:]))):
        at = np.unravel_index(i, x.shape[2:])
        window = tuple(
            slice(a * s, a * s + e, d)
            for a, s, e, d in zip(at, stride, spans, dilation, strict=True)
        )
        sample = x[(slice(None), c, *at)].reshape(-1, *(1,) * ndim)
        out[(slice(None), c // inputs * outputs + f, *window)] += sample * w[c, f]
    cut = tuple(slice(p, n - p) for p, n in zip(padding, room, strict=True))
    out = out[(slice(None), slice(None), *cut)]
    return out if bias is None else out + bias.reshape(-1, *(1,) * ndim)


# What absolute transforms make of ones, per axis (fastconv.paths.channels.winograd).
WINOGRAD_GROWTH = {2: 8.0, 4: 22.3}


def winograd_bound(x, w, pads, m, groups=1):
    """The stated error of tiles of m x m outputs, without the bias's: one number per output."""
    around = abs(np.pad(x, ((0, 0), (0, 0), *pads)))
    rows, columns = (n - 2 for n in around.shape[2:])
    high, wide = -(-rows // m), -(-columns // m)
    whole = np.zeros((*x.shape[:2], high * m + 2, wide * m + 2), np.longdouble)
    whole[:, :, : rows + 2, : columns + 2] = around
    peaks = np.zeros((*x.shape[:2], high, wide), np.longdouble)
    for i, j in np.ndindex(m + 2, m + 2):
        tiles = whole[:, :, i : i + (high - 1) * m + 1 : m, j : j + (wide - 1) * m + 1 : m]
        peaks = np.maximum(peaks, tiles)
    weights = abs(w).astype(np.longdouble).max(axis=(2, 3))
    split = peaks.reshape(len(x), groups, w.shape[1], high, wide)
    sums = np.einsum("ngcij,goc->ngoij", split, weights.reshape(groups, -1, w.shape[1]))
    sums = sums.reshape(len(x), len(w), high, wide).repeat(m, 2).repeat(m, 3)
    eps = np.finfo(x.dtype).eps
    return (w.shape[1] + 20) * eps * WINOGRAD_GROWTH[m] ** 2 * sums[:, :, :rows, :columns]


@dataclass
class Call:
    """The arguments of one layer, channels first."""

    ndim: int
    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    stride: tuple
    padding: tuple | str
    dilation: tuple
    groups: int
    extra: tuple = field(default=())

    @property
    def keywords(self):
        """What the layer is called with beside x and w."""
        names = ("bias", "stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def pads(self):
        """Zeros before and after each axis."""
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.w.shape[2:], strict=True)]
            return tuple((t // 2, t - t // 2) for t in totals)
        if self.padding == "valid":
            return ((0, 0),) * self.ndim
        return tuple((p, p) for p in self.padding)

    def define(self, x, w, bias):
        """The definition's answer for these arrays."""
        return conv(x, w, bias, self.stride, self.pads, self.dilation, self.groups)

    def define_transposed(self, x, w, bias):
        """The transposed definition's answer."""
        return conv_transpose(
            x, w, bias, self.stride, self.padding, self.extra, self.dilation, self.groups
        )


def agrees(result, define, x, w, bias, taps, normwise=0):
    """Hold a result to the definition: exactly for integers, else within the bound.

    `normwise` is what a path that is not componentwise may add to the bound.
    """
    dtype = x.dtype
    expected = define(x, w, bias)
    assert result.dtype == dtype
    assert result.shape == expected.shape, f"{result.shape} is not {expected.shape}"
    if dtype.kind in "iu":
        np.testing.assert_array_equal(result, expected)
        return
    exact = define(*(None if a is None else reference.precise(a, dtype) for a in (x, w, bias)))
    total = define(*(None if a is None else reference.magnitude(a, dtype) for a in (x, w, bias)))
    bound = (taps + 5) * reference.unit(dtype) * total + taps * reference.underflow(dtype)
    bound = bound + normwise
    error = np.abs(result.astype(exact.dtype) - exact)
    assert (error <= reference.complex_factor(dtype) * bound).all(), f"off by {np.max(error)}"
