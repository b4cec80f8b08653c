"""LLVM text of rows times blocks: see `blocks.py`.

In: a `ContractBlocks`. Out: its function. Tiles of rows are outermost, so that what is read of them
here and there stays near; under them runs of panels; of each the leaves of the law's sums, one
after the other, a loop over the blocks that meet the leaf. How many those are is read from the
table, so all loops over blocks are tested before their first turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.panels_writer import PackedWriter
from tilewright.codelets.contract.problem import Problem
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.vectors import itemsize, load_number, offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.blocks import ContractBlocks

_FEW_ROWS = 4
"""Up to so many, reading the blocks is what takes the time."""
_MOST_STREAMS = 4
_UNROLLED, _UNROLLED_REST = 32, 8
"""Multiply-adds written out in one turn of a loop, about: of all streams, of what one has more."""
_NEAR = 3 / 4
"""Of the nearest memory, for the rows of a tile: blocks read them here and there."""


def emit(codelet: ContractBlocks, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    arguments = len(codelet.inputs) + len(codelet.outputs)
    function = module.function(symbol, "void", ["ptr"] * arguments)
    if codelet.out.size:
        _Writer(function, codelet).write()
    function.close()


@frozen
class _Stream:
    """A panel's blocks of one leaf: pointers at the first of them and at its place; how many.

    Of a whole matrix, at the panel's first row.
    """

    blocks: str
    places: str
    count: str


@frozen
class _Writer(PackedWriter):
    codelet: ContractBlocks

    @property
    def together(self) -> int:
        """Panels that advance together."""
        rows, registers = self.codelet.m, self.function.module.features.registers
        if rows > _FEW_ROWS:
            return 1
        return max(1, min(_MOST_STREAMS, registers * 3 // 4 // (rows * self._each)))

    @property
    def _each(self) -> int:
        """Sums of a row and a panel that are taken: of all planes, of all vectors."""
        return self.term.planes * self.parts

    def rows(self) -> tuple[Run, ...]:
        """Tiles of rows: as many as registers hold sums of a panel for, and L1 what they read."""
        codelet, registers = self.codelet, self.function.module.features.registers
        if codelet.m <= _FEW_ROWS:
            return (Run(0, codelet.m, 1),)
        most = (registers - self.parts - 2) // self._each
        line = codelet.k * itemsize(codelet.lhs.dtype)
        near = int(_NEAR * self.function.module.near) // line
        return split(codelet.m, max(min(most, near), min(most, 2 * _FEW_ROWS)))

    def write(self) -> None:
        function, codelet, problem = self.function, self.codelet, self.problem
        arguments = range(len(codelet.inputs) + len(codelet.outputs))
        lhs, blocks, places, starts, *sides = map(function.argument, arguments)
        lhs_dtype, row_step = codelet.lhs.dtype, codelet.lhs.strides[0]
        dtypes = [lhs_dtype, *(side.dtype for side in problem.sides)]
        for run in self.rows():
            first = offset(function, lhs, lhs_dtype, run.start * row_step)
            here = [first, *problem.moved(function, sides, run.start, 0)]
            steps = [[run.size * step] for step in (row_step, *(s.row_step for s in problem.sides))]
            with walk(function, [run.count], here, dtypes, steps) as (rows, *inside):
                self._rows(problem, run.size, [rows, blocks, places, starts], inside)

    def _rows(self, problem: Problem, rows: int, given: list[str], sides: list[str]) -> None:
        """A tile of rows against all panels."""
        function = self.function
        lhs, blocks, places, starts = given
        whole, rest = divmod(self.codelet.n, LANES)
        groups = [(0, whole, LANES)] if whole else []
        groups += [(whole, 1, rest)] if rest else []
        dtype, across = self.codelet.panels.dtype, LANES if self.codelet.tall else 0
        dtypes = ["int32", dtype, *(side.dtype for side in problem.sides)]
        for first, count, valid in groups:
            for run in split(count, self.together):
                at = first + run.start
                table = offset(function, starts, "int32", at * self._table)
                panel = offset(function, blocks, dtype, at * across)
                here = [table, panel, *problem.moved(function, sides, 0, at * LANES)]
                columns = [LANES * run.size * side.column_step for side in problem.sides]
                steps = [run.size * self._table, run.size * across, *columns]
                along = [[step] for step in steps]
                with walk(function, [run.count], here, dtypes, along) as (near, own, *inside):
                    sums = self._sums(rows, run.size, [lhs, own, places, near])
                    self._finish(problem, self.joined(sums), rows, run.size, valid, inside)

    def _finish(
        self,
        problem: Problem,
        sums: Sequence[str],
        rows: int,
        count: int,
        valid: int,
        sides: Sequence[str],
    ) -> None:
        every = product(range(count), range(rows), range(self.parts))
        for total, (panel, row, part) in zip(sums, every, strict=True):
            left = valid - part * self.width
            if left > 0:
                column = panel * LANES + part * self.width
                lanes = Lanes(column, self.width, min(self.width, left))
                problem.finish(self.function, lanes, total, sides, row)

    @property
    def _table(self) -> int:
        """Elements of the table from a panel to the next."""
        return self.codelet.starts.strides[0]

    def _sums(self, rows: int, count: int, given: list[str]) -> list[str]:
        """(panel, row, plane, part) over all of k: leaf after leaf of the law's tree."""
        lhs, blocks, places, starts = given
        before = self.codelet.starts.shape[1] - 1
        if before < 1 or not self.term.node:
            return self._leaves(rows, count, given)
        widths = [self.width] * (count * rows * self._each)
        tree = Pairwise(self.function, "float", widths, Arithmetic("float32").add, before)
        with repeat(self.function, before, [("ptr", starts)]) as turn:
            (table,) = turn.carry
            tree.push(turn.index, self._leaf(rows, count, [lhs, blocks, places, table]))
            turn.next[:] = [offset(self.function, table, "int32", 2)]
        return tree.finish(self._leaf(rows, count, [lhs, blocks, places, *turn.result]))

    def _leaves(self, rows: int, count: int, given: list[str]) -> list[str]:
        """The only leaf; or, where sums have no order, all of them as one."""
        last = self.codelet.starts.shape[1] - 1
        return self._leaf(rows, count, given, last)

    def _leaf(self, rows: int, count: int, given: list[str], last: int = 0) -> list[str]:
        """Sums over the blocks of a leaf, and of `last` more of them."""
        function, each = self.function, rows * self._each
        lhs, blocks, places, starts = given
        streams = []
        for i in range(count):
            table = offset(function, starts, "int32", i * self._table)
            own = offset(function, blocks, self.codelet.panels.dtype, i * LANES)
            own = own if self.codelet.tall else blocks
            streams.append(self._stream(own, places, table, last))
        sums = [self.term.start] * (count * each)
        least = streams[0].count
        for stream in streams[1:]:
            least = self._smaller(least, stream.count)
        sums = self._turns(lhs, rows, streams, "0", least, sums)
        if count == 1:
            return sums
        found: list[str] = []
        for i, stream in enumerate(streams):
            own = sums[i * each : (i + 1) * each]
            found += self._turns(lhs, rows, [stream], least, stream.count, own)
        return found

    def _smaller(self, one: str, other: str) -> str:
        less = self.function.let(f"icmp slt i64 {one}, {other}")
        return self.function.let(f"select i1 {less}, i64 {one}, i64 {other}")

    def _stream(self, blocks: str, places: str, starts: str, last: int) -> _Stream:
        function = self.function
        first = load_number(function, starts)
        end = load_number(function, offset(function, starts, "int32", 2 * last + 1))
        if not self.codelet.tall:
            where = function.let(f"mul i64 {first}, {self._block}")
            blocks = offset(function, blocks, self.codelet.panels.dtype, where)
        return _Stream(
            blocks,
            offset(function, places, "int32", first),
            function.let(f"sub i64 {end}, {first}"),
        )

    def _far(self, place: str, dtype: str, number: str, step: int) -> str:
        """So many steps on."""
        if step != 1:
            number = self.function.let(f"mul i64 {number}, {step}")
        return offset(self.function, place, dtype, number)

    @property
    def _block(self) -> int:
        """Elements of a block; of a whole matrix, from row to row."""
        return self.codelet.panels.strides[0]

    def _turns(
        self,
        lhs: str,
        rows: int,
        streams: Sequence[_Stream],
        start: str,
        stop: str,
        sums: Sequence[str],
    ) -> list[str]:
        """Blocks number `start` ... `stop` - 1 of each stream."""
        function, row = self.function, vector(self.term.kind, self.width)
        dtype, step = self.codelet.panels.dtype, self._block
        pointers = [stream.blocks for stream in streams]
        if start != "0" and not self.codelet.tall:
            moved = function.let(f"mul i64 {start}, {step}")
            pointers = [offset(function, pointer, dtype, moved) for pointer in pointers]
        carry = [*((row, total) for total in sums), *(("ptr", pointer) for pointer in pointers)]
        with function.loop(start, stop, carry=carry) as turn:
            sums, pointers = turn.carry[: len(sums)], turn.carry[len(sums) :]
            places = [offset(function, stream.places, "int32", turn.index) for stream in streams]
            numbers = [load_number(function, place) for place in places]
            k_step = self.codelet.lhs.strides[1]
            near = [self._far(lhs, self.codelet.lhs.dtype, number, k_step) for number in numbers]
            if self.codelet.tall:
                first = [self._far(p, dtype, number, step) for p, number in
                         zip(pointers, numbers, strict=True)]  # fmt: skip
                sums, _ = self._lines(rows, near, first, list(sums), start == "0")
                turn.next[:] = [*sums, *pointers]
            else:
                sums, after = self._lines(rows, near, pointers, list(sums), start == "0")
                turn.next[:] = [*sums, *after]
        return turn.result[: len(sums)]

    def _lines(
        self, rows: int, near: Sequence[str], pointers: Sequence[str], sums: list[str], whole: bool
    ) -> tuple[list[str], list[str]]:
        """All lines of a block of each stream; and the pointers after them."""
        height, most = self.codelet.height, _UNROLLED if whole else _UNROLLED_REST
        at_once = max(
            n for n in range(1, height + 1) if height % n == 0 and (n == 1 or n * len(sums) <= most)
        )
        row, count = vector(self.term.kind, self.width), len(sums)
        carry = [(row, total) for total in sums]
        carry += [("ptr", pointer) for pointer in (*near, *pointers)]
        with repeat(self.function, height // at_once, carry) as turn:
            sums = turn.carry[:count]
            near = turn.carry[count : count + len(near)]
            pointers = turn.carry[count + len(near) :]
            for _ in range(at_once):
                sums = self._step(rows, near, pointers, sums)
                near, pointers = self._moved(near, pointers)
            turn.next[:] = [*sums, *near, *pointers]
        return turn.result[:count], turn.result[count + len(near) :]

    def _moved(self, near: Sequence[str], pointers: Sequence[str]) -> tuple[list[str], list[str]]:
        """One line of panels on."""
        codelet, depth = self.codelet, self.term.depth
        step = depth * codelet.lhs.strides[1]
        line = self._block if codelet.tall else LANES * depth
        return (
            [offset(self.function, place, codelet.lhs.dtype, step) for place in near],
            [offset(self.function, p, codelet.panels.dtype, line) for p in pointers],
        )

    def _step(
        self, rows: int, near: Sequence[str], pointers: Sequence[str], sums: Sequence[str]
    ) -> list[str]:
        """One line of a block of each stream, d neighbouring k, for all rows."""
        term, parts, found = self.term, self.parts, list(sums)
        lhs_dtype, row_step = self.codelet.lhs.dtype, self.codelet.lhs.strides[0]
        for number, (place, pointer) in enumerate(zip(near, pointers, strict=True)):
            columns = [
                term.columns(
                    offset(
                        self.function, pointer, self.codelet.panels.dtype,
                        part * self.width * term.depth,
                    ),
                    term.depth,
                )
                for part in range(parts)
            ]  # fmt: skip
            for i, plane in product(range(rows), range(term.planes)):
                line = offset(self.function, place, lhs_dtype, i * row_step)
                x = term.row(line, term.depth, plane)
                for part in range(parts):
                    at = ((number * rows + i) * term.planes + plane) * parts + part
                    found[at] = term.added(x, columns[part], found[at])
        return found
