"""The register tile of direct 2-D correlation: some output rows times some vectors of columns.

Each vector of samples is loaded once and feeds every output row of the tile that it belongs to;
the sums stay in registers until they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..runtime.jit import intrinsic
from .direct2d_element import Element
from .simd import element_pointer

STORE, ACCUMULATE, PAST_CACHE = 0, 1, 2

_I64, _POINTER = ir.IntType(64), ir.IntType(8).as_pointer()


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a tile: output rows, vectors of columns, and the filter, 0 where it is free.

    Where the vectors are `adjacent`, one apart in source and output, those that begin at another
    column are shuffled from their neighbours. A `prompt` tile, of a fixed filter, stores each row
    as soon as it is complete: no more than kh rows of sums are in registers at a time. A `dense`
    one finds its source rows one after another, and reads no map. The samples and taps of a `low`
    one fit into the lower half of their lanes.
    """

    rows: int
    vectors: int
    kh: int = 0
    kw: int = 0
    adjacent: bool = False
    prompt: bool = False
    dense: bool = False
    low: bool = False


def make_tiles(element: Element, shapes: tuple[Shape, ...]) -> Callable[..., Any]:
    """Return the intrinsic ``tiles``, which computes `count` tiles of ``shapes[kind]``.

    ::

        out[out_at + r*out_row + q*out_vector + l] = sum over u < kh, v < kw of
            source[at(r + u) + q*vector + v*dilation + l] * w[w_at + u*kw + v]

    for r < shape.rows, q < shape.vectors, l < lanes; each next tile has source_at, map_at and
    out_at larger by source_next, map_next and out_next. With m = row_map[map_at + s*map_step],
    at(s) is source_at + m*row, or source_at + s*row if `packed`. A dense shape takes s for m: no
    map, no rows outside. Where m is -1: with `skip` the
    row's products are left out; else, unless packed, ``outside[q*vector + v*dilation + l]``
    stands for the samples of every tile. `how` is STORE, ACCUMULATE (add to what `out` holds) or
    PAST_CACHE (STORE where the element does not stream).

    Assumes: kh and kw are the shape's where it fixes them; a shape of several rows with free kh
    needs kh >= rows; a shape that fixes kw needs dilation == 1, an adjacent one vector ==
    out_vector == lanes; PAST_CACHE needs every address stored to aligned to the vector, where it
    streams.
    """

    @intrinsic(model=_make_model(element.lanes, shapes))
    def tiles(
        typingctx: Any, kind: Any, count: Any, source_next: Any, map_next: Any, out_next: Any,
        source: Any, source_at: Any, row: Any, vector: Any, packed: Any,
        row_map: Any, map_at: Any, map_step: Any, outside: Any, skip: Any,
        w: Any, w_at: Any, kh: Any, kw: Any, dilation: Any,
        out: Any, out_at: Any, out_row: Any, out_vector: Any, how: Any,
    ) -> Any:
        n = types.intp
        signature = types.none(n, n, n, n, n, source, n, n, n, n, row_map, n, n, outside, n,
                               w, n, n, n, n, out, n, n, n, n)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            args, kinds = list(args), signature.args
            starts = {5: 6, 10: 11, 13: None, 15: 16, 20: 21}
            for array, index in starts.items():
                at = _I64(0) if index is None else args[index]
                address = element_pointer(context, builder, kinds[array], args[array], at)
                args[array] = builder.bitcast(address, _POINTER)
            passed = [a for j, a in enumerate(args) if j and j not in starts.values()]
            end = builder.append_basic_block("tiles.end")
            switch = builder.switch(args[0], end)
            for number, shape in enumerate(shapes):
                block = builder.append_basic_block("tiles.kind")
                switch.add_case(_I64(number), block)
                builder.position_at_end(block)
                builder.call(_function(builder.module, element, shape), passed)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return tiles


# The parameters of an emitted function, and which of them are addresses.
_PARAMETERS = (
    "count", "source_next", "map_next", "out_next", "source", "row", "vector", "packed",
    "row_map", "map_step", "outside", "skip", "w", "kh", "kw", "dilation",
    "out", "out_row", "out_vector", "how",
)
_ADDRESSES = ("source", "row_map", "outside", "w", "out")


def _function(module: Any, element: Element, shape: Shape) -> Any:
    """Return the function of `shape` in `module`, emitted at the first request.

    A function of its own, not inlined: LLVM's time grows faster than the size of a function.
    """
    name = f"tile_{element.dtype}_{shape.rows}x{shape.vectors}_{shape.kh}x{shape.kw}"
    name += "a" * shape.adjacent + "p" * shape.prompt + "d" * shape.dense + "l" * shape.low
    if name in module.globals:
        return module.globals[name]
    kinds = [_POINTER if p in _ADDRESSES else _I64 for p in _PARAMETERS]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    for parameter, argument in zip(_PARAMETERS, function.args, strict=True):
        argument.name = parameter
        if parameter in ("out", "w", "row_map"):
            argument.add_attribute("noalias")
    _Emitter(function, element, shape).emit()
    return function


class _Emitter:
    """Emits the body of one function."""

    def __init__(self, function: Any, element: Element, shape: Shape) -> None:
        self.element, self.shape = element, shape
        self.builder = b = ir.IRBuilder(function.append_basic_block("entry"))
        a = dict(zip(_PARAMETERS, function.args, strict=True))
        size = _I64(element.itemsize)
        self.count, self.kh, self.kw, self.how = a["count"], a["kh"], a["kw"], a["how"]
        self.source, self.out, self.w, self.outside = a["source"], a["out"], a["w"], a["outside"]
        self.map = b.bitcast(a["row_map"], _I64.as_pointer())
        self.map_step = a["map_step"]
        self.packed = b.icmp_signed("!=", a["packed"], _I64(0))
        self.skip = b.icmp_signed("!=", a["skip"], _I64(0))
        self.row, self.out_row = b.mul(a["row"], size), b.mul(a["out_row"], size)
        self.w_row = b.mul(a["kw"], size)
        columns, lanes = range(shape.vectors), _I64(element.lanes)
        near, far = (lanes if shape.adjacent else a[name] for name in ("vector", "out_vector"))
        self.vectors = [b.mul(b.mul(near, size), _I64(q)) for q in columns]
        self.out_vectors = [b.mul(b.mul(far, size), _I64(q)) for q in columns]
        self.column = size if shape.kw else b.mul(a["dilation"], size)
        self.steps = (b.mul(a["source_next"], size), a["map_next"], b.mul(a["out_next"], size))
        # A small filter stays in registers for the whole row of tiles.
        self.taps = {
            (u, v): element.tap(b, b.gep(self.w, [_I64((u * shape.kw + v) * element.itemsize)]))
            for u in range(shape.kh) for v in range(shape.kw)
        }

    def emit(self) -> None:
        """Emit the loop over the tiles; one for each way to store, where stores lie amid the sums.

        A branch there has LLVM move the later rows' multiply-adds behind it, where they wait for
        each other (AVX2, 120 x 496 float32, 3 x 3 taps: 31.5 us, 26.7 so).
        """
        if not self.shape.prompt:
            self._tiles()
            self.builder.ret_void()
            return
        for how in self._each_how():
            self.how = how
            self._tiles()
        self.builder.ret_void()

    def _tiles(self) -> None:
        b, places = self.builder, (self.source, self.map, self.out)
        entry = b.block
        head, work, done = (b.append_basic_block(n) for n in ("head", "work", "done"))
        b.branch(head)
        b.position_at_end(head)
        c = b.phi(_I64)
        c.add_incoming(_I64(0), entry)
        b.cbranch(b.icmp_signed("<", c, self.count), work, done)
        b.position_at_end(work)
        self.source, self.map, self.out = (
            b.gep(place, [b.mul(c, step)]) for place, step in zip(places, self.steps, strict=True)
        )
        self._tile()
        c.add_incoming(b.add(c, _I64(1), flags=["nsw"]), b.block)
        b.branch(head)
        b.position_at_end(done)
        self.source, self.map, self.out = places

    def _tile(self) -> None:
        """Emit all source rows of the tile in order, then the stores."""
        rows, kh = self.shape.rows, self.shape.kh
        sums = [[self.element.zero()] * self.shape.vectors for _ in range(rows)]
        if kh:
            for s in range(rows + kh - 1):
                first, last = max(0, s - kh + 1), min(rows - 1, s)
                self.s = s
                sums = self._source_row(_I64(s), range(first, last + 1), sums)
                if self.shape.prompt and s >= kh - 1:
                    self._store(sums, range(first, first + 1))
        else:
            # Fewer output rows see the first and the last source rows: no padded taps.
            for s in range(rows - 1):
                sums = self._source_row(_I64(s), range(s + 1), sums)
            sums = self._loop(_I64(rows - 1), self.kh, sums,
                              lambda s, held: self._source_row(s, range(rows), held))
            for s in range(rows - 1):
                at = self.builder.add(self.kh, _I64(s))
                sums = self._source_row(at, range(s + 1, rows), sums)
        if not self.shape.prompt:
            self._store(sums, range(rows))

    def _source_row(self, s: Any, rows: range, sums: list[Any]) -> list[Any]:
        """Emit what source row `s` adds to the output rows `rows`."""
        b = self.builder
        if self.shape.dense:
            return self._products(b.gep(self.source, [b.mul(s, self.row)]), s, rows, sums)
        step = b.mul(s, self.map_step)
        m = b.load(b.gep(self.map, [step]))
        is_outside = b.icmp_signed("<", m, _I64(0))
        use, done = b.append_basic_block("use"), b.append_basic_block("done")
        before = b.block
        b.cbranch(b.and_(is_outside, self.skip), done, use)
        b.position_at_end(use)
        index = b.select(self.packed, s, m)
        inside = b.gep(self.source, [b.mul(index, self.row)])
        lost = b.and_(is_outside, b.not_(self.packed))
        samples = b.select(lost, self.outside, inside)
        new = self._products(samples, s, rows, sums)
        after = b.block
        b.branch(done)
        b.position_at_end(done)
        return self._merge([(sums, before), (new, after)])

    def _products(self, samples: Any, s: Any, rows: range, sums: list[Any]) -> list[Any]:
        """Emit what source row `s`, which begins at `samples`, adds to the output rows `rows`."""
        b, element = self.builder, self.element
        if self.shape.prompt:
            # One vector at a time, LLVM would load more: nine taps and six sums leave one register.
            new = [list(row) for row in sums]
            for v in range(self.shape.kw):
                at = b.gep(samples, [_I64(v * element.itemsize)])
                for q, offset in enumerate(self.vectors):
                    b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
                    sample = element.load(b, b.gep(at, [offset]))
                    for r in rows:
                        tap = self.taps[self.s - r, v]
                        new[r][q] = element.madd(b, sample, tap, new[r][q], self.shape.low)
            return new
        taps = {r: b.gep(self.w, [b.mul(b.sub(s, _I64(r)), self.w_row)]) for r in rows}
        if self.shape.kw:
            new = sums
            first: list[list[Any]] = []
            for v in range(self.shape.kw):
                loaded = self._columns(v, samples, first)
                first = first or loaded
                new = self._tap(_I64(v), rows, loaded, taps, new)
            return new
        return self._loop(_I64(0), self.kw, sums,
                          lambda v, held: self._tap(v, rows, self._load(v, samples), taps, held))

    def _load(self, v: Any, samples: Any) -> list[list[Any]]:
        """Emit the loads of the vectors that tap column `v` meets."""
        b = self.builder
        at = b.gep(samples, [b.mul(v, self.column)])
        return [self.element.load(b, b.gep(at, [q])) for q in self.vectors]

    def _columns(self, v: int, samples: Any, first: list[list[Any]]) -> list[list[Any]]:
        """Return the vectors that tap column `v` meets; `first` are those of column 0.

        A load that crosses a cache line takes the time of two, and all but those of one column do.
        """
        if not self.shape.adjacent or v == 0:
            return self._load(_I64(v), samples)
        b, element = self.builder, self.element
        # As integers: LLVM turns this shuffle of floats into one that loads a vector of indices.
        bits = ir.VectorType(ir.IntType(8 * element.itemsize), element.lanes)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), element.lanes),
                           list(range(v, v + element.lanes)))
        found = []
        for (one,), (other,) in pairwise(first):
            both = (b.bitcast(value, bits) for value in (one, other))
            found.append([b.bitcast(b.shuffle_vector(*both, mask), one.type)])
        at = b.gep(samples, [_I64(v * self.element.itemsize)])
        return [*found, element.load(b, b.gep(at, [self.vectors[-1]]))]

    def _tap(self, v: Any, rows: range, loaded: list[list[Any]], taps: dict[int, Any],
             sums: list[Any]) -> list[Any]:
        """Emit the multiply-adds of tap column `v`."""
        b, element = self.builder, self.element
        sums = [list(row) for row in sums]
        for r in rows:
            if self.taps:
                tap = self.taps[self.s - r, v.constant]
            else:
                tap = element.tap(b, b.gep(taps[r], [b.mul(v, _I64(element.itemsize))]))
            sums[r] = [element.madd(b, x, tap, total, self.shape.low)
                       for x, total in zip(loaded, sums[r], strict=True)]
        return sums

    def _store(self, sums: list[Any], rows: range) -> None:
        """Emit the stores of the output rows `rows`."""
        b = self.builder
        for how in [self.how] if self.shape.prompt else self._each_how():
            for r in rows:
                start = b.gep(self.out, [b.mul(self.out_row, _I64(r))])
                for offset, total in zip(self.out_vectors, sums[r], strict=True):
                    at = b.gep(start, [offset])
                    if how == ACCUMULATE:
                        total = self.element.join(b, total, at)
                    self.element.store(b, total, at, past_cache=how == PAST_CACHE)

    def _each_how(self) -> Iterator[int]:
        """Emit a switch over the ways to store; yield each with the builder in its block."""
        b, how = self.builder, self.how
        names = ("plain", "accumulate", "past_cache")[: 3 if self.element.streams else 2]
        blocks = [b.append_basic_block(name) for name in names]
        end = b.append_basic_block("stored")
        switch = b.switch(how, blocks[0])
        for number, block in enumerate(blocks):
            if number:
                switch.add_case(_I64(number), block)
            b.position_at_end(block)
            yield number
            b.branch(end)
        b.position_at_end(end)

    def _loop(self, begin: Any, end: Any, sums: list[Any],
              body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
        """Emit ``for i in range(begin, end): sums = body(i, sums)`` and return the sums."""
        b = self.builder
        before = b.block
        head, work, done = (b.append_basic_block(n) for n in ("head", "work", "done"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(_I64)
        i.add_incoming(begin, before)
        held = [[b.phi(total.type) for total in row] for row in sums]
        self._feed(held, sums, before)
        b.cbranch(b.icmp_signed("<", i, end), work, done)
        b.position_at_end(work)
        new = body(i, held)
        i.add_incoming(b.add(i, _I64(1), flags=["nsw"]), b.block)
        self._feed(held, new, b.block)
        b.branch(head)
        b.position_at_end(done)
        return held

    def _merge(self, cases: list[tuple[list[Any], Any]]) -> list[Any]:
        """Return phi nodes of the sums of several predecessors."""
        held = [[self.builder.phi(total.type) for total in row] for row in cases[0][0]]
        for sums, block in cases:
            self._feed(held, sums, block)
        return held

    @staticmethod
    def _feed(held: list[Any], sums: list[Any], block: Any) -> None:
        for phis, row in zip(held, sums, strict=True):
            for phi, total in zip(phis, row, strict=True):
                phi.add_incoming(total, block)


def _make_model(lanes: int, shapes: tuple[Shape, ...]) -> Callable[..., Any]:
    """Return ``tiles`` in NumPy: the same sums in the same order, every index checked."""

    def take(array: Any, at: int) -> Any:
        if at < 0 or at + lanes > len(array):
            raise IndexError(f"lanes {at}..{at + lanes} must lie within {len(array)} elements")
        return array[at : at + lanes]

    def model(
        kind: int, count: int, source_next: int, map_next: int, out_next: int,
        source: Any, source_at: int, row: int, vector: int, packed: int,
        row_map: Any, map_at: int, map_step: int, outside: Any, skip: int,
        w: Any, w_at: int, kh: int, kw: int, dilation: int,
        out: Any, out_at: int, out_row: int, out_vector: int, how: int,
    ) -> None:
        shape = shapes[kind]
        if (shape.kh or kh) != kh or (shape.kw or kw) != kw or kh < (shape.kh or shape.rows):
            raise ValueError(f"the filter must fit {shape}, got {kh} x {kw}")
        for c, r, q in np.ndindex(count, shape.rows, shape.vectors):
            total = np.zeros(lanes, out.dtype)
            for u in range(kh):
                m = r + u
                if not shape.dense:
                    m = int(row_map[map_at + c * map_next + (r + u) * map_step])
                if m < 0 and skip:
                    continue
                lost = m < 0 and not packed
                start = source_at + c * source_next + (r + u if packed else m) * row
                for v in range(kw):
                    at = (0 if lost else start) + q * vector + v * dilation
                    samples, tap = take(outside if lost else source, at), w[w_at + u * kw + v]
                    boolean = total.dtype == bool
                    total = total | (samples & tap) if boolean else total + samples * tap
            target = take(out, out_at + c * out_next + r * out_row + q * out_vector)
            if how == ACCUMULATE:
                total = target | total if total.dtype == bool else target + total
            target[:] = total

    return model
