"""The picture: matplotlib's photograph or the user's image, as grey and as colour channels."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastconv.cli.tour.inputs import InputError, fetch, short

__all__ = ["Picture", "Rectangle", "parse_rectangle", "read_picture", "sample_picture"]

_LONGEST_SIDE = (
    640  # the tour compares with SciPy's direct loop, whose time grows as the side to the fourth
)
_SHORTEST_SIDE = 96
_SMALLEST_EYE = 8
# The eye's place as fractions of the sides: rows 200:270, columns 225:322 of a 460 x 460 picture.
_EYE = (200 / 460, 270 / 460, 225 / 460, 322 / 460)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rows ``top:bottom`` and columns ``left:right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Its height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def corner(self) -> tuple[int, int]:
        """Its first row and column."""
        return self.top, self.left

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of an image, as a view."""
        return image[self.top : self.bottom, self.left : self.right]

    def moved(self, top: int, left: int) -> Rectangle:
        """Return the same shape with another corner."""
        height, width = self.shape
        return Rectangle(top, top + height, left, left + width)

    def touches(self, other: Rectangle) -> bool:
        """Tell whether the two share a pixel."""
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right

    def __str__(self) -> str:
        return f"{self.top}:{self.bottom},{self.left}:{self.right}"


@dataclass(frozen=True, slots=True)
class Picture:
    """An image in grey and in colour, with the rectangle to look for and a place for its copy."""

    title: str
    """What it is, within a sentence."""
    source: str
    about: str
    grey: NDArray[np.uint8]
    colour: NDArray[np.uint8]
    eye: Rectangle
    copy: Rectangle


def parse_rectangle(text: str) -> Rectangle:
    """Read ``R0:R1,C0:C1``."""
    match = re.fullmatch(r"\s*(\d{1,6}):(\d{1,6})\s*,\s*(\d{1,6}):(\d{1,6})\s*", text, re.ASCII)
    if match is None:
        raise InputError(f"--eye must be R0:R1,C0:C1 in pixels, got {short(text)}")
    return Rectangle(*(int(group) for group in match.groups()))


def sample_picture(eye: Rectangle | None = None) -> Picture:
    """Return the photograph of Grace Hopper from matplotlib's sample data."""
    from matplotlib.cbook import get_sample_data

    try:
        data = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False))).read_bytes()
    except OSError as error:
        raise InputError(f"matplotlib's sample data must be installed, got {error}") from None
    # Chosen by eye: her left eye with the lens around it, as it lies in this photograph.
    eye = Rectangle(170, 205, 280, 345) if eye is None else eye
    about = "Rear Admiral Grace Hopper, computer pioneer, as matplotlib ships her photograph. "
    source = "grace_hopper.jpg (matplotlib's sample data)"
    return _picture(data, "a photograph of Grace Hopper", source, about, eye)


def read_picture(source: str, eye: Rectangle | None = None) -> Picture:
    """Read an image file or URL.

    Parameters
    ----------
    source : str
        A path or a URL of anything Pillow reads.
    eye : Rectangle, optional
        The part to look for, in pixels of the file. By default rows 200:270 and columns 225:322 of
        a picture of 460 x 460, and the same fractions of any other.

    Raises
    ------
    InputError
        If it is not an image, is smaller than 96 x 96, or the eye does not fit in it with a copy
        beside it.
    """
    file = source.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    return _picture(fetch("--image", source), file, file, "", eye)


def _picture(data: bytes, title: str, source: str, about: str, eye: Rectangle | None) -> Picture:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                image = ImageOps.exif_transpose(opened)
                transparent = image.has_transparency_data
                image = image.convert("RGBA" if transparent else "RGB")
    except Exception as error:  # Pillow's decoders raise whatever their format's damage leads to
        reason = "not an image that Pillow reads" if isinstance(error, OSError) else error
        raise InputError(
            f"--image must be a readable image, got {short(source, 200)} ({reason})"
        ) from None
    if min(image.size) < _SHORTEST_SIDE:
        got = f"{image.height} x {image.width}"
        raise InputError(f"--image must have at least {_SHORTEST_SIDE} rows and columns, got {got}")
    if transparent:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image).convert("RGB")
        about += "Where the file is transparent, white paper shows through. "
    eye = _default_eye(image.height, image.width) if eye is None else eye
    _check_eye(eye, image.height, image.width)
    factor = -(-max(image.size) // _LONGEST_SIDE)
    if factor > 1:
        image = image.reduce(factor)
        eye = Rectangle(*(edge // factor for edge in (eye.top, eye.bottom, eye.left, eye.right)))
        about += f"Each {factor} x {factor} block of the file is averaged into one pixel. "
        _check_eye(eye, image.height, image.width)
    colour = np.array(image)
    grey = np.array(image.convert("L"))
    if np.ptp(eye.of(grey)) == 0:
        raise InputError(f"--eye must hold more than one shade of grey, got {eye}")
    copy = _farthest_corner(eye, *grey.shape)
    if copy.touches(eye):
        raise InputError(f"--eye must leave room for a copy in a corner of the image, got {eye}")
    about += "Grey is 0.299 red + 0.587 green + 0.114 blue, rounded to 8 bits."
    return Picture(title, source, about, grey, colour, eye, copy)


def _default_eye(height: int, width: int) -> Rectangle:
    top, bottom, left, right = _EYE
    return Rectangle(
        round(top * height), round(bottom * height), round(left * width), round(right * width)
    )


def _check_eye(eye: Rectangle, height: int, width: int) -> None:
    if min(eye.shape) < _SMALLEST_EYE or eye.bottom > height or eye.right > width:
        least = f"{_SMALLEST_EYE} x {_SMALLEST_EYE}"
        rule = f"lie inside the {height} x {width} image and be at least {least}"
        raise InputError(f"--eye must {rule}, got {eye}")


def _farthest_corner(eye: Rectangle, height: int, width: int) -> Rectangle:
    margin = 12
    rows, columns = eye.shape
    tops = (min(margin, height - rows), max(height - rows - margin, 0))
    lefts = (min(margin, width - columns), max(width - columns - margin, 0))
    top = max(tops, key=lambda row: abs(row - eye.top))
    left = max(lefts, key=lambda column: abs(column - eye.left))
    return eye.moved(top, left)
