"""What only a fresh process can show: imports, first calls, builds, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import fastconv
from fastconv.kernels import KERNELS

__all__ = ["GROUP", "MEASURES", "Measure"]

GROUP = "process"
_ROOT = str(Path(fastconv.__file__).resolve().parents[1])
_LIMIT_SECONDS = 600

# Programs of one number: what `_run` returns is what they print.
_IMPORT = """
import time; start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
_IMPORT_AFTER_NUMPY = "import numpy\n" + _IMPORT
_FIRST_CALL = """
import numpy as np, time
x, w = np.ones(100_000), np.ones(31)
start = time.perf_counter()
import {module}
{module}.{function}(x, w, "same")
print(time.perf_counter() - start)
"""
# Naming the path waits for its kernel, so that no build is left running behind the measurement.
_FIRST_CALL_UNBUILT = _FIRST_CALL + '{module}.{function}(x, w, "same", method="direct")\n'
_UNTIL_BUILT = """
import numpy as np, time
x, w = np.ones(100_000), np.ones(31)
start = time.perf_counter()
import fastconv
fastconv.convolve(x, w, "same", method="direct")
print(time.perf_counter() - start)
"""
_MEMORY = """
import numpy as np, resource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
x, w = np.ones(1000), np.ones(31)
before = peak()
import {module}
{module}.{function}(x, w, "same")
print(peak() - before)
"""
_BUILD = """
import os, time; start = time.perf_counter()
os.environ["NUMBA_OPT"] = "0"
from fastconv.runtime.build import build_library
from fastconv.runtime.target import host_target
size = sum(len(build_library(*unit, host_target())) for unit in {units!r})
print({figure})
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a fresh process.

    Parameters
    ----------
    name : str
        Unique, ``process/import``.
    unit : {"s", "B"}
        Seconds or bytes.
    ours : callable
        () -> the figure, once.
    peers : mapping of str to callable
        The same of other libraries.
    rounds : int
        How often to ask; the least figure counts.
    quick, headline : bool
        As in `families.Workload`.
    """

    name: str
    unit: str
    ours: Callable[[], float]
    peers: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    rounds: int = 4
    quick: bool = False
    headline: bool = False

    @property
    def group(self) -> str:
        """The group all of them are in."""
        return GROUP


def _run(program: str, empty_cache: bool = False, policy: str = "compile") -> float:
    """Return the number that `program` prints, run in an interpreter of its own."""
    environment = os.environ | {"FASTCONV_POLICY": policy}
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = _ROOT + (os.pathsep + before if before else "")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # Installed packages have byte code.
    with tempfile.TemporaryDirectory(prefix="fastconv-bench-") as folder:
        if empty_cache:
            environment["FASTCONV_CACHE_DIR"] = folder
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
        )
    if done.returncode:
        complaint = done.stderr.strip().splitlines()
        raise RuntimeError(complaint[-1] if complaint else f"exit status {done.returncode}")
    return float(done.stdout)


def _measure(program: str, **values: object) -> Callable[[], float]:
    return partial(_run, program.format(**values))


def _measures() -> list[Measure]:
    others = {
        "numpy.convolve": ("numpy", "convolve"),
        "scipy.signal.oaconvolve": ("scipy.signal", "oaconvolve"),
    }
    ours = {"module": "fastconv", "function": "convolve"}
    first_calls, memories = (
        {
            name: _measure(program, module=module, function=function)
            for name, (module, function) in others.items()
        }
        for program in (_FIRST_CALL, _MEMORY)
    )
    return [
        Measure(
            "process/import",
            "s",
            _measure(_IMPORT, module="fastconv"),
            {f"import {m}": _measure(_IMPORT, module=m) for m in ("numpy", "scipy.signal")},
            quick=True,
        ),
        Measure(
            "process/import after numpy",
            "s",
            _measure(_IMPORT_AFTER_NUMPY, module="fastconv"),
            {"import scipy.signal": _measure(_IMPORT_AFTER_NUMPY, module="scipy.signal")},
            headline=True,
        ),
        Measure(
            "process/first call, kernels built",
            "s",
            _measure(_FIRST_CALL, **ours),
            first_calls,
            quick=True,
            headline=True,
        ),
        Measure(
            "process/first call, nothing built",
            "s",
            partial(_run, _FIRST_CALL_UNBUILT.format(**ours), True, "adaptive"),
            first_calls,
            rounds=2,
            headline=True,
        ),
        Measure("process/until built", "s", partial(_run, _UNTIL_BUILT, True), rounds=2),
        Measure("process/memory of a first call", "B", _measure(_MEMORY, **ours), memories),
        *(_build(kernel.name, kernel.dtypes[0]) for kernel in KERNELS.values()),
        Measure(
            "process/size of all kernels",
            "B",
            _measure(
                _BUILD,
                units=[(k.name, dtype) for k in KERNELS.values() for dtype in k.dtypes],
                figure="size",
            ),
            rounds=1,
        ),
    ]


def _build(name: str, dtype: str) -> Measure:
    seconds = _measure(_BUILD, units=[(name, dtype)], figure="time.perf_counter() - start")
    return Measure(f"process/build {name}_{dtype}", "s", seconds, rounds=2)


MEASURES: dict[str, Measure] = {measure.name: measure for measure in _measures()}
