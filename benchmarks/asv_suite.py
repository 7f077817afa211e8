"""asv's classes: one per group of the registry, and one for what needs a fresh process.

A task is a workload and who does it: our plain call of each; of those with a row in the README also
our call by each path's name (n/a where the path cannot), and NumPy's and SciPy's. Other libraries
do not change with our commits: ``python -m fastconv bench`` compares with them.

    python -m asv run --python=same --set-commit-hash $(git rev-parse HEAD)
    python -m asv run main^! && python -m asv run HEAD^! && python -m asv compare main HEAD
    python -m asv publish
"""

from __future__ import annotations

import os

# Before NumPy is loaded: one thread, and kernels compiled rather than stood in for.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTCONV_WORKERS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("FASTCONV_POLICY", "compile")

from fastconv.paths import PATHS  # noqa: E402

# Names only: asv reads a module's attributes, and `processes` is one of its own.
from .families import OURS, by_path  # noqa: E402
from .processes import MEASURES  # noqa: E402
from .workloads import GROUPS, WORKLOADS, Workload  # noqa: E402


class _Group:
    """The tasks of one group; asv skips names with an underscore."""

    timeout = 300
    param_names = ("task",)
    params: tuple[list[str]]

    def __init_subclass__(cls, group: str) -> None:
        members = [w for w in WORKLOADS.values() if w.group == group]
        cls.params = ([f"{w.name} by {name}" for w in members for name in _contenders(w)],)

    def setup(self, task: str) -> None:
        """Bind the contender to the workload's operands and call it once."""
        name, _, contender = task.partition(" by ")
        bound = WORKLOADS[name].contenders(*WORKLOADS[name].operands())
        if contender not in bound:
            raise NotImplementedError
        self.call = bound[contender]()
        self.call()

    def time_call(self, task: str) -> None:
        """Time one call."""
        self.call()


def _contenders(workload: Workload) -> list[str]:
    if not workload.headline:
        return [OURS]
    paths = [by_path(name) for name in PATHS] if workload.has_methods else []
    others = [peer.name for peer in workload.peers if peer.module in ("numpy", "scipy")]
    return [OURS, *paths, *others]


# One class a group, named after it: asv finds a module's classes.
for _group, (_title, _) in GROUPS.items():
    _name = "Speed_" + _group.replace("-", "_")
    globals()[_name] = type(_name, (_Group,), {"__doc__": _title}, group=_group)


class Process:
    """Imports, first calls, builds and sizes, each from a fresh process."""

    timeout = 600
    param_names = ("measure",)
    params = (list(MEASURES),)
    unit = "s or bytes"

    def track_figure(self, measure: str) -> float:
        """Return the least of a few figures."""
        row = MEASURES[measure]
        return min(row.ours() for _ in range(row.rounds))


class FirstCall:
    """Peak memory of a process that makes one call."""

    def peakmem_convolve(self) -> None:
        """Filter 100,000 samples."""
        name = "1d/f64/n=1e5/k=31"
        row = WORKLOADS[name]
        row.ours(*row.operands())()
