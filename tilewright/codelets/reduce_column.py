"""LLVM text of the column form: the domain's last axis is kept, so lanes run along outputs.

In: a `Reduce`. Out: its function. Always: each output combines chunks of 64 elements, each chunk
one element after the other from the identity, chunks pairwise. Several vectors of outputs, and
where these are few several chunks, advance together: no addition waits for the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.codelets.llvm import Function, Module, vector
from tilewright.codelets.loops import repeat
from tilewright.codelets.pairwise import Pairwise
from tilewright.codelets.reduce_source import Indices, Source
from tilewright.codelets.vectors import offset
from tilewright.graph.order import COLUMN_CHUNK, LANES

if TYPE_CHECKING:
    from tilewright.codelets.reduce import Reduce

_CHAINS = 8
"""Accumulators that keep the adders busy."""


def emit(codelet: Reduce, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    arrays = len(codelet.inputs) + 1
    function = module.function(symbol, "void", ["ptr"] * arrays)
    if codelet.outputs[0].size:
        _Column(function, codelet).write([function.argument(i) for i in range(arrays)])
    function.close()


class _Column:
    """The function of one codelet in the making; memory of its own is reserved first."""

    def __init__(self, function: Function, codelet: Reduce):
        self.function = function
        self.codelet = codelet
        self.source = Source(function, codelet)
        self.row = vector(self.source.combination.register, LANES)
        self.start = self.source.identity(codelet.kind, LANES)
        self.count = codelet.count
        last = len(codelet.shape) - 1
        inputs = codelet.input_strides
        self.columns = codelet.shape[last] if codelet.shape else 1
        self.steps = [steps[last] if codelet.shape else 0 for steps in inputs]
        self.out_step = codelet.output_strides[-1] if codelet.shape else 0
        self.last = last
        most = 1 if self.source.heavy else _CHAINS if not codelet.expression.instructions else 4
        self.vectors = min(most, -(-self.columns // LANES))
        chunks = -(-self.count // COLUMN_CHUNK)
        self.slots = Pairwise(function, self.source.combination, LANES, self.vectors, chunks)

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

    def _moved(
        self, pointers: Sequence[str], dtypes: Sequence[str], steps: Sequence[int], columns: int
    ) -> list[str]:
        return [
            offset(self.function, pointer, dtype, columns * step)
            for pointer, dtype, step in zip(pointers, dtypes, steps, strict=True)
        ]

    def _group(self, places: Sequence[str], columns: int, first: str, indices: Indices) -> None:
        """Some neighbouring outputs."""
        *inputs, out = places
        valid = [min(LANES, columns - i) for i in range(0, columns, LANES)]
        totals = self._totals(inputs, valid, first, indices)
        for i, (total, lanes) in enumerate(zip(totals, valid, strict=True)):
            dtype = self.codelet.dtype
            target = offset(self.function, out, dtype, i * LANES * self.out_step)
            self.source.finish(self.codelet.accumulate, total, target, self.out_step, lanes)

    def _totals(
        self, pointers: Sequence[str], valid: list[int], first: str, indices: Indices
    ) -> list[str]:
        """All chunks of a few vectors of outputs."""
        if self.count <= COLUMN_CHUNK:
            if not self.count:
                return [self.start] * len(valid)
            return self._chunks(pointers, "0", 1, self.count, valid, first, indices)[0]
        function, source = self.function, self.source
        full, rest = divmod(self.count, COLUMN_CHUNK)
        together = 1
        if source.merged and not source.heavy and not source.indexed:
            together = max(1, min(full, _CHAINS // len(valid), 4))
        rounds, left = divmod(full, together)
        length = together * COLUMN_CHUNK
        with repeat(function, rounds, [("ptr", pointer) for pointer in pointers]) as turn:
            number = function.let(f"mul i64 {turn.index}, {together}")
            self._push(turn.carry, number, together, COLUMN_CHUNK, valid, first, indices)
            if source.merged:
                turn.next[:] = source.advance(turn.carry, length)
        places = turn.result
        if left:
            number = str(rounds * together)
            self._push(places, number, left, COLUMN_CHUNK, valid, first, indices)
            if source.merged:
                places = source.advance(places, left * COLUMN_CHUNK)
        if rest:
            self._push(places, str(full), 1, rest, valid, first, indices)
        return self.slots.finish(len(valid))

    def _push(
        self,
        pointers: Sequence[str],
        number: str,
        together: int,
        length: int,
        valid: list[int],
        first: str,
        indices: Indices,
    ) -> None:
        """Sum chunks number, number + 1, ... and hand them on in order."""
        function = self.function
        start = function.let(f"mul i64 {number}, {COLUMN_CHUNK}")
        sums = self._chunks(pointers, start, together, length, valid, first, indices)
        for i, results in enumerate(sums):
            self.slots.push(function.let(f"add i64 {number}, {i}"), results)

    def _chunks(
        self,
        pointers: Sequence[str],
        start: str,
        together: int,
        length: int,
        valid: list[int],
        first: str,
        indices: Indices,
    ) -> list[list[str]]:
        """For each of `together` chunks, the sums of all vectors; the first begins at `start`."""
        function, source, count = self.function, self.source, len(valid)
        sums = [(self.row, self.start)] * (together * count)
        carry = [*sums, *(("ptr", pointer) for pointer in pointers)]
        with repeat(function, length, carry) as turn:
            places, here = turn.carry[len(sums) :], dict(indices)
            if not source.merged or source.indexed:
                element = function.let(f"add i64 {start}, {turn.index}")
                moved, digits = source.place(pointers, element)
                here |= digits
                places = places if source.merged else moved
            for i, total in enumerate(turn.carry[: len(sums)]):
                chunk, at = divmod(i, count)
                shifted = places
                if chunk:
                    shifted = source.advance(places, chunk * COLUMN_CHUNK)
                value = self._value(shifted, at, valid[at], first, here)
                turn.next[i] = source.combination.apply(function, LANES, total, value)
            if source.merged:
                turn.next[len(sums) :] = source.advance(places, 1)
        return [turn.result[i * count : (i + 1) * count] for i in range(together)]

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
        return source.value(places, self.steps, valid, here)
