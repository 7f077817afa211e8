"""``python -m fastconv warmup``: build the kernels now instead of on first use."""

from __future__ import annotations

import argparse
import sys

from .progress import Progress

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("kernels", nargs="*", help="names such as rows; by default all")
    parser.add_argument("--dtype", action="append", help="only this dtype; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Build every named kernel for every dtype, on all CPUs."""
    from ..runtime.warmup import warmup

    progress = Progress()

    def tell(done: int, total: int, unit: str) -> None:
        progress.show(done / total, f"{done}/{total} {unit}")

    try:
        summary = warmup(*args.kernels, dtypes=args.dtype, progress=tell)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    progress.done()
    print(summary)
    return int(bool(summary.failed))
