"""How a block transform is cut into passes and register tiles: plain integers, no Numba.

A block of 2M real samples is the M complex points z[j] = x[j] + i x[j + M], a polynomial modulo
(X^M - i). A radix-r pass splits a node, a polynomial modulo (X^m - c), into r children modulo
(X^(m/r) - c_s) where c_s runs over the r-th roots of c. With c = exp(2 pi i a) child s has the
angle ``(a + turns(r)[s]) / r``. The last passes of P points run inside one register tile of R
vectors of L lanes. They stop at pairs, polynomials modulo (X^2 - c): a product of two pairs costs
less than the two butterflies and one product that it replaces.
"""

from __future__ import annotations

from ..records import NamedTuple
from ..runtime.target import Target


class Tile(NamedTuple):
    """The register tile of one target and item size.

    Parameters
    ----------
    lanes : int
        Elements in one vector, L.
    rows : int
        Complex vectors in the tile, R.
    inner : int
        Radix of the passes after the transposition, K; 1 if there is no transposition.
    paired : bool
        Whether the two halves of a pair lie in neighbouring lanes (else in two vectors).
    streams : int
        Tiles that are computed side by side.
    """

    lanes: int
    rows: int
    inner: int
    paired: bool
    streams: int

    @property
    def points(self) -> int:
        """Complex points in one tile."""
        return self.rows * self.lanes

    @property
    def scalars(self) -> int:
        """Complex twiddle factors that one tile reads."""
        return self.rows + self.inner - 2

    @property
    def spectrum(self) -> int:
        """Reals in the filter's spectrum, per complex point."""
        return 4 if self.paired else 3


def tile(target: Target, itemsize: int) -> Tile:
    """Return the register tile: two side by side where there are registers for both."""
    lanes = target.lanes(itemsize)
    streams = 2 if target.registers >= 32 else 1
    if lanes == 2:
        return Tile(lanes, 4, 1, paired=True, streams=streams)
    if lanes == 4:
        return Tile(lanes, 4, 2, paired=False, streams=streams)
    if lanes == 8:
        return Tile(lanes, 4, 4, paired=True, streams=streams)
    return Tile(lanes, 8, 8, paired=True, streams=1)


def turns(radix: int) -> tuple[int, ...]:
    """Return r times the angle, in turns, that separates each child from the first one."""
    return {1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (0, 2, 1, 3), 5: (0, 1, 2, 3, 4),
            8: (0, 4, 2, 6, 1, 5, 3, 7)}[radix]
