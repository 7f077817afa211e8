"""Figure of step 5: padding, stride and max-pooling on the map of answers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastconv.cli.tour.figures.style import BLUE, DIVERGING, GREY, INK, ORANGE, canvas, frame, image
from fastconv.cli.tour.picture import Rectangle
from fastconv.cli.tour.steps.feature_map import STRIDE, FeatureMap

__all__ = ["shrinking"]

_REACH = 3  # blocks shown on each side of the peak's own


def shrinking(result: FeatureMap) -> Figure:
    """Draw the padded, strided and pooled maps, and the three samplings of one peak."""
    title = (
        f"Stride {STRIDE} meets {result.kept:.0%} of the eye's answer; max-pooling keeps all of it"
        if result.kept < 0.995
        else f"Here stride {STRIDE} happens to meet the eye; max-pooling always would"
    )
    figure = canvas(title, 7.0)
    panels = figure.subplots(2, 3, height_ratios=(1.15, 1))
    valid = result.eye.feature
    largest = float(np.max(np.abs(valid)))
    options = {"cmap": DIVERGING, "vmin": -largest, "vmax": largest}

    rows, columns = result.full.shape
    image(panels[0, 0], result.full, f"padding: full is {rows} x {columns}", **options)
    same = Rectangle(0, *_stop(result.eye.pasted.shape)).moved(*result.same_offset)
    inner = Rectangle(0, *_stop(valid.shape)).moved(*result.valid_offset)
    names = []
    for place, name, colour in ((same, "same", BLUE), (inner, "valid", INK)):
        frame(panels[0, 0], place, colour, linewidth=1.4)
        names.append(f"{name} {place.shape[0]} x {place.shape[1]}")
    panels[0, 0].set_xlabel(f"blue: {names[0]}; black: {names[1]}", color=GREY, fontsize=9)
    extent = (-0.5, valid.shape[1] - 0.5, valid.shape[0] - 0.5, -0.5)
    for axes, values, name in (
        (panels[0, 1], result.strided, f"stride {STRIDE}"),
        (panels[0, 2], result.pooled, f"max-pooling {STRIDE} x {STRIDE}"),
    ):
        image(
            axes, values, f"{name}: {values.shape[0]} x {values.shape[1]}", extent=extent, **options
        )
        for peak in result.eye.twice[:2]:
            axes.plot(
                peak.column,
                peak.row,
                "o",
                markersize=15,
                markerfacecolor="none",
                markeredgecolor=INK,
            )

    corner = result.eye.picture.eye.corner
    top, left = ((k // STRIDE) * STRIDE for k in corner)
    zoomed = (
        (panels[1, 0], valid, "every output around the eye"),
        (panels[1, 1], _blocks(result.strided, valid.shape), "the outputs stride computes (dots)"),
        (panels[1, 2], _blocks(result.pooled, valid.shape), "the largest of each block"),
    )
    for axes, values, name in zoomed:
        image(axes, values, name, **options)
        _zoom(axes, top, left, valid.shape)
        axes.plot(corner[1], corner[0], "+", markersize=12, markeredgewidth=1.4, color=INK)
    panels[1, 0].set_xlabel(
        f"the eye: row {corner[0]}, column {corner[1]}, value {valid[corner]:.3g}",
        color=GREY,
        fontsize=9,
    )
    i, j = top // STRIDE, left // STRIDE
    for axes, values in ((panels[1, 1], result.strided), (panels[1, 2], result.pooled)):
        if i < values.shape[0] and j < values.shape[1]:
            axes.set_xlabel(f"the eye's block: {values[i, j]:.3g}", color=GREY, fontsize=9)
    dots = np.mgrid[0 : valid.shape[0] : STRIDE, 0 : valid.shape[1] : STRIDE].reshape(2, -1)
    panels[1, 1].plot(dots[1], dots[0], ".", color=ORANGE, markersize=4, clip_on=True)
    return figure


def _stop(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return shape[0], 0, shape[1]


def _blocks(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    spread = np.full(shape, np.nan)
    grown = np.kron(values, np.ones((STRIDE, STRIDE)))[: shape[0], : shape[1]]
    spread[: grown.shape[0], : grown.shape[1]] = grown
    return spread


def _zoom(axes: Axes, top: int, left: int, shape: tuple[int, ...]) -> None:
    span = (2 * _REACH + 1) * STRIDE
    row = min(max(top - _REACH * STRIDE, 0), max(shape[0] - span, 0))
    column = min(max(left - _REACH * STRIDE, 0), max(shape[1] - span, 0))
    axes.set_xlim(column - 0.5, column + span - 0.5)
    axes.set_ylim(row + span - 0.5, row - 0.5)
