"""Cholesky factors of a batch: an element of every matrix to a vector."""

from __future__ import annotations

from tilewright.codelets.linalg.cholesky_writer import ROWS, Writer


class Batch(Writer):
    """An element of every matrix to a vector."""

    def write(self) -> None:
        function, tiles, n = self.function, self.tiles, self.n
        state = tiles.number(0.0)
        if n >= ROWS:
            with function.loop(0, n // ROWS, carry=[(tiles.type, state)]) as turn:
                first = function.let(f"mul i64 {turn.index}, {ROWS}")
                reciprocals, turn.next[0] = self._corner(ROWS, first, turn.carry[0])
                self._right(first, reciprocals)
            state = turn.result[0]
        if n % ROWS:
            _, state = self._corner(n % ROWS, str(n - n % ROWS), state)
        self._clear(state)

    def _corner(self, rows: int, first: str, state: str) -> tuple[list[str], str]:
        function, tiles = self.function, self.tiles
        top = tiles.far(self.place, tiles.beside, first)
        corner = tiles.far(top, tiles.row, first)
        pairs = [(r, c) for r in range(rows) for c in range(r, rows)]
        places = {(r, c): tiles.at(corner, r * tiles.row + c * tiles.beside) for r, c in pairs}
        carry = [(tiles.type, tiles.load(places[pair])) for pair in pairs]
        with function.loop(0, first, carry=[*carry, ("ptr", top)]) as turn:
            *values, above = turn.carry
            known = [tiles.load(tiles.at(above, c * tiles.beside)) for c in range(rows)]
            for i, (r, c) in enumerate(pairs):
                turn.next[i] = tiles.minus_product(values[i], known[r], known[c])
            turn.next[-1] = tiles.at(above, tiles.row)
        element = dict(zip(pairs, turn.result[:-1], strict=True))
        reciprocals = []
        for r in range(rows):
            element[r, r], reciprocal, state = self.pivot(tiles, element[r, r], state)
            reciprocals.append(reciprocal)
            for c in range(r + 1, rows):
                element[r, c] = tiles.operate("fmul", element[r, c], reciprocal)
            for below, c in pairs:
                if below > r:
                    known = (element[r, below], element[r, c])
                    element[below, c] = tiles.minus_product(element[below, c], *known)
        for pair in pairs:
            tiles.store(element[pair], places[pair])
        return reciprocals, state

    def _right(self, first: str, reciprocals: list[str]) -> None:
        function, tiles, across = self.function, self.tiles, self.across
        factor = tiles.far(self.place, tiles.factor_row, first)
        start = tiles.far(tiles.at(self.place, ROWS * tiles.beside), tiles.beside, first)
        left = function.let(f"sub i64 {self.n - ROWS}, {first}")
        blocks = function.let(f"udiv i64 {left}, {across}")
        with function.loop(0, blocks, carry=[("ptr", start)]) as turn:
            here = turn.carry[0]
            tiles.solve(ROWS, [None] * across, here, factor, first, reciprocals)
            turn.next[0] = tiles.at(here, across * tiles.beside)
        if self.n % across:
            rest = [None] * (self.n % across)
            tiles.solve(ROWS, rest, turn.result[0], factor, first, reciprocals)

    def _clear(self, state: str) -> None:
        """Zeros below the diagonal; NaN in the lanes that failed, if there are any."""
        function, tiles = self.function, self.tiles
        flags = f"<{tiles.width} x i1>"
        failed = function.let(f"fcmp uno {tiles.type} {state}, {state}")
        bits = function.let(f"bitcast {flags} {failed} to i{tiles.width}")
        any_failed = function.let(f"icmp ne i{tiles.width} {bits}, 0")
        rows = function.let(f"select i1 {any_failed}, i64 {self.n}, i64 0")
        with function.loop(1, self.n) as i:
            start = tiles.far(self.place, tiles.row, i.index)
            with function.loop(0, i.index, carry=[("ptr", start)]) as j:
                tiles.store(tiles.number(0.0), j.carry[0])
                j.next[0] = tiles.at(j.carry[0], tiles.beside)
        with function.loop(0, rows) as i:
            start = tiles.far(self.place, tiles.row + tiles.beside, i.index)
            with function.loop(i.index, self.n, carry=[("ptr", start)]) as j:
                value = tiles.load(j.carry[0])
                nan = tiles.number(float("nan"))
                value = function.let(
                    f"select {flags} {failed}, {tiles.type} {nan}, {tiles.type} {value}"
                )
                tiles.store(value, j.carry[0])
                j.next[0] = tiles.at(j.carry[0], tiles.beside)
