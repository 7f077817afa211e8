"""One look for all figures: few colours, quiet axes, a title that says the finding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Patch

from fastconv.cli.tour.picture import Rectangle

__all__ = [
    "BLUE",
    "DIVERGING",
    "FAINT",
    "GREY",
    "INK",
    "ORANGE",
    "RED",
    "canvas",
    "dates",
    "drawing",
    "frame",
    "image",
    "panel",
    "plain",
]

INK, GREY, FAINT = "#22303c", "#7b8894", "#d5dbe0"
BLUE, ORANGE, RED = "#1f6f8b", "#d9822b", "#b8323a"

# Blue holds down, white is nothing, orange answers.
DIVERGING = LinearSegmentedColormap.from_list(
    "tour", ["#0d3b4f", "#1f6f8b", "#9cc4d0", "#ffffff", "#f3c48f", "#d9822b", "#8a3d09"]
)

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ecef",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "image.interpolation": "antialiased",
    "axes.formatter.useoffset": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw within this block in the tour's style; matplotlib's settings come back after it."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(_STYLE)
        yield


def canvas(title: str, height: float) -> Figure:
    """Return an empty figure 10 inches wide whose title says the finding."""
    figure = Figure(figsize=(10.0, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.05)  # type: ignore[union-attr, call-arg]
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def panel(axes: Axes, title: str) -> None:
    """Give a panel its own small title."""
    axes.set_title(title, color=INK)


def plain(value: float, _: object = None) -> str:
    """Write a number without an exponent, thousands apart: the tick format of every data axis."""
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def dates(axes: Axes) -> None:
    """Label a time axis shortly: years, and months between them."""
    locator = cast(Any, AutoDateLocator)()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(cast(Any, ConciseDateFormatter)(locator))


def image(axes: Axes, pixels: Any, title: str, **options: Any) -> Any:
    """Show pixels without ticks or grid."""
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT)
    panel(axes, title)
    axes.set_anchor("N")
    return axes.imshow(pixels, **options)


def frame(axes: Axes, place: Rectangle, colour: str, **options: Any) -> None:
    """Outline a rectangle of pixels."""
    height, width = place.shape
    options = {"linewidth": 2.0, **options}
    axes.add_patch(
        Patch(
            (place.left - 0.5, place.top - 0.5),
            width,
            height,
            fill=False,
            edgecolor=colour,
            **options,
        )
    )
