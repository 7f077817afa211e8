"""``python -m benchmarks.single_calls [PATTERN ...]``: processes that make one call, and no other.

Each workload becomes a script: import NumPy, load the operands, import a library, call it once. We
start with no kernel built, so that NumPy or SciPy answer while another process builds. Such a
process is to take at most 1.5 times as long as with the best of NumPy and SciPy, and 60 ms; with
``--repeat 10000``, meant for the group small, at most 1.3 times as long. Since no peer takes less
than importing NumPy does, the peers are asked only where that does not settle it.

It is processor time on one thread, for machines that others use; with ``--wall`` it is time.
Workloads whose call is no plain function of arrays and literals are left out, and counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .first_calls import bare_copy, seconds
from .workloads import WORKLOADS, Workload, select

__all__ = ["Case", "allowed", "case", "main", "script"]

_PEERS = ("numpy", "scipy")
_OURS = ("fastconv", "fastconv.signal", "fastconv.ndimage", "fastconv.nn")
_TIMES, _SECONDS, _TIMES_REPEATED = 1.5, 0.060, 1.3
# A case that takes too long is timed so often before it is called so.
_ROUNDS = 3


class Case(NamedTuple):
    """One workload as scripts: ours, and that of each peer by name."""

    name: str
    ours: str
    peers: dict[str, str]


def allowed(best: float, repeat: int) -> float:
    """Return how long our process may take where the best of the others takes `best` seconds."""
    return best * (_TIMES if repeat == 1 else _TIMES_REPEATED) + (_SECONDS if repeat == 1 else 0)


def case(workload: Workload, folder: str, repeat: int, small: bool = False) -> Case | None:
    """Return a workload's scripts, its operands stored in `folder`; None where there are none."""
    operands = workload.small() if small else workload.operands()
    call = workload.ours(*operands)
    ours = script(call, _OURS, folder, repeat)
    asked = getattr(call, "keywords", {}).get("accuracy")
    found = {}
    for peer in workload.peers:
        # Where small errors are asked for, a transform's answer is none.
        answers = asked is None or peer.accuracy != "normwise"
        if peer.name.startswith(_PEERS) and peer.installed and answers:
            module = peer.name.partition(" ")[0].rpartition(".")[0]
            program = script(peer.prepare(*operands), (module,), folder, repeat)
            if program is not None:
                found[peer.name] = program
    return Case(workload.name, ours, found) if ours is not None and found else None


def script(call: Any, modules: tuple[str, ...], folder: str, repeat: int) -> str | None:
    """Return the program that makes a bound call of a function of one of `modules`."""
    if not isinstance(call, partial):
        return None
    name = getattr(call.func, "__name__", "")
    module = next((m for m in modules if getattr(import_module(m), name, None) is call.func), None)
    values = [*call.args, *call.keywords.values()]
    words = [_word(value, folder) for value in values]
    if module is None or None in words:
        return None
    keywords = [
        "",
    ] * len(call.args) + [f"{key}=" for key in call.keywords]
    return "\n".join(
        [
            "import numpy as np",
            *(f"v{i} = {word}" for i, word in enumerate(words)),
            f"import {module}",
            f"for _ in range({repeat}):",
            f"    {module}.{name}({', '.join(f'{key}v{i}' for i, key in enumerate(keywords))})",
        ]
    )


def _word(value: Any, folder: str) -> str | None:
    """Return the source of a value, or None where it has none."""
    if isinstance(value, np.ndarray):
        path = os.path.join(folder, f"{id(value)}.npy")
        np.save(path, value)
        return f"np.load({path!r})"
    literal = isinstance(value, (bool, int, float, str, tuple, type(None)))
    return repr(value) if literal else None


class _Bare:
    """A copy of the package without kernels, each of whose runs begins with an empty cache."""

    def __init__(self, folder: str, wall: bool) -> None:
        self._search, self._wall = bare_copy(folder), wall
        self._cache = os.path.join(folder, "cache")

    def __call__(self, program: str) -> float:
        """Return the seconds of one run."""
        shutil.rmtree(self._cache, ignore_errors=True)
        found = seconds(
            program,
            not self._wall,
            PYTHONPATH=self._search,
            PYTHONDONTWRITEBYTECODE="",
            FASTCONV_CACHE_DIR=self._cache,
            FASTCONV_WORKERS="1",
            OPENBLAS_NUM_THREADS="1",
        )
        _end_builds(self._cache)
        return found


def _end_builds(folder: str) -> None:
    """End the builds that were left behind; they are known by the cache they write to."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"FASTCONV_CACHE_DIR={folder}\0".encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), 9)
        except OSError:
            continue


def _sweep(names: list[str], repeat: int, wall: bool) -> Iterator[tuple[str, float, float, str]]:
    """Yield (name, our seconds, what is allowed, the best peer or why there is no case)."""
    with tempfile.TemporaryDirectory(prefix="fastconv-single-") as folder:
        run = _Bare(folder, wall)
        least = min(run("import numpy") for _ in range(5))
        for name in names:
            place = os.path.join(folder, "operands")
            shutil.rmtree(place, ignore_errors=True)
            os.mkdir(place)
            made = case(WORKLOADS[name], place, repeat)
            if made is None:
                yield name, 0.0, 0.0, ""
                continue
            run(made.ours)  # Warms the disk's cache and Python's.
            ours = run(made.ours)
            limit, best = allowed(least, repeat), "import numpy"
            times = dict.fromkeys(made.peers, np.inf)
            for _ in range(_ROUNDS):
                if ours <= limit:
                    break
                times = {peer: min(t, run(made.peers[peer])) for peer, t in times.items()}
                best = min(times, key=lambda peer: times[peer])
                limit = allowed(times[best], repeat)
                if ours > limit:
                    ours = min(ours, run(made.ours))
            yield name, ours, limit, best


def main(argv: list[str] | None = None) -> int:
    """Print what takes too long, and return whether anything does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.single_calls", description=__doc__)
    parser.add_argument("patterns", nargs="*", help="as for ``python -m fastconv bench``")
    parser.add_argument("--repeat", type=int, default=1, help="calls that a process makes")
    parser.add_argument("--wall", action="store_true", help="time, not processor time")
    parser.add_argument("--all", action="store_true", help="print what takes little time, too")
    args = parser.parse_args(argv)
    names = select(args.patterns, {name: w.group for name, w in WORKLOADS.items()})
    count = left_out = slow = 0
    for name, ours, limit, best in _sweep(names, args.repeat, args.wall):
        if not best:
            left_out += 1
            continue
        count, slow = count + 1, slow + (ours > limit)
        if ours > limit or args.all:
            verdict = "too long" if ours > limit else "well"
            print(f"{verdict} {name}: {ours * 1e3:.0f} ms, allowed {limit * 1e3:.0f} ({best})",
                  flush=True)  # fmt: skip
    print(f"{count} workloads, {slow} too long, {left_out} left out")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
