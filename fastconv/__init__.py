"""fastconv: NumPy's and SciPy's convolutions, compiled.

Importing it compiles nothing and does not import Numba.
"""

from __future__ import annotations

from . import nn, signal
from .numpy_api import choose_method, convolve, correlate, explain
from .signal import convolve2d, correlate2d

__all__ = [
    "choose_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "explain",
    "nn",
    "signal",
]
__version__ = "0.1.0"
