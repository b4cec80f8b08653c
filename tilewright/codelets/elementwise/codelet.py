"""A fused elementwise expression over a strided domain; a copy is the identity.

In: inputs that span the domain `shape` by their strides (0 repeats). Out: one array of that shape
for each output of the expression. Always: an output may lie exactly on an input (same address and
strides), otherwise it overlaps none; each 16 neighbours (of a block, each 16 x 16) are read before
they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand, inner_loops, nbytes
from tilewright.codelets.cut import Cut
from tilewright.codelets.elementwise import emit
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.frozen import frozen
from tilewright.machine.cost import Count

ENOUGH_ROWS = 28
"""Of an outer dimension, from which on it is cut though the last one be longer."""


@frozen
class Elementwise(Codelet):
    """`input_strides` and `output_strides` have a stride for each dimension of `shape`.

    Outputs of the numbers in `past`, float32 whose every 16 neighbours are a cache line, are stored
    past the caches.
    """

    expression: Expression
    shape: tuple[int, ...]
    input_strides: tuple[tuple[int, ...], ...]
    output_strides: tuple[tuple[int, ...], ...]
    past: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        dtype = self.outputs[0].dtype if self.outputs else "nothing"
        size = "x".join(map(str, self.shape)) or "scalar"
        return f"{self.expression.label}_{dtype}_{size}" + "_past" * bool(self.past)

    @cached_property
    def inputs(self) -> tuple[Operand, ...]:
        rows = zip(self.expression.inputs, self.input_strides, strict=True)
        return tuple(Operand(dtype, self.shape, strides) for dtype, strides in rows)

    @cached_property
    def outputs(self) -> tuple[Operand, ...]:
        rows = zip(self.expression.outputs, self.output_strides, strict=True)
        return tuple(
            Operand(self.expression.dtype(value), self.shape, strides) for value, strides in rows
        )

    @property
    def cut(self) -> Cut | None:
        return self.cut_of(ENOUGH_ROWS)

    def cut_of(self, enough: int) -> Cut | None:
        """Along the longest dimension whose numbers nobody reads; rather not along lanes.

        Pieces of lanes touch a line here and there, which no hardware foresees: where rows are
        `enough`, they are cut. Of rows that are lanes of what is turned round, each piece would
        touch a number a line (32 x 32 x 32 x 32: 4.5 ms; others cut, 0.4).
        """
        numbered = {
            dict(step.params)["dimension"]
            for step in self.expression.instructions
            if step.op == "iota"
        }
        free = [(n, -i) for i, n in enumerate(self.shape) if i not in numbered]
        if not free:
            return None
        last = len(self.shape) - 1
        turned = {
            -i for steps in self.input_strides for i in range(last) if steps[i] == 1 < steps[last]
        }
        rows = [(n, axis) for n, axis in free if n >= enough and -axis < last]
        others = [(n, axis) for n, axis in rows if axis not in turned]
        length, axis = max(others or rows or free)
        axes = (-axis,) * (len(self.inputs) + len(self.outputs))
        grain = LANES if axis in turned else 1
        return Cut(length, axes, along_lanes=-axis == last, grain=grain)

    def on(self, operands: Sequence[Operand]) -> Elementwise:
        return replace(self, shape=operands[-1].shape)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(evaluate_expression(self.expression, arrays, self.shape))

    @property
    def work(self) -> Count:
        read = [operand for operand in self.inputs if operand.dtype != "pattern"]
        return self.expression.work(prod(self.shape)) + Count(
            loads=nbytes(*read),
            stores=nbytes(*self.outputs),
            iterations=inner_loops(*read, *self.outputs),
        )

    def emit(self, module: Module, symbol: str) -> None:
        count = len(self.inputs) + len(self.outputs)
        function = module.function(symbol, "void", ["ptr"] * count)
        if prod(self.shape):
            emit.write(function, self)
        function.close()
