"""Rewrite, when all operands have found their places: products in pairs become ones in sequence.

In: a graph under the law `pairs`. Out: the same graph, bit for bit, with no product in pairs but
those of packed matrices, whose codelet knows pairs. Any other is one in sequence of operands in
float32 whose neighbours have changed places, which costs a copy of each.
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.machine.machine import Machine


def without_pairs(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    found = _without_pairs(graph)
    if found is graph:
        return graph
    return replace(hoist(found, machine), law=graph.law, state=graph.state)


def _without_pairs(graph: Graph) -> Graph:
    new, changed = Rebuilder(graph.inputs), False
    for old in graph.nodes:
        node = new.renamed(with_bodies(old, _without_pairs))
        new.source = node.source
        changed |= node is not old
        if node.op == "dot" and node.params.get("pairs"):
            changed = True
            new.replace(node.outputs, [_in_sequence(new, node)])
        else:
            new.keep(node)
    return new.finish(graph.outputs) if changed else graph


def _in_sequence(new: Rebuilder, node: Node) -> Value:
    sides = zip(node.inputs, node.params["contract"], strict=True)
    turned = [_turned(new, value, axis) for value, (axis,) in sides]
    params = {name: given for name, given in node.params.items() if name != "pairs"}
    result = new.op("dot", *turned, **params | {"dtype": "float32"})
    same = node.output.dtype == "float32"
    return result if same else new.op("convert", result, dtype=node.output.dtype)


def _turned(new: Rebuilder, value: Value, axis: int) -> Value:
    """In float32, of each pair along an axis the odd one first; what has no neighbour stays."""
    wide, shape = new.op("convert", value, dtype="float32"), value.shape
    pairs, rest = divmod(shape[axis], 2)
    if not pairs:
        return wide
    even = _part(new, wide, axis, 0, 2 * pairs) if rest else wide
    apart = new.op("reshape", even, shape=(*shape[:axis], pairs, 2, *shape[axis + 1 :]))
    apart = new.op("reverse", apart, dimensions=(axis + 1,))
    turned = new.op("reshape", apart, shape=even.shape)
    if not rest:
        return turned
    last = _part(new, wide, axis, 2 * pairs, shape[axis])
    return new.op("concatenate", turned, last, dimension=axis)


def _part(new: Rebuilder, value: Value, axis: int, start: int, limit: int) -> Value:
    shape = value.shape
    return new.op(
        "slice",
        value,
        start=tuple(start if i == axis else 0 for i in range(len(shape))),
        limit=tuple(limit if i == axis else n for i, n in enumerate(shape)),
        stride=(1,) * len(shape),
    )
