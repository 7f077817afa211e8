"""``python -m fastconv calibrate``: measure this machine's rates and keep them."""

from __future__ import annotations

import argparse
import os
import sys
import time

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--output", metavar="FILE", help="write there, not to the user's file")
    parser.add_argument("--show", action="store_true", help="show the rates in force and stop")
    parser.add_argument("--reset", action="store_true", help="go back to the shipped rates")


def run(args: argparse.Namespace) -> int:
    """Measure, write, and say where."""
    from ..planner import rates

    target = args.output or rates.user_file()
    if args.show:
        table, origin = rates.tables()
        print(", ".join(f"{name}: {value}" for name, value in origin.items()))
        for (name, dtype, axes), row in sorted(table.items()):
            print(f"{name:14} {dtype:11} {axes}  {row}")
        return 0
    if args.reset:
        if os.path.exists(target):
            os.unlink(target)
        print("the shipped rates are in force")
        return 0
    from ..planner import calibrate

    table = calibrate.calibrate(_Bar().show)
    rates.write(target, table, calibrate.provenance())
    print(f"\nrates written to {target}")
    return 0


class _Bar:
    """One line on stderr: the share that is done, the time left, and what is measured."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def show(self, share: float, what: str) -> None:
        spent = time.monotonic() - self._start
        left = spent * (1 - share) / share if share > 0.02 else 0.0
        filled = round(30 * share)
        bar = "#" * filled + "." * (30 - filled)
        line = f"\r[{bar}] {share:4.0%} {left:3.0f} s left  {what:28}"
        print(line, end="", file=sys.stderr, flush=True)
