"""The figures of a run: crossover curves, the roofline, and a map of speed-ups over n and k."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from fastconv.cli.tour.figures.style import BLUE, DIVERGING, GREY, INK, ORANGE, RED, drawing

from .families import OURS

__all__ = ["FIGURES", "regret_curves", "svg"]

Row = dict[str, Any]

_SIGNAL = re.compile(r"1d/(?P<dtype>f64|f32)/n=(?P<n>[\de]+)/k=(?P<k>[\de]+)$")
_COLOURS = {"direct": BLUE, "fused": ORANGE, "overlap_save": RED, "fft": "#7a5195"}


def _signals(rows: Sequence[Row]) -> list[tuple[str, int, int, Row]]:
    """Return (dtype, n, k, row) of the plain 1-D workloads."""
    found = []
    for row in rows:
        match = _SIGNAL.match(row["name"])
        if match and "best" in row["contenders"][OURS]:
            found.append((match["dtype"], int(float(match["n"])), int(float(match["k"])), row))
    return found


def crossover(run: dict[str, Any], rows: Sequence[Row]) -> Figure | None:
    """Draw nanoseconds per output over the filter's length, a line for each of our paths."""
    signals = _signals(rows)
    panels = []
    for dtype in ("f64", "f32"):
        lengths = [n for d, n, k, _ in signals if d == dtype and 1 < k < n]
        if lengths:
            panels.append((dtype, max(set(lengths), key=lambda n: (lengths.count(n), n))))
    if not panels or max(_taps(signals, *panel) for panel in panels) < 3:
        return None
    with drawing():
        figure = Figure(figsize=(9.2, 3.7), layout="constrained")
        for i, (dtype, n) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), i + 1)
            lines: dict[str, list[tuple[int, float]]] = {}
            for d, m, k, row in signals:
                if (d, m) == (dtype, n):
                    for name, contender in row["contenders"].items():
                        if "best" in contender:
                            line = lines.setdefault(_line_of(name, row), [])
                            line.append((k, contender["best"] / n * 1e9))
            for name, points in sorted(lines.items()):
                if name in _COLOURS or name in ("chosen", "best peer"):
                    _draw_line(axes, name, sorted(points))
            axes.set(xscale="log", yscale="log", xlabel="taps", title=f"{dtype}, n = {n:,}")
            if i == 0:
                axes.set_ylabel("ns per output")
                axes.legend(fontsize=8.5)
        return figure


def _taps(signals: Sequence[tuple[str, int, int, Row]], dtype: str, n: int) -> int:
    return sum((d, m) == (dtype, n) for d, m, _, _ in signals)


def _line_of(name: str, row: Row) -> str:
    if name == OURS:
        return "chosen"
    if name == row["peer"]:
        return "best peer"
    return name[len(OURS) + 1 : -1] if name.startswith(f"{OURS}[") else ""


def _draw_line(axes: Any, name: str, points: list[tuple[int, float]]) -> None:
    taps, times = zip(*points, strict=True)
    if name == "chosen":
        axes.plot(taps, times, "o", color=INK, markersize=6, fillstyle="none", label="auto takes")
    elif name == "best peer":
        axes.plot(taps, times, "--", color=GREY, label="best peer")
    else:
        axes.plot(taps, times, ".-", color=_COLOURS[name], label=name)


def roofline(run: dict[str, Any], rows: Sequence[Row]) -> Figure | None:
    """Draw what each workload reaches under the machine's roof."""
    limits = run["machine"].get("limits")
    if not limits:
        return None
    points = [
        (row["flops"] / row["bytes_moved"], row["flops"] / row["contenders"][OURS]["best"], row)
        for row in rows
        if row.get("share") and row["accuracy"] != "normwise"
    ]
    if len(points) < 3:
        return None
    with drawing():
        figure = Figure(figsize=(9.2, 4.3), layout="constrained")
        axes = figure.add_subplot()
        intensities = [p[0] for p in points]
        x = np.geomspace(min(intensities) / 2, max(max(intensities) * 2, 40), 200)
        top = max(limits["flops"].values())
        for level in limits["levels"]:
            y = np.minimum(x * level["bytes_per_second"], top)
            axes.plot(x, y, color=GREY, linewidth=1)
            label = f"{level['name']} {level['bytes_per_second'] / 1e9:.0f} GB/s"
            axes.annotate(
                label, (x[0], y[0]), (2, 3), textcoords="offset points", color=GREY, fontsize=8
            )
        for dtype, flops in limits["flops"].items():
            axes.axhline(flops, color=INK, linewidth=1, linestyle=(0, (4, 2)))
            axes.annotate(
                f"{dtype} {flops / 1e9:.0f} GFLOP/s", (x[-1], flops), (-4, 3),
                textcoords="offset points", ha="right", fontsize=8,
            )  # fmt: skip
        for wide, colour in (("float64", BLUE), ("float32", ORANGE), ("", GREY)):
            chosen = [p for p in points if _width(p[2]["dtype"]) == wide]
            if chosen:
                name = wide or "integers"
                axes.plot(*zip(*[p[:2] for p in chosen], strict=True), "o", color=colour,
                          markersize=5, alpha=0.8, label=name)  # fmt: skip
        axes.set(
            xscale="log", yscale="log", xlabel="flops per byte moved (of the definition)",
            ylabel="flops per second", title="Direct paths under the roof of one core",
        )  # fmt: skip
        axes.legend(loc="lower right", fontsize=8.5)
        return figure


def _width(dtype: str) -> str:
    real = {"complex128": "float64", "complex64": "float32"}.get(dtype, dtype)
    return real if real.startswith("float") else ""


def speed_up(run: dict[str, Any], rows: Sequence[Row]) -> Figure | None:
    """Draw how many times as long the best peer takes, over n and k."""
    cells = {
        dtype: {(n, k): row["ratio"] for d, n, k, row in _signals(rows) if d == dtype}
        for dtype in ("f64", "f32")
    }
    cells = {
        dtype: {at: ratio for at, ratio in found.items() if ratio} for dtype, found in cells.items()
    }
    shown = [dtype for dtype, found in cells.items() if len(found) >= 6]
    if not shown:
        return None
    with drawing():
        rows_of_map = max(len({n for n, _ in cells[d]}) for d in shown)
        figure = Figure(figsize=(9.2, 1.6 + 0.34 * rows_of_map), layout="constrained")
        for i, dtype in enumerate(shown):
            axes = figure.add_subplot(1, len(shown), i + 1)
            _map(axes, cells[dtype])
            axes.set(xlabel="taps", title=f"{dtype}: times as long as fastconv")
            if i == 0:
                axes.set_ylabel("samples")
        return figure


def _map(axes: Any, cells: dict[tuple[int, int], float]) -> None:
    lengths, taps = sorted({n for n, _ in cells}), sorted({k for _, k in cells})
    values = np.full((len(lengths), len(taps)), np.nan)
    for (n, k), ratio in cells.items():
        values[lengths.index(n), taps.index(k)] = np.log2(ratio)
    axes.imshow(
        values, cmap=DIVERGING.reversed(), norm=TwoSlopeNorm(0, -4.5, 4.5), aspect="auto",
        origin="lower",
    )  # fmt: skip
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{2**value:.1f}" if value < 3.3 else f"{2**value:.0f}"
            light = abs(value) > 3
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5,
                      color="white" if light else INK)  # fmt: skip
    axes.set_xticks(range(len(taps)), [_short(k) for k in taps], rotation=90, fontsize=7)
    axes.set_yticks(range(len(lengths)), [_short(n) for n in lengths], fontsize=7)
    axes.grid(False)


def _short(n: int) -> str:
    return f"1e{len(str(n)) - 1}" if n >= 1000 and set(str(n)[1:]) == {"0"} else str(n)


def regret_curves(runs: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the share of cells whose chosen path takes at most so many times the best one's time."""
    with drawing():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for (name, regrets), colour in zip(runs.items(), (BLUE, ORANGE, RED, GREY), strict=False):
            share = (np.arange(len(regrets)) + 1) / len(regrets)
            axes.step(np.sort(regrets), share, where="post", color=colour, label=name)
        axes.axvline(1.15, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        axes.axhline(0.95, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        axes.set(
            xlim=(0.98, 2), ylim=(0.5, 1.01), ylabel="share of cells",
            xlabel="time of the chosen path over the best one's", title="What choices cost",
        )  # fmt: skip
        axes.legend(loc="lower right")
        return figure


# By name: what draws it, and what it shows.
FIGURES: dict[str, tuple[Callable[[dict[str, Any], Sequence[Row]], Figure | None], str]] = {
    "speed-up": (speed_up, "How many times as long the fastest other library takes. 1 is a draw."),
    "crossover": (
        crossover,
        "Where transforms overtake direct loops, and what the planner takes (circles).",
    ),
    "roofline": (
        roofline,
        "Each dot is a workload that a direct path answered, at its definition's flops; lines are "
        "what this machine's FMA units and memory levels gave just before the run.",
    ),
}


def svg(figure: Figure) -> str:
    """Return a figure as the text of an SVG element, the same for the same figures."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "fastconv", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
