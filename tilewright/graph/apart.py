"""Which rows never meet: one dimension that runs through scans and all that stands around them.

In: a graph. Out: classes of dimensions that run together, through the bodies of scans and maps too;
and which nodes keep rows of such a class apart, so that some rows of their results follow from the
same rows of their operands alone. A scan does if all of its body does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import OPERATIONS
from tilewright.graph.ops.operation import Rows, Slot
from tilewright.graph.rows import Classes

TURNING = ("scan", "map")
"""Nodes whose bodies' dimensions are those of their operands and results."""


def classes_of(graph: Graph) -> list[dict[Value, int]]:
    """Every class in which a value has no more than one dimension, as {value: dimension}."""
    classes = Classes()
    for one, other in _links(graph):
        classes.join(one, other)
    members: dict[Slot, dict[Value, int]] = defaultdict(dict)
    twice: set[Slot] = set()
    for slot in list(classes.parent):
        table, (value, dimension) = members[root := classes.find(slot)], slot
        if table.setdefault(value, dimension) != dimension:
            twice.add(root)
    return [table for root, table in members.items() if root not in twice]


def keeps_apart(node: Node, rows: Rows) -> bool:
    """Whether the node has rows, and never lets two of them meet."""
    if node.op in TURNING:
        (body,) = node.bodies
        inside = [inner for inner in body.nodes if _has_rows(inner, rows)]
        return (
            _has_rows(node, rows)
            and not any(rows.get(value) == 0 for value in _stacked(node))
            and all(keeps_apart(inner, rows) for inner in inside)
        )
    if len(node.outputs) != 1 or node.output not in rows or node.op not in OPERATIONS:
        return False
    return OPERATIONS[node.op].keeps_rows(node, rows)


def _stacked(node: Node) -> tuple[Value, ...]:
    """Elements and results of trips, which are their first dimension."""
    carry = node.params.get("carry", 0)
    return (*node.inputs[node.params["consts"] + carry :], *node.outputs[carry:])


def _has_rows(node: Node, rows: Rows) -> bool:
    return any(value in rows for value in (*node.inputs, *node.outputs))


def _links(graph: Graph) -> Iterator[tuple[Slot, Slot]]:
    for node in graph.nodes:
        if node.op in OPERATIONS:
            yield from OPERATIONS[node.op].links(node)
        elif node.op in TURNING:
            yield from _through(node)
            yield from _links(node.bodies[0])


def _through(node: Node) -> Iterator[tuple[Slot, Slot]]:
    """Constants and carries as they are; elements and what is stacked have trips before."""
    consts, carry, (body,) = node.params["consts"], node.params.get("carry", 0), node.bodies
    whole = [*zip(node.inputs, body.inputs[: consts + carry], strict=False)]
    whole += zip(body.outputs[:carry], body.inputs[consts : consts + carry], strict=True)
    whole += zip(node.outputs, body.outputs[:carry], strict=False)
    for one, other in whole:
        yield from (((one, i), (other, i)) for i in range(len(one.shape)))
    single = (*body.inputs[consts + carry :], *body.outputs[carry:])
    for many, one in zip(_stacked(node), single, strict=True):
        yield from (((many, i + 1), (one, i)) for i in range(len(one.shape)))
