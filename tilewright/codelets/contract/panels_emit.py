"""LLVM text of rows times panels: see `panels.py`.

In: a `ContractPanels`. Out: its function. Some panels advance together, as many as registers hold
sums for: enough that no sum waits for itself, few enough streams that the caches foresee them. How
their sums are taken is in `panels_sums.py`; here is which go together, and what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, product
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.asking import Ahead
from tilewright.codelets.contract.panels_sums import PanelsSums
from tilewright.codelets.contract.problem import Problem
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.expression import FUNCTION, instructions_of
from tilewright.codelets.emit.llvm import Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.tiling import Run, Tiling, choose, split
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.panels import ContractPanels

_FEW_ROWS = 4
"""Up to so many, reading the panels is what takes the time."""
_MOST_STREAMS = 4
"""Panels that advance together for few rows: four read as fast as one line after the other."""
_WIDENED = 1.5, 2
"""Cycles to read a vector of panels and widen it, and the registers that this takes besides. Bytes
on 512 bits are taken as they are read, or widened while they are: as float32, (0.5, 0)."""
_MANY_ROWS = 256
"""Up to so many, the next group of panels is asked for meanwhile: of more, waiting for it is little
(49 x 192 x 1,152 and 49 x 320 x 1,280 in pairs, from L3: 0.82 of the time; Zen 4)."""
_LONG, _PIECES = 40, 16
"""Instructions of an epilogue from which on it goes beneath the next sums, in so many pieces."""


def emit(codelet: ContractPanels, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    arguments = len(codelet.inputs) + len(codelet.outputs)
    function = module.function(symbol, "void", ["ptr"] * arguments)
    if codelet.out.size:
        PanelsWriter(function, codelet).write()
    function.close()


def _taken(lines: list[str], first: int) -> list[list[str]]:
    """Lines from `first` on as pieces, and gone from where they were; none if they branch."""
    text = lines[first:]
    if any(not line.startswith("  ") for line in text):
        return []
    del lines[first:]
    weights = [FUNCTION if " call " in line and "@llvm." not in line else 1 for line in text]
    pieces: list[list[str]] = [[] for _ in range(_PIECES)]
    for line, before in zip(text, accumulate(weights, initial=0), strict=False):
        pieces[before * _PIECES // sum(weights)].append(line)
    return pieces


@frozen
class PanelsWriter(PanelsSums):
    def tiling(self, panels: int) -> Tiling:
        """Rows and panels that are summed together."""
        rows, registers = self.codelet.m, self.function.module.features.registers
        planes = self.term.planes
        if rows > _FEW_ROWS:
            dtype, parts = self.codelet.panels.dtype, self.parts * self.codelet.parts * planes
            widens = dtype == "bfloat16" or (dtype == "int8" and self.parts > 1)
            load, taken = _WIDENED if widens else (0.5, 0)
            steps, left = self.codelet.k, registers - taken
            return choose(rows, panels, steps, left, parts=parts, column_load=load)
        streams = 1 if self.codelet.far else _MOST_STREAMS
        most = min(streams, registers * 3 // 4 // (rows * self.parts * planes))
        return Tiling((Run(0, rows, 1),), split(panels, max(1, most // self.codelet.parts)))

    def write(self) -> None:
        """Groups of panels outside, so that a group is used while it is near; one that is not whole
        goes with its neighbours (3,136 x 144 x 24 in pairs: 128 us; by itself, 170; Zen 4)."""
        function, codelet = self.function, self.codelet
        arguments = range(len(codelet.inputs) + len(codelet.outputs))
        self.write_with(list(map(function.argument, arguments)))

    def write_with(self, given: Sequence[str]) -> None:
        """With operands in those registers."""
        codelet = self.codelet
        lhs, panels, *sides = given
        if self.term.settled and codelet.m <= _FEW_ROWS:
            replace(self, starts=self.settled(lhs))._write(lhs, panels, sides)
        else:
            self._write(lhs, panels, sides)

    def _write(self, lhs: str, panels: str, sides: Sequence[str]) -> None:
        function, codelet = self.function, self.codelet
        problem = self.problem
        way, count = -1 if codelet.backwards else 1, -(-codelet.n // LANES)
        tiling = self.tiling(count)
        for run, valid in self._runs(tiling, count)[::way]:
            at = run.start + (run.size * (run.count - 1) if way < 0 else 0)
            here = [self._panel_at(panels, at), *problem.moved(function, sides, 0, at * LANES)]
            columns = [LANES * run.size * side.column_step for side in problem.sides]
            steps = [[way * self.panel * run.size], *([way * step] for step in columns)]
            if self._beneath and run.count > 1:
                self._overlapping(problem, run, lhs, here, [step for (step,) in steps])
                continue
            self.through(problem, tiling.rows, lhs, run, here, steps, valid)

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
        """All groups of a run, from `here` on, so many `steps` apart."""
        dtypes = [self.codelet.panels.dtype, *(side.dtype for side in problem.sides)]
        with walk(self.function, [run.count], here, dtypes, steps) as (near, *places):
            for some in rows:
                self._rows(problem, some, lhs, near, places, run.size, valid)

    def _runs(self, tiling: Tiling, count: int) -> list[tuple[Run, int]]:
        """Those of a number of panels, and the columns of each one's last panel: the last group is
        a run by itself where its last panel is not whole."""
        rest = self.codelet.n - (count - 1) * LANES
        *runs, last = tiling.columns
        if rest < LANES and last.count > 1:
            start = last.start + last.size * (last.count - 1)
            runs, last = (
                [*runs, Run(last.start, last.size, last.count - 1)],
                Run(start, last.size, 1),
            )
        return [*((run, LANES) for run in runs), (last, rest)]

    def _panel_at(self, panels: str, number: int) -> str:
        return offset(self.function, panels, self.codelet.panels.dtype, number * self.panel)

    @property
    def _beneath(self) -> bool:
        """Whether what follows a group's sums is written among those of the next one."""
        epilogue, few = self.codelet.epilogue, self.codelet.m <= _FEW_ROWS
        long = epilogue is not None and instructions_of(epilogue) > _LONG
        return few and long and self.term.beneath and self.strand is None

    def _overlapping(
        self,
        problem: Problem,
        run: Run,
        lhs: str,
        here: Sequence[str],
        steps: Sequence[int],
    ) -> None:
        """A run of whole panels, whose sums are finished while those of the next are taken.

        What is made of sums is a long chain, each instruction waiting for the one before: written
        in pieces between turns of the next sums' loop, it waits less. (An LSTM of 256 units in
        8-bit integers, 16-bit activations: 1.62 ms for 1.70 on Zen 4; 8-bit ones: 1.32 for 1.34.)
        """
        function, rows, apart = self.function, self.codelet.m, run.size * self.codelet.parts
        dtypes = [self.codelet.panels.dtype, *(side.dtype for side in problem.sides)]

        def moved(places: Sequence[str], first: int) -> list[str]:
            along = zip(places, dtypes[first:], steps[first:], strict=False)
            return [offset(function, place, dtype, step) for place, dtype, step in along]

        near, *places = here
        sums = self.sums(lhs, near, rows * self.term.planes, apart)
        row = vector(self.term.kind, self.width)
        carry = [("ptr", place) for place in (*moved([near], 0), *places)]
        carry += [(row, total) for total in sums]
        with repeat(function, run.count - 1, carry) as turn:
            near, *rest = turn.carry
            places, sums = rest[: len(places)], rest[len(places) :]
            mark = len(function.lines)
            self.finish(problem, sums, places, rows, run.size, LANES)
            pieces = _taken(function.lines, mark)
            sums = self.sums(lhs, near, rows * self.term.planes, apart, pieces)
            turn.next[:] = [*moved([near], 0), *moved(places, 1), *sums]
        rest = turn.result[1:]
        places, sums = rest[: len(places)], rest[len(places) :]
        self.finish(problem, sums, places, rows, run.size, LANES)

    def _rows(
        self,
        problem: Problem,
        run: Run,
        lhs: str,
        panels: str,
        places: Sequence[str],
        count: int,
        valid: int,
    ) -> None:
        """A run of rows against `count` panels, the last one of `valid` columns."""
        function, row_step = self.function, self.codelet.lhs.strides[0]
        lhs = offset(function, lhs, self.codelet.lhs.dtype, run.start * row_step)
        share = self._share(count)
        after = function.address(panels, "i8", self._bytes(count) + self._before(run) * share)
        here = [lhs, after, *problem.moved(function, places, run.start, 0)]
        steps = [run.size * step for step in (row_step, *(s.row_step for s in problem.sides))]
        steps.insert(1, share)
        dtypes = [self.codelet.lhs.dtype, "int8", *(side.dtype for side in problem.sides)]
        along = [[step] for step in steps]
        with walk(function, [run.count], here, dtypes, along) as (lhs, after, *inside):
            writer = self._asking(after, share) if share else self
            lines, products = run.size * self.term.planes, count * self.codelet.parts
            sums = writer.sums(lhs, panels, lines, products)
            self.finish(problem, sums, inside, run.size, count, valid)

    def _share(self, count: int) -> int:
        """Bytes of the next group of panels that each tile of rows asks for."""
        codelet, whole = self.codelet, -(-self.codelet.n // LANES)
        few = _FEW_ROWS < codelet.m <= _MANY_ROWS
        forwards = codelet.parts == 1 and not codelet.backwards
        near = self._bytes(whole) <= self.function.module.near
        if near or self.strand is not None or not (few and forwards):
            return 0
        return -(-self._bytes(count) // sum(run.count for run in self.tiling(whole).rows))

    def _before(self, run: Run) -> int:
        """Tiles of rows before those of a run."""
        rows = self.tiling(-(-self.codelet.n // LANES)).rows
        return sum(some.count for some in rows if some.start < run.start)

    def _bytes(self, count: int) -> int:
        """Of so many panels."""
        return count * self.panel * itemsize(self.codelet.panels.dtype)

    def _asking(self, place: str, share: int) -> PanelsWriter:
        """The same writer, asking for so many bytes from a place on while it takes its sums."""
        turns = max(1, self.codelet.k // self.term.depth)
        return replace(self, strand=Ahead(self.function, place, -(-share // turns)))

    def finish(
        self,
        problem: Problem,
        sums: Sequence[str],
        places: Sequence[str],
        rows: int,
        count: int,
        valid: int,
    ) -> None:
        """Store what becomes of the sums of rows and panels, the last one of `valid` columns."""
        products, apart = self.codelet.parts, rows * self.parts
        sums = self.joined(sums)
        for panel, row, part in product(range(count), range(rows), range(self.parts)):
            left = (valid if panel == count - 1 else LANES) - part * self.width
            if left > 0:
                column = panel * LANES + part * self.width
                lanes = Lanes(column, self.width, min(self.width, left))
                first = panel * products * apart + row * self.parts + part
                total, *others = sums[first::apart][:products]
                problem.finish(self.function, lanes, total, places, row, *others)
