"""What the outer form of a contraction is given, once it is known which operand lies in lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewright.codelets.base import Operand
from tilewright.codelets.contract.operand import Matrix
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.expression import emit_expression
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.vectors import narrow, offset, store
from tilewright.codelets.expression import Expression


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Problem:
    """rows x columns outputs; `left` is broadcast along columns, `right` is read in vectors.

    `sides` are the arrays that `expression` reads beside the sum, then the results; without an
    expression, the one result is the sum.
    """

    rows: int
    columns: int
    k: int
    left: Matrix
    right: Matrix
    sides: tuple[Side, ...]
    arithmetic: Arithmetic
    expression: Expression | None = None

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
        here = self.moved(function, places, row, lane.start)
        if self.expression is None:
            (side,), (place,) = self.sides, here
            total = narrow(function, total, self.arithmetic.dtype, side.dtype, lane.width)
            store(function, side.dtype, total, place, side.column_step, lane.width, lane.valid)
            return
        values = [total, *others]
        count = len(self.expression.inputs) - len(values)
        for side, place in zip(self.sides[:count], here[:count], strict=True):
            step = side.column_step
            values.append(memory.load(function, side.dtype, place, lane.width, step, lane.valid))
        results = emit_expression(function, self.expression, values, lane.width)
        for side, place, result in zip(self.sides[count:], here[count:], results, strict=True):
            step = side.column_step
            memory.store(function, side.dtype, result, place, lane.width, step, lane.valid)
