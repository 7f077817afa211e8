"""The daily series: matplotlib's bundled one, or a column of the user's CSV."""

from __future__ import annotations

import csv
import datetime
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.cli.tour.inputs import InputError, fetch, short

__all__ = ["SHORTEST", "Series", "read_series", "sample_series"]

SHORTEST = 123  # three widths of the longer box: two rims and an interior worth drawing

_SAMPLE_COLUMNS = {
    "open": "opening price, US dollars",
    "high": "highest price, US dollars",
    "low": "lowest price, US dollars",
    "close": "closing price, US dollars",
    "volume": "shares traded",
}


@dataclass(frozen=True, slots=True)
class Series:
    """A real series, one sample per step."""

    title: str
    """What it is, within a sentence."""
    name: str
    """What the values are, with their unit: the label of the axis."""
    about: str
    """One sentence on where the series comes from."""
    source: str
    values: NDArray[np.float64]
    days: NDArray[Any]
    """Dates (datetime64[D]) where the source has them, else 0, 1, 2, ..."""
    step: str
    """What one sample is: "day", "trading day" or "sample"."""

    @property
    def dated(self) -> bool:
        """Whether `days` holds dates."""
        return self.days.dtype.kind == "M"


def sample_series(column: str | None = None) -> Series:
    """Return Google's daily share price, 2004 to 2008, from matplotlib's sample data."""
    from matplotlib.cbook import get_sample_data

    column = "close" if column is None else column
    if column not in _SAMPLE_COLUMNS:
        raise InputError(
            f"--column must be one of {', '.join(_SAMPLE_COLUMNS)}, got {short(column)}"
        )
    try:
        with np.load(get_sample_data("goog.npz", asfileobj=False)) as file:
            prices = file["price_data"]
    except OSError as error:
        raise InputError(f"matplotlib's sample data must be installed, got {error}") from None
    return Series(
        title="Google's share price",
        name=_SAMPLE_COLUMNS[column],
        about="Google's shares on each trading day since the company went public, 19 August 2004, "
        "until 14 October 2008, from the sample data that matplotlib ships. Weekends and holidays "
        "are not in it: "
        "41 samples are 41 trading days, about two months.",
        source="goog.npz (matplotlib's sample data)",
        values=prices[column].astype(np.float64),
        days=prices["date"].astype("datetime64[D]"),
        step="trading day",
    )


def read_series(source: str, column: str | None) -> Series:
    """Read one column of a CSV file with a header line.

    Parameters
    ----------
    source : str
        A path or a URL.
    column : str or None
        The column's name in the header line. None is an error that lists the names.

    Returns
    -------
    Series
        The values as float64, with the dates of the first column that holds only ISO dates.

    Raises
    ------
    InputError
        If the text is not a CSV file, the column is not in it, a cell is missing, not a number or
        not finite, or there are fewer than `SHORTEST` rows.
    """
    header, rows, lines = _rows(source)
    if column is None or column not in header:
        names = short(", ".join(header), 200)[1:-1]
        got = "none" if column is None else short(column)
        raise InputError(
            f"--column must name a column of {short(source, 200)} ({names}), got {got}"
        )
    if len(rows) < SHORTEST:
        raise InputError(f"--series must hold at least {SHORTEST} rows, got {len(rows)}")
    index = header.index(column)
    values = np.array(
        [
            _number(row, index, column, i, line)
            for i, (row, line) in enumerate(zip(rows, lines, strict=True), 1)
        ]
    )
    days = next(
        (d for j in range(len(header)) if (d := _dates(rows, j)) is not None), np.arange(len(rows))
    )
    daily = days.dtype.kind == "M" and bool(np.all(np.diff(days).astype(int) == 1))
    file = source.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    step = "day" if daily else "sample"
    span = f", {days[0]} to {days[-1]}" if days.dtype.kind == "M" else ""
    return Series(
        title=f"{column} of {file}",
        name=f"{column} per {step}" if daily else column,
        about=f"Column {column} of {file}: {len(rows)} {step}s{span}.",
        source=file,
        values=values,
        days=days,
        step=step,
    )


def _rows(source: str) -> tuple[list[str], list[list[str]], list[int]]:
    data = fetch("--series", source)
    try:
        text = data.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        numbered = [(row, reader.line_num) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"--series must be a CSV text file, got {short(source, 200)} ({error})"
        ) from None
    if not header:
        raise InputError(
            f"--series must be a CSV file with a header line, got {short(source, 200)} (empty)"
        )
    return header, [row for row, _ in numbered], [line for _, line in numbered]


def _number(row: list[str], index: int, column: str, i: int, line: int) -> float:
    cell = row[index].strip() if index < len(row) else ""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        got = short(cell) if cell else "a missing value"
        raise InputError(
            f"column {column!r}, row {i} (line {line}) must be a finite number, got {got}"
        )
    return value


def _dates(rows: list[list[str]], index: int) -> NDArray[Any] | None:
    try:
        return np.array(
            [datetime.date.fromisoformat(row[index].strip()) for row in rows], "datetime64[D]"
        )
    except (ValueError, IndexError):
        return None
