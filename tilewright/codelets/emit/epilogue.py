"""The end of a sum: from registers, through an expression if there is one, to memory.

In: vectors of sums, and for each where the arrays of the results' shape lie, those that are read
beside the sums before those that are written. Out: stores. Always: all of a stretch is read before
any of it is written, and the bits are those of the expression alone.

Vectors that end together go through a long expression side by side (see `abreast`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.codelets.emit import memory, vectors
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.expression import abreast, emit_expression
from tilewright.codelets.emit.llvm import REGISTER_TYPE, Function
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.expression import Expression
from tilewright.frozen import frozen


@frozen
class Sums:
    """Vectors of sums of the same outputs, and the places of those outputs in every side."""

    registers: tuple[str, ...]
    lane: Lanes
    places: tuple[str, ...]


@frozen
class Epilogue:
    """`dtype` is what sums are kept in. `sides` are (dtype, step between lanes): what the
    expression reads after the sums, then the results; without an expression, one result.
    """

    function: Function
    dtype: str
    sides: tuple[tuple[str, int], ...]
    expression: Expression | None = None

    def finish(self, ended: Sequence[Sums]) -> None:
        """Store what becomes of sums."""
        if self.expression is None:
            for sums in ended:
                self._store_sums(sums)
            return
        for group in self._groups(ended):
            self._finish(self.expression, group)

    def _store_sums(self, sums: Sums) -> None:
        function, lane = self.function, sums.lane
        ((dtype, step),), (place,), (total,) = self.sides, sums.places, sums.registers
        total = vectors.narrow(function, total, self.dtype, dtype, lane.width)
        vectors.store(function, dtype, total, place, step, lane.width, lane.valid)

    def _groups(self, ended: Sequence[Sums]) -> Iterator[Sequence[Sums]]:
        """Powers of two of vectors of one width, as many as are computed abreast."""
        assert self.expression is not None
        lanes = abreast(self.expression, self.function.module.features)
        rest = list(ended)
        while rest:
            width = rest[0].lane.width
            alike = next((i for i, s in enumerate(rest) if s.lane.width != width), len(rest))
            most = max(1, min(alike, lanes // width))
            count = 1 << (most.bit_length() - 1)
            yield rest[:count]
            rest = rest[count:]

    def _finish(self, expression: Expression, group: Sequence[Sums]) -> None:
        function, width = self.function, group[0].lane.width
        totals = list(zip(*(sums.registers for sums in group), strict=True))
        count = len(expression.inputs) - len(totals)
        rows = [list(row) for row in totals]
        for number, (dtype, step) in enumerate(self.sides[:count]):
            rows.append(
                [
                    memory.load(function, dtype, s.places[number], width, step, s.lane.valid)
                    for s in group
                ]
            )
        inputs = [
            self._joined(dtype, width, row)
            for dtype, row in zip(expression.inputs, rows, strict=True)
        ]
        results = emit_expression(function, expression, inputs, width * len(group))
        for number, (output, result) in enumerate(
            zip(expression.outputs, results, strict=True), count
        ):
            dtype, step = self.sides[number]
            kind = REGISTER_TYPE[expression.dtype(output)]
            for sums, part in zip(group, self._parts(kind, width, result, len(group)), strict=True):
                place, valid = sums.places[number], sums.lane.valid
                memory.store(function, dtype, part, place, width, step, valid)

    def _joined(self, dtype: str, width: int, row: Sequence[str]) -> str:
        """Vectors as one."""
        parts = [Register(self.function, REGISTER_TYPE[dtype], width, name) for name in row]
        while len(parts) > 1:
            parts = [parts[i].beside(parts[i + 1]) for i in range(0, len(parts), 2)]
        return parts[0].name

    def _parts(self, kind: str, width: int, result: str, count: int) -> list[str]:
        if count == 1:
            return [result]
        whole = Register(self.function, kind, width * count, result)
        return [whole.lanes([*range(i * width, (i + 1) * width)]).name for i in range(count)]
