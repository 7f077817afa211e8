"""scipy.ndimage's linear, box, Gaussian and extreme filters, to the letter."""

from __future__ import annotations

from .derivatives import generic_gradient_magnitude, generic_laplace, laplace, prewitt, sobel
from .extrema import maximum_filter, maximum_filter1d, minimum_filter, minimum_filter1d
from .gaussian import (
    gaussian_filter,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    gaussian_laplace,
)
from .linear import convolve, convolve1d, correlate, correlate1d
from .uniform import uniform_filter, uniform_filter1d

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
