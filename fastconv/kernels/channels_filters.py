"""Filters laid out for the tiles of layers: the channels of a block beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ..runtime.jit import inline, intrinsic
from ..runtime.target import Target
from .arithmetic import Arithmetic
from .channels_tile import Tiles
from .channels_vectors import nothing, transpose
from .emit import Values, choose, function, index
from .workspace import address


def make_filters(target: Target, dtype: str) -> Callable[..., Any]:
    """Return the kernel ``filters``.

    ::

        packed[c // block, k, c % block] = w[c, k]   for c < outputs, k < steps; 0 for c beyond

    Assumes: w is contiguous; `packed` has whole blocks of ``steps * block`` elements.
    """
    tiles = Tiles.of(target, dtype)
    a, block = tiles.arithmetic, tiles.block
    square, lanes = make_square(a), a.lanes

    def filters(w: Any, packed: Any, outputs: int, steps: int) -> None:
        for channel in range(0, outputs, block):
            for v in range(0, block, lanes):
                rows = min(max(outputs - channel - v, 0), lanes)
                for k in range(0, steps, lanes):
                    square(
                        w, (channel + v) * steps + k, steps, rows,
                        packed, (channel * steps + k * block) + v, block, min(steps - k, lanes),
                    )

    return filters


def make_beside(a: Arithmetic) -> Callable[..., Any]:
    """Return ``beside(w, first, taps, count, work)``.

    ::

        work[t*count + c] = w[(first + c)*taps + t]   for t < taps, c < count

    Assumes: count is at least a vector.
    """
    square, lanes = make_square(a), a.lanes

    @inline
    def beside(w: Any, first: int, taps: int, count: int, work: Any) -> None:
        for c in range(0, count, lanes):
            at = min(c, count - lanes)  # Over its neighbour the last vector says the same again.
            for t in range(0, taps, lanes):
                square(
                    w, (first + at) * taps + t, taps, lanes,
                    work, t * count + at, count, min(taps - t, lanes),
                )

    return beside


def make_square(a: Arithmetic) -> Callable[..., Any]:
    """Return the intrinsic ``square``: at most lanes x lanes elements, rows to columns.

    ::

        out[out_at + k*out_row + c] = w[w_at + c*w_row + k]   for k < columns, c < lanes

    with zeros where c >= rows. Assumes: 0 <= rows, columns <= lanes.
    """

    def model(
        w: Any, w_at: int, w_row: int, rows: int, out: Any, out_at: int, out_row: int, columns: int
    ) -> None:
        for k in range(columns):
            at = out_at + k * out_row
            if at < 0 or at + a.lanes > len(out):
                raise IndexError(f"elements from {at} on must lie within {len(out)}")
            out[at : at + a.lanes] = 0
            for c in range(rows):
                out[at + c] = w[w_at + c * w_row + k]

    @intrinsic(model=model)
    def square(
        typingctx: Any, w: Any, w_at: Any, w_row: Any, rows: Any,
        out: Any, out_at: Any, out_row: Any, columns: Any,
    ) -> Any:
        n = types.intp

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            passed = [
                address(context, builder, w, args[0], args[1]), args[2], args[3],
                address(context, builder, out, args[4], args[5]), args[6], args[7],
            ]
            micro = function(
                builder.module, f"square_{a.dtype}", [p.type for p in passed],
                lambda b, values: _emit(b, a, values),
            )
            builder.call(micro, passed)
            return context.get_dummy_value()

        return types.none(w, n, n, n, out, n, n, n), codegen

    return square


def _emit(builder: Any, a: Arithmetic, args: Values) -> None:
    w, w_row, rows, out, out_row, columns = args
    inside = builder.and_(
        builder.icmp_signed("==", rows, index(a.lanes)),
        builder.icmp_signed("==", columns, index(a.lanes)),
    )
    places = [a.at(builder, w, builder.mul(w_row, index(c))) for c in range(a.lanes)]
    align = a.size // a.parts

    def whole(_: Values) -> Values:
        return [builder.load(p, typ=a.stored, align=align) for p in places]

    def ragged(_: Values) -> Values:
        loaded = []
        for c, place in enumerate(places):
            here = builder.select(builder.icmp_signed("<", index(c), rows), columns, index(0))
            loaded.append(a.load_first(builder, place, here))
        return loaded

    selector = builder.zext(inside, index(0).type)
    vectors = choose(builder, selector, {0: ragged, 1: whole}, [nothing(a)] * a.lanes)
    for k, vector in enumerate(transpose(builder, a, vectors)):
        with builder.if_then(builder.icmp_signed("<", index(k), columns)):
            a.store(builder, vector, a.at(builder, out, builder.mul(out_row, index(k))))
