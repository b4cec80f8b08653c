"""What goes along axes: reductions, positions of extremes, running sums, sorting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.along import ArgReduce, Cumulative, Sort
from tilewright.codelets.elementwise.stages import is_function
from tilewright.codelets.reduce import Reduce
from tilewright.graph.by_law import leaf_of
from tilewright.graph.count import nodes_count
from tilewright.graph.ir import Node, Type
from tilewright.machine.cost import is_worth_dealing
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.by_leaves import can_be_dealt
from tilewright.plan.elementwise import ExpressionBuilder, lower_fused
from tilewright.plan.ir import View
from tilewright.plan.schedule import CHEAP, Unit
from tilewright.plan.scope import Scope


def lower_reduce(scope: Scope, unit: Unit) -> None:
    """A reduction, with elementwise nodes computed on the way; what others read is stored."""
    kept = scope.kept()
    codelet, read, written = _reduction(scope, unit)
    if unit.elementwise and _is_better_apart(scope, unit, codelet):
        scope.restore(kept)
        first, rest = unit.nodes[: unit.elementwise], unit.nodes[unit.elementwise :]
        shape = unit.nodes[-1].inputs[0].shape
        lower_fused(scope, replace(unit, kind="fused", shape=shape, nodes=first))
        lower_reduce(scope, replace(unit, nodes=rest, elementwise=0))
        return
    scope.call(codelet, read, written)


def _reduction(scope: Scope, unit: Unit) -> tuple[Reduce, list[View], list[View]]:
    """The vertex, what it reads and what it writes."""
    before, sums = unit.nodes[: -unit.totals], unit.nodes[-unit.totals :]
    node, source = sums[-1], sums[-1].inputs[0]
    builder = ExpressionBuilder(scope, source.shape)
    for inner in before:
        builder.add(inner)
    others = [n.output for n in before if scope.leaves_unit(n.output, unit)]
    expression = builder.build([*(one.inputs[0] for one in sums), *others])
    target = _totals(scope, sums) if len(sums) > 1 else scope.target(node.output)
    stored = [scope.target(value) for value in others]
    strides = [view.strides for view in (*builder.leaves, *stored)]
    counts = any(step.op == "iota" for step in expression.instructions)
    axes = tuple(node.params["axes"])
    fixed = counts or len(sums) > 1 or (len(axes) > 1 and bool(stored))
    order = [*range(len(source.shape))] if fixed else _lanes_last(source.shape, axes, strides)
    kept = [axis for axis in range(len(order)) if axis not in axes]
    leaves = [views.transpose(view, order) for view in builder.leaves]
    stored = [views.transpose(view, order) for view in stored]
    if len(sums) == 1:
        target = views.transpose(target, [kept.index(axis) for axis in order if axis in kept])
    codelet = Reduce(
        node.params["kind"],
        expression,
        tuple(source.shape[axis] for axis in order),
        tuple(i for i, axis in enumerate(order) if axis in axes),
        tuple(view.strides for view in leaves),
        target.strides,
        tuple(view.strides for view in stored),
        leaf_of(node),
        totals=len(sums),
    )
    return codelet, leaves, [target, *stored]


def _totals(scope: Scope, sums: Sequence[Node]) -> View:
    """A place for sums of one pass: beside each other, along a dimension before the last."""
    *around, columns = sums[0].output.shape
    made = scope.new(Type(sums[0].output.dtype, (*around, len(sums), columns)))
    for number, node in enumerate(sums):
        start = (*(0 for _ in around), number, 0)
        one = views.window(made, start, (*around, 1, columns))
        strides = (*made.strides[:-2], made.strides[-1])
        scope.put(node.output, replace(one, shape=node.output.shape, strides=strides))
    return made


def _is_better_apart(scope: Scope, unit: Unit, codelet: Reduce) -> bool:
    """Whether the elementwise nodes should be a vertex of their own.

    It may be dealt out to all tiles, which not every sum is. A sum over rows keeps 16 sums a column
    in memory on the way: dearer than to read again what is near (256 x 40 products of a row and a
    column: 16 % slower), cheaper than what is not (8,192 x 64 and more: 30 to 40 % less time). And
    long expressions have no registers to spare where these are few (a softplus: 5 %); several
    functions are faster one after the other (see `elementwise/stages.py`).
    """
    machine = scope.plan.machine
    if machine.chip.exchange.apart and scope.parallel and _stores(scope, unit):
        return True  # a vertex that stores what it sums is not cut over tiles
    few = machine.tile.features.registers < 32
    if few and sum(node.op not in CHEAP for node in unit.nodes[:-1]) > 1:
        return True
    large = scope.parallel and is_worth_dealing(nodes_count(unit.nodes), machine)
    if large and not can_be_dealt(codelet):
        return True
    values = {
        v for node in unit.nodes for v in node.inputs if v.shape == unit.nodes[0].output.shape
    }
    near = sum(v.type.nbytes for v in values) <= machine.tile.memory
    if near and sum(is_function(node.op) for node in unit.nodes[:-1]) > 1:
        return True
    return near and unit.nodes[-1].output.type.size > 1


def _stores(scope: Scope, unit: Unit) -> bool:
    """Whether others read what is computed on the way to a sum."""
    return any(scope.leaves_unit(node.output, unit) for node in unit.nodes[:-1])


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
