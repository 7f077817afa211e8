"""``python -m fastconv cache``: what built kernels are kept, and remove them."""

from __future__ import annotations

import argparse
import os

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--clear", action="store_true", help="remove all of them")


def run(args: argparse.Namespace) -> int:
    """Print the folder and its contents by compiler and instruction set, or remove them."""
    from ..runtime import cache

    folder = cache.cache_folder()
    if folder is None:
        print("no folder can be written")
        return 0
    files = cache.clear() if args.clear else cache.contents()
    groups: dict[str, list[int]] = {}
    for entry in files:
        place = os.path.relpath(os.path.dirname(entry.path), folder)
        groups.setdefault("logs" if place == "." else place, []).append(entry.size)
    print(f"{folder}: {_megabytes(sum(e.size for e in files))} of {_megabytes(cache.MOST_BYTES)}")
    for name, sizes in sorted(groups.items()):
        print(f"  {name}: {len(sizes)} files, {_megabytes(sum(sizes))}")
    if args.clear:
        print(f"{len(files)} files removed")
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
