"""Units of elementwise nodes: one expression, one vertex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction, constant_instruction
from tilewright.graph.ir import Node, Type, Value, numpy_dtype
from tilewright.plan import views
from tilewright.plan.ir import Buffer, View
from tilewright.plan.masked import unmasked, where_gone
from tilewright.plan.schedule import Unit, alias_root
from tilewright.plan.scope import Scope

_Number = tuple[str, int]
"""A value in the making: ("leaf" | "step", position); leaves come first in the end."""

_Draft = tuple[str, tuple[_Number, ...], str, tuple[tuple[str, Any], ...]]


class ExpressionBuilder:
    """Collects the instructions of a unit; `leaves` are the views it reads, in order."""

    def __init__(self, scope: Scope, shape: tuple[int, ...]):
        self.scope = scope
        self.shape = shape
        self.leaves: list[View] = []
        self.known: dict[Value, _Number] = {}
        self.instructions: list[_Draft] = []

    def number(self, value: Value) -> _Number:
        """The number of a value; if it was not computed here, read from memory or made again."""
        if value not in self.known:
            if value in self.scope.recomputed:
                self.add(self.scope.producers[value])
            else:
                self.known[value] = self._constant(value) or self._leaf(value)
        return self.known[value]

    def _constant(self, value: Value) -> _Number | None:
        node = self.scope.producers.get(alias_root(value, self.scope.producers))
        if node is None or node.op != "constant" or node.output.type.size != 1:
            return None
        constant = constant_instruction(node.params["value"])
        self.instructions.append((constant.op, (), constant.dtype, constant.params))
        return ("step", len(self.instructions) - 1)

    def _leaf(self, value: Value) -> _Number:
        view = self.scope.view(value)
        return self._masked(view) if view.buffer.masked else self._read(view)

    def _masked(self, view: View) -> _Number:
        """What is masked is read as it is, as others may do; where it is gone, it is zero."""
        zero = constant_instruction(np.zeros((), numpy_dtype(view.dtype)))
        self.instructions.append((zero.op, (), zero.dtype, zero.params))
        nothing = ("step", len(self.instructions) - 1)
        choice = (self._read(where_gone(view)), self._read(unmasked(view)), nothing)
        self.instructions.append(("select", choice, view.dtype, ()))
        return ("step", len(self.instructions) - 1)

    def _read(self, view: View) -> _Number:
        if view not in self.leaves:
            self.leaves.append(view)
        return ("leaf", self.leaves.index(view))

    def give(self, *values: Value) -> None:
        """The first leaves are values that are in registers, not in memory."""
        for number, value in enumerate(values):
            place = Buffer(value.dtype, value.type.size, "register")
            self.leaves.append(views.whole(place, value.shape))
            self.known[value] = ("leaf", number)

    def window(self, value: Value, start: Sequence[int], shape: tuple[int, ...]) -> Value:
        """A part of what is in memory, or of a constant's repetition, as a value of its own."""
        part = Value(Type(value.dtype, shape))
        constant = self._constant(value)
        self.known[part] = constant or self._read(
            views.window(self.scope.view(value), start, shape)
        )
        return part

    def same(self, value: Value, as_: Value) -> None:
        """A view of what is known, by the same number."""
        self.known[value] = self.known[as_]

    def add(self, node: Node) -> None:
        arguments = tuple(self.number(v) for v in node.inputs)
        params = [(k, v) for k, v in node.params.items() if k not in ("dtype", "shape")]
        draft = (node.op, arguments, node.output.dtype, tuple(sorted(params)))
        self.instructions.append(draft)
        self.known[node.output] = ("step", len(self.instructions) - 1)

    def build(self, outputs: list[Value]) -> Expression:
        """The finished expression: leaves are numbered first, as `Expression` wants it."""
        numbers = [self.number(v) for v in outputs]
        base = len(self.leaves)

        def position(number: _Number) -> int:
            return number[1] + (base if number[0] == "step" else 0)

        steps = tuple(
            Instruction(op, tuple(map(position, arguments)), dtype, params)
            for op, arguments, dtype, params in self.instructions
        )
        leaves = tuple(view.dtype for view in self.leaves)
        return Expression(leaves, steps, tuple(map(position, numbers)))


def lower_fused(scope: Scope, unit: Unit) -> None:
    """Elementwise nodes of one shape: one vertex, with an output for each value read elsewhere."""
    builder = ExpressionBuilder(scope, unit.shape)
    for node in unit.nodes:
        builder.add(node)
    outputs = [n.output for n in unit.nodes if scope.leaves_unit(n.output, unit)]
    if not outputs:
        return
    expression = builder.build(outputs)
    targets = [scope.target(value, unit) for value in outputs]
    codelet = Elementwise(
        expression,
        unit.shape,
        tuple(v.strides for v in builder.leaves),
        tuple(v.strides for v in targets),
    )
    scope.call(codelet, builder.leaves, targets)


KINDS = {"fused": lower_fused}
