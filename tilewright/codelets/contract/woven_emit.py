"""LLVM text of two products in one: see `woven.py`.

In: a `Woven`. Out: its function. Groups of the few rows' panels go by as in `panels_emit.py`; in
each of a run's first ones, a set of the many's rows takes the terms of one panel of theirs, a step
at each step of the group. Sets come one after the other, each with all panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.panels_emit import PanelsWriter
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.panels import ContractPanels
    from tilewright.codelets.contract.problem import Problem
    from tilewright.codelets.contract.woven import Woven


def emit(codelet: Woven, module: Module, symbol: str, sets: int) -> None:
    """Add the codelet's function to the module; the many's rows are cut in so many sets."""
    few, many = codelet.few, codelet.many
    count = len(codelet.inputs) + len(codelet.outputs)
    function = module.function(symbol, "void", ["ptr"] * count)
    given = list(map(function.argument, range(count)))
    a, b = len(few.inputs), len(many.inputs)
    read, made = given[: a + b], given[a + b :]
    others = [*read[a:], *made[len(few.outputs) :]]
    strand = _Strand(function, many, others, sets)
    _Writer(function, few, strand=strand).write_with([*read[:a], *made[: len(few.outputs)]])
    if strand.sets:  # registers are fewer, and so are groups of one size
        strand.writer.write_with(others)
    function.close()


class _Strand:
    """Some rows of the many times one panel: sums that advance with those of the few."""

    def __init__(
        self, function: Function, codelet: ContractPanels, given: Sequence[str], sets: int
    ):
        self.function, self.codelet = function, codelet
        self.writer = PanelsWriter(function, codelet)
        self.problem, self.term = self.writer.problem, self.writer.term
        self.lhs, self.panels, *self.sides = given
        sides = (side.dtype for side in self.problem.sides)
        self.dtypes = [codelet.lhs.dtype, codelet.panels.dtype, *sides]
        self.sets = split(codelet.m, -(-codelet.m // sets))
        """Runs of as many rows; none of them once they are done."""
        self.lines, self.done, self.values = 0, 0, []

    @property
    def groups(self) -> int:
        """How many it takes part in."""
        return sum(run.count for run in self.sets) * (self.codelet.n // LANES)

    def places(self, row: int) -> list[str]:
        """Of that row, of the first panel, and of the results of both."""
        step = row * self.codelet.lhs.strides[0]
        lhs = offset(self.function, self.lhs, self.codelet.lhs.dtype, step)
        sides = self.problem.moved(self.function, self.sides, row, 0)
        return [lhs, self.panels, *sides]

    def apart(self, rows: int) -> list[list[int]]:
        """Of those places: from a set of so many rows to the next, and from panel to panel."""
        sides = [[rows * side.row_step, LANES * side.column_step] for side in self.problem.sides]
        return [[rows * self.codelet.lhs.strides[0], 0], [0, self.writer.panel], *sides]

    def begin(self, rows: int, lhs: str, panel: str) -> None:
        self.lines = rows * self.term.planes
        starts = [self.term.start] * (self.lines * self.writer.parts)
        self.done, self.values = 0, [*starts, lhs, panel]

    @property
    def carry(self) -> list[tuple[str, str]]:
        row = vector(self.term.kind, self.writer.width)
        *sums, lhs, panel = self.values
        return [*((row, total) for total in sums), ("ptr", lhs), ("ptr", panel)]

    def stepped(self, values: Sequence[str]) -> list[str]:
        *sums, lhs, panel = values
        depth = self.term.depth
        sums = self.writer.step(self.term, lhs, panel, self.lines, sums, depth)
        return [*sums, *self.writer.moved(lhs, panel, depth)]

    def take(self, values: Sequence[str], turns: int) -> None:
        self.values, self.done = list(values), self.done + turns

    def end(self, rows: int, places: Sequence[str]) -> None:
        """The terms that are left, and what becomes of the sums."""
        steps, rest = divmod(self.codelet.k, self.term.depth)
        if steps > self.done:
            with repeat(self.function, steps - self.done, self.carry) as turn:
                turn.next[:] = self.stepped(turn.carry)
            self.take(turn.result, steps - self.done)
        *sums, lhs, panel = self.values
        if rest:
            sums = self.writer.step(self.term.for_one, lhs, panel, self.lines, sums, rest)
        self.writer.finish(self.problem, sums, places, rows, 1, LANES)


@frozen
class _Writer(PanelsWriter):
    def through(
        self,
        problem: Problem,
        rows: Sequence[Run],
        lhs: str,
        run: Run,
        here: Sequence[str],
        steps: Sequence[Sequence[int]],
        valid: int,
    ) -> None:
        """As without a strand, which takes part in the first groups of a run that has enough."""
        strand, function, first = self.strand, self.function, 0
        assert isinstance(strand, _Strand)
        alone = PanelsWriter(function, self.codelet, self.starts)
        dtypes = [self.codelet.panels.dtype, *(side.dtype for side in problem.sides)]

        def further(groups: int) -> list[str]:
            along = zip(here, dtypes, steps, strict=True)
            return [offset(function, p, dtype, groups * step) for p, dtype, (step,) in along]

        if run.count < strand.groups:
            alone.through(problem, rows, lhs, run, here, steps, valid)
            return
        panels = strand.codelet.n // LANES
        for some in strand.sets:
            places = [*further(first), *strand.places(some.start)]
            apart = [[panels * step, step] for (step,) in steps] + strand.apart(some.size)
            kinds, counts = [*dtypes, *strand.dtypes], [some.count, panels]
            with walk(function, counts, places, kinds, apart) as inside:
                own, (row, panel, *sides) = inside[: len(here)], inside[len(here) :]
                strand.begin(some.size, row, panel)
                super().through(problem, rows, lhs, replace(run, count=1), own, steps, valid)
                strand.end(some.size, sides)
            first += some.count * panels
        strand.sets = ()
        if first < run.count:
            rest = replace(run, count=run.count - first)
            alone.through(problem, rows, lhs, rest, further(first), steps, valid)
