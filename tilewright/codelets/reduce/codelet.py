"""Reductions over axes of a strided domain, of a scalar expression of the inputs.

In: inputs that span the domain `shape` by their strides (0 repeats). Out: one array over the axes
that are kept, of the expression's dtype, where several sums of one pass lie beside each other; then
what else the expression gives, stored on the way, over the whole domain. Always: the order of
combination is that of `graph/law.py`; 16-bit floats are combined in float32 and rounded once at the
end. Each 16 neighbours are read before they are written. Vectors run along the domain's last axis,
whether it is reduced or kept: a choice of speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from tilewright.codelets.base import Codelet, Operand, nbytes
from tilewright.codelets.cut import Cut
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.expression import Expression, evaluate_expression
from tilewright.codelets.reduce.by_row import ByRow
from tilewright.codelets.reduce.column import Column
from tilewright.codelets.reduce.form import Form
from tilewright.codelets.reduce.row import Row
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF, reduce_ordered
from tilewright.graph.ops.across import combination
from tilewright.machine.cost import Count


@frozen
class Reduce(Codelet):
    """`input_strides`: one a dimension of `shape`; `output_strides`: one a kept dimension.

    The expression's first output is reduced, the others are stored as `stored` says, like inputs.
    What is read comes from `far`: from further than its own size says. With several `totals`, as
    many outputs are reduced; the last axis is kept then, and they lie along a dimension before it.
    """

    kind: str
    expression: Expression
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    input_strides: tuple[tuple[int, ...], ...]
    output_strides: tuple[int, ...]
    stored: tuple[tuple[int, ...], ...] = ()
    leaf: int = LEAF
    far: bool = False
    totals: int = 1

    @property
    def name(self) -> str:
        size = "x".join(map(str, self.shape)) or "scalar"
        axes = "_".join(map(str, sorted(self.axes)))
        count = len(self.expression.instructions)
        fused = f"_of_{count}" if count else ""
        fused += f"_storing_{len(self.stored)}" if self.stored else ""
        fused += f"_{self.totals}_totals" if self.totals > 1 else ""
        fused += f"_leaves_of_{self.leaf}" if self.leaf != LEAF else ""
        fused += "_from_afar" if self.far else ""
        return f"reduce_{self.kind}_{self.dtype}_{size}_over_{axes}{fused}"

    @property
    def dtype(self) -> str:
        return self.expression.dtype(self.expression.outputs[0])

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(i for i in range(len(self.shape)) if i not in self.axes)

    @property
    def reduced(self) -> tuple[int, ...]:
        return tuple(sorted(self.axes))

    @property
    def count(self) -> int:
        """How many elements go into one output."""
        return prod(self.shape[i] for i in self.axes)

    @property
    def inputs(self) -> tuple[Operand, ...]:
        rows = zip(self.expression.inputs, self.input_strides, strict=True)
        return tuple(Operand(dtype, self.shape, strides) for dtype, strides in rows)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        shape = tuple(self.shape[i] for i in self.kept)
        if self.totals > 1:
            shape = (*shape[:-1], self.totals, shape[-1])
        rows = zip(self.stored_dtypes, self.stored, strict=True)
        stored = (Operand(dtype, self.shape, strides) for dtype, strides in rows)
        return (Operand(self.dtype, shape, self.output_strides), *stored)

    @property
    def stored_dtypes(self) -> tuple[str, ...]:
        return tuple(
            self.expression.dtype(value) for value in self.expression.outputs[self.totals :]
        )

    @property
    def kept_strides(self) -> tuple[int, ...]:
        """Of a single total, one a kept dimension."""
        if self.totals == 1:
            return self.output_strides
        return (*self.output_strides[:-2], self.output_strides[-1])

    @property
    def walked(self) -> tuple[tuple[int, ...], ...]:
        """Strides of all arrays over the domain: what is read, then what is stored."""
        return (*self.input_strides, *self.stored)

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        values = evaluate_expression(self.expression, arrays, self.shape)
        summed, stored = values[: self.totals], values[self.totals :]
        found = [reduce_ordered(self.kind, value, self.axes, self.leaf) for value in summed]
        return (found[0] if len(found) == 1 else np.stack(found, -2), *stored)

    @property
    def work(self) -> Count:
        size = prod(self.shape)
        return self.expression.work(size) + Count(
            operations={(combination(self.kind), self.dtype): self.totals * size},
            loads=nbytes(*self.inputs),
            stores=nbytes(*self.outputs),
            iterations=prod(self.shape[i] for i in self.kept),
        )

    @property
    def cut(self) -> Cut | None:
        """Along the first dimension, where it is kept and nobody asks for its numbers."""
        counts = any(step.op == "iota" for step in self.expression.instructions)
        if not self.shape or 0 in self.axes or counts or not self.inputs:
            return None
        axes = (0,) * (len(self.inputs) + len(self.outputs))
        return Cut(self.shape[0], axes, along_lanes=self.kept == (0,))

    def on(self, operands: Sequence[Operand]) -> Reduce:
        return replace(self, shape=operands[0].shape)

    def emit(self, module: Module, symbol: str) -> None:
        count, arrays = len(self.inputs), len(self.inputs) + len(self.outputs)
        function = module.function(symbol, "void", ["ptr"] * arrays)
        inputs, (total, *stored) = (
            [function.argument(i) for i in positions]
            for positions in (range(count), range(count, arrays))
        )
        if self.outputs[0].size:
            self._form(function).write([*inputs, *stored, total])
        function.close()

    def _form(self, function: Function) -> Form:
        if len(self.shape) - 1 in self.axes:
            return Row(function, self)
        column = Column(function, self)
        return column if column.fits else ByRow(function, self)
