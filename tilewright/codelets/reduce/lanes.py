"""Several sums over the same elements, run by run: 16 lanes' sums of each, carried between runs.

In: arrays (n,) of a run of elements, n a multiple of 16, and the lanes of the runs before it; none
before the first. Out: what the expression gives besides, (n,) each; then the lanes after the run,
(sums, 16), or where it `ends` the totals themselves. Always: the bits of a `Reduce` of each sum
over all runs, which are of one leaf.

What is summed is never written: a value, its slopes and the sums of them are one walk through
registers, where one `Reduce` after the other would read again what was stored for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.emit import memory
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.expression import abreast, emit_expression
from tilewright.codelets.emit.lanes import fold
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.graph.law import combine, reduce_ordered
from tilewright.machine.cost import Count

AT_ONCE = 64
"""Elements of a long expression that are computed side by side, lest each function wait for the one
before it. (A Student-t log density with its slopes, four sums, 64 elements, Zen 4: 116 ns by 16, 98
by 32, 92 by 64; AVX2 155, 130, 119.)"""


@frozen
class SumLanes(Codelet):
    """The expression's first `sums` outputs are summed, all of one dtype, the others stored.

    `inputs_by` and `stored` are strides. Where a run does not begin (`begins`), the lanes so far
    are its last input, and may lie exactly on the lanes that it gives.
    """

    expression: Expression
    sums: int
    length: int
    inputs_by: tuple[int, ...]
    stored: tuple[int, ...] = ()
    begins: bool = True
    ends: bool = True

    @property
    def dtype(self) -> str:
        return self.expression.dtype(self.expression.outputs[0])

    @property
    def lanes(self) -> Operand:
        """Those of all sums."""
        return Operand(self.dtype, (self.sums, LANES), (LANES, 1))

    @property
    def inputs(self) -> tuple[Operand, ...]:
        rows = zip(self.expression.inputs, self.inputs_by, strict=True)
        arrays = tuple(Operand(dtype, (self.length,), (step,)) for dtype, step in rows)
        return arrays if self.begins else (*arrays, self.lanes)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        dtypes = map(self.expression.dtype, self.expression.outputs[self.sums :])
        rows = zip(dtypes, self.stored, strict=True)
        stored = tuple(Operand(dtype, (self.length,), (step,)) for dtype, step in rows)
        totals = (Operand(self.dtype, (), ()),) * self.sums
        return (*stored, *totals) if self.ends else (*stored, self.lanes)

    @property
    def name(self) -> str:
        more = "" if self.begins else "_more"
        return f"sums_{self.sums}_{self.dtype}_{self.length}_{self.expression.label}{more}"

    @property
    def work(self) -> Count:
        added = Count(operations={("add", self.dtype): self.sums * self.length}, iterations=1)
        moved = Count(loads=nbytes(*self.inputs), stores=nbytes(*self.outputs))
        return self.expression.work(self.length) + added + moved

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        count = len(self.expression.inputs)
        values = evaluate_expression(self.expression, arrays[:count], (self.length,))
        zero = np.zeros((self.sums, LANES), values[0].dtype)
        lanes = zero if self.begins else arrays[count]
        summed = np.stack(values[: self.sums])
        for first in range(0, self.length, LANES):
            lanes = combine("sum", lanes, summed[:, first : first + LANES])
        stored = tuple(values[self.sums :])
        if not self.ends:
            return (*stored, lanes)
        return (*stored, *reduce_ordered("sum", lanes, (1,)))

    def emit(self, module: Module, symbol: str) -> None:
        count = len(self.inputs) + len(self.outputs)
        function = module.function(symbol, "void", ["ptr"] * count)
        _Writer(function, self).write([function.argument(i) for i in range(count)])
        function.close()


class _Writer:
    """The function of one codelet in the making."""

    def __init__(self, function: Function, codelet: SumLanes):
        self.function, self.codelet = function, codelet
        self.sum = Combination("sum", codelet.dtype)
        self.row = vector(self.sum.register, LANES)
        expression = codelet.expression
        self.dtypes = [*expression.inputs]
        self.dtypes += map(expression.dtype, expression.outputs[codelet.sums :])
        self.steps = [*codelet.inputs_by, *codelet.stored]

    def write(self, pointers: Sequence[str]) -> None:
        codelet, count = self.codelet, len(self.codelet.expression.inputs)
        stored = pointers[len(codelet.inputs) :]
        places = [*pointers[:count], *stored[: len(codelet.stored)]]
        lanes = ["zeroinitializer"] * codelet.sums
        if not codelet.begins:
            lanes = [self._lanes_of(pointers[count], i) for i in range(codelet.sums)]
        lanes = self._summed(places, lanes)
        self._finish(lanes, stored[len(codelet.stored) :])

    def _lanes_of(self, base: str, number: int) -> str:
        place = offset(self.function, base, self.codelet.dtype, number * LANES)
        return memory.load(self.function, self.codelet.dtype, place, LANES, 1)

    def _summed(self, places: list[str], lanes: list[str]) -> list[str]:
        """The lanes after all elements; as many at once as a long expression wants."""
        function, length, at = self.function, self.codelet.length, 0
        for width in self._widths():
            turns = (length - at) // width
            if not turns:
                continue
            fixed = self._repeated(places, width)
            carry = [("ptr", place) for place in places] + [(self.row, lane) for lane in lanes]
            with repeat(function, turns, carry) as turn:
                here, sums = turn.carry[: len(places)], turn.carry[len(places) :]
                sums = self._taken(here, sums, width, fixed)
                turn.next[:] = [*self._moved(here, width), *sums]
            places, lanes = turn.result[: len(places)], turn.result[len(places) :]
            at += turns * width
        return lanes

    def _widths(self) -> list[int]:
        """How many elements are taken at once, as one vector."""
        long = abreast(self.codelet.expression, self.function.module.features) > LANES
        return [AT_ONCE, LANES] if long else [LANES]

    def _moved(self, places: Sequence[str], elements: int) -> list[str]:
        return [
            offset(self.function, place, dtype, elements * step)
            for place, dtype, step in zip(places, self.dtypes, self.steps, strict=True)
        ]

    def _repeated(self, places: Sequence[str], width: int) -> dict[int, str]:
        """Inputs that are the same for all elements: read once."""
        count = len(self.codelet.expression.inputs)
        rows = enumerate(zip(self.dtypes, places, self.steps, strict=True))
        return {
            number: memory.load(self.function, dtype, place, width, 0)
            for number, (dtype, place, step) in rows
            if step == 0 and number < count
        }

    def _taken(
        self, places: Sequence[str], lanes: Sequence[str], width: int, fixed: dict[int, str]
    ) -> list[str]:
        """The lanes with `width` more elements; what is stored is stored."""
        function, codelet = self.function, self.codelet
        rows = list(zip(self.dtypes, places, self.steps, strict=True))
        count = len(codelet.expression.inputs)
        inputs = [
            fixed.get(number) or memory.load(function, dtype, at, width, step)
            for number, (dtype, at, step) in enumerate(rows[:count])
        ]
        results = emit_expression(function, codelet.expression, inputs, width)
        for (dtype, at, step), value in zip(rows[count:], results[codelet.sums :], strict=True):
            memory.store(function, dtype, value, at, width, step)
        made = []
        for total, value in zip(lanes, results, strict=False):
            register = Register(function, self.sum.register, width, value)
            for start in range(0, width, LANES):
                some = register.lanes([*range(start, start + LANES)]) if width > LANES else register
                total = self.sum.apply(function, LANES, total, some.name)
            made.append(total)
        return made

    def _finish(self, lanes: Sequence[str], places: Sequence[str]) -> None:
        """Write the lanes, or fold them first."""
        function, codelet = self.function, self.codelet
        if not codelet.ends:
            for number, lane in enumerate(lanes):
                place = offset(function, places[0], codelet.dtype, number * LANES)
                memory.store(function, codelet.dtype, lane, place, LANES, 1)
            return
        for number, place in enumerate(places):
            group = lanes[number // LANES * LANES :][:LANES]
            if number % LANES == 0:
                (total,) = fold(
                    function, self.sum.register, [[lane] for lane in group], self.sum.apply
                )
            lane = total.owners.index(number % LANES)
            scalar = function.let(f"extractelement {self.row} {total.register}, i64 {lane}")
            memory.store(function, codelet.dtype, scalar, place, 0, 0)
