"""Exact convolution of whole numbers by transforms of their digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_bundle import make_bundle_walk
from .fft_digits import read_digit, read_digit_rim, write_digit, write_digit_rim
from .scalar import put


def make_limbs(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``limbs``.

    ::

        z_a[j] = digit a of x[o + j + shift], j < 2M, a < x_digits, o = first + block * step
        out[o + j] = sum over c < digits of round((sum over a + b = c of z_a * h_b)[j]) << bits * c

    modulo 2^width for those j with low <= o + j < high, x = 0 outside 0..n-1; h_b, b < w_digits,
    are the digits of the filter whose spectra (kernel ``spectrum``, float64) are given. Blocks as
    in ``overlap_save``. ``norms[(row * norm_step + block) * x_digits + a]`` becomes
    ``sum over j of z_a[j]^2``.

    The result is the wrapping sum of products if every rounded value is within 1/2 of a whole
    number. To first order its error is at most

        (9 (1 + log2 M) + 6 p) eps * sum over a + b = c of ||z_a||_2 ||h_b||_2

    with p terms in the sum: the transforms as in ``overlap_save``, and a chain of 4p multiply-adds
    per spectral value, each of which adds at most u to a part of a complex number.

    Assumes: top is 2, 4 or 8; members stand `apart` >= M complex points apart in scratch;
    digits <= x_digits + w_digits - 1; bits * (digits - 1) < 64; |every sum| < 2^51; otherwise as
    ``overlap_save``.
    """
    lanes = target.lanes(8)
    walk = make_bundle_walk(target, "float64")

    @inline
    def first_pass(
        x: Any, scratch: Any, table: Any, norms: Any, base: int, start: int, size: int, top: int,
        n: int, bias: int, shift: int, mask: int, place: int, at: int,
    ) -> None:
        points = size // top
        if start >= 0 and start + 2 * size <= n:
            if top == 8:
                read_digit(lanes, 8, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)
            elif top == 4:
                read_digit(lanes, 4, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)
            else:
                read_digit(lanes, 2, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)
        elif top == 8:
            read_digit_rim(lanes, 8, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)
        elif top == 4:
            read_digit_rim(lanes, 4, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)
        else:
            read_digit_rim(lanes, 2, scratch, x, table, norms, base, start, points, 0, n, bias,
                           shift, mask, place, at)

    @inline
    def last_pass(
        scratch: Any, out: Any, table: Any, base: int, start: int, size: int, top: int, low: int,
        high: int, place: int, shift: int, keep: int,
    ) -> None:
        points = size // top
        if start >= low and start + 2 * size <= high:
            if top == 8:
                write_digit(lanes, 8, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)
            elif top == 4:
                write_digit(lanes, 4, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)
            else:
                write_digit(lanes, 2, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)
        elif top == 8:
            write_digit_rim(lanes, 8, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)
        elif top == 4:
            write_digit_rim(lanes, 4, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)
        else:
            write_digit_rim(lanes, 2, scratch, out, table, base, start, points, low, high, place,
                            shift, keep)

    def limbs(
        x: Any, spectra: Any, table: Any, scratch: Any, out: Any, norms: Any,
        rows: int, x_step: int, out_step: int, norm_step: int, n: int, low: int, high: int,
        first: int, step: int, shift: int, block_begin: int, block_end: int,
        size: int, top: int, levels: int, apart: int, x_digits: int, w_digits: int, digits: int,
        bits: int, bias: int,
    ) -> None:
        mask = (1 << bits) - 1
        for row in range(rows):
            for back in range(block_end - block_begin):
                block = block_end - 1 - back
                start = first + block * step
                at = (row * norm_step + block) * x_digits
                for a in range(x_digits):
                    put(norms, at + a, 0.0)
                    first_pass(x, scratch, table, norms, row * x_step, start + shift, size, top,
                               n, bias, bits * a, mask, a * apart, at + a)
                walk(scratch, table, spectra, size, top, levels, apart, x_digits, w_digits, digits)
                for c in range(digits):
                    last_pass(scratch, out, table, row * out_step, start, size, top, low, high,
                              c * apart, bits * c, 0 if c == 0 else -1)

    return limbs
