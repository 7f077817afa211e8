"""The tour's network: its gradients are its slopes, it learns, and it may be left out."""

import sys

import numpy as np
import pytest

from fastconv.cli.tour.steps import digits
from fastconv.cli.tour.terminal import digits_in_words


def loss(network, x, labels):
    """The mean cross-entropy of a batch."""
    answers, _ = network.forward(x)
    answers = answers.astype(float)
    top = answers.max(axis=1)
    total = np.log(np.exp(answers - top[:, None]).sum(axis=1)) + top
    return np.mean(total - answers[np.arange(len(x)), labels])


def test_a_step_goes_down_the_slope():
    rng = np.random.default_rng(0)
    network = digits.Network(rng)
    x = rng.random((64, 1, 8, 8), dtype=np.float32)
    labels = rng.integers(0, 10, 64)
    before = loss(network, x, labels)
    for _ in range(20):
        network.step(x, labels, 0.05)
    assert loss(network, x, labels) < before


def test_without_scikit_learn_the_section_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert digits.classify() is None
    assert "scikit-learn is not installed" in digits_in_words(None)


def test_the_network_reads_digits():
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra `tour`")
    found = digits.classify(2)
    assert found.tested == 450
    assert found.accuracy > 0.6  # chance is 0.1; the tour itself trains six times as long
    assert f"{found.right} of 450" in digits_in_words(found)
