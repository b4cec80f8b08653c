"""LLVM text of the row form: the domain's last axis is reduced, and lanes run along it.

In: a `Reduce`. Out: its function. Always: chunks of 1024 elements; in a chunk 4 accumulators of 16
lanes take turns, then combine as (0, 1), (2, 3), and lanes by halving; chunks combine pairwise.
Where an output is a single chunk, 16 of them fold their lanes together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.codelets import vectors
from tilewright.codelets.lanes import fold
from tilewright.codelets.llvm import MEMORY_TYPE, Function, Module, vector
from tilewright.codelets.loops import repeat
from tilewright.codelets.pairwise import Pairwise
from tilewright.codelets.reduce_source import Axes, Indices, Source
from tilewright.codelets.vectors import offset
from tilewright.graph.order import ACCUMULATORS, LANES, ROW_CHUNK

if TYPE_CHECKING:
    from tilewright.codelets.reduce import Reduce


def emit(codelet: Reduce, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    arrays = len(codelet.inputs) + 1
    function = module.function(symbol, "void", ["ptr"] * arrays)
    if codelet.outputs[0].size:
        _Row(function, codelet).write([function.argument(i) for i in range(arrays)])
    function.close()


class _Row:
    """The function of one codelet in the making; memory of its own is reserved first."""

    def __init__(self, function: Function, codelet: Reduce):
        self.function = function
        self.codelet = codelet
        self.source = Source(function, codelet)
        self.kind = self.source.combination.register
        self.row = vector(self.kind, LANES)
        self.start = self.source.identity(codelet.kind, LANES)
        self.count = codelet.count
        self.chunks = -(-self.count // ROW_CHUNK)
        self.slots = Pairwise(function, self.source.combination, 0, 1, self.chunks)
        self.block = self._reserve(self.row, LANES)
        self.accumulators = self._reserve(self.row, ACCUMULATORS)
        in_row = self.source.reduced.sizes[-1] % LANES == 0
        self.staged = not self.source.merged and not in_row
        self.stages = (
            [self._reserve(MEMORY_TYPE[dtype], ROW_CHUNK) for dtype in self.source.dtypes]
            if self.staged
            else []
        )

    def _reserve(self, kind: str, count: int) -> str:
        return self.function.let(f"alloca [{count} x {kind}], align 64")

    def write(self, pointers: list[str]) -> None:
        """Loops over outputs; the last kept dimension in groups of 16."""
        codelet, source = self.codelet, self.source
        dtypes = [*source.dtypes, codelet.dtype]
        kept = source.kept(codelet, codelet.kept)
        split = len(kept.sizes) - 1
        steps = [array[:split] for array in kept.steps]
        outer = Axes(kept.dims[:split], kept.sizes[:split], tuple(steps))
        rows, row_steps = kept.sizes[split], [array[split] for array in kept.steps]
        dim = kept.dims[split] if kept.dims else -1
        with source.nest(outer, pointers, dtypes) as (places, indices):
            groups, rest = divmod(rows, LANES)
            if groups:
                carry = [("ptr", place) for place in places]
                with repeat(self.function, groups, carry) as turn:
                    first = self.function.let(f"mul i64 {turn.index}, {LANES}")
                    self._group(LANES, turn.carry, row_steps, indices, dim, first)
                    turn.next[:] = self._moved(turn.carry, dtypes, row_steps, LANES)
            if rest:
                places = self._moved(places, dtypes, row_steps, groups * LANES)
                self._group(rest, places, row_steps, indices, dim, str(groups * LANES))

    def _moved(
        self, pointers: Sequence[str], dtypes: Sequence[str], steps: Sequence[int], rows: int
    ) -> list[str]:
        return [
            offset(self.function, pointer, dtype, rows * step)
            for pointer, dtype, step in zip(pointers, dtypes, steps, strict=True)
        ]

    def _group(
        self,
        rows: int,
        places: Sequence[str],
        steps: Sequence[int],
        indices: Indices,
        dim: int,
        first: str,
    ) -> None:
        """Up to 16 outputs: their lanes are put side by side in memory, then folded together."""
        function, source = self.function, self.source
        *inputs, out = places
        with repeat(function, rows, [("ptr", pointer) for pointer in inputs]) as turn:
            index = function.let(f"add i64 {first}, {turn.index}")
            lanes = self._lanes_of_row(turn.carry, indices | {dim: index})
            slot = function.address(self.block, self.row, turn.index)
            function.do(f"store {self.row} {lanes}, ptr {slot}, align 64")
            turn.next[:] = self._moved(turn.carry, source.dtypes, steps[:-1], 1)
        slots = [function.address(self.block, self.row, i) for i in range(rows)]
        lanes = [function.let(f"load {self.row}, ptr {slot}, align 64") for slot in slots]
        if self.chunks > 1:  # lanes are folded already: the total is in all of them
            totals = self._gather(lanes)
        else:
            (total,) = fold(function, self.kind, [[x] for x in lanes], source.combination.apply)
            order = [total.owners.index(i) if i < rows else -1 for i in range(LANES)]
            totals = source.arrange(total.register, order)
        source.finish(self.codelet.accumulate, totals, out, steps[-1], rows)

    def _gather(self, lanes: list[str]) -> str:
        """The first lane of each vector, side by side."""
        result = "poison"
        for i, register in enumerate(lanes):
            scalar = self.function.let(f"extractelement {self.row} {register}, i64 0")
            result = self.function.let(
                f"insertelement {self.row} {result}, {self.kind} {scalar}, i64 {i}"
            )
        return result

    def _lanes_of_row(self, pointers: Sequence[str], indices: Indices) -> str:
        """One output before its lanes are folded; of several chunks, its total in lane 0."""
        if self.count == 0:
            return self.start
        if self.chunks == 1:
            return self._chunk(pointers, "0", self.count, indices)
        function, source = self.function, self.source
        full, rest = divmod(self.count, ROW_CHUNK)
        carry = [("ptr", pointer) for pointer in pointers]
        with repeat(function, full, carry) as turn:
            first = function.let(f"mul i64 {turn.index}, {ROW_CHUNK}")
            lanes = self._chunk(turn.carry, first, ROW_CHUNK, indices)
            self.slots.push(turn.index, [self._total(lanes)])
            if source.merged:
                turn.next[:] = source.advance(turn.carry, ROW_CHUNK)
        if rest:
            lanes = self._chunk(turn.result, str(full * ROW_CHUNK), rest, indices)
            self.slots.push(str(full), [self._total(lanes)])
        (total,) = self.slots.finish(1)
        return self.function.let(f"insertelement {self.row} poison, {self.kind} {total}, i64 0")

    def _total(self, lanes: str) -> str:
        (total,) = fold(self.function, self.kind, [[lanes]], self.source.combination.apply)
        return self.function.let(f"extractelement {self.row} {total.register}, i64 0")

    def _chunk(self, pointers: Sequence[str], first: str, length: int, indices: Indices) -> str:
        """The lanes of elements first ... first + length - 1."""
        if self.staged:
            self._stage(pointers, first, length)
            pointers = self.stages
        if self.source.heavy:
            accumulators = self._turns_in_memory(pointers, first, length, indices)
        else:
            accumulators = self._turns(pointers, first, length, indices)
        apply, a = self.source.combination.apply, accumulators
        low = apply(self.function, LANES, a[0], a[1])
        return apply(self.function, LANES, low, apply(self.function, LANES, a[2], a[3]))

    def _stage(self, pointers: Sequence[str], first: str, length: int) -> None:
        """Bring elements that lie unevenly side by side."""
        function, source = self.function, self.source
        with repeat(function, length) as turn:
            element = function.let(f"add i64 {first}, {turn.index}")
            places, _ = source.place(pointers, element)
            for place, stage, dtype in zip(places, self.stages, source.dtypes, strict=True):
                scalar = vectors.load_scalar(function, dtype, place)
                slot = offset(function, stage, dtype, turn.index)
                function.do(f"store {MEMORY_TYPE[dtype]} {scalar}, ptr {slot}")

    def _turns(
        self, pointers: Sequence[str], first: str, length: int, indices: Indices
    ) -> list[str]:
        """Four accumulators in registers."""
        function, block = self.function, ACCUMULATORS * LANES
        sums = [self.start] * ACCUMULATORS
        turns, rest = divmod(length, block)
        if turns:
            with repeat(function, turns, [(self.row, total) for total in sums]) as turn:
                moved = function.let(f"mul i64 {turn.index}, {block}")
                for i, total in enumerate(turn.carry):
                    at = function.let(f"add i64 {moved}, {i * LANES}")
                    turn.next[i] = self._take(pointers, first, at, LANES, indices, total)
            sums = turn.result
        for i in range(-(-rest // LANES)):
            at = turns * block + i * LANES
            sums[i] = self._take(
                pointers, first, str(at), min(LANES, length - at), indices, sums[i]
            )
        return sums

    def _turns_in_memory(
        self, pointers: Sequence[str], first: str, length: int, indices: Indices
    ) -> list[str]:
        """Four accumulators in memory, so that a long expression is written once."""
        function = self.function
        for i in range(ACCUMULATORS):
            self._put(str(i), self.start)
        full, rest = divmod(length, LANES)
        if full:
            with repeat(function, full) as turn:
                slot = function.let(f"and i64 {turn.index}, {ACCUMULATORS - 1}")
                at = function.let(f"mul i64 {turn.index}, {LANES}")
                total = self._take(pointers, first, at, LANES, indices, self._get(slot))
                self._put(slot, total)
        sums = [self._get(str(i)) for i in range(ACCUMULATORS)]
        if rest:
            i = full % ACCUMULATORS
            sums[i] = self._take(pointers, first, str(full * LANES), rest, indices, sums[i])
        return sums

    def _get(self, slot: str) -> str:
        place = self.function.address(self.accumulators, self.row, slot)
        return self.function.let(f"load {self.row}, ptr {place}, align 64")

    def _put(self, slot: str, value: str) -> None:
        place = self.function.address(self.accumulators, self.row, slot)
        self.function.do(f"store {self.row} {value}, ptr {place}, align 64")

    def _take(
        self,
        pointers: Sequence[str],
        first: str,
        at: str,
        valid: int,
        indices: Indices,
        total: str,
    ) -> str:
        """One accumulator with 16 more elements: from `at` of the chunk that begins at `first`."""
        function, source = self.function, self.source
        element = function.let(f"add i64 {first}, {at}")
        places, steps = self._places(pointers, element, at)
        here = source.spread(indices) | self._indices(element) if source.indexed else {}
        value = source.value(places, steps, valid, here)
        taken = source.combination.apply(function, LANES, total, value)
        if valid == LANES:
            return taken
        lanes = vectors.mask(LANES, valid)
        return function.let(
            f"select <{LANES} x i1> {lanes}, {self.row} {taken}, {self.row} {total}"
        )

    def _places(
        self, pointers: Sequence[str], element: str, at: str
    ) -> tuple[list[str], list[int]]:
        """Where 16 elements lie, and how far apart: in the stage, evenly, or within one row."""
        function, source = self.function, self.source
        steps = [1 if self.staged else array[-1] for array in source.reduced.steps]
        if not source.merged and not self.staged:
            return source.place(pointers, element)[0], steps
        places = []
        for pointer, dtype, step in zip(pointers, source.dtypes, steps, strict=True):
            move = function.let(f"mul i64 {at}, {step}")
            places.append(offset(function, pointer, dtype, move))
        return places, steps

    def _indices(self, element: str) -> Indices:
        """Of 16 elements, along the reduced dimensions."""
        source = self.source
        digits = source.digits(source.counted(element), LANES)
        return dict(zip(source.reduced.dims, digits, strict=True))
