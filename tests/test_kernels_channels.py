"""The kernels of layers equal the textbook loop at every dtype and level, within their arrays.

As for the 1-D kernels, a case runs in a process of its own, on arrays beside guard pages.
"""

import os
import sys

import numpy as np
import pytest
from apart import run_apart
from reference_layers import conv, winograd_bound
from test_kernels_direct1d import HOST, built, fenced, lower

from fastconv.kernels import KERNELS
from fastconv.runtime.target import TARGETS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")

SOME = ("float32", "complex64", "int8")
CASES = [(HOST, dtype) for dtype in ("float64", *SOME, "int16")]
CASES += [(level, "float32") for level in lower(0)]

# The intrinsics' models are slow: one dtype of each kind.
MODELS = [("x86-64-v4", "float32"), ("x86-64-v2", "complex64"), ("x86-64-v3", "int8")]


@pytest.mark.parametrize(("level", "dtype"), CASES)
def test_the_built_kernels_are_the_textbook_loops_within_their_arrays(level, dtype):
    run_apart(main, "built", level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize(("level", "dtype"), MODELS)
def test_the_kernels_are_the_textbook_loops_without_the_jit(level, dtype):
    run_apart(main, "model", level, dtype, NUMBA_DISABLE_JIT="1")


# ---------------------------------------------------------------- arrays


def block_of(level, dtype):
    """Output channels in a block: two vectors; int8 is multiplied in 16-bit lanes."""
    return 2 * TARGETS[level].lanes(max(np.dtype(dtype).itemsize, 2))


def numbers(rng, dtype, shape):
    if np.dtype(dtype).kind == "i":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


class Arrays:
    """Flat copies beside guard pages, at the end or at the beginning of their pages."""

    def __init__(self, at_end):
        self.at_end = at_end

    def __call__(self, x):
        return fenced(np.ascontiguousarray(x).reshape(-1), self.at_end)


def agrees(got, want, size, terms, what):
    """Equal for integers; else within terms * eps of the sum of magnitudes."""
    if got.dtype.kind == "i":
        assert np.array_equal(got, want), what
        return
    bound = 2 * (terms + 4) * np.finfo(got.dtype).eps * size + 1e-30
    assert (np.abs(got - want) <= bound).all(), f"{np.max(np.abs(got - want))}: {what}"


def activate(sums, activation, slope):
    if sums.dtype.kind == "c" or not activation:
        return sums
    if activation == 1:
        return np.where(sums > 0, sums, 0).astype(sums.dtype)
    return np.where(sums > 0, sums, sums * slope[0]) if sums.dtype.kind == "f" else sums


def wide(x):
    kind = x.dtype.kind
    return x if kind == "i" else x.astype(np.clongdouble if kind == "c" else np.longdouble)


# ---------------------------------------------------------------- blocks of channels


def check_channels(functions, level, dtype, rng, arrays, small):
    block = block_of(level, dtype)
    outputs = int(rng.integers(1, 2 * block + 3))
    inputs, rows = int(rng.integers(0, 4)), int(rng.integers(0, 3))
    width = int(rng.integers(0, 18 if small else 60))
    if not small and rng.integers(0, 4) == 0:  # Steps in parts, and more tiles than wait at once.
        inputs, width = 40 * inputs, int(rng.choice((10, 40))) * width
    if small and rng.integers(0, 2) == 0:  # Whole vectors of pixels that lie beside each other.
        rows, width = 1, 4 * width
    kh, kw = (int(v) for v in rng.integers(1, 4, 2))
    sr, sc, dr, dc = (int(v) for v in rng.integers(1, 3, 4))
    height = max(rows - 1, 0) * sr + (kh - 1) * dr + 1
    across = max(width - 1, 0) * sc + (kw - 1) * dc + 1
    last_in, last_out = (bool(v) for v in rng.integers(0, 2, 2))
    x = numbers(rng, dtype, (inputs, height, across))
    w = numbers(rng, dtype, (outputs, inputs, kh, kw))
    taps = inputs * kh * kw
    size = np.dtype(dtype).itemsize
    c_step, r_step, p_step = (1, across * inputs, inputs) if last_in else (
        height * across, across, 1)
    table = np.array([c * c_step + u * dr * r_step + v * dc * p_step
                      for c in range(inputs) for u in range(kh) for v in range(kw)], np.int64)
    blocks = -(-outputs // block) * block
    packed = arrays(np.full(blocks * taps, 7, dtype))
    functions["filters"](arrays(w), packed, outputs, taps)
    flat = w.reshape(outputs, taps)
    for c in range(blocks):
        row = packed.reshape(-1, taps, block)[c // block, :, c % block] if taps else []
        assert np.array_equal(row, flat[c] if c < outputs else np.zeros(taps, dtype)), c
    bias = np.zeros(blocks, dtype)
    bias[:outputs] = numbers(rng, dtype, outputs)
    slope = np.array([0 if np.dtype(dtype).kind == "i" else 0.25], dtype)
    activation = int(rng.integers(0, 3))
    shape = (rows, width, outputs) if last_out else (outputs, rows, width)
    out = arrays(np.full(int(np.prod(shape)), 3, dtype))
    px, ch = (outputs, 1) if last_out else (1, rows * width)
    functions["channels"](
        arrays(np.moveaxis(x, 0, -1) if last_in else x), packed, out, arrays(bias), arrays(slope),
        arrays(table * size), taps, sc * p_step, sr * r_step, rows, width,
        px, ch, width * px, 0, outputs, activation,
    )
    samples, weights = wide(x), wide(w)
    parts = np.empty((inputs, kh, kw, rows, width), samples.dtype)
    for u, v in np.ndindex(kh, kw):
        parts[:, u, v] = samples[:, u * dr :, v * dc :][:, : (rows - 1) * sr + 1 or None : sr,
                                                        : (width - 1) * sc + 1 or None : sc
                                                        ][:, :rows, :width]
    parts, weights = parts.reshape(taps, rows * width), weights.reshape(outputs, taps)
    with np.errstate(all="ignore"):
        want = (wide(bias)[:outputs, None] + weights @ parts).reshape(outputs, rows, width)
        total = abs(bias[:outputs, None]) + (
            abs(weights).astype(np.float64) @ abs(parts).astype(np.float64))
        total = total.reshape(outputs, rows, width)
        want = activate(want, activation, slope)
    got = out.reshape(shape)
    got = np.moveaxis(got, -1, 0) if last_out else got
    agrees(got, want, total, taps, (outputs, inputs, rows, width, kh, kw, last_in, last_out))


# ---------------------------------------------------------------- frames


def check_frame(functions, level, dtype, rng, arrays, small):
    channels, rows, columns = (int(v) for v in rng.integers(0, 6, 3))
    columns *= int(rng.integers(1, 9))
    top, left, right = (int(v) for v in rng.integers(0, 3, 3))
    step = int(rng.integers(1, 4))
    pitch, high = left + columns + right, top + rows + 1
    x = numbers(rng, dtype, (channels, rows, max(columns - 1, 0) * step + 1))
    total = channels * high * pitch
    work = arrays(np.full(total + 128, 5, dtype))
    functions["frame"](arrays(x), work, total, 0, top * pitch + left, channels, rows, columns,
                       rows * x.shape[2], x.shape[2], high * pitch, pitch, step)
    want = np.zeros((channels, high, pitch), dtype)
    want[:, top : top + rows, left : left + columns] = x[:, :, ::step][:, :, :columns]
    assert np.array_equal(work[:total].reshape(want.shape), want)


def check_activation(functions, level, dtype, rng, arrays, small):
    n, which = int(rng.integers(0, 40 if small else 400)), int(rng.integers(0, 3))
    x = numbers(rng, dtype, n)
    if x.dtype.kind == "f" and n:
        x[rng.integers(0, n)] = np.nan
        x[rng.integers(0, n)] = -np.inf
    slope, out = np.array([0.25], "f8").astype(dtype), arrays(np.full(n + 3, 5, dtype))
    functions["activation"](arrays(x), out, arrays(slope), n, which)
    want = activate(x, which, slope)
    want[x != x] = x[x != x]
    assert np.array_equal(out[:n], want, equal_nan=x.dtype.kind == "f")
    assert (out[n:] == 5).all()


# ---------------------------------------------------------------- depthwise


def check_depthwise(functions, level, dtype, rng, arrays, small):
    lanes = block_of(level, dtype) // 2
    channels, filters = int(rng.integers(0, 3)), int(rng.integers(1, 3))
    height, across = int(rng.integers(1, 12)), int(rng.integers(1, 20 if small else 90))
    kh, kw = (int(v) for v in rng.integers(1, 4, 2))
    sr, sc = (int(v) for v in rng.integers(1, 4, 2))
    dr, dc = (int(v) for v in rng.integers(1, 3, 2))
    if rng.integers(0, 2):  # Windows with loops of their own.
        kh, kw, sr, sc, dr, dc = 3, 3, 1, 1, 1, 1
    pad = int(rng.integers(0, 3))
    rows = (height + 2 * pad - (kh - 1) * dr - 1) // sr + 1
    width = (across + 2 * pad - (kw - 1) * dc - 1) // sc + 1
    if min(rows, width) < 1 or (kh - 1) * dr + 1 > height + 2 * pad:
        return
    x = numbers(rng, dtype, (channels, height, across))
    w = numbers(rng, dtype, (channels, filters, kh, kw))
    bias = numbers(rng, dtype, (channels, filters))
    slope = np.array([0 if np.dtype(dtype).kind == "i" else 0.25], dtype)
    activation, size = int(rng.integers(0, 3)), np.dtype(dtype).itemsize
    span = (width - 1) * sc + (kw - 1) * dc + 1
    half = -(-span // sc)
    if sc == 2:  # Whole vectors are copied.
        half = max(half, (pad + 1) // 2 + -(-across // (2 * lanes)) * lanes)
    pitch, deep = sc * half, (rows - 1) * sr + (kh - 1) * dr + 1
    table = np.array([u * dr * pitch + v * dc % sc * half + v * dc // sc
                      for u in range(kh) for v in range(kw)], np.int64) * size
    total = deep * pitch + 2 * lanes
    low, end = min(pad, span), max(min(pad, span), min(across + pad, span))
    high = max(0, min(deep - pad, height))
    work = arrays(np.full(total + 4 * lanes, 9, dtype))
    out = arrays(np.full(channels * filters * rows * width, 3, dtype))
    functions["depthwise"](
        arrays(x), arrays(w), out, arrays(bias), arrays(slope), arrays(table), work,
        channels, filters, kh * kw, height * across, filters * rows * width, rows * width,
        total, low - pad, pad * pitch if high else 0, high, low, end, across,
        pitch, sc, half, sr, rows, width, activation,
    )
    around = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    got = out.reshape(channels, filters, rows, width)
    want, terms = definition(around, w, bias, (sr, sc), (dr, dc), (rows, width))
    what = (channels, filters, height, across, kh, kw, sr, sc, dr, dc, pad)
    agrees(got, activate(want, activation, slope), terms, kh * kw, what)


def definition(around, w, bias, stride, dilation, shape):
    """Every channel of `around` with each of its filters, and the sums of magnitudes."""
    (rows, width), (sr, sc), (dr, dc) = shape, stride, dilation
    samples, weights = wide(around), wide(w)
    want = np.zeros((*w.shape[:2], rows, width), weights.dtype)
    total = np.zeros(want.shape, np.longdouble)
    with np.errstate(all="ignore"):
        want += wide(bias)[..., None, None]
        total += abs(wide(bias)[..., None, None]).astype(np.longdouble)
        for u, v in np.ndindex(*w.shape[2:]):
            part = samples[:, u * dr :: sr, v * dc :: sc][:, None, :rows, :width]
            want += part * weights[:, :, u, v, None, None]
            total += abs(part).astype(np.longdouble) * abs(weights[:, :, u, v, None, None])
    return want, total


def check_depthwise_last(functions, level, dtype, rng, arrays, small):
    lanes = block_of(level, dtype) // 2
    channels = int(rng.integers(lanes, (2 if small else 6) * lanes + 3))
    height, across = int(rng.integers(1, 9)), int(rng.integers(1, 12 if small else 30))
    kh, kw, sr, sc = (int(v) for v in rng.integers(1, 4, 4))
    dr, dc = (int(v) for v in rng.integers(1, 3, 2))
    up, left = (int(v) for v in rng.integers(0, 4, 2))
    # Some rows of them all: a band.
    rows = int(rng.integers(0, max((height + 2 * up - (kh - 1) * dr - 1) // sr + 1, 0) + 1))
    width = max((across + 2 * left - (kw - 1) * dc - 1) // sc + 1, 0)
    x = numbers(rng, dtype, (channels, height, across))
    w = numbers(rng, dtype, (channels, 1, kh, kw))
    bias = numbers(rng, dtype, (channels, 1))
    slope = np.array([0 if np.dtype(dtype).kind == "i" else 0.25], dtype)
    activation, size = int(rng.integers(0, 3)), np.dtype(dtype).itemsize
    table = np.array([(u * dr * across + v * dc) * channels for u in range(kh) for v in range(kw)],
                     np.int64) * size
    out = arrays(np.full(rows * width * channels, 3, dtype))
    x_row = across * channels
    functions["depthwise_last"](
        arrays(np.moveaxis(x, 0, -1)), arrays(w), out, arrays(bias), arrays(slope), arrays(table),
        arrays(np.zeros(channels, dtype)), arrays(np.full(w.size, 9, dtype)),
        kh, kw, sr, sc, dr, dc,
        -up * x_row - left * channels, sc * channels, sr * x_row, up, up + height, left,
        left + across, rows, width, channels, width * channels, channels, activation,
    )
    around = np.pad(x, ((0, 0), (up, up), (left, left)))
    want, terms = np.zeros((channels, 1, rows, width), wide(x).dtype), 0
    if out.size:
        want, terms = definition(around, w, bias, (sr, sc), (dr, dc), (rows, width))
    got = np.moveaxis(out.reshape(rows, width, channels), -1, 0)[:, None]
    what = (channels, height, across, kh, kw, sr, sc, dr, dc, up, left, rows, width)
    agrees(got, activate(want, activation, slope), terms, kh * kw, what)


def check_square_last(functions, level, dtype, rng, arrays, small):
    lanes = block_of(level, dtype) // 2
    channels = lanes * int(rng.integers(8, 10)) if rng.integers(0, 2) else (
        int(rng.integers(lanes, 2 * lanes + 3)))
    height, across = int(rng.integers(0, 6)), int(rng.integers(0, 9))
    up, left = (int(v) for v in rng.integers(0, 4, 2))
    rows = int(rng.integers(0, max(height + 2 * up - 2, 0) + 1))
    width = max(across + 2 * left - 2, 0)
    x = numbers(rng, dtype, (channels, height, across))
    w = numbers(rng, dtype, (channels, 1, 3, 3))
    bias = numbers(rng, dtype, (channels, 1))
    slope = np.array([0.25], dtype)
    activation = int(rng.integers(0, 3))
    x_row, out_row = across * channels, width * channels
    out = arrays(np.full(rows * out_row, 3, dtype))
    functions["square_last"](
        arrays(np.moveaxis(x, 0, -1)), arrays(w), out, arrays(bias), arrays(slope),
        arrays(np.zeros(channels, dtype)), arrays(np.full(w.size, 9, dtype)),
        -up * x_row - left * channels, x_row, channels, up, up + height, left, left + across,
        rows, width, channels, out_row, channels,
        activation,
    )
    around = np.pad(x, ((0, 0), (up, up), (left, left)))
    want, terms = np.zeros((channels, 1, rows, width), np.longdouble), 0
    if out.size:
        want, terms = definition(around, w, bias, (1, 1), (1, 1), (rows, width))
    got = np.moveaxis(out.reshape(rows, width, channels), -1, 0)[:, None]
    what = (channels, height, across, up, left, rows, width)
    agrees(got, activate(want, activation, slope), terms, 9, what)


# ---------------------------------------------------------------- Winograd's tiles


def check_winograd(functions, level, dtype, rng, arrays, small):
    block = block_of(level, dtype)
    lanes, m = block // 2, int(rng.choice((2, 4)))
    inputs, outputs = int(rng.integers(1, 2 * lanes + 2)), int(rng.integers(1, 2 * block + 2))
    if small:
        inputs, outputs = int(rng.integers(1, lanes + 2)), int(rng.integers(1, block + 2))
    images, rows, columns = (int(v) for v in rng.integers(1, 3 if small else 5, 3))
    high = rows * m - int(rng.integers(0, m))
    wide = columns * m - int(rng.integers(0, m))
    # Where the band begins in its images, which may end within it or before.
    top, left = (int(v) for v in rng.integers(-3, 3, 2))
    height, width = (int(v) for v in rng.integers(1, 5 * m, 2))
    x = numbers(rng, dtype, (images, inputs, height, width))
    w = numbers(rng, dtype, (outputs, inputs, 3, 3))
    bias, slope = numbers(rng, dtype, outputs), np.array([0.25], dtype)
    activation, frequencies = int(rng.integers(0, 3)), (m + 2) ** 2
    last_in, last_out = (bool(v) for v in rng.integers(0, 2, 2))
    # Filters, a block at a time.
    blocks, taps = -(-outputs // block), 9 * inputs
    u_pitch = inputs * block + int(rng.integers(0, 9))
    u = arrays(np.full(blocks * frequencies * u_pitch, 7, dtype))
    for b in range(blocks):
        own, spread = w[b * block : (b + 1) * block], arrays(np.full(block * taps, 7, dtype))
        functions["filters"](arrays(own), spread, len(own), taps)
        room, peak = arrays(np.full(frequencies * u_pitch, 7, dtype)), arrays(np.zeros(1, dtype))
        functions["winograd_filters"](spread, room, peak, inputs, m, u_pitch)
        u.reshape(blocks, -1)[b] = room
        assert peak[0] == abs(own).max()
    # The band.
    room, count = -(-inputs // lanes) * lanes, images * rows * columns
    v_pitch = count * room + int(rng.integers(0, 9))
    p_pitch = count * blocks * block + int(rng.integers(0, 9))
    after = frequencies * v_pitch + int(rng.integers(0, 9))
    deep, across = m * rows + 2, m * columns + 2
    products = frequencies * p_pitch + (count * m * m + lanes) * block
    work = arrays(np.full(after + max(images * deep * across * room, products), 5, dtype))
    wide_bias = np.zeros(blocks * block, dtype)
    wide_bias[:outputs] = bias
    out = arrays(np.full(images * outputs * high * wide, 3, dtype))
    peak = arrays(np.zeros(1, dtype))

    def steps(channels, high, wide, last):
        pixel, channel = (channels, 1) if last else (1, high * wide)
        return high * wide * channels, wide * pixel, pixel, channel

    functions["winograd"](
        arrays(np.moveaxis(x, 1, -1) if last_in else x), u, out, arrays(wide_bias), arrays(slope),
        peak, work, m, *steps(inputs, height, width, last_in), top, left, height, width, inputs,
        images, rows, columns, *steps(outputs, high, wide, last_out), high, wide, outputs,
        v_pitch, u_pitch, p_pitch, after, activation,
    )
    seen = np.zeros((images, inputs, deep, across), dtype)
    for r, c in np.ndindex(deep, across):
        if 0 <= top + r < height and 0 <= left + c < width:
            seen[:, :, r, c] = x[:, :, top + r, left + c]
    assert peak[0] == abs(seen).max()
    exact = (a.astype(np.longdouble) for a in (seen, w, bias))
    want = conv(*exact, pads=((0, 0), (0, 0)))
    bound = winograd_bound(seen, w, ((0, 0), (0, 0)), m)
    bound = bound + np.finfo(dtype).eps * (abs(want) + 1e-30)
    want, bound = want[:, :, :high, :wide], bound[:, :, :high, :wide]
    got = out.reshape(images, high, wide, outputs) if last_out else (
        out.reshape(images, outputs, high, wide))
    got = np.moveaxis(got, -1, 1) if last_out else got
    what = (m, images, inputs, outputs, rows, columns, high, wide, top, left, last_in, last_out)
    error = abs(got - activate(want, activation, slope))
    assert (error <= bound).all(), f"{np.max(error / bound)}: {what}"


CHECKS = {
    ("channels", "filters"): check_channels,
    ("frame",): check_frame,
    ("activation",): check_activation,
    ("depthwise",): check_depthwise,
    ("depthwise_last",): check_depthwise_last,
    ("square_last",): check_square_last,
    ("winograd", "winograd_filters", "filters"): check_winograd,
}


def main(mode, level, dtype):
    rng = np.random.default_rng(2024)
    for names, check in CHECKS.items():
        if dtype not in KERNELS[names[0]].dtypes:
            continue
        functions = {}
        for name in names:
            if mode == "model":
                from importlib import import_module

                module = import_module(f"fastconv.kernels.{KERNELS[name].module}")
                functions[name] = getattr(module, f"make_{name}")(TARGETS[level], dtype)
            else:
                functions[name] = built(name, level, dtype)
        for turn in range(15 if mode == "model" else 120):
            check(functions, level, dtype, rng, Arrays(turn % 2 == 0), mode == "model")


if __name__ == "__main__":
    main(*sys.argv[1:])
