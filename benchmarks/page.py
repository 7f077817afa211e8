"""A run as one self-contained HTML page: verdict, figures, and a table for each group."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import exp, log
from typing import Any

from .families import OURS
from .report import amount, disturbed, share, verdict
from .workloads import GROUPS

__all__ = ["page"]

Row = dict[str, Any]

_STYLE = """
main { max-width: 1120px; }
.cards { display: flex; flex-wrap: wrap; gap: 14px; margin: 0 0 26px; }
.cards div { flex: 1 1 150px; padding: 14px 18px; background: #eff3f5; border-radius: 8px; }
.cards b { display: block; font-size: 27px; line-height: 1.2; }
.cards span { color: var(--soft); font-size: 14px; }
figure svg { display: block; width: 100%; height: auto; border: 1px solid var(--line);
  border-radius: 6px; }
td.bar { min-width: 120px; }
td.bar i { display: block; height: 10px; margin-top: 5px; border-radius: 3px;
  background: var(--blue); }
td.bar i.behind { background: var(--orange); }
td.behind { color: var(--orange); font-weight: 600; }
td details { margin: 0; font-size: 13px; }
.warning { padding: 12px 18px; background: #fbf1e6; border-left: 3px solid var(--orange); }
"""
# A bar is full at this ratio.
_FULL = 32.0


def page(run: dict[str, Any], rows: Sequence[Row]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    run : dict
        What ``bench --json`` writes.
    rows : sequence of dict
        Those of its rows to show.
    """
    machine, settings = run["machine"], run["settings"]
    style = files("fastconv.cli.tour").joinpath("page.css").read_text(encoding="utf-8")
    groups = {row["group"]: GROUPS.get(row["group"], (row["group"],))[0] for row in rows}
    links = "".join(f'<a href="#{g}">{escape(title)}</a>' for g, title in groups.items())
    tables = "\n".join(
        f'<section id="{g}"><h2>{escape(title)}</h2>{_table([r for r in rows if r["group"] == g])}'
        "</section>"
        for g, title in groups.items()
    )
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    words = "".join(f'<p class="warning">{escape(w)}</p>' for w in verdict(rows).splitlines())
    threads = f"{settings['workers']} thread{'s' * (settings['workers'] > 1)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fastconv on {escape(machine["cpu"])}</title>
<style>
{style}{_STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kicker">fastconv bench</p>
<h1>Convolution on {escape(machine["cpu"])}</h1>
<p>{machine["cpus"]} CPUs, kernels for {escape(machine["target"])}, {threads},
{escape(settings["date"])}. All contenders took turns in one process; the quickest turn of each
counts, and every answer was checked first.</p>
</header>
{_cards(rows)}
{words}
<nav>{links}</nav>
{_figures(run, rows)}
{tables}
<footer><p>Made by <code>{escape(settings["command"])}</code> with {escape(versions)}.</p></footer>
</main>
</body>
</html>
"""


def _cards(rows: Sequence[Row]) -> str:
    ratios = [row["ratio"] for row in rows if row["ratio"]]
    shares = [row["share"] for row in rows if row.get("share") and row["bound"] == "FMA"]
    cards = [
        (str(len(rows)), "workloads"),
        (f"{sum(r >= 1 for r in ratios)} of {len(ratios)}", "at least as fast as the best other"),
    ]
    if ratios:
        mean = exp(sum(map(log, ratios)) / len(ratios))
        cards.append((f"{mean:.1f}\N{MULTIPLICATION SIGN}", "geometric mean over the best other"))
    if shares:
        cards.append((f"{max(shares):.0%}", "of the FMA peak, at best"))
    boxes = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for value, name in cards)
    return f'<div class="cards">{boxes}</div>'


def _figures(run: dict[str, Any], rows: Sequence[Row]) -> str:
    try:
        from .figures import FIGURES, svg
    except ImportError:
        return '<p class="warning">Figures need matplotlib: pip install "fastconv[tour]".</p>'
    drawn = []
    for draw, caption in FIGURES.values():
        figure = draw(run, rows)
        if figure is not None:
            drawn.append(
                f"<figure>{svg(figure)}<figcaption>{escape(caption)}</figcaption></figure>"
            )
    return "\n".join(drawn)


def _table(rows: Sequence[Row]) -> str:
    head = (
        "<tr><th>work</th><th class='n'>fastconv</th><th>path</th><th class='n'>of limit</th>"
        "<th>best other</th><th class='n'>its time</th><th class='n'>ratio</th><th></th></tr>"
    )
    return f'<div class="wide"><table>{head}{"".join(map(_row, rows))}</table></div>'


def _row(row: Row) -> str:
    ours, peer = row["contenders"][OURS], row["contenders"].get(row["peer"], {})
    ratio = row["ratio"]
    side = "ahead" if ratio and ratio >= 1 else "behind"
    width = min(1.0, log(max(ratio, 1.02)) / log(_FULL)) if ratio else 0.0
    bar = f'<i class="{side}" style="width:{max(width, 0.03):.0%}"></i>' if ratio else ""
    note = " (noisy)" if disturbed(row) else ""
    time = escape(row["error"]) or amount(ours["best"], row["unit"]) + note
    return (
        f"<tr><td>{escape(row['name'])}{_everyone(row)}</td><td class='n'>{time}</td>"
        f"<td>{escape(row.get('path') or '')}</td><td class='n'>{share(row)}</td>"
        f"<td>{escape(row['peer'] or '')}</td>"
        f"<td class='n'>{amount(peer['best'], row['unit']) if peer else ''}</td>"
        f'<td class="n {side}">{f"{ratio:.2f}" if ratio else ""}</td>'
        f'<td class="bar">{bar}</td></tr>'
    )


def _everyone(row: Row) -> str:
    lines = []
    for name, contender in row["contenders"].items():
        if name != OURS:
            time = amount(contender["best"], row["unit"]) if "best" in contender else "no time"
            what = contender["error"] or contender["accuracy"]
            lines.append(f"{escape(name)}: {time} {escape(what)}".rstrip())
    lines += [f"{escape(n)}: skipped, {escape(why)}" for n, why in row.get("skipped", {}).items()]
    if not lines:
        return ""
    return f"<details><summary>all contenders</summary>{'<br>'.join(lines)}</details>"
