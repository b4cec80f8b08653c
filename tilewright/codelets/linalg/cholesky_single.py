"""The Cholesky factor of one matrix, vectors along its rows, from multiples of their lanes on."""

from __future__ import annotations

from tilewright.codelets.emit.vectors import constants, load_scalar, splat, store_scalar
from tilewright.codelets.linalg.cholesky_writer import ROWS, Writer


class Single(Writer):
    """One matrix, a vector along a row. Vectors begin at multiples of their width."""

    @property
    def rows(self) -> int:
        return min(ROWS, self.tiles.width)

    @property
    def whole(self) -> int:
        """Columns in whole vectors."""
        return self.n - self.n % self.tiles.width

    def write(self) -> None:
        function, tiles = self.function, self.tiles
        state, part = tiles.scalars.number(0.0), self.n % tiles.width
        if self.whole:
            with function.loop(0, self.whole, self.rows, [(tiles.kind, state)]) as turn:
                column = function.let(f"and i64 {turn.index}, {-tiles.width}")
                corner = self._corner(self.rows, None, turn.index, column, turn.carry[0])
                reciprocals, turn.next[0] = corner
                self._right(turn.index, column, reciprocals)
            state = turn.result[0]
        if part:
            end = self.n - part % self.rows
            with function.loop(self.whole, end, self.rows, [(tiles.kind, state)]) as turn:
                corner = self._corner(self.rows, part, turn.index, str(self.whole), turn.carry[0])
                turn.next[0] = corner[1]
            state = turn.result[0]
            if part % self.rows:
                _, state = self._corner(part % self.rows, part, str(end), str(self.whole), state)
        self._clear(state)

    def _corner(
        self, rows: int, valid: int | None, first: str, column: str, state: str
    ) -> tuple[list[str], str]:
        """The vectors that hold the diagonal, of which lanes left of it come out as anything."""
        function, tiles = self.function, self.tiles
        top, factor = (tiles.at(self.place, start) for start in (column, first))
        target = tiles.far(top, tiles.row, first)
        places = [[tiles.at(target, r * tiles.row)] for r in range(rows)]
        values, corner = tiles.reduced(rows, [valid], top, factor, first, places)
        vectors, reciprocals = [row[0] for row in values], []
        for r in range(rows):
            (place,), diagonal = places[r], tiles.at(corner, r * (tiles.row + 1))
            tiles.store(vectors[r], place, valid)
            pivot = load_scalar(function, tiles.dtype, diagonal)
            root, reciprocal, state = self.pivot(tiles.scalars, pivot, state)
            reciprocals.append(tiles.everywhere(reciprocal))
            vectors[r] = tiles.operate("fmul", vectors[r], reciprocals[r])
            tiles.store(vectors[r], place, valid)
            store_scalar(function, tiles.dtype, root, diagonal)
            for below in range(r + 1, rows):
                factor = tiles.factor(tiles.at(corner, r * tiles.row + below))
                vectors[below] = tiles.minus_product(vectors[below], factor, vectors[r])
        return reciprocals, state

    def _right(self, first: str, column: str, reciprocals: list[str]) -> None:
        """Vectors right of the one that holds the diagonal: in tiles, one by one, the last part."""
        function, tiles = self.function, self.tiles
        factor = tiles.at(self.place, first)
        here = tiles.at(tiles.at(self.place, column), tiles.width)
        left = function.let(f"sub i64 {self.whole - tiles.width}, {column}")
        vectors = function.let(f"udiv i64 {left}, {tiles.width}")
        blocks = function.let(f"udiv i64 {vectors}, {self.across}")
        singles = function.let(f"urem i64 {vectors}, {self.across}")
        for count, across in ((blocks, self.across), (singles, 1)):
            with function.loop(0, count, carry=[("ptr", here)]) as turn:
                place = turn.carry[0]
                tiles.solve(self.rows, [None] * across, place, factor, first, reciprocals)
                turn.next[0] = tiles.at(place, across * tiles.width)
            here = turn.result[0]
        if self.n > self.whole:
            part = self.n - self.whole
            tiles.solve(self.rows, [part], here, factor, first, reciprocals)

    def _clear(self, state: str) -> None:
        """Zeros below the diagonal; NaN from it on if the matrix failed."""
        function, tiles = self.function, self.tiles
        failed = function.let(f"fcmp uno {tiles.kind} {state}, {state}")
        self._fill(0, self.whole, None)
        self._fill(self.whole, self.n, self.n - self.whole)
        rows = function.let(f"select i1 {failed}, i64 {self.n}, i64 0")
        nan = tiles.scalars.number(float("nan"))
        with function.loop(0, rows) as i:
            start = tiles.far(self.place, tiles.row, i.index)
            with function.loop(i.index, self.n) as j:
                store_scalar(function, tiles.dtype, nan, tiles.at(start, j.index))

    def _fill(self, begin: int, end: int, valid: int | None) -> None:
        """Zeros left of the diagonal in some rows, of which the diagonal's vector is `valid`."""
        if begin == end:
            return
        function, tiles = self.function, self.tiles
        width, zero = tiles.width, tiles.number(0.0)
        lanes = constants("i64", range(width))
        with function.loop(begin, end) as i:
            start = tiles.far(self.place, tiles.row, i.index)
            vectors = function.let(f"udiv i64 {i.index}, {width}")
            with function.loop(0, vectors, carry=[("ptr", start)]) as j:
                tiles.store(zero, j.carry[0])
                j.next[0] = tiles.at(j.carry[0], width)
            inside = function.let(f"urem i64 {i.index}, {width}")
            here = splat(function, "i64", width, inside)
            left = function.let(f"icmp ult <{width} x i64> {lanes}, {here}")
            value = tiles.load(j.result[0], valid)
            value = function.let(
                f"select <{width} x i1> {left}, {tiles.type} {zero}, {tiles.type} {value}"
            )
            tiles.store(value, j.result[0], valid)
