"""`pack` and the products of what is packed (see `graph/ops/packed.py`), or of the blocks that are
left of it (`graph/ops/blocks.py`), to vertices.

Whole panels are copied one after the other (turned round in registers where columns lie along k);
the last, if it is not whole, is filled with zeros before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tilewright.codelets.contract import ContractAcross, ContractBlocks, ContractPanels
from tilewright.codelets.expression import Expression
from tilewright.graph.count import node_count
from tilewright.graph.ir import Node, Type, Value
from tilewright.graph.law import LANES
from tilewright.machine.cost import is_worth_dealing
from tilewright.plan import views
from tilewright.plan.basic import copy_call, operand
from tilewright.plan.cells import gates, parts_of
from tilewright.plan.elementwise import ExpressionBuilder
from tilewright.plan.ir import Loop, Spread, View, new_var
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Scope
from tilewright.plan.spread import shares_memory


def lower_pack(scope: Scope, unit: Unit) -> None:
    """A (k, n) matrix to (panels, ceil(k / d), 16, d)."""
    (node,) = unit.nodes
    matrix, target = scope.view(node.inputs[0]), scope.target(node.output)
    (k, n), (count, groups, _, depth) = matrix.shape, target.shape
    for first in range(depth):
        own = len(range(first, k, depth))
        rows = views.window(matrix, (first, 0), (own, n), (depth, 1))
        panels = views.squeeze(views.window(target, (0, 0, 0, first), (count, groups, LANES, 1)), 3)
        if own < groups:
            beyond = views.window(panels, (0, own, 0), (count, groups - own, LANES))
            scope.copy(_zeros(scope, beyond), beyond)
        _copy(scope, node, rows, views.window(panels, (0, 0, 0), (count, own, LANES)))


def _copy(scope: Scope, node: Node, matrix: View, panels: View) -> None:
    """A (k, n) matrix to (panels, k, 16)."""
    k, n = matrix.shape
    whole, rest = divmod(n, LANES)
    if whole:
        var = new_var()
        inside = (copy_call(views.shift(matrix, var, 1, LANES), views.row(panels, var)),)
        several = scope.parallel and is_worth_dealing(node_count(node), scope.plan.machine)
        scope.steps.append((Spread if several else Loop)(var, whole, inside))
    if rest:
        last = views.window(panels, (whole, 0, 0), (1, k, LANES))
        last = views.squeeze(last, 0)
        scope.copy(_zeros(scope, last), last)
        part = views.window(matrix, (0, whole * LANES), (k, rest))
        scope.copy(part, views.window(last, (0, 0), (k, rest)))


def _zeros(scope: Scope, like: View) -> View:
    zero = scope.plan.constant(np.zeros((), like.dtype))
    return views.broadcast(zero, like.shape, ())


def lower_dot_packed(scope: Scope, node: Node) -> None:
    given, target = _given(scope, node), scope.target(node.output)
    codelet = _kind(scope, node)(*map(operand, (*given, target)))
    scope.call(codelet, given, [target])


def _kind(scope: Scope, node: Node) -> Callable[..., ContractPanels | ContractBlocks]:
    if node.op == "dot_blocks":
        height = node.params.get("height", 0)
        counts = _counts(scope, node)
        anew = bool(counts) and scope.changes(node.inputs[1])
        return partial(ContractBlocks, tall=height, counts=counts, anew=anew)
    far = scope.plan.far and node.inputs[1].dtype == "int8"
    return partial(ContractPanels, paired=bool(node.params.get("pairs")), far=far)


def _counts(scope: Scope, node: Node) -> tuple[int, ...]:
    """Blocks of each panel, where tiles share no memory: each then has tiles of its own."""
    if not scope.plan.machine.chip.exchange.apart:
        return ()
    ranges = scope.plan.known(scope.view(node.inputs[3]))
    return () if ranges is None else counts_of(ranges)


def counts_of(ranges: np.ndarray) -> tuple[int, ...]:
    """Blocks of each panel, of ranges (panels, leaves, 2)."""
    return tuple((ranges[..., 1] - ranges[..., 0]).sum(1).tolist())


def _given(scope: Scope, node: Node) -> list[View]:
    """What a product reads; pairs are read from rows that lie one element after the other, blocks
    that are not packed from lines that do."""
    rows, matrix, *others = (scope.view(value) for value in node.inputs)
    across = node.params.get("pairs") and rows.strides[1] != 1
    near = shares_memory(scope.plan.machine)
    turned = near and node.params.get("height") and matrix.strides[1] != 1
    return [
        scope.dense(v) if lies else v for v, lies in ((rows, across), (matrix, turned))
    ] + others


def lower_packed_with_epilogue(
    scope: Scope, node: Node, expression: Expression, beside: Sequence[View], outs: Sequence[View]
) -> bool:
    """A product whose sums go through an expression into `outs`; False where arrays lie across:
    those are faster gone through afterwards, in blocks."""
    given = _given(scope, node)
    shape = node.output.shape
    sides = [side for v in (*beside, *outs) if (side := views.reshape(v, shape))]
    if len(sides) < len(beside) + len(outs) or any(s.strides[1] not in (0, 1) for s in sides):
        return False
    beside, outs = sides[: len(beside)], sides[len(beside) :]
    out, *more = map(operand, outs)
    codelet = _kind(scope, node)(
        *map(operand, given),
        out,
        epilogue=expression,
        beside=tuple(map(operand, beside)),
        more=tuple(more),
    )
    scope.call(codelet, [*given, *beside], outs)
    return True


def lower_packed_with_cell(scope: Scope, unit: Unit) -> bool:
    """A product whose gates' sums become `unit`'s results; False where strides forbid it."""
    node, _, inside = parts_of(unit)
    builder, number = gated(scope, unit)
    outputs = [n.output for n in inside if scope.leaves_unit(n.output, unit)]
    expression = builder.build(outputs)
    lhs, panels = _given(scope, node)
    shape = (lhs.shape[0], unit.shape[-1])
    targets = [scope.free_destination(v, unit) or scope.new(v.type) for v in outputs]
    beside = builder.leaves[number:]
    sides = [side for v in (*beside, *targets) if (side := views.reshape(v, shape))]
    if len(sides) < len(beside) + len(targets) or any(s.strides[1] not in (0, 1) for s in sides):
        return False
    for value, target in zip(outputs, targets, strict=True):
        scope.put(value, target)
    beside, outs = sides[: len(beside)], sides[len(beside) :]
    out, *more = map(operand, outs)
    count, *panel = panels.shape
    apart = views.reshape(panels, (number, count // number, *panel))
    assert apart is not None, "panels lie one after the other"
    codelet = _kind(scope, node)(
        operand(lhs),
        operand(apart),
        out,
        epilogue=expression,
        beside=tuple(map(operand, beside)),
        more=tuple(more),
    )
    scope.call(codelet, [lhs, apart, *beside], outs)
    return True


def gated(scope: Scope, unit: Unit) -> tuple[ExpressionBuilder, int]:
    """The expression of a cell, whose first inputs are the sums of so many gates."""
    node, chain, inside = parts_of(unit)
    last = (chain or [node])[-1].output
    slices = gates(last, set(scope.consumers[last]))
    assert slices is not None, "a cell has gates"
    builder, shape = ExpressionBuilder(scope, unit.shape), unit.shape
    sums = [Value(Type(node.output.dtype, shape)) for _ in slices]
    builder.give(*sums)
    for total, gate in zip(sums, slices, strict=True):
        start, known = gate.params["start"], {node.output: total}
        for step in chain:
            if step.op == "reshape":
                known[step.output] = known[step.inputs[0]]
                continue
            read = [known.get(v) or builder.window(v, start, shape) for v in step.inputs]
            known[step.output] = Value(Type(step.output.dtype, shape))
            builder.add(replace(step, inputs=tuple(read), outputs=(known[step.output],)))
        builder.same(gate.output, known[last])
    for step in inside:
        builder.add(step)
    return builder, len(slices)


def lower_across(scope: Scope, unit: Unit) -> None:
    (node,) = unit.nodes
    lhs, matrix, *tables = (scope.view(value) for value in node.inputs)
    given = [view if view.strides[1] == 1 else scope.dense(view) for view in (lhs, matrix)]
    given, target = [*given, *tables], scope.target(node.output)
    codelet = ContractAcross(*map(operand, (*given, target)), tall=node.params["height"])
    scope.call(codelet, given, [target])


KINDS = {"pack": lower_pack, "dot_across": lower_across}
