"""Copies whose rows become columns.

In: matrices whose rows are contiguous. Out: their copies whose columns are, converted on the way if
need be. Always: nothing outside of the matrices is read.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.turn import Side, transpose
from tilewright.frozen import frozen
from tilewright.machine.cost import Count

GRAIN = 32
"""Rows from which on a piece runs about as fast, for its size, as the whole."""


@frozen
class Transpose(Codelet):
    """Copies `source` (*batch, rows, columns), columns contiguous, to `target`, rows contiguous."""

    source: Operand
    target: Operand

    @property
    def name(self) -> str:
        return f"transpose_{self.source.label}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.source,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.target,)

    @property
    def work(self) -> Count:
        work = {("move", self.source.dtype): self.source.size}
        return Count({}, work, nbytes(self.source), nbytes(self.target), self.source.shape[-1])

    @property
    def cut(self) -> Cut:
        return Cut(self.source.shape[0], (0, 0), along_lanes=True, grain=GRAIN)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.array(arrays[0]),)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * 2)
        *batch, rows, columns = self.source.shape
        if prod(self.source.shape):
            strides = [self.source.strides[:-2], self.target.strides[:-2]]
            given = Side(self.source.dtype, self.source.strides[-2])
            made = Side(self.target.dtype, self.target.strides[-1])
            places = [function.argument(0), function.argument(1)]
            with walk(function, batch, places, [given.dtype, made.dtype], strides) as (x, y):
                transpose(function, given, made, rows, columns, x, y)
        function.close()
