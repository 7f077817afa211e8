"""``python -m fastconv info``: versions, the processor, and which kernels are ready."""

from __future__ import annotations

import argparse
import os

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""


def run(args: argparse.Namespace) -> int:
    """Print one fact a line."""
    from importlib.metadata import version

    from .. import __version__
    from ..kernels import KERNELS
    from ..planner import rates
    from ..runtime import cache, target, threads

    host = target.host_target()
    print(
        f"fastconv {__version__}, numpy {version('numpy')}, scipy {version('scipy')}, "
        f"numba {version('numba')}"
    )
    print(f"processor: {rates.cpu_name()}, {threads.available_cpus()} CPUs")
    print(f"kernels for: {host.name}, vectors of {host.vector_bytes} bytes")
    ready = cache.ready_path(host.name)
    print(f"in the package: {os.path.basename(ready) if os.path.exists(ready) else 'none'}")
    print(f"cache: {cache.cache_folder() or 'no folder can be written'}")
    for kernel in KERNELS.values():
        built = [d for d in kernel.dtypes if _is_built(host.name, f"{kernel.name}_{d}")]
        print(f"  {kernel.name}: {', '.join(built) or 'none'} cached of {len(kernel.dtypes)}")
    origin = rates.tables()[1]
    print(f"rates: measured on {origin.get('cpu')}, {origin.get('date', 'undated')}")
    return 0


def _is_built(target: str, unit: str) -> bool:
    from ..runtime import cache

    path = cache.library_path(target, unit)
    return path is not None and cache.intact(path)
