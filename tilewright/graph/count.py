"""What the operations of a graph do, before anything is said of vertices or memory.

In: a graph or node. Out: its `Count`; loops multiplied out, one of unknown length by
`LIKELY_TRIPS`; of a branch, the dearest case. Operands are taken to be at hand: which bytes come
from where is known only in the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import CONTROL, OPERATIONS
from tilewright.graph.ops.elementwise import priced
from tilewright.machine.cost import Count, narrow, total

_NOTHING: Mapping = MappingProxyType({})
_WIDENED = {("int8", "int32"), ("int16", "int32"), ("uint8", "int32"), ("bfloat16", "float32")}
"""What products widen in registers, or not at all."""


def graph_count(graph: Graph) -> Count:
    """One run of a graph."""
    return nodes_count(graph.nodes)


def nodes_count(nodes: Iterable[Node], before: Mapping[Value, Value] = _NOTHING) -> Count:
    """Of products of values that are `before` they are widened, by what those are."""
    return total(node_count(node, before) for node in nodes)


def node_count(node: Node, before: Mapping[Value, Value] = _NOTHING) -> Count:
    """One run of a node."""
    if node.op in CONTROL:
        return CONTROL[node.op].count(node, [graph_count(body) for body in node.bodies])
    count = OPERATIONS[node.op].count(node)
    if node.op != "dot" or before.keys().isdisjoint(node.inputs):
        return count
    lhs, rhs = (before.get(value, value).dtype for value in node.inputs)
    return replace(count, macs={narrow(lhs, rhs, node.output.dtype): sum(count.macs.values())})


def widened(graph: Graph) -> dict[Value, Value]:
    """What only products read, and is computed by widening alone, with what it was before: there it
    stays when it is packed (`packing.py`)."""
    found = {n.output: n.inputs[0] for n in graph.nodes if n.op == "convert"}
    for node in graph.nodes:
        if node.op != "dot":
            for value in node.inputs:
                found.pop(value, None)
    for value in graph.outputs:
        found.pop(value, None)
    return {new: old for new, old in found.items() if (old.dtype, new.dtype) in _WIDENED}


def moved(value: Value) -> Count:
    """Of writing a value that is there already to another place."""
    return Count(operations={("move", value.dtype): value.type.size})


def each(node: Node) -> Count:
    """Of an elementwise node, for one element."""
    return Count(operations={(priced(node.op, node.params), node.inputs[-1].dtype): 1})
