"""Triangular systems, one matrix or a batch of small ones side by side.

In: a lower triangle (n, n) and right sides (n, m); or batches of them, (n, n, lanes) and (n, m,
lanes), systems contiguous. Out: the solutions, in place of the right sides. Always: the order of
`graph/ops/linalg.py`, so that a system has the same bits either way.

An upper triangle is a lower one read backwards, a right side on the left one transposed: by
strides. Of one matrix, the right sides' rows are contiguous.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import load_scalar
from tilewright.codelets.linalg.tiles import Tiles, over_lanes, tile_shape
from tilewright.frozen import frozen
from tilewright.graph.ops.linalg import multiply_adds, triangular_solve
from tilewright.machine.cost import Count

GRAIN = 64
"""Columns from which on a piece runs about as fast, for its size, as the whole."""


@frozen
class TriangularSolve(Codelet):
    """`target` (n, m) or (n, m, lanes) is overwritten; `unit` takes the diagonal to be ones."""

    matrix: Operand
    target: Operand
    unit: bool

    @property
    def name(self) -> str:
        return f"triangular_solve_{self.target.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.matrix,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.target,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    @property
    def is_batch(self) -> bool:
        return len(self.target.shape) == 3

    @property
    def cut(self) -> Cut | None:
        """Between the columns of the right-hand side."""
        if self.is_batch:
            return None
        return Cut(self.target.shape[1], (None, 1), along_lanes=True, grain=GRAIN)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        matrix, target = (np.moveaxis(a, 2, 0) if self.is_batch else a for a in arrays)
        result = triangular_solve(matrix, target, lower=True, unit=self.unit)
        return (np.moveaxis(result, 0, 2) if self.is_batch else result,)

    @property
    def work(self) -> Count:
        n, columns, *lanes = self.target.shape
        dtype, matrices, size = self.target.dtype, prod(lanes), nbytes(self.target)
        macs = matrices * multiply_adds("triangular_solve", n, columns)
        operations = {} if self.unit else {("div", dtype): matrices * n}
        return Count({dtype: macs}, operations, nbytes(self.matrix) // 2 + size, size, n)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr", "ptr"])
        dtype, (_, columns, *lanes) = self.target.dtype, self.target.shape
        width = Arithmetic(dtype).lanes(module.features.vector_bits)
        places = [function.argument(0), function.argument(1)]
        if not self.target.size:
            pass
        elif lanes:
            pointers = [(dtype, place) for place in places]

            def batch(here: list[str], valid: int | None) -> None:
                tiles = self._tiles(function, width, valid)
                self._solve(tiles, columns, None, *here)

            over_lanes(function, lanes[0], width, pointers, batch)
        else:
            tiles = self._tiles(function, width if columns > 1 else 0, None)
            full, rest = divmod(columns, width) if columns > 1 else (1, 0)
            self._solve(tiles, full, rest or None, *places)
        function.close()

    def _tiles(self, function: Function, width: int, valid: int | None) -> Tiles:
        row, column = self.target.strides[:2]
        beside = column if self.is_batch else width
        factor_row, factor_column = self.matrix.strides[:2]
        return Tiles(
            function,
            self.target.dtype,
            width,
            row,
            beside,
            factor_row,
            factor_column,
            self.is_batch,
            valid,
        )

    def _solve(
        self, tiles: Tiles, vectors: int, last: int | None, matrix: str, target: str
    ) -> None:
        """All rows, of so many whole vectors and one of `last` lanes."""
        function, n = tiles.function, self.matrix.shape[0]
        rows, across = tile_shape(function.module.features, vectors + (last is not None))

        def block(count: int, first: str) -> None:
            factor = tiles.far(matrix, tiles.factor_row, first)
            diagonal = None if self.unit else self._reciprocals(tiles, matrix, first, count)
            start = target
            if vectors >= across:
                with repeat(function, vectors // across, [("ptr", start)]) as turn:
                    here = turn.carry[0]
                    tiles.solve(count, [None] * across, here, factor, first, diagonal)
                    turn.next[0] = tiles.at(here, across * tiles.beside)
                start = turn.result[0]
            rest: list[int | None] = [None] * (vectors % across)
            rest += [last] if last is not None else []
            if rest:
                tiles.solve(count, rest, start, factor, first, diagonal)

        if n >= rows:
            with repeat(function, n // rows) as turn:
                block(rows, function.let(f"mul i64 {turn.index}, {rows}"))
        if n % rows:
            block(n % rows, str(n - n % rows))

    def _reciprocals(self, tiles: Tiles, matrix: str, first: str, count: int) -> list[str]:
        """Of the diagonal from `first` on."""
        step = tiles.factor_row + tiles.factor_column
        start = tiles.far(matrix, step, first)
        places = [tiles.at(start, r * step) for r in range(count)]
        if tiles.each:
            return [tiles.reciprocal(tiles.load(place)) for place in places]
        scalars = [load_scalar(tiles.function, tiles.dtype, place) for place in places]
        return [tiles.everywhere(tiles.scalars.reciprocal(x)) for x in scalars]
