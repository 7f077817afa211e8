"""What the tour prints: progress while it runs, then numbers and a table (rich's if installed)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.steps.smoothing import LONG, SHORT
from fastconv.cli.tour.timing import Race
from fastconv.cli.tour.units import duration, ratio

__all__ = ["progress", "report"]

_HEAD = ("step", "work", "path", "fastconv", "NumPy", "SciPy", "ratio")
_RATIO = "time of the fastest other / time of fastconv; above 1, fastconv is ahead"


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show on stderr which of `total` steps is under way; yield the function that names the next."""
    if sys.stderr.isatty() and find_spec("rich") is not None:
        with _rich_progress(total) as tell:
            yield tell
        return
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        print(f"[{done}/{total}] {name}", file=sys.stderr, flush=True)

    yield tell


@contextmanager
def _rich_progress(total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        started = False

        def tell(name: str) -> None:
            nonlocal started
            bar.update(task, description=name, advance=1 if started else 0)
            started = True

        yield tell


def report(chapter: Chapter) -> None:
    """Print the chapter's numbers, the table of times and why each path was chosen."""
    for line in _findings(chapter):
        print(line)
    print()
    rows = [_row(contest) for contest in chapter.races]
    if find_spec("rich") is not None:
        _rich_table(rows)
    else:
        _plain_table(rows)
    print(f"ratio: {_RATIO}")
    print()
    for contest in chapter.races:
        if contest.table:
            print(f"{contest.step[3:]}, {contest.work}: {contest.reason}")


def _findings(chapter: Chapter) -> Iterator[str]:
    smoothing, eye = chapter.smoothing, chapter.eye
    first, last = smoothing.first_last
    series = smoothing.series
    yield f"series   {series.source}: {series.values.size} {series.step}s"
    yield f"         {LONG}-sample average, same: first {first:.12g}, last {last:.12g}"
    spread = ", ".join(
        f"{width} samples {smoothing.residual[width].std():.4g}" for width in (LONG, SHORT)
    )
    lost = f"shift forgotten {smoothing.misplaced.std():.4g}"
    yield f"         residuals, standard deviation: {spread}; {lost}"
    yield (
        f"         zero-padded transforms differ by {chapter.fourier.error:.1e}; unpadded by up to "
        + (f"{abs(chapter.fourier.wrapped).max():.4g}")
    )
    rows, columns = eye.picture.grey.shape
    yield f"picture  {eye.picture.source}: {rows} x {columns}, the eye at {eye.picture.eye}"
    places = " and ".join(f"({peak.row}, {peak.column})" for peak in eye.twice[:2])
    truth = " and ".join(f"({row}, {column})" for row, column in eye.true_places)
    verdict = "found twice" if eye.found_twice else f"NOT found twice: it lies at {truth}"
    yield f"         highest answers at {places}: {verdict}"
    yield f"checks   {len(chapter.checks)} comparisons with NumPy and SciPy, all within round-off"


def _row(contest: Race) -> tuple[str, ...]:
    cells = []
    for family in ("numpy", "scipy"):
        best = contest.best(family)
        cells.append("-" if best is None else f"{duration(best[1])} {best[0].split('.')[-1]}")
    ours = duration(contest.ours)
    return contest.step, contest.work, contest.chosen, ours, *cells, ratio(contest.ratio)


def _plain_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[c]) for row in (_HEAD, *rows)) for c in range(len(_HEAD))]
    for row in (_HEAD, tuple("-" * width for width in widths), *rows):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _rich_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, justify="right" if name in ("fastconv", "ratio") else "left")
    for row in rows:
        table.add_row(*row)
    # Written to a file or a pipe, rich would fold it to 80 columns.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
