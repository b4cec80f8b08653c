"""LU factors of a batch: an element of every matrix to a vector, each lane with pivots of its own.

Rows change places by a choice in every lane, row by row of those that any lane has chosen.
"""

from __future__ import annotations

from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import load, offset, splat, store
from tilewright.codelets.linalg.tiles import Tiles
from tilewright.frozen import frozen


@frozen
class Batch:
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
    def numbers(self) -> str:
        """The type of a vector of row numbers."""
        return vector("i32", self.tiles.width)

    @property
    def flags(self) -> str:
        return vector("i1", self.tiles.width)

    def write(self) -> None:
        function, tiles = self.function, self.tiles
        with function.loop(0, self.m) as i:
            self._store_rows(self._row(i.index), self._far(self.order, self.order_step, i.index))
        with function.loop(0, min(self.m, self.n)) as k:
            start = tiles.far(self.matrix, tiles.row, k.index)
            corner = tiles.far(start, tiles.beside, k.index)
            chosen = self._largest(k.index, corner)
            self._store_rows(chosen, self._far(self.pivots, self.pivots_step, k.index))
            self._exchange(k.index, start, chosen)
            self._eliminate(k.index, corner)

    def _largest(self, k: str, corner: str) -> str:
        """In which row the largest element of a column is; NaN are no candidates."""
        function, tiles = self.function, self.tiles
        carry = [(tiles.type, tiles.number(-1.0)), (self.numbers, self._row(k)), ("ptr", corner)]
        with function.loop(k, self.m, carry=carry) as i:
            best, chosen, here = i.carry
            size = tiles.intrinsic("fabs", tiles.load(here))
            larger = function.let(f"fcmp ogt {tiles.type} {size}, {best}")
            i.next[:] = [
                self._choose(larger, tiles.type, size, best),
                self._choose(larger, self.numbers, self._row(i.index), chosen),
                tiles.at(here, tiles.row),
            ]
        return i.result[1]

    def _exchange(self, k: str, start: str, chosen: str) -> None:
        """Row k with the chosen one, lane by lane."""
        function, tiles = self.function, self.tiles
        below = function.let(f"add i64 {k}, 1")
        first = self._far(self.order, self.order_step, k)
        with function.loop(below, self.m) as i:
            here = function.let(f"icmp eq {self.numbers} {chosen}, {self._row(i.index)}")
            bits = function.let(f"bitcast {self.flags} {here} to i{tiles.width}")
            wanted = function.let(f"icmp ne i{tiles.width} {bits}, 0")
            columns = function.let(f"select i1 {wanted}, i64 {self.n}, i64 0")
            other = tiles.far(self.matrix, tiles.row, i.index)
            with function.loop(0, columns, carry=[("ptr", start), ("ptr", other)]) as j:
                x, y = (tiles.load(place) for place in j.carry)
                tiles.store(self._choose(here, tiles.type, y, x), j.carry[0])
                tiles.store(self._choose(here, tiles.type, x, y), j.carry[1])
                j.next[:] = [tiles.at(place, tiles.beside) for place in j.carry]
            second = self._far(self.order, self.order_step, i.index)
            x, y = self._load_rows(first), self._load_rows(second)
            self._store_rows(self._choose(here, self.numbers, y, x), first)
            self._store_rows(self._choose(here, self.numbers, x, y), second)

    def _eliminate(self, k: str, corner: str) -> None:
        """The rows below, each less its multiple of row k."""
        function, tiles = self.function, self.tiles
        head, one = tiles.load(corner), tiles.number(1.0)
        empty = function.let(f"fcmp oeq {tiles.type} {head}, {tiles.number(0.0)}")
        reciprocal = tiles.reciprocal(self._choose(empty, tiles.type, one, head))
        after = function.let(f"add i64 {k}, 1")
        beside = tiles.at(corner, tiles.beside)
        below = tiles.at(corner, tiles.row)
        with function.loop(after, self.m, carry=[("ptr", below)]) as i:
            here = i.carry[0]
            factor = tiles.operate("fmul", tiles.load(here), reciprocal)
            tiles.store(factor, here)
            carry = [("ptr", beside), ("ptr", tiles.at(here, tiles.beside))]
            with function.loop(after, self.n, carry=carry) as j:
                known, place = j.carry
                rest = tiles.minus_product(tiles.load(place), factor, tiles.load(known))
                tiles.store(rest, place)
                j.next[:] = [tiles.at(pointer, tiles.beside) for pointer in j.carry]
            i.next[0] = tiles.at(here, tiles.row)

    # Row numbers.

    def _row(self, index: str) -> str:
        narrow = self.function.let(f"trunc i64 {index} to i32")
        return splat(self.function, "i32", self.tiles.width, narrow)

    def _far(self, pointer: str, step: int, count: str) -> str:
        return offset(
            self.function, pointer, "int32", self.function.let(f"mul i64 {count}, {step}")
        )

    def _load_rows(self, place: str) -> str:
        return load(self.function, "int32", place, 1, self.tiles.width, self.tiles.valid)

    def _store_rows(self, rows: str, place: str) -> None:
        store(self.function, "int32", rows, place, 1, self.tiles.width, self.tiles.valid)

    def _choose(self, which: str, kind: str, yes: str, no: str) -> str:
        return self.function.let(f"select {self.flags} {which}, {kind} {yes}, {kind} {no}")
