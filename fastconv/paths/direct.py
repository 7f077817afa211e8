"""Direct loops: every product once, in compiled code of our own."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import FLOATS, KERNELS
from ..path import BAND_BYTES, SLACK, Box, Guarantee, Operands, Path, Space, Work, is_float
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch
from . import rims

# Strided outputs go through phases where each has this many taps: taking the samples apart costs as
# much as three taps of the strided loop. At stride 2 and 31 taps phases are five times faster.
_PHASE_TAPS = 3
# To begin the sums of a plane takes as long as so many products of bytes.
_PLANE_PRODUCTS, _PAIR_BYTES = 5600, 64
# A phase takes some 20 us to begin, in which the strided loop makes so many products.
_PHASE_PRODUCTS = 1 << 14
# A product of a strided window that hangs over an end takes as long as so many more within, and of
# so many rows that counts (1000 rows of 30 doubles, 31 taps, every second: 1070 us, by phases 232).
_RIM_PRODUCTS, _MANY_ROWS = 7, 8


def _kernel_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`.

    Unsigned integers wrap as signed ones do; float16 is computed in float32 and rounded once.
    """
    if dtype == "float16":
        return "float32"
    return dtype[1:] if dtype.startswith("uint") else dtype


def supports(problem: Problem) -> str:
    """Return "" or why the compiled loops do not cover the problem."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.inner > 1 and not (problem.shared_filter and problem.boundary == ("zero",)):
        return "interleaved signals need one filter, one axis and zeros outside"
    if _kernel_dtype(problem.dtype) not in KERNELS["rows"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for floats, exact for integers and bool."""
    return "componentwise" if is_float(problem.dtype) else "exact"


def work(problem: Problem) -> Work:
    """Return the products and the bytes of one pass."""
    size, calls, products = np.dtype(problem.dtype).itemsize, 1, _looped(problem)
    if problem.ndim == 1 and problem.stride != (1,) and problem.batch >= _MANY_ROWS:
        products += _RIM_PRODUCTS * _rim_products(problem)
    if problem.ndim > 1:  # Two vectors of columns are summed, however few there are.
        products = products * max(1, _PAIR_BYTES // (size * max(1, problem.output[-1])))
    if problem.ndim > 2:
        from . import volumes

        calls = volumes.calls(problem)
        products += _PLANE_PRODUCTS // size * volumes.planes_met(problem)
    return Work(
        calls=calls,
        multiply_adds=products,
        bytes_moved=size * (problem.outputs + problem.batch * prod(problem.signal) * problem.inner),
    )


def _looped(problem: Problem) -> int:
    """Return the products that loops make: those with the zeros outside, too, where they abound.

    That is with a filter longer than the image, along either of its axes.
    """
    made = problem.multiply_adds
    if problem.ndim < 2 or set(problem.boundary) != {"zero"}:
        return made
    from . import planes

    for axis, rows in ((-2, planes.rows_looped(problem)), (-1, problem.filter[-1])):
        if problem.filter[axis] > problem.signal[axis]:
            made = made // problem.products(axis) * problem.output[axis] * rows
    return made


def _rim_products(problem: Problem) -> int:
    """Return the products of strided rows of floats that are made one at a time."""
    if problem.inner > 1 or problem.dtype not in FLOATS or problem.boundary != ("zero",):
        return 0
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    lo, hi = geometry.interior(n, k, m, *problem.stride, *problem.dilation, *problem.pad)
    return problem.batch * (m - hi + lo) * min(k // 2, n)


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop that the problem needs."""
    name = "columns" if problem.inner > 1 else "rows" if problem.ndim == 1 else "plane"
    return ((name, _kernel_dtype(problem.dtype)),)


def space(problem: Problem) -> Space:
    """Return maps of rows and columns, and what strides, volumes and float16 take besides."""
    if problem.dtype == "float16":
        single = problem._replace(dtype="float32")
        samples = problem.batch * prod(problem.signal) * problem.inner
        taps = problem.taps * (1 if problem.shared_filter else problem.batch)
        inside = space(single)
        copies = 4 * (samples + taps + 2 * problem.outputs)
        return Space(inside.shared + copies, inside.each)
    if problem.ndim > 1:
        from . import planes, volumes

        return planes.space(problem) if problem.ndim < 3 else volumes.space(problem)
    outputs, of_band = problem.outputs, geometry.band(problem.taps)
    # Up to three bands more make them alike (`geometry.even`).
    bands = BAND_BYTES * (problem.batch + 3 + outputs // max(1, min(outputs, of_band)))
    phases = _phase_bytes(problem) if _takes_phases(problem) else 0
    if problem.inner > 1 or (problem.boundary == ("zero",) and not _crawls(problem)):
        return Space(bands + phases, SLACK)
    # Copies, what they are gathered in and from, and their own phases.
    signals, samples, _ = rims.space(problem)
    size, (n,), (k,) = np.dtype(problem.dtype).itemsize, problem.signal, problem.filter
    if problem.boundary == ("zero",) and n < k:
        bands += problem.batch * size * (n + k)  # Exchanged.
    (m,), (s,) = problem.output, problem.stride
    bands += BAND_BYTES * (m // max(1, (samples - geometry.span(k, *problem.dilation)) // s + 1))
    return Space(bands + phases, 4 * signals * samples * size + 32 * samples + 2 * SLACK)


def _crawls(problem: Problem) -> bool:
    """Return whether the loop would make the rims one product at a time: a nanosecond for each."""
    return problem.dtype in FLOATS and problem.inner == 1 and rims.crawls(problem)


def _takes_phases(problem: Problem) -> bool:
    """Return whether strided outputs go through phases, which take room for copies.

    Real floats do not: the loop takes their windows as dot products.
    """
    (s,), (d,), (k,) = problem.stride, problem.dilation, problem.filter
    if problem.dtype in FLOATS or problem.inner > 1 or d > 1 or s == 1 or k < _PHASE_TAPS * s:
        return False
    if problem.outputs * k < _PHASE_PRODUCTS * s:
        return False
    return problem.room is None or _phase_bytes(problem) + 2 * SLACK <= problem.room


def _phase_bytes(problem: Problem) -> int:
    (n,), (s,), (k,), (m,) = problem.signal, problem.stride, problem.filter, problem.output
    filters = 1 if problem.shared_filter else problem.batch
    elements = problem.batch * (-(-n // s) + m) + filters * -(-k // s)
    return np.dtype(problem.dtype).itemsize * elements + SLACK


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    if problem.dtype == "float16":
        return _halves(problem, operands)
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    x, w, out = operands.x, operands.w.view(dtype), operands.out.view(dtype)
    if problem.inner > 1:
        _columns(problem, kernel, x.view(dtype), w, out, operands.workers)
    elif problem.ndim == 1:
        value = np.asarray(operands.fill).astype(problem.dtype).view(dtype)
        _signals(problem, kernel, x.view(dtype), w, out, value, operands.workers)
    else:
        _planes(problem, kernel, x, w, out, operands)
    return []


def _planes(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, operands: Operands) -> None:
    from . import planes, volumes

    if x.dtype != problem.dtype:
        planes.run_copied(problem, kernel, x, w, out, operands.fill, operands.workers)
        return
    x = x.view(out.dtype)
    if problem.ndim > 2:
        volumes.run(problem, kernel, x, w, out, operands.fill, operands.workers)
    elif planes.strides_columns(problem):
        planes.run_strided(problem, kernel, x, w, out, operands.fill, operands.workers)
    else:
        planes.runner_of(problem, kernel, x.dtype.type(operands.fill))(x, w, out, operands.workers)


def _halves(problem: Problem, operands: Operands) -> list[Box]:
    """Compute float16 in float32; the results are rounded once, as NumPy rounds its sums."""
    single = operands.out.astype(np.float32)
    x, w = operands.x.astype(np.float32), operands.w.astype(np.float32)
    execute(
        problem._replace(dtype="float32"),
        operands._replace(x=x, w=w, out=single, fill=np.float32(operands.fill)),
    )
    with np.errstate(over="ignore"):
        operands.out[...] = single
    return []


def _signals(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, value: Any, workers: int
) -> None:
    """Compute rows; what lies beyond their ends is copied where the loop has no quick way."""

    def loop(problem: Problem, x: Any, w: Any, out: Any, first: int, workers: int) -> None:
        _rows(problem, kernel, x, w, out, workers, first)

    if problem.boundary == ("zero",):
        if _crawls(problem) and 0 < problem.signal[0] < problem.filter[0]:
            problem, x, w = rims.exchanged(problem, x, w)
        # A zero in place of a missing sample is multiplied: not with taps that are not finite.
        if not _crawls(problem) or not np.isfinite(w).all():
            loop(problem, x, w, out, 0, workers)
            return
    value = x.dtype.type(0) if problem.boundary == ("zero",) else value
    rims.run(problem, loop, x, w, out, value, workers)


def _rows(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, workers: int, first: int = 0
) -> None:
    """Compute out[:, first:first + m] of rows with zeros outside."""
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    (s,), (d,), (p,) = problem.stride, problem.dilation, problem.pad
    if _takes_phases(problem):
        _phases(problem, kernel, x, w, out[:, first : first + m], workers)
        return
    x_step, w_step, out_step = n, 0 if problem.shared_filter else k, out.shape[1]
    if problem.batch > 1 and x.strides[0] == 0:
        x, x_step = x[0], 0  # One signal, which would be copied for each filter.
    x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)[first:]
    if problem.batch > 1 or m <= geometry.band(k):
        rows = max(1, geometry.band(k) // max(m, 1))
        last = (x_step, w_step, out_step, n, k, m, s, d, p)

        def some_rows(lo: int, hi: int) -> None:
            kernel(x[lo * x_step :], w[lo * w_step :], out[lo * out_step :], hi - lo, *last)

        threads.run(some_rows, geometry.even(problem.batch, rows), workers)
        return

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, s, d, p - lo * s)

    threads.run(some_outputs, geometry.even(m, geometry.band(k), geometry.LINE), workers)


def _columns(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, workers: int) -> None:
    """Run the loop over signals that lie interleaved, all of them at each step."""
    (n,), (k,), (m,), inner = problem.signal, problem.filter, problem.output, problem.inner
    (s,), (d,), (p,) = problem.stride, problem.dilation, problem.pad
    x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)

    def some(lo: int, hi: int) -> None:
        # Bands count rows of outputs over all signals.
        while lo < hi:
            b, i = divmod(lo, m)
            rows = min(m - i, hi - lo)
            # Short signals are one call (1964 of 4 x 3: 4.3 ms one by one, so 1.2).
            many = 1 if i else max(1, (hi - lo) // m)
            here = x[b * n * inner :], w, out[lo * inner :]
            kernel(*here, many, n * inner, 0, m * inner, n, k, rows, inner, inner, inner,
                   s, d, p - i * s)  # fmt: skip
            lo += many * rows

    # Whole register tiles of 8 rows; single rows take three times as long.
    height = max(16, geometry.band(k) // inner // 8 * 8)
    threads.run(some, geometry.even(problem.batch * m, height, 8), workers)


def _phases(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, workers: int) -> None:
    """Compute strided outputs as a sum over phases, each with stride 1.

    With r = (t - pad) mod s the sample of tap t is number i + (t - pad - r)/s of x[r::s]: every
    phase is a plain correlation of every s-th sample with every s-th tap.
    """
    (s,), (p,) = problem.stride, problem.pad
    out[...] = 0
    most = x[:, ::s].size
    room = scratch(most + out.size, out.dtype)
    part = room[most:].reshape(out.shape)
    for r in range(s):
        first = (p + r) % s
        decimated = x[:, r::s]
        taps = np.ascontiguousarray(w[:, first::s])
        if decimated.size == 0 or taps.size == 0:
            continue
        samples = room[: decimated.size].reshape(decimated.shape)
        samples[...] = decimated
        phase = problem._replace(
            signal=samples.shape[1:],
            filter=taps.shape[1:],
            stride=(1,),
            pad=((p + r - first) // s,),
        )
        _rows(phase, kernel, samples, taps, part, workers)
        with np.errstate(invalid="ignore", over="ignore"):  # As silent as the loop itself.
            np.add(out, part, out=out)


PATH = Path(
    name="direct",
    summary="compiled loops over every product",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
    interleaved=True,
    converts=True,
    space=space,
)
