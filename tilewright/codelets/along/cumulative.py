"""Running sums, products, maxima and minima along an axis.

In: a strided array. Out: one of its shape and dtype. Always: elements are combined one after the
other, as `graph/law.py` says; 16-bit floats in float32, each result rounded. Where another axis
than the given one is contiguous, 16 of its elements advance together.
"""

from __future__ import annotations

import numpy as np

from tilewright.codelets.along.lines import lines
from tilewright.codelets.base import LANES, Codelet, Operand, nbytes
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.vectors import load, load_scalar, offset, store, store_scalar
from tilewright.frozen import frozen
from tilewright.graph.law import cumulative_ordered
from tilewright.graph.ops.across import combination
from tilewright.machine.cost import Count


@frozen
class Cumulative(Codelet):
    """`kind` is sum, prod, max or min; `reverse` begins at the end of the axis."""

    kind: str
    axis: int
    reverse: bool
    source: Operand
    out: Operand

    @property
    def name(self) -> str:
        return f"cumulative_{self.kind}_{self.source.label}_along_{self.axis}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (self.source,)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (self.out,)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (cumulative_ordered(self.kind, arrays[0], self.axis, self.reverse),)

    @property
    def work(self) -> Count:
        work = {(combination(self.kind), self.source.dtype): self.source.size}
        lines = self.source.size // max(self.source.shape[self.axis], 1)
        return Count({}, work, nbytes(self.source), nbytes(self.out), lines)

    def emit(self, module: Module, symbol: str) -> None:
        function = module.function(symbol, "void", ["ptr", "ptr"])
        if self.out.size:
            base = [
                offset(function, function.argument(i), operand.dtype, self._first(operand))
                for i, operand in enumerate((self.source, self.out))
            ]
            lines(function, (self.source, self.out), (self.axis, self.axis), base, self._line)
        function.close()

    def _first(self, operand: Operand) -> int:
        """Where the axis begins."""
        return (operand.shape[self.axis] - 1) * operand.strides[self.axis] if self.reverse else 0

    def _line(self, function: Function, pointers: list[str], valid: int) -> None:
        """One line, or up to 16 neighbouring ones (`valid` > 0)."""
        combination, width = Combination(self.kind, self.source.dtype), LANES if valid else 0
        first = self._load(function, pointers[0], valid)
        total = combination.widen(function, width, first)
        self._store(function, combination.narrow(function, width, total), pointers[1], valid)
        turns = self.source.shape[self.axis] - 1
        if not turns:
            return
        carry = [(vector(combination.register, width), total)]
        carry += [("ptr", pointer) for pointer in self._following(function, pointers)]
        with repeat(function, turns, carry) as turn:
            total, *here = turn.carry
            value = combination.widen(function, width, self._load(function, here[0], valid))
            total = combination.apply(function, width, total, value)
            self._store(function, combination.narrow(function, width, total), here[1], valid)
            turn.next[:] = [total, *self._following(function, here)]

    def _following(self, function: Function, pointers: list[str]) -> list[str]:
        sign = -1 if self.reverse else 1
        return [
            offset(function, pointer, operand.dtype, sign * operand.strides[self.axis])
            for pointer, operand in zip(pointers, (self.source, self.out), strict=True)
        ]

    def _load(self, function: Function, pointer: str, valid: int) -> str:
        if not valid:
            return load_scalar(function, self.source.dtype, pointer)
        return load(function, self.source.dtype, pointer, 1, LANES, valid)

    def _store(self, function: Function, value: str, pointer: str, valid: int) -> None:
        if valid:
            store(function, self.out.dtype, value, pointer, 1, LANES, valid)
        else:
            store_scalar(function, self.out.dtype, value, pointer)
