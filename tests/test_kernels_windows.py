"""The loops of running windows and of pooling equal their definition, within their arrays.

As in test_kernels_direct1d: each case is a process of its own, on arrays beside guard pages.
"""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from test_kernels_direct1d import HOST, built, fenced, lower

from fastconv.kernels import KERNELS
from fastconv.runtime.target import TARGETS

NAMES = (
    "window_rows",
    "window_columns",
    "pool_max",
    "pool_mean",
    "pool_max_index",
    "pool_window_max",
    "pool_window_mean",
    "pool_box_mean",
    "pool_box_max",
    "pool_put",
    "pool_scatter",
    "pool_spread",
)
pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")
CASES = [
    (HOST, name, dtype)
    for name in NAMES
    for dtype in ("float32", "uint8", "int32")
    if dtype in KERNELS[name].dtypes
]
CASES += [
    (level, name, "float32")
    for j, name in enumerate(NAMES)
    if "float32" in KERNELS[name].dtypes
    for level in lower(j)
]
BOX, MAX, MIN = 0, 1, 2


@pytest.mark.parametrize(("level", "name", "dtype"), CASES)
def test_a_built_kernel_is_its_definition_within_its_arrays(level, name, dtype):
    run_apart(main, "built", name, level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", ["x86-64-v4"])
def test_a_kernel_is_its_definition_without_the_jit(name, level):
    run_apart(main, "model", name, level, "float32", NUMBA_DISABLE_JIT="1")


def draw(rng, dtype, size):
    """Small whole numbers, whose sums are exact; of floats some are NaN."""
    values = rng.integers(0 if dtype.startswith("u") else -50, 50, size).astype(dtype)
    if dtype.startswith("float") and size and rng.integers(3) == 0:
        values[rng.integers(0, size, 2)] = np.nan
    return values


def reduced(windows, op, dtype):
    """Reduce the last axis."""
    with np.errstate(all="ignore"):
        if op == BOX:
            return windows.sum(-1, dtype=dtype)
        return windows.max(-1) if op == MAX else windows.min(-1)


def check_window_rows(function, dtype, rng, at_end):
    from fastconv.kernels.window_rows import chunk

    n = int(rng.choice([1, 2, 15, 16, 33, 100, 700, 3000]))
    k = int(rng.choice([1, 2, 3, 5, 17, 70]))
    stride, dilation = int(rng.choice([1, 1, 2, 5])), int(rng.choice([1, 1, 3]))
    if rng.integers(12) == 0:
        k = 4200
    span, rows, op = (k - 1) * dilation + 1, int(rng.integers(1, 3)), int(rng.integers(3))
    pad = int(rng.choice([0, span // 2, span - 1]))
    m = max(1, -(-n // stride))
    lo = min(m, -(-pad // stride))
    hi = min(m, (n - span + pad) // stride + 1) if n - span + pad >= 0 else 0
    if hi <= lo:
        lo = hi = m

    def virtual(first, last):
        if last <= first:
            return np.zeros(0, np.int64)
        at = np.arange(first * stride - pad, (last - 1) * stride - pad + span)
        return np.where((at >= 0) & (at < n), at, -1)

    left, right = virtual(0, lo), virtual(hi, m)
    x = fenced(draw(rng, dtype, rows * n), at_end)
    out = fenced(np.zeros(rows * m, dtype), at_end)
    room = max(len(left), len(right)) + chunk(dtype) + max(span, k)
    work = fenced(np.zeros(room, dtype), at_end)
    fill, lines = np.full(1, 7, dtype), rng.integers(-1, rows, rows)
    function(
        x,
        out,
        work,
        fill,
        fenced(lines, at_end),
        fenced(left, at_end),
        fenced(right, at_end),
        rows,
        n,
        k,
        m,
        lo,
        hi,
        stride,
        dilation,
        pad,
        op,
    )
    at = np.arange(m)[:, None] * stride + np.arange(k) * dilation - pad
    for b in range(rows):
        line = x[lines[b] * n :][:n] if lines[b] >= 0 else np.full(n, 7, dtype)
        samples = np.where((at >= 0) & (at < n), line[np.clip(at, 0, n - 1)], fill[0])
        want = reduced(samples.astype(dtype), op, dtype)
        assert np.array_equal(out[b * m : (b + 1) * m], want, equal_nan=dtype == "float32"), (
            n,
            k,
            m,
            stride,
            dilation,
            pad,
            op,
            lines[b],
        )


def check_window_columns(function, dtype, rng, at_end):
    inner, k = int(rng.choice([1, 3, 16, 17, 64, 70, 130, 300])), int(rng.choice([1, 2, 4, 5, 9]))
    m, stride, dilation = (int(v) for v in rng.integers(1, (30, 3, 3)))
    n, outer, op = int(rng.integers(1, 40)), int(rng.integers(1, 3)), int(rng.integers(3))
    lines = rng.integers(-1, n, (m - 1) * stride + (k - 1) * dilation + 1)
    strip = 256 // np.dtype(dtype).itemsize
    x = fenced(draw(rng, dtype, outer * n * inner), at_end)
    out = fenced(np.zeros(outer * m * inner, dtype), at_end)
    work, outside = np.zeros(k * strip, dtype), np.full(strip, 7, dtype)
    function(
        x,
        out,
        fenced(work, at_end),
        fenced(outside, at_end),
        fenced(lines, at_end),
        outer,
        n * inner,
        m * inner,
        inner,
        k,
        m,
        stride,
        dilation,
        op,
    )
    at = np.arange(m)[:, None] * stride + np.arange(k) * dilation
    table = np.concatenate([x.reshape(outer, n, inner), np.full((outer, 1, inner), 7, dtype)], 1)
    want = reduced(np.moveaxis(table[:, lines[at]], 2, -1), op, dtype)
    assert np.array_equal(out.reshape(outer, m, inner), want, equal_nan=dtype == "float32"), (
        inner,
        k,
        m,
        stride,
        dilation,
        op,
    )


def check_pool(name, function, dtype, rng, at_end):
    shapes = ((2, 2), (3, 2), (3, 3), (2, 1), (3, 1), (1, 1))
    if name == "pool_max_index":
        shapes += ((4, 2), (1, 3))
    k, s = shapes[rng.integers(len(shapes))]
    pad, height = int(rng.integers(0, k // 2 + 1)), int(rng.integers(1, 6))
    width = int(rng.choice([k, 5, 16, 33, 70, 131, 300]))
    outputs, planes = (width + 2 * pad - k) // s + 1, int(rng.integers(1, 3))
    if outputs * s - pad < width:
        outputs += int(rng.integers(2))  # A last window that reaches out.
    rows = rng.integers(1, 4, height)
    starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    taken = 4
    offsets = np.concatenate([np.sort(rng.choice(taken, r, False)) for r in rows]) * width
    x = fenced(draw(rng, dtype, planes * taken * width), at_end)
    out = fenced(np.zeros(planes * height * outputs, dtype), at_end)
    low = 0 if name == "pool_mean" else -np.inf if dtype == "float32" else np.iinfo(dtype).min
    outside = np.full(1, low).astype(dtype)
    where = fenced(offsets.astype(np.int64), at_end), fenced(starts, at_end)
    step = 0
    if rng.integers(2) and (name != "pool_max_index" or (k, s) not in ((2, 1), (4, 2), (1, 3))):
        step = max(-(-outputs // 64) * 64 * s + k + s, width + 2 * pad)
        where = fenced((offsets // width * step).astype(np.int64), at_end), where[1]
    frame = fenced(np.full(taken * step + 1, 9, dtype), at_end)
    counts = planes, taken * width, height, width, outputs, k, s, pad, step
    places = fenced(np.zeros(out.size, np.int64), at_end)
    unit = int(rng.integers(0, 3))
    numbers = offsets // width * width * unit if name == "pool_max_index" else offsets
    if name == "pool_max":
        function(x, out, outside, frame, *where, *counts)
    elif name == "pool_max_index":
        function(
            x,
            out,
            outside,
            frame,
            places,
            where[0],
            fenced(numbers, at_end),
            where[1],
            *counts,
            1,
            unit,
        )
    else:
        shares, columns = np.full(height, 2, dtype), np.full(outputs + 64, 4, dtype)
        function(
            x, out, outside, frame, fenced(shares, at_end), fenced(columns, at_end), *where, *counts
        )
    for b in range(planes):
        for i in range(height):
            for j in range(outputs):
                at = [
                    o + j * s + t - pad
                    for o in offsets[starts[i] : starts[i + 1]]
                    for t in range(k)
                    if 0 <= j * s + t - pad < width
                ]
                samples = x[b * taken * width :][at]
                index = (b * height + i) * outputs + j
                mean = name == "pool_mean"
                want = samples.sum(dtype=dtype) / 8 if mean else samples.max()
                assert out[index] == want or (want != want and out[index] != out[index])
                if name == "pool_max_index":
                    spoiled = np.flatnonzero(samples != samples)
                    best = spoiled[-1] if len(spoiled) else np.argmax(samples)
                    row, column = divmod(at[best], width)
                    place = (row * width + column) * unit
                    assert places[index] == place, (k, s, pad, width, places[index], place)


def check_pool_window(name, function, dtype, rng, at_end):
    k, s, dilation = (int(n) for n in rng.integers(1, [7, 5, 4]))
    span = (k - 1) * dilation + 1
    pad, height = int(rng.integers(0, k // 2 + 1)), int(rng.integers(1, 6))
    width = span + int(rng.choice([0, 1, 5, 16, 33, 70, 131]))
    outputs, planes = (width + 2 * pad - span) // s + 1, int(rng.integers(0, 3))
    if (outputs * s - pad) < width:
        outputs += int(rng.integers(2))
    rows = rng.integers(1, 5, height)
    starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    taken = 5
    offsets = np.concatenate([np.sort(rng.choice(taken, r, False)) for r in rows]) * width
    x = fenced(draw(rng, dtype, planes * taken * width), at_end)
    out = fenced(np.zeros(planes * height * outputs, dtype), at_end)
    mean = name == "pool_window_mean"
    low = 0 if mean else -np.inf if dtype == "float32" else np.iinfo(dtype).min
    count = (outputs - 1) * s + 1
    room = max(count + span - 1, pad + width) + 64
    work = fenced(np.full(room + count + 64, 9, dtype), at_end)
    where = fenced(offsets.astype(np.int64), at_end), fenced(starts, at_end)
    divisors = [fenced(np.full(n, d, dtype), at_end) for n, d in ((height, 2), (outputs, 4))]
    function(
        x,
        out,
        np.full(1, low).astype(dtype),
        work,
        *(divisors if mean else ()),
        *where,
        planes,
        taken * width,
        height,
        width,
        outputs,
        k,
        s,
        pad,
        dilation,
        room,
    )
    for b, i, j in np.ndindex(planes, height, outputs):
        columns = [c for t in range(k) if 0 <= (c := j * s + t * dilation - pad) < width]
        at = [o + c for o in offsets[starts[i] : starts[i + 1]] for c in columns]
        samples = x[b * taken * width :][at]
        want = samples.sum(dtype=dtype) / 8 if mean else samples.max(initial=low)
        got = out[(b * height + i) * outputs + j]
        assert got == want or (want != want and got != got), (k, s, dilation, pad, width)


def check_pool_box(name, function, dtype, rng, at_end):
    width, height = int(rng.choice([1, 5, 16, 33, 70, 150])), int(rng.integers(1, 5))
    planes, outputs = int(rng.integers(0, 3)), int(rng.integers(1, 6))
    rows, taken = rng.integers(1, 5, height), 5
    starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    offsets = np.concatenate([np.sort(rng.choice(taken, r, False)) for r in rows]) * width
    firsts = rng.integers(0, width, outputs)
    stops = np.array([rng.integers(first + 1, width + 1) for first in firsts], np.int64)
    x = fenced(draw(rng, dtype, planes * taken * width), at_end)
    out = fenced(np.zeros(planes * height * outputs, dtype), at_end)
    work = fenced(np.full(width + 64, 9, dtype), at_end)
    places, placed = fenced(np.full(out.size, -1, np.int64), at_end), int(rng.integers(0, 2))
    where = [fenced(a.astype(np.int64), at_end) for a in (offsets, starts, firsts, stops)]
    counts = planes, taken * width, height, width, outputs
    mean = name == "pool_box_mean"
    if mean:
        shares, columns = np.full(height, 2, dtype), np.full(outputs, 4, dtype)
        shares, columns = fenced(shares, at_end), fenced(columns, at_end)
        function(x, out, work, shares, columns, *where, *counts)
    else:
        function(x, out, work, places, *where, *counts, placed)
    for b, i, j in np.ndindex(planes, height, outputs):
        at = [o + t for o in offsets[starts[i] : starts[i + 1]] for t in range(firsts[j], stops[j])]
        samples = x[b * taken * width :][at]
        index = (b * height + i) * outputs + j
        want = samples.sum(dtype=dtype) / 8 if mean else samples.max()
        assert out[index] == want or (want != want and out[index] != out[index])
        spoiled = np.flatnonzero(samples != samples)
        best = at[spoiled[-1] if len(spoiled) else np.argmax(samples)]
        assert places[index] == (best if placed and not mean else -1)


def check_backward(name, function, dtype, rng, at_end):
    planes, rows, width = (int(n) for n in rng.integers(0, [3, 4, 40]))
    height, outputs = (int(n) for n in rng.integers(0, [4, 6]))
    if not rows * width:
        height = outputs = 0
    x_step = rows * width
    grad = fenced(rng.integers(-9, 9, (planes, height, outputs)).astype(dtype).reshape(-1), at_end)
    out = fenced(rng.integers(-9, 9, planes * x_step).astype(dtype), at_end)
    want = out.copy().reshape(planes, x_step)
    values = grad.reshape(planes, height * outputs)
    zero, wrong = fenced(np.zeros(1, dtype), at_end), fenced(np.full(1, 7), at_end)
    want[...] = 0
    if name in ("pool_put", "pool_scatter"):
        places = rng.integers(0, max(x_step, 1), (planes, height * outputs))
        bad = rng.integers(4) == 0 and places.size > 0
        if bad:
            places.reshape(-1)[rng.integers(places.size)] = rng.choice([-1, x_step, 1 << 40])
        function(
            grad,
            out,
            fenced(places.reshape(-1), at_end),
            wrong,
            zero,
            planes,
            x_step,
            height * outputs,
        )
        assert wrong[0] == bad
        for b, j in np.ndindex(places.shape):
            if not 0 <= places[b, j] < x_step:
                continue
            want[b, places[b, j]] = values[b, j] + (name == "pool_scatter") * want[b, places[b, j]]
    else:
        met = [np.sort(rng.choice(rows, rng.integers(1, rows + 1), False)) for _ in range(height)]
        starts = np.cumsum([0, *map(len, met)]).astype(np.int64)
        offsets = np.array([r * width for row in met for r in row], np.int64)
        firsts = rng.integers(0, max(width, 1), outputs)
        stops = firsts + 1 + rng.integers(0, 1 + width - firsts - 1, outputs)
        where = [fenced(a, at_end) for a in (offsets, starts, firsts, stops)]
        shares, columns = np.full(height, 2, dtype), np.full(outputs, 4, dtype)
        function(
            grad,
            out,
            fenced(shares, at_end),
            fenced(columns, at_end),
            zero,
            *where,
            planes,
            x_step,
            height,
            outputs,
        )
        for b, i, j in np.ndindex(planes, height, outputs):
            for r in met[i]:
                want[b, r * width + firsts[j] : r * width + stops[j]] += (
                    values[b, i * outputs + j] / 8
                )
    assert np.array_equal(out, want.reshape(-1))


def main(kind, name, level, dtype):
    import importlib

    if kind == "built":
        function = built(name, level, dtype)
    else:
        module = importlib.import_module(f"fastconv.kernels.{KERNELS[name].module}")
        function = getattr(module, f"make_{name}")(TARGETS[level], dtype)
    rng = np.random.default_rng(0)
    for trial in range(150 if kind == "built" else 12):
        if name in ("pool_put", "pool_scatter", "pool_spread"):
            check_backward(name, function, dtype, rng, trial % 2 == 0)
        elif name.startswith("pool_window"):
            check_pool_window(name, function, dtype, rng, trial % 2 == 0)
        elif name.startswith("pool_box"):
            check_pool_box(name, function, dtype, rng, trial % 2 == 0)
        elif name.startswith("pool"):
            check_pool(name, function, dtype, rng, trial % 2 == 0)
        else:
            globals()[f"check_{name}"](function, dtype, rng, trial % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
