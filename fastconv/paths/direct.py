"""Direct loops: every product once, in compiled code of our own."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import geometry
from ..kernels import KERNELS
from ..path import Box, Guarantee, Operands, Path, Work, is_float
from ..problem import Problem
from ..runtime import load, threads

# Bands are cut the same way for any number of workers, so that results do not depend on it. 2**23
# products take one thread some 0.1 ms; at most 2**17 outputs leave enough bands to share out.
BAND_PRODUCTS, BAND_OUTPUTS = 1 << 23, 1 << 17


# What the 2-D loop does with a result; streaming stores pay once `out` leaves the last cache.
_STORE, _ADD, _STREAM = 0, 1, 2
STREAM_BYTES = 32 << 20


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
        bytes_moved=size * (problem.outputs + problem.batch * prod(problem.signal)),
    )


def kernels(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the one loop that the problem needs."""
    name = "rows" if _is_rows(problem) else "plane"
    return ((name, _kernel_dtype(problem.dtype)),)


def _is_rows(problem: Problem) -> bool:
    return problem.ndim == 1 and problem.boundary == ("zero",)


def execute(problem: Problem, operands: Operands) -> list[Box]:
    """Compute all outputs."""
    ((name, dtype),) = kernels(problem)
    kernel = load.kernel(name, dtype)
    x, w, out = (a.view(dtype) for a in (operands.x, operands.w, operands.out))
    if _is_rows(problem):
        _rows(problem, kernel, x, w, out, operands.workers)
    elif problem.ndim < 3:
        _plane(problem, kernel, x, w, out, operands.fill, operands.workers, False)
    else:
        _volume(problem, kernel, x, w, out, operands.fill, operands.workers)
    return []


def _rows(problem: Problem, kernel: Any, x: Any, w: Any, out: Any, workers: int) -> None:
    (n,), (k,), (m,) = problem.signal, problem.filter, problem.output
    (s,), (d,), (p,) = problem.stride, problem.dilation, problem.pad
    x_step, w_step = n, 0 if problem.shared_filter else k
    x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)
    if problem.batch > 1 or m <= band(k):
        rows = max(1, band(k) // max(m, 1))

        def some_rows(lo: int, hi: int) -> None:
            kernel(
                x[lo * n :],
                w[lo * w_step :],
                out[lo * m :],
                hi - lo,
                x_step,
                w_step,
                m,
                n,
                k,
                m,
                s,
                d,
                p,
            )

        threads.run(some_rows, geometry.bands(problem.batch, rows), workers)
        return

    def some_outputs(lo: int, hi: int) -> None:
        kernel(x, w, out[lo:], 1, 0, 0, 0, n, k, hi - lo, s, d, p - lo * s)

    threads.run(some_outputs, geometry.bands(m, band(k)), workers)


def _plane(
    problem: Problem,
    kernel: Any,
    x: Any,
    w: Any,
    out: Any,
    fill: Any,
    workers: int,
    accumulate: bool,
    rows_outside: bool = False,
) -> None:
    """Run the 2-D loop over a batch of planes; a 1-D problem is a plane of one row."""
    last = _last_two(problem)
    (height, width), (kh, kw), (oh, ow), (sr, sc), (dr, dc), (pr, pc), (rule_r, rule_c) = last
    rows = geometry.source_map(-pr, (oh - 1) * sr + geometry.span(kh, dr), height, rule_r)
    if rows_outside:
        rows[:] = -1
    columns = geometry.source_map(-pc, (ow - 1) * sc + geometry.span(kw, dc), width, rule_c)
    skip = int(rule_c == "zero" and rule_r == "zero")
    how = _ADD if accumulate else _STREAM if out.nbytes >= STREAM_BYTES else _STORE
    maps = (rows, columns, np.full(1, fill, x.dtype))
    steps = (width, ow, width, kh, kw)
    how_to_step = (ow, sr, sc, dr, dc, pc, skip, how)
    w_step = 0 if problem.shared_filter else kh * kw
    x, w, out = x.reshape(-1), w.reshape(-1), out.reshape(-1)
    x_step, out_step = height * width, oh * ow
    if problem.outputs <= band(kh * kw):
        planes = (problem.batch, x_step, w_step, out_step)
        kernel(x, w, out, *maps, *planes, *steps, 0, oh, *how_to_step)
        return

    def some_rows(lo: int, hi: int) -> None:
        # Bands count rows over all planes: a band may end one plane and begin the next.
        while lo < hi:
            plane, row = divmod(lo, oh)
            end = min(oh, row + hi - lo)
            here = x[plane * x_step :], w[plane * w_step :], out[plane * out_step :]
            kernel(*here, *maps, 1, 0, 0, 0, *steps, row, end, *how_to_step)
            lo += end - row

    # A multiple of 24 rows: whole register tiles of 4, 6 and 8 rows.
    height_of_band = max(24, band(kh * kw) // max(ow, 1) // 24 * 24)
    threads.run(some_rows, geometry.bands(problem.batch * oh, height_of_band), workers)


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


def _volume(
    problem: Problem, kernel: Any, x: Any, w: Any, out: Any, fill: Any, workers: int
) -> None:
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
    for b in range(problem.batch):
        for i in product(*(range(problem.output[a]) for a in lead)):
            for u in product(*(range(problem.filter[a]) for a in lead)):
                source = tuple(
                    int(maps[a][i[a] * problem.stride[a] + u[a] * problem.dilation[a]])
                    for a in lead
                )
                outside = any(j < 0 for j in source)
                if outside and skip:
                    continue
                where = tuple(max(j, 0) for j in source)
                _plane(
                    plane,
                    kernel,
                    x[(b, *where)],
                    w[(b % len(w), *u)],
                    out[(b, *i)],
                    fill,
                    workers,
                    True,
                    rows_outside=outside,
                )


PATH = Path(
    name="direct",
    summary="compiled loops over every product",
    local=True,
    supports=supports,
    guarantee=guarantee,
    work=work,
    execute=execute,
    kernels=kernels,
)
