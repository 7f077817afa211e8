"""What a run looks like: a table for the terminal, one for the README, and a word on noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from typing import Any

from fastconv.cli.tour.units import duration

from .families import OURS
from .session import disturbed, trustworthy

__all__ = ["amount", "into_readme", "markdown", "share", "table", "verdict"]

Row = dict[str, Any]

_HEAD = (
    "workload", "fastconv", "path", "of limit", "ratio", "best peer", "its time", "spread", ""
)  # fmt: skip
# The order of accuracies, weakest first; peers whose accuracy is unknown are not compared.
_ACCURACIES = ("normwise", "componentwise", "exact")
_REGRET = 1.15
# What the README's table stands between.
OPENING, CLOSING = "<!-- speed table -->", "<!-- end of speed table -->"


def table(rows: Sequence[Row], everyone: bool = False) -> str:
    """Return the table as text.

    Parameters
    ----------
    rows : sequence of dict
        As `session.record` yields them.
    everyone : bool
        Below each row, a line for every contender.
    """
    lines: list[tuple[str, ...]] = [_HEAD]
    for row in rows:
        lines.append(_line(row))
        if everyone:
            lines += _contender_lines(row)
    widths = [max(len(line[c]) for line in lines) for c in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if c in (1, 3, 4, 6, 7) else cell.ljust(width)
            for c, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _line(row: Row) -> tuple[str, ...]:
    ours = row["contenders"][OURS]
    peer = row["contenders"].get(row["peer"], {})
    ratio = "-" if row["ratio"] is None else _ratio(row["ratio"]) + _mark(row)
    return (
        row["name"],
        "-" if row["error"] else amount(ours["best"], row["unit"]),
        row.get("path") or "-",
        share(row),
        ratio,
        row["peer"] or "-",
        amount(peer["best"], row["unit"]) if peer else "-",
        f"{ours['spread']:.0%}" if "spread" in ours else "-",
        "; ".join(_notes(row)),
    )


def share(row: Row) -> str:
    """Return our share of the machine's limit and what sets the limit: ``89 % FMA``."""
    return f"{row['share']:.0%} {row['bound']}" if row["share"] else "-"


def _notes(row: Row) -> Iterator[str]:
    for name, contender in row["contenders"].items():
        if contender["error"]:
            yield f"{'' if name == OURS else name + ' '}WRONG OR FAILED: {contender['error']}"
    if disturbed(row):
        yield "noisy"
    if row["regret"] and row["regret"] > _REGRET and row["best_path"] != row["path"]:
        yield f"{row['best_path']} is {row['regret']:.2f} times as fast"


def _contender_lines(row: Row) -> Iterator[tuple[str, ...]]:
    ours = row["contenders"][OURS].get("best")
    for name, contender in row["contenders"].items():
        if name == OURS:
            continue
        best, accuracy = contender.get("best"), contender["accuracy"]
        ratio = _ratio(best / ours) if best and ours else "-"
        time = amount(best, row["unit"]) if best else "-"
        spread = f"{contender['spread']:.0%}" if best else "-"
        yield "", "", "", "", ratio, name, time, spread, contender["error"] or accuracy
    for name, reason in row.get("skipped", {}).items():
        yield "", "", "", "", "-", name, "-", "-", f"skipped: {reason}"


def _mark(row: Row) -> str:
    """Return "~" where the best peer promises another accuracy than the path that answered."""
    peer = row["contenders"][row["peer"]]["accuracy"]
    ours = row.get("accuracy", "")
    return "~" if ours in _ACCURACIES and peer in _ACCURACIES and _differ(ours, peer) else " "


def _differ(ours: str, peer: str) -> bool:
    # "exact" of integers and "componentwise" of the same loop on floats are one promise here.
    return (ours == "normwise") != (peer == "normwise")


def amount(value: float, unit: str) -> str:
    """Return seconds or bytes with three digits."""
    if unit == "s":
        return duration(value)
    for prefix, scale in (("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}"
    return f"{value:.0f} B"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def verdict(rows: Sequence[Row]) -> str:
    """Return the lines below the table: what its marks mean, and whether to believe it."""
    lines = []
    if any(row["ratio"] and _mark(row) == "~" for row in rows if row["peer"]):
        lines.append("~ one of the two goes through a transform: accuracies differ (normwise).")
    timed = [row for row in rows if row["group"] != "process"]
    noisy = sum(map(disturbed, timed))
    if not trustworthy(rows):
        lines.append(
            f"This machine is too noisy to trust these figures: in {noisy} of {len(timed)} rows "
            "the two best rounds differ by more than 10 %. Stop other work and run it again."
        )
    elif noisy:
        lines.append(f"{noisy} of {len(timed)} rows are noisy (two best rounds differ by > 10 %).")
    wrong = [row["name"] for row in rows if row["error"]]
    if wrong:
        lines.append(f"Wrong or failed: {', '.join(wrong)}")
    return "\n".join(lines)


def markdown(run: dict[str, Any], rows: Sequence[Row]) -> str:
    """Return the README's speed table.

    Parameters
    ----------
    run : dict
        What ``bench --json`` wrote.
    rows : sequence of dict
        Those of its rows to show.
    """
    lines = [
        "| work | fastconv | of limit | best of the others | | times as long |",
        "|---|--:|--:|---|--:|--:|",
    ]
    shown = [row for row in rows if not row["error"] and row["ratio"] is not None]
    for row in shown:
        peer = row["contenders"][row["peer"]]
        cells = (
            f"`{row['name']}`",
            amount(row["contenders"][OURS]["best"], row["unit"]),
            share(row),
            f"{row['peer']}{' ~' if _mark(row) == '~' else ''}",
            amount(peer["best"], row["unit"]),
            _ratio(row["ratio"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_summary(shown), "", _provenance(run)])


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table in words, so that the words cannot contradict it."""
    timed = [row for row in rows if row["unit"] == "s" and row["group"] != "process"]
    if not timed:
        return
    mean = exp(sum(log(row["ratio"]) for row in timed) / len(timed))
    behind = [f"`{row['name']}` ({_ratio(row['ratio'])})" for row in timed if row["ratio"] < 1]
    yield (
        f"Geometric mean over the best of the others: {mean:.1f}, in {len(timed)} workloads. "
        f"Behind in: {', '.join(behind) or 'none of them'}."
    )


def _provenance(run: dict[str, Any]) -> str:
    machine, versions, settings = run["machine"], run["versions"], run["settings"]
    shown = ", ".join(f"{name} {number}" for name, number in versions.items())
    workers = settings["workers"]
    text = (
        f"{machine['cpu']} ({machine['target']}), {workers} thread{'s' * (workers > 1)}, "
        f"{settings['date']}; {shown}. Measured by `{settings['command']}`. "
        "~ means that one of the two goes through a transform: accuracies differ."
    )
    if not run["trustworthy"]:
        text += "\n\n**The machine was too noisy to trust these figures.**"
    return text


def into_readme(text: str, run: dict[str, Any], rows: Sequence[Row]) -> str:
    """Return the README `text` with the table of `rows` between its two marks.

    Raises
    ------
    ValueError
        If the marks are missing.
    """
    before, opening, rest = text.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not opening or not closing:
        raise ValueError(f"README must hold {OPENING} and {CLOSING}")
    return f"{before}{opening}\n{markdown(run, rows)}\n{closing}{after}"
