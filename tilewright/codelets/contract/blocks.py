"""Rows times what is left of a packed matrix: blocks that are zero are neither kept nor read.

In: `lhs` (m, k); `panels` (count, h, 16, d), the blocks that are left, panel by panel; `places` and
`starts`, int32, which say where each belongs (see `graph/ops/blocks.py`). Or `panels` is the whole
matrix (k, n), whose blocks of `tall` rows are read where they lie. Out: (m, n). Formats of
blocks and their terms are those of `ContractPanels`. Nothing of a pattern is in the code but how
many blocks there are: it goes by the tables.

Of few rows four panels advance together, a block of each at a time, so that no sum waits for
itself; then each takes what it has more than the others. Of many rows, panels come one after the
other: then rows are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.contract import blocks_emit
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.ops import blocks
from tilewright.graph.scalar import SCALAR
from tilewright.machine.cost import Count, narrow

ROWS_GRAIN, COLUMNS_GRAIN = 16, 4 * LANES
"""Rows or columns from which on a piece runs about as fast, for its size, as the whole."""


@frozen
class ContractBlocks(Codelet):
    """`epilogue`, `beside`, `more`: see `ContractOuter`.

    `tall`: rows of a block of a whole matrix; 0 where `panels` are the blocks. `whole`: of a piece
    of the columns, how many panels all of them are, whose blocks are given. `counts`: where it is
    known beforehand, how many blocks each panel has; `anew`, whether others come with each product.
    """

    lhs: Operand
    panels: Operand
    places: Operand
    starts: Operand
    out: Operand
    epilogue: Expression | None = None
    beside: tuple[Operand, ...] = ()
    more: tuple[Operand, ...] = ()
    tall: int = 0
    whole: int = 0
    counts: tuple[int, ...] = ()
    anew: bool = False

    paired = False

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
    def height(self) -> int:
        """Lines of panels in a block."""
        return self.tall or self.panels.shape[1]

    @property
    def depth(self) -> int:
        """Neighbouring k of a line."""
        return 1 if self.tall else self.panels.shape[3]

    @property
    def name(self) -> str:
        after = f"_{self.epilogue.label}" if self.epilogue else ""
        size = f"{self.m}x{self.n}x{self.k}_{self.places.shape[0]}_of_{self.height}"
        size += "_in_place" if self.tall else ""
        return f"contract_blocks_{self.panels.dtype}_{size}{after}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.lhs, self.panels, self.places, self.starts, *self.beside)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out, *self.more)

    @property
    def cut(self) -> Cut:
        """Along the longer one of rows and columns; a piece of columns is whole panels, and finds
        its own blocks among all."""
        sides = len(self.beside) + len(self.outputs)
        if self.m >= self.n:
            return Cut(self.m, (0, None, None, None, *(0,) * sides), grain=ROWS_GRAIN)
        axes = (None, 1 if self.tall else None, None, 0, *(1,) * sides)
        return Cut(self.n, axes, along_lanes=True, grain=COLUMNS_GRAIN, panels=3)

    def on(self, operands: Sequence[Operand]) -> ContractBlocks:
        lhs, panels, places, starts, *sides = operands
        beside, (out, *more) = sides[: len(self.beside)], sides[len(self.beside) :]
        return replace(
            self, lhs=lhs, panels=panels, places=places, starts=starts,
            beside=tuple(beside), out=out, more=tuple(more), whole=self._panels,
        )  # fmt: skip

    @property
    def _panels(self) -> int:
        return self.whole or self.starts.shape[0]

    @property
    def work(self) -> Count:
        """Of a piece of the columns, with its share of the blocks."""
        share = self.starts.shape[0] / self._panels
        there = sum(self.counts) if self.counts else self.places.shape[0] * share
        elements = there * self.height * LANES * self.depth
        sums = "int32" if self.panels.dtype == "int8" else "float32"
        macs = {narrow(self.lhs.dtype, self.panels.dtype, sums, self.paired): self.m * elements}
        loads = elements * numpy_dtype(self.panels.dtype).itemsize + nbytes(self.places) * share
        loads += nbytes(self.lhs, self.starts)
        loads += nbytes(*self.beside)
        count = Count(macs, {}, loads, nbytes(*self.outputs), self.starts.shape[0])
        return count + self.epilogue.work(self.out.size) if self.epilogue else count

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        lhs, panels, places, starts, *beside = arrays
        if self.tall:
            places, starts = of_piece(places, starts)
            panels = blocks.taken(panels, places, starts, self.tall)
        sums = blocks.sums(lhs, panels, places, starts, self.n)
        if self.epilogue is None:
            return (SCALAR["convert"](sums, dtype=self.out.dtype),)
        return tuple(evaluate_expression(self.epilogue, (sums, *beside), self.out.shape))

    def emit(self, module: Module, symbol: str) -> None:
        blocks_emit.emit(self, module, symbol)


def of_piece(places: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the panels that there are."""
    first, end = starts[0, 0, 0], starts[-1, -1, 1]
    return places[first:end], starts - first
