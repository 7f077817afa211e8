"""Figure of step 2: transforms with and without zero padding."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fastconv.cli.tour.figures.style import BLUE, FAINT, INK, RED, canvas, panel, plain
from fastconv.cli.tour.steps.fourier import Fourier
from fastconv.cli.tour.steps.smoothing import LONG

__all__ = ["padding"]


def padding(result: Fourier) -> Figure:
    """Draw the average through transforms, its wrap-around, and the round-off of the padded one."""
    n = result.circular.size
    figure = canvas("Without zero padding the end of the series leaks into its beginning", 5.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.35, 1))
    start, end = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    error = figure.add_subplot(grid[1, :])

    shown = 3 * LONG
    i = np.arange(shown)
    start.axvspan(0, LONG - 2, color=FAINT, alpha=0.55, linewidth=0)
    start.plot(
        i, result.library[:shown], color=BLUE, linewidth=5, alpha=0.45, label="sliding window"
    )
    start.plot(i, result.padded[:shown], color=INK, linewidth=1.2, label="transforms, zero-padded")
    start.plot(
        i,
        result.circular[:shown],
        color=RED,
        linewidth=1.6,
        linestyle=(0, (4, 1.5)),
        label="transforms, not padded",
    )
    start.set(xlim=(0, shown - 1), xlabel="output index of full", ylabel=result.series.name)
    panel(start, f"the first {LONG - 1} outputs are wrong")

    j = np.arange(n - 2 * LONG, n + LONG - 1)
    end.axvspan(n, n + LONG - 2, color=FAINT, alpha=0.55, linewidth=0)
    end.plot(j, result.library[j], color=BLUE, linewidth=5, alpha=0.45)
    end.plot(j, result.padded[j], color=INK, linewidth=1.2)
    inside = j[j < n]
    end.plot(inside, result.circular[inside], color=RED, linewidth=1.6, linestyle=(0, (4, 1.5)))
    end.set(xlim=(j[0], j[-1]), xlabel="output index of full")
    for axes in (start, end):
        axes.yaxis.set_major_formatter(plain)
    panel(end, f"the {LONG - 1} beyond the end are what was added there")

    # Dots: a difference of exactly zero has no place on a logarithmic axis and leaves a gap.
    parts = ((result.wrapped, RED), (result.padded - result.library, INK))
    for difference, colour in parts:
        size = np.where(difference == 0, np.nan, np.abs(difference))
        error.semilogy(np.arange(size.size), size, ".", color=colour, markersize=2.2)
    error.set(
        xlim=(0, result.library.size - 1),
        xlabel="output index of full",
        ylabel="difference from\nthe sliding window",
    )
    panel(
        error, f"padded, the largest difference is {result.error:.1g}: round-off, and nothing else"
    )
    error.legend(
        *start.get_legend_handles_labels(), loc="center", ncols=3, bbox_to_anchor=(0.5, 0.62)
    )
    return figure
