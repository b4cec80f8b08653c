"""Strips of rows: groups of them dealt out to the tiles, each adding up sums of its own."""

from __future__ import annotations

import numpy as np

from tilewright.graph.count import node_count
from tilewright.graph.ir import Graph, Node, Type, numpy_dtype
from tilewright.machine.cost import is_worth_dealing
from tilewright.plan import views
from tilewright.plan.basic import fill_codelet, reduce_codelet
from tilewright.plan.control import lower_body
from tilewright.plan.ir import Call, Loop, Spread, Step, Var, View, dense_strides, new_var
from tilewright.plan.scope import CACHE_LINE, Plan, Scope


def lower_strips(scope: Scope, node: Node) -> None:
    """A `strips` node (see `graph/strips.py`): groups of strips, then the sum over groups."""
    strip, rows, groups = (node.params[name] for name in ("strip", "rows", "groups"))
    many = node.params["ys"]
    slots = sum(number for number, _ in groups) + (rows % strip > 0)
    stacked = [scope.target(value) for value in node.outputs[:many]]
    totals = [scope.target(value) for value in node.outputs[many:]]
    partial = [_slots(scope, v, slots) for v in totals]
    dealer = _Dealer(scope, node, stacked, partial if slots > 1 else None, totals, slots > 1)
    slot = start = 0
    for number, length in groups:
        slot = dealer.deal(node.bodies[0], number, length, slot, start)
        start += number * length * strip
    if rows % strip:
        dealer.deal(node.bodies[1], 1, 1, slot, start)
    if slots > 1:
        for source, target in zip(partial, totals, strict=True):
            _add_groups(scope, source, target)


def _slots(scope: Scope, total: View, count: int) -> View:
    """A place for the sum of each group; no two share a pair of cache lines, as tiles differ."""
    line = 2 * CACHE_LINE // numpy_dtype(total.dtype).itemsize
    pitch = -(-total.size // line) * line
    rows = scope.new(Type(total.dtype, (count, pitch)))
    strides = (rows.strides[0], *dense_strides(total.shape))
    return View(rows.buffer, (count, *total.shape), strides)


def _add_groups(scope: Scope, source: View, target: View) -> None:
    scope.call(reduce_codelet("sum", source, (0,), target), [source], [target])


class _Dealer:
    """Makes the steps for a range of equal groups."""

    def __init__(
        self,
        scope: Scope,
        node: Node,
        stacked: list[View],
        partial: list[View] | None,
        totals: list[View],
        several: bool,
    ):
        self.scope = scope
        self.stacked = stacked
        self.partial = partial
        self.totals = totals
        worth = several and is_worth_dealing(node_count(node), scope.plan.machine)
        self.spread = scope.parallel and worth
        consts = node.params["consts"]
        self.consts = [scope.view(v) for v in node.inputs[:consts]]
        self.xs = [scope.view(v) for v in node.inputs[consts:]]

    def deal(self, body: Graph, groups: int, length: int, slot: int, start: int) -> int:
        """`groups` groups of `length` strips, from row `start`, adding up in slots from `slot`."""
        scope, outer, inner = self.scope, new_var(), new_var()
        size = (body.inputs[len(self.consts)]).shape[-1]

        def strip_of(view: View) -> View:
            turn = views.shift(view, inner, len(view.shape) - 1, size, start)
            step = size * length * view.strides[-1]
            return View(
                turn.buffer,
                turn.shape,
                turn.strides,
                turn.offset,
                (*turn.moves, (outer, step)),
            )

        sums = [self._sum(i, outer, slot) for i in range(len(self.totals))]
        clear = _clear(sums)
        inputs = self.consts + [strip_of(view) for view in self.xs]
        wanted = [strip_of(view) for view in self.stacked]
        steps = _body(scope.plan, body, inputs, wanted, sums)
        inside: tuple[Step, ...] = (*clear, Loop(inner, length, steps))
        if self.spread:
            scope.steps.append(Spread(outer, groups, inside, joins=slot > 0))
        else:
            scope.steps.append(Loop(outer, groups, inside))
        return slot + groups

    def _sum(self, number: int, outer: Var, slot: int) -> View:
        if self.partial is None:
            return self.totals[number]
        view = self.partial[number]
        row = views.row(view, outer)
        return View(
            row.buffer, row.shape, row.strides, row.offset + slot * view.strides[0], row.moves
        )


def _clear(sums: list[View]) -> list[Step]:
    zero = [np.zeros((), numpy_dtype(view.dtype)) for view in sums]
    return [Call(fill_codelet(z, v), (v,)) for z, v in zip(zero, sums, strict=True) if v.size]


def _body(
    plan: Plan, body: Graph, inputs: list[View], wanted: list[View], sums: list[View]
) -> tuple[Step, ...]:
    return lower_body(
        plan,
        body,
        inputs,
        [*wanted, *([None] * len(sums))],
        parallel=False,
        padded=True,
        sums=dict(zip(body.outputs[len(wanted) :], sums, strict=True)),
    )
