"""Rewrite: a carry that a loop overwrites in every trip and never reads is computed after it.

Its last value must be a function F of other carries' last values and of constants: then F runs
once, not once a trip. (A sampler carries the log density through its leapfrog steps and reads it
after the last: the gradient of every step would else pay for the value too.) If the loop may run no
trip, a branch on its condition keeps the first value for that case. Done where the trips save more
than F costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from tilewright.graph.count import moved, nodes_count
from tilewright.graph.ir import Builder, Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, cone, copy_nodes, inline, with_bodies
from tilewright.machine.cost import LIKELY_TRIPS, work
from tilewright.machine.machine import Machine, Tile


def sink(graph: Graph, machine: Machine) -> Graph:
    """The same function with such carries behind their loops, in bodies too."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), partial(sink, machine=machine))
        if node.op in ("loop", "scan") and node.params.get("length", 1) > 0:
            node = _without_sunk(new, node, machine.tile)
        else:
            new.keep(node)
    return new.finish(graph.outputs)


def _without_sunk(new: Rebuilder, node: Node, tile: Tile) -> Node:
    sunk = _sinkable(node, tile)
    new.keep(_shortened(node, sunk) if sunk else node)
    if sunk:
        _recompute(new, node, sunk)
    return node


def _carries(node: Node) -> int:
    return node.params.get("carry", len(node.inputs) - node.params["consts"])


def _sinkable(node: Node, tile: Tile) -> list[int]:
    """The carries worth sinking."""
    consts, step = node.params["consts"], node.bodies[-1]
    read = {v for body in node.bodies for n in body.nodes for v in n.inputs}
    if node.op == "loop":
        read.add(node.bodies[0].outputs[0])
        unread = [i for i in range(_carries(node)) if node.bodies[0].inputs[consts + i] not in read]
    else:
        unread = list(range(_carries(node)))
    unread = [
        i
        for i in unread
        if step.inputs[consts + i] not in read and step.inputs[consts + i] not in step.outputs
    ]
    return [i for i in unread if _pays(node, step, i, unread, tile)]


def _pays(node: Node, step: Graph, i: int, unread: Sequence[int], tile: Tile) -> bool:
    """Whether carry i is a function F of what is there after the loop, and sinking pays."""
    if all(v is not step.outputs[i] for j, v in enumerate(step.outputs) if j != i):
        nodes, leaves = cone(step.producers(), [step.outputs[i]], _last_values(node, unread))
        if nodes and leaves <= _at_hand(node, unread):
            others = [v for j, v in enumerate(step.outputs) if j != i]
            shared, _ = cone(step.producers(), others)
            trips = node.params.get("length", LIKELY_TRIPS)
            stored = work(moved(step.outputs[i]), tile).cycles
            inside = _cycles(nodes - shared, tile) + stored
            return trips * inside > _cycles(nodes, tile) + stored
    return False


def _last_values(node: Node, unread: Sequence[int]) -> set[Value]:
    """What the body hands on as carries that stay: known after the loop."""
    outputs = node.bodies[-1].outputs[: _carries(node)]
    return {value for i, value in enumerate(outputs) if i not in unread}


def _at_hand(node: Node, unread: Sequence[int]) -> set[Value]:
    return _last_values(node, unread) | set(node.bodies[-1].inputs[: node.params["consts"]])


def _cycles(nodes: Iterable[Node], tile: Tile) -> float:
    return work(nodes_count(nodes), tile).cycles


def _shortened(node: Node, sunk: Sequence[int]) -> Node:
    """The loop without the sunk carries."""
    consts, gone = node.params["consts"], set(sunk)

    def rest(values: tuple[Value, ...], offset: int) -> tuple[Value, ...]:
        return tuple(v for i, v in enumerate(values) if i - offset not in gone)

    bodies = [replace(body, inputs=rest(body.inputs, consts)) for body in node.bodies]
    bodies[-1] = replace(bodies[-1], outputs=rest(bodies[-1].outputs, 0))
    params = dict(node.params)
    if node.op == "scan":
        params["carry"] -= len(gone)
    return replace(
        node,
        inputs=rest(node.inputs, consts),
        outputs=rest(node.outputs, 0),
        params=params,
        bodies=tuple(bodies),
    )


def _recompute(new: Rebuilder, node: Node, sunk: Sequence[int]) -> None:
    """Append F of the last values, and let it stand for the sunk results."""
    consts, step = node.params["consts"], node.bodies[-1]
    targets = [step.outputs[i] for i in sunk]
    nodes, leaves = cone(step.producers(), targets, _last_values(node, sunk))
    after = dict(zip(step.outputs[: _carries(node)], node.outputs, strict=False))
    table = dict(zip(step.inputs[:consts], node.inputs[:consts], strict=True))
    table |= {value: after[value] for value in leaves if value in after}
    ordered = [n for n in step.nodes if n in nodes]
    old = [node.outputs[i] for i in sunk]
    if node.op == "scan":
        copy_nodes(new, ordered, table)
        new.replace(old, [table[value] for value in targets])
        return
    first = [node.inputs[consts + i] for i in sunk]
    results = _branch(
        new, node, (ordered, sorted(leaves, key=lambda v: v.id), targets), table, first
    )
    new.replace(old, results)


def _branch(
    new: Rebuilder,
    node: Node,
    function: tuple[Sequence[Node], Sequence[Value], Sequence[Value]],
    table: dict[Value, Value],
    first: Sequence[Value],
) -> Sequence[Value]:
    """F of the last values if the loop's condition held at the start, else the first values."""
    nodes, leaves, targets = function
    operands = [*(table[v] for v in leaves), *first]
    none, some = (Builder(v.type for v in operands) for _ in range(2))
    inside = copy_nodes(some, nodes, dict(zip(leaves, some.inputs, strict=False)))
    cases = [
        none.graph(none.inputs[len(leaves) :]),
        some.graph(inside[value] for value in targets),
    ]
    (ran,) = inline(new, node.bodies[0], node.inputs)
    index = new.op("convert", ran, dtype="int32")
    return new.add("branch", [index, *operands], [v.type for v in first], bodies=cases)
