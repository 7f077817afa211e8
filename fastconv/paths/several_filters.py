"""Several filters on one signal: blocks that are transformed once, some filters at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import geometry
from ..forms import recall
from ..path import Operands
from ..problem import Problem
from ..records import NamedTuple
from ..runtime import load, threads
from ..runtime.scratch import scratch
from .fft_tables import Transform

# Outputs in one band; the blocks themselves do not depend on it.
_BAND = 1 << 16


class Several(NamedTuple):
    """How the filters of one signal are transformed, and the loop that they share.

    Parameters
    ----------
    plan : Transform
        The transform of a block.
    part : str
        The dtype of the kernels: that of the samples, or of their parts.
    kernel : str
        The loop over blocks of one signal.
    apart : int
        Reals in one filter's spectrum.
    together : int
        Of how many filters the spectra are there at a time.
    transform : callable
        (filters, spectra): transforms them.
    """

    plan: Transform
    part: str
    kernel: str
    apart: int
    together: int
    transform: Callable[[Any, Any], None]


def compute(
    problem: Problem, operands: Operands, x: Any, several: Several, cut: geometry.Blocks
) -> Any:
    """Run the kernel over all blocks; return a number per block that is finite if all is."""
    (n,), (stride,), (m,), filters = problem.signal, problem.stride, problem.output, problem.batch
    outputs = (m - 1) * stride + 1
    plan, part, _, apart, some, transform = several
    form, room = (plan.size, plan.top, plan.levels), plan.scratch_length
    norms = np.zeros((filters, cut.number), part)
    out = operands.out if stride == 1 else np.empty((filters, outputs), problem.dtype)
    kernel, samples = load.kernel(several.kernel, part), x[0].view(part)

    def transformed(w: Any) -> Any:
        # Fresh pages would cost as much as the transform; what is kept by others has its own.
        length = len(w) * apart
        spectra = np.empty(length, part) if operands.forms else scratch(length, part, "spectra")
        transform(w, spectra)
        return spectra

    def some_blocks(spectra: Any, begin: int, end: int, lo: int, hi: int) -> None:
        area = scratch(2 * room, part)
        kernel(
            samples, spectra, plan.table, area[:room], area[room:],
            out[begin:end].reshape(-1).view(part), norms[begin:end].reshape(-1), end - begin,
            apart, outputs, cut.number, n, lo * cut.step, min(outputs, hi * cut.step), cut.first,
            cut.step, cut.shift, lo, hi, *form,
        )  # fmt: skip

    for begin in range(0, filters, some):
        end = min(filters, begin + some)
        key = (several.kernel, part, plan.size, problem.filter, begin, end)
        spectra = recall(operands.forms, key, partial(transformed, operands.w[begin:end]), _bytes)
        bands = geometry.shares(cut.number, max(1, _BAND // (some * cut.step)), operands.workers)
        threads.run(partial(some_blocks, spectra, begin, end), bands, operands.workers)
    if stride != 1:
        operands.out[...] = out[:, ::stride]
    return norms


def _bytes(spectra: Any) -> int:
    return int(spectra.nbytes)
