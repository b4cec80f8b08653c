"""LLVM text of a reduction whose vectors run along the reduced elements.

In: a `Reduce` whose domain ends with a reduced axis. Out: its function. Always: the order is the
law's `lanes`. Up to 16 neighbouring outputs take a leaf each and fold their lanes together; an
output alone takes 16 of its leaves at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.lanes import fold
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.codelets.reduce.form import Form
from tilewright.codelets.reduce.source import Axes, Indices
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.codelets.reduce.codelet import Reduce

_AT_ONCE = 4
"""Vectors taken in one turn of a loop, where the expression is short."""
_RUN = 8
"""Elements side by side from which on they are copied together."""
_COPY = "llvm.memcpy.p0.p0.i64"
_REVERSED = (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)
"""Lanes in this order are combined as adjacent pairs by halving."""


class Row(Form):
    """The function of one codelet in the making."""

    def __init__(self, function: Function, codelet: Reduce):
        super().__init__(function, codelet)
        self.leaf = codelet.leaf
        self.leaves = max(1, -(-self.count // self.leaf))
        self.lanes = function.reserve(self.row, LANES)
        in_row = self.source.reduced.sizes[-1] % LANES == 0
        self.staged = not self.source.merged and not in_row
        dtypes = self.source.dtypes if self.staged else ()
        self.stages = [function.reserve(MEMORY_TYPE[dtype], self.leaf) for dtype in dtypes]

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

    def _group(
        self,
        rows: int,
        places: Sequence[str],
        steps: Sequence[int],
        indices: Indices,
        dim: int,
        first: str,
    ) -> None:
        """Up to 16 neighbouring outputs."""
        *inputs, out = places
        if rows == 1:
            total = self._single(inputs, indices | {dim: first})
            totals = self.function.let(
                f"insertelement {self.row} poison, {self.kind} {total}, i64 0"
            )
        else:
            totals = self._several(rows, inputs, steps[:-1], indices, dim, first)
        self.source.finish(totals, out, steps[-1], rows)

    # Several outputs: one leaf of all of them after the other.

    def _several(
        self,
        rows: int,
        inputs: Sequence[str],
        steps: Sequence[int],
        indices: Indices,
        dim: int,
        first: str,
    ) -> str:
        """The totals, side by side in one vector."""
        function, source, before = self.function, self.source, self.leaves - 1

        def leaf(places: Sequence[str], element: str, length: int) -> str:
            with repeat(function, rows, [("ptr", place) for place in places]) as turn:
                index = function.let(f"add i64 {first}, {turn.index}")
                here = indices | {dim: index}
                self.keep(turn.index, self._leaf(turn.carry, element, length, here))
                turn.next[:] = self._moved(turn.carry, source.dtypes, steps, 1)
            return self._folded(rows, range(rows))

        if not before:
            return leaf(inputs, "0", self.count)
        tree = Pairwise(function, self.kind, [LANES], self.apply, before)
        with repeat(function, before, [("ptr", place) for place in inputs]) as turn:
            element = function.let(f"mul i64 {turn.index}, {self.leaf}")
            tree.push(turn.index, [leaf(turn.carry, element, self.leaf)])
            turn.next[:] = self._after(turn.carry)
        done = before * self.leaf
        (total,) = tree.finish([leaf(turn.result, str(done), self.count - done)])
        return total

    def _after(self, places: Sequence[str]) -> list[str]:
        """Places of the next leaf; where the walk is uneven they are found from its number."""
        return self.source.advance(places, self.leaf) if self.source.merged else list(places)

    def _folded(self, count: int, order: Sequence[int]) -> str:
        """The totals of the first `count` kept vectors, in this order in the lanes of one."""
        function = self.function
        slots = [function.address(self.lanes, self.row, i) for i in range(count)]
        lanes = [function.let(f"load {self.row}, ptr {slot}, align 64") for slot in slots]
        (total,) = fold(function, self.kind, [[x] for x in lanes], self.apply)
        picks = [total.owners.index(i) for i in order]
        return self.source.arrange(total.register, picks + [-1] * (LANES - len(picks)))

    # One output: sixteen of its leaves at a time.

    def _single(self, inputs: Sequence[str], indices: Indices) -> str:
        """The total, a scalar."""
        function = self.function
        rounds, rest = divmod(self.leaves - 1, LANES)
        places, first = list(inputs), "0"
        tree = Pairwise(function, self.kind, [0], self.apply, rounds)
        if rounds:
            with repeat(function, rounds, [("ptr", place) for place in places]) as turn:
                first = function.let(f"mul i64 {turn.index}, {LANES * self.leaf}")
                turn.next[:] = self._leaves(turn.carry, first, LANES, indices)
                adjacent = self._folded(LANES, _REVERSED)
                (total,) = fold(function, self.kind, [[adjacent]], self.apply)
                tree.push(turn.index, [self._lane(total.register, 0)])
            places, first = turn.result, str(rounds * LANES * self.leaf)
        if rest:
            places = self._leaves(places, first, rest, indices)
        done = (self.leaves - 1) * self.leaf
        self.keep(str(rest), self._leaf(places, str(done), self.count - done, indices))
        register = self._folded(rest + 1, range(rest + 1))
        scalars = [self._lane(register, i) for i in range(rest + 1)]
        while len(scalars) > 1:
            even = len(scalars) // 2 * 2
            pairs = zip(scalars[0:even:2], scalars[1:even:2], strict=True)
            scalars = [self.apply(function, 0, x, y) for x, y in pairs] + scalars[even:]
        return tree.finish(scalars)[0]

    def _leaves(self, places: Sequence[str], first: str, count: int, indices: Indices) -> list[str]:
        """Keep the lanes of so many whole leaves; the places after them."""
        function = self.function
        with repeat(function, count, [("ptr", place) for place in places]) as turn:
            moved = function.let(f"mul i64 {turn.index}, {self.leaf}")
            element = function.let(f"add i64 {first}, {moved}")
            self.keep(turn.index, self._leaf(turn.carry, element, self.leaf, indices))
            turn.next[:] = self._after(turn.carry)
        return turn.result

    def _lane(self, register: str, lane: int) -> str:
        return self.function.let(f"extractelement {self.row} {register}, i64 {lane}")

    # One leaf of one output.

    def _leaf(self, pointers: Sequence[str], first: str, length: int, indices: Indices) -> str:
        """The lanes of elements first ... first + length - 1."""
        lanes, at = self.start, 0
        if self.staged and length:
            self._stage(pointers, first, length)
            pointers = self.stages
        evenly = self.staged or self.source.merged
        wide = self.source.abreast if evenly else LANES
        together = 1 if self.source.heavy else _AT_ONCE
        shares = [(wide, 1), (LANES, 1)] if wide > LANES else [(LANES, together), (LANES, 1)]
        for width, count in shares:
            turns = (length - at) // (width * count)
            lanes = self._turns(pointers, first, at, turns, (width, count), indices, lanes)
            at += turns * width * count
        if at < length:
            lanes = self._take(pointers, first, str(at), length - at, indices, lanes)
        return lanes

    def _turns(
        self,
        pointers: Sequence[str],
        first: str,
        start: int,
        turns: int,
        taken: tuple[int, int],
        indices: Indices,
        lanes: str,
    ) -> str:
        """The lanes after so many turns of a loop; each takes some vectors: (width, how many)."""
        width, count = taken
        if not turns:
            return lanes
        function = self.function
        with repeat(function, turns, [(self.row, lanes)]) as turn:
            (lanes,) = turn.carry
            moved = function.let(f"mul i64 {turn.index}, {width * count}")
            for i in range(count):
                at = function.let(f"add i64 {moved}, {start + i * width}")
                lanes = self._take(pointers, first, at, width, indices, lanes)
            turn.next[0] = lanes
        return turn.result[0]

    def _stage(self, pointers: Sequence[str], first: str, length: int) -> None:
        """Bring elements that lie unevenly side by side, a run of the last dimension at a time."""
        function, source = self.function, self.source
        size = source.reduced.sizes[-1]
        before = function.let(f"urem i64 {first}, {size}")
        reach = function.let(f"add i64 {before}, {length + size - 1}")
        runs = function.let(f"udiv i64 {reach}, {size}")
        with repeat(function, runs) as turn:
            start = function.let(f"mul i64 {turn.index}, {size}")
            begin = function.let(f"sub i64 {start}, {before}")
            end = function.let(f"add i64 {begin}, {size}")
            begin = self._bounded("sgt", begin, 0)
            count = function.let(f"sub i64 {self._bounded('slt', end, length)}, {begin}")
            element = function.let(f"add i64 {first}, {begin}")
            places, _ = source.place(pointers, element)
            steps = [array[-1] for array in source.reduced.steps]
            rows = zip(source.dtypes, places, steps, self.stages, strict=True)
            for dtype, place, step, stage in rows:
                self._bring(dtype, place, step, offset(function, stage, dtype, begin), count)

    def _bounded(self, test: str, value: str, bound: int) -> str:
        """An i64, or the bound where the test does not hold."""
        holds = self.function.let(f"icmp {test} i64 {value}, {bound}")
        return self.function.let(f"select i1 {holds}, i64 {value}, i64 {bound}")

    def _bring(self, dtype: str, place: str, step: int, slot: str, count: str) -> None:
        """So many elements, a step apart, to a slot and after it; `count` is an i64."""
        function, size = self.function, itemsize(dtype)
        if step == 1 and self.source.reduced.sizes[-1] >= _RUN:
            function.module.declare(_COPY, "void", "ptr", "ptr", "i64", "i1 immarg")
            nbytes = function.let(f"mul i64 {count}, {size}")
            sides = f"ptr align {size} {slot}, ptr align {size} {place}"
            function.do(f"call void @{_COPY}({sides}, i64 {nbytes}, i1 false)")
            return
        with repeat(function, count, [("ptr", place), ("ptr", slot)]) as turn:
            source, target = turn.carry
            scalar = vectors.load_scalar(function, dtype, source)
            vectors.store_scalar(function, dtype, scalar, target)
            steps = zip(turn.carry, (step, 1), strict=True)
            turn.next[:] = [offset(function, pointer, dtype, n) for pointer, n in steps]

    def _take(
        self,
        pointers: Sequence[str],
        first: str,
        at: str,
        valid: int,
        indices: Indices,
        total: str,
    ) -> str:
        """One accumulator with more elements: from `at` of the chunk that begins at `first`.

        Fewer than 16, 16, or a multiple of that.
        """
        function, source = self.function, self.source
        element = function.let(f"add i64 {first}, {at}")
        places, steps = self._places(pointers, element, at)
        here = source.spread(indices) | self._indices(element) if source.indexed else {}
        width = max(valid, LANES)
        values = Register(
            function, self.kind, width, source.value(places, steps, valid, here, width)
        )
        taken = total
        for start in range(0, width, LANES):
            value = (
                values.lanes([*range(start, start + LANES)]).name if valid > LANES else values.name
            )
            taken = source.combination.apply(function, LANES, taken, value)
        if valid >= LANES:
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
