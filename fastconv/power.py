"""Convolution powers: the distribution of a sum of independent random variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .numpy_api import convolve

__all__ = ["convolve_power"]


def convolve_power(p: npt.ArrayLike, n: int, *, workers: int | None = None) -> npt.NDArray[Any]:
    """Convolve `p` with itself: ``p * p * ... * p``, n factors.

    If p is the probability mass function of a random variable with values 0, 1, 2, ..., the result
    is that of the sum of n independent copies.

    Parameters
    ----------
    p : array_like, shape (k,)
        The sequence.
    n : int
        How many factors; 0 gives the neutral element ``[1]``, 1 a copy of `p`.
    workers : int, optional
        The most threads to use; by default as many as there are CPUs.

    Returns
    -------
    ndarray, shape (n (k - 1) + 1,)
        A fresh array of p's dtype.

    Raises
    ------
    ValueError
        If p is empty or has not one dimension, or n is negative.
    TypeError
        If n is no integer, or p no array of numbers.

    Notes
    -----
    Repeated squaring: about log2(n) convolutions, twice that at most.

    Integers are exact, wrapping as NumPy's do. Where p is real and nowhere negative every entry has
    a small *relative* error, tiny tails included, and none is negative: to first order
    ``|error[i]| <= (n - 1) (K + 4) eps result[i]`` for entries that come from no number below the
    smallest normal one, with K the length of the shorter factor of the last product. Other floats
    have the normwise error of `convolve`.

    References
    ----------
    H. Wilson and U. Keich, Accurate pairwise convolution of non-negative vectors via FFT, 2016.

    Examples
    --------
    Two dice, and a coin thrown four times:

    >>> import fastconv
    >>> fastconv.convolve_power([0, 1, 1, 1, 1, 1, 1], 2)
    array([0, 0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1])
    >>> fastconv.convolve_power([0.5, 0.5], 4)
    array([0.0625, 0.25  , 0.375 , 0.25  , 0.0625])
    """
    factors = _factors(n)
    base = np.asarray(p)
    if base.ndim != 1:
        raise ValueError(f"p must have one dimension, got {base.ndim}")
    if base.size == 0:
        raise ValueError("p must not be empty, got an array of length 0")
    if base.dtype.kind not in "biufc":
        raise TypeError(f"p must hold numbers, got {base.dtype}")
    base = base.astype(base.dtype.newbyteorder("="))
    if factors == 0:
        return np.ones(1, base.dtype)
    accuracy = "componentwise" if base.dtype.kind == "f" and (base >= 0).all() else None
    result: npt.NDArray[Any] | None = None
    while True:
        if factors & 1:
            result = (
                base
                if result is None
                else convolve(result, base, accuracy=accuracy, workers=workers)
            )
        factors >>= 1
        if not factors:
            assert result is not None
            return result
        base = convolve(base, base, accuracy=accuracy, workers=workers)


def _factors(n: Any) -> int:
    if isinstance(n, (bool, np.bool_)) or not hasattr(n, "__index__"):
        raise TypeError(f"n must be an integer, got {n!r}")
    factors = int(n.__index__())
    if factors < 0:
        raise ValueError(f"n must not be negative, got {n!r}")
    return factors
