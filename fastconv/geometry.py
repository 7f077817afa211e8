"""Index arithmetic, integers only: which outputs and samples belong to which.

All of it speaks of one axis in canonical form: output i reads the samples
``i*stride + t*dilation - pad`` for taps t = 0..k-1 of a signal with n samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .records import NamedTuple

# What a sample outside the signal is: left out, a fill value, or another sample. The rules are
# scipy.ndimage's: reflect (d c b a | a b c d), mirror (d c b | a b c d), nearest, wrap.
BOUNDARIES = ("zero", "fill", "reflect", "mirror", "nearest", "wrap")

# Bands are cut the same way for any number of workers, so that results do not depend on it. 2**23
# products take one thread some 0.1 ms; at most 2**17 outputs leave enough bands to share out.
_BAND_PRODUCTS, _BAND_OUTPUTS = 1 << 23, 1 << 17
# Outputs that fill whole lines of a cache, whatever the dtype: workers share none.
LINE = 64


def span(k: int, dilation: int) -> int:
    """Return how many consecutive samples a window of k taps covers."""
    return (k - 1) * dilation + 1


def strided(m: int, stride: int) -> int:
    """Return how many of m outputs remain when every `stride`-th is kept, the first included."""
    return -(-m // stride)


def interior(
    n: int, k: int, m: int, stride: int = 1, dilation: int = 1, pad: int = 0
) -> tuple[int, int]:
    """Return the range of outputs whose windows lie inside the signal; empty as (lo, lo)."""
    lo = min(m, max(0, -(-pad // stride)))
    room = n - span(k, dilation) + pad
    hi = min(m, room // stride + 1) if room >= 0 else 0
    return lo, max(lo, hi)


def merge(ranges: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the union of half-open ranges (rows of an array with sorted starts) as a list."""
    ranges = ranges[ranges[:, 1] > ranges[:, 0]]
    if len(ranges) == 0:
        return []
    reach = np.maximum.accumulate(ranges[:, 1])
    starts = np.flatnonzero(np.r_[True, ranges[1:, 0] > reach[:-1]])
    ends = np.r_[starts[1:], len(ranges)] - 1
    return [(int(ranges[s, 0]), int(reach[e])) for s, e in zip(starts, ends, strict=True)]


def source_map(first: int, count: int, n: int, boundary: str) -> npt.NDArray[np.int64]:
    """Return, for the virtual samples first..first+count-1, the sample each stands for.

    Parameters
    ----------
    first, count : int
        The virtual samples; 0..n-1 are the signal itself.
    n : int
        Length of the signal.
    boundary : str
        One of `BOUNDARIES`.

    Returns
    -------
    ndarray of int64, shape (count,)
        Indices into the signal; -1 for a sample that is left out or filled.
    """
    index = np.arange(first, first + count, dtype=np.int64)
    begin = min(max(0, -first), count)
    end = max(begin, min(count, n - first))
    if begin:
        _continue(index[:begin], n, boundary)
    if end < count:
        _continue(index[end:], n, boundary)
    return index


def _continue(index: npt.NDArray[np.int64], n: int, boundary: str) -> None:
    """Turn virtual samples into those that they stand for, in place."""
    if boundary in ("zero", "fill") or n == 0:
        index[(index < 0) | (index >= n)] = -1
    elif boundary == "nearest":
        np.minimum(np.maximum(index, 0, out=index), n - 1, out=index)
    elif boundary == "wrap":
        index %= n
    elif boundary == "reflect":
        index %= 2 * n
        np.minimum(index, 2 * n - 1 - index, out=index)
    elif n == 1:
        index[:] = 0
    else:  # mirror
        index %= 2 * n - 2
        np.minimum(index, 2 * n - 2 - index, out=index)


def clipped_sum(first: int, count: int, n: int) -> int:
    """Return the sum of min(max(j, 0), n) over j = first..first+count-1.

    The samples that windows of k taps meet number ``clip(i - pad + k) - clip(i - pad)``.
    """

    def below(j: int) -> int:
        # The sum over everything less than j.
        inside = min(max(j, 0), n)
        return inside * (inside - 1) // 2 + n * max(0, j - n)

    return below(first + count) - below(first)


def met(n: int, k: int, m: int, stride: int, dilation: int, pad: int) -> tuple[int, int]:
    """Return the range of taps that meet a sample in one of the outputs 0..m-1."""
    if m == 0:
        return 0, 0
    lo = min(k, max(0, -(((m - 1) * stride - pad) // dilation)))
    hi = min(k, max(lo, (n - 1 + pad) // dilation + 1))
    return lo, hi


def band(taps: int) -> int:
    """Return how many outputs of a direct loop with so many taps make one band."""
    return max(1, min(_BAND_OUTPUTS, _BAND_PRODUCTS // taps))


def bands(count: int, size: int) -> list[tuple[int, int]]:
    """Return 0..count cut into bands of `size`, the last one shorter."""
    return [(lo, min(lo + size, count)) for lo in range(0, count, size)]


def even(count: int, size: int, unit: int = 1) -> list[tuple[int, int]]:
    """Return 0..count cut into bands of at most about `size`: whole units, four alike at a time.

    So two or four workers have the same to do.
    """
    if count <= size:
        return bands(count, max(count, 1))
    share = -(-count // (4 * -(-count // (4 * size))))
    return bands(count, -(-share // unit) * unit)


def shares(count: int, least: int, workers: int) -> list[tuple[int, int]]:
    """Return 0..count cut into bands of at least `least` for workers to take: all of it for one.

    Eight for each of several workers are enough to keep them all busy.
    """
    if workers == 1:
        return [(0, count)]
    return bands(count, max(least, -(-count // (8 * workers))))


class Blocks(NamedTuple):
    """How overlap-save's blocks lie: block b begins at output ``first + b * step``.

    Its sample j is ``x[first + b * step + j + shift]``.
    """

    number: int
    step: int
    first: int
    shift: int


def blocks(n: int, k: int, pad: int, outputs: int, size: int) -> Blocks:
    """Return the blocks of `size` samples that compute `outputs` correlations of n with k taps."""
    if n + k - 1 <= size and 0 <= pad < k and outputs <= size - (k - 1 - pad):
        # The whole signal and its tail fit into one block: nothing wraps, its head is good too.
        return Blocks(1, outputs, pad - k + 1, k - 1 - pad)
    step = size - k + 1
    return Blocks(-(-outputs // step), step, 1 - k, k - 1 - pad)


def needed(n: int, k: int, m: int, stride: int, dilation: int, pad: int) -> tuple[int, int]:
    """Return the range of samples that the outputs 0..m-1 read."""
    if m == 0:
        return 0, 0
    lo = min(n, max(0, -pad))
    hi = min(n, (m - 1) * stride - pad + span(k, dilation))
    return lo, max(lo, hi)
