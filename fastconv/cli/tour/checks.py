"""Assertions against NumPy and SciPy, each with the difference found and the difference allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Check", "CheckFailed", "agree", "equal", "round_off", "true"]


class CheckFailed(AssertionError):
    """A number of the tour is wrong; the message is one line."""


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion that held."""

    what: str
    error: float
    """Largest absolute difference."""
    bound: float
    """Largest difference that round-off explains; 0 where equality is exact."""


def round_off(x: NDArray[Any], w: NDArray[Any]) -> float:
    """Bound the round-off of a convolution of `x` with `w`, by whichever algorithm.

    Notes
    -----
    ``16 eps log2(n) |x|_2 |w|_2``: the normwise bound of FFT convolution with a constant of 16.
    The direct sum, whose error is at most ``taps eps sum |x||w|``, stays far below it in practice.

    References
    ----------
    N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002,
    theorem 24.2.
    """
    eps = float(np.finfo(np.float64).eps)
    norms = float(np.linalg.norm(x)) * float(np.linalg.norm(w))
    return 16 * eps * float(np.log2(x.size + w.size)) * norms


def agree(what: str, got: NDArray[Any], expected: NDArray[Any], bound: float) -> Check:
    """Require equal shapes and values no further apart than `bound`.

    Raises
    ------
    CheckFailed
        If they differ in shape, or by more, or one of them is not finite.
    """
    if got.shape != expected.shape:
        raise CheckFailed(f"{what} must have shape {expected.shape}, got {got.shape}")
    error = float(np.max(np.abs(got - expected)))
    if not error <= bound:
        raise CheckFailed(f"{what} must agree to {bound:.3g}, got a difference of {error:.3g}")
    return Check(what, error, bound)


def equal(what: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """Require the same shape and exactly the same values."""
    return agree(what, got, expected, 0.0)


def true(what: str, condition: bool, got: object) -> Check:
    """Require a condition.

    Raises
    ------
    CheckFailed
        If it is false.
    """
    if not condition:
        raise CheckFailed(f"{what}, got {got}")
    return Check(what, 0.0, 0.0)
