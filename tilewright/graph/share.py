"""Rewrite: what is computed twice in one graph is computed once.

Equal operands of nodes with bodies become one, in the bodies too; such nodes are the same where
their bodies do the same in the same order, as those of a function called twice do.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from tilewright.graph.ir import Graph, Node
from tilewright.graph.rewrite import Rebuilder, with_bodies

_COMMUTATIVE = frozenset("add mul max min and or xor eq ne".split())


def share(graph: Graph) -> Graph:
    """The same function with common subexpressions joined, in every body."""
    new = Rebuilder(graph.inputs)
    seen: dict[Hashable, Node] = {}
    for node in graph.nodes:
        node = with_bodies(_join_operands(new.renamed(node)), share)
        first = seen.setdefault(_key(node), node)
        if first is node or not _same_bodies(first, node):
            new.keep(node)
        else:
            new.replace(node.outputs, first.outputs)
    return new.finish(graph.outputs)


def _key(node: Node) -> Hashable:
    """Equal for nodes that compute the same bits (NaN payloads aside), if their bodies do."""
    inputs = [v.id for v in node.inputs]
    if node.op in _COMMUTATIVE:
        inputs.sort()
    if not (node.params or node.bodies):
        return node.op, *inputs
    params = tuple([(key, _param(value)) for key, value in sorted(node.params.items())])
    inside = tuple([tuple([n.op for n in body.nodes]) for body in node.bodies])
    return node.op, tuple(inputs), params, inside


def _same_bodies(one: Node, other: Node) -> bool:
    """Do all bodies of nodes that are otherwise equal compute the same bits?"""
    return all(_same(a, b) for a, b in zip(one.bodies, other.bodies, strict=True))


def _same(one: Graph, other: Graph) -> bool:
    """The same nodes in the same order, but for the names of values."""
    lengths = [(len(g.inputs), len(g.nodes), len(g.outputs)) for g in (one, other)]
    if lengths[0] != lengths[1] or [v.type for v in one.inputs] != [v.type for v in other.inputs]:
        return False
    names = dict(zip(other.inputs, one.inputs, strict=True))
    for a, b in zip(one.nodes, other.nodes, strict=True):
        known = tuple(names[v] for v in b.inputs)
        types = [[v.type for v in node.outputs] for node in (a, b)]
        if types[0] != types[1] or _key(a) != _key(replace(b, inputs=known)):
            return False
        if len(a.bodies) != len(b.bodies) or not _same_bodies(a, b):
            return False
        names |= zip(b.outputs, a.outputs, strict=True)
    return one.outputs == tuple(names[v] for v in other.outputs)


def _param(value: Any) -> Hashable:
    """Text tells 0.0 from -0.0 and 1 from True, which are equal in Python."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.name, value.shape, value.tobytes()
    return repr(value)


def _join_operands(node: Node) -> Node:
    """A constant or element that a body is given twice is given once."""
    if not node.bodies or node.op == "strips":
        return node
    offset = 1 if node.op == "branch" else 0
    consts = node.params.get("consts", len(node.inputs))
    carried = len(node.inputs) if node.op == "loop" else consts + node.params.get("carry", 0)
    first: dict[Hashable, int] = {}
    again: dict[int, int] = {}
    for i in range(offset, len(node.inputs)):
        if not consts <= i < carried or node.op == "branch":
            place = first.setdefault((node.inputs[i], i < consts), i)
            if place != i:
                again[i] = place
    if not again:
        return node
    params = dict(node.params)
    if "consts" in params:
        params["consts"] -= sum(i < consts for i in again)
    inputs = tuple(v for i, v in enumerate(node.inputs) if i not in again)
    bodies = tuple(_joined(body, again, offset) for body in node.bodies)
    return replace(node, inputs=inputs, params=params, bodies=bodies)


def _joined(body: Graph, again: dict[int, int], offset: int) -> Graph:
    new = Rebuilder(v for i, v in enumerate(body.inputs, offset) if i not in again)
    for i, place in again.items():
        new.replace([body.inputs[i - offset]], [body.inputs[place - offset]])
    for node in body.nodes:
        new.keep(new.renamed(node))
    return new.finish(body.outputs)
