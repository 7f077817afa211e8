"""Figure of step 6: the time of every step beside NumPy's and SciPy's."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fastconv.cli.tour.figures.style import BLUE, FAINT, GREY, INK, ORANGE, canvas
from fastconv.cli.tour.timing import Race
from fastconv.cli.tour.units import duration

__all__ = ["times"]


def times(races: Sequence[Race]) -> Figure:
    """Draw every contender of every race on one logarithmic axis."""
    ahead = sum(r.ratio >= 1.0 for r in races)
    figure = canvas(
        f"fastconv is the quickest in {ahead} of {len(races)} races of this run",
        0.52 * len(races) + 1.6,
    )
    axes = figure.subplots()
    groups = (("numpy", "NumPy's best", GREY), ("scipy", "SciPy's best", ORANGE))
    for row, contest in enumerate(races):
        ends = [contest.ours]
        for family, _, colour in groups:
            best = contest.best(family)
            if best is not None:
                ends.append(best[1])
                axes.plot(best[1], row, "o", color=colour, markersize=8)
        axes.plot(
            [min(ends), max(ends)],
            [row, row],
            color=FAINT,
            linewidth=3,
            zorder=0.9,
            solid_capstyle="round",
        )
        axes.plot(contest.ours, row, "D", color=BLUE, markersize=8, zorder=3)
    axes.plot([], [], "D", color=BLUE, markersize=8, label="fastconv")
    for _, label, colour in groups:
        axes.plot([], [], "o", color=colour, markersize=8, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axes.set_yticks(range(len(races)), [f"{r.step[3:]}\n{r.work}" for r in races], fontsize=8.5)
    axes.set_ylim(len(races) - 0.4, -0.6)
    axes.set_xlabel("time of one call (logarithmic; further left is quicker)")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, labelcolor=INK)
    return figure
