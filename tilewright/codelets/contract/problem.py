"""What the outer form of a contraction is given, once it is known which operand lies in lanes."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.base import Operand
from tilewright.codelets.contract.operand import Matrix
from tilewright.codelets.emit import pairs, vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.epilogue import Epilogue, Sums
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.expression import Expression
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF


@frozen
class Side:
    """An array of outputs' shape: what is read beside a sum, or a result."""

    dtype: str
    row_step: int
    column_step: int

    @classmethod
    def of(cls, operand: Operand, exchanged: bool) -> Side:
        first, second = operand.strides[-2:]
        return cls(operand.dtype, *((second, first) if exchanged else (first, second)))

    def moved(self, function: Function, place: str, rows: int, columns: int) -> str:
        where = rows * self.row_step + columns * self.column_step
        return offset(function, place, self.dtype, where)


@frozen
class Problem:
    """rows x columns outputs; `left` is broadcast along columns, `right` is read in vectors.

    `sides` are the arrays that `expression` reads beside the sum, then the results; without an
    expression, the one result is the sum. `paired`: terms are taken in the law's pairs, of operands
    that are bfloat16 until they are copied, and words of two terms each from then on.
    """

    rows: int
    columns: int
    k: int
    left: Matrix
    right: Matrix
    sides: tuple[Side, ...]
    arithmetic: Arithmetic
    expression: Expression | None = None
    leaf: int = LEAF
    paired: bool = False

    @property
    def kind(self) -> str:
        """The register type of an operand."""
        return "i32" if self.paired else self.arithmetic.kind

    def widened(self, function: Function, value: str, dtype: str, width: int) -> str:
        """What was read of an operand (a scalar at width 0), as it is multiplied."""
        if self.paired:
            return value
        return vectors.widen(function, value, dtype, self.arithmetic.dtype, width)

    def multiply_add(self, function: Function, width: int, x: str, y: str, total: str) -> str:
        """A term, or two, added to sums."""
        if self.paired:
            return pairs.multiply_add(function, width, x, y, total)
        return self.arithmetic.multiply_add(function, width, x, y, total)

    def moved(
        self, function: Function, places: Sequence[str], rows: int, columns: int
    ) -> list[str]:
        """The sides' places so many rows and columns further on."""
        return [
            side.moved(function, place, rows, columns)
            for side, place in zip(self.sides, places, strict=True)
        ]

    def finish(
        self,
        function: Function,
        lane: Lanes,
        total: str,
        places: Sequence[str],
        row: int,
        *others: str,
    ) -> None:
        """Store what becomes of a vector of sums; `places` are those of the tile's first output.

        `others` are the sums of further products, which the expression reads after the first.
        """
        here = tuple(self.moved(function, places, row, lane.start))
        sides = tuple((side.dtype, side.column_step) for side in self.sides)
        end = Epilogue(function, self.arithmetic.dtype, sides, self.expression)
        end.finish([Sums((total, *others), lane, here)])
