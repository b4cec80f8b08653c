"""LLVM text of products of which some blocks are wanted: see `sampled.py`.

In: a `ContractSampled`. Out: its function. Panels of 16 columns come one after the other, so that
what is read of `rhs` stays near; of each, as many blocks at a time as registers hold sums for, and
then those left, one by one. How many those are is read from the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from tilewright.codelets.base import LANES
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat, walk
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import load_number, offset
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF

if TYPE_CHECKING:
    from tilewright.codelets.contract.sampled import ContractSampled

_MOST_BLOCKS = 8
"""At a time: each has a pointer of its own."""
_F32 = "float32"


def emit(codelet: ContractSampled, module: Module, symbol: str) -> None:
    """Add the codelet's function to the module."""
    function = module.function(symbol, "void", ["ptr"] * 5)
    if codelet.out.size:
        _Writer(function, codelet).write()
    function.close()


@frozen
class _Writer:
    function: Function
    codelet: ContractSampled

    @property
    def width(self) -> int:
        """Lanes of a machine vector."""
        return min(LANES, self.function.module.features.vector_bits // 32)

    @property
    def parts(self) -> int:
        """Machine vectors of a panel."""
        return LANES // self.width

    @property
    def lines(self) -> int:
        """Rows of a block at a time: half of the registers have sums."""
        most = self.function.module.features.registers // 2 // self.parts
        return next(n for n in (16, 4, 1) if n <= most and self.codelet.tall % n == 0)

    @property
    def together(self) -> int:
        """Blocks at a time."""
        most = self.function.module.features.registers // 2 // self.parts
        return max(1, min(most // self.codelet.tall, _MOST_BLOCKS))

    def write(self) -> None:
        function, codelet = self.function, self.codelet
        lhs, rhs, places, starts, out = map(function.argument, range(5))
        if not codelet.onto:
            self._clear(out)
        table, across = codelet.starts.strides[0], LANES
        here, steps = [starts, rhs, out], [[table], [across], [across]]
        with walk(function, [codelet.n // LANES], here, ["int32", _F32, _F32], steps) as panel:
            near, columns, into = panel
            self._panel(near, places, [lhs, columns, into])

    def _clear(self, out: str) -> None:
        counts = [self.codelet.m, self.codelet.n // self.width]
        steps = [[self.codelet.out.strides[0], self.width]]
        row = vector("float", self.width)
        with walk(self.function, counts, [out], [_F32], steps) as (place,):
            self.function.do(f"store {row} zeroinitializer, ptr {place}, align 4")

    def _panel(self, table: str, places: str, given: Sequence[str]) -> None:
        """All blocks of a panel; `given` are lhs, and the panel's columns of rhs and out."""
        function, leaves = self.function, self.codelet.starts.shape[1]
        first = load_number(function, table)
        end = load_number(function, offset(function, table, "int32", 2 * leaves - 1))
        own = offset(function, places, "int32", first)
        count = function.let(f"sub i64 {end}, {first}")
        rest = function.let(f"urem i64 {count}, {self.together}")
        whole = function.let(f"sub i64 {count}, {rest}")
        with function.loop(0, whole, self.together) as turn:
            self._blocks(self.together, offset(function, own, "int32", turn.index), given)
        if self.together > 1:
            with function.loop(whole, count) as turn:
                self._blocks(1, offset(function, own, "int32", turn.index), given)

    def _blocks(self, count: int, places: str, given: Sequence[str]) -> None:
        """So many blocks, whose places are the next ones, some lines of each at a time."""
        function, (lhs, columns, out) = self.function, given
        steps = self.codelet.lhs.strides[1], self.codelet.out.strides[0]
        numbers = [
            load_number(function, offset(function, places, "int32", i)) for i in range(count)
        ]
        firsts = [
            offset(function, base, _F32, function.let(f"mul i64 {number}, {step}"))
            for base, step in zip((lhs, out), steps, strict=True)
            for number in numbers
        ]
        along = [[self.lines * step] for step in steps for _ in numbers]
        dtypes = [_F32] * len(firsts)
        with walk(function, [self.codelet.tall // self.lines], firsts, dtypes, along) as here:
            self._finish(self._sums(here[:count], columns), here[count:])

    def _finish(self, sums: Sequence[str], places: Sequence[str]) -> None:
        function, step = self.function, self.codelet.out.strides[0]
        every = product(places, range(self.lines), range(self.parts))
        for total, (place, line, part) in zip(sums, every, strict=True):
            where = offset(function, place, _F32, line * step + part * self.width)
            if self.codelet.onto:
                before = vectors.load(function, _F32, where, 1, self.width)
                total = Arithmetic(_F32).add(function, self.width, before, total)
            vectors.store(function, _F32, total, where, 1, self.width)

    def _sums(self, rows: Sequence[str], columns: str) -> list[str]:
        """(block, line, part) over all terms: leaf after leaf of the law's tree."""
        function, terms = self.function, self.codelet.terms
        before = -(-terms // LEAF) - 1
        if before < 1:
            return self._leaf(rows, columns, terms)[0]
        widths = [self.width] * (len(rows) * self.lines * self.parts)
        tree = Pairwise(function, "float", widths, Arithmetic(_F32).add, before)
        with repeat(function, before, [("ptr", place) for place in (*rows, columns)]) as turn:
            sums, after = self._leaf(turn.carry[:-1], turn.carry[-1], LEAF)
            tree.push(turn.index, sums)
            turn.next[:] = after
        *rows, columns = turn.result
        return tree.finish(self._leaf(rows, columns, terms - before * LEAF)[0])

    def _leaf(self, rows: Sequence[str], columns: str, length: int) -> tuple[list[str], list[str]]:
        """Sums over so many terms, and the places after them."""
        start = Arithmetic(_F32).start(self.codelet.terms, self.width)
        count = len(rows) * self.lines * self.parts
        row = vector("float", self.width)
        carry = [*((row, start) for _ in range(count)), *(("ptr", p) for p in (*rows, columns))]
        with repeat(self.function, length, carry) as turn:
            places = turn.carry[count:]
            turn.next[:] = [*self._term(places, turn.carry[:count]), *self._moved(places)]
        return turn.result[:count], turn.result[count:]

    def _moved(self, places: Sequence[str]) -> list[str]:
        """One term on."""
        lhs, rhs = self.codelet.lhs.strides[0], self.codelet.rhs.strides[0]
        steps = [lhs] * (len(places) - 1) + [rhs]
        return [
            offset(self.function, place, _F32, step)
            for place, step in zip(places, steps, strict=True)
        ]

    def _term(self, places: Sequence[str], sums: Sequence[str]) -> list[str]:
        function, (*rows, columns) = self.function, places
        step, found, arithmetic = self.codelet.lhs.strides[1], list(sums), Arithmetic(_F32)
        ys = [
            vectors.load(
                function, _F32, offset(function, columns, _F32, part * self.width), 1, self.width
            )
            for part in range(self.parts)
        ]
        for number, (place, line) in enumerate(product(rows, range(self.lines))):
            scalar = vectors.load_scalar(function, _F32, offset(function, place, _F32, line * step))
            x = vectors.splat(function, "float", self.width, scalar)
            for part, y in enumerate(ys):
                at = number * self.parts + part
                found[at] = arithmetic.multiply_add(function, self.width, x, y, found[at])
        return found
