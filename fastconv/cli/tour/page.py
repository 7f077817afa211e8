"""The page: one self-contained HTML file, figures and style included, to be sent to a colleague."""

from __future__ import annotations

import base64
import platform
import textwrap
from collections.abc import Iterable, Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.checks import Check
from fastconv.cli.tour.text import Section, opening, sections
from fastconv.cli.tour.timing import Race
from fastconv.cli.tour.units import duration, ratio

__all__ = ["write_page"]

_STYLE = """
:root { --ink: #22303c; --soft: #566573; --line: #e1e6ea; --blue: #1f6f8b; --orange: #d9822b; --paper: #ffffff; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f7; color: var(--ink);
  font: 17px/1.62 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 0 28px 64px; background: var(--paper); }
header { padding: 64px 0 20px; }
header p.kicker { margin: 0 0 6px; color: var(--blue); font-weight: 600; letter-spacing: .04em; }
h1 { margin: 0 0 18px; font-size: 42px; line-height: 1.15; letter-spacing: -.015em; }
h2 { margin: 0 0 12px; font-size: 27px; line-height: 1.25; letter-spacing: -.01em; }
h2 span { color: var(--blue); margin-right: .45em; }
section { padding: 40px 0 8px; border-top: 1px solid var(--line); }
p, ul { margin: 0 0 16px; max-width: 44em; }
header p { font-size: 19px; }
nav { display: flex; flex-wrap: wrap; gap: 8px 22px; padding: 14px 0 34px; font-size: 15px; }
a { color: var(--blue); text-decoration: none; } a:hover { text-decoration: underline; }
p.formula { margin: 4px 0 20px; padding: 12px 18px; border-left: 3px solid var(--orange); background: #fbf7f1;
  font: italic 19px/1.5 "Iowan Old Style", Georgia, "DejaVu Serif", serif; max-width: none; overflow-x: auto; }
code { font: .88em ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; background: #eff3f5;
  padding: .1em .35em; border-radius: 4px; }
figure { margin: 26px 0 34px; }
figure img { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
figcaption { margin-top: 10px; color: var(--soft); font-size: 15px; line-height: 1.5; max-width: 52em; }
.wide { overflow-x: auto; margin: 0 0 24px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 2px solid var(--line); }
th, td { padding: 8px 14px 8px 0; vertical-align: top; } td { border-bottom: 1px solid var(--line); }
td small { display: block; color: var(--soft); font-size: 12.5px; } .n { text-align: right; white-space: nowrap; }
td.ahead { color: var(--blue); font-weight: 600; }
details { margin: 0 0 14px; font-size: 15px; } summary { cursor: pointer; color: var(--blue); }
pre { overflow-x: auto; padding: 14px 18px; background: #eff3f5; border-radius: 6px;
  font: 12.5px/1.5 ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; }
footer { padding: 26px 0 0; border-top: 1px solid var(--line); color: var(--soft); font-size: 14px; }
@media (max-width: 640px) { h1 { font-size: 31px; } main { padding: 0 16px 40px; } header { padding-top: 36px; } }
@media print { body { background: white; } figure, table { break-inside: avoid; } }
"""


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
    title = "Convolution, walked through on real data"
    html = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
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
    return "\n".join(
        block if block.startswith("<") else f"<p>{textwrap.dedent(block)}</p>" for block in blocks
    )


def _figure(file: Path, caption: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    alt = escape(file.stem.split("-", 1)[1].replace("-", " "))
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'


def _checks(checks: tuple[Check, ...]) -> str:
    rows = "".join(
        f'<tr><td>{escape(c.what)}</td><td class="n">{c.error:.1e}</td><td class="n">{c.bound:.1e}</td></tr>'
        for c in checks
    )
    head = '<tr><th>what was compared</th><th class="n">largest difference</th><th class="n">allowed</th></tr>'
    return (
        f"<details><summary>{len(checks)} checks held while this section was computed</summary>"
        f'<div class="wide"><table>{head}{rows}</table></div></details>'
    )


def _times(races: tuple[Race, ...]) -> str:
    rows = "".join(_time_row(contest) for contest in races)
    head = "".join(
        f'<th class="{css}">{name}</th>'
        for name, css in (
            ("what", ""),
            ("path, and why", ""),
            ("fastconv", "n"),
            ("NumPy\N{RIGHT SINGLE QUOTATION MARK}s best", "n"),
            ("SciPy\N{RIGHT SINGLE QUOTATION MARK}s best", "n"),
            ("fastest other / ours", "n"),
        )
    )
    tables = "".join(
        f"<p>{escape(r.step[3:])}: {escape(r.work)}</p><pre>{escape(r.table)}</pre>"
        for r in races
        if r.table
    )
    return (
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
        f"<details><summary>What the planner weighed: its table of paths for each row</summary>{tables}</details>"
    )


def _time_row(contest: Race) -> str:
    cells = []
    for family in ("numpy", "scipy"):
        best = contest.best(family)
        text = (
            "\N{EN DASH}"
            if best is None
            else f"{duration(best[1])}<small>{escape(best[0])}</small>"
        )
        cells.append(f'<td class="n">{text}</td>')
    ahead = "n ahead" if contest.ratio >= 1.0 else "n"
    return (
        f"<tr><td>{escape(contest.step[3:])}<small>{escape(contest.work)}</small></td>"
        f"<td>{escape(contest.chosen)}<small>{escape(contest.reason)}</small></td>"
        f'<td class="n">{duration(contest.ours)}</td>{"".join(cells)}<td class="{ahead}">{ratio(contest.ratio)}</td></tr>'
    )


def _versions() -> str:
    names = []
    for package in ("fastconv", "numpy", "scipy", "numba", "matplotlib"):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(package)
    return f"Python {platform.python_version()}, {', '.join(names)}, {platform.system()} on {platform.machine()}"
