"""The command line: a table of commands, each a module imported only when it is asked for.

A command is a module with ``add_arguments(parser)`` and ``run(args) -> int`` (the exit status).
To add one, write the module and add its row to `COMMANDS`; a row whose module is absent is not
listed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from ..records import NamedTuple

__all__ = ["COMMANDS", "Command", "available", "main"]


class Command(NamedTuple):
    """One row of the table: where a command lives and what it does."""

    module: str
    summary: str


COMMANDS = {
    "tour": Command(
        "fastconv.cli.tour", "walk a book chapter on real data: figures, a page, a table"
    ),
    "info": Command(
        "fastconv.cli.info", "show versions, the processor, and which kernels are ready"
    ),
    "calibrate": Command(
        "fastconv.cli.calibrate", "measure this machine's speed and keep the result"
    ),
    "warmup": Command("fastconv.cli.warmup", "build the kernels now instead of on first use"),
    "cache": Command("fastconv.cli.cache", "show the built kernels that are kept, or remove them"),
    "bench": Command("fastconv.cli.bench", "time every path beside NumPy and SciPy"),
}


def available() -> dict[str, Command]:
    """Return the commands whose module is installed, in the table's order."""
    return {name: row for name, row in COMMANDS.items() if find_spec(row.module) is not None}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``python -m fastconv``; by default those of this process.

    Returns
    -------
    int
        0 for success, 1 for a failed run, 2 for wrong arguments or input, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    commands = available()
    # Only the command that runs is imported: --help stays as light as `import fastconv.cli`.
    wanted = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="python -m fastconv",
        description="Convolution for Python: commands around the library.",
    )
    subparsers = parser.add_subparsers(metavar="<command>", required=True)
    for name, row in commands.items():
        sub = subparsers.add_parser(name, help=row.summary, description=row.summary)
        if name == wanted:
            module = importlib.import_module(row.module)
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return 130
