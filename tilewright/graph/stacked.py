"""Rewrite: what a scan stacks and a later one can make of other stacks is made there instead.

In: a graph, such as a recurrent net with its gradient. A step stacks what its gradient will read:
the logistic l of a gate, and l (1 - l), and the state that is a product of two of them. Out: the
same function, bit for bit; the later scan has copies of the nodes that made such a value, which is
not stacked. Done where all that read a stack are scans along it, which read all that it is made of
anyway, and where that takes few operations, none of them a function.

A stack is written once and read once, long after that: of an LSTM seven are left of thirteen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.made_twice import CHEAP
from tilewright.graph.rewrite import Rebuilder, cone, copy_nodes, with_bodies

MOST_NODES = 6
"""Operations that make a value again: to write it and to read it takes longer."""


def restacked(graph: Graph) -> Graph:
    """The same function with fewer stacks, in bodies too."""
    new = _restacked(graph)
    return graph if new is graph else eliminate(new)


def _restacked(graph: Graph) -> Graph:
    nodes = tuple(with_bodies(node, _restacked) for node in graph.nodes)
    if nodes != graph.nodes:
        graph = replace(graph, nodes=nodes)
    for place, node in enumerate(nodes):
        if node.op == "scan":
            graph = _without_stacks(graph, graph.nodes[place])
    return graph


def _without_stacks(graph: Graph, scan: Node) -> Graph:
    """The graph whose later scans make what they can of this one's stacks."""
    readers, gone = graph.readers(), set()
    later: dict[Node, Node] = {}
    for stack, inner in _stacks(scan):
        scans = [node for node in readers.get(stack, ()) if node and _is_along(node, stack)]
        makings = [_making(scan, node, inner, {*gone, stack}) for node in scans]
        ways = [making for making in makings if making is not None]
        if not scans or not len(ways) == len(scans) == len(readers[stack]):
            continue
        gone.add(stack)
        for node, way in zip(scans, ways, strict=True):
            later[node] = _made_inside(later.get(node, node), stack, way)
    if not later:
        return graph
    return replace(graph, nodes=tuple(later.get(node, node) for node in graph.nodes))


def _stacks(scan: Node) -> Iterator[tuple[Value, Value]]:
    """Stacked results and what a trip gives them, each after all that it hangs on."""
    (body,), carry = scan.bodies, scan.params["carry"]
    made = [*body.inputs, *(output for node in body.nodes for output in node.outputs)]
    place = {value: i for i, value in enumerate(made)}
    pairs = zip(scan.outputs[carry:], body.outputs[carry:], strict=True)
    yield from sorted(pairs, key=lambda pair: place[pair[1]])


def _is_along(node: Node, stack: Value) -> bool:
    """Whether it is a scan that reads this stack an element a trip, and not otherwise."""
    return node.op == "scan" and stack not in node.inputs[: _first(node)]


def _first(scan: Node) -> int:
    """The first operand that is taken apart, an element a trip."""
    return scan.params["consts"] + scan.params["carry"]


Way = tuple[Sequence[Node], Mapping[Value, Value]]
"""Nodes of the scan that stacks; and the arrays that have elements for what they start from."""


def _making(scan: Node, reader: Node, value: Value, gone: Collection[Value]) -> Way | None:
    """How a reader makes a value of a trip without those stacks; None if it had better not."""
    (body,) = scan.bodies
    arrays, producers = _arrays(scan, reader, gone), body.producers()
    nodes, leaves = cone(producers, [value], arrays)
    working = {node.op for node in nodes} - {"constant", "broadcast"}
    count = sum(node.op in working for node in nodes)
    if not 0 < count <= MOST_NODES or not working <= CHEAP or not leaves <= arrays.keys():
        return None
    return [node for node in body.nodes if node in nodes], arrays


def _arrays(scan: Node, reader: Node, gone: Collection[Value]) -> dict[Value, Value]:
    """What of a trip of this scan is an element of the reader's, and of which array."""
    (body,), carry, first = scan.bodies, scan.params["carry"], _first(scan)
    pairs = [*zip(body.inputs[first:], scan.inputs[first:], strict=True)]
    pairs += zip(body.outputs[carry:], scan.outputs[carry:], strict=True)
    elements = set(reader.inputs[_first(reader) :]).difference(gone)
    return {inner: array for inner, array in pairs if array in elements}


def _made_inside(reader: Node, stack: Value, way: Way) -> Node:
    """The reader with copies of those nodes where it first read an element of a stack.

    Not before: elementwise work in one place is one vertex.
    """
    (body,), (nodes, arrays), first = reader.bodies, way, _first(reader)
    elements = dict(zip(reader.inputs[first:], body.inputs[first:], strict=True))
    table = {inner: elements[array] for inner, array in arrays.items()}
    gone, made = elements[stack], nodes[-1].output
    at = next((i for i, n in enumerate(body.nodes) if gone in n.inputs), len(body.nodes))
    new = Rebuilder(body.inputs)
    new.nodes += body.nodes[:at]
    new.replace([gone], [copy_nodes(new, nodes, table)[made]])
    new.nodes += map(new.renamed, body.nodes[at:])
    return replace(reader, bodies=(new.finish(body.outputs),))
