"""Rewrite: what trips compute from fixed arrays, each from its slice, is computed for all at once.

In: a graph, and values of it that will not change: inputs that a user binds. Out: the same, where a
scan or map over slices of such (weights of layers, stacked) is given, as further slices, what its
body makes of them alone: panels of each matrix, sums of its columns. A map before it makes those,
which hangs on fixed values alone (see `fixed.py`). What hangs on constants of a loop has left it
already (see `hoist.py`). (Four layers of an LSTM of 128 units, scanned over: 1.57 ms for 1.78 with
8 rows and 20 steps, 0.146 for 0.196 with one row and 10.)
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from tilewright.graph.fixed import STAYS, known_from, needed
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.rewrite import cone, copy_nodes, fresh

MOST = 2
"""Times the slices that it is made from, which what is kept of all trips may take."""


def lifted(graph: Graph, fixed: Set[Value]) -> Graph:
    """The same results, bit for bit."""
    known, nodes = known_from(graph, fixed), []
    for node in graph.nodes:
        if node.op in ("scan", "map") and not known.issuperset(node.inputs):
            nodes += _lifted(node, known)
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _lifted(node: Node, known: Set[Value]) -> list[Node]:
    """What makes all that is worth it, and the node that reads it."""
    (body,) = node.bodies
    consts, first = node.params["consts"], node.params["consts"] + node.params.get("carry", 0)
    fixed = {v for v, given in zip(body.inputs, node.inputs, strict=True) if given in known}
    whole, slices = (
        fixed.intersection(body.inputs[:consts]),
        fixed.intersection(body.inputs[first:]),
    )
    body = lifted(body, whole | slices)
    constant = known_from(body, whole)
    once = {v for inner in body.nodes if inner.op == "map" for v in inner.outputs if v in constant}
    node, before = _taken_out(replace(node, bodies=(body,)), constant, once, each=False)
    moving = known_from(node.bodies[0], whole | slices) - constant
    found, maps = _taken_out(node, constant | moving, moving, each=True)
    made = sum(value.type.nbytes for one in maps for value in one.bodies[0].outputs)
    if made > MOST * sum(value.type.nbytes for value in slices):
        return [*before, node]
    return [*before, *maps, found]


def _taken_out(
    node: Node, known: Set[Value], worth: Set[Value], each: bool
) -> tuple[Node, list[Node]]:
    """The node with what is `worth` it among what is known made before it: as further slices of
    `each` trip, which a map makes, or as further constants."""
    (body,) = node.bodies
    stays = [inner for inner in body.nodes if not known.issuperset(inner.outputs)]
    wanted = [v for inner in stays for v in inner.inputs] + list(body.outputs)
    kept, results = needed(wanted, known, body.producers(), worth.__contains__, STAYS)
    if not results:
        return node, []
    nodes, leaves = cone(body.producers(), results)
    places = [i for i, value in enumerate(body.inputs) if value in leaves]
    given, inner = [node.inputs[i] for i in places], [body.inputs[i] for i in places]
    made = tuple(each for each in body.nodes if each in nodes)
    consts, builder = node.params["consts"], Builder()
    if each:
        length, own = node.params["length"], sum(i < consts for i in places)
        outputs = tuple(Value(Type(v.dtype, (length, *v.shape))) for v in results)
        graph = fresh(Graph(tuple(inner), made, tuple(results)))
        params = {"consts": own, "length": length}
        builder.nodes.append(Node("map", tuple(given), outputs, params, (graph,), node.source))
    else:
        table = copy_nodes(builder, made, dict(zip(inner, given, strict=True)))
        outputs = tuple(table[value] for value in results)
    at = len(body.inputs) if each else consts
    left = kept.union(stays)
    rest = replace(
        body,
        inputs=(*body.inputs[:at], *results, *body.inputs[at:]),
        nodes=tuple(inner for inner in body.nodes if inner in left),
    )
    params = dict(node.params) | {"consts": consts + (0 if each else len(results))}
    inputs = (*node.inputs[:at], *outputs, *node.inputs[at:])
    return replace(node, inputs=inputs, params=params, bodies=(rest,)), builder.nodes
