"""Rewrite, when all operands have found their places: products in pairs become ones in sequence.

In: a graph under the law `pairs`. Out: the same graph, bit for bit, with no product in pairs but
those of packed matrices and, on hosts that multiply pairs, those of an even number of terms, whose
codelets know pairs. Any other is one in sequence of operands in float32 whose neighbours have
changed places, which costs a copy of each.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies
from tilewright.machine.machine import Machine


def without_pairs(graph: Graph, machine: Machine) -> Graph:
    """The same graph, in all bodies too."""
    units = {unit.operands for unit in machine.tile.units}
    known = ("bfloat16", "bfloat16") in units and machine.chip.exchange.kind == "coherent"
    found = _without_pairs(graph, known)
    if found is graph:
        return graph
    return replace(hoist(found, machine), law=graph.law, state=graph.state)


def _without_pairs(graph: Graph, known: bool) -> Graph:
    """`known`: whether pairs are multiplied."""
    inside = partial(_without_pairs, known=known)
    new, changed = Rebuilder(graph.inputs), False
    for old in graph.nodes:
        node = new.renamed(with_bodies(old, inside))
        new.source = node.source
        changed |= node is not old
        if node.op == "dot" and node.params.get("pairs") and not (known and _is_even(node)):
            changed = True
            new.replace(node.outputs, [_in_sequence(new, node)])
        else:
            new.keep(node)
    return new.finish(graph.outputs) if changed else graph


def _is_even(node: Node) -> bool:
    """Whether every term has a neighbour."""
    axes, _ = node.params["contract"]
    terms = prod(node.inputs[0].shape[axis] for axis in axes)
    return terms % 2 == 0 and terms * node.output.type.size > 0


def _in_sequence(new: Rebuilder, node: Node) -> Value:
    sides, count = node.inputs, len(node.params["contract"][0])
    params = {name: given for name, given in node.params.items() if name != "pairs"}
    if count > 1:  # the leading ones of both
        sides = [_in_rows(new, value, count) for value in sides]
        params["contract"] = ((0,), (0,))
    axes = (axis for (axis,) in params["contract"])
    turned = [_turned(new, value, axis) for value, axis in zip(sides, axes, strict=True)]
    result = new.op("dot", *turned, **params | {"dtype": "float32"})
    same = node.output.dtype == "float32"
    return result if same else new.op("convert", result, dtype=node.output.dtype)


def _in_rows(new: Rebuilder, value: Value, count: int) -> Value:
    """So many leading dimensions as one."""
    shape = value.shape
    return new.op("reshape", value, shape=(prod(shape[:count]), *shape[count:]))


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
