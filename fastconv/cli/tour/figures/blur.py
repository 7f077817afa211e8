"""Figure of step 3: ever wider boxes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fastconv.cli.tour.figures.style import GREY, canvas, image
from fastconv.cli.tour.steps.blur import WIDTHS, Blur

__all__ = ["boxes"]


def boxes(result: Blur) -> Figure:
    """Draw the sharp and the four blurred pictures, grey above, colour below."""
    left = result.contrast[WIDTHS[-1]]
    height, width = result.picture.grey.shape
    title = (
        f"A {WIDTHS[-1]} x {WIDTHS[-1]} box keeps {left:.0%} of the contrast and none of the detail"
    )
    each = 10.0 / (len(WIDTHS) + 1) * height / width
    figure = canvas(title, 2 * each + 1.0)
    panels = figure.subplots(2, len(WIDTHS) + 1)
    image(panels[0, 0], result.picture.grey, "sharp, grey", cmap="gray", vmin=0, vmax=255)
    image(panels[1, 0], result.picture.colour, "sharp, colour")
    for column, box in enumerate(WIDTHS, 1):
        grey = np.clip(result.grey[box], 0, 1)
        image(panels[0, column], grey, f"{box} x {box}", cmap="gray", vmin=0, vmax=1)
        panels[0, column].set_xlabel(f"contrast {result.contrast[box]:.0%}", color=GREY, fontsize=9)
        image(panels[1, column], np.clip(result.colour[box], 0, 1), f"{box} x {box}")
    return figure
