"""The words of convolutional networks on NumPy arrays, with torch.nn.functional's meaning."""

from __future__ import annotations

from .activation import leaky_relu
from .gradients import (
    conv1d_input,
    conv1d_weight,
    conv2d_input,
    conv2d_weight,
    conv3d_input,
    conv3d_weight,
)
from .layers import conv1d, conv2d, conv3d, explain_conv2d, pack
from .pooling import max_pool2d
from .sliding import fold, unfold
from .transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d

__all__ = [
    "conv1d",
    "conv1d_input",
    "conv1d_weight",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "conv3d",
    "conv3d_input",
    "conv3d_weight",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "explain_conv2d",
    "fold",
    "leaky_relu",
    "max_pool2d",
    "pack",
    "unfold",
]
