"""What reads or writes at positions that are data."""

from __future__ import annotations

from tilewright.codelets.index import DynamicSlice, DynamicUpdateSlice, Gather, Scatter
from tilewright.graph.ir import Node
from tilewright.plan.basic import operand
from tilewright.plan.ir import View
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope


def lower_dynamic_slice(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    source, *starts = [scope.view(v) for v in node.inputs]
    target = scope.target(node.output)
    codelet = DynamicSlice(operand(source), tuple(s.dtype for s in starts), operand(target))
    scope.call(codelet, [source, *starts], [target])


def updated(scope: Scope, node: Node) -> View:
    """The view to update: the operand's own where we may, else a copy of it."""
    source = scope.view(node.inputs[0])
    if scope.may_overwrite(node.inputs[0]):
        return scope.put(node.output, source)
    target = scope.target(node.output)
    scope.copy(source, target)
    return target


def lower_dynamic_update_slice(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    target = updated(scope, node)
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
    target = updated(scope, node)
    indices, updates = (scope.view(v) for v in node.inputs[1:])
    codelet = Scatter.of(operand(indices), operand(updates), operand(target), node.params)
    scope.call(codelet, [indices, updates], [target])


KINDS = {
    "dynamic_slice": lower_dynamic_slice,
    "dynamic_update_slice": lower_dynamic_update_slice,
    "gather": lower_gather,
    "scatter": lower_scatter,
}
