"""What the operations of a graph do, before anything is said of vertices or memory.

In: a graph or node. Out: its `Count`; loops multiplied out, one of unknown length by
`LIKELY_TRIPS`; of a branch, the dearest case. Operands are taken to be at hand: which bytes come
from where is known only in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.linalg import multiply_adds
from tilewright.graph.ops import ELEMENTWISE, LINALG
from tilewright.machine.cost import LIKELY_TRIPS, NOTHING, Count, total

FREE = frozenset("broadcast reshape transpose slice reverse constant".split())
"""Movement that is a view of its operand, and what is written into code."""


def graph_count(graph: Graph) -> Count:
    """One run of a graph."""
    return nodes_count(graph.nodes)


def nodes_count(nodes: Iterable[Node]) -> Count:
    return total(map(node_count, nodes))


def node_count(node: Node) -> Count:
    """One run of a node."""
    if node.op in _CONTROL:
        return _CONTROL[node.op](node)
    if node.op in FREE:
        return NOTHING
    size = max((v.type.size for v in (*node.outputs, *node.inputs)), default=0)
    if node.op == "dot":
        lhs, contract = node.inputs[0], node.params["contract"][0]
        macs = node.output.type.size * prod(lhs.shape[i] for i in contract)
        return Count(macs={lhs.dtype: macs}, iterations=1)
    if node.op == "dot_packed":
        lhs = node.inputs[0]
        return Count(macs={lhs.dtype: node.output.type.size * lhs.shape[1]}, iterations=1)
    if node.op in LINALG:
        return _factored(node)
    if node.op == "sort":
        length = node.inputs[0].shape[node.params["dimension"]]
        size *= max(1, (length - 1).bit_length())
    dtype = (node.inputs or node.outputs)[-1].dtype
    return Count(operations={(_name(node), dtype): size}, iterations=1)


def _factored(node: Node) -> Count:
    """Of matrices that are brought to where they are factored, and back."""
    *batch, rows, columns = node.outputs[0].shape
    dtype = node.outputs[0].dtype
    macs = prod(batch) * multiply_adds(node.op, rows, columns)
    moves = node.outputs[0].type.size + sum(value.type.size for value in node.inputs)
    operations = {("move", dtype): moves, ("div", dtype): prod(batch) * rows}
    return Count({dtype: macs}, operations, iterations=rows)


def moved(value: Value) -> Count:
    """Of writing a value that is there already to another place."""
    return Count(operations={("move", value.dtype): value.type.size})


def each(node: Node) -> Count:
    """Of an elementwise node, for one element."""
    return Count(operations={(_name(node), node.inputs[-1].dtype): 1})


def _name(node: Node) -> str:
    """Of the operation that a node does on each element."""
    if node.op in ("reduce", "argreduce", "cumulative"):
        return combination(node.params["kind"])
    return operation(node.op, node.params) if node.op in ELEMENTWISE else "move"


def combination(kind: str) -> str:
    """What a reduction or scatter of that kind does once an element."""
    return {"sum": "add", "prod": "mul", "set": "move"}.get(kind, kind)


def operation(op: str, params: Mapping[str, Any]) -> str:
    """The name that an elementwise operation is priced under."""
    return f"{op}_approximate" if params.get("approximate") else op


def _dearest(node: Node) -> Count:
    return max(map(graph_count, node.bodies), key=lambda count: count.flops)


_CONTROL: dict[str, Callable[[Node], Count]] = {
    "scan": lambda node: graph_count(node.bodies[0]) * node.params["length"],
    "map": lambda node: graph_count(node.bodies[0]) * node.params["length"],
    "loop": lambda node: sum(map(graph_count, node.bodies), start=NOTHING) * LIKELY_TRIPS,
    "branch": _dearest,
    "strips": lambda node: graph_count(node.bodies[0]) * node.params["strips"],
}
