"""What an LU factorisation does to single columns of a matrix, vectors along them.

Rows above the one at hand are kept by a choice in every lane of the vectors that it is in.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import (
    constants,
    load,
    load_scalar,
    offset,
    splat,
    store_scalar,
    suffix,
)
from tilewright.codelets.linalg.tiles import Tiles
from tilewright.frozen import frozen

Carry = list[tuple[str, str]]
Body = Callable[[str, int | None, list[str]], list[str]]
"""(first row of a vector, its lanes if fewer, carry) -> carry."""


@frozen
class Columns:
    """In `tiles`, a row of unknowns is a column of the matrix."""

    tiles: Tiles
    m: int
    n: int
    matrix: str
    pivots: str
    order: str
    pivots_step: int
    order_step: int

    @property
    def function(self) -> Function:
        return self.tiles.function

    @property
    def whole(self) -> int:
        """Rows in whole vectors."""
        return self.m - self.m % self.tiles.width

    def pivot(self, k: str, begin: str, end: str) -> None:
        """Choose the row of column k, note it, and exchange it in columns `begin` to `end`."""
        function, tiles = self.function, self.tiles
        column, numbers = self.column(k), vector("i32", tiles.width)
        narrow = function.let(f"trunc i64 {k} to i32")
        first = splat(function, "i32", tiles.width, narrow)

        def larger(row: str, valid: int | None, carry: list[str]) -> list[str]:
            best, chosen = carry
            nan = tiles.number(float("nan"))
            place = tiles.at(column, row)
            value = load(function, tiles.dtype, place, 1, tiles.width, valid, nan)
            size, rows = tiles.intrinsic("fabs", value), self._rows(row)
            wins = function.let(f"fcmp ogt {tiles.type} {size}, {best}")
            candidate = function.let(f"icmp sge {numbers} {rows}, {first}")
            wins = function.let(f"and {self._flags} {wins}, {candidate}")
            return [
                self._choose(wins, tiles.type, size, best),
                self._choose(wins, numbers, rows, chosen),
            ]

        carry = [(tiles.type, tiles.number(-1.0)), (numbers, first)]
        best, chosen = self._down(k, str(self.m), carry, larger)
        top = self._reduce("fmax", tiles.kind, best)
        wins = function.let(f"fcmp oeq {tiles.type} {best}, {tiles.everywhere(top)}")
        most = splat(function, "i32", tiles.width, str((1 << 31) - 1))
        chosen = self._choose(wins, numbers, chosen, most)
        row = self._reduce("umin", "i32", chosen)
        store_scalar(function, "int32", row, self.number(self.pivots, k))
        other = function.let(f"zext i32 {row} to i64")
        places = [self.number(self.order, i) for i in (k, other)]
        self.swap("int32", *places)
        with function.loop(begin, end) as j:
            here = self.column(j.index)
            self.swap(tiles.dtype, tiles.at(here, k), tiles.at(here, other))

    def exchange(self, first: str, end: str, begin: str, stop: str) -> None:
        """In columns `begin` to `stop`, the rows that the panel has exchanged."""
        function, tiles = self.function, self.tiles
        with function.loop(begin, stop) as j:
            column = self.column(j.index)
            with function.loop(first, end) as k:
                place = self.number(self.pivots, k.index)
                row = function.let(f"zext i32 {load_scalar(function, 'int32', place)} to i64")
                self.swap(tiles.dtype, tiles.at(column, k.index), tiles.at(column, row))

    def scale(self, k: str) -> None:
        """Column k below its pivot times the pivot's reciprocal."""
        function, tiles = self.function, self.tiles
        column, one = self.column(k), tiles.scalars.number(1.0)
        head = load_scalar(function, tiles.dtype, tiles.at(column, k))
        empty = function.let(f"fcmp oeq {tiles.kind} {head}, {tiles.scalars.number(0.0)}")
        head = function.let(f"select i1 {empty}, {tiles.kind} {one}, {tiles.kind} {head}")
        reciprocal = tiles.everywhere(tiles.scalars.reciprocal(head))

        def scale(row: str, valid: int | None, carry: list[str]) -> list[str]:
            place = tiles.at(column, row)
            value = tiles.load(place, valid)
            scaled = tiles.operate("fmul", value, reciprocal)
            tiles.store(self._below(k, row, scaled, value), place, valid)
            return carry

        self._down(k, str(self.m), [], scale)

    def update(self, k: str, j: str, count: int, end: str) -> None:
        """From `count` columns from j on, below row k, column k times their element of row k.

        To row `end`, which is a multiple of a vector's lanes, or all rows.
        """
        tiles = self.tiles
        known, target = self.column(k), self.column(j)
        heads = tiles.at(target, k)
        factors = [tiles.factor(tiles.at(heads, c * tiles.row)) for c in range(count)]

        def subtract(row: str, valid: int | None, carry: list[str]) -> list[str]:
            column, start = tiles.load(tiles.at(known, row), valid), tiles.at(target, row)
            for c, factor in enumerate(factors):
                place = tiles.at(start, c * tiles.row)
                value = tiles.load(place, valid)
                rest = tiles.minus_product(value, column, factor)
                tiles.store(self._below(k, row, rest, value), place, valid)
            return carry

        self._down(k, end, [], subtract)

    def _down(self, k: str, end: str, carry: Carry, body: Body) -> list[str]:
        """`body` for each vector of a column, from the one that row k is in to row `end`."""
        function, tiles = self.function, self.tiles
        start = function.let(f"and i64 {k}, {-tiles.width}")
        stop = function.let(f"call i64 @llvm.smin.i64(i64 {end}, i64 {self.whole})")
        function.module.declare("llvm.smin.i64", "i64", "i64", "i64")
        with function.loop(start, stop, tiles.width, carry) as turn:
            turn.next[:] = body(turn.index, None, list(turn.carry))
        values = list(turn.result)
        if self.m == self.whole:
            return values
        rest = function.let(f"icmp sgt i64 {end}, {self.whole}")
        once = function.let(f"zext i1 {rest} to i64")
        kinds = [kind for kind, _ in carry]
        with function.loop(0, once, carry=list(zip(kinds, values, strict=True))) as turn:
            last = self.m - self.whole
            turn.next[:] = body(str(self.whole), last, list(turn.carry))
        return list(turn.result)

    # Elements.

    @property
    def _flags(self) -> str:
        return vector("i1", self.tiles.width)

    def column(self, j: str) -> str:
        return self.tiles.far(self.matrix, self.tiles.row, j)

    def _rows(self, row: str) -> str:
        """The numbers of a vector's rows."""
        function, width = self.function, self.tiles.width
        first = splat(function, "i32", width, function.let(f"trunc i64 {row} to i32"))
        return function.let(f"add <{width} x i32> {first}, {constants('i32', range(width))}")

    def _below(self, k: str, row: str, yes: str, no: str) -> str:
        """A vector's lanes below row k of one, the others of another."""
        function, tiles = self.function, self.tiles
        bound = splat(function, "i32", tiles.width, function.let(f"trunc i64 {k} to i32"))
        numbers = vector("i32", tiles.width)
        below = function.let(f"icmp sgt {numbers} {self._rows(row)}, {bound}")
        return self._choose(below, tiles.type, yes, no)

    def _choose(self, which: str, kind: str, yes: str, no: str) -> str:
        return self.function.let(f"select {self._flags} {which}, {kind} {yes}, {kind} {no}")

    def number(self, pointer: str, index: str) -> str:
        """The place of one of the pivots, or of the order."""
        step = self.pivots_step if pointer == self.pivots else self.order_step
        skip = self.function.let(f"mul i64 {index}, {step}")
        return offset(self.function, pointer, "int32", skip)

    def swap(self, dtype: str, one: str, other: str) -> None:
        x, y = (load_scalar(self.function, dtype, place) for place in (one, other))
        store_scalar(self.function, dtype, y, one)
        store_scalar(self.function, dtype, x, other)

    def _reduce(self, operation: str, kind: str, value: str) -> str:
        row = vector(kind, self.tiles.width)
        symbol = f"llvm.vector.reduce.{operation}.{suffix(kind, self.tiles.width)}"
        self.function.module.declare(symbol, kind, row)
        return self.function.let(f"call {kind} @{symbol}({row} {value})")
