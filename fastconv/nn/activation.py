"""Activations: what a layer does to each of its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..paths import activations
from . import taped


def relu(input: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return input where it is positive and 0 elsewhere.

    Parameters
    ----------
    input : array_like
        Real numbers, of any shape.

    Returns
    -------
    ndarray
        Of the shape and dtype of `input`.

    Raises
    ------
    TypeError
        If `input` is not real.

    Notes
    -----
    ``max(0, input)``; NaN stays NaN.

    References
    ----------
    ``torch.nn.functional.relu``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.relu([-2.0, 3.0])
    array([0., 3.])
    """
    found = _taped("relu", input, activations.RELU, 0.0)
    if found is not None:
        return found
    array = np.asarray(input)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"input must hold real numbers, got {array.dtype}")
    return np.asarray(np.maximum(array, array.dtype.type(0)))


def leaky_relu(x: npt.ArrayLike, negative_slope: float = 0.01) -> npt.NDArray[Any]:
    """Return x where it is positive and ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    x : array_like
        Real numbers, of any shape.
    negative_slope : float
        The slope for negative x.

    Returns
    -------
    ndarray
        Of x's shape; floats keep their dtype, integers and bool become float64.

    Raises
    ------
    TypeError
        If x is not real.

    Notes
    -----
    ``max(0, x) + negative_slope * min(0, x)``; NaN stays NaN. One rounding.

    References
    ----------
    ``torch.nn.functional.leaky_relu``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.nn.leaky_relu([-2.0, 3.0], 0.5)
    array([-1.,  3.])
    """
    if type(x) is np.ndarray and x.dtype.kind == "f" and type(negative_slope) is float:
        found = _taped("leaky_relu", x, activations.LEAKY_RELU, negative_slope)
        if found is not None:
            return found
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x must hold real numbers, got {array.dtype}")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    # Strictly positive as in torch: -0.0 takes the slope and keeps its sign.
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(array > 0, array, array * array.dtype.type(negative_slope))


def _taped(name: str, x: Any, which: int, slope: float) -> npt.NDArray[Any] | None:
    """Return an activated plain array, by the compiled loop; None where that does not answer."""
    if type(x) is not np.ndarray:
        return None
    key = name, x.dtype, x.shape, slope
    found = taped.play(key, (x,))
    if found is None:
        found = taped.compute(
            key, (x,), x.shape, activations.seconds(x), 1,
            lambda result: activations.activate(x, result, which, slope),
        )  # fmt: skip
    return found  # type: ignore[no-any-return]
