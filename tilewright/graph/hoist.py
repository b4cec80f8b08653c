"""Rewrite: what a body computes from constants alone is computed once, before the loop.

Out of the bodies of loop, scan and map, never out of a branch. Only what does work moves: not the
mere repetition of a few numbers into a large array, which is cheaper to make than to read from the
furthest memory. A loop
inside a `loop`, which may run no trip at all, stays: it might be long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tilewright.graph.count import each
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.rewrite import Rebuilder, cone, copy_nodes, users, with_bodies
from tilewright.machine.cost import work
from tilewright.machine.machine import Machine, Tile

CHEAP = 1 / 32
"""Results up to this share of the nearest memory are worth keeping however little work it was."""

ELEMENT = 4
"""Bytes that an element is taken to have."""

_MADE_UP = frozenset("constant iota broadcast".split())
_FREE = _MADE_UP | frozenset("reshape slice reverse".split())
_HOISTED_FROM = ("loop", "scan", "map")


def hoist(graph: Graph, machine: Machine) -> Graph:
    """The same function with invariant work before its loops."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), partial(hoist, machine=machine))
        if node.op in _HOISTED_FROM and node.params.get("length", 2) > 1:
            node = _hoisted(new, node, machine.tile)
        new.keep(node)
    return new.finish(graph.outputs)


def _hoisted(new: Rebuilder, node: Node, tile: Tile) -> Node:
    """The node with what could be taken out of it; that is appended to the new graph."""
    consts = node.params["consts"]
    added: list[Value] = []
    extra: list[list[Value]] = []
    bodies = []
    for body in node.bodies:
        frontier = _frontier(body, consts, node.op, _Effort(tile))
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


def _frontier(body: Graph, consts: int, op: str, effort: _Effort) -> list[Value]:
    """Invariant values worth keeping that are read by what stays in the body."""
    invariant = set(body.inputs[:consts])
    fixed: list[Node] = []
    for node in body.nodes:
        if invariant.issuperset(node.inputs) and not (op == "loop" and has_loop(node)):
            invariant.update(node.outputs)
            fixed.append(node)
            effort.add(node)
    going = {n for n in fixed if n.outputs and n.op not in _MADE_UP and effort.is_worth(n)}
    readers, results = users(body), set(body.outputs)

    def stays(value: Value) -> bool:
        return value in results or any(r not in going for r in readers.get(value, ()))

    kept = [node for node in fixed if node in going and any(map(stays, node.outputs))]
    return [value for node in kept for value in node.outputs]


class _Effort:
    """Cycles for each element of invariant values, those of reading data included."""

    def __init__(self, tile: Tile):
        self.tile = tile
        self.cycles: dict[Value, float] = {}

    def add(self, node: Node) -> None:
        cycles = sum(self.cycles.get(v, self._read(v)) for v in set(node.inputs))
        if node.op == "broadcast":
            cycles = min(cycles, self._read(node.output) / 3)  # however much work: it is repeated
        elif node.op in ELEMENTWISE:
            cycles += work(each(node), self.tile).cycles
        elif node.op not in _FREE:
            cycles += max(map(self._read, node.outputs), default=0.0)
        self.cycles.update(dict.fromkeys(node.outputs, cycles))

    def is_worth(self, node: Node) -> bool:
        """Whether the result is cheaper to read than to make again."""
        cycles, size = self.cycles[node.outputs[0]], max(v.type.nbytes for v in node.outputs)
        if size > CHEAP * self.tile.memories[0].size:
            return cycles >= max(map(self._read, node.outputs))
        return cycles > 0

    def _read(self, value: Value) -> float:
        """Of an element that comes from the furthest memory; operands and results weigh alike."""
        rate = self.tile.memories[-1].read
        return ELEMENT / rate if rate and value.type.size > 1 else 0.0


def has_loop(node: Node) -> bool:
    """Whether a node is, or holds, a loop."""
    if node.op in ("loop", "scan", "map"):
        return True
    return any(has_loop(inner) for body in node.bodies for inner in body.nodes)
