"""Winograd's transforms of 3 x 3 windows: tiles of 2 x 2 or 4 x 4 outputs become products.

A tile of m x m outputs needs n x n samples, n = m + 2, and n * n products instead of 9 * m * m:
``Y = A' [(G w G') * (B' x B)] A`` (Toom and Cook; Winograd 1980; Lavin and Gray 2016). In one axis
the rows of the three matrices are a polynomial's values at the points 0, +-a, +-b and infinity
(m = 4), or 0, +-1 and infinity (m = 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .fft_emit import vector_intrinsic

Values = list[Any]

# Of all pairs of sixteenths this one has nearly the least amplification of errors, 22.3 per axis
# (48 at the usual 1 and 2), and a root mean square error 1.7 times that of a plain sum over 64
# channels (3.7 times). All that is made of them below is exact in float32.
A, B = 5 / 8, 13 / 8
A2, B2 = A * A, B * B


def _samples(ops: Any, m: int, d: Values) -> Values:
    """Return B' d."""
    if m == 2:
        return [ops.sub(d[0], d[2]), ops.add(d[2], d[1]), ops.sub(d[2], d[1]), ops.sub(d[3], d[1])]
    first, a, b, a2, b2, middle = (_all(ops, c) for c in (A2 * B2, A, B, A2, B2, A2 + B2))
    found = [ops.fma(first, d[0], ops.fnma(middle, d[2], d[4]))]
    for point, other in ((a, b2), (b, a2)):
        even, odd = ops.fnma(other, d[2], d[4]), ops.fnma(other, d[1], d[3])
        found += [ops.fma(point, odd, even), ops.fnma(point, odd, even)]
    return [*found, ops.fma(first, d[1], ops.fnma(middle, d[3], d[5]))]


def _taps(ops: Any, m: int, g: Values) -> Values:
    """Return G g."""
    points = ((1.0, 0.5),) if m == 2 else ((A, 0.5 / A2 / (A2 - B2)), (B, 0.5 / B2 / (B2 - A2)))
    found = [g[0] if m == 2 else ops.mul(_all(ops, 1 / A2 / B2), g[0])]
    for p, scale in points:
        even = ops.mul(_all(ops, scale), ops.fma(_all(ops, p * p), g[2], g[0]))
        odd = _all(ops, scale * p)
        found += [ops.fma(odd, g[1], even), ops.fnma(odd, g[1], even)]
    return [*found, g[2]]


def _sums(ops: Any, m: int, p: Values) -> Values:
    """Return A' p."""
    if m == 2:
        return [
            ops.add(p[0], ops.add(p[1], p[2])),
            ops.add(p[3], ops.sub(p[1], p[2])),
        ]
    even, odd = ops.add(p[1], p[2]), ops.sub(p[1], p[2])
    even_b, odd_b = ops.add(p[3], p[4]), ops.sub(p[3], p[4])
    a, b, a2, b2, a3, b3 = (_all(ops, c) for c in (A, B, A2, B2, A2 * A, B2 * B))
    return [
        ops.add(p[0], ops.add(even, even_b)),
        ops.fma(b, odd_b, ops.mul(a, odd)),
        ops.fma(b2, even_b, ops.mul(a2, even)),
        ops.fma(b3, odd_b, ops.fma(a3, odd, p[5])),
    ]


def _all(ops: Any, value: float) -> Any:
    return ops.constant([value] * ops.lanes)


def _both_axes(
    ops: Any, m: int, one: Callable[..., Values], count: int, load: Callable[[int, int], Any]
) -> Values:
    """Return the transform along the rows and the columns of ``load(i, j)``, i, j < count."""
    columns = [one(ops, m, [load(i, j) for i in range(count)]) for j in range(count)]
    rows = [one(ops, m, [column[i] for column in columns]) for i in range(len(columns[0]))]
    return [value for row in rows for value in row]


def _emit_samples(ops: Any, m: int, args: Any) -> None:
    x, out, at, row, px, to, pitch, count = args

    def vector(c: Any) -> None:
        def load(i: int, j: int) -> Any:
            return ops.load(x, ops.plus(at, c, ops.times(row, i), ops.times(px, j)))

        for f, value in enumerate(_both_axes(ops, m, _samples, m + 2, load)):
            ops.store(out, ops.plus(to, c, ops.times(pitch, f)), value)

    ops.loop(count, ops.lanes, vector)


def _emit_taps(ops: Any, m: int, args: Any) -> None:
    w, out, at, px, to, pitch, count = args

    def vector(c: Any) -> None:
        def load(i: int, j: int) -> Any:
            return ops.load(w, ops.plus(at, c, ops.times(px, 3 * i + j)))

        for f, value in enumerate(_both_axes(ops, m, _taps, 3, load)):
            ops.store(out, ops.plus(to, c, ops.times(pitch, f)), value)

    ops.loop(count, ops.lanes, vector)


def _emit_sums(ops: Any, m: int, args: Any) -> None:
    products, bias, out, at, pitch, start, to, row, px, count = args
    n = m + 2

    def vector(c: Any) -> None:
        def load(i: int, j: int) -> Any:
            return ops.load(products, ops.plus(at, c, ops.times(pitch, n * i + j)))

        held = ops.load(bias, ops.plus(start, c))
        for p, value in enumerate(_both_axes(ops, m, _sums, n, load)):
            place = ops.plus(to, c, ops.times(row, p // m), ops.times(px, p % m))
            ops.store(out, place, ops.add(value, held))

    ops.loop(count, ops.lanes, vector)


# Each for `count` channels, a multiple of the lanes, of one tile:
# out[to + f*pitch + c] = frequency f of x[at + i*row + j*px + c],
samples = vector_intrinsic(_emit_samples, 2, 6)
# out[to + f*pitch + c] = frequency f of w[at + (3*i + j)*px + c],
taps = vector_intrinsic(_emit_taps, 2, 5)
# out[to + i*row + j*px + c] = bias[start + c] + sum (i, j) of the products[at + f*pitch + c].
sums = vector_intrinsic(_emit_sums, 3, 7)
