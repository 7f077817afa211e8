"""The tiles kernel by itself: within its arrays, on every target, and as plain Python."""

import sys

import numpy as np
import pytest
from agreement import assert_within
from test_kernels_fft import _guard
from test_tiles import bound, defined, drawn, image

from fastconv.path import Operands
from fastconv.paths import fft_tables, tile_layout, tiles
from fastconv.runtime import load
from fastconv.runtime.target import host_target

DTYPES = ("float64", "float32", "complex128", "complex64")


@pytest.fixture(autouse=True)
def python_where_the_jit_is_disabled(monkeypatch):
    import numba

    if numba.config.DISABLE_JIT:
        from fastconv.kernels import fft_blocks, fft_complex, fft_tiles

        modules = {"spectrum": fft_blocks, "complex_spectrum": fft_complex}

        def kernel(name, dtype):
            module = modules.get(name, fft_tiles)
            return getattr(module, f"make_{name}")(host_target(), dtype)

        monkeypatch.setattr(load, "kernel", kernel)


def small_tiles(monkeypatch, problem):
    least = tile_layout.layout(problem, most_points=2048)
    monkeypatch.setattr(tiles, "layout", lambda problem: least or tile_layout.layout(problem))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_tiles_are_the_definition(dtype, boundary, monkeypatch):
    rng = np.random.default_rng(3)
    problem = image(dtype, 61, 5, boundary, stride=1 if boundary == "zero" else 2)
    small_tiles(monkeypatch, problem)
    x = drawn(rng, (1, *problem.signal), dtype)
    w = drawn(rng, (1, *problem.filter), dtype)
    out = np.empty((1, *problem.output), dtype)
    with np.errstate(all="ignore"):
        assert tiles.execute(problem, Operands(x, w, out)) == []
    size = tiles.layout(problem).size
    assert_within(out, defined(problem, x, w), bound(problem, x, w, size))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect by way of libc")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at_end", [False, True])
def test_no_byte_outside_image_filter_and_output_is_touched(dtype, at_end, monkeypatch):
    rng = np.random.default_rng(4)
    for n, k, boundary in ((61, 5, "zero"), (70, 9, "nearest"), (100, 2, "zero")):
        problem = image(dtype, n, k, boundary)
        small_tiles(monkeypatch, problem)
        x = drawn(rng, (1, *problem.signal), dtype)
        w = drawn(rng, (1, *problem.filter), dtype)
        expected = np.empty((1, *problem.output), dtype)
        tiles.execute(problem, Operands(x, w, expected))
        held = [_guard(a.reshape(-1), at_end) for a in (x, w, np.zeros_like(expected))]
        inside = [
            copy.reshape(a.shape) for (copy, _), a in zip(held, (x, w, expected), strict=True)
        ]
        tiles.execute(problem, Operands(*inside))
        np.testing.assert_array_equal(inside[2], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("boundary", "stride"), [("zero", 1), ("reflect", 2)])
def test_several_filters_give_the_bits_of_each_alone(dtype, boundary, stride, monkeypatch):
    rng = np.random.default_rng(6)
    problem = image(dtype, 61, 5, boundary, stride)
    small_tiles(monkeypatch, problem)
    x = drawn(rng, (1, *problem.signal), dtype)
    w = drawn(rng, (3, *problem.filter), dtype)
    alone, together = (np.empty((3, *problem.output), dtype) for _ in range(2))
    for f in range(3):
        tiles.execute(problem, Operands(x, w[f : f + 1], alone[f : f + 1]))
    many = problem._replace(batch=3, shared_filter=False, shared_signal=True)
    if sys.platform.startswith("linux"):
        for at_end in (False, True):
            held = [_guard(a.reshape(-1), at_end) for a in (x, w, np.zeros_like(together))]
            (x_there, w_there, out), shapes = (copy for copy, _ in held), (x.shape, w.shape)
            out = out.reshape(together.shape)
            there = Operands(x_there.reshape(shapes[0]), w_there.reshape(shapes[1]), out)
            assert tiles.execute(many, there) == []
            np.testing.assert_array_equal(out, alone)
    assert tiles.execute(many, Operands(np.broadcast_to(x, (3, *x.shape[1:])), w, together)) == []
    np.testing.assert_array_equal(together, alone)


def test_memory_is_a_few_tiles_whatever_the_image():
    import tracemalloc

    problem = image("float32", 2000, 40)
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, *problem.signal)).astype("f4")
    w = rng.standard_normal((1, *problem.filter)).astype("f4")
    out = np.empty((1, *problem.output), "f4")
    tile = tile_layout.layout(problem).size * 2 * x.itemsize
    tiles.execute(problem, Operands(x, w, out))
    fft_tables._kept.clear()
    tracemalloc.start()
    tiles.execute(problem, Operands(x, w, out))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Work space and the filter's spectrum (a half and twice a tile), tables, places of rows.
    assert peak <= 4 * tile + 32 * problem.output[0] + 10_000
    assert peak <= x.nbytes / 4
