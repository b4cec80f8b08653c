"""LLVM text of a reduction whose vectors run along outputs, down a few columns at a time.

In: a `Reduce` whose domain ends with a kept axis. Out: its function. Always: the order is the
law's `lanes`, each lane a register for each vector of outputs; four lanes run along together, in
the order of their halving. What is far is walked through in the order of memory instead (see
`by_row.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit.halving import QUARTERS, Lane
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.codelets.reduce.form import Along
from tilewright.graph.law import LANES

NEAR, PITCH = 1 << 18, 512
"""Bytes up to which a walk over every fourth row costs nothing, and bytes from row to row: 250 rows
of 24 float32 take 190 ns so, 560 row by row; rows 1,024 bytes apart fall into the same lines of the
nearest memory, and 128 of them take 8.7 us so, 2.5 row by row (Zen 4)."""
NEAR_APART, FOLDS = 640 << 10, 1024
"""Bytes up to which wider rows, too, are worth it where they are not that far apart: places of an
image that has just been made, 14 x 14 of 480 channels, take 3.1 us so, 7.0 row by row; 7 x 7 of
1,152 take 1.9 and 5.0; 14 x 14 of 512 channels 23 and 7 (Zen 4)."""
NARROW = 8
"""Columns that leave more than half of a vector empty: sums in memory would be as wide as any."""


class Column(Along):
    """The function of one codelet in the making."""

    @property
    def fits(self) -> bool:
        """Whether registers do, and what is read in leaps is near."""
        source, codelet = self.source, self.codelet
        several = codelet.stored or codelet.totals > 1
        plain = source.merged and not (source.heavy or source.indexed or several)
        pitches = [
            abs(array[0]) * itemsize(dtype)
            for dtype, array in zip(source.dtypes, source.reduced.steps, strict=True)
        ]
        held, most = self.count * sum(pitches), max(pitches, default=0)
        near = held <= NEAR and most <= PITCH
        apart = held <= NEAR_APART and all(pitch % FOLDS for pitch in pitches)
        return plain and (self.columns < NARROW or (not codelet.far and (near or apart)))

    @property
    def vectors(self) -> int:
        """Of outputs, that are summed together."""
        many = self.function.module.features.registers >= 32
        most = 2 if many and not self.codelet.expression.instructions else 1
        return min(most, -(-self.columns // LANES))

    def write(self, pointers: list[str]) -> None:
        """Loops over the other kept dimensions, and over groups of columns."""
        codelet, source, function = self.codelet, self.source, self.function
        dtypes = [*source.dtypes, codelet.dtype]
        group = self.vectors * LANES
        steps = [*self.steps, self.out_step]
        kept = source.kept(codelet, codelet.kept[:-1])
        with source.nest(kept, pointers, dtypes) as (places, _):
            groups, rest = divmod(self.columns, group)
            if groups:
                with repeat(function, groups, [("ptr", place) for place in places]) as turn:
                    self._group(turn.carry, group)
                    turn.next[:] = self._moved(turn.carry, dtypes, steps, group)
            if rest:
                self._group(self._moved(places, dtypes, steps, groups * group), rest)

    def _group(self, places: Sequence[str], columns: int) -> None:
        """Some neighbouring outputs."""
        *inputs, out = places
        valid = self.valid(columns)
        totals = self._totals(inputs, valid)
        for i, (total, lanes) in enumerate(zip(totals, valid, strict=True)):
            target = offset(self.function, out, self.codelet.dtype, i * LANES * self.out_step)
            self.source.finish(total, target, self.out_step, lanes)

    def _totals(self, places: list[str], valid: list[int]) -> list[str]:
        """All leaves of a few vectors of outputs."""
        if not self.count:
            return [self.start] * len(valid)
        function, source = self.function, self.source
        before = -(-self.count // self.leaf) - 1
        if not before:
            return self._leaf(valid, places, self.count)
        tree = Pairwise(function, self.kind, [LANES] * len(valid), self.apply, before)
        with repeat(function, before, [("ptr", place) for place in places]) as turn:
            tree.push(turn.index, self._leaf(valid, turn.carry, self.leaf))
            turn.next[:] = source.advance(turn.carry, self.leaf)
        return tree.finish(self._leaf(valid, turn.result, self.count - before * self.leaf))

    def _leaf(self, valid: list[int], places: list[str], length: int) -> list[str]:
        """Its sums, one for each vector of outputs."""
        quarters = [self._quarter(valid, places, length, lane) for lane in QUARTERS]
        return [
            self.halved([lane[i] for quarter in quarters for lane in quarter])
            for i in range(len(valid))
        ]

    def _quarter(
        self, valid: list[int], places: list[str], length: int, lane: int
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
                    self._take(valid, here, element, totals, i * count)
                turn.next[:] = [*totals, *self.source.advance(here, LANES)]
            sums, places = list(turn.result[: len(sums)]), turn.result[len(sums) :]
        for i, element in enumerate(lanes):
            if element < rest:
                self._take(valid, places, element, sums, i * count)
        return [sums[i * count : (i + 1) * count] for i in range(4)]

    def _take(
        self, valid: list[int], places: list[str], element: int, sums: list[Lane], at: int
    ) -> None:
        """One more element of the reduced dimension, to the sums from `at` on."""
        places = self.source.advance(places, element)
        for i, lanes in enumerate(valid):
            value = self.value(places, i, lanes, "", {})
            sums[at + i] = self.apply(self.function, LANES, sums[at + i] or self.start, value)
