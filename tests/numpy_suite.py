"""A pytest plugin that puts fastconv in NumPy's place while NumPy's own tests run.

`pytest -p numpy_suite` replaces np.convolve and np.correlate wherever NumPy looks them up, and
prints at the end how many calls reached fastconv.
"""

import functools

import numpy as np
from numpy._core import numeric

import fastconv

CALLS = {"convolve": 0, "correlate": 0}
ORIGINALS = {name: getattr(np, name) for name in CALLS}


def counted(name):
    """fastconv's function, keeping count."""
    ours = getattr(fastconv, name)

    @functools.wraps(ours)
    def stand_in(*args, **kwargs):
        CALLS[name] += 1
        return ours(*args, **kwargs)

    return stand_in


def pytest_configure(config):
    """Replace them before any test module is imported."""
    for name in CALLS:
        stand_in = counted(name)
        for module in (np, numeric):
            setattr(module, name, stand_in)


def pytest_unconfigure(config):
    """Put NumPy's own back."""
    for name, original in ORIGINALS.items():
        for module in (np, numeric):
            setattr(module, name, original)


def pytest_terminal_summary(terminalreporter):
    """Say how many calls were ours, for the test that reads this."""
    for name, count in CALLS.items():
        terminalreporter.write_line(f"fastconv answered {count} calls of {name}")
