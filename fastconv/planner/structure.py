"""What is special about a filter: factors that make two short passes of one long one.

A filter of rank r is a sum of r outer products of one filter per axis. Whether such a sum may
stand for the filter is a matter of proof:

- *exact*: integers (modulo 2**n, as sums and products wrap) whose outer product is the filter;
- *componentwise*: rank 1, every tap within d eps of the product of its factors. Two sums of kh and
  kw products with taps that are off by d eps err by at most (kh + kw + d + 1) eps sum|x||w|
  [Higham 2002, section 3.1], which has to be no more than the (kh kw + 4) eps of a single sum;
- *normwise*: singular value decomposition. What the first r terms leave out is E, and by Eckart
  and Young no r terms leave out less: |error| <= ||E||_F ||x||_2 by Cauchy and Schwarz, beside the
  rounding of r terms, at most (kh + kw) sqrt(r) u ||w||_F ||x||_2. Both together have to be no
  more than what the shortest transform may lose.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..problem import Problem, Structure
from . import selector

Array = npt.NDArray[Any]

# To refuse a filter takes 3 us, to find its factors 30, to decompose it 10 us and 3 ns for each
# kh kw min(kh, kw). Neither is begun unless the direct loop, at some 20 ps a product, takes much
# longer: thirty times as long as the decomposition.
_PRODUCTS, _TAPS = 1 << 22, 9
_DECOMPOSITION, _PRODUCTS_PER_COST = 3500, 4500
# What is so seldom there must save several times what it takes to look for it.
_SECONDS_PER_COST, _LEAST_GAIN = 3e-9, 4.0
_SERVED = "separable"
# A sum of more terms is no cheaper than the taps themselves.
_WORTHWHILE = 0.6
# 8 log2(512) eps: what overlap-save may lose over its shortest block.
_NORMWISE_EPS = 72.0
# Of it, what a low rank may leave out.
_LEFT_OUT_EPS = 8.0


class Finding(NamedTuple):
    """The structure of a filter and the arrays that belong to it.

    Parameters
    ----------
    structure : Structure or None
        What the paths may use.
    factors : tuple of ndarray
        For each axis the factors of the filter, shape (rank, taps).
    """

    structure: Structure | None = None
    factors: tuple[Array, ...] = ()


def pays(problem: Problem) -> bool:
    """Return whether looking costs little against the work."""
    suits = problem.ndim == 2 and problem.shared_filter and problem.reduction == "sum"
    long = min(problem.filter) > 1 and problem.taps >= _TAPS
    return suits and long and problem.outputs * problem.taps >= _PRODUCTS


def examine(problem: Problem, w: Array, method: str = selector.AUTO) -> Finding:
    """Return the factors of the filter `w`, if looking for them costs little against the work.

    A sum of several products is looked for where it may be quicker than all other paths, or where
    `method` is the path that needs it.
    """
    if not pays(problem):
        return Finding()
    if w.dtype.kind in "iu":
        return _found(*_integer_factors(w))
    if w.dtype.kind != "f":
        return Finding()
    if not _refuted(w):
        finding = _found(*_float_factors(w))
        if finding.structure is not None:
            return finding
    most = int(_WORTHWHILE * problem.taps / sum(problem.filter))
    cost = _DECOMPOSITION + problem.taps * min(problem.filter)
    if most < 2 or problem.outputs * problem.taps < _PRODUCTS_PER_COST * cost:
        return Finding()
    if method != _SERVED and _saved(problem) < _LEAST_GAIN * _SECONDS_PER_COST * cost:
        return Finding()
    return _found(*_low_rank(w, most))


@lru_cache(maxsize=1024)
def _saved(problem: Problem) -> float:
    """Return the seconds that two terms would save beside the best path: a transform is one."""
    two = problem._replace(structure=Structure(2, "normwise"))
    return selector.rank(problem)[0].seconds - selector.rank(two)[0].seconds


def _refuted(w: Array) -> bool:
    """Return whether a few products of four taps show that no two filters make `w`, or are NaN."""
    p, q = w.shape[0] // 2, w.shape[1] // 2
    centre = float(w[p, q])
    eps = (w.size + 8) * float(np.finfo(w.dtype).eps)
    for u, v in ((p - 1, q - 1), (p - 1, 0), (0, q - 1)):
        one, other = centre * float(w[u, v]), float(w[u, q]) * float(w[p, v])
        if not abs(one - other) <= 4 * eps * abs(other):
            return True
    return False


def used_taps(problem: Problem, w: Array) -> tuple[slice, ...] | None:
    """Return the part of the filter between its rims of zeros, where a quarter or more is rim."""
    if not problem.shared_filter or problem.reduction != "sum" or problem.up > 1:
        return None
    if problem.outputs * problem.taps < _PRODUCTS or w.shape != problem.filter:
        return None
    part = []
    for a in range(w.ndim):
        (used,) = np.nonzero(w.any(axis=tuple(b for b in range(w.ndim) if b != a)))
        part.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1))
    return tuple(part) if w[tuple(part)].size <= 0.75 * w.size else None


def describe(w: Array) -> tuple[str, ...]:
    """Return in words what is plain to see: a constant, symmetries, rows and columns of zeros."""
    words = []
    if (w == w.flat[0]).all():
        words.append("constant")
    elif np.array_equal(w, w[::-1, ::-1]):
        words.append("symmetric")
    elif np.array_equal(w, -w[::-1, ::-1]):
        words.append("antisymmetric")
    used = [np.flatnonzero(w.any(axis=a)) for a in (1, 0)]
    if all(len(u) for u in used):
        rim = [n - int(u[-1] - u[0]) - 1 for u, n in zip(used, w.shape, strict=True)]
        if any(rim):
            words.append(f"{rim[0]} rows and {rim[1]} columns of zeros at its ends")
    return tuple(words)


def _found(guarantee: str, factors: tuple[Array, ...]) -> Finding:
    return Finding(Structure(len(factors[0]), guarantee), factors) if guarantee else Finding()


_NONE: tuple[str, tuple[Array, ...]] = "", ()


def _integer_factors(w: Array) -> tuple[str, tuple[Array, ...]]:
    """Return two filters whose outer product is `w`, entry by entry."""
    pair = _whole_pair(w)
    # Products wrap in the dtype of w, as the loops' do.
    if pair is None or not np.array_equal(np.multiply.outer(*pair), w):
        return _NONE
    return "exact", tuple(np.ascontiguousarray(f[None]) for f in pair)


def _whole_pair(w: Array) -> tuple[Array, Array] | None:
    """Return the only pair of integer factors that can be, in the dtype of w."""
    p, q = np.unravel_index(np.argmax(w != 0), w.shape)
    row = [int(v) for v in w[p]]
    divisor = gcd(*row)
    if divisor == 0:
        return None
    across = [v // divisor for v in row]
    down = [int(v) for v in w[:, q]]
    if any(v % across[q] for v in down):
        return None
    return (np.array([v // across[q] for v in down]).astype(w.dtype),
            np.array(across).astype(w.dtype))  # fmt: skip


def _float_factors(w: Array) -> tuple[str, tuple[Array, ...]]:
    """Return two filters whose outer product is `w` within a few eps of each tap."""
    if not np.isfinite(w).all():
        return _NONE
    p, q = np.unravel_index(np.argmax(np.abs(w)), w.shape)
    if w[p, q] == 0:
        return _NONE
    # The column as it is, and a row of ratios: an inner sum is a part of the single sum, so that
    # it overflows or loses bits to underflow no sooner.
    down, across = w[:, q], w[p] / w[p, q]
    if not _close(w, down, across):
        return _NONE
    if np.abs(w).max() < 2**20 and np.array_equal(w, np.rint(w)):
        whole = _whole_pair(w.astype(np.int64))
        if whole is not None:  # Whole samples then have whole results.
            down, across = (f.astype(w.dtype) for f in whole)
    wide = np.longdouble if w.dtype == np.float64 else np.float64
    product = np.multiply.outer(down.astype(wide), across.astype(wide))
    off = np.abs(product - w)
    eps, sizes = np.finfo(w.dtype).eps, np.abs(w.astype(wide))
    if not (off[sizes == 0] == 0).all():
        return _NONE
    # Taps so small that eps of them is lost to underflow are no taps to divide by.
    if np.abs(w)[w != 0].min() < np.finfo(w.dtype).smallest_normal / eps:
        return _NONE
    worst = float((off[sizes > 0] / sizes[sizes > 0]).max() / eps)
    kh, kw = w.shape
    if kh + kw + worst + 2 <= kh * kw + 4:
        return "componentwise", _rows(down[None], across[None])
    return _NONE


def _close(w: Array, down: Array, across: Array) -> bool:
    """Return whether three rows are near what the factors make of them: a cheap first look."""
    for u in (0, len(w) // 3, -1):
        off = np.abs(down[u] * across - w[u])
        if (off > (w.size + 8) * np.finfo(w.dtype).eps * np.abs(w[u])).any():
            return False
    return True


def _low_rank(w: Array, most: int) -> tuple[str, tuple[Array, ...]]:
    """Return the fewest terms of the singular value decomposition that are accurate enough."""
    if not np.isfinite(w).all():
        return _NONE
    u, s, v = np.linalg.svd(w.astype(np.float64))
    kh, kw = w.shape
    eps, size = float(np.finfo(w.dtype).eps), sqrt(float(s @ s))
    most = min(most, len(s) - 1)
    enough = [
        r for r in range(1, most + 1) if s[r:] @ s[r:] <= (_LEFT_OUT_EPS / 2 * eps * size) ** 2
    ]
    if not enough or size == 0:
        return _NONE
    rank = enough[0]
    # Powers of two: no bit is lost, and both factors are of moderate size.
    roots = np.exp2(np.rint(np.log2(s[:rank]) / 2))
    down = (u[:, :rank] * (s[:rank] / roots)).T.astype(w.dtype)
    across = (v[:rank] * roots[:, None]).astype(w.dtype)
    wide = np.longdouble if w.dtype == np.float64 else np.float64
    rest = w - np.einsum("ru,rv->uv", down.astype(wide), across.astype(wide))
    left_out = sqrt(float((rest * rest).sum())) / (eps * size)
    if left_out <= _LEFT_OUT_EPS and left_out + (kh + kw) * sqrt(rank) / 2 <= _NORMWISE_EPS:
        return "normwise", _rows(down, across)
    return _NONE


def _rows(down: Array, across: Array) -> tuple[Array, ...]:
    return np.ascontiguousarray(down), np.ascontiguousarray(across)
