"""The direct 2-D kernel equals the textbook loop at every dtype and level, within its arrays.

As for the 1-D kernels, a case runs in a process of its own, on arrays beside guard pages.
"""

import functools
import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import CASES, HOST, SOME, built, disagreement, draw, fenced

from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")


@pytest.mark.parametrize(("level", "dtype"), CASES)
def test_a_built_plane_is_the_textbook_loop_within_its_arrays(level, dtype):
    run_apart(main, "built", level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v2"])
@pytest.mark.parametrize("dtype", SOME)
def test_a_plane_is_the_textbook_loop_without_the_jit(level, dtype):
    run_apart(main, "model", level, dtype, NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64"])
def test_rows_do_not_depend_on_the_band_they_are_computed_in(dtype):
    run_apart(main, "bands", HOST, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64"])
def test_a_tap_that_is_not_finite_stays_within_its_window(dtype):
    run_apart(main, "wild", HOST, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("dtype", ["float64", "int8"])
def test_a_filter_too_large_for_the_workspace_is_right(dtype):
    run_apart(main, "large", HOST, dtype, NUMBA_OPT="0")


# ---------------------------------------------------------------- the definition


def source_map(rule, begin, length, n):
    """The source index of each virtual index from `begin` on, -1 for outside; any n >= 1."""
    j = np.arange(begin, begin + length)
    inside = (j >= 0) & (j < n)
    if rule in ("zero", "fill"):
        return np.where(inside, j, -1)
    if rule == "nearest":
        return np.clip(j, 0, n - 1)
    period = {"wrap": n, "reflect": 2 * n, "mirror": max(2 * n - 2, 1)}[rule]
    j = j % period
    if rule == "wrap":
        return j
    return np.where(j < n, j, period - (rule == "reflect") - j)


def textbook(x, w, rows, columns, stride, dilation, shape, fill, skip):
    """The sum over taps in order; also the sum of absolute products."""
    out, size = np.zeros(shape, x.dtype), np.zeros(shape)
    if not out.size:
        return out, size
    padded = np.pad(x, ((0, 1), (0, 1)), constant_values=fill)  # Index -1 finds the fill value.
    outside = (rows < 0)[:, None] | (columns < 0)
    r, c = np.where(outside, -1, rows[:, None]), np.where(outside, -1, columns)
    extended = padded[r, c]
    magnitudes = np.abs(extended.astype("D"))
    for taps in np.ndindex(*w.shape):
        begins = [t * d for t, d in zip(taps, dilation, strict=True)]
        at = tuple(slice(b, b + (m - 1) * s + 1, s)
                   for b, m, s in zip(begins, shape, stride, strict=True))
        used = ~outside[at] if skip else True
        np.add(out, extended[at] * w[taps], out=out, where=used)
        np.add(size, magnitudes[at] * abs(complex(w[taps])), out=size, where=used)
    return out, size


# ---------------------------------------------------------------- one case

RULES = ("zero", "fill", "reflect", "mirror", "nearest", "wrap")
HEIGHTS = (1, 2, 3, 5, 6, 7, 11, 12, 13, 30, 47)
WIDTHS = (1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 48, 64, 65, 97, 130, 200, 259)
FILTERS = ((3, 3),) * 4 + ((1, 1), (1, 3), (1, 9), (2, 2), (3, 5), (4, 4), (5, 5), (7, 7), (9, 1),
                           (6, 3), (5, 12), (15, 15), (3, 33), (21, 2))


def draw_case(rng, small=False):
    """Return a random problem as a dictionary."""
    limit = 9 if small else None
    n = int(rng.choice(HEIGHTS[:limit])), int(rng.choice(WIDTHS[:limit]))
    k = FILTERS[rng.integers(len(FILTERS) - 3 * small)]
    stride = (1, 1) if rng.random() < 0.7 else tuple(int(s) for s in rng.integers(1, 4, 2))
    dilation = (1, 1) if rng.random() < 0.7 else tuple(int(d) for d in rng.integers(1, 4, 2))
    span = [(taps - 1) * d for taps, d in zip(k, dilation, strict=True)]
    pad = [int(rng.choice([0, s // 2, s, s + 3])) for s in span]
    usual = [max(0, (a + 2 * p - s - 1) // t + 1)
             for a, p, s, t in zip(n, pad, span, stride, strict=True)]
    shape = tuple(int(rng.choice([m, m, max(m - 1, 0)])) for m in usual)
    begin = int(rng.integers(0, shape[0] + 1)) if rng.random() < 0.3 else 0
    return {
        "n": n, "k": k, "stride": stride, "dilation": dilation, "pad": pad, "shape": shape,
        "rule": str(rng.choice(RULES)), "planes": int(rng.integers(1, 3)),
        "shared": bool(rng.random() < 0.5), "gap": int(rng.choice([0, 0, 1, 5])),
        "how": int(rng.choice([0, 0, 0, 1, 2])), "begin": begin, "end": shape[0],
        "leading": int(rng.choice([0, 0, 1, 3])),
    }


class Images:
    """The arrays of one case, beside guard pages, and the call of the kernel on them."""

    def __init__(self, rng, dtype, case, at_end=True):
        self.case, self.at_end = case, at_end
        (height, width), (kh, kw), (oh, ow) = case["n"], case["k"], case["shape"]
        self.x_row, self.out_row = width + case["gap"], ow + case["gap"]
        planes = case["planes"]

        def plane_of(rows, row, columns):
            # Every plane but the last has its gaps; the last ends with its last row.
            return rows * row, planes * rows * row - (row - columns if rows else 0)

        self.x_step, x_size = plane_of(height, self.x_row, width)
        self.out_step, out_size = plane_of(oh, self.out_row, ow)
        taps = max(case["leading"], 1) * kh * kw
        self.w_step = 0 if case["shared"] else taps
        self.x = self.fence(draw(rng, dtype, x_size))
        self.w = self.fence(draw(rng, dtype, self.w_step * (planes - 1) + taps))
        numbers = rng.integers(-1, planes, (case["leading"], planes))
        if case["how"] != 1:
            numbers[:1] = np.maximum(numbers[:1], 0)  # The first is stored.
        self.sources = self.fence(numbers.astype(np.int64).reshape(-1))
        self.fill = self.fence(draw(rng, dtype, 1))
        self.blank = draw(rng, dtype, out_size)
        spans = [(m - 1) * s + (t - 1) * d + 1 if m else 0 for m, s, t, d in zip(
            case["shape"], case["stride"], case["k"], case["dilation"], strict=True)]
        self.maps = [self.fence(source_map(case["rule"], -p, s, a).astype(np.int64))
                     for p, s, a in zip(case["pad"], spans, case["n"], strict=True)]

    def fence(self, content):
        return fenced(content, self.at_end)

    def run(self, function, begin, end, out):
        case = self.case
        with np.errstate(all="ignore"):
            function(
                self.x, self.w, out, *self.maps, self.fill, self.sources, case["planes"],
                self.x_step, self.w_step, self.out_step, self.x_row, self.out_row, case["n"][1],
                *case["k"], begin, end, case["shape"][1], *case["stride"], *case["dilation"],
                case["pad"][1], int(case["rule"] == "zero"), case["how"], case["leading"],
            )
        return out

    def plane(self, array, b, step, rows, row, columns):
        part = array[b * step : (b + 1) * step]
        part = np.pad(part, (0, rows * row - len(part)))
        return part.reshape(rows, row)[:, :columns]

    def defined(self, b, source, tap):
        """The sums that plane `source` contributes to plane b with the taps from `tap` on."""
        case, (kh, kw) = self.case, self.case["k"]
        x = self.plane(self.x, source, self.x_step, case["n"][0], self.x_row, case["n"][1])
        w = self.w[b * self.w_step + tap :][: kh * kw].reshape(kh, kw)
        return textbook(x, w, *self.maps, case["stride"], case["dilation"], case["shape"],
                        self.fill[0], case["rule"] == "zero")

    def check(self, out):
        """Compare `out` with the definition, rows outside the band and gaps included."""
        case, (oh, ow), taps = self.case, self.case["shape"], np.prod(self.case["k"])
        want_all, leading = self.blank.copy(), case["leading"]
        sources = self.sources.reshape(leading, case["planes"])
        for b in range(case["planes"]):
            with np.errstate(all="ignore"):
                parts = [self.defined(b, source, t * taps)
                         for t, source in enumerate(sources[:, b] if leading else [b])
                         if source >= 0]
                want = functools.reduce(np.add, [part for part, _ in parts],
                                        np.zeros((oh, ow), out.dtype))
                size = sum((part for _, part in parts), np.zeros((oh, ow)))
                old = self.plane(self.blank, b, self.out_step, oh, self.out_row, ow)
                if case["how"] == 1:
                    want = old + want if parts else old
                    size += sum(np.nan_to_num(abs(part)) for part in (1.0 * old.real, old.imag))
            band = slice(case["begin"], case["end"])
            got = self.plane(out, b, self.out_step, oh, self.out_row, ow)
            problem = disagreement(got[band], want[band], size[band],
                                   max(leading, 1) * taps + 1)
            assert not problem, f"{problem}: plane {b}, {case}"
            for i in range(case["begin"], case["end"]):
                at = b * self.out_step + i * self.out_row
                want_all[at : at + ow] = out[at : at + ow]
        assert want_all.tobytes() == out.tobytes(), f"written outside the band: {case}"


def check_random(function, dtype, rng, cases, small=False):
    for turn in range(cases):
        images = Images(rng, dtype, draw_case(rng, small), turn % 2 == 0)
        out = images.fence(images.blank)
        images.check(images.run(function, images.case["begin"], images.case["end"], out))


def plain_case(n, k, rule, how=0):
    return {
        "n": n, "k": k, "stride": (1, 1), "dilation": (1, 1), "pad": [t // 2 for t in k],
        "shape": n, "rule": rule, "planes": 1, "shared": True, "gap": 0, "how": how,
        "begin": 0, "end": n[0], "leading": 0,
    }


def check_bands(function, dtype, rng):
    for k in ((3, 3), (7, 5), (4, 4), (1, 5)):
        for rule in RULES:
            images = Images(rng, dtype, plain_case((29, 83), k, rule))
            whole = images.run(function, 0, 29, images.blank.copy())
            for cut in (1, 2, 5, 6, 14, 28):
                parts = images.run(function, 0, cut, images.blank.copy())
                images.run(function, cut, 29, parts)
                assert parts.tobytes() == whole.tobytes(), (k, rule, cut)


def check_wild(function, dtype, rng):
    for rule in ("zero", "wrap"):
        for n in ((20, 90), (5, 6)):
            for value in (np.nan, np.inf):
                images = Images(rng, dtype, plain_case(n, (5, 5), rule))
                images.w[0], images.w[13] = value, -value
                images.check(images.run(function, 0, n[0], images.blank.copy()))


def check_large(function, dtype, rng):
    for n, k in (((30, 200), (70, 90)), ((4, 900), (2, 600)), ((6, 20), (90, 300))):
        for rule in ("zero", "fill", "mirror"):
            images = Images(rng, dtype, plain_case(n, k, rule))
            images.check(images.run(function, 0, n[0], images.blank.copy()))


def main(mode, level, dtype):
    rng = np.random.default_rng(2024)
    if mode == "model":
        from fastconv.kernels.direct2d import make_plane

        check_random(make_plane(TARGETS[level], dtype), dtype, rng, 40, small=True)
        return
    function = built("plane", level, dtype)
    if mode == "built":
        check_random(function, dtype, rng, 300)
    else:
        {"bands": check_bands, "wild": check_wild, "large": check_large}[mode](function, dtype, rng)


if __name__ == "__main__":
    main(*sys.argv[1:])
