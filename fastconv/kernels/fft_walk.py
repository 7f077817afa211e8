"""The passes below the first one, depth first: what every block transform has in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..runtime.jit import inline
from ..runtime.target import Target
from .fft_layout import tile
from .fft_passes import join, prefetch, prefetch_results, split
from .fft_tile import tile_intrinsics


def make_walk(target: Target, dtype: str, way: str, compact: bool = False) -> Any:
    """Return the walk over the passes below the first one, depth first, without recursion.

    A node is split just before its first tile and joined just after its last one, so that it is
    still in the nearest cache that holds it. The `way`:

    - "product": multiply by the spectrum and come back;
    - "spectrum": transform a filter and store its spectrum;
    - "forward": transform a signal in place, as far as the product needs;
    - "inverse": from there, held in `signal`: multiply by the spectrum and come back to `scratch`.

    `compact`: spectra of 2 reals per point.

    `levels` holds log2 of the radices, 4 bits each, the uppermost level in the lowest bits; the
    twiddles of a level follow those of the level above it in `table`. `ahead` not 0: also ask for
    the samples from signal[source] on and the outputs from out[target] on, those of the next block;
    the way "inverse" asks for its own outputs.
    """
    shape = tile(target, np.dtype(dtype).itemsize)
    lanes, rows, streams = shape.lanes, shape.rows, shape.streams
    points, scalars = shape.points, shape.scalars
    stored = 2 if compact else shape.spectrum
    product, spectrum_of, there, back = tile_intrinsics(shape, compact)
    chunk = 2 * points * streams
    filtering, storing = way == "product", way == "spectrum"
    splitting, joining = way != "inverse", way in ("product", "inverse")

    @inline
    def split_any(code: int, scratch: Any, table: Any, base: int, size: int, offset: int) -> None:
        if code == 3:
            split(lanes, 8, scratch, table, base, size, offset)
        elif code == 2:
            split(lanes, 4, scratch, table, base, size, offset)
        else:
            split(lanes, 2, scratch, table, base, size, offset)

    @inline
    def join_any(code: int, scratch: Any, table: Any, base: int, size: int, offset: int) -> None:
        if code == 3:
            join(lanes, 8, scratch, table, base, size, offset)
        elif code == 2:
            join(lanes, 4, scratch, table, base, size, offset)
        else:
            join(lanes, 2, scratch, table, base, size, offset)

    @inline
    def walk(
        scratch: Any, table: Any, spectrum: Any, size: int, top: int, levels: int, base: int,
        signal: Any, out: Any, source: int, target: int, ahead: int,
    ) -> None:
        tiles = size // points
        # Log2 of the tiles below one child of the first pass, and where the tiles' twiddles start.
        top_bits = 0
        while top << top_bits < tiles:
            top_bits += 1
        offset, nodes, rest, depth, low = 2 * top - 2, top, levels, 0, top_bits
        while rest > 0:
            low = rest & 15
            offset += nodes * ((2 << low) - 2)
            nodes <<= low
            rest >>= 4
            depth += 1
        group = 1 << low if depth > 0 else tiles
        g = 0
        while g < tiles:
            # Splits, from the uppermost node that starts here down.
            at, nodes, bits, rest = 2 * top - 2, top, top_bits, levels
            while rest > 0:
                code = rest & 15
                weight = (2 << code) - 2
                if splitting and g & ((1 << bits) - 1) == 0:
                    children = points << (bits - code)
                    split_any(code, scratch, table, g * points, children,
                              at + (g >> bits) * weight)
                at += nodes * weight
                nodes <<= code
                bits -= code
                rest >>= 4
            for pair in range(group // streams):
                b = g + pair * streams
                index, twiddle = 2 * points * b, offset + 2 * scalars * b
                place = base + stored * points * b
                if filtering:
                    if ahead != 0:
                        prefetch(lanes, chunk, signal, out, source + index,
                                 target + index)
                    product(lanes, rows, scratch, table, spectrum, index, twiddle, place)
                elif storing:
                    spectrum_of(lanes, rows, scratch, table, spectrum, index, twiddle, place,
                                len(table) - 1)
                elif joining:
                    if ahead != 0:
                        prefetch_results(lanes, chunk, out, target + index)
                    back(lanes, rows, signal, scratch, table, spectrum, index, twiddle, place)
                else:
                    there(lanes, rows, scratch, table, index, twiddle)
            if joining:
                # Joins, up to the uppermost node that ends here.
                end, level = g + group, depth - 1
                while level >= 0:
                    code = (levels >> (4 * level)) & 15
                    weight = (2 << code) - 2
                    nodes >>= code
                    at -= nodes * weight
                    bits += code
                    if end & ((1 << bits) - 1) != 0:
                        break
                    node = (end >> bits) - 1
                    children = points << (bits - code)
                    join_any(code, scratch, table, (node << bits) * points, children,
                             at + node * weight)
                    level -= 1
            g += group

    return walk
