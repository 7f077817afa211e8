"""Step 6: a small convolutional network, trained on handwritten digits with this package alone.

Every layer and every gradient is a function of `fastconv.nn` or a line of NumPy; nothing is stored
or downloaded: scikit-learn brings 1797 digits of 8 x 8 pixels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastconv import nn
from fastconv.cli.tour.checks import Check, agree, true

__all__ = ["Digits", "Network", "classify"]

TRAINED = 1347  # three quarters; the others are never trained on
EPOCHS, BATCH, RATE, MOMENTUM = 10, 64, 0.08, 0.9
_LEAST_ACCURACY = 0.95

Maps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Digits:
    """How well the network reads digits that it has not seen."""

    accuracy: float
    right: int
    tested: int
    parameters: int
    seconds: float
    checks: tuple[Check, ...]


class Network:
    """Two convolution layers with pooling, and a third that sees all of the map: LeNet, smaller.

    1 x 8 x 8 -> 8 maps, rectified, pooled to 4 x 4 -> 16 maps, rectified, pooled to 2 x 2 ->
    10 answers.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        shapes = ((8, 1, 3, 3), (16, 8, 3, 3), (10, 16, 2, 2))
        # Variance 2 / inputs keeps the size of rectified sums (He et al. 2015).
        self.weights = [
            (rng.standard_normal(s) * np.sqrt(2 / np.prod(s[1:]))).astype("f") for s in shapes
        ]
        self.biases = [np.zeros(len(w), "f") for w in self.weights]
        self._speeds = [np.zeros_like(p) for p in (*self.weights, *self.biases)]

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(p.size for p in (*self.weights, *self.biases))

    def forward(self, x: Maps) -> tuple[Maps, list[Maps]]:
        """Return the ten answers per image, and every layer's input and rectified map."""
        kept, last = [], len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            kept.append(x)
            if i == last:
                return nn.conv2d(x, w, b).reshape(len(x), 10), kept
            maps = nn.conv2d(x, w, b, padding=1, activation="relu")
            kept.append(maps)
            x = nn.max_pool2d(maps, 2)
        raise AssertionError("a network must have layers")

    def step(self, x: Maps, labels: NDArray[np.int64], rate: float) -> None:
        """Take one step down the slope of the cross-entropy of a batch."""
        answers, kept = self.forward(x)
        chances = np.exp(answers - answers.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[np.arange(len(x)), labels] -= 1
        slope = (chances / len(x)).reshape(len(x), 10, 1, 1)
        by_weight: list[Maps] = []
        by_bias: list[Maps] = []
        for i in reversed(range(len(self.weights))):
            w, last = self.weights[i], i == len(self.weights) - 1
            if not last:
                slope = _unpool(slope, kept[2 * i + 1])
            padding = 0 if last else 1
            source = kept[2 * i]
            by_weight.insert(0, nn.conv2d_weight(source, w.shape, slope, padding=padding))
            by_bias.insert(0, slope.sum(axis=(0, 2, 3)))
            if i:
                slope = nn.conv2d_input(source.shape, w, slope, padding=padding)
        gradients = (*by_weight, *by_bias)
        for p, v, g in zip((*self.weights, *self.biases), self._speeds, gradients, strict=True):
            v *= MOMENTUM
            v -= rate * g
            p += v


def _unpool(slope: Maps, maps: Maps) -> Maps:
    """Give each slope to the largest of its 2 x 2 rectified answers, if that is above zero."""
    n, c, h, w = maps.shape
    blocks = maps.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(n, c, h // 2, w // 2, 4)
    spread = np.zeros_like(blocks)
    largest = blocks.argmax(axis=-1)[..., None]
    np.put_along_axis(spread, largest, (slope * (blocks.max(axis=-1) > 0))[..., None], axis=-1)
    spread = spread.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return spread.reshape(n, c, h, w)


def classify(epochs: int = EPOCHS) -> Digits | None:
    """Train a network on three quarters of scikit-learn's digits, and try it on the rest.

    Returns
    -------
    Digits or None
        None where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    start = time.perf_counter()
    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)
    labels = data.target.astype(np.int64)
    rng = np.random.default_rng(0)
    network = Network(rng)
    # Neighbours in the list were written by the same hand: both parts are drawn from all of it.
    drawn = rng.permutation(len(labels))
    trained, others = drawn[:TRAINED], drawn[TRAINED:]
    for epoch in range(epochs):
        order = rng.permutation(trained)
        for begin in range(0, TRAINED, BATCH):
            batch = order[begin : begin + BATCH]
            network.step(images[batch], labels[batch], RATE * (1 - epoch / epochs))
    answers, kept = network.forward(images[others])
    right = int(np.sum(answers.argmax(axis=1) == labels[others]))
    tested = len(others)
    checks = (
        _first_layer(network, images[others], kept[1]),
        true(
            f"the network must read {_LEAST_ACCURACY:.0%} of the digits it has not seen",
            right >= _LEAST_ACCURACY * tested or epochs < EPOCHS,
            f"{right} of {tested}",
        ),
    )
    seconds = time.perf_counter() - start
    return Digits(right / tested, right, tested, network.parameters, seconds, checks)


def _first_layer(network: Network, x: Maps, maps: Maps) -> Check:
    """Compare the first layer with windows and products by NumPy, in double precision."""
    around = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(2, 3))
    w, b = network.weights[0], network.biases[0]
    sums = np.einsum("ncijuv,fcuv->nfij", windows, w) + b.reshape(-1, 1, 1)
    size = np.einsum("ncijuv,fcuv->nfij", windows, abs(w)) + abs(b).reshape(-1, 1, 1)
    bound = 14 * float(np.finfo(np.float32).eps) * float(size.max())
    return agree("the first layer, against sums by numpy.einsum", maps, np.maximum(sums, 0), bound)
