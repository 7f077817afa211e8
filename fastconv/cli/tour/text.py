"""The words of the page: what each figure shows, with the numbers of this run in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

import numpy as np

from fastconv.cli.tour.chapter import Chapter
from fastconv.cli.tour.checks import Check
from fastconv.cli.tour.steps.blur import WIDTHS
from fastconv.cli.tour.steps.eye import SLOPE, THRESHOLD, Eye
from fastconv.cli.tour.steps.feature_map import STRIDE
from fastconv.cli.tour.steps.smoothing import LONG, SHORT
from fastconv.cli.tour.units import significant

__all__ = ["Section", "opening", "sections"]

_HALF = (LONG - 1) // 2


@dataclass(frozen=True, slots=True)
class Section:
    """One step of the page."""

    title: str
    blocks: tuple[str, ...]
    """Paragraphs of HTML; the name of a figure stands for it, and "times" for the table."""
    captions: dict[str, str]
    checks: tuple[Check, ...] = field(default=())


def opening(chapter: Chapter) -> Iterator[str]:
    """Yield the paragraphs above the first section."""
    series, picture = chapter.smoothing.series, chapter.eye.picture
    yield f"""One operation smooths a series, blurs a picture and finds an eye in it: slide a short
    list of weights along the data and add up the products. This page does all three, on
    {escape(series.title)} and on {escape(picture.title)}."""
    yield f"""Each number was computed by fastconv and compared with NumPy or SciPy while the page
    was made: {len(chapter.checks)} comparisons, all within round-off."""


def sections(chapter: Chapter) -> Iterator[Section]:
    """Yield the sections in order."""
    yield _smoothing(chapter)
    yield _fourier(chapter)
    yield _blur(chapter)
    yield _eye(chapter)
    yield _feature_map(chapter)
    yield _digits(chapter)
    yield _times()


def _smoothing(chapter: Chapter) -> Section:
    result = chapter.smoothing
    series, n = result.series, result.series.values.size
    first, last = result.first_last
    head = significant(float(np.mean(series.values[: _HALF + 1])), 6)
    parts = (result.residual[SHORT], result.residual[LONG], result.misplaced)
    short, long, lost = (significant(float(np.std(part))) for part in parts)
    return Section(
        "A moving average, and the day it belongs to",
        (
            escape(series.about),
            f"""A moving average slides a window of {LONG} samples along the series and notes the
            mean at each stop. That is a convolution with a box: {LONG} taps of 1/{LONG} each.""",
            f"""<p class="formula">y[i] = &Sigma;<sub>t</sub> x[i &minus; t] w[t], &emsp;
            w[t] = 1/{LONG} for t = 0, &hellip;, {LONG - 1}</p>""",
            "1-moving-averages",
            f"""The sum for output i ends at sample i and so is centred on sample i &minus; {_HALF}.
            The three modes differ only in which outputs they keep, and hence in what an index
            means: <code>full</code> keeps {n + LONG - 1} outputs, <code>same</code> {n},
            <code>valid</code> {n - LONG + 1}. Output i belongs to sample i &minus; {_HALF} of the
            series in <code>full</code>, to sample i in <code>same</code>, to sample i + {_HALF} in
            <code>valid</code>.""",
            "1-shift",
            """What the average leaves over shows whether the bookkeeping is right. Subtract the
            average from the day it is centred on, and the residual is what changes faster than the
            window. Subtract it from the day the window ends on, and the trend itself leaks in.""",
            "1-residuals",
        ),
        {
            "1-moving-averages": f"""In the shaded rims part of the window lies beyond the series,
            where samples count as zero. The first output of <code>same</code> is {first:.12g},
            while the {_HALF + 1} samples its window does reach have the mean {head}; the last
            output is {last:.12g}.""",
            "1-shift": f"""Above: the samples that the outputs of each mode are centred on. Below:
            the first outputs, plotted as they come (left) and where they belong (right). Mode
            <code>full</code> begins {_HALF} samples before the series does.""",
            "1-residuals": f"""Standard deviation of the residual: {short} behind {SHORT} samples,
            {long} behind {LONG}, and {lost} when output i of <code>full</code> is taken for day i.
            The rims are left out.""",
        },
        result.checks,
    )


def _fourier(chapter: Chapter) -> Section:
    result = chapter.fourier
    n, length = result.circular.size, result.library.size
    worst = significant(float(np.max(np.abs(result.wrapped))))
    return Section(
        "The same average through Fourier transforms",
        (
            """Multiplying the transforms of two sequences and transforming back convolves them: for
            long filters that is far less work than sliding a window. But a transform of n samples
            treats them as a circle, and the window slides across the seam.""",
            """<p class="formula">y = F<sup>&minus;1</sup>( F(x) &middot; F(w) )</p>""",
            f"""Zeros keep the ends apart. There are n + {LONG - 1} = {length} outputs, so both
            sequences are padded with zeros to at least that size; {result.padded_size} is the next
            one whose transform is quick. The result then agrees with the sliding window to
            {result.error:.1g}, which is round-off. Without padding the last {LONG - 1} outputs are
            added onto the first {LONG - 1}, which puts them off by up to {worst} here.""",
            "2-zero-padding",
        ),
        {
            "2-zero-padding": f"""Shaded above: the outputs that have no place among n = {n} (right)
            and where they end up (left). Below: the distance of both results from the sliding
            window, output by output, on a logarithmic scale; differences of exactly zero leave
            gaps."""
        },
        result.checks,
    )


def _blur(chapter: Chapter) -> Section:
    result = chapter.blur
    kept = ", ".join(f"{result.contrast[width]:.0%} behind {width} x {width}" for width in WIDTHS)
    return Section(
        "A picture behind ever wider boxes",
        (
            escape(result.picture.about),
            """The same box in two dimensions replaces each pixel by the mean of its neighbourhood.
            A colour picture is three pictures, red, green and blue, and each is blurred alone.
            Beyond the edges the picture is mirrored; with zeros there, as in the first section,
            every edge would darken.""",
            "3-box-blurs",
        ),
        {
            "3-box-blurs": f"""Contrast is the standard deviation of the grey values: {kept}. What a
            box removes is what changes within its width. Boxes of even width have no middle pixel:
            the picture moves by half a pixel."""
        },
        result.checks,
    )


def _eye(chapter: Chapter) -> Section:
    result = chapter.eye
    height, width = result.picture.eye.shape
    return Section(
        "Finding an eye",
        (
            f"""A filter can also be something to look for. Cut out the eye, {height} x {width}
            pixels, and scale it to 0&hellip;1. Its fourth power keeps the highlights and pushes all
            else down. Divide by its length, so that its size does not count; subtract its mean, so
            that flat areas answer zero whatever their brightness. What remains are the taps.""",
            """<p class="formula">r[i, j] = &Sigma;<sub>u,v</sub> x[i + u, j + v] t[u, v]</p>""",
            """This is a correlation, which is a convolution with the taps turned by half a circle;
            both were computed and agree.""",
            "4-template",
            f"""Now paste a copy of the eye into a far corner and ask again. A bias of minus
            {THRESHOLD:.0%} of the eye's own answer is added, and a leaky ReLU, z if z &ge; 0 and
            {SLOPE}z below, holds down all that stays negative. {_verdict(result)}""",
            "4-found-twice",
        ),
        {
            "4-template": """Left: from the crop to the taps. Right: the answer, drawn where the
            middle of the template lies; in the margin it does not fit. The circle marks the
            highest answer, with the row and column of its window's corner.""",
            "4-found-twice": """Middle: after bias and leaky ReLU only orange is above zero; the
            inset enlarges the surroundings of the eye. Right: the highest answers no two of which
            share a window, orange where the eye truly is.""",
        },
        result.checks,
    )


def _verdict(result: Eye) -> str:
    best, *others = result.twice
    true = " and ".join(f"({row},&nbsp;{column})" for row, column in result.true_places)
    if result.found_twice:
        rest = f"The runner-up elsewhere reaches {others[-1].value / best.value:.0%} of it."
        return f"""The two highest peaks are the eye and its copy, at {true}, with the same answer
            {best.value:.4g}. {rest if len(others) > 1 else ""}"""
    places = " and ".join(f"({peak.row},&nbsp;{peak.column})" for peak in result.twice[:2])
    return f"""The eye and its copy lie at {true}, but the highest peaks are at {places}: plain
            correlation is not divided by the brightness under the window, so a patch with more
            contrast can answer more strongly than the eye itself. Another <code>--eye</code> may
            do better."""


def _feature_map(chapter: Chapter) -> Section:
    result = chapter.feature_map
    return Section(
        "Padding, stride and max-pooling",
        (
            f"""A convolutional network makes three choices about such a map. <em>Padding</em>: how
            far the window may hang over the edge, where zeros make answers of their own along the
            rim. <em>Stride</em>: compute every {STRIDE}th answer in each direction and no others.
            <em>Max-pooling</em>: compute all and keep the largest of each {STRIDE} x {STRIDE}
            block.""",
            f"""The last two leave about 1/{STRIDE**2} of the map, but not the same part of it. The
            best answer that the stride meets near the eye is {result.kept:.0%} of the eye's own,
            before the bias; the pooled map keeps the peak wherever it lies in its block.""",
            "5-feature-map",
        ),
        {
            "5-feature-map": """Above: the whole map, padded, strided and pooled; circles mark the
            eye and its copy. Below: the surroundings of the eye, marked by a cross. Dots are the
            only answers that stride computes; each colours the block to its right and below."""
        },
        result.checks,
    )


def _digits(chapter: Chapter) -> Section:
    result = chapter.digits
    title = "A network that reads digits"
    if result is None:
        return Section(
            title,
            (
                """This section trains a small network on scikit-learn's handwritten digits. It was
             skipped: scikit-learn is not installed.""",
            ),
            {},
        )
    return Section(
        title,
        (
            f"""Stack such layers and let the templates be learned: two convolutions, each
            rectified and pooled, and a third that sees all of the map and gives ten answers, with
            {result.parameters} numbers to learn. Here every layer and every gradient is a function
            of <code>fastconv.nn</code>, and the rest is a few lines of NumPy.""",
            f"""Trained while this page was made, in {result.seconds:.1f} s, it reads
            {result.right} of {result.tested} handwritten digits that it has not seen:
            {result.accuracy:.1%}.""",
        ),
        {},
        result.checks,
    )


def _times() -> Section:
    return Section(
        "Which path, and how long",
        (
            """The same answer can be reached along several paths: a direct loop, one large
            transform, many small ones. fastconv predicts the time of each that meets the accuracy
            asked for and takes the quickest. These are the paths it took on this machine, beside
            the quickest function with the same meaning that NumPy and SciPy offer. For the blurs
            that is often a function made for boxes alone.""",
            "6-times",
            "times",
        ),
        {
            "6-times": """Each time is the shortest of a few rounds in which the contenders take
            turns, in one process, after a first call that does not count; slow functions are timed
            once. The ratio below is the time of the fastest other over that of fastconv. Short runs
            on a busy machine vary: differences below 10 % are ties."""
        },
    )
