"""scipy.signal's convolutions and FIR filters, to the letter, with keywords of our own."""

from __future__ import annotations

from .convolution import choose_conv_method, convolve, correlate, correlation_lags
from .filtering import lfilter, sepfir2d
from .planes import convolve2d, correlate2d
from .resampling import decimate, resample_poly, upfirdn
from .savgol import savgol_coeffs, savgol_filter
from .transforms import fftconvolve, oaconvolve

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "decimate",
    "fftconvolve",
    "lfilter",
    "oaconvolve",
    "resample_poly",
    "savgol_coeffs",
    "savgol_filter",
    "sepfir2d",
    "upfirdn",
]
