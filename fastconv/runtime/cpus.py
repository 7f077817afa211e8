"""How many CPUs this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache


@cache
def available_cpus() -> int:
    """Return the CPUs that affinity and the cgroup's quota leave to this process."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *_quotas()]))


def _quotas() -> Iterable[int]:
    """Yield the whole CPUs that the control group allows, by either version's files."""
    root = "/sys/fs/cgroup"
    for folder in {root, root + _own_group()}:
        try:
            with open(f"{folder}/cpu.max") as file:
                quota, period = file.read().split()
            if quota != "max":
                yield max(1, int(quota) // int(period))
        except (OSError, ValueError):
            continue
    try:
        with open(f"{root}/cpu/cpu.cfs_quota_us") as file:
            first = int(file.read())
        with open(f"{root}/cpu/cpu.cfs_period_us") as file:
            if first > 0:
                yield max(1, first // int(file.read()))
    except (OSError, ValueError):
        return


def _own_group() -> str:
    try:
        with open("/proc/self/cgroup") as file:
            return next((line[3:].strip() for line in file if line.startswith("0::")), "")
    except OSError:
        return ""
