"""The smoke suite: every quick workload once around, by pytest-benchmark.

    python -m pytest benchmarks --benchmark-autosave
    python -m pytest benchmarks --benchmark-compare

time all contenders and compare our figures with those of an earlier run. The first run builds the
kernels that are missing.
"""

from __future__ import annotations

import os

os.environ.setdefault("FASTCONV_POLICY", "compile")

from functools import lru_cache
from typing import Any

import pytest

from . import peers
from .answers import disagreement
from .workloads import WORKLOADS, Workload

# Quick for us can be slow for others; their figures come from ``python -m fastconv bench``.
MOST_MULTIPLY_ADDS = 10**8


def cases() -> list[object]:
    """Return every quick workload with every contender that can do it."""
    return [
        pytest.param(workload, name, id=f"{workload.name}-{name}")
        for workload in WORKLOADS.values()
        if workload.quick and workload.multiply_adds <= MOST_MULTIPLY_ADDS
        for name in workload.contenders(*workload.small())
    ]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Let every library use one thread, as the command line does."""
    peers.limit_threads(1, ("cv2", "torch"))


@lru_cache(maxsize=1)
def task(name: str) -> tuple[tuple[Any, ...], Any]:
    """Return a workload's operands and the right answer; its contenders follow one another."""
    operands = WORKLOADS[name].operands()
    return operands, WORKLOADS[name].reference(*operands)


@pytest.mark.parametrize(("workload", "contender"), cases())
def test_speed(workload: Workload, contender: str, benchmark: Any) -> None:
    operands, expected = task(workload.name)
    call = workload.contenders(*operands)[contender]()
    benchmark.group = workload.name
    assert not disagreement(benchmark(call), expected, workload.tolerance)
