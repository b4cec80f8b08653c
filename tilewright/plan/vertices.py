"""What each unit becomes: codelets, with operands in the form that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tilewright.codelets.along import ArgReduce, Cumulative, Sort
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction, constant_instruction
from tilewright.codelets.index import DynamicSlice, DynamicUpdateSlice, Gather, Scatter
from tilewright.codelets.reduce import Reduce
from tilewright.graph.ir import Node, Value
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.contraction import lower_contraction, lower_with_epilogue
from tilewright.plan.ir import Buffer, View
from tilewright.plan.packed import lower_dot_packed, lower_packed_with_epilogue
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
        """The number of a value; read from memory if it was not computed here."""
        if value not in self.known:
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
        if view not in self.leaves:
            self.leaves.append(view)
        return ("leaf", self.leaves.index(view))

    def give(self, value: Value) -> None:
        """The first leaf is a value that is in registers, not in memory."""
        self.leaves = [views.whole(Buffer(value.dtype, value.type.size, "register"), value.shape)]
        self.known[value] = ("leaf", 0)

    def add(self, node: Node) -> None:
        arguments = tuple(self.number(v) for v in node.inputs)
        params = {k: v for k, v in node.params.items() if k not in ("dtype", "shape")}
        draft = (node.op, arguments, node.output.dtype, tuple(sorted(params.items())))
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


def lower_reduce(scope: Scope, unit: Unit) -> None:
    """A reduction, with the elementwise nodes that only it reads computed on the way."""
    *before, node = unit.nodes
    source = node.inputs[0]
    builder = ExpressionBuilder(scope, source.shape)
    for inner in before:
        builder.add(inner)
    expression = builder.build([source])
    target = scope.target(node.output)
    strides = [view.strides for view in builder.leaves]
    counts = any(step.op == "iota" for step in expression.instructions)
    axes = tuple(node.params["axes"])
    order = [*range(len(source.shape))] if counts else _lanes_last(source.shape, axes, strides)
    kept = [axis for axis in range(len(order)) if axis not in axes]
    leaves = [views.transpose(view, order) for view in builder.leaves]
    target = views.transpose(target, [kept.index(axis) for axis in order if axis in kept])
    codelet = Reduce(
        node.params["kind"],
        expression,
        tuple(source.shape[axis] for axis in order),
        tuple(i for i, axis in enumerate(order) if axis in axes),
        tuple(view.strides for view in leaves),
        target.strides,
    )
    scope.call(codelet, leaves, [target])


def _lanes_last(
    shape: Sequence[int], axes: Sequence[int], strides: Sequence[Sequence[int]]
) -> list[int]:
    """The domain's axes so that the last is one along which all inputs are contiguous.

    Reduced axes keep their order among each other: terms are numbered by it.
    """
    rank = len(shape)

    def even(axis: int) -> bool:
        steps = {array[axis] for array in strides}
        return shape[axis] > 1 and 1 in steps and steps <= {0, 1}

    last_reduced = max((axis for axis in axes if shape[axis] > 1), default=-1)
    able = [i for i in range(rank) if even(i) and (i not in axes or i == last_reduced)]
    if not able or even(rank - 1):
        return [*range(rank)]
    chosen = max(able)
    return [*(axis for axis in range(rank) if axis != chosen), chosen]


def lower_copy(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    view = scope.view(node.inputs[0])
    padded, scope.padded = scope.padded, True
    scope.copy(view, scope.target(node.output))
    scope.padded = padded


def lower_pad(scope: Scope, unit: Unit) -> None:
    """Fill, then copy the operand into its place; negative padding crops."""
    (node,) = unit.nodes
    operand_view, fill = scope.view(node.inputs[0]), scope.view(node.inputs[1])
    target = scope.target(node.output)
    fill = views.broadcast(fill, target.shape, ())
    scope.copy(fill, target)
    start, shape, place, step = [], [], [], []
    for n, low, interior, length in zip(
        operand_view.shape,
        node.params["low"],
        node.params["interior"],
        target.shape,
        strict=True,
    ):
        pitch = interior + 1
        first = max(0, -(low // pitch))
        after = min(n, (length - 1 - low) // pitch + 1)
        start.append(first)
        shape.append(max(0, after - first))
        place.append(low + first * pitch)
        step.append(pitch)
    if not all(shape):
        return
    part = views.window(operand_view, start, tuple(shape))
    scope.copy(part, views.window(target, place, tuple(shape), step))


def lower_concatenate(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    target = scope.target(node.output)
    dimension, at = node.params["dimension"], 0
    for value in node.inputs:
        start = [at if i == dimension else 0 for i in range(len(target.shape))]
        scope.copy(scope.view(value), views.window(target, start, value.shape))
        at += value.shape[dimension]


FORMS = {
    "dot": (lower_contraction, lower_with_epilogue),
    "dot_packed": (lower_dot_packed, lower_packed_with_epilogue),
}
"""How a product becomes a vertex, alone and with what follows it."""


def lower_dot(scope: Scope, unit: Unit) -> None:
    """To batch x m x n x k (see `codelets/contract/`), with the elementwise nodes that follow."""
    node, *after = unit.nodes
    plain, with_epilogue = FORMS[node.op]
    if not after:
        plain(scope, node)
        return
    builder = ExpressionBuilder(scope, unit.shape)
    builder.give(node.output)
    for inner in after:
        builder.add(inner)
    outputs = [n.output for n in unit.nodes if scope.leaves_unit(n.output, unit)]
    if not outputs:
        return
    expression = builder.build(outputs)
    targets = [scope.free_destination(v, unit) or scope.new(v.type) for v in outputs]
    if with_epilogue(scope, node, expression, builder.leaves[1:], targets):
        for value, target in zip(outputs, targets, strict=True):
            scope.put(value, target)
        return
    plain(scope, node)
    lower_fused(scope, replace(unit, kind="fused", nodes=after))


def lower_dynamic_slice(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, *starts = [scope.view(v) for v in node.inputs]
    target = scope.target(node.output)
    codelet = DynamicSlice(operand(source), tuple(s.dtype for s in starts), operand(target))
    scope.call(codelet, [source, *starts], [target])


def _updated(scope: Scope, node: Node) -> View:
    """The view to update: the operand's own where we may, else a copy of it."""
    source = scope.view(node.inputs[0])
    if scope.may_overwrite(node.inputs[0]):
        return scope.put(node.output, source)
    target = scope.target(node.output)
    scope.copy(source, target)
    return target


def lower_dynamic_update_slice(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    target = _updated(scope, node)
    update, *starts = [scope.view(v) for v in node.inputs[1:]]
    codelet = DynamicUpdateSlice(operand(update), tuple(s.dtype for s in starts), operand(target))
    scope.call(codelet, [update, *starts], [target])


def lower_gather(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, indices = (scope.view(v) for v in node.inputs)
    target = scope.target(node.output)
    codelet = Gather.of(operand(source), operand(indices), operand(target), node.params)
    scope.call(codelet, [source, indices], [target])


def lower_scatter(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    target = _updated(scope, node)
    indices, updates = (scope.view(v) for v in node.inputs[1:])
    codelet = Scatter.of(operand(indices), operand(updates), operand(target), node.params)
    scope.call(codelet, [indices, updates], [target])


def lower_sort(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    sources = [scope.view(v) for v in node.inputs]
    targets = [scope.target(v) for v in node.outputs]
    codelet = Sort(
        tuple(map(operand, sources)),
        tuple(map(operand, targets)),
        node.params["dimension"],
        node.params["keys"],
    )
    scope.call(codelet, sources, targets)


def lower_argreduce(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, target = scope.view(node.inputs[0]), scope.target(node.output)
    codelet = ArgReduce(node.params["kind"], node.params["axis"], operand(source), operand(target))
    scope.call(codelet, [source], [target])


def lower_cumulative(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, target = scope.view(node.inputs[0]), scope.target(node.output)
    codelet = Cumulative(
        node.params["kind"],
        node.params["axis"],
        node.params.get("reverse", False),
        operand(source),
        operand(target),
    )
    scope.call(codelet, [source], [target])
