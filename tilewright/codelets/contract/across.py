"""Rows times the transpose of what is left of a matrix: as the gradient of what it met reads it.

In: `lhs` (m, k), m in whole vectors; `matrix` (n, k), whose blocks of `tall` rows x 16 columns are
read where they lie, as `places` and `starts`, int32, say (see `graph/ops/blocks.py`). Out: (m, n).
Columns of all three lie side by side. Nothing of a pattern is in the code but how tall its blocks
are: it goes by the tables.
"""

from __future__ import annotations

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract import across_emit
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.frozen import frozen
from tilewright.graph.ops import blocks
from tilewright.machine.cost import Count

ROWS_GRAIN = 32
"""Rows from which on a piece runs about as fast, for its size, as the whole."""


@frozen
class ContractAcross(Codelet):
    lhs: Operand
    matrix: Operand
    places: Operand
    starts: Operand
    out: Operand
    tall: int

    @property
    def m(self) -> int:
        return self.lhs.shape[0]

    @property
    def k(self) -> int:
        return self.lhs.shape[1]

    @property
    def n(self) -> int:
        return self.out.shape[1]

    @property
    def name(self) -> str:
        size = f"{self.m}x{self.n}x{self.k}_{self.places.shape[0]}_of_{self.tall}"
        return f"contract_across_{size}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.matrix, self.places, self.starts)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    @property
    def cut(self) -> Cut:
        """Along the rows, which are lanes."""
        return Cut(self.m, (0, None, None, None, 0), along_lanes=True, grain=ROWS_GRAIN)

    @property
    def scratch(self) -> int:
        """Bytes for both sides turned round."""
        return sum(across_emit.turned_bytes(self.m, n) for n in (self.k, self.n))

    @property
    def work(self) -> Count:
        elements = self.places.shape[0] * self.tall * LANES
        loads = 4 * elements + nbytes(self.places, self.starts, self.lhs)
        macs = {"float32": self.m * elements}
        return Count(macs, {}, loads, self.out.nbytes, self.starts.shape[0])

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (blocks.dot_across(*arrays, height=self.tall),)

    def emit(self, module: Module, symbol: str) -> None:
        across_emit.emit(self, module, symbol)
