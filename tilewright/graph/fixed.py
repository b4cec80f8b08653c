"""Split a graph in what hangs on fixed inputs alone, and the rest: so that it is computed once.

In: a graph and those of its inputs whose arrays will not change. Out: `(first, rest)`: `first`
takes the same inputs and gives arrays that `rest` takes as further inputs, before the others. What
is split off is work (products, packing, elementwise arithmetic on arrays); views stay where they
are.
"""

from __future__ import annotations

from collections.abc import Set

from tilewright.graph.ir import Graph, Node, Value

_VIEWS = frozenset("constant iota broadcast reshape transpose slice reverse".split())


def split_fixed(graph: Graph, fixed: Set[Value], leading: int) -> tuple[Graph, Graph] | None:
    """The two graphs, or None where nothing is worth it; new inputs follow the first `leading`."""
    known: set[Value] = set(fixed)
    first_nodes: list[Node] = []
    for node in graph.nodes:
        if all(value in known for value in node.inputs):
            known.update(node.outputs)
            first_nodes.append(node)
    producers = graph.producers()
    rest_nodes = [node for node in graph.nodes if not set(node.outputs) <= known]
    wanted = [value for node in rest_nodes for value in node.inputs] + list(graph.outputs)
    kept, frontier = _needed(wanted, known, producers)
    if not frontier:
        return None
    first = Graph(graph.inputs, tuple(first_nodes), tuple(frontier))
    inputs = (*graph.inputs[:leading], *frontier, *graph.inputs[leading:])
    stays = kept.union(rest_nodes)
    nodes = tuple(n for n in graph.nodes if n in stays)
    return first, Graph(inputs, nodes, graph.outputs)


def _needed(
    wanted: list[Value], known: Set[Value], producers: dict[Value, Node]
) -> tuple[set[Node], list[Value]]:
    """Nodes of the first part that the rest repeats (views), and the values that it is given."""
    kept: set[Node] = set()
    frontier: dict[Value, None] = {}
    while wanted:
        value = wanted.pop()
        node = producers.get(value)
        if value not in known or node is None or node in kept:
            continue
        if node.op in _VIEWS:
            kept.add(node)
            wanted += node.inputs
        else:
            frontier[value] = None
    return kept, list(frontier)
