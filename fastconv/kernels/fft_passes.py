"""The passes of the block transform as intrinsics: one call splits or joins one whole node.

Working data are M complex points in `scratch`, each L real parts followed by their L imaginary
parts. The first pass reads the signal and the last one writes the output, so that no copy is made:
point j is ``signal[j] + i signal[j + M]``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .fft_butterflies import forward, inverse, run
from .fft_emit import vector_intrinsic


def load_twiddles(ops: Any, table: Any, offset: Any, radix: int) -> list[Any]:
    return [
        (ops.broadcast(table, ops.plus(offset, 2 * j)),
         ops.broadcast(table, ops.plus(offset, 2 * j + 1)))
        for j in range(radix - 1)
    ]


def load_point(ops: Any, array: Any, point: Any) -> Any:
    index = ops.times(point, 2)
    return ops.load(array, index), ops.load(array, ops.plus(index, ops.lanes))


def store_point(ops: Any, array: Any, point: Any, z: Any) -> None:
    index = ops.times(point, 2)
    ops.store(array, index, z[0])
    ops.store(array, ops.plus(index, ops.lanes), z[1])


def _split(ops: Any, radix: int, args: Any) -> None:
    scratch, table, base, points, offset = args
    twiddles = load_twiddles(ops, table, offset, radix)
    rows = [ops.plus(base, ops.times(points, r)) for r in range(radix)]

    def body(j: Any) -> None:
        z = [load_point(ops, scratch, ops.plus(row, j)) for row in rows]
        run(forward(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            store_point(ops, scratch, ops.plus(row, j), value)

    ops.loop(points, ops.lanes, body)


def _join(ops: Any, radix: int, args: Any) -> None:
    scratch, table, base, points, offset = args
    twiddles = load_twiddles(ops, table, offset, radix)
    rows = [ops.plus(base, ops.times(points, r)) for r in range(radix)]

    def body(j: Any) -> None:
        z = [load_point(ops, scratch, ops.plus(row, j)) for row in rows]
        run(inverse(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            store_point(ops, scratch, ops.plus(row, j), value)

    ops.loop(points, ops.lanes, body)


def _read(ops: Any, radix: int, args: Any, inside: bool, backward: bool = False) -> None:
    signal, scratch, table, base, start, points, low, high = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    size = ops.times(points, radix)

    def fetch(index: Any) -> Any:
        if inside:
            return ops.load(signal, ops.plus(base, index))
        if backward:
            # Sample j is signal[high - 1 - j]: the vector ends where it would begin.
            last = ops.plus(high, -ops.lanes, ops.times(index, -1))
            value = ops.load_inside(signal, base, last, low, high)
            return ops.shuffle(value, value, list(range(ops.lanes))[::-1])
        return ops.load_inside(signal, base, index, low, high)

    def body(j: Any) -> None:
        z = []
        for row in rows:
            index = ops.plus(start, row, j)
            z.append((fetch(index), fetch(ops.plus(index, size))))
        run(forward(ops, z, twiddles))
        for row, value in zip(rows, z, strict=True):
            store_point(ops, scratch, ops.plus(row, j), value)

    ops.loop(points, ops.lanes, body)


def _write(ops: Any, radix: int, args: Any, inside: bool) -> None:
    scratch, out, norms, table, base, start, points, low, high, block = args
    twiddles = load_twiddles(ops, table, 0, radix)
    rows = [ops.times(points, r) for r in range(radix)]
    size = ops.times(points, radix)
    totals = [ops.variable(), ops.variable()]

    def put(index: Any, value: Any) -> None:
        if inside:
            ops.store(out, ops.plus(base, index), value)
        else:
            ops.store_inside(out, base, index, low, high, value)

    def body(j: Any) -> None:
        z = [load_point(ops, scratch, ops.plus(row, j)) for row in rows]
        run(inverse(ops, z, twiddles))
        for t in (0, 1):
            part = ops.mul(*z[t])
            for value in z[t + 2 :: 2]:
                part = ops.fma(*value, part)
            ops.put(totals[t], ops.add(part, ops.get(totals[t])))
        for row, value in zip(rows, z, strict=True):
            index = ops.plus(start, row, j)
            put(index, value[0])
            put(ops.plus(index, size), value[1])

    ops.loop(points, ops.lanes, body)
    ops.add_total(norms, block, ops.add(ops.get(totals[0]), ops.get(totals[1])))


# (scratch, table, base, points, offset): one node at complex point `base` into `radix` children of
# `points` points, twiddles from table[offset]; join undoes it, times the radix.
split = vector_intrinsic(_split, 2, 3)
join = vector_intrinsic(_join, 2, 3)
# (signal, scratch, table, base, start, points, low, high): the first pass, point 0 is
# signal[base + start]. read_rim takes samples outside low <= start + j < high as zero, unread;
# read_backward also takes the samples from the last to the first.
read = vector_intrinsic(partial(_read, inside=True), 3, 5)
read_rim = vector_intrinsic(partial(_read, inside=False), 3, 5)
read_backward = vector_intrinsic(partial(_read, inside=False, backward=True), 3, 5)
# (scratch, out, norms, table, base, start, points, low, high, block): the last pass.
write = vector_intrinsic(partial(_write, inside=True), 4, 6)
write_rim = vector_intrinsic(partial(_write, inside=False), 4, 6)


def _prefetch(ops: Any, count: int, args: Any) -> None:
    signal, out, source, target = args
    for j in range(0, count, 64 // ops.bytes):
        ops.prefetch(signal, ops.plus(source, j), False)
        ops.prefetch(out, ops.plus(target, j), True)


def _prefetch_results(ops: Any, count: int, args: Any) -> None:
    out, target = args
    for j in range(0, count, 64 // ops.bytes):
        ops.prefetch(out, ops.plus(target, j), True)


# (signal, out, source, target) with the count of elements in place of the radix.
prefetch = vector_intrinsic(_prefetch, 2, 2)
# (out, target)
prefetch_results = vector_intrinsic(_prefetch_results, 1, 1)
