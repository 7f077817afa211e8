"""``python -m fastconv warmup``: build the kernels now instead of on first use."""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("kernels", nargs="*", help="names such as rows; by default all")
    parser.add_argument("--dtype", action="append", help="only this dtype; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Build every named kernel for every dtype, on all CPUs."""
    from ..runtime.warmup import warmup

    try:
        summary = warmup(*args.kernels, dtypes=args.dtype, progress=_bar)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if sys.stderr.isatty():
        print("\r" + " " * 78 + "\r", end="", file=sys.stderr)
    print(summary)
    return int(bool(summary.failed))


def _bar(done: int, total: int, unit: str) -> None:
    if not sys.stderr.isatty():
        return
    filled = round(30 * done / total)
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r[{bar}] {done}/{total} {unit:30.30}", end="", file=sys.stderr, flush=True)
