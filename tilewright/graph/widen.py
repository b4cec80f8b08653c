"""Rewrite: bfloat16 operands of products are kept in float32, rounded to what bfloat16 can hold.

A value is rounded once, where it is computed, and not unpacked each time that it is read. Products
of such values are exact in float32 and added in the order of float32 products, on every host, so
that bits do not depend on whether it multiplies bfloat16 itself. Those under the law `pairs` stay,
for hosts that do; see `pairs.py`. Tiles that share no memory and have a unit for bfloat16 keep all
as they are: they take half the room, and bits are the same.
"""

from __future__ import annotations

from tilewright.graph.ir import Builder, Graph, Node, Value
from tilewright.machine.machine import Machine

_MOVES = frozenset("broadcast reshape transpose slice reverse copy".split())


def widen(graph: Graph, machine: Machine) -> Graph:
    units = {unit.operands for unit in machine.tile.units}
    if machine.chip.exchange.apart and ("bfloat16", "bfloat16") in units:
        return graph
    return widened(graph)


def widened(graph: Graph) -> Graph:
    """The same graph, in all bodies too, with no product of bfloat16 left that is not in pairs."""
    builder = Builder()
    builder.inputs = graph.inputs
    producers = graph.producers()
    renamed: dict[Value, Value] = {}
    wide: dict[Value, Value] = {}

    def in_float32(value: Value) -> Value:
        """By the shortest way."""
        if value not in wide:
            wide[value] = _widened(value)
        return wide[value]

    def _widened(value: Value) -> Value:
        node = producers.get(value)
        if node is not None and node.op in _MOVES:
            return builder.op(node.op, in_float32(node.inputs[0]), **node.params)
        if node is not None and node.op == "convert" and node.inputs[0].dtype == "float32":
            source = renamed.get(node.inputs[0], node.inputs[0])
            return builder.op("reduce_precision", source, exponent=8, mantissa=7)
        return builder.op("convert", renamed.get(value, value), dtype="float32")

    for node in graph.nodes:
        builder.source = node.source
        if _is_narrow(node) and not node.params.get("pairs"):
            params = dict(node.params) | {"dtype": "float32"}
            result = builder.op("dot", *map(in_float32, node.inputs), **params)
            if node.output.dtype != "float32":
                result = builder.op("convert", result, dtype=node.output.dtype)
            renamed[node.output] = result
        else:
            inputs = tuple(renamed.get(v, v) for v in node.inputs)
            bodies = tuple(map(widened, node.bodies))
            builder.nodes.append(
                Node(node.op, inputs, node.outputs, node.params, bodies, node.source)
            )
    return builder.graph(renamed.get(v, v) for v in graph.outputs)


def _is_narrow(node: Node) -> bool:
    return node.op == "dot" and {v.dtype for v in node.inputs} == {"bfloat16"}
