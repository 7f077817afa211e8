"""``python -m fastconv tour``: a book chapter on convolution, walked through on real data.

It writes figures, one HTML page and the numbers as JSON, and prints a table; every number is
compared with NumPy or SciPy on the way. `series` and `picture` read the inputs; `steps` holds the
numbers and their assertions, `figures` their pictures, `text` their words; `page` and `terminal`
show them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tour's options to a parser."""
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="fastconv-tour",
        help="folder for the page and figures (default: %(default)s)",
    )
    parser.add_argument(
        "--series",
        metavar="CSV|URL",
        help="a CSV file with a header line (default: Google's share price)",
    )
    parser.add_argument("--column", metavar="NAME", help="the column of the series to smooth")
    parser.add_argument(
        "--image",
        metavar="FILE|URL",
        help="a picture (default: a photograph that matplotlib ships)",
    )
    parser.add_argument(
        "--eye",
        metavar="R0:R1,C0:C1",
        help="rows and columns of the part of the picture to look for",
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=int,
        default=5,
        help="rounds per time measured (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Walk the tour.

    Parameters
    ----------
    args : argparse.Namespace
        As made by `add_arguments`.

    Returns
    -------
    int
        0, or 1 if a number disagreed with NumPy or SciPy, or 2 if an input was wrong; the reason
        is one line on stderr.
    """
    from fastconv.cli.tour.checks import CheckFailed
    from fastconv.cli.tour.inputs import InputError

    try:
        _tour(args)
    except InputError as error:
        return _fail(error, 2)
    except CheckFailed as error:
        return _fail(f"a check failed: {error}", 1)
    return 0


def _fail(error: object, status: int) -> int:
    print("fastconv tour: " + " ".join(str(error).split()), file=sys.stderr)
    return status


def _tour(args: argparse.Namespace) -> None:
    import json

    from fastconv.cli.tour.inputs import InputError

    start = time.perf_counter()
    if args.rounds < 1:
        raise InputError(f"--rounds must be at least 1, got {args.rounds}")
    try:
        import matplotlib  # noqa: F401  (asked for before anything is read or written)
    except ImportError:
        rule = "be installed for the tour (pip install 'fastconv[tour]')"
        raise InputError(f"matplotlib must {rule}, got no such module") from None

    from fastconv.cli.tour.chapter import STEPS, walk
    from fastconv.cli.tour.figures.album import draw
    from fastconv.cli.tour.page import write_page
    from fastconv.cli.tour.picture import parse_rectangle, read_picture, sample_picture
    from fastconv.cli.tour.series import read_series, sample_series
    from fastconv.cli.tour.terminal import progress, report

    with progress(STEPS + 2) as tell:
        tell("reading")
        eye = None if args.eye is None else parse_rectangle(args.eye)
        series = (
            sample_series(args.column)
            if args.series is None
            else read_series(args.series, args.column)
        )
        picture = sample_picture(eye) if args.image is None else read_picture(args.image, eye)
        folder = _folder(args.out)
        chapter = walk(series, picture, args.rounds, tell)
        tell("drawing")
        page = folder / "index.html"
        try:
            figures = draw(chapter, folder)
            write_page(page, chapter, figures, _command(args))
            (folder / "numbers.json").write_text(
                json.dumps(chapter.numbers(), indent=2) + "\n", encoding="utf-8"
            )
        except OSError as error:
            raise InputError(
                f"--out must be a folder to write to, got {args.out!r} ({error.strerror})"
            ) from None
    report(chapter)
    print(f"\n{page}: {len(figures)} figures, in {time.perf_counter() - start:.1f} s")


def _folder(out: str) -> Path:
    from fastconv.cli.tour.inputs import InputError

    folder = Path(out).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out must be a folder to write to, got {out!r} ({error.strerror})"
        ) from None
    return folder


def _command(args: argparse.Namespace) -> str:
    from fastconv.cli.tour.inputs import is_url

    words = ["python", "-m", "fastconv", "tour"]
    for name in ("series", "column", "image", "eye"):
        value = getattr(args, name)
        if value is None:
            continue
        if name in ("series", "image") and not is_url(value):
            # The page may be sent on: it names the file, not the folders it lay in.
            value = value.replace("\\", "/").rsplit("/", 1)[-1]
        words += [f"--{name}", value]
    return shlex.join(words)
