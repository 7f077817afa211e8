"""``python -m fastconv info``: versions, the processor, and which kernels are ready."""

from __future__ import annotations

import argparse
import os

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--peak", action="store_true", help="also measure multiply-adds and bytes per second"
    )


def run(args: argparse.Namespace) -> int:
    """Print one fact a line."""
    from importlib.metadata import version

    from .. import __version__
    from ..kernels import KERNELS
    from ..planner import rates
    from ..runtime import cache, target
    from ..runtime.cpus import available_cpus

    host = target.host_target()
    print(
        f"fastconv {__version__}, numpy {version('numpy')}, scipy {version('scipy')}, "
        f"numba {version('numba')}"
    )
    print(f"processor: {rates.cpu_name()}, {available_cpus()} CPUs")
    print(f"kernels for: {host.name}, vectors of {host.vector_bytes} bytes")
    print(f"cache: {cache.cache_folder() or 'no folder can be written'}")
    for kernel in KERNELS.values():
        ready = [d for d in kernel.dtypes if _is_ready(host.name, kernel.name, d)]
        cached = [d for d in kernel.dtypes if _is_cached(host.name, kernel.name, d)]
        print(
            f"  {kernel.name}: {len(ready)} in the package, {len(cached)} cached "
            f"of {len(kernel.dtypes)}"
        )
    origin = rates.tables()[1]
    print(f"rates: measured on {origin.get('cpu')}, {origin.get('date', 'undated')}")
    if args.peak:
        _print_limits()
    return 0


def _print_limits() -> None:
    from ..planner.limits import measure_limits

    limits = measure_limits()
    for dtype, flops in limits.flops.items():
        print(f"multiply-adds of {dtype}: {flops / 1e9:.0f} GFLOP/s")
    for level in limits.levels:
        size = "" if level.name == "DRAM" else f" ({int(level.capacity) >> 10} KiB)"
        print(f"copying within {level.name}{size}: {level.bytes_per_second / 1e9:.0f} GB/s")


def _is_ready(target: str, name: str, dtype: str) -> bool:
    from ..runtime import cache

    return os.path.exists(cache.ready_path(target, name, dtype))


def _is_cached(target: str, name: str, dtype: str) -> bool:
    from ..runtime import cache

    path = cache.library_path(target, name, dtype)
    return path is not None and cache.intact(path)
