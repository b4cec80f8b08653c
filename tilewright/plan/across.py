"""What goes along axes: reductions, positions of extremes, running sums, sorting."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.along import ArgReduce, Cumulative, Sort
from tilewright.codelets.reduce import Reduce
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.elementwise import ExpressionBuilder
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope


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


KINDS = {
    "reduce": lower_reduce,
    "sort": lower_sort,
    "argreduce": lower_argreduce,
    "cumulative": lower_cumulative,
}
