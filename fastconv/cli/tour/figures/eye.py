"""Figures of step 4: the template and its answer, and the eye found twice."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastconv.cli.tour.figures.style import (
    DIVERGING,
    GREY,
    INK,
    ORANGE,
    RED,
    canvas,
    frame,
    image,
    panel,
)
from fastconv.cli.tour.picture import Picture
from fastconv.cli.tour.steps.eye import THRESHOLD, Eye, Peak

__all__ = ["template", "twice"]

_REACH = 15.5  # pixels of the map around the eye that are enlarged


def template(result: Eye) -> Figure:
    """Draw how the template is made and what it answers over the picture."""
    picture = result.picture
    found = (
        "is highest exactly on the eye" if result.found_once else "is not highest on the eye here"
    )
    figure = canvas(f"The answer of the template {found}", _height(picture, 3.72) + 0.8)
    grid = figure.add_gridspec(3, 3, width_ratios=(0.66, 1, 1))
    crop, power, taps = (figure.add_subplot(grid[k, 0]) for k in range(3))
    image(crop, picture.eye.of(picture.grey), "the eye, cut out", cmap="gray", vmin=0, vmax=255)
    image(power, result.power, "its fourth power", cmap="gray", vmin=0, vmax=1)
    largest = float(np.max(np.abs(result.template)))
    image(
        taps,
        result.template,
        "unit length, mean removed",
        cmap=DIVERGING,
        vmin=-largest,
        vmax=largest,
    )
    where, answer = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
    image(
        where, picture.grey, "framed: the eye; cross: highest answer", cmap="gray", vmin=0, vmax=255
    )
    frame(where, picture.eye, ORANGE)
    _mark(where, picture, result.once[0])
    _answer(figure, answer, picture, result.response, "the answer where the template fits")
    _ring(answer, picture, result.once[0])
    return figure


def twice(result: Eye) -> Figure:
    """Draw the picture with the copy, the rectified answer, and the heights of the peaks."""
    picture = result.picture
    title = (
        "Bias and leaky ReLU leave the eye and its copy, and nothing else"
        if result.found_twice and result.twice[-1].value < -result.bias
        else "The eye and its copy give the two highest answers"
        if result.found_twice
        else "Something in this picture answers more strongly than the eye"
    )
    figure = canvas(title, _height(picture, 3.5) + 0.8)
    grid = figure.add_gridspec(1, 3, width_ratios=(1, 1, 0.55))
    where, answer, bars = (figure.add_subplot(grid[0, k]) for k in range(3))
    image(where, result.pasted, "a copy pasted into a far corner", cmap="gray", vmin=0, vmax=1)
    for place in (picture.eye, picture.copy):
        frame(where, place, ORANGE)
    _answer(figure, answer, picture, result.feature, "leaky_relu(answer + bias)")
    _enlarge(answer, picture)
    for peak in result.twice[:2]:
        _mark(where, picture, peak)
        _ring(answer, picture, peak)

    names = [f"({peak.row}, {peak.column})" for peak in result.twice]
    values = [peak.value for peak in result.twice]
    colours = [ORANGE if peak.place in result.true_places else GREY for peak in result.twice]
    bars.bar(range(len(values)), values, width=0.62, color=colours)
    bars.axhline(-result.bias, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    bars.text(
        len(values) - 0.6,
        -result.bias,
        f"{THRESHOLD:.0%} of\nthe eye",
        fontsize=8.5,
        ha="right",
        va="bottom",
    )
    bars.set_xticks(range(len(values)), names, fontsize=8, rotation=30)
    bars.set(xlabel="window's first row, column", ylabel="answer before the bias")
    bars.set_ylim(0, max(values) * 1.08)
    bars.grid(visible=False, axis="x")
    bars.set_anchor("N")
    bars.set_box_aspect(1.7)
    panel(bars, "the three highest peaks")
    return figure


def _height(picture: Picture, width: float) -> float:
    rows, columns = picture.grey.shape
    return float(min(max(width * rows / columns, 3.2), 6.5))


def _centre(picture: Picture, peak: Peak) -> tuple[float, float]:
    """Return the column and row of the middle of the window whose corner is `peak`."""
    height, width = picture.eye.shape
    return peak.column + (width - 1) / 2, peak.row + (height - 1) / 2


def _answer(
    figure: Figure, axes: Axes, picture: Picture, values: NDArray[np.float64], title: str
) -> None:
    """Show a "valid" map where it lies in the picture: half a template inside every edge."""
    left, top = _centre(picture, Peak(0, 0, 0.0))
    rows, columns = values.shape
    largest = float(np.max(np.abs(values)))
    extent = (left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5)
    shown = image(axes, values, title, cmap=DIVERGING, vmin=-largest, vmax=largest, extent=extent)
    axes.set_xlim(-0.5, picture.grey.shape[1] - 0.5)
    axes.set_ylim(picture.grey.shape[0] - 0.5, -0.5)
    axes.set_facecolor("#f2f4f5")
    bar = figure.colorbar(shown, cax=axes.inset_axes((1.025, 0.0, 0.028, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.ax.grid(visible=False)


def _enlarge(axes: Axes, picture: Picture) -> None:
    """Show the surroundings of the eye's peak, a few pixels wide, in a free lower corner."""
    shown = axes.images[0]
    free = 0.66 if picture.copy.left < picture.eye.left else 0.02
    inset = axes.inset_axes(
        (free, 0.02, 0.32, 0.32 * picture.grey.shape[1] / picture.grey.shape[0])
    )
    image(
        inset,
        shown.get_array(),
        "",
        cmap=DIVERGING,
        clim=shown.get_clim(),
        extent=shown.get_extent(),
    )
    column, row = _centre(picture, Peak(*picture.eye.corner, 0.0))
    inset.set_xlim(column - _REACH, column + _REACH)
    inset.set_ylim(row + _REACH, row - _REACH)
    for spine in inset.spines.values():
        spine.set(color=GREY, linewidth=1.0)


def _mark(axes: Axes, picture: Picture, peak: Peak) -> None:
    place = _centre(picture, peak)
    axes.plot(*place, marker="+", markersize=13, markeredgewidth=3.2, color="white")
    axes.plot(*place, marker="+", markersize=12, markeredgewidth=1.4, color=RED)


def _ring(axes: Axes, picture: Picture, peak: Peak) -> None:
    place = _centre(picture, peak)
    axes.plot(
        *place,
        marker="o",
        markersize=16,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=1.3,
    )
    left = place[0] > picture.grey.shape[1] / 2
    axes.annotate(
        f"({peak.row}, {peak.column})",
        place,
        (-13, 0) if left else (13, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8.5,
        bbox={
            "boxstyle": "round,pad=0.25",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        },
    )
