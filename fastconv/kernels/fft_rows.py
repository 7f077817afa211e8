"""The first and the last pass over a tile of an image: each row of it lies where it likes.

A tile of P rows of Q samples is a block of P * Q: sample (i, j) is number i * Q + j, so that
point number ``point`` of the transform is made of the rows ``point // Q`` and P/2 further on.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .fft_butterflies import forward, inverse, run
from .fft_emit import vector_intrinsic
from .fft_passes import load_point, load_twiddles, store_point


def _read_rows(ops: Any, radix: int, args: Any) -> None:
    x, room, scratch, table, positions, point, points, columns = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.row(x, room, ops.integer(positions, r)) for r in range(2 * radix)]
    starts = [ops.plus(point, ops.times(points, r)) for r in range(radix)]

    def body(j: Any) -> None:
        z = [(ops.load_row(rows[r], j), ops.load_row(rows[r + radix], j)) for r in range(radix)]
        run(forward(ops, z, twiddles))
        for start, value in zip(starts, z, strict=True):
            store_point(ops, scratch, ops.plus(start, j), value)

    ops.loop(columns, ops.lanes, body)


def _write_rows(ops: Any, radix: int, args: Any, inside: bool) -> None:
    out, room, scratch, norms, table, positions, point, points, begin, end, low, high, at = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.row(out, room, ops.integer(positions, r)) for r in range(2 * radix)]
    starts = [ops.plus(point, ops.times(points, r)) for r in range(radix)]
    totals = [ops.variable(), ops.variable()]

    def put(row: Any, j: Any, value: Any) -> None:
        # Column `low` of the tile is element 0 of the row.
        index = ops.plus(j, ops.times(low, -1))
        if inside:
            ops.store_row(row, index, value)
        else:
            ops.store_row_inside(row, index, 0, ops.plus(high, ops.times(low, -1)), value)

    def body(step: Any) -> None:
        j = ops.plus(begin, step)
        z = [load_point(ops, scratch, ops.plus(start, j)) for start in starts]
        run(inverse(ops, z, twiddles))
        for t in (0, 1):
            part = ops.mul(*z[t])
            for value in z[t + 2 :: 2]:
                part = ops.fma(*value, part)
            ops.put(totals[t], ops.add(part, ops.get(totals[t])))
        for r, value in enumerate(z):
            put(rows[r], j, value[0])
            put(rows[r + radix], j, value[1])

    ops.loop(ops.plus(end, ops.times(begin, -1)), ops.lanes, body)
    ops.add_total(norms, at, ops.add(ops.get(totals[0]), ops.get(totals[1])))


def _read_complex(ops: Any, radix: int, args: Any) -> None:
    x, room, scratch, table, positions, point, points, columns = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.row(x, room, ops.integer(positions, r)) for r in range(radix)]
    starts = [ops.plus(point, ops.times(points, r)) for r in range(radix)]
    even, odd = list(range(0, 2 * ops.lanes, 2)), list(range(1, 2 * ops.lanes, 2))

    def body(j: Any) -> None:
        z, index = [], ops.times(j, 2)
        for row in rows:
            a, b = ops.load_row(row, index), ops.load_row(row, ops.plus(index, ops.lanes))
            z.append((ops.shuffle(a, b, even), ops.shuffle(a, b, odd)))
        run(forward(ops, z, twiddles))
        for start, value in zip(starts, z, strict=True):
            store_point(ops, scratch, ops.plus(start, j), value)

    ops.loop(columns, ops.lanes, body)


def _write_complex(ops: Any, radix: int, args: Any, inside: bool) -> None:
    out, room, scratch, norms, table, positions, point, points, begin, end, low, high, at = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.row(out, room, ops.integer(positions, r)) for r in range(radix)]
    starts = [ops.plus(point, ops.times(points, r)) for r in range(radix)]
    pairs = [lane + part * ops.lanes for lane in range(ops.lanes) for part in (0, 1)]
    totals = [ops.variable(), ops.variable()]
    length = ops.times(ops.plus(high, ops.times(low, -1)), 2)

    def put(row: Any, index: Any, value: Any) -> None:
        if inside:
            ops.store_row(row, index, value)
        else:
            ops.store_row_inside(row, index, 0, length, value)

    def body(step: Any) -> None:
        j = ops.plus(begin, step)
        # Column `low` of the tile is sample 0 of the row.
        index = ops.times(ops.plus(j, ops.times(low, -1)), 2)
        z = [load_point(ops, scratch, ops.plus(start, j)) for start in starts]
        run(inverse(ops, z, twiddles))
        for t in (0, 1):
            part = ops.mul(*z[t])
            for value in z[t + 2 :: 2]:
                part = ops.fma(*value, part)
            ops.put(totals[t], ops.add(part, ops.get(totals[t])))
        for row, (re, im) in zip(rows, z, strict=True):
            put(row, index, ops.shuffle(re, im, pairs[: ops.lanes]))
            put(row, ops.plus(index, ops.lanes), ops.shuffle(re, im, pairs[ops.lanes :]))

    ops.loop(ops.plus(end, ops.times(begin, -1)), ops.lanes, body)
    ops.add_total(norms, at, ops.add(ops.get(totals[0]), ops.get(totals[1])))


# (x, room, scratch, table, positions, point, points, columns): the first pass over the rows that
# make up the points from `point` on, `points` to a child. positions[r] says where row r of the
# 2 * radix begins: x[p], or room[-1 - p] where it is negative.
read_rows = vector_intrinsic(_read_rows, 5, 3)
# (out, room, scratch, norms, table, positions, point, points, begin, end, low, high, at): the last
# pass for the columns begin..end-1; column `low` goes to out[p] or room[-1 - p]. write_rows_rim
# leaves out what is not inside low..high-1.
write_rows = vector_intrinsic(partial(_write_rows, inside=True), 6, 7)
write_rows_rim = vector_intrinsic(partial(_write_rows, inside=False), 6, 7)
# The same for complex samples, each point one of them: `radix` rows, and columns of pairs of reals.
read_complex_rows = vector_intrinsic(_read_complex, 5, 3)
write_complex_rows = vector_intrinsic(partial(_write_complex, inside=True), 6, 7)
write_complex_rows_rim = vector_intrinsic(partial(_write_complex, inside=False), 6, 7)
