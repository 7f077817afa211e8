"""One run of the benchmarks: check every answer, race the contenders, keep all figures as JSON."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import fastconv
from fastconv.planner.limits import Limits, measure_limits
from fastconv.planner.rates import cpu_name
from fastconv.runtime.cpus import available_cpus
from fastconv.runtime.target import host_target

from .answers import disagreement
from .families import OURS, Workload
from .peers import Call, limit_threads
from .processes import MEASURES, Measure
from .timing import NOISY, Timing, race
from .workloads import WORKLOADS, select

__all__ = ["SCHEMA", "environment", "limits", "measure", "names", "record", "trustworthy"]

# Raised when the meaning of a row's fields changes.
SCHEMA = 2

# Fields of a row, all plain JSON:
#   name, group, unit, headline, error
#   path, accuracy      of the plain call, as the planner's table has them
#   contenders          by name: {best, spread, rounds, accuracy, error}; OURS is the plain call
#   skipped             by name: why a contender was not asked
#   peer, ratio         the quickest right peer, and how many times as long it took
#   regret, best_path   how many times as long the plain call took as our quickest path; which
#   dtype, flops, bytes_moved, tolerance
#   limit, bound        the least seconds on this machine, and what sets them: FMA or a level
#   share               limit / the plain call's seconds; transforms do fewer flops: memory alone
Row = dict[str, Any]

_PACKAGES = (
    "numpy", "scipy", "numba", "opencv-python-headless", "opencv-python", "torch", "pyfftw",
    "ducc0", "mkl_fft", "bottleneck", "astropy",
)  # fmt: skip
# One of our own paths predicted to take this many times as long as the best is not asked, where
# that means seconds.
_HOPELESS, _PATIENCE_SECONDS = 20.0, 0.5
# The groups whose rows figures need besides the README's own.
_DRAWN = ("grid",)
# This share of disturbed rows makes a run untrustworthy.
_DISTURBED = 0.2


def names(patterns: Sequence[str] = (), quick: bool = False, headline: bool = False) -> list[str]:
    """Return the workloads and measures that match, in the registry's order.

    Parameters
    ----------
    patterns : sequence of str
        As in `workloads.select`.
    quick : bool
        Only those marked so; a name that a pattern gives in full is kept.
    headline : bool
        Only those that the README's table and figures show.
    """
    table: dict[str, Workload | Measure] = {**WORKLOADS, **MEASURES}
    found = select(list(patterns), {name: row.group for name, row in table.items()})
    if headline:
        return [n for n in found if table[n].headline or table[n].group in _DRAWN]
    return [name for name in found if not quick or table[name].quick or name in patterns]


def record(
    wanted: Sequence[str],
    seconds: float,
    workers: int = 1,
    tell: Callable[[float, str], None] = lambda share, name: None,
    roof: Limits | None = None,
    only: Sequence[str] = (),
) -> Iterator[Row]:
    """Measure the named workloads, one row each.

    Parameters
    ----------
    wanted : sequence of str
        What `names` returns.
    seconds : float
        About how long to race one workload.
    workers : int
        Threads for the peers that have pools of their own; ours and BLAS read the environment.
    tell : callable
        Called with the share of the work that is done and each name, before it is measured.
    roof : Limits or None
        What `limits` returns; without it rows have no share of the limit.
    only : sequence of str
        The peers to ask, by name or library; all that are installed if empty.
    """
    limit_threads(workers, {p.module for n in wanted if n in WORKLOADS for p in WORKLOADS[n].peers})
    weights = [_weight(name, seconds) for name in wanted]
    done = 0.0
    for name, weight in zip(wanted, weights, strict=True):
        tell(done / sum(weights), name)
        if name in WORKLOADS:
            yield measure(WORKLOADS[name], seconds, roof, only)
        else:
            yield _measure_process(MEASURES[name])
        done += weight


def _weight(name: str, seconds: float) -> float:
    """Return about how many seconds a row takes: the race, and two calls of each contender."""
    if name in MEASURES:
        return 0.5 * MEASURES[name].rounds * (1 + len(MEASURES[name].peers))
    return seconds + WORKLOADS[name].multiply_adds * 5e-9


def limits() -> Limits | None:
    """Return what one thread of this machine can do at most; None where no kernel can be built."""
    try:
        return measure_limits()
    except RuntimeError:
        return None


def measure(
    workload: Workload, seconds: float, roof: Limits | None = None, only: Sequence[str] = ()
) -> Row:
    """Check and race one workload's contenders.

    Returns
    -------
    dict
        A row. A contender that fails or whose answer is wrong has an error and no time.
    """
    operands = workload.operands()
    table = workload.table(*operands)
    rows = {row.name: row for row in table.rows} if table is not None else {}
    chosen = rows[table.chosen] if table is not None else None
    bound = workload.contenders(*operands)
    if only:
        unwanted = {p.name for p in workload.peers if not {p.name, p.module} & set(only)}
        bound = {name: bind for name, bind in bound.items() if name not in unwanted}
    skipped = {
        name: f"predicted {rows[path].seconds:.1f} s"
        for name, path in _paths(bound)
        if chosen is not None and _hopeless(rows[path].seconds, chosen.seconds)
    }
    accuracies = {peer.name: peer.accuracy for peer in workload.peers}
    accuracies |= {name: rows[path].guarantee for name, path in _paths(bound)}
    accuracies[OURS] = chosen.guarantee if chosen is not None else ""
    expected = workload.reference(*operands)
    calls: dict[str, Call] = {}
    errors: dict[str, str] = {}
    for name in (name for name in bound if name not in skipped):
        try:
            call = bound[name]()
            errors[name] = disagreement(call(), expected, workload.tolerance)
            calls[name] = call
        except Exception as error:  # A rival's failure is a finding, not the end of the run.
            errors[name] = f"{type(error).__name__}: {error}"
    del expected
    timings = race({n: c for n, c in calls.items() if not errors[n]}, seconds)
    contenders = {
        name: _figures(timings.get(name), accuracies[name], error) for name, error in errors.items()
    }
    row = _finish(
        workload,
        {
            "unit": "s",
            "path": chosen.name if chosen is not None else "",
            "accuracy": accuracies[OURS],
            "contenders": contenders,
            "skipped": skipped,
            "dtype": np.result_type(*operands).name,
            "flops": workload.flops,
            "bytes_moved": workload.bytes_moved,
            "tolerance": workload.tolerance,
        },
    )
    return row | _share(row, roof)


def _share(row: Row, roof: Limits | None) -> Row:
    """Return how near to the machine's limit our plain call came."""
    ours = row["contenders"][OURS].get("best")
    if roof is None or ours is None:
        return {"limit": None, "bound": None, "share": None}
    flops = row["flops"] if row["accuracy"] in ("componentwise", "exact") else 0
    limit, bound = roof.bound(row["dtype"], flops, row["bytes_moved"])
    return {"limit": limit, "bound": bound, "share": limit / ours}


def _paths(bound: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (contender, path) of our calls by method."""
    mark = f"{OURS}["
    return [(name, name[len(mark) : -1]) for name in bound if name.startswith(mark)]


def _hopeless(seconds: float, best: float) -> bool:
    return seconds > _PATIENCE_SECONDS and seconds > _HOPELESS * best


def _figures(timing: Timing | None, accuracy: str, error: str) -> Row:
    row: Row = {"accuracy": accuracy, "error": error}
    if timing is not None:
        row |= {"best": timing.best, "spread": timing.spread, "rounds": timing.rounds}
    return row


def _measure_process(measure: Measure) -> Row:
    """Ask fresh processes, ours and the peers' in turn."""
    asked = {OURS: measure.ours, **measure.peers}
    figures: dict[str, list[float]] = {name: [] for name in asked}
    errors = dict.fromkeys(asked, "")
    for _ in range(measure.rounds):
        for name, ask in asked.items():
            if errors[name]:
                continue
            try:
                figures[name].append(ask())
            except Exception as error:  # As above.
                errors[name] = f"{type(error).__name__}: {error}"
    contenders = {}
    for name, values in figures.items():
        timing = None
        if values and not errors[name]:
            best, second = sorted([*values, values[0]] if len(values) == 1 else values)[:2]
            timing = Timing(best, second, len(values))
        contenders[name] = _figures(timing, "", errors[name])
    return _finish(measure, {"unit": measure.unit, "contenders": contenders, "share": None})


def _finish(what: Workload | Measure, row: Row) -> Row:
    """Add what follows from the contenders' figures."""
    times = {n: c["best"] for n, c in row["contenders"].items() if "best" in c}
    ours = times.get(OURS)
    paths = {path: times[n] for n, path in _paths(times)}
    others = {n: t for n, t in times.items() if n != OURS and not n.startswith(f"{OURS}[")}
    peer = min(others, key=others.__getitem__, default=None)
    best_path = min(paths, key=paths.__getitem__, default=None)
    return {
        "name": what.name,
        "group": what.group,
        "headline": what.headline,
        "error": row["contenders"][OURS]["error"],
        "peer": peer,
        "ratio": others[peer] / ours if peer and ours else None,
        "best_path": best_path,
        "regret": ours / paths[best_path] if best_path and ours else None,
        **row,
    }


def trustworthy(rows: Sequence[Row]) -> bool:
    """Return whether few enough rows were disturbed by other work on the machine."""
    timed = [row for row in rows if row["group"] != "process" and not row["error"]]
    return sum(map(disturbed, timed)) <= _DISTURBED * len(timed)


def disturbed(row: Row) -> bool:
    """Return whether the two best turns, ours or the best peer's, are too far apart."""
    contenders = row["contenders"]
    compared = [contenders[name] for name in (OURS, row["peer"]) if name in contenders]
    return any(c.get("spread", 0.0) > NOISY for c in compared)


def environment(
    workers: int, quick: bool, command: str, roof: Limits | None = None
) -> dict[str, Any]:
    """Return everything that figures depend on: the machine, versions and settings."""
    versions = {"fastconv": fastconv.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "schema": SCHEMA,
        "machine": {
            "cpu": cpu_name(),
            "cpus": available_cpus(),
            "target": host_target().name,
            "system": f"{platform.system()} {platform.machine()}",
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "limits": roof and roof.as_json(),
        },
        "versions": versions,
        "settings": {
            "workers": workers,
            "quick": quick,
            "command": command,
            "date": datetime.date.today().isoformat(),
        },
    }
