"""The table of figures: a file name, and the function that draws it from the chapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.figures.blur import boxes
from fastconv.cli.tour.figures.eye import template, twice
from fastconv.cli.tour.figures.feature_map import shrinking
from fastconv.cli.tour.figures.fourier import padding
from fastconv.cli.tour.figures.smoothing import averages, bookkeeping, residuals
from fastconv.cli.tour.figures.style import drawing
from fastconv.cli.tour.figures.times import times

__all__ = ["ALBUM", "draw"]

ALBUM: dict[str, Callable[[Chapter], Figure]] = {
    "1-moving-averages": lambda chapter: averages(chapter.smoothing),
    "1-shift": lambda chapter: bookkeeping(chapter.smoothing),
    "1-residuals": lambda chapter: residuals(chapter.smoothing),
    "2-zero-padding": lambda chapter: padding(chapter.fourier),
    "3-box-blurs": lambda chapter: boxes(chapter.blur),
    "4-template": lambda chapter: template(chapter.eye),
    "4-found-twice": lambda chapter: twice(chapter.eye),
    "5-feature-map": lambda chapter: shrinking(chapter.feature_map),
    "6-times": lambda chapter: times(chapter.races),
}


def draw(chapter: Chapter, folder: Path) -> dict[str, Path]:
    """Write every figure into `folder` as PNG and return the paths by name."""
    paths = {}
    with drawing():
        for name, figure in ALBUM.items():
            paths[name] = folder / f"{name}.png"
            figure(chapter).savefig(paths[name])
    return paths
