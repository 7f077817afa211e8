"""``python -m fastconv warmup``: build the kernels now instead of on first use."""

from __future__ import annotations

import argparse
import sys
import time

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("kernels", nargs="*", help="names such as rows; by default all")


def run(args: argparse.Namespace) -> int:
    """Build every named kernel for every dtype, one after the other."""
    from ..kernels import KERNELS
    from ..runtime import load

    unknown = set(args.kernels) - set(KERNELS)
    if unknown:
        print(f"kernels must be among {list(KERNELS)}, got {sorted(unknown)}", file=sys.stderr)
        return 2
    units = [
        (k.name, dtype)
        for k in KERNELS.values()
        if not args.kernels or k.name in args.kernels
        for dtype in k.dtypes
    ]
    start = time.monotonic()
    for i, (name, dtype) in enumerate(units):
        print(f"\r[{i:3}/{len(units)}] {name} {dtype:20}", end="", file=sys.stderr, flush=True)
        try:
            load.kernel(name, dtype)
        except RuntimeError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
    print(f"\r{len(units)} kernels are ready after {time.monotonic() - start:.1f} s" + " " * 20)
    return 0
