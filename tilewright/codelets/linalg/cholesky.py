"""Cholesky factors, of one matrix or of a batch of small ones side by side.

In: a symmetric matrix (n, n) of which the upper triangle is read, or a batch (n, n, lanes),
matrices contiguous. Out: in its place U with U'U = A, zeros below; where a pivot is not positive,
NaN in the whole triangle. Always: the order of `graph/ops/linalg.py`, so that a matrix has the same
bits either way. Of one matrix, rows are contiguous.

Rows are done a few at a time: first their corner on the diagonal, then what lies right of it as the
triangular system that it is.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.linalg.cholesky_batch import Batch
from tilewright.codelets.linalg.cholesky_single import Single
from tilewright.codelets.linalg.tiles import Tiles, over_lanes
from tilewright.frozen import frozen
from tilewright.graph.ops.linalg import cholesky, multiply_adds
from tilewright.machine.cost import Count


@frozen
class Cholesky(Codelet):
    """`matrix` (n, n) or (n, n, lanes) is overwritten."""

    matrix: Operand

    @property
    def name(self) -> str:
        return f"cholesky_{self.matrix.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return ()

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.matrix,)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    @property
    def is_batch(self) -> bool:
        return len(self.matrix.shape) == 3

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (cholesky(arrays[0].T).T,)

    @property
    def work(self) -> Count:
        n, _, *lanes = self.matrix.shape
        dtype, matrices, size = self.matrix.dtype, prod(lanes), nbytes(self.matrix)
        macs = matrices * multiply_adds("cholesky", n, n)
        operations = {(name, dtype): matrices * n for name in ("sqrt", "div")}
        return Count({dtype: macs}, operations, size, size, n)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"])
        dtype = self.matrix.dtype
        width = Arithmetic(dtype).lanes(module.features.vector_bits)
        row, column = self.matrix.strides[:2]
        place = function.argument(0)
        if self.matrix.size and self.is_batch:

            def batch(here: list[str], valid: int | None) -> None:
                tiles = Tiles(function, dtype, width, row, column, column, row, True, valid)
                Batch(tiles, self.matrix.shape[0], here[0]).write()

            over_lanes(function, self.matrix.shape[2], width, [(dtype, place)], batch)
        elif self.matrix.size:
            tiles = Tiles(function, dtype, width, row, width, 1, row)
            Single(tiles, self.matrix.shape[0], place).write()
        function.close()
