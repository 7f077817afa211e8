"""Direct loops: every product once, in compiled code of our own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from ..runtime import load, threads
from ..runtime.scratch import scratch

# Bands are cut the same way for any number of workers, so that results do not depend on it. 2**23
# products take one thread some 0.1 ms; at most 2**17 outputs leave enough bands to share out.
BAND_PRODUCTS, BAND_OUTPUTS = 1 << 23, 1 << 17


# Strided outputs go through phases where each has this many taps: taking the samples apart costs as
# much as three taps of the strided loop. At stride 2 and 31 taps phases are five times faster.
_PHASE_TAPS = 3
# What the 2-D loop does with a result; streaming stores pay once `out` leaves the last cache.
_STORE, _ADD, _STREAM = 0, 1, 2
STREAM_BYTES = 8 << 20


def band(taps: int) -> int:
    """Return how many outputs of a filter with `taps` taps make one band."""
    return max(1, min(BAND_OUTPUTS, BAND_PRODUCTS // taps))


def _kernel_dtype(dtype: str) -> str:
    """Return the dtype whose loops serve `dtype`: unsigned integers wrap as signed ones do."""
    return dtype[1:] if dtype.startswith("uint") else dtype


def supports(problem: Problem) -> str:
    """Return "" or why the compiled loops do not cover the problem."""
    if problem.reduction != "sum":
        return f"adds products, does not take the {problem.reduction}"
    if problem.inner > 1 and not (problem.shared_filter and _is_rows(problem)):
        return "interleaved signals need one filter, one axis and zeros outside"
    if _kernel_dtype(problem.dtype) not in KERNELS["rows"].dtypes:
        return f"no compiled loop for {problem.dtype}"
    return ""


def guarantee(problem: Problem) -> Guarantee:
    """Return componentwise for floats, exact for integers and bool."""
    return "componentwise" if is_float(problem.dtype) else "exact"


def work(problem: Problem) -> Work:
    """Return the products and the bytes of one pass."""
    size = np.dtype(problem.dtype).itemsize
    return Work(
        calls=1 if problem.ndim < 3 else prod(problem.output[:-2]) * prod(problem.filter[:-2]),
        multiply_adds=problem.multiply_adds,
        bytes_moved=size * (problem.outputs + problem.batch * prod(problem.signal) * problem.inner),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop that the problem needs."""
    name = "columns" if problem.inner > 1 else "rows" if _is_rows(problem) else "plane"
    return ((name, _kernel_dtype(problem.dtype)),)


def _is_rows(problem: Problem) -> bool:
    return problem.ndim == 1 and problem.boundary == ("zero",)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    x, w, out = (a.view(dtype) for a in (operands.x, operands.w, operands.out))
    if problem.inner > 1:
        _columns(problem, kernel, x, w, out, operands.workers)
    elif _is_rows(problem):
        _rows(problem, kernel, x, w, out, operands.workers)
    elif problem.ndim < 3:
        _plane(problem, kernel, x, w, out, operands.fill, operands.workers)
    else:
        _volume(problem, kernel, x, w, out, operands.fill)
    return []


def _rows(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, workers: int) -> None:
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    (s,), (d,), (p,) = problem.stride, problem.dilation, problem.pad
    if d == 1 and s > 1 and k >= _PHASE_TAPS * s:
        _phases(problem, kernel, x, w, out, workers)
        return
    w_step = 0 if problem.shared_filter else k
    x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)
    if problem.batch > 1 or m <= band(k):
        rows = max(1, band(k) // max(m, 1))
        last = (n, w_step, m, n, k, m, s, d, p)

        def some_rows(lo: int, hi: int) -> None:
            kernel(x[lo * n :], w[lo * w_step :], out[lo * m :], hi - lo, *last)

        threads.run(some_rows, geometry.bands(problem.batch, rows), workers)
        return

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, s, d, p - lo * s)

    threads.run(some_outputs, geometry.bands(m, band(k)), workers)


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
            here = x[b * n * inner :], w, out[lo * inner :]
            kernel(*here, 1, 0, 0, 0, n, k, rows, inner, inner, inner, s, d, p - i * s)
            lo += rows

    height = max(16, band(k) // inner)
    threads.run(some, geometry.bands(problem.batch * m, height), workers)


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


def plane_arguments(problem: Problem, fill: Any, how: int = _STORE) -> tuple[Any, ...]:
    """Return what the 2-D loop takes after its three arrays, for all rows of all planes.

    A 1-D problem is a plane of one row.
    """
    last = _last_two(problem)
    (height, width), (kh, kw), (oh, ow), (sr, sc), (dr, dc), (pr, pc), (rule_r, rule_c) = last
    rows = geometry.source_map(-pr, (oh - 1) * sr + geometry.span(kh, dr), height, rule_r)
    columns = geometry.source_map(-pc, (ow - 1) * sc + geometry.span(kw, dc), width, rule_c)
    skip = int(rule_c == "zero" and rule_r == "zero")
    w_step = 0 if problem.shared_filter else kh * kw
    planes = (problem.batch, height * width, w_step, oh * ow)
    return (rows, columns, np.asarray(fill).reshape(1), *planes, width, ow, width, kh, kw, 0, oh,
            ow, sr, sc, dr, dc, pc, skip, how)  # fmt: skip


def _plane(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
    """Run the 2-D loop over a batch of planes."""
    plane_runner(problem, kernel, x.dtype.type(fill))(x, w, out, workers)


def plane_runner(problem: Problem, kernel: Any, fill: Any) -> Callable[[Any, Any, Any, int], None]:
    """Return what runs the 2-D loop on (x, w, out, workers); all else is settled once."""
    size = np.dtype(problem.dtype).itemsize
    how = _STREAM if problem.outputs * size >= STREAM_BYTES else _STORE
    arguments = plane_arguments(problem, fill, how)
    # A multiple of 30 rows: whole register tiles of 2, 5 and 6 rows.
    height, width = problem.output[-2] if problem.ndim > 1 else 1, problem.output[-1]
    of_band = max(30, band(problem.taps) // max(width, 1) // 30 * 30)
    bands = geometry.bands(problem.batch * height, of_band)
    maps, (_, x_step, w_step, out_step), steps, rest = (
        arguments[:3], arguments[3:7], arguments[7:12], arguments[14:]
    )  # fmt: skip

    def run(x: Any, w: Any, out: Any, workers: int) -> None:
        x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)
        if workers == 1 or len(bands) < 2:
            # The bits of a row do not depend on its band.
            kernel(x, w, out, *arguments)
            return

        def some_rows(lo: int, hi: int) -> None:
            # Bands count rows over all planes: a band may end one plane and begin the next.
            while lo < hi:
                plane, row = divmod(lo, height)
                end = min(height, row + hi - lo)
                here = x[plane * x_step :], w[plane * w_step :], out[plane * out_step :]
                kernel(*here, *maps, 1, 0, 0, 0, *steps, row, end, *rest)
                lo += end - row

        threads.run(some_rows, bands, workers)

    return run


def _last_two(problem: Problem) -> list[tuple[Any, Any]]:
    """Return each per-axis field for the last two axes; a missing row axis has length one."""
    fields = (
        problem.signal,
        problem.filter,
        problem.output,
        problem.stride,
        problem.dilation,
        problem.pad,
        problem.boundary,
    )
    if problem.ndim > 1:
        return [(f[-2], f[-1]) for f in fields]
    single = (1, 1, 1, 1, 1, 0, problem.boundary[0])
    return [(one, f[0]) for one, f in zip(single, fields, strict=True)]


def _volume(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any) -> None:
    """Add up planes over the leading axes."""
    out[...] = 0
    lead = range(problem.ndim - 2)
    maps = [
        geometry.source_map(
            -problem.pad[a],
            (problem.output[a] - 1) * problem.stride[a]
            + geometry.span(problem.filter[a], problem.dilation[a]),
            problem.signal[a],
            problem.boundary[a],
        )
        for a in lead
    ]
    skip = all(rule == "zero" for rule in problem.boundary)
    plane = problem.part((0,) * problem.ndim, problem.output, 1)
    inside = plane_arguments(plane, x.dtype.type(fill), _ADD)
    outside = (np.full_like(inside[0], -1), *inside[1:])
    for b in range(problem.batch):
        for i in product(*(range(problem.output[a]) for a in lead)):
            for u in product(*(range(problem.filter[a]) for a in lead)):
                source = tuple(
                    int(maps[a][i[a] * problem.stride[a] + u[a] * problem.dilation[a]])
                    for a in lead
                )
                beyond = any(j < 0 for j in source)
                if beyond and skip:
                    continue
                where = (b, *(max(j, 0) for j in source))
                kernel(
                    x[where].reshape(-1), w[(b % len(w), *u)].reshape(-1),
                    out[(b, *i)].reshape(-1), *(outside if beyond else inside),
                )  # fmt: skip


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
)
