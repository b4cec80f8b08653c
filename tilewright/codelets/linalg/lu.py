"""LU factors with partial pivoting, of one matrix or of a batch of small ones side by side.

In: a matrix (m, n), or a batch (m, n, lanes), matrices contiguous. Out: in its place L below the
diagonal and U from it on; the row that row k changed places with, int32 (k); and the order that all
exchanges make, int32 (m). Always: the order and the choices of `graph/ops/linalg.py`, so that a
matrix has the same bits either way. Of one matrix, columns are contiguous.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.linalg.lu_batch import Batch
from tilewright.codelets.linalg.lu_single import Single
from tilewright.codelets.linalg.tiles import Tiles, over_lanes
from tilewright.frozen import frozen
from tilewright.graph.ops.linalg import lu, multiply_adds
from tilewright.machine.cost import Count


@frozen
class LU(Codelet):
    """`matrix` is overwritten; `pivots` (k) or (k, lanes) and `order` (m) or (m, lanes) made."""

    matrix: Operand
    pivots: Operand
    order: Operand

    @property
    def name(self) -> str:
        return f"lu_{self.matrix.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return ()

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.matrix, self.pivots, self.order)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    @property
    def is_batch(self) -> bool:
        return len(self.matrix.shape) == 3

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        if not self.is_batch:
            return lu(arrays[0])
        return tuple(np.moveaxis(part, 0, -1) for part in lu(np.moveaxis(arrays[0], 2, 0)))

    @property
    def work(self) -> Count:
        m, n, *lanes = self.matrix.shape
        dtype, matrices, size = self.matrix.dtype, prod(lanes), nbytes(self.matrix)
        macs = matrices * multiply_adds("lu", m, n)
        operations = {("div", dtype): self.pivots.size, ("max", dtype): self.matrix.size / 2}
        return Count({dtype: macs}, operations, size, nbytes(*self.outputs), m)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 3)
        dtype, (m, n) = self.matrix.dtype, self.matrix.shape[:2]
        width = Arithmetic(dtype).lanes(module.features.vector_bits)
        matrix, pivots, order = (function.argument(i) for i in range(3))
        row, column = self.matrix.strides[:2]
        pivots_step, order_step = self.pivots.strides[0], self.order.strides[0]
        if self.matrix.size and self.is_batch:
            pointers = [(dtype, matrix), ("int32", pivots), ("int32", order)]

            def batch(here: list[str], valid: int | None) -> None:
                tiles = Tiles(function, dtype, width, row, column, row, column, True, valid)
                Batch(tiles, m, n, here[0], here[1], here[2], pivots_step, order_step).write()

            lanes = self.matrix.shape[2]
            over_lanes(function, lanes, width, pointers, batch)
        elif self.matrix.size:
            # A tile holds some columns of some vectors along them.
            tiles = Tiles(function, dtype, width, column, width, column, 1)
            Single(tiles, m, n, matrix, pivots, order, pivots_step, order_step).write()
        function.close()
