"""What is special about a filter: factors that make short passes of one long one.

A filter of rank r is a sum of r outer products of one filter per axis, of two or three. Whether
such a sum may stand for the filter is a matter of proof:

- *exact*: integers (modulo 2**n, as sums and products wrap) whose outer product is the filter;
- *componentwise*: rank 1, every tap within d eps of the product of its factors. Sums of k products
  along each axis in turn, with taps that are off by d eps, err by at most (the sum of all k, d and
  the axes less one) eps sum|x||w| [Higham 2002, section 3.1], which has to be no more than the
  (taps + 4) eps of a single sum;
- *constant*: all taps are one number. A sum of k samples times it errs by at most (k + 1) eps
  sum|x||w|, no more than the single sum of products.
- *normwise*: singular value decomposition; of a volume's slices first, then of each slice that this
  leaves. What the first r terms leave out is E, and by Eckart and Young no r terms of a matrix
  leave out less: |error| <= ||E||_F ||x||_2 by Cauchy and Schwarz, beside the rounding of r terms,
  which are orthogonal: at most (the sum of all k) sqrt(r) u ||w||_F ||x||_2. Both together have to
  be no more than what the shortest transform may lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import combinations
from math import gcd, prod, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ..problem import Problem, Structure
from ..records import NamedTuple
from . import selector

Array = npt.NDArray[Any]

# To refuse a filter takes 3 us, to find its factors 30, to decompose it 10 us and 3 ns for each
# kh kw min(kh, kw). Neither is begun unless the direct loop, at some 20 ps a product, takes much
# longer: thirty times as long as the decomposition.
_PRODUCTS, _TAPS = 1 << 22, 9
_DECOMPOSITION, _PRODUCTS_PER_COST = 3500, 4500
# The factors of so large a filter are kept: a call after the first compares its bytes (1024x1024
# float32, 5x5 taps: 170 us of 1350).
_KEPT_BYTES = 1 << 13
# What is so seldom there must save several times what it takes to look for it.
_SECONDS_PER_COST, _LEAST_GAIN = 3e-9, 4.0
_SERVED = {2: "separable", 3: "separable_volumes"}
# A filter's taps are compared in 3 us. Signals of fewer samples are not looked at for that alone:
# their requests are kept by shape (`replay`).
_CONSTANT_PRODUCTS, _CONSTANT_SAMPLES = 1 << 20, 1 << 15
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
    """Return whether looking costs little against the work; in complex filters nothing is found."""
    if problem.dtype.startswith("complex"):
        return False
    return _factors_pay(problem) or _constants_pay(problem)


def _constants_pay(problem: Problem) -> bool:
    suits = problem.ndim < 3 and problem.shared_filter and problem.reduction == "sum"
    many = problem.batch * prod(problem.signal) > _CONSTANT_SAMPLES and problem.taps >= _TAPS
    return suits and many and problem.outputs * problem.taps >= _CONSTANT_PRODUCTS


def _factors_pay(problem: Problem) -> bool:
    suits = problem.ndim in _SERVED and problem.shared_filter and problem.reduction == "sum"
    long = min(problem.filter) > 1 and problem.taps >= _TAPS
    return suits and long and problem.outputs * problem.taps >= _PRODUCTS


def examine(problem: Problem, w: Array, method: str = selector.AUTO) -> Finding:
    """Return the factors of the filter `w`, if looking for them costs little against the work.

    A sum of several products is looked for where it may be quicker than all other paths, or where
    `method` is the path that needs it.
    """
    if not pays(problem):
        return Finding()
    same = constant(w) if problem.ndim < 3 else None
    if same is not None:
        down, *across = (np.ones((1, k), w.dtype) for k in w.shape)
        return Finding(same, (down * w.flat[0], *across))
    if not _factors_pay(problem):
        return Finding()
    if w.dtype.kind in "iu":
        return _found(*_integer_factors(w))
    if w.dtype.kind != "f":
        return Finding()
    finding = _known(w.dtype.char, w.shape, w.tobytes()) if w.nbytes <= _KEPT_BYTES else _plain(w)
    if finding.structure is not None:
        return finding
    most = int(_WORTHWHILE * problem.taps / sum(problem.filter))
    cost = _DECOMPOSITION + problem.taps * sorted(problem.filter)[-2]
    if most < 2 or problem.outputs * problem.taps < _PRODUCTS_PER_COST * cost:
        return Finding()
    if method != _SERVED[problem.ndim] and _saved(problem) < _LEAST_GAIN * _SECONDS_PER_COST * cost:
        return Finding()
    return _found(*_low_rank(w, most))


def constant(w: Array) -> Structure | None:
    """Return the structure of a filter whose taps are one number, which is neither wild nor zero.

    A sum times zero has a sign, which a sum of zeros has not.
    """
    tap = w.flat[0]
    # Nearly all other filters differ here.
    if not (w.flat[-1] == tap == w.flat[w.size // 2]) or w.dtype.kind not in "iuf":
        return None
    if not 0 < abs(tap) < np.inf and w.dtype.kind == "f":
        return None
    guarantee = "componentwise" if w.dtype.kind == "f" else "exact"
    return Structure(1, guarantee, constant=True) if (w == tap).all() else None


@lru_cache(maxsize=64)
def _known(dtype: str, shape: tuple[int, ...], taps: bytes) -> Finding:
    return _plain(np.frombuffer(taps, dtype).reshape(shape))


def _plain(w: Array) -> Finding:
    """Return the factors of a filter that is one outer product."""
    return Finding() if _refuted(w) else _found(*_float_factors(w))


@lru_cache(maxsize=1024)
def _saved(problem: Problem) -> float:
    """Return the seconds that two terms would save beside the best path: a transform is one."""
    two = problem._replace(structure=Structure(2, "normwise"))
    return selector.rank(problem)[0].seconds - selector.rank(two)[0].seconds


def _refuted(w: Array) -> bool:
    """Return whether a few products of taps show that no filters make `w`, or are NaN."""
    centre = tuple(k // 2 for k in w.shape)
    eps = (w.size + 8) * float(np.finfo(w.dtype).eps)
    for a, b in combinations(range(w.ndim), 2):
        p, q = centre[a], centre[b]
        for u, v in ((p - 1, q - 1), (p - 1, 0), (0, q - 1)):
            one = float(w[centre]) * float(w[_moved(centre, {a: u, b: v})])
            other = float(w[_moved(centre, {a: u})]) * float(w[_moved(centre, {b: v})])
            if not abs(one - other) <= 4 * eps * abs(other):
                return True
    return False


def _moved(place: tuple[int, ...], to: dict[int, int]) -> tuple[int, ...]:
    return tuple(to.get(a, i) for a, i in enumerate(place))


def used_taps(problem: Problem, w: Array) -> tuple[slice, ...] | None:
    """Return the part of the filter between its rims of zeros, where a quarter or more is rim."""
    if not problem.shared_filter or problem.reduction != "sum" or problem.up > 1:
        return None
    if problem.outputs * problem.taps < _PRODUCTS or w.shape != problem.filter:
        return None
    part = []
    for a, k in enumerate(w.shape):
        if w.take(0, a).any() and w.take(-1, a).any():
            # Nearly always: a look at all of a million taps takes 4 ms, a tenth of the call.
            part.append(slice(0, k))
            continue
        (used,) = np.nonzero(w.any(axis=tuple(b for b in range(w.ndim) if b != a)))
        part.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1))
    return tuple(part) if w[tuple(part)].size <= 0.75 * w.size else None


def describe(w: Array) -> tuple[str, ...]:
    """Return in words what is plain to see: a constant, symmetries, rims of zeros."""
    words, turned = [], np.flip(w)
    if (w == w.flat[0]).all():
        words.append("constant")
    elif np.array_equal(w, turned):
        words.append("symmetric")
    elif np.array_equal(w, -turned):
        words.append("antisymmetric")
    used = [
        np.flatnonzero(np.moveaxis(w, a, 0).reshape(k, -1).any(axis=1))
        for a, k in enumerate(w.shape)
    ]
    if all(len(u) for u in used):
        rim = [n - int(u[-1] - u[0]) - 1 for u, n in zip(used, w.shape, strict=True)]
        if any(rim):
            names = ("slices", "rows", "columns")[-w.ndim :]
            counts = [f"{n} {name}" for n, name in zip(rim, names, strict=True)]
            listed = f"{', '.join(counts[:-1])} and {counts[-1]}"
            words.append(f"{listed} of zeros at its ends")
    return tuple(words)


def _found(guarantee: str, factors: tuple[Array, ...]) -> Finding:
    return Finding(Structure(len(factors[0]), guarantee), factors) if guarantee else Finding()


_NONE: tuple[str, tuple[Array, ...]] = "", ()


def _integer_factors(w: Array) -> tuple[str, tuple[Array, ...]]:
    """Return filters whose outer product is `w`, entry by entry."""
    factors = _whole_factors(w)
    # Products wrap in the dtype of w, as the loops' do.
    if factors is None or not np.array_equal(_product(factors), w):
        return _NONE
    return "exact", _terms(factors)


def _product(factors: Sequence[Array]) -> Array:
    """Return the outer product of one filter per axis."""
    return reduce(np.multiply.outer, factors)


def _whole_factors(w: Array) -> list[Array] | None:
    """Return the only integer factors that can be, but for signs, in the dtype of w."""
    factors: list[Array] = []
    while w.ndim > 1:
        pair = _whole_pair(w.reshape(len(w), -1))
        if pair is None:
            return None
        factors, w = [*factors, pair[0]], pair[1].reshape(w.shape[1:])
    return [*factors, w]


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
    """Return filters whose outer product is `w` within a few eps of each tap."""
    if not np.isfinite(w).all():
        return _NONE
    place = tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(w)), w.shape))
    largest = w[place]
    if largest == 0:
        return _NONE
    # The first line as it is, and lines of ratios: an inner sum is a part of the single sum, so
    # that it overflows or loses bits to underflow no sooner.
    lines: list[Array] = [np.moveaxis(w, a, -1)[*place[:a], *place[a + 1 :]] for a in range(w.ndim)]
    factors = [lines[0], *(line / largest for line in lines[1:])]
    if not _close(w, factors):
        return _NONE
    if np.abs(w).max() < 2**20 and np.array_equal(w, np.rint(w)):
        whole = _whole_factors(w.astype(np.int64))
        if whole is not None:  # Whole samples then have whole results.
            factors = [f.astype(w.dtype) for f in whole]
    wide = np.longdouble if w.dtype == np.float64 else np.float64
    off = np.abs(_product([f.astype(wide) for f in factors]) - w)
    eps, sizes = np.finfo(w.dtype).eps, np.abs(w.astype(wide))
    if not (off[sizes == 0] == 0).all():
        return _NONE
    # Taps so small that eps of them is lost to underflow are no taps to divide by.
    if np.abs(w)[w != 0].min() < np.finfo(w.dtype).smallest_normal / eps:
        return _NONE
    worst = float((off[sizes > 0] / sizes[sizes > 0]).max() / eps)
    if sum(w.shape) + worst + w.ndim <= w.size + 4:
        return "componentwise", _terms(factors)
    return _NONE


def _close(w: Array, factors: list[Array]) -> bool:
    """Return whether three parts are near what the factors make of them: a cheap first look."""
    rest = _product(factors[1:])
    for u in (0, len(w) // 3, -1):
        off = np.abs(factors[0][u] * rest - w[u])
        if (off > (w.size + 8) * np.finfo(w.dtype).eps * np.abs(w[u])).any():
            return False
    return True


def _low_rank(w: Array, most: int) -> tuple[str, tuple[Array, ...]]:
    """Return the fewest terms of the singular value decomposition that are accurate enough."""
    if not np.isfinite(w).all():
        return _NONE
    eps, size = float(np.finfo(w.dtype).eps), float(np.linalg.norm(w.astype(np.float64)))
    # What is left out slices first and in each slice is orthogonal; a part is kept for rounding.
    terms = _decomposed(w.astype(np.float64), _LEFT_OUT_EPS / 2 * eps * size, most)
    if not terms or len(terms) > most:
        return _NONE
    factors = [np.array(lines).astype(w.dtype) for lines in zip(*terms, strict=True)]
    wide = np.longdouble if w.dtype == np.float64 else np.float64
    rest: Any = w.astype(wide)
    for lines in zip(*(f.astype(wide) for f in factors), strict=True):
        rest = rest - _product(lines)
    left_out = sqrt(float((rest * rest).sum())) / (eps * size)
    rounding = sum(w.shape) * sqrt(len(terms)) / 2
    if left_out <= _LEFT_OUT_EPS and left_out + rounding <= _NORMWISE_EPS:
        return "normwise", tuple(np.ascontiguousarray(f) for f in factors)
    return _NONE


def _decomposed(w: Array, left_out: float, most: int) -> list[tuple[Array, ...]] | None:
    """Return the fewest outer products whose sum is `w` but for a rest of that norm.

    None where any axis needs more than `most`.
    """
    if w.ndim == 1:
        return [(w,)]
    u, s, v = np.linalg.svd(w.reshape(len(w), -1), full_matrices=False)
    # rests[r] is the norm of what r terms leave out.
    rests = np.sqrt(np.append(np.cumsum((s * s)[::-1])[::-1], 0.0))
    rank = int(np.argmax(rests <= left_out))
    if rank > most:
        return None
    terms: list[tuple[Array, ...]] = []
    for r in range(rank):
        # Powers of two: no bit is lost, and all factors are of moderate size.
        root = float(np.exp2(np.rint(np.log2(s[r]) / 2)))
        below = _decomposed(
            (v[r] * root).reshape(w.shape[1:]), left_out * root / (s[r] * sqrt(rank)), most
        )
        if below is None:
            return None
        terms += [(u[:, r] * (s[r] / root), *lines) for lines in below]
    return terms


def _terms(factors: Sequence[Array]) -> tuple[Array, ...]:
    """Return one filter per axis as factors of one term."""
    return tuple(np.ascontiguousarray(f[None]) for f in factors)
