"""What the tour prints: progress while it runs, then numbers and a table (rich's if installed)."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.steps.digits import Digits
from fastconv.cli.tour.steps.smoothing import LONG, SHORT
from fastconv.cli.tour.timing import Race
from fastconv.cli.tour.units import duration, ratio, significant

__all__ = ["progress", "report"]

_HEAD = ("step", "path", "fastconv", "NumPy", "SciPy", "ratio", "fastest other")
_RATIO = "time of the fastest other / time of fastconv; above 1, fastconv is ahead"


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show on stderr which of `total` steps is under way; yield what to tell the next's name."""
    live = sys.stderr.isatty() and find_spec("rich") is not None
    with _rich_progress(total) if live else _plain_progress(total) as tell:
        yield tell


@contextmanager
def _plain_progress(total: int) -> Iterator[Callable[[str], None]]:
    numbers = itertools.count(1)
    yield lambda name: print(f"[{next(numbers)}/{total}] {name}", file=sys.stderr, flush=True)


@contextmanager
def _rich_progress(total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    bar, text = BarColumn(bar_width=24), TextColumn("{task.description}")
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), MofNCompleteColumn(), bar, text, console=console, transient=True
    ) as shown:
        task = shown.add_task("", total=total)
        numbers = itertools.count()
        yield lambda name: shown.update(task, description=name, completed=next(numbers))


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
        f"{width} samples {significant(smoothing.residual[width].std())}" for width in (LONG, SHORT)
    )
    lost = f"shift forgotten {significant(smoothing.misplaced.std())}"
    yield f"         residuals, standard deviation: {spread}; {lost}"
    yield (
        f"         zero-padded transforms differ by {chapter.fourier.error:.1e}; unpadded by up to "
        + (f"{significant(abs(chapter.fourier.wrapped).max())}")
    )
    rows, columns = eye.picture.grey.shape
    yield f"picture  {eye.picture.source}: {rows} x {columns}, the eye at {eye.picture.eye}"
    places = " and ".join(f"({peak.row}, {peak.column})" for peak in eye.twice[:2])
    truth = " and ".join(f"({row}, {column})" for row, column in eye.true_places)
    verdict = "found twice" if eye.found_twice else f"NOT found twice: it lies at {truth}"
    yield f"         highest answers at {places}: {verdict}"
    yield f"digits   {digits_in_words(chapter.digits)}"
    yield f"checks   {len(chapter.checks)} comparisons with NumPy and SciPy, all within round-off"


def digits_in_words(digits: Digits | None) -> str:
    """Return how well the network reads, or why it was not asked."""
    if digits is None:
        return "skipped: scikit-learn is not installed (pip install 'fastconv[tour]')"
    return (
        f"a network of {digits.parameters} numbers, trained here in {digits.seconds:.1f} s, reads "
        f"{digits.right} of {digits.tested} handwritten digits it has not seen "
        f"({digits.accuracy:.1%})"
    )


def _row(contest: Race) -> tuple[str, ...]:
    peers = [contest.best(family) for family in ("numpy", "scipy")]
    times = [
        duration(contest.ours),
        *("-" if peer is None else duration(peer[1]) for peer in peers),
    ]
    fastest = contest.rival[0].rsplit(".", 1)[-1]
    return contest.step, contest.chosen, *times, ratio(contest.ratio), fastest


def _plain_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[c]) for row in (_HEAD, *rows)) for c in range(len(_HEAD))]
    rule = tuple("-" * width for width in widths)
    for row in (_HEAD, rule, *rows):
        cells = (
            cell.rjust(width) if name in _HEAD[2:6] else cell.ljust(width)
            for name, cell, width in zip(_HEAD, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


def _rich_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, justify="right" if name in _HEAD[2:6] else "left")
    for row in rows:
        table.add_row(*row)
    # Written to a file or a pipe, rich would fold it to 80 columns.
    Console(width=None if sys.stdout.isatty() else 120).print(table)
