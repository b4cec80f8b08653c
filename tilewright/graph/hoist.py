"""Rewrite: what a body computes from constants alone is computed once, before the loop.

Out of the bodies of loop, scan and map, never out of a branch. Only what does work moves: not the
mere repetition of a few numbers into a large array, which is cheaper to make than to read. A loop
inside a `loop`, which may run no trip at all, stays: it might be long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.rewrite import Rebuilder, cone, copy_nodes, users, with_bodies
from tilewright.machine.machine import Machine

CHEAP_SIZE = 256
"""Up to this many elements a result is worth keeping however little work it was."""
HEAVY = 12
"""Elementwise operations in a row on made-up numbers that are worth a large array."""

_MADE_UP = frozenset("constant iota broadcast".split())
_FREE = _MADE_UP | frozenset("reshape slice reverse".split())
_HOISTED_FROM = ("loop", "scan", "map")


def hoist(graph: Graph, machine: Machine) -> Graph:
    """The same function with invariant work before its loops."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), partial(hoist, machine=machine))
        if node.op in _HOISTED_FROM and node.params.get("length", 2) > 1:
            node = _hoisted(new, node)
        new.keep(node)
    return new.finish(graph.outputs)


def _hoisted(new: Rebuilder, node: Node) -> Node:
    """The node with what could be taken out of it; that is appended to the new graph."""
    consts = node.params["consts"]
    added: list[Value] = []
    extra: list[list[Value]] = []
    bodies = []
    for body in node.bodies:
        frontier = _frontier(body, consts, node.op)
        nodes, _ = cone(body.producers(), frontier)
        table = dict(zip(body.inputs[:consts], node.inputs[:consts], strict=True))
        copy_nodes(new, (n for n in body.nodes if n in nodes), table)
        added += [table[value] for value in frontier]
        extra.append(frontier)
        outside = set(frontier)
        gone = {n for n in body.nodes if outside.issuperset(n.outputs)}
        bodies.append(
            Graph(body.inputs, tuple(n for n in body.nodes if n not in gone), body.outputs)
        )
    if not added:
        return node
    bodies = [_with_inputs(body, consts, i, extra) for i, body in enumerate(bodies)]
    inputs = (*node.inputs[:consts], *added, *node.inputs[consts:])
    params = dict(node.params) | {"consts": consts + len(added)}
    return replace(node, inputs=inputs, params=params, bodies=tuple(bodies))


def _with_inputs(body: Graph, consts: int, mine: int, extra: Sequence[Sequence[Value]]) -> Graph:
    """All bodies take what was hoisted from any of them; from this one, under its old names."""
    new = [v if i == mine else Value(v.type) for i, values in enumerate(extra) for v in values]
    return replace(body, inputs=(*body.inputs[:consts], *new, *body.inputs[consts:]))


def _frontier(body: Graph, consts: int, op: str) -> list[Value]:
    """Invariant values worth keeping that are read by what stays in the body."""
    invariant = set(body.inputs[:consts])
    work: dict[Value, float] = {}
    fixed: list[Node] = []
    for node in body.nodes:
        if invariant.issuperset(node.inputs) and not (op == "loop" and has_loop(node)):
            invariant.update(node.outputs)
            fixed.append(node)
            work.update(dict.fromkeys(node.outputs, _work(node, work)))
    going = {n for n in fixed if n.outputs and n.op not in _MADE_UP and _is_worth(n, work)}
    readers, results = users(body), set(body.outputs)

    def stays(value: Value) -> bool:
        return value in results or any(r not in going for r in readers.get(value, ()))

    kept = [node for node in fixed if node in going and any(map(stays, node.outputs))]
    return [value for node in kept for value in node.outputs]


def _is_worth(node: Node, work: Mapping[Value, float]) -> bool:
    effort, size = work[node.outputs[0]], max(v.type.size for v in node.outputs)
    return effort >= HEAVY or (effort > 0 and size <= CHEAP_SIZE)


def _work(node: Node, work: Mapping[Value, float]) -> float:
    """Operations for each element of the result; HEAVY and more if data of that size is read."""
    before = sum(work.get(v, HEAVY if v.type.size > 1 else 0) for v in set(node.inputs))
    if node.op == "broadcast":
        return min(before, HEAVY / 3)
    if node.op in _FREE:
        return before
    return before + (1 if node.op in ELEMENTWISE else HEAVY)


def has_loop(node: Node) -> bool:
    """Whether a node is, or holds, a loop."""
    if node.op in ("loop", "scan", "map"):
        return True
    return any(has_loop(inner) for body in node.bodies for inner in body.nodes)
