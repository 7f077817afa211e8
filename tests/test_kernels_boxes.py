"""The loops of constant filters equal their definition, within their arrays.

As in test_kernels_direct1d: each case is a process of its own, on arrays beside guard pages.
"""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, built, fenced, lower

from fastconv import geometry
from fastconv.kernels import KERNELS
from fastconv.runtime.target import TARGETS

NAMES = ("box_line", "box_plane")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")
CASES = [(HOST, name, dtype) for name in NAMES for dtype in KERNELS[name].dtypes]
CASES += [(level, name, dtype)
          for j, (name, dtype) in enumerate((("box_line", "float32"), ("box_plane", "float64")))
          for level in lower(j)]


@pytest.mark.parametrize(("level", "name", "dtype"), CASES)
def test_a_built_kernel_is_its_definition_within_its_arrays(level, name, dtype):
    run_apart(main, "built", name, level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v3"])
def test_a_kernel_is_its_definition_without_the_jit(name, level):
    run_apart(main, "model", name, level, "float32", NUMBA_DISABLE_JIT="1")


def draw(rng, dtype, size):
    """Small whole numbers, whose sums are exact; of floats some are NaN."""
    values = rng.integers(-50, 50, size).astype(dtype)
    if dtype.startswith("float") and size and rng.integers(3) == 0:
        values[rng.integers(0, size, 2)] = np.nan
    return values


def lines_of(level, dtype):
    """Lines side by side in a panel."""
    return max(8, TARGETS[level].lanes(np.dtype(dtype).itemsize))


def wild_of(values):
    return values.dtype.kind == "f" and not np.isfinite(values).all()


def check_box_line(function, level, dtype, rng, at_end):
    n, k = int(rng.choice([1, 2, 7, 33, 100, 700, 3000])), int(rng.choice([1, 2, 3, 5, 17, 70]))
    rows, rule = int(rng.integers(0, 3)), str(rng.choice(geometry.BOUNDARIES))
    pad = int(rng.choice([0, k // 2, k - 1]))
    m = int(rng.choice([n, n + k - 1, max(1, n - k + 1)]))
    lo, hi = geometry.interior(n, k, m, pad=pad)
    if hi <= lo:
        lo = hi = m
    at = np.arange(m)[:, None] + np.arange(k) - pad
    source = geometry.source_map(-pad, m + k - 1, n, rule)
    left = source[: lo + k - 1 if lo else 0]
    right = source[hi:] if hi < m else source[:0]
    per, lines = int(rng.choice([1, 5, 24, 100])), lines_of(level, dtype)
    x = fenced(draw(rng, dtype, rows * n), at_end)
    out = fenced(np.zeros(rows * m, dtype), at_end)
    room = max(len(left), len(right)) + lines * (per + k - 1)
    work, wild = fenced(np.zeros(room, dtype), at_end), fenced(np.zeros(1, np.int64), at_end)
    factor, fill = np.full(1, 3, dtype), np.full(1, 7, dtype)
    function(x, factor, out, fill, fenced(left, at_end), fenced(right, at_end), wild, work, rows, n,
             k, m, lo, hi, pad, per)
    places = source[at + pad]
    for b in range(rows):
        line = np.append(x[b * n : (b + 1) * n], fill)
        want = line[places].sum(1, dtype=dtype) * factor[0]
        assert np.array_equal(out[b * m : (b + 1) * m], want, equal_nan=dtype[0] == "f"), (
            n, k, m, pad, rule, per)
    assert wild[0] == wild_of(out)


def check_box_plane(function, level, dtype, rng, at_end):
    height, width = (int(v) for v in rng.choice([1, 3, 16, 33, 70], 2))
    kh, kw = (int(v) for v in rng.choice([1, 2, 3, 5, 11, 40], 2))
    rules = [str(rng.choice(geometry.BOUNDARIES)) for _ in range(2)]
    pads = [int(rng.choice([0, k // 2, k - 1])) for k in (kh, kw)]
    oh, ow = (int(rng.choice([n, n + k - 1])) for n, k in ((height, kh), (width, kw)))
    maps = [geometry.source_map(-p, m + k - 1, n, rule) for p, m, k, n, rule in
            zip(pads, (oh, ow), (kh, kw), (height, width), rules, strict=True)]
    begin = min(pads[1], len(maps[1]))
    end = max(begin, min(len(maps[1]), width + pads[1]))
    first = int(rng.integers(0, oh))
    last = int(rng.integers(first, oh + 1))
    band, pitch = kh * int(rng.integers(1, 4)), width + int(rng.integers(0, 9))
    per, strip = int(rng.choice([1, 7, 24, 100])), int(rng.choice([5, 32, 100]))
    lines = lines_of(level, dtype)
    x = fenced(draw(rng, dtype, height * width), at_end)
    out = fenced(np.zeros(oh * ow, dtype), at_end)
    work = fenced(np.zeros((band + 2) * pitch + lines * (per + kw - 1), dtype), at_end)
    wild = fenced(np.zeros(oh, np.int64), at_end)
    factor, fill = np.full(1, 3, dtype), np.full(1, 7, dtype)
    function(x, factor, out, fill, *(fenced(m, at_end) for m in maps), wild, work, width, ow, width,
             ow, kh, kw, first, last, begin, end, band, pitch, per, strip)
    rows, columns = maps
    image = x.reshape(height, width)[rows][:, columns]
    image[rows < 0], image[:, columns < 0] = 7, 7
    windows = np.lib.stride_tricks.sliding_window_view(image, (kh, kw))
    want = windows.sum((-2, -1), dtype=dtype) * factor[0]
    want[:first] = want[last:] = 0
    got = out.reshape(oh, ow)
    assert np.array_equal(got, want, equal_nan=dtype[0] == "f"), (
        x.shape, kh, kw, rules, pads, first, last, band, per, strip)
    for i in range(first, last):
        assert wild[i] or not wild_of(got[i])
    assert not wild.any() or wild_of(got)


def main(kind, name, level, dtype):
    import importlib

    if kind == "built":
        function = built(name, level, dtype)
    else:
        module = importlib.import_module(f"fastconv.kernels.{KERNELS[name].module}")
        function = getattr(module, f"make_{name}")(TARGETS[level], dtype)
    rng = np.random.default_rng(0)
    for trial in range(150 if kind == "built" else 12):
        globals()[f"check_{name}"](function, level, dtype, rng, trial % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
