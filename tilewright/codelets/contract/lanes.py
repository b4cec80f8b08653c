"""Matrix times vector, run by run along k: the 16 lanes' sums of each output, carried between runs.

In: a matrix (m, k) and a vector (k,) of a run of terms, and the lanes of the runs before it; none
before the first. Out: the lanes after it, (m, 16), in the dtype that is summed in. A sum over a
row's 16 lanes, as `Reduce` does it, is what `ContractVector` gives for all runs at once, to the
bit. Always: all runs of an output are of one leaf, and each but the last has whole sixteens.

Between the runs others can use the rows: what makes the vector, for one (`plan/strip_blocks.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract.codelet import ContractVector
from tilewright.codelets.contract.vector import Rows
from tilewright.codelets.emit import tiling, vectors
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.emit.loops import walk
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen
from tilewright.graph.floats import flush
from tilewright.graph.fma import fma32
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count

LINE = 64


@frozen
class ContractLanes(Codelet):
    """Fast where k is contiguous in both operands.

    Lanes of earlier runs, if any, are read from `before`, which may lie exactly on `sums`. What
    lies `ahead` bytes further than each line of the matrix is asked for on the way, its next run:
    into L1 where there is `room` beside this one, which is still read, and else into L2.
    """

    lhs: Operand
    rhs: Operand
    sums: Operand
    before: Operand | None = None
    ahead: int = 0
    room: bool = False

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.rhs, *([self.before] if self.before else []))

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.sums,)

    def on(self, operands: Sequence[Operand]) -> ContractLanes:
        lhs, rhs, *before, sums = operands
        return replace(self, lhs=lhs, rhs=rhs, sums=sums, before=before[0] if before else None)

    @property
    def name(self) -> str:
        size = "x".join(map(str, self.lhs.shape))
        return f"contract_lanes_{self.lhs.dtype}_{size}" + ("_more" if self.before else "")

    @property
    def work(self) -> Count:
        macs = {self.sums.dtype: self.lhs.size}
        return Count(macs, {}, nbytes(*self.inputs), self.sums.nbytes, self.lhs.shape[0])

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        matrix, vector = (SCALAR["convert"](x, dtype=self.sums.dtype) for x in arrays[:2])
        sums = np.zeros(self.sums.shape, matrix.dtype) if self.before is None else arrays[2].copy()
        for first in range(0, len(vector), LANES):
            a, b = flush(matrix[:, first : first + LANES]), flush(vector[first : first + LANES])
            taken = slice(0, len(b))
            if matrix.dtype == np.float32:
                sums[:, taken] = fma32(a, b, sums[:, taken])
            else:
                sums[:, taken] = flush(flush(a * b) + sums[:, taken])
        return (sums,)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr"] * (len(self.inputs) + 1))
        lhs, rhs, *_ = self.inputs
        whole = ContractVector(lhs, rhs, Operand(self.sums.dtype, lhs.shape[:1], (1,)))
        _Carried(function, whole, self).write(
            *(function.argument(i) for i in (0, 1, len(self.inputs)))
        )
        function.close()


@frozen
class _Carried(Rows):
    """Some rows' sums, taken up from memory and left there."""

    run: ContractLanes

    def write(self, matrix: str, factor: str, out: str) -> None:
        run, step, lanes = self.run, self.matrix.step, self.run.sums
        before = [self.function.argument(2)] if run.before else []
        for part in tiling.split(self.codelet.m, self.together):
            begin = [offset(self.function, matrix, run.lhs.dtype, part.start * step)]
            begin += [
                offset(self.function, place, lanes.dtype, part.start * side.strides[0])
                for place, side in zip([out, *before], self._sides, strict=True)
            ]
            steps = [[part.size * step], *([part.size * s.strides[0]] for s in self._sides)]
            dtypes = [run.lhs.dtype] + [lanes.dtype] * len(self._sides)
            with walk(self.function, [part.count], begin, dtypes, steps) as (here, *sides):
                self._group(part.size, [here, factor], sides)

    @property
    def _sides(self) -> list[Operand]:
        return [self.run.sums, *([self.run.before] if self.run.before else [])]

    def _group(self, rows: int, places: list[str], sides: list[str]) -> None:
        """Rows whose sums are in registers together."""
        sums = [self.start] * (rows * self.reader.parts)
        if self.run.before:
            sums = [
                vectors.load(self.function, self.run.sums.dtype, place, 1, self.width)
                for place in self._vectors(rows, sides[1], self.run.before)
            ]
        sums = self.summed(rows, places, self.codelet.k, sums)
        for total, place in zip(sums, self._vectors(rows, sides[0], self.run.sums), strict=True):
            vectors.store(self.function, self.run.sums.dtype, total, place, 1, self.width)

    def _vectors(self, rows: int, base: str, side: Operand) -> list[str]:
        return [
            offset(self.function, base, side.dtype, row * side.strides[0] + part * self.width)
            for row in range(rows)
            for part in range(self.reader.parts)
        ]

    def step(self, rows: int, places: list[str], length: int, sums: list[str]) -> list[str]:
        sums = super().step(rows, places, length, sums)
        for row in range(rows if self.run.ahead else 0):
            here = offset(self.function, places[0], self.matrix.dtype, row * self.matrix.step)
            soon = self.function.address(here, "i8", self.run.ahead)
            line = LANES * itemsize(self.matrix.dtype)
            vectors.prefetch(self.function, soon, line, into="L1" if self.run.room else "L2")
        return sums
