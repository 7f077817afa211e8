"""Build kernels ahead of time, on all CPUs at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from ..kernels import KERNELS
from ..records import NamedTuple
from . import cache as files
from . import load, threads
from .settings import policy
from .spawn import Build
from .target import host_target

_POLL_SECONDS = 0.1
# (how many units are ready, of how many, the one that came last) -> None
Progress = Callable[[int, int, str], None]


class Warmup(NamedTuple):
    """What `warmup` did.

    Parameters
    ----------
    ready : tuple of str
        Units (``rows_float64``: a kernel and a dtype) that were ready before.
    built : tuple of str
        Units that were built.
    failed : dict of str to str
        Units that could not be built, and why.
    seconds : float
        How long it took.
    """

    ready: tuple[str, ...]
    built: tuple[str, ...]
    failed: dict[str, str]
    seconds: float

    def __str__(self) -> str:
        words = f"{len(self.ready) + len(self.built)} kernels are ready"
        words += f", {len(self.built)} of them built in {self.seconds:.1f} s"
        reasons = "".join(f"\n{unit}: {why}" for unit, why in self.failed.items())
        return f"{words}; {len(self.failed)} failed{reasons}" if reasons else words


def warmup(
    *kernels: str, dtypes: Iterable[str] | None = None, progress: Progress | None = None
) -> Warmup:
    """Build the compiled kernels now, so that no later call waits or is answered by another path.

    Parameters
    ----------
    *kernels : str
        Names of kernels (``python -m fastconv info`` lists them); none for all.
    dtypes : iterable of str, optional
        Only for these dtypes, such as "float64".
    progress : callable, optional
        Called with (units ready, units wanted, the last one) as units become ready.

    Returns
    -------
    Warmup
        What was ready, what was built, what failed; its str is a summary.

    Raises
    ------
    ValueError
        If a kernel or a dtype has no unit.

    Notes
    -----
    Builds run in as many processes as `set_workers` or ``FASTCONV_WORKERS`` allow; some seconds of
    one CPU for a kernel and dtype. What is built stays in the cache for later processes.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.warmup("rows", dtypes=["float64"]).failed
    {}
    """
    start = time.monotonic()
    wanted = _wanted(kernels, dtypes)
    missing = [unit for unit in wanted if not _exists(unit)]
    ready = [unit for unit in wanted if unit not in missing]
    failed: dict[str, str] = {}
    shares = min(threads.default_workers(), len(missing))
    builds = [b for i in range(shares) if (b := _share(missing[i::shares], failed))]
    done = 0
    while builds or done == 0:
        finished = [unit for unit in missing if _exists(unit)]
        if progress is not None and (len(finished) > done or not builds):
            progress(len(ready) + len(finished), len(wanted), "_".join((finished or ready)[-1]))
        done = max(1, len(finished))
        builds = [b for share in builds if (b := _go_on(*share, failed))]
        if builds:
            time.sleep(_POLL_SECONDS)
    with policy("never"):
        found = [unit for unit in wanted if load.ready(*unit) is not None]
    built = tuple("_".join(unit) for unit in found if unit in missing)
    names = tuple("_".join(unit) for unit in found if unit in ready)
    return Warmup(names, built, failed, time.monotonic() - start)


_Unit = tuple[str, str]
_Share = tuple[Build, list[_Unit]]


def _wanted(kernels: tuple[str, ...], dtypes: Iterable[str] | None) -> list[_Unit]:
    unknown = sorted(set(kernels) - set(KERNELS))
    if unknown:
        raise ValueError(f"kernels must be among {list(KERNELS)}, got {unknown}")
    only = None if dtypes is None else set(dtypes)
    known = {dtype for kernel in KERNELS.values() for dtype in kernel.dtypes}
    if only is not None and not only <= known:
        raise ValueError(f"dtypes must be among {sorted(known)}, got {sorted(only - known)}")
    return [
        (kernel.name, dtype)
        for kernel in KERNELS.values()
        if not kernels or kernel.name in kernels
        for dtype in kernel.dtypes
        if only is None or dtype in only
    ]


def _exists(unit: _Unit) -> bool:
    target = host_target().name
    library = files.library_path(target, *unit)
    places = [files.ready_path(target, *unit)]
    places += [library, files.object_path(library)] if library else []
    return any(os.path.exists(place) for place in places)


def _share(units: list[_Unit], failed: dict[str, str]) -> _Share | None:
    try:
        return (Build(units, urgent=True, as_object=False), units) if units else None
    except OSError as error:
        failed.update({"_".join(unit): str(error) for unit in units})
        return None


def _go_on(build: Build, units: list[_Unit], failed: dict[str, str]) -> _Share | None:
    """Return a share that is not finished; after a failure, the rest of it."""
    if not build.finished(wait=False):
        return build, units
    left = [unit for unit in units if not _exists(unit)]
    if left:
        failed["_".join(left[0])] = build.complaint()
    return _share(left[1:], failed)
