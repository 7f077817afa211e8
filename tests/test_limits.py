"""The machine's limits: the loops that measure them do their work, and the roofline is one."""

import numpy as np
import pytest

from fastconv.planner import limits
from fastconv.runtime import load
from fastconv.runtime.target import host_target

ROOF = limits.Limits(
    {"float64": 100e9, "float32": 200e9},
    (limits.Level("L1", 1e4, 400e9), limits.Level("DRAM", float("inf"), 40e9)),
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_peak_loop_computes_its_chains(dtype):
    lanes = host_target().lanes(np.dtype(dtype).itemsize)
    out = np.full(lanes + 1, 0.5, dtype)
    load.kernel("peak", dtype)(out, 2)
    assert np.array_equal(out, [12 * (1 - 2.0**-5)] * lanes + [0.5])


def test_the_copy_loop_copies_whole_steps_and_no_more():
    step = 8 * host_target().lanes(8)
    x, out = np.arange(3.0 * step), np.full(3 * step, -1.0)
    load.kernel("copy", "float64")(x, out, 2 * step, 3)
    assert np.array_equal(out, np.r_[x[: 2 * step], [-1.0] * step])


def test_work_is_bound_by_the_slower_of_arithmetic_and_memory():
    assert ROOF.bound("float64", 1e9, 8e3) == (0.01, "FMA")
    assert ROOF.bound("complex64", 1e9, 8e3) == (0.005, "FMA")
    assert ROOF.bound("float32", 1e3, 8e3) == (2e-8, "L1")
    assert ROOF.bound("float32", 1e3, 8e4) == (2e-6, "DRAM")
    assert ROOF.bound("int64", 1e9, 8e4) == (2e-6, "DRAM")


def test_every_level_is_measured(monkeypatch):
    monkeypatch.setattr(limits, "_MOST_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "_ROUNDS", 1)
    told = []
    found = limits.measure_limits(lambda share, what: told.append(share))
    assert set(found.flops) == {"float64", "float32"}
    assert [level.name for level in found.levels][-1] == "DRAM"
    assert all(f > 0 for f in found.flops.values())
    assert all(level.bytes_per_second > 0 for level in found.levels)
    assert told == sorted(told)
    assert told[-1] == 1
    assert found.as_json()["levels"][-1]["capacity"] is None
