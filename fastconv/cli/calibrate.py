"""``python -m fastconv calibrate``: measure this machine's rates and keep them."""

from __future__ import annotations

import argparse
import os

from .progress import Progress

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

    progress = Progress()
    table = calibrate.calibrate(progress.show)
    progress.done("measured")
    rates.write(target, table, calibrate.provenance())
    print(f"rates written to {target}")
    return 0
