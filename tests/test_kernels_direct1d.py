"""The direct 1-D kernels equal the textbook loop at every dtype and level, within their arrays.

Each case runs in a process of its own (`apart`), on arrays that end or begin exactly
at a page that may not be touched: a kernel that reads or writes outside its arrays dies of it.
"""

import ctypes
import mmap
import os
import sys
from functools import cache

import numpy as np
import pytest
from apart import run_apart

from fastconv.kernels import KERNELS
from fastconv.runtime import build
from fastconv.runtime import cache as files
from fastconv.runtime.target import TARGETS, _cpu_features, host_target

DTYPES = KERNELS["rows"].dtypes
pytestmark = pytest.mark.skipif(os.name != "posix", reason="guard pages are made by mprotect")

# All dtypes at the machine's own level, one of each kind of arithmetic at the lower ones.
SOME = ("float64", "float32", "complex64", "int8", "bool")
HOST = host_target().name
LEVELS = [
    name
    for name, target in TARGETS.items()
    if all(_cpu_features().get(feature, False) for feature in target.requires)
]


def lower(turn):
    """Yield the levels below the host's that case number `turn` is for.

    Those of one vector width take turns: they differ in what LLVM makes of the same loop.
    """
    for width in sorted({TARGETS[level].vector_bytes for level in LEVELS if level != HOST}):
        alike = [v for v in LEVELS if v != HOST and TARGETS[v].vector_bytes == width]
        yield alike[turn % len(alike)]


CASES = [(HOST, dtype) for dtype in DTYPES]
CASES += [(level, dtype) for j, dtype in enumerate(SOME) for level in lower(j)]


@pytest.mark.parametrize("kernel", ["rows", "columns"])
@pytest.mark.parametrize(("level", "dtype"), CASES)
def test_a_built_kernel_is_the_textbook_loop_within_its_arrays(kernel, level, dtype):
    run_apart(main, "built", kernel, level, dtype, NUMBA_OPT="0")


@pytest.mark.parametrize("kernel", ["rows", "columns"])
@pytest.mark.parametrize("level", ["x86-64-v4", "x86-64-v2"])
@pytest.mark.parametrize("dtype", SOME)
def test_a_kernel_is_the_textbook_loop_without_the_jit(kernel, level, dtype):
    run_apart(main, "model", kernel, level, dtype, NUMBA_DISABLE_JIT="1")


def test_whole_numbers_of_32_bits_are_multiplied_right_without_the_jit():
    run_apart(main, "model", "rows", "x86-64-v4", "int64", NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_short_lengths_have_no_cliff_in_outputs(dtype):
    # Every n and k around the sizes at which a row changes hands between kernels.
    run_apart(main, "dense", "rows", HOST, dtype, NUMBA_OPT="0")


# ---------------------------------------------------------------- the definition


def textbook(x, w, m, stride, dilation, pad):
    """The sum over taps in order, along the first axis of x; also the sum of absolute products."""
    out = np.zeros((m, *x.shape[1:]), x.dtype)
    size, magnitudes = np.zeros(out.shape), np.abs(x.astype("D"))
    with np.errstate(all="ignore"):
        for t, tap in enumerate(w):
            ahead = pad - t * dilation
            first, last = max(0, -(-ahead // stride)), min(m, (len(x) - 1 + ahead) // stride + 1)
            if first < last:  # These outputs have a sample under this tap.
                at = slice(first * stride - ahead, (last - 1) * stride - ahead + 1, stride)
                out[first:last] += x[at] * tap
                size[first:last] += magnitudes[at] * abs(complex(tap))
    return out, size


def disagreement(got, want, size, k):
    """Return what is wrong with `got`, or nothing."""
    if want.dtype.kind in "ib":
        return "" if np.array_equal(got, want) else "values"
    if want.dtype.kind == "c":
        parts = [(got.real, want.real), (got.imag, want.imag)]
        problems = [disagreement(*(np.ascontiguousarray(p) for p in pair), size, k)
                    for pair in parts]
        return " ".join(filter(None, problems))
    if not np.array_equal(np.isnan(got), np.isnan(want)):
        return "NaN in other places"
    wild = np.isinf(want) | np.isinf(got)
    if not np.array_equal(got[wild], want[wild], equal_nan=True):
        return "infinities"
    if np.any((want == 0) & (got == 0) & (np.signbit(want) != np.signbit(got))):
        return "sign of zero"
    tame = np.isfinite(want)
    bound = 4 * (k + 2) * np.finfo(want.dtype).eps * size[tame]
    return "" if np.all(np.abs(got[tame] - want[tame]) <= bound) else "rounding"


# ---------------------------------------------------------------- arrays beside guard pages


@cache
def libc():
    return ctypes.CDLL(None)


def fenced(content, at_end):
    """Return a copy of a 1-D array that ends (or begins) at a page that may not be touched."""
    page = mmap.PAGESIZE
    room = -(-max(content.nbytes, 1) // page) * page
    region = mmap.mmap(-1, room + 2 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    for fence in (base, base + page + room):
        assert libc().mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(page), 0) == 0
    first = page + (room - content.nbytes if at_end else 0)
    array = np.frombuffer(region, content.dtype, content.size, first)
    array[:] = content
    return array


def draw(rng, dtype, size):
    if dtype == "bool":
        return rng.integers(0, 2, size).astype(bool)
    if dtype.startswith("int"):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = rng.integers(low, high, size, dtype, endpoint=True)
        if dtype == "int64" and rng.integers(3):  # Numbers of 32 bits are multiplied another way.
            values >>= 32
            values[rng.random(size) < 0.1] = rng.choice([-(2**31), 2**31 - 1])
            if size and rng.integers(4) == 0:
                values[rng.integers(size)] = rng.choice([-(2**31) - 1, 2**31])
        return values
    values = rng.standard_normal(size)
    if dtype.startswith("complex"):
        values = values + 1j * rng.standard_normal(size)
    values = values.astype(dtype)
    kind = rng.integers(4)
    if kind == 0 and size:
        values.real[rng.integers(0, size, 1 + size // 40)] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 1:
        values[rng.random(size) < 0.7] = -0.0
    return values


# ---------------------------------------------------------------- one case


SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 40, 64, 65, 100, 129, 200, 257, 520, 600, 1100, 2300)
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 18, 23, 31, 33, 40, 48, 64, 65, 100, 130)


def draw_window(rng, sizes, lengths):
    n, k = int(rng.choice(sizes)), int(rng.choice(lengths))
    stride, dilation = int(rng.choice([1, 1, 1, 2, 3, 5])), int(rng.choice([1, 1, 1, 2, 4]))
    span = (k - 1) * dilation
    pad = int(rng.choice([0, span, span // 2, rng.integers(-5, span + 6)]))
    usual = (n + 2 * pad - span - 1) // stride + 1
    m = max(0, int(rng.choice([usual, usual, n, n + 40, 1, 0])))
    return n, k, m, stride, dilation, pad


def few_outputs(lengths, most):
    """Windows of long filters that leave a few outputs: dot products, and just more than those."""
    return [(m + k - 1, k, m, 1, 1, 0) for k in lengths for m in range(1, most)]


def check_rows(function, dtype, rng, window, at_end):
    n, k, m, stride, dilation, pad = window
    rows = int(rng.integers(1, 4))
    x_step, out_step = n + int(rng.integers(0, 3)), m + int(rng.integers(0, 3))
    w_step = int(rng.choice([0, k, k + 1]))
    x = fenced(draw(rng, dtype, (rows - 1) * x_step + n), at_end)
    w = fenced(draw(rng, dtype, (rows - 1) * w_step + k), at_end)
    blank = np.full((rows - 1) * out_step + m, 3).astype(dtype)
    out = fenced(blank, at_end)
    with np.errstate(all="ignore"):
        function(x, w, out, rows, x_step, w_step, out_step, n, k, m, stride, dilation, pad)
    for b in range(rows):
        taps = w[b * w_step : b * w_step + k]
        want, size = textbook(x[b * x_step : b * x_step + n], taps, m, stride, dilation, pad)
        problem = disagreement(out[b * out_step : b * out_step + m], want, size, k)
        assert not problem, f"{problem}: row {b} of {rows}, {window}, w_step {w_step}"
        gap = slice(b * out_step + m, (b + 1) * out_step)
        assert np.array_equal(out[gap], blank[gap]), f"gap after row {b}, {window}"


def check_columns(function, dtype, rng, window, at_end):
    n, k, m, stride, dilation, pad = window
    inner = int(rng.choice([1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 65, 100, 130, 300]))
    n, m = min(n, 129), min(m, 129)
    outer, w_step = int(rng.integers(1, 3)), int(rng.choice([0, k]))
    x_row, out_row = inner + int(rng.integers(0, 2)), inner + int(rng.integers(0, 2))
    if stride == dilation and rng.integers(0, 2):
        # Rows that meet in the same sets of a cache go through the work space.
        x_row = -(-inner // (2048 // np.dtype(dtype).itemsize)) * (2048 // np.dtype(dtype).itemsize)
    x = fenced(draw(rng, dtype, outer * n * x_row), at_end)
    w = fenced(draw(rng, dtype, (outer - 1) * w_step + k), at_end)
    blank = np.full(outer * m * out_row, 3).astype(dtype)
    out = fenced(blank, at_end)
    with np.errstate(all="ignore"):
        function(x, w, out, outer, n * x_row, w_step, m * out_row, n, k, m, inner, x_row, out_row,
                 stride, dilation, pad)
    for b in range(outer):
        signal = x[b * n * x_row : (b + 1) * n * x_row].reshape(n, x_row)[:, :inner]
        taps = w[b * w_step : b * w_step + k]
        want, size = textbook(signal, taps, m, stride, dilation, pad)
        got = out[b * m * out_row : (b + 1) * m * out_row].reshape(m, out_row)
        problem = disagreement(got[:, :inner], want, size, k)
        assert not problem, f"{problem}: {b} of {outer}, {window}, inner {inner}, w_step {w_step}"
        assert np.array_equal(got[:, inner:], np.full((m, out_row - inner), 3).astype(dtype))


CHECKS = {"rows": check_rows, "columns": check_columns}


def built(kernel, level, dtype):
    """Return the C entry point of a kernel built for `level`, as a function of arrays and ints."""
    unit, library = f"{kernel}_{dtype}", files.ready_path(level, kernel, dtype)
    if not os.path.exists(library):  # What was installed has the key of these sources.
        assert build.main(["--cache", "--target", level, unit]) == 0
        library = str(files.library_path(level, kernel, dtype))
    function = getattr(ctypes.CDLL(library), f"fc_{unit}")
    function.restype = None
    arrays, integers = len(KERNELS[kernel].arrays), KERNELS[kernel].integers
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64] * arrays + [ctypes.c_int64] * integers

    def call(*args):
        flat = [v for a in args[:arrays] for v in (a.ctypes.data, a.size)]
        function(*flat, *args[arrays:])

    return call


def main(mode, kernel, level, dtype):
    rng = np.random.default_rng(2024)
    if mode == "model":
        from importlib import import_module

        module = import_module(f"fastconv.kernels.{KERNELS[kernel].module}")
        function = getattr(module, f"make_{kernel}")(TARGETS[level], dtype)
        windows = [draw_window(rng, SIZES[:16], LENGTHS[:19]) for _ in range(60)]
        windows += few_outputs((64, 67), 6)
    else:
        function = built(kernel, level, dtype)
        windows = [draw_window(rng, SIZES, LENGTHS) for _ in range(500)]
        windows += few_outputs((63, 64, 65, 79, 96, 131, 300), 35)
        if mode == "dense":
            windows = [
                (n, k, m, 1, 1, pad)
                for n in (*range(1, 36), *range(96, 132), *range(250, 262), *range(508, 520))
                for k in (1, 2, 3, 8, 15, 16, 17, 24, 31, 64)
                for pad, m in ((k - 1, n + k - 1), (k // 2, n), (0, max(n - k + 1, 0)))
            ]
    for j, window in enumerate(windows):
        CHECKS[kernel](function, dtype, rng, window, j % 2 == 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
