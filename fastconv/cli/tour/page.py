"""The page: one self-contained HTML file, figures and style included, to be sent to a colleague."""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterable, Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fastconv
from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.checks import Check
from fastconv.cli.tour.text import Section, opening, sections
from fastconv.cli.tour.timing import Race
from fastconv.cli.tour.units import duration, ratio

__all__ = ["write_page"]


def write_page(path: Path, chapter: Chapter, figures: Mapping[str, Path], command: str) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        The HTML file to write.
    chapter : Chapter
        What the tour found.
    figures : mapping of str to Path
        The PNG files by their name in the album; they are embedded.
    command : str
        How to make the page again.
    """
    parts = list(sections(chapter))
    body = "\n".join(
        _section(number, part, chapter, figures) for number, part in enumerate(parts, 1)
    )
    links = "".join(f'<a href="#s{i}">{i}&ensp;{part.title}</a>' for i, part in enumerate(parts, 1))
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    title = "Convolution, walked through on real data"
    html = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<p class="kicker">fastconv tour</p>
<h1>{title}</h1>
{_paragraphs(opening(chapter))}
</header>
<nav>{links}</nav>
{body}
<footer><p>Made by <code>{escape(command)}</code> with {_versions()}.</p></footer>
</main>
</body>
</html>
"""
    path.write_text(html, encoding="utf-8")


def _section(number: int, part: Section, chapter: Chapter, figures: Mapping[str, Path]) -> str:
    blocks = []
    for block in part.blocks:
        if block in figures:
            blocks.append(_figure(figures[block], part.captions[block]))
        elif block == "times":
            blocks.append(_times(chapter.races))
        else:
            blocks.append(_paragraphs([block]))
    if part.checks:
        blocks.append(_checks(part.checks))
    body = "\n".join(blocks)
    return (
        f'<section id="s{number}">\n<h2><span>{number}</span>{part.title}</h2>\n{body}\n</section>'
    )


def _paragraphs(blocks: Iterable[str]) -> str:
    return "\n".join(block if block.startswith("<") else f"<p>{block}</p>" for block in blocks)


def _figure(file: Path, caption: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    alt = escape(file.stem.split("-", 1)[1].replace("-", " "))
    picture = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _checks(checks: tuple[Check, ...]) -> str:
    rows = "".join(
        f"<tr><td>{escape(check.what)}</td>"
        f'<td class="n">{_size(check.error)}</td><td class="n">{_size(check.bound)}</td></tr>'
        for check in checks
    )
    head = (
        "<tr><th>what was compared</th>"
        '<th class="n">largest difference</th><th class="n">allowed</th></tr>'
    )
    return (
        f"<details><summary>{len(checks)} checks held while this section was computed</summary>"
        f'<div class="wide"><table>{head}{rows}</table></div></details>'
    )


def _size(difference: float) -> str:
    return f"{difference:.1e}" if difference else "none"


def _times(races: tuple[Race, ...]) -> str:
    rows = "".join(_time_row(contest) for contest in races)
    head = "".join(
        f'<th class="{css}">{name}</th>'
        for name, css in (
            ("what", "what"),
            ("path, and why", "why"),
            ("fastconv", "n"),
            ("NumPy\N{RIGHT SINGLE QUOTATION MARK}s best", "n"),
            ("SciPy\N{RIGHT SINGLE QUOTATION MARK}s best", "n"),
            ("ratio", "n"),
        )
    )
    tables = "".join(
        f"<p>{escape(r.step[3:])}: {escape(r.work)}</p><pre>{escape(r.table)}</pre>"
        for r in races
        if r.table
    )
    return (
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
        "<details><summary>What the planner weighed: its table of paths for each row</summary>"
        f"{tables}</details>"
    )


def _time_row(contest: Race) -> str:
    ahead = "n ahead" if contest.ratio >= 1.0 else "n"
    return (
        f"<tr><td>{escape(contest.step[3:])}<small>{escape(contest.work)}</small></td>"
        f"<td>{escape(contest.chosen)}<small>{escape(contest.reason)}</small></td>"
        f'<td class="n">{duration(contest.ours)}</td>'
        f"{_peers(contest, 'numpy')}{_peers(contest, 'scipy')}"
        f'<td class="{ahead}">{ratio(contest.ratio)}</td></tr>'
    )


def _peers(contest: Race, family: str) -> str:
    """Return a cell with the best of a family, and the others small below it."""
    rows = contest.of(family)
    if not rows:
        return '<td class="n">\N{EN DASH}</td>'
    (name, seconds), *others = rows
    lines = [escape(name), *(f"{escape(other)} {duration(time)}" for other, time in others)]
    small = "".join(f"<small>{line.split('.', 1)[-1]}</small>" for line in lines)
    return f'<td class="n">{duration(seconds)}{small}</td>'


def _versions() -> str:
    names = [f"fastconv {fastconv.__version__}"]
    for package in ("numpy", "scipy", "numba", "matplotlib"):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(package)
    names.append(f"{platform.system()} on {platform.machine()}")
    return f"Python {platform.python_version()}, {', '.join(names)}"
