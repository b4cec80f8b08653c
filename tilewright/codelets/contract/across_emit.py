"""LLVM text of rows times blocks that lie across: see `across.py`.

In: a `ContractAcross`. Out: its function. Rows are turned round first, so that lanes run along
them: a block of any height then fills registers. Of each row of blocks some lines at a time, for as
many rows as registers hold sums for, leaf after leaf of the law's sums; then the result is turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.operand import copied_step
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.tiling import Run, split
from tilewright.codelets.emit.turn import Side, transpose
from tilewright.codelets.emit.vectors import load_number, offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.across import ContractAcross

_F32 = "float32"
_UNROLLED = 64
"""Multiply-adds written out in one turn of a loop, about."""


def emit(codelet: ContractAcross, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    function = module.function(symbol, "void", ["ptr"] * 6)
    if codelet.out.size:
        _Writer(function, codelet).write()
    function.close()


def turned_bytes(rows: int, columns: int) -> int:
    """Of an array whose lines are as long as there are rows."""
    return 4 * copied_step(_F32, rows) * columns


@frozen
class _Writer:
    function: Function
    codelet: ContractAcross

    @property
    def width(self) -> int:
        """Lanes of a machine vector."""
        return min(LANES, self.function.module.features.vector_bits // 32)

    @property
    def pitch(self) -> int:
        """Elements from line to line of what is turned."""
        return copied_step(_F32, self.codelet.m)

    @property
    def lines(self) -> int:
        """Of a block at a time."""
        return min(4, self.codelet.tall)

    def runs(self) -> tuple[Run, ...]:
        """Vectors of rows at a time: sums take half of the registers."""
        most = self.function.module.features.registers // 2 // self.lines
        return split(self.codelet.m // self.width, max(1, min(most, 4)))

    def write(self) -> None:
        function, codelet = self.function, self.codelet
        lhs, matrix, places, starts, out, lent = map(function.argument, range(6))
        turned = Side(_F32, self.pitch)
        transpose(
            function, Side(_F32, codelet.lhs.strides[0]), turned, codelet.m, codelet.k, lhs, lent
        )
        sums = function.address(lent, "i8", turned_bytes(codelet.m, codelet.k))
        for run in self.runs():
            first = run.start * self.width
            here = [offset(function, base, _F32, first) for base in (lent, sums)]
            along = [[run.size * self.width]] * 2
            with walk(function, [run.count], here, [_F32] * 2, along) as (rows, into):
                self._blocks(run.size, [rows, matrix, places, starts, into])
        transpose(
            function, turned, Side(_F32, codelet.out.strides[0]), codelet.n, codelet.m, sums, out
        )

    def _blocks(self, count: int, given: Sequence[str]) -> None:
        """So many vectors of rows by all rows of blocks."""
        function, codelet = self.function, self.codelet
        rows, matrix, places, starts, into = given
        line, table, tall = codelet.matrix.strides[0], codelet.starts.strides[0], codelet.tall
        counts = [codelet.n // tall, tall // self.lines]
        steps = [[table, 0], *([tall * s, self.lines * s] for s in (line, self.pitch))]
        dtypes = ["int32", _F32, _F32]
        with walk(function, counts, [starts, matrix, into], dtypes, steps) as (near, own, here):
            totals = self._sums(count, [rows, own, places, near])
            every = product(range(self.lines), range(count))
            for total, (i, part) in zip(totals, every, strict=True):
                where = offset(function, here, _F32, i * self.pitch + part * self.width)
                vectors.store(function, _F32, total, where, 1, self.width)

    def _sums(self, count: int, given: Sequence[str]) -> list[str]:
        """(line, vector) over all of k: leaf after leaf of the law's tree."""
        rows, matrix, places, starts = given
        before = self.codelet.starts.shape[1] - 1
        if before < 1:
            return self._leaf(count, given)
        widths = [self.width] * (count * self.lines)
        tree = Pairwise(self.function, "float", widths, Arithmetic(_F32).add, before)
        with repeat(self.function, before, [("ptr", starts)]) as turn:
            (table,) = turn.carry
            tree.push(turn.index, self._leaf(count, [rows, matrix, places, table]))
            turn.next[:] = [offset(self.function, table, "int32", 2)]
        return tree.finish(self._leaf(count, [rows, matrix, places, *turn.result]))

    def _leaf(self, count: int, given: Sequence[str]) -> list[str]:
        """Sums over the blocks of a leaf."""
        function, row = self.function, vector("float", self.width)
        rows, matrix, places, starts = given
        first, end = (load_number(function, offset(function, starts, "int32", i)) for i in range(2))
        carry = [(row, Arithmetic(_F32).zero)] * (count * self.lines)
        with function.loop(first, end, carry=carry) as turn:
            number = vectors.load_number(
                self.function, offset(function, places, "int32", turn.index)
            )
            far = function.let(f"mul i64 {number}, {self.pitch}")
            here = [offset(function, rows, _F32, far), offset(function, matrix, _F32, number)]
            turn.next[:] = self._block(count, here, turn.carry)
        return turn.result

    def _block(self, count: int, places: Sequence[str], sums: Sequence[str]) -> list[str]:
        """All terms of a block; `places` are those of its first one."""
        function, row = self.function, vector("float", self.width)
        at_once = max(n for n in (1, 2, 4, 8, 16) if n == 1 or n * len(sums) <= _UNROLLED)
        carry = [*((row, total) for total in sums), *(("ptr", place) for place in places)]
        with repeat(function, LANES // at_once, carry) as turn:
            *totals, rows, matrix = turn.carry
            for _ in range(at_once):
                totals = self._term(count, rows, matrix, totals)
                rows = offset(function, rows, _F32, self.pitch)
                matrix = offset(function, matrix, _F32, 1)
            turn.next[:] = [*totals, rows, matrix]
        return turn.result[: len(sums)]

    def _term(self, count: int, rows: str, matrix: str, sums: Sequence[str]) -> list[str]:
        function, arithmetic, found = self.function, Arithmetic(_F32), list(sums)
        ys = [
            vectors.load(
                function, _F32, offset(function, rows, _F32, i * self.width), 1, self.width
            )
            for i in range(count)
        ]
        for line in range(self.lines):
            where = offset(function, matrix, _F32, line * self.codelet.matrix.strides[0])
            x = vectors.splat(
                function, "float", self.width, vectors.load_scalar(function, _F32, where)
            )
            for i, y in enumerate(ys):
                at = line * count + i
                found[at] = arithmetic.multiply_add(function, self.width, x, y, found[at])
        return found
