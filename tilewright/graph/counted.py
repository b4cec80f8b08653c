"""Rewrite: a `loop` that counts to a known number becomes a `scan` of that many trips.

That is a carry that starts at a constant, grows by a constant in each trip, and is compared with a
constant: a `fori_loop` written as a `while_loop`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.rewrite import Rebuilder, with_bodies

_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def counted(graph: Graph) -> Graph:
    """The same function with counting loops made scans, in bodies too."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), counted)
        trips = _trips(new, node) if node.op == "loop" else None
        new.keep(node if trips is None else _scan(node, trips))
    return new.finish(graph.outputs)


def _scan(node: Node, trips: int) -> Node:
    consts = node.params["consts"]
    params = dict(consts=consts, carry=len(node.inputs) - consts, length=trips, reverse=False)
    return replace(node, op="scan", params=params, bodies=node.bodies[1:])


def _trips(new: Rebuilder, node: Node) -> int | None:
    """How often the body runs, if that is plain to see."""
    condition, step = node.bodies
    test = condition.producers().get(condition.outputs[0])
    if test is None or test.op not in _FLIPPED:
        return None
    for counter, bound, op in (
        (*test.inputs, test.op),
        (*reversed(test.inputs), _FLIPPED[test.op]),
    ):
        place = condition.inputs.index(counter) if counter in condition.inputs else -1
        if place >= node.params["consts"] and counter.dtype.startswith(("int", "uint")):
            stop = _number(condition, bound, new, node)
            by = _growth(step, place, place - node.params["consts"])
            first = _constant(new.producer(node.inputs[place]))
            if stop is not None and by and first is not None:
                return _count(first, stop, by, op, counter)
    return None


def _number(body: Graph, value: Value, new: Rebuilder, node: Node) -> int | None:
    """A constant of the body, or one that it is given."""
    if value in body.inputs:
        place = body.inputs.index(value)
        known = place < node.params["consts"]
        return _constant(new.producer(node.inputs[place])) if known else None
    return _constant(body.producers().get(value))


def _constant(producer: Node | None) -> int | None:
    if producer is None or producer.op != "constant" or producer.output.shape != ():
        return None
    return int(producer.params["value"])


def _growth(step: Graph, place: int, result: int) -> int | None:
    """By how much a trip changes the counter."""
    producers = step.producers()
    node = producers.get(step.outputs[result])
    if node is None or node.op not in ("add", "sub"):
        return None
    a, b = node.inputs
    if node.op == "add" and b is step.inputs[place]:
        a, b = b, a
    number = _constant(producers.get(b))
    if a is not step.inputs[place] or number is None:
        return None
    return number if node.op == "add" else -number


def _count(first: int, stop: int, by: int, op: str, counter: Value) -> int | None:
    """Trips until `first + trips * by` fails the test; None if it would wrap around."""
    distance = stop - first + (1 if op == "le" else -1 if op == "ge" else 0)
    if op in ("gt", "ge"):
        distance, by = -distance, -by
    if distance <= 0:
        return 0
    if by <= 0:
        return None
    trips = -(-distance // by)
    last = first + trips * (by if op in ("lt", "le") else -by)
    bounds = np.iinfo(counter.type.numpy)
    return trips if bounds.min <= last <= bounds.max else None
