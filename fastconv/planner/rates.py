"""Seconds per unit of Work, per path, dtype and number of axes: the only home of speed constants.

The shipped tables lie beside this file, one for each instruction set that was measured, written by
``python -m fastconv calibrate``; a file of the same form in the user's configuration folder takes
their place, if it was measured on this CPU with these versions. Each file names them and its date.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Any

from ..path import Work
from ..records import NamedTuple
from ..runtime.target import host_target

_HERE = os.path.dirname(__file__)
# By instruction set; what is not listed is nearer to AVX2 than to AVX-512.
_SHIPPED = {"x86-64-v4": "rates-x86-64-v4.txt", "x86-64-v3": "rates-x86-64-v3.txt"}
# What a user's rates must have in common with the process that reads them.
_IDENTITY = ("cpu", "target", "fastconv", "numpy", "scipy")

# By path, dtype and kind: "1d" or "2d" (two axes and more share their loops).
Key = tuple[str, str, str]


class Rates(NamedTuple):
    """Seconds per count of `Work`, field by field, and per request."""

    request: float
    calls: float
    multiply_adds: float
    butterflies: float
    bytes_moved: float

    def seconds(self, work: Work) -> float:
        """Return the predicted time of `work`."""
        return (
            self.request
            + self.calls * work.calls
            + self.multiply_adds * work.multiply_adds
            + self.butterflies * work.butterflies
            + self.bytes_moved * work.bytes_moved
        )


Table = dict[Key, Rates]


def user_file() -> str:
    """Return where `calibrate` writes: ``FASTCONV_RATES`` or the configuration folder."""
    if named := os.environ.get("FASTCONV_RATES"):
        return named
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser(os.path.join("~", ".config"))
    return os.path.join(base, "fastconv", "rates.txt")


def cpu_name() -> str:
    """Return the CPU's model name, as the machine gives it."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def shipped() -> str:
    """Return the shipped file for this machine's instruction set."""
    return os.path.join(_HERE, _SHIPPED.get(host_target().name, _SHIPPED["x86-64-v3"]))


def identity() -> dict[str, str]:
    """Return what rates are valid for: the CPU, its instruction set, and versions."""
    import numpy
    import scipy

    from .. import __version__

    known = (cpu_name(), host_target().name, __version__, numpy.__version__, scipy.__version__)
    return dict(zip(_IDENTITY, known, strict=True))


@cache
def tables() -> tuple[Table, dict[str, Any]]:
    """Return the rates in force and their provenance."""
    own = user_file()
    if os.path.exists(own):
        try:
            table, provenance = read(own)
        except (OSError, ValueError, KeyError, TypeError) as error:
            warnings.warn(f"{own} must hold rates, got: {error}; ignored", stacklevel=2)
        else:
            here = identity()
            changed = [name for name in _IDENTITY if provenance.get(name) != here[name]]
            if not changed:
                return table, provenance
            what = ", ".join(f"{name} {provenance.get(name)}" for name in changed)
            warnings.warn(
                f"{own} was measured with {what}; ignored. Run python -m fastconv calibrate again.",
                stacklevel=2,
            )
    return read(shipped())


def read(path: str) -> tuple[Table, dict[str, Any]]:
    """Read a file of rates: comments of names and what they are, a heading, a row for each key.

    Plain lines: to import json and to read it takes a process's first long call 6 ms, this 0.5.
    """
    table, provenance, heading = {}, {}, " ".join(("path", "dtype", "axes", *Rates._fields))
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# "):
            name, _, what = line[2:].partition(": ")
            provenance[name] = what
        elif line == heading:
            lines = lines[number + 1 :]
            break
    else:
        raise ValueError(f"no line {heading!r}")
    for line in lines:
        name, dtype, axes, *seconds = line.split()
        table[name, dtype, axes] = Rates(*map(float, seconds))
    return table, provenance


def write(path: str, table: Table, provenance: dict[str, Any]) -> None:
    """Write a file of rates, its rows sorted."""
    lines = [f"# {name}: {what}" for name, what in provenance.items()]
    lines.append(" ".join(("path", "dtype", "axes", *Rates._fields)))
    for key, row in sorted(table.items()):
        lines.append(" ".join((*key, *(f"{value:.3g}" for value in row))))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def kind(ndim: int) -> str:
    """Return the kind of rates that serve problems with `ndim` axes."""
    return "1d" if ndim == 1 else "2d"


def rates(name: str, dtype: str, which: str) -> Rates:
    """Return the rates of a path for a dtype and a kind.

    Unsigned integers share the loops of signed ones; a dtype that is not compiled here is
    taken for its nearest slow relative.
    """
    table, _ = tables()
    alias = dtype[1:] if dtype.startswith("uint") else dtype
    for known in (alias, "complex128", "float64", "int64"):
        if (name, known, which) in table:
            return table[name, known, which]
    return _UNKNOWN


# A path that no calibration has met: slow enough to be chosen only where nothing else serves.
_UNKNOWN = Rates(1e-4, 1e-5, 1e-7, 1e-8, 1e-9)
