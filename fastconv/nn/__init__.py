"""The words of convolutional networks on NumPy arrays, with torch.nn.functional's meaning."""

from __future__ import annotations

from .activation import leaky_relu
from .pooling import max_pool2d

__all__ = ["leaky_relu", "max_pool2d"]
