"""``python -m benchmarks.first_calls``: whole processes, from start to end, as a Markdown table.

What a script feels: interpreter, imports, first calls, and exit. NumPy or SciPy beside us with our
kernels ready, and with nothing built, where they answer until a build has ended; a build that is
left behind goes on in a process of its own and is waited for before the next one is timed. With
``--cpu`` it is processor time, for machines that others use: waiting for a build does not count.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import fastconv

__all__ = ["WORK", "bare_copy", "main", "seconds"]

_PACKAGE = Path(fastconv.__file__).resolve().parent
_ROOT = str(_PACKAGE.parent)
_ROUNDS = 5


class Work(NamedTuple):
    """One script: what it makes, and the call, by each contender's module."""

    name: str
    setup: str
    call: str
    peers: dict[str, str]
    repeat: int = 1


_1D = {"numpy": "np.convolve"}
_LONG = _1D | {"scipy.signal": "scipy.signal.oaconvolve"}
WORK = (
    Work("import only", "", "", {"numpy": ""}),
    Work("one call, 1000 * 5", "a, v = np.ones(1000), np.ones(5)", "(a, v)", _1D),
    Work("10,000 calls, 10 * 3", "a, v = np.ones(10), np.ones(3)", "(a, v)", _1D, 10_000),
    Work("10,000 calls, 1000 * 5", "a, v = np.ones(1000), np.ones(5)", "(a, v)", _1D, 10_000),
    Work("one call, 1e6 * 1000", "a, v = np.ones(10**6), np.ones(1000)", "(a, v)", _LONG),
    Work(
        "one image, 1024 x 1024 * 7 x 7",
        "a, v = np.ones((1024, 1024)), np.ones((7, 7))",
        "(a, v)",
        {"scipy.signal": "scipy.signal.convolve2d"},
    ),
)


def _program(work: Work, module: str, function: str) -> str:
    lines = ["import numpy as np", f"import {module}", work.setup]
    if work.call:
        lines += [f"f = {function}", f"for _ in range({work.repeat}): f{work.call}"]
    return "\n".join(lines)


def _ours(work: Work) -> str:
    function = "convolve2d" if "2d" in str(work.peers) else "convolve"
    return _program(work, "fastconv", f"fastconv.{function}")


def seconds(program: str, cpu: bool, **environment: str) -> float:
    """Return the time, or the processor time, of a process that runs `program`."""
    # Installed packages have byte code.
    left_out = ("FASTCONV_POLICY", "PYTHONDONTWRITEBYTECODE")
    inherited = {k: v for k, v in os.environ.items() if k not in left_out}
    search = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", program],
        env=inherited | {"PYTHONPATH": search} | environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"program must end well, got status {process.returncode}: {program}")
    wall = time.perf_counter() - start
    return usage.ru_utime + usage.ru_stime if cpu else wall


def bare_copy(folder: str) -> str:
    """Copy the package without kernels into a folder, and return where Python finds it."""
    search = os.path.join(folder, "bare")
    ignored = shutil.ignore_patterns("ready", "__pycache__")
    shutil.copytree(_PACKAGE, os.path.join(search, _PACKAGE.name), ignore=ignored)
    # Python compiles the modules and keeps them.
    seconds("import fastconv", False, PYTHONPATH=search, PYTHONDONTWRITEBYTECODE="")
    return search


def _seconds(program: str, **environment: str) -> float:
    return seconds(program, "--cpu" in sys.argv, **environment)


def _with_empty_cache(program: str, search: str) -> float:
    with tempfile.TemporaryDirectory(prefix="fastconv-first-") as folder:
        seconds = _seconds(program, FASTCONV_CACHE_DIR=folder, PYTHONPATH=search)
        limit = time.monotonic() + 60
        # A build that was started leaves its log until it has ended and written its kernel.
        while any(Path(folder).glob("build-*.log")) and time.monotonic() < limit:
            logs = len(list(Path(folder).glob("build-*.log")))
            if len(list(Path(folder).rglob("*.so"))) >= logs:
                break
            time.sleep(0.1)
        return seconds


def main() -> int:
    """Print the table."""
    print("| whole process | fastconv, ready | fastconv, nothing built | best of the others |")
    print("|---|--:|--:|---|")
    with tempfile.TemporaryDirectory(prefix="fastconv-first-") as folder:
        search = bare_copy(folder)
        for work in WORK:
            print(_row(work, search), flush=True)
    return 0


def _row(work: Work, search: str) -> str:
    ours = _ours(work)
    _seconds(ours, FASTCONV_POLICY="compile")
    contenders = {
        module: _program(work, module, function) for module, function in work.peers.items()
    }
    ready, empty = [], []
    others: dict[str, list[float]] = {module: [] for module in contenders}
    for _ in range(_ROUNDS):
        ready.append(_seconds(ours))
        empty.append(_with_empty_cache(ours, search))
        for module, program in contenders.items():
            others[module].append(_seconds(program))
    best = min(others, key=lambda module: min(others[module]))
    return (
        f"| {work.name} | {min(ready) * 1e3:.0f} ms | {min(empty) * 1e3:.0f} ms "
        f"| {min(others[best]) * 1e3:.0f} ms ({best}) |"
    )


if __name__ == "__main__":
    sys.exit(main())
