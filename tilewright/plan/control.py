"""Loops, branches and maps: how a node with bodies becomes steps.

Carries have one buffer each for the whole loop. A body computes a new value straight into it where
nothing reads the old one any more, and otherwise beside it, copied at the end of the turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.plan import views
from tilewright.plan.basic import add_codelet
from tilewright.plan.ir import Branch, Loop, Map, Step, View, While, new_var
from tilewright.plan.scope import Destination, Plan, Scope
from tilewright.plan.weight import is_heavy


def lower_body(
    plan: Plan,
    graph: Graph,
    inputs: Sequence[View],
    wanted: Sequence[View | None],
    *,
    parallel: bool,
    carried: Sequence[Value | None] | None = None,
    padded: bool = False,
    sums: dict[Value, View] | None = None,
) -> tuple[Step, ...]:
    """The steps of a body whose outputs end up in the `wanted` views.

    `carried[i]` is the input that output i replaces: its old value lives in the very view wanted.
    Outputs in `sums` are added to what their view holds.
    """
    carried = carried or [None] * len(graph.outputs)
    owned = [value for value in carried if value is not None]
    scope = Scope(plan, graph, inputs, parallel=parallel, owned=owned, padded=padded)
    for output, view, guard in zip(graph.outputs, wanted, carried, strict=True):
        if view is not None and output not in scope.destinations:
            scope.destinations[output] = Destination(view, guard)
    scope.sums = dict(sums or {})
    plan.lower_units(scope)
    _add_up(scope)
    _settle(scope, wanted, owned)
    return tuple(scope.steps)


def _add_up(scope: Scope) -> None:
    """Add what no vertex has added on its own."""
    for value, target in scope.sums.items():
        source = scope.view(value)
        scope.call(add_codelet(target, source), [target, source], [target])


def _settle(scope: Scope, wanted: Sequence[View | None], owned: Sequence[Value]) -> None:
    """Copy what was not computed in its place; old carries are read before any is overwritten."""
    carries = {scope.views[value].buffer for value in owned}
    moves = []
    for output, target in zip(scope.graph.outputs, wanted, strict=True):
        if target is not None and scope.view(output) != target:
            moves.append((scope.view(output), target))
    writes = {target.buffer for _, target in moves}
    staged = []
    for source, target in moves:
        if source.buffer in carries and source.buffer in writes:
            beside = scope.new(Type(source.dtype, source.shape))
            scope.copy(source, beside)
            source = beside
        staged.append((source, target))
    for source, target in staged:
        scope.copy(source, target)


def _carry_buffers(scope: Scope, node: Node, initial: Sequence[Value]) -> list[View]:
    """One view for each carry, holding its initial value."""
    chosen, taken = [], set()
    for value, output in zip(initial, node.outputs, strict=False):
        view = scope.view(value)
        destination = scope.destinations.get(output)
        reusable = destination is None or destination.view == view
        if reusable and view.buffer not in taken and scope.may_overwrite(value):
            taken.add(view.buffer)
            scope.views[output] = view
            chosen.append(view)
        else:
            target = scope.target(output)
            scope.copy(view, target)
            chosen.append(target)
    return chosen


def lower_scan(scope: Scope, node: Node) -> None:
    """A counted loop: (consts, carry, xs) -> (carry, ys)."""
    consts = node.params["consts"]
    carry = node.params.get("carry", 0)
    (body,) = node.bodies
    initial, xs = node.inputs[consts : consts + carry], node.inputs[consts + carry :]
    kept = _carry_buffers(scope, node, initial)
    stacked = [scope.target(value) for value in node.outputs[carry:]]
    backwards, var = node.params.get("reverse", False), new_var()
    inputs = [scope.view(v) for v in node.inputs[:consts]] + kept
    inputs += [views.row(scope.view(v), var, backwards) for v in xs]
    wanted = kept + [views.row(view, var, backwards) for view in stacked]
    if node.op == "map" and scope.parallel and is_heavy(body, node.params["length"]):
        steps = lower_body(scope.plan, body, inputs, wanted, parallel=False)
        scope.steps.append(Map(var, node.params["length"], steps))
        return
    carried = [*body.inputs[consts : consts + carry], *([None] * len(stacked))]
    steps = lower_body(scope.plan, body, inputs, wanted, parallel=scope.parallel, carried=carried)
    scope.steps.append(Loop(var, node.params["length"], steps))


def lower_loop(scope: Scope, node: Node) -> None:
    """A while loop: (consts, carry) -> carry."""
    consts = node.params["consts"]
    condition, body = node.bodies
    fixed = [scope.view(v) for v in node.inputs[:consts]]
    kept = _carry_buffers(scope, node, node.inputs[consts:])
    test = scope.new(condition.outputs[0].type)
    condition_steps = lower_body(
        scope.plan, condition, fixed + kept, [test], parallel=scope.parallel
    )
    steps = lower_body(
        scope.plan,
        body,
        fixed + kept,
        kept,
        parallel=scope.parallel,
        carried=body.inputs[consts:],
    )
    scope.steps.append(While(condition_steps, test, steps))


def lower_branch(scope: Scope, node: Node) -> None:
    """One of several bodies, all computing into the same views."""
    index, operands = node.inputs[0], node.inputs[1:]
    inputs = [scope.view(v) for v in operands]
    targets = [scope.target(value) for value in node.outputs]
    cases = tuple(
        lower_body(scope.plan, body, inputs, targets, parallel=scope.parallel)
        for body in node.bodies
    )
    scope.steps.append(Branch(scope.view(index), cases))
