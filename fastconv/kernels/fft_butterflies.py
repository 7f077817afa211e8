"""Butterflies on complex vectors (re, im): the arithmetic of one node, in registers.

A radix-r node multiplies row k by t^k, t = c^(1/r), and transforms the rows by an r-point DFT:
36 multiply-adds and 44 additions for radix 8, so that both kinds of unit are busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

Complex = tuple[Any, Any]


def multiply(ops: Any, a: Complex, b: Complex) -> Complex:
    """Return a * b."""
    return (ops.fms(a[0], b[0], ops.mul(a[1], b[1])), ops.fma(a[0], b[1], ops.mul(a[1], b[0])))


def multiply_conjugate(ops: Any, a: Complex, b: Complex) -> Complex:
    """Return conj(a) * b."""
    return (ops.fma(a[0], b[0], ops.mul(a[1], b[1])), ops.fms(a[0], b[1], ops.mul(a[1], b[0])))


def add(ops: Any, a: Complex, b: Complex) -> Complex:
    """Return a + b."""
    return ops.add(a[0], b[0]), ops.add(a[1], b[1])


def sub(ops: Any, a: Complex, b: Complex) -> Complex:
    """Return a - b."""
    return ops.sub(a[0], b[0]), ops.sub(a[1], b[1])


def forward(ops: Any, z: list[Complex], twiddles: list[Complex]) -> Iterator[None]:
    """Split nodes in place, radix len(z); yields between its two phases.

    z[k] is multiplied by ``twiddles[k - 1]`` and the transform of exp(+2 pi i / r) follows, its
    outputs in bit-reversed order for r = 4, 8.
    """
    z[1:] = [multiply(ops, t, v) for t, v in zip(twiddles, z[1:], strict=True)]
    yield
    if len(z) in (3, 5):
        _odd(ops, z, z[1:], False)
    else:
        _even(ops, z)
    yield


def inverse(ops: Any, z: list[Complex], twiddles: list[Complex]) -> Iterator[None]:
    """Undo `forward`, times the radix."""
    if len(z) in (3, 5):
        _odd(ops, z, z[1:], True)
    else:
        _even_back(ops, z)
    yield
    z[1:] = [multiply_conjugate(ops, t, v) for t, v in zip(twiddles, z[1:], strict=True)]
    yield


def run(*phases: Iterator[None]) -> None:
    """Emit several computations side by side, one phase of each in turn.

    A phase is mostly multiply-adds, or additions, or shuffles. The processor looks about a hundred
    vector operations ahead: alternating phases of two tiles keep all its units busy (28 % faster).
    """
    waiting = list(phases)
    while waiting:
        waiting = [p for p in waiting if next(p, waiting) is None]


def cross(ops: Any, z: list[Complex], p: int, q: int) -> None:
    """Set z[p], z[q] to their sum and difference."""
    z[p], z[q] = add(ops, z[p], z[q]), sub(ops, z[p], z[q])


def cross_quarter(ops: Any, z: list[Complex], p: int, q: int) -> None:
    """Set z[p], z[q] to z[p] + i z[q], z[p] - i z[q]."""
    a, b = z[p], z[q]
    z[p] = ops.sub(a[0], b[1]), ops.add(a[1], b[0])
    z[q] = ops.add(a[0], b[1]), ops.sub(a[1], b[0])


def uncross_quarter(ops: Any, z: list[Complex], p: int, q: int) -> None:
    """Set z[p], z[q] to z[p] + z[q], -i (z[p] - z[q])."""
    a, b = z[p], z[q]
    z[p], z[q] = add(ops, a, b), (ops.sub(a[1], b[1]), ops.sub(b[0], a[0]))


def cross_scaled(ops: Any, z: list[Complex], p: int, q: int, b: Complex) -> None:
    """Set z[p], z[q] to z[p] + b sqrt(1/2), z[p] - b sqrt(1/2)."""
    root = ops.constant([math.sqrt(0.5)] * ops.lanes)
    a = z[p]
    z[p] = ops.fma(root, b[0], a[0]), ops.fma(root, b[1], a[1])
    z[q] = ops.fnma(root, b[0], a[0]), ops.fnma(root, b[1], a[1])


def _even(ops: Any, z: list[Complex]) -> None:
    """The 2-, 4- or 8-point transform in place, bit-reversed."""
    if len(z) == 8:
        for r in range(4):
            cross(ops, z, r, r + 4)
    if len(z) >= 4:
        for r in (0, 1):
            cross(ops, z, r, r + 2)
    cross(ops, z, 0, 1)
    if len(z) >= 4:
        cross_quarter(ops, z, 2, 3)
    if len(z) == 8:
        cross_quarter(ops, z, 4, 6)
        cross_quarter(ops, z, 5, 7)
        re, im = z[5]
        cross_scaled(ops, z, 4, 5, (ops.sub(re, im), ops.add(re, im)))
        re, im = z[7]
        # i w = (i - 1) sqrt(1/2).
        cross_scaled(ops, z, 6, 7, (ops.neg(ops.add(re, im)), ops.sub(re, im)))


def _even_back(ops: Any, z: list[Complex]) -> None:
    """Undo `_even`, times the length."""
    if len(z) == 8:
        # Without their factor sqrt(1/2), which the last step takes in.
        cross(ops, z, 4, 5)
        re, im = z[5]
        z[5] = ops.add(re, im), ops.sub(im, re)
        cross(ops, z, 6, 7)
        re, im = z[7]
        z[7] = ops.sub(im, re), ops.neg(ops.add(re, im))
        uncross_quarter(ops, z, 4, 6)
        uncross_quarter(ops, z, 5, 7)
    cross(ops, z, 0, 1)
    if len(z) >= 4:
        uncross_quarter(ops, z, 2, 3)
        for r in (0, 1):
            cross(ops, z, r, r + 2)
    if len(z) == 8:
        for r in (0, 2):
            cross(ops, z, r, r + 4)
        for r in (1, 3):
            cross_scaled(ops, z, r, r + 4, z[r + 4])


def _odd(ops: Any, z: list[Complex], rest: list[Complex], backward: bool) -> None:
    """Set z to the 3- or 5-point transform of z[0] and `rest`, w = exp(+-2 pi i / r)."""
    radix = len(z)
    half = radix // 2
    sums = [add(ops, rest[j], rest[-1 - j]) for j in range(half)]
    differences = [sub(ops, rest[j], rest[-1 - j]) for j in range(half)]
    total = z[0]
    for s in sums:
        total = add(ops, total, s)
    even, odd = [], []
    for k in range(1, half + 1):
        angles = [2 * math.pi * (j * k % radix) / radix for j in range(1, half + 1)]
        re, im = z[0]
        cross_re = cross_im = None
        for angle, s, d in zip(angles, sums, differences, strict=True):
            cosine = ops.constant([math.cos(angle)] * ops.lanes)
            sine = ops.constant([math.sin(angle) * (-1 if backward else 1)] * ops.lanes)
            re, im = ops.fma(cosine, s[0], re), ops.fma(cosine, s[1], im)
            # i * sine * d, summed over j.
            if cross_re is None:
                cross_re, cross_im = ops.mul(sine, d[1]), ops.mul(sine, d[0])
            else:
                cross_re, cross_im = ops.fma(sine, d[1], cross_re), ops.fma(sine, d[0], cross_im)
        even.append((re, im))
        odd.append((cross_re, cross_im))
    z[0] = total
    for k in range(half):
        (re, im), (cross_re, cross_im) = even[k], odd[k]
        z[1 + k] = ops.sub(re, cross_re), ops.add(im, cross_im)
        z[radix - 1 - k] = ops.add(re, cross_re), ops.sub(im, cross_im)
