"""LLVM text of a reduction whose vectors run along outputs.

In: a `Reduce` whose domain ends with a kept axis. Out: its function. Always: the order is the
law's `lanes`, each lane a register (or a place in memory) for each vector of outputs. Short
expressions on rows that lie near are summed in registers, four lanes together in the order of their
halving; others go row by row, each row to its lane in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tilewright.codelets.emit.halving import QUARTERS, Lane, halved
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.codelets.reduce.form import Form
from tilewright.codelets.reduce.source import Indices, alone
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.codelets.reduce.codelet import Reduce

_NEAR = 1024
"""Bytes between rows up to which a cache follows a walk over every fourth of them."""
_WIDE = 8
"""Vectors of a row that are read together where rows lie further apart."""

Leaf = Callable[[list[str], str, int], list[str]]
"""(places, number of its first element, length) -> its sums, one for each vector of outputs."""


class Column(Form):
    """The function of one codelet in the making."""

    def __init__(self, function: Function, codelet: Reduce):
        super().__init__(function, codelet)
        last = len(codelet.shape) - 1
        self.columns = codelet.shape[last] if codelet.shape else 1
        self.steps = [steps[last] if codelet.shape else 0 for steps in codelet.walked]
        self.out_step = codelet.output_strides[-1] if codelet.shape else 0
        self.last = last
        self.leaf = codelet.leaf
        self.in_registers = self._is_light() and (self._is_near() or self.columns <= 2 * LANES)
        self.vectors = min(self._most(), -(-self.columns // LANES))
        self.lanes = "" if self.in_registers else function.reserve(self.row, LANES * self.vectors)

    def _is_light(self) -> bool:
        source = self.source
        stores = bool(self.codelet.stored)
        return source.merged and not source.heavy and not source.indexed and not stores

    def _is_near(self) -> bool:
        steps = zip(self.source.dtypes, self.source.reduced.steps, strict=True)
        return all(abs(array[0]) * itemsize(dtype) <= _NEAR for dtype, array in steps)

    def _most(self) -> int:
        """Vectors of outputs at a time."""
        if self.source.heavy:
            return 1
        if not self.in_registers:
            return _WIDE
        many = self.function.module.features.registers >= 32
        return 2 if many and not self.codelet.expression.instructions else 1

    def write(self, pointers: list[str]) -> None:
        """Loops over the other kept dimensions, and over groups of columns."""
        codelet, source, function = self.codelet, self.source, self.function
        dtypes = [*source.dtypes, codelet.dtype]
        kept = source.kept(codelet, codelet.kept[:-1])
        group = self.vectors * LANES
        steps = [*self.steps, self.out_step]
        with source.nest(kept, pointers, dtypes) as (places, indices):
            groups, rest = divmod(self.columns, group)
            if groups:
                carry = [("ptr", place) for place in places]
                with repeat(function, groups, carry) as turn:
                    first = function.let(f"mul i64 {turn.index}, {group}")
                    self._group(turn.carry, group, first, indices)
                    turn.next[:] = self._moved(turn.carry, dtypes, steps, group)
            if rest:
                places = self._moved(places, dtypes, steps, groups * group)
                self._group(places, rest, str(groups * group), indices)

    def _group(self, places: Sequence[str], columns: int, first: str, indices: Indices) -> None:
        """Some neighbouring outputs."""
        *inputs, out = places
        valid = [min(LANES, columns - i) for i in range(0, columns, LANES)]
        form = self._leaf_in_registers if self.in_registers else self._leaf_in_memory
        totals = self._totals(inputs, len(valid), partial(form, valid, first, indices))
        for i, (total, lanes) in enumerate(zip(totals, valid, strict=True)):
            target = offset(self.function, out, self.codelet.dtype, i * LANES * self.out_step)
            self.source.finish(total, target, self.out_step, lanes)

    def _totals(self, places: list[str], count: int, leaf: Leaf) -> list[str]:
        """All leaves of a few vectors of outputs."""
        if not self.count:
            return [self.start] * count
        function, source = self.function, self.source
        before = -(-self.count // self.leaf) - 1
        if not before:
            return leaf(places, "0", self.count)
        tree = Pairwise(function, self.kind, [LANES] * count, self.apply, before)
        with repeat(function, before, [("ptr", place) for place in places]) as turn:
            start = function.let(f"mul i64 {turn.index}, {self.leaf}")
            tree.push(turn.index, leaf(turn.carry, start, self.leaf))
            if source.merged:
                turn.next[:] = source.advance(turn.carry, self.leaf)
        done = before * self.leaf
        return tree.finish(leaf(turn.result, str(done), self.count - done))

    def _halved(self, lanes: Sequence[Lane]) -> str:
        def combine(x: str, y: str) -> str:
            return self.apply(self.function, LANES, x, y)

        return halved(lanes, combine, self.start)

    # In registers: lanes l, l + 4, l + 8, l + 12 run along together.

    def _leaf_in_registers(
        self,
        valid: list[int],
        first: str,
        indices: Indices,
        places: list[str],
        start: str,
        length: int,
    ) -> list[str]:
        quarters = [self._quarter(valid, first, places, length, lane) for lane in QUARTERS]
        return [
            self._halved([lane[i] for quarter in quarters for lane in quarter])
            for i in range(len(valid))
        ]

    def _quarter(
        self, valid: list[int], first: str, places: list[str], length: int, lane: int
    ) -> list[list[Lane]]:
        """Four lanes' sums for each vector of outputs; None for a lane without an element."""
        lanes, count = [lane + 4 * i for i in range(4)], len(valid)
        turns, rest = divmod(length, LANES)
        sums: list[Lane] = [None] * (4 * count)
        if turns:
            carry = [(self.row, self.start)] * len(sums) + [("ptr", place) for place in places]
            with repeat(self.function, turns, carry) as turn:
                here = turn.carry[len(sums) :]
                totals: list = list(turn.carry[: len(sums)])
                for i, element in enumerate(lanes):
                    self._take(valid, first, here, element, totals, i * count)
                turn.next[:] = [*totals, *self.source.advance(here, LANES)]
            sums, places = list(turn.result[: len(sums)]), turn.result[len(sums) :]
        for i, element in enumerate(lanes):
            if element < rest:
                self._take(valid, first, places, element, sums, i * count)
        return [sums[i * count : (i + 1) * count] for i in range(4)]

    def _take(
        self,
        valid: list[int],
        first: str,
        places: list[str],
        element: int,
        sums: list[Lane],
        at: int,
    ) -> None:
        """One more element of the reduced dimension, to the sums from `at` on."""
        places = self.source.advance(places, element)
        for i, lanes in enumerate(valid):
            value = self._value(places, i, lanes, first, {})
            sums[at + i] = self.apply(self.function, LANES, sums[at + i] or self.start, value)

    # In memory: row by row.

    def _leaf_in_memory(
        self,
        valid: list[int],
        first: str,
        indices: Indices,
        places: list[str],
        start: str,
        length: int,
    ) -> list[str]:
        function, source, count = self.function, self.source, len(valid)
        with repeat(function, LANES * count) as turn:
            self._keep(turn.index, self.start)
        with repeat(function, length, [("ptr", place) for place in places]) as turn:
            here, inside = turn.carry, dict(indices)
            if not source.merged or source.indexed:
                element = function.let(f"add i64 {start}, {turn.index}")
                moved, digits = source.place(places, element)
                inside |= digits
                here = here if source.merged else moved
            lane = function.let(f"and i64 {turn.index}, {LANES - 1}")
            slot = function.let(f"mul i64 {lane}, {count}")
            for i, lanes in enumerate(valid):
                at = function.let(f"add i64 {slot}, {i}")
                value = self._value(here, i, lanes, first, inside)
                self._keep(at, self.apply(function, LANES, self._kept(at), value))
            if source.merged:
                turn.next[:] = source.advance(turn.carry, 1)
        order = [lane + 4 * i for lane in QUARTERS for i in range(4)]
        return [
            self._halved([self._kept(str(lane * count + i)) for lane in order])
            for i in range(count)
        ]

    def _kept(self, slot: str) -> str:
        place = self.function.address(self.lanes, self.row, slot)
        return self.function.let(f"load {self.row}, ptr {place}, align 64")

    def _value(
        self, pointers: Sequence[str], at: int, valid: int, first: str, indices: Indices
    ) -> str:
        """The expression on vector `at` of the group of columns that begins at `first`."""
        source, function = self.source, self.function
        places = self._moved(pointers, source.dtypes, self.steps, at * LANES)
        here: Indices = {}
        if source.indexed:
            column = function.let(f"add i64 {first}, {at * LANES}")
            here = source.spread(indices) | {self.last: source.counted(column)}
        value = source.value(places, self.steps, valid, here)
        return alone(function, source.combination, LANES, value) if self.count == 1 else value
