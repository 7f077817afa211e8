"""Figures of step 1: the averages, which output belongs to which day, and what is left over."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastconv.cli.tour.figures.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    RED,
    canvas,
    dates,
    panel,
    plain,
)
from fastconv.cli.tour.steps.smoothing import LONG, SHORT, Smoothing

__all__ = ["averages", "bookkeeping", "residuals"]

_HALF = (LONG - 1) // 2


def averages(result: Smoothing) -> Figure:
    """Draw the series and both averages, with the rims where the window leaves the series."""
    series = result.series
    figure = canvas(
        f"The {LONG}-sample average keeps the trend; at the ends it sinks towards the zeros beyond",
        4.4,
    )
    axes = figure.subplots()
    days = series.days
    axes.plot(days, series.values, color="#9aa5ae", linewidth=0.9, label=f"each {series.step}")
    axes.plot(
        days, result.same[SHORT], color=ORANGE, linewidth=1.3, label=f"{SHORT}-sample average"
    )
    axes.plot(days, result.same[LONG], color=BLUE, linewidth=2.2, label=f"{LONG}-sample average")
    for edge, inner in ((0, _HALF), (-1, -1 - _HALF)):
        axes.axvspan(days[edge], days[inner], color=FAINT, alpha=0.55, linewidth=0)
    axes.plot([], [], color=FAINT, linewidth=8, label="window beyond the ends")
    axes.set(xlim=(days[0], days[-1]), ylabel=series.name, xlabel=_time_label(result))
    axes.margins(y=0.04)
    axes.yaxis.set_major_formatter(plain)
    if series.dated:
        dates(axes)
    axes.legend(loc="best")
    return figure


def bookkeeping(result: Smoothing) -> Figure:
    """Draw the three modes against their own index and against the day they belong to."""
    n = result.series.values.size
    figure = canvas(
        f"One average, three lengths: output i of full belongs to sample i - {_HALF}", 5.4
    )
    grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 1.5))
    bars = figure.add_subplot(grid[0, :])
    rows = (
        ("input", 0, n, FAINT, f"n = {n}"),
        (
            "full",
            -_HALF,
            n + LONG - 1,
            ORANGE,
            f"n + {LONG - 1} = {n + LONG - 1} outputs: the window touches the series",
        ),
        ("same", 0, n, BLUE, f"n = {n} outputs: the middle of the window is on a sample"),
        (
            "valid",
            _HALF,
            n - LONG + 1,
            INK,
            f"n - {LONG - 1} = {n - LONG + 1} outputs: the whole window is on samples",
        ),
    )
    gap = 0.006 * n
    for level, (name, start, length, colour, note) in enumerate(rows):
        bars.barh(-level, length, left=start, height=0.62, color=colour)
        shade = INK if name == "input" else "white"
        bars.text(n / 2, -level, note, ha="center", va="center", color=shade, fontsize=9)
        beyond = start + length - 1 - n
        last = f"n - {-beyond}" if beyond < 0 else f"n + {beyond}"
        bars.text(start - gap, -level, f"{start}", ha="right", va="center", fontsize=9)
        bars.text(start + length + gap, -level, last, ha="left", va="center", fontsize=9)
    bars.set_yticks([0, -1, -2, -3], [row[0] for row in rows])
    bars.set_xlim(-_HALF - 0.05 * n, n + _HALF + 0.06 * n)
    bars.grid(visible=False)
    bars.spines[["left", "bottom"]].set_visible(False)
    bars.tick_params(length=0)
    bars.set_xticks([])
    panel(bars, "the samples that the first and the last output are centred on")

    shown = min(n, 4 * LONG)
    modes = (
        ("full", result.full, ORANGE, -_HALF),
        ("same", result.same[LONG], BLUE, 0),
        ("valid", result.valid, INK, _HALF),
    )
    wrong, right = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    for width, (name, values, colour, shift) in zip((5.0, 2.6, 1.1), modes, strict=True):
        i = np.arange(values.size)
        wrong.plot(i[:shown], values[:shown], color=colour, label=name)
        keep = i + shift < shown
        centre, value = i[keep] + shift, values[keep]
        right.plot(centre, value, color=colour, lw=width, solid_capstyle="butt", label=name)
    panel(wrong, f"against the output's own index: {_HALF} samples apart")
    panel(right, "against the sample it is centred on: one curve")
    wrong.set(xlabel="output index i", ylabel=result.series.name)
    right.set(xlabel=f"sample: i - {_HALF} (full), i (same), i + {_HALF} (valid)")
    wrong.yaxis.set_major_formatter(plain)
    right.sharey(wrong)
    right.tick_params(labelleft=False)
    for axes in (wrong, right):
        axes.set_xlim(-1.5 * _HALF, shown)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.legend(loc="best")
    return figure


def residuals(result: Smoothing) -> Figure:
    """Draw what the averages leave over, and what a forgotten shift adds to it."""
    series = result.series
    spread = {width: float(np.std(values)) for width, values in result.residual.items()}
    worse = float(np.std(result.misplaced)) / max(spread[LONG], 1e-300)
    title = f"Forgetting the shift of {_HALF} samples makes the residual {worse:.1f} times as wide"
    figure = canvas(title, 4.6)
    grid = figure.add_gridspec(1, 2, width_ratios=(2.7, 1))
    axes = figure.add_subplot(grid[0, 0])
    days = series.days[_HALF : series.values.size - _HALF]
    parts = (
        (result.misplaced, RED, 0.6, f"{LONG} samples, shift forgotten"),
        (result.residual[LONG], BLUE, 1.0, f"{LONG} samples, centred"),
        (result.residual[SHORT], ORANGE, 1.0, f"{SHORT} samples, centred"),
    )
    for values, colour, alpha, label in parts:
        axes.plot(days, values, color=colour, linewidth=0.9, alpha=alpha, label=label)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(
        xlim=(days[0], days[-1]), ylabel=f"residual of {series.name}", xlabel=_time_label(result)
    )
    axes.margins(y=0.05)
    axes.yaxis.set_major_formatter(plain)
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.3, columnspacing=1.4
    )
    legend.set_in_layout(False)
    if series.dated:
        dates(axes)

    side = figure.add_subplot(grid[0, 1])
    reach = max(float(np.quantile(np.abs(values), 0.995)) for values, *_ in parts)
    for values, colour, *_ in parts:
        side.hist(
            values,
            bins=np.linspace(-reach, reach, 45).tolist(),
            histtype="step",
            color=colour,
            linewidth=1.5,
        )
    for level, (values, colour, *_) in enumerate(parts):
        note = plain(float(f"{np.std(values):.3g}"))
        side.text(
            0.98,
            0.97 - 0.065 * level,
            note,
            color=colour,
            ha="right",
            va="top",
            transform=side.transAxes,
        )
    panel(side, "spread (standard deviation)")
    side.set(xlabel="residual", ylabel=f"{series.step}s per bin")
    side.xaxis.set_major_formatter(plain)
    side.xaxis.set_major_locator(MaxNLocator(4))
    side.grid(visible=False, axis="x")
    return figure


def _time_label(result: Smoothing) -> str:
    return "" if result.series.dated else f"{result.series.step} number"
