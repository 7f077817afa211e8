"""Square blocks in registers: rows become columns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .arithmetic import Arithmetic
from .emit import Values, lanes


def transpose(builder: Any, a: Arithmetic, vectors: Values) -> Values:
    """Return the columns of a square block whose rows are `vectors` of stored elements.

    ::

        out[i][j] = vectors[j][i]

    At each of log2(lanes) stages a pair of rows exchanges its off-diagonal blocks.
    """
    rows, distance = list(vectors), 1
    while distance < a.lanes:
        for i in range(a.lanes):
            if i & distance:
                continue
            one, other = rows[i], rows[i + distance]
            upper, lower = [], []
            for j in range(a.lanes):
                own = not j & distance
                # Elements of `other` are numbered after those of `one`.
                upper.append(j if own else a.lanes + j - distance)
                lower.append(j + distance if own else a.lanes + j)
            rows[i] = builder.shuffle_vector(one, other, _mask(a, upper))
            rows[i + distance] = builder.shuffle_vector(one, other, _mask(a, lower))
        distance *= 2
    return rows


def _mask(a: Arithmetic, places: list[int]) -> Any:
    """Return the shuffle mask for whole elements, both parts of a complex one together."""
    return lanes([place * a.parts + part for place in places for part in range(a.parts)])


def nothing(a: Arithmetic) -> Any:
    """Return a stored vector of zeros."""
    return ir.Constant(a.stored, None)
