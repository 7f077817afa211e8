"""The words of convolutional networks on NumPy arrays, with torch.nn.functional's meaning."""

from __future__ import annotations

from .activation import leaky_relu, relu
from .adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from .averaging import avg_pool1d, avg_pool2d, avg_pool3d
from .gradients import (
    conv1d_input,
    conv1d_weight,
    conv2d_input,
    conv2d_weight,
    conv3d_input,
    conv3d_weight,
)
from .layers import conv1d, conv2d, conv3d, explain_conv2d, pack
from .pooling import max_pool1d, max_pool2d, max_pool3d
from .sliding import fold, unfold
from .transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from .unpooling import (
    avg_pool2d_backward,
    max_pool2d_backward,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool3d",
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
    "max_pool1d",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "pack",
    "relu",
    "unfold",
]
