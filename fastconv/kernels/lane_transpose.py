"""Transpose a square of registers: as many vectors as one of them has lanes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .emit import Values, lanes


def transposed(b: Any, vectors: Values) -> Values:
    """Return the columns of a square whose rows are `vectors`, by two-operand shuffles.

    First within 16 bytes, as x86's unpack instructions do it, then by whole pieces of 16 bytes.
    """
    count, kind = len(vectors), vectors[0].type
    element = kind.element
    bits = element.width if isinstance(element, ir.IntType) else _FLOAT_BITS[type(element)]
    piece = min(count, 128 // bits)

    def shuffle(one: Any, other: Any, take: list[int]) -> Any:
        return b.shuffle_vector(one, other, lanes(take))

    def unpack(one: Any, other: Any, run: int, half: int) -> Any:
        """Runs of one and the other in turn, from one half of each 16 bytes."""
        take = []
        for start in range(0, count, piece):
            first = start + half * piece // 2
            for at in range(first, first + piece // 2, run):
                take += [*range(at, at + run), *range(count + at, count + at + run)]
        return shuffle(one, other, take)

    def within(rows: Values) -> Values:
        """Transpose each 16 bytes of `piece` rows."""
        run, order = 1, [[row] for row in rows]
        # A list holds the vectors made of some neighbouring rows, in the order of their columns.
        while len(order) > 1:
            merged = []
            for low, high in zip(order[::2], order[1::2], strict=True):
                both: Values = []
                for one, other in zip(low, high, strict=True):
                    both += [unpack(one, other, run, half) for half in (0, 1)]
                merged.append(both)
            run, order = 2 * run, merged
        return order[0]

    groups = [within(vectors[g : g + piece]) for g in range(0, count, piece)]
    step = 1
    while step < len(groups):
        across = [list(group) for group in groups]
        for g in range(len(groups)):
            if g & step:
                continue
            low, high = [], []
            for start in range(0, count, piece):
                g_of = start // piece
                other = g_of & step
                lows = start if not other else count + start - step * piece
                highs = start + step * piece if not other else count + start
                low += range(lows, lows + piece)
                high += range(highs, highs + piece)
            for p in range(piece):
                one, two = groups[g][p], groups[g | step][p]
                across[g][p] = shuffle(one, two, low)
                across[g | step][p] = shuffle(one, two, high)
        groups, step = across, 2 * step
    return [vector for group in groups for vector in group]


_FLOAT_BITS = {ir.DoubleType: 64, ir.FloatType: 32}
