"""What writers of products of packed matrices share: their vectors, terms and epilogue.

In: a function in the making, and the codelet that it is of, whole panels (`panels_emit.py`) or the
blocks that are left of them (`blocks_emit.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.operand import Matrix
from tilewright.codelets.contract.panels_terms import Term, term_of
from tilewright.codelets.contract.problem import Problem, Side
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.blocks import ContractBlocks
    from tilewright.codelets.contract.panels import ContractPanels


@frozen
class PackedWriter:
    function: Function
    codelet: ContractPanels | ContractBlocks

    @property
    def width(self) -> int:
        """Lanes of a machine vector: all sums have 32 bits."""
        return min(LANES, self.function.module.features.vector_bits // 32)

    @property
    def parts(self) -> int:
        """Machine vectors of a panel."""
        return LANES // self.width

    @property
    def term(self) -> Term:
        return term_of(self.function, self.codelet, self.width)

    def joined(self, sums: Sequence[str]) -> Sequence[str]:
        """One sum of those over a row's planes, which follow each other."""
        term, parts = self.term, self.parts
        if term.planes == 1:
            return sums
        rows = zip(*(iter(sums),) * (term.planes * parts), strict=True)
        return [term.joined(row[part::parts]) for row in rows for part in range(parts)]

    @property
    def problem(self) -> Problem:
        """What becomes of sums, and where."""
        codelet = self.codelet
        left = Matrix(codelet.lhs.dtype, codelet.lhs.strides[0], codelet.lhs.strides[1])
        right = Matrix(codelet.panels.dtype, 1, LANES)
        sides = tuple(Side.of(side, False) for side in (*codelet.beside, *codelet.outputs))
        sums = Arithmetic("int32" if codelet.panels.dtype == "int8" else "float32")
        return Problem(codelet.m, codelet.n, codelet.k, left, right, sides, sums, codelet.epilogue)


class Strand(Protocol):
    """What advances by a step whenever the sums of a group of panels do."""

    @property
    def carry(self) -> list[tuple[str, str]]:
        """Types and values from one turn to the next."""
        ...

    def stepped(self, values: Sequence[str]) -> list[str]:
        """Those after a turn."""
        ...

    def take(self, values: Sequence[str], turns: int) -> None:
        """Those after all turns."""
        ...
