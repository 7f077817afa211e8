"""The one registry of workloads: what is timed, against whom, and what the right answer is.

asv, pytest-benchmark, ``python -m fastconv bench`` and the README's table all read `WORKLOADS`, and
`processes.MEASURES` for what needs a fresh process. To add a workload, add a line to the function
of its group; to add a group, add the function and its row in `GROUPS`.

quick
    ``bench --quick`` and the smoke tests run it: together under a minute.
headline
    It has a row in the README's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch

from . import ndimage_calls, peers, signal_calls, windows
from .families import Workload, batch, image, pool, signal, stream, volume
from .layers import layers
from .operands import Maker, bells, box_taps, boxcar, gaussian_taps, outer, with_nan
from .peers_tiles import tiled

__all__ = ["GROUPS", "WORKLOADS", "Workload", "select"]

REAL = ("float64", "float32")


def small() -> Iterator[Workload]:
    """Yield calls in which the call itself is most of the work."""
    for dtype in (*REAL, "int64"):
        for n, k in ((1, 1), (10, 3), (64, 5), (100, 5), (1000, 5), (1000, 31)):
            main = dtype == "float64" and (n, k) in ((10, 3), (1000, 5))
            yield signal("small", dtype, n, k, "full", quick=main, headline=main)


def short_filters() -> Iterator[Workload]:
    """Yield filters of a few taps: bound by memory, not by arithmetic."""
    for dtype in REAL:
        for n in (10**5, 10**7):
            for k in (3, 5, 8, 16):
                main = n == 10**5 and k in (3, 8)
                yield signal("short", dtype, n, k, quick=main, headline=main)


def long_filters() -> Iterator[Workload]:
    """Yield filters on both sides of the crossover from direct loops to transforms."""
    for dtype in REAL:
        for k in (31, 48, 64, 128, 512):
            main = k in (31, 512)
            yield signal("long", dtype, 10**5, k, quick=main, headline=main)
        for k in (64, 256, 1024, 4096, 16384, 65536):
            main = dtype == "float64" and k == 1024
            yield signal("long", dtype, 10**6, k, quick=main, headline=main)
        for k in (64, 1024, 65536):
            yield signal("long", dtype, 10**7, k)


def grid() -> Iterator[Workload]:
    """Yield lengths times taps, for maps of speed-ups and of what the planner takes."""
    for dtype in REAL:
        for n in (10**2, 10**3, 10**4, 10**5, 10**6):
            for k in (4, 12, 40, 120, 400, 1200, 4000):
                if k < n:
                    quick = dtype == "float64" and n in (10**3, 10**5) and k in (12, 120)
                    yield signal("grid", dtype, n, k, quick=quick)


def moving_averages() -> Iterator[Workload]:
    """Yield means over the last k samples, given as an ordinary filter."""
    make, special = boxcar, (peers.bottleneck_mean(), peers.uniform_filter_1d())
    for dtype in REAL:
        for n, k in ((10**4, 41), (10**6, 21), (10**6, 365)):
            main = dtype == "float64" and n == 10**4
            yield signal(
                "moving", dtype, n, k, "valid", prefix="moving", make=make, special=special,
                quick=main, headline=main,
            )  # fmt: skip


def streams() -> Iterator[Workload]:
    """Yield signals that arrive in blocks, filtered with the state carried on."""
    for dtype in REAL:
        for block, k in ((256, 31), (4096, 127), (4096, 1023)):
            quick = dtype == "float32" and k == 127
            yield stream("stream", dtype, 1 << 16, k, block, quick=quick)


def equal_lengths() -> Iterator[Workload]:
    """Yield two signals of one length: a single transform, or one inner product."""
    for dtype in REAL:
        for n in (10**3, 10**4, 10**5, 10**6):
            main = dtype == "float64" and n == 10**4
            yield signal("equal", dtype, n, n, "full", quick=main, headline=main)
            yield signal("equal", dtype, n, n, "valid", prefix="inner", quick=main, headline=main)


def batches() -> Iterator[Workload]:
    """Yield many signals in one array, along its rows and along its columns."""
    for dtype in REAL:
        for axis in (0, -1):
            main = dtype == "float64"
            quick = main and axis == -1
            yield batch("batch", dtype, 1000, 2000, 31, axis, quick=quick, headline=main)


def integers() -> Iterator[Workload]:
    """Yield integers that wrap as NumPy's do."""
    for dtype in ("int8", "int16", "int32", "int64", "uint8"):
        for k in (5, 31, 256):
            main = dtype == "int64" and k == 31
            yield signal("integer", dtype, 10**5, k, quick=main, headline=main)
    for dtype in ("int32", "int64"):
        for k in (64, 1024, 4096):
            main = dtype == "int64" and k == 1024
            yield signal("integer", dtype, 10**6, k, "full", headline=main)


def complex_numbers() -> Iterator[Workload]:
    """Yield complex signals and filters."""
    for dtype in ("complex128", "complex64"):
        for k in (8, 31, 512):
            yield signal("complex", dtype, 10**5, k, headline=dtype == "complex128" and k == 31)
        yield signal("complex", dtype, 10**6, 1024)


def distributions() -> Iterator[Workload]:
    """Yield sums of two random variables whose tails must stay right to ten digits."""
    for n in (10**4, 10**5):
        yield signal(
            "pmf", "float64", n, n, "full", prefix="pmf", make=bells, accuracy="componentwise"
        )


def prepared() -> Iterator[Workload]:
    """Yield filters that are prepared once for many signals."""
    for n, k in ((10, 3), (1000, 31), (10**4, 1000), (10**4, 10**4), (10**6, 1024)):
        quick = (n, k) == (10**4, 1000)
        yield signal("prepared", "float64", n, k, "full", prefix="prepared", kept=True, quick=quick)


def booleans() -> Iterator[Workload]:
    """Yield the OR of ANDs."""
    yield signal("bool", "bool", 10**5, 31)


def strided() -> Iterator[Workload]:
    """Yield every s-th output alone."""
    for stride in (2, 4, 16):
        quick = stride == 4
        yield signal("stride", "float64", 10**6, 31, "full", stride=stride, quick=quick)
    yield image("stride", "float32", 1024, 7, stride=2)


def not_a_number() -> Iterator[Workload]:
    """Yield signals with one NaN, which must reach its own windows and no other."""
    yield signal("nan", "float64", 10**5, 31, prefix="nan/1d", make=with_nan)
    yield signal("nan", "float64", 10**6, 1024, prefix="nan/1d", make=with_nan)
    yield image("nan", "float64", 1024, 15, prefix="nan/2d", make=with_nan)


def images() -> Iterator[Workload]:
    """Yield images and filters of full rank, zeros outside."""
    for n in (256, 1024, 4096):
        for k in (3, 5, 7, 9, 15, 31):
            for dtype in ("float32", "float64"):
                main = n == 1024 and k in (3, 7, 15)
                quick = (main and dtype == "float32") or (n == 256 and k == 7)
                yield image("2d", dtype, n, k, quick=quick, headline=main)


def large_filters() -> Iterator[Workload]:
    """Yield images and filters so large that both are transformed, tile by tile."""
    for n in (1024, 4096):
        for k in (32, 64, 128):
            for dtype in REAL:
                main = dtype == "float64" and (n, k) == (1024, 64)
                yield image("2d-large", dtype, n, k, special=tiled(), headline=main)


def volumes() -> Iterator[Workload]:
    """Yield volumes, zeros outside."""
    for dtype in REAL:
        for n, k in ((64, 3), (64, 7), (128, 5), (128, 15)):
            main = dtype == "float32" and k == 5
            yield volume("3d", dtype, n, k, quick=main, headline=main)


def borders() -> Iterator[Workload]:
    """Yield images continued by their mirror image or their other side."""
    for boundary in ("symm", "wrap"):
        for k in (3, 7, 15):
            quick = boundary == "symm" and k == 7
            yield image("border", "float32", 1024, k, boundary, quick=quick)


def integer_images() -> Iterator[Workload]:
    """Yield pictures as cameras give them, with filters of their own dtype and of float32."""
    for dtype in ("uint8", "int16"):
        for k in (3, 7, 15):
            yield image("2d-integer", dtype, 1024, k)
            yield image("2d-integer", dtype, 1024, k, filter_dtype="float32")
    for dtype in ("int32", "int64"):
        yield image("2d-integer", dtype, 1024, 64)


def boxes() -> Iterator[Workload]:
    """Yield means over windows, given as an ordinary filter."""
    special, make = (peers.cv2_blur(), peers.uniform_filter()), outer(box_taps)
    yield from _structured("box", special, make)


def separable() -> Iterator[Workload]:
    """Yield Gaussians, given as an ordinary filter."""
    make = outer(gaussian_taps)
    yield from _structured("separable", peers.separable(gaussian_taps), make)
    for dtype in ("float32", "float64"):
        main = dtype == "float32"
        yield volume("separable", dtype, 128, 5, "3d-separable", make, quick=main, headline=main)


def _structured(group: str, special: tuple[peers.Peer, ...], make: Maker) -> Iterator[Workload]:
    for dtype in ("float32", "float64"):
        for k in (5, 15, 31):
            main = k == 15 and dtype == "float32"
            yield image(
                group, dtype, 1024, k, prefix=f"2d-{group}", make=make, special=special,
                headline=main,
            )  # fmt: skip


def pooling() -> Iterator[Workload]:
    """Yield maxima and means over windows, and where the maxima are."""
    yield pool("pooling", (64, 224, 224), 2, 2, 0, quick=True, headline=True)
    yield pool("pooling", (64, 224, 224), 3, 2, 1)
    yield pool("pooling", (1024, 1024), 15, 1, 7)
    for make in (windows.pool_means, windows.pool_places):
        yield make("pooling", (64, 224, 224), 2, 2, 0)
        yield make("pooling", (64, 224, 224), 3, 2, 1)
    yield windows.pool_means("pooling", (8192, 7, 7), 7, 7, 0)


def running() -> Iterator[Workload]:
    """Yield maxima and means of the windows around each pixel."""
    for dtype in ("float32", "float64"):
        for n in (256, 1024):
            for k in (3, 7, 15, 63):
                for what in ("max", "mean"):
                    main = dtype == "float32" and n == 1024 and k == 15
                    yield windows.running("window", dtype, n, k, what, headline=main)


GROUPS: dict[str, tuple[str, Callable[[], Iterator[Workload]]]] = {
    "small": ("1-D, small calls", small),
    "short": ("1-D, short filters", short_filters),
    "long": ("1-D, long filters", long_filters),
    "grid": ("1-D, lengths times taps", grid),
    "moving": ("1-D, moving averages", moving_averages),
    "stream": ("1-D, streams of blocks", streams),
    "equal": ("1-D, equal lengths", equal_lengths),
    "batch": ("1-D, many signals", batches),
    "integer": ("1-D, integers", integers),
    "complex": ("1-D, complex", complex_numbers),
    "pmf": ("1-D, distributions to a relative error", distributions),
    "prepared": ("1-D, a filter kept for many signals", prepared),
    "bool": ("1-D, bool", booleans),
    "stride": ("every s-th output only", strided),
    "nan": ("a NaN in the signal", not_a_number),
    "2d": ("images, general filters", images),
    "2d-large": ("images, large filters", large_filters),
    "3d": ("volumes", volumes),
    "border": ("images, other borders", borders),
    "2d-integer": ("images of integers", integer_images),
    "box": ("images, box filters", boxes),
    "separable": ("images, separable filters", separable),
    "layers": ("convolution layers", layers),
    "ndimage": ("scipy.ndimage's filters", ndimage_calls.calls),
    "signal": ("scipy.signal's functions", signal_calls.calls),
    "pooling": ("pooling", pooling),
    "window": ("images, running maxima and means", running),
}

WORKLOADS: dict[str, Workload] = {
    workload.name: workload for _, make in GROUPS.values() for workload in make()
}


def select(patterns: list[str], names: Mapping[str, str]) -> list[str]:
    """Return the names that match any pattern.

    Parameters
    ----------
    patterns : list of str
        Each a name, a group, part of a name, or a shell pattern, whichever comes first; none of
        them means all.
    names : mapping of str to str
        Group by name.
    """
    groups = set(names.values())

    def matches(name: str, group: str, pattern: str) -> bool:
        if pattern in names:
            return pattern == name
        if pattern in groups:
            return pattern == group
        return pattern in name or fnmatch(name, pattern)

    if not patterns:
        return list(names)
    return [name for name, group in names.items() if any(matches(name, group, p) for p in patterns)]
