"""What the operations of a graph do, before anything is said of vertices or memory.

In: a graph or node. Out: its `Count`; loops multiplied out, one of unknown length by
`LIKELY_TRIPS`; of a branch, the dearest case. Operands are taken to be at hand: which bytes come
from where is known only in the plan.
"""

from __future__ import annotations

from collections.abc import Iterable

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import CONTROL, OPERATIONS
from tilewright.graph.ops.elementwise import priced
from tilewright.machine.cost import Count, total


def graph_count(graph: Graph) -> Count:
    """One run of a graph."""
    return nodes_count(graph.nodes)


def nodes_count(nodes: Iterable[Node]) -> Count:
    return total(map(node_count, nodes))


def node_count(node: Node) -> Count:
    """One run of a node."""
    if node.op in CONTROL:
        return CONTROL[node.op].count(node, [graph_count(body) for body in node.bodies])
    return OPERATIONS[node.op].count(node)


def moved(value: Value) -> Count:
    """Of writing a value that is there already to another place."""
    return Count(operations={("move", value.dtype): value.type.size})


def each(node: Node) -> Count:
    """Of an elementwise node, for one element."""
    return Count(operations={(priced(node.op, node.params), node.inputs[-1].dtype): 1})
