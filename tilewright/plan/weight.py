"""How much work a graph is, roughly: only to decide what is worth dealing out to several tiles.

A barrier between two cores costs about a microsecond, the time of 100,000 operations; a share
should be some ten times that.
"""

from __future__ import annotations

from math import prod

from tilewright.graph.ir import Graph, Node

WORTH_SPREADING = 1_500_000
WHILE_TRIPS = 16
"""What a loop of unknown length is taken to run."""


def graph_weight(graph: Graph) -> int:
    """Operations in one run of a graph."""
    return sum(node_weight(node) for node in graph.nodes)


def may_run_long(graph: Graph) -> bool:
    """Whether there is a loop of unknown length in it, at any depth."""
    return any(node.op == "loop" or any(map(may_run_long, node.bodies)) for node in graph.nodes)


def node_weight(node: Node) -> int:
    if node.op == "dot":
        lhs, contract = node.inputs[0], node.params["contract"][0]
        return 2 * node.output.type.size * prod(lhs.shape[i] for i in contract)
    if node.op in ("scan", "map"):
        return node.params["length"] * graph_weight(node.bodies[0])
    if node.op == "loop":
        return WHILE_TRIPS * sum(graph_weight(body) for body in node.bodies)
    if node.op == "branch":
        return max(graph_weight(body) for body in node.bodies)
    if node.op == "strips":
        return node.params["strips"] * graph_weight(node.bodies[0])
    if node.op in ("reduce", "argreduce", "sort", "cumulative"):
        return 4 * node.inputs[0].type.size
    return 2 * sum(value.type.size for value in node.outputs)


def is_heavy(body: Graph, length: int) -> bool:
    """Whether `length` runs of a body are worth dealing out."""
    return length > 1 and (
        length * graph_weight(body) >= WORTH_SPREADING
        or any(node.op == "loop" for node in body.nodes)
    )
