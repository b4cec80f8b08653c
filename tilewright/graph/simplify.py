"""Rewrite: local simplifications that keep every bit (see `identities.py`, `compose.py`).

Also folds operations on small constants, does arithmetic before a broadcast instead of after it,
lets constants into bodies, and opens branches whose case is known, scans of one trip, and those of
a few trips over long arrays that do little in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tilewright.graph.compose import COMPOSE
from tilewright.graph.evaluate import evaluate_node
from tilewright.graph.identities import IDENTITIES
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.known import FOLDED_SIZE, known_array, repeated
from tilewright.graph.ops import ELEMENTWISE, OPERATIONS, result_type
from tilewright.graph.rewrite import Rebuilder, fresh, with_bodies

Rule = Callable[[Rebuilder, Node], Value | None]

LONG = 4096
"""Elements of what a scan carries, from which on it costs more to read and write than a little
arithmetic: Horner's rule of twelve terms at 500,000 places took 5 times as long trip by trip."""
LITTLE = 64
"""Operations of all trips together, element by element: one vertex, compiled in no time."""
_FUNCTIONS = frozenset(
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 "
    "lgamma log log1p logistic pow rem sin sinh tan tanh".split()
)
"""What takes longer than to read and write: sixty of exp, opened, compiled in 0.33 s for 0.03, and
took 1.3 times as long."""


def simplify(graph: Graph) -> Graph:
    """The same function with less to do."""
    new = _Simplifier(graph.inputs)
    for node in graph.nodes:
        new.replace(node.outputs, _added(new, new.renamed(node)))
    return new.finish(graph.outputs)


def _added(new: _Simplifier, node: Node) -> Sequence[Value]:
    """What stands for the outputs of a node that is to be appended."""
    new.source = node.source
    if not node.bodies:
        return new.simplest(node)
    node = with_bodies(_constants_inside(new, node), simplify)
    return _opened(new, node) or new.simplest(node)


class _Simplifier(Rebuilder):
    """What it appends, it simplifies first."""

    def op(self, op: str, *inputs: Value, **params: Any) -> Value:
        output = Value(result_type(op, [v.type for v in inputs], params))
        (result,) = self.simplest(Node(op, inputs, (output,), params, source=self.source))
        return result

    def simplest(self, node: Node) -> Sequence[Value]:
        """Values that stand for the node's outputs; appends the node if nothing simpler does."""
        if len(node.outputs) == 1:
            for rule in _rules(node.op):
                value = rule(self, node)
                if value is not None:
                    return [value]
        self.keep(node)
        return node.outputs


@cache
def _rules(op: str) -> Sequence[Rule]:
    common = _COMMON if op in OPERATIONS and OPERATIONS[op].folds else ()
    return (*common, *IDENTITIES.get(op, ()), *COMPOSE.get(op, ()))


def _fold(new: Rebuilder, node: Node) -> Value | None:
    """An operation on small constants is done now."""
    if node.output.type.size > FOLDED_SIZE:
        return None
    arrays = []
    for value in node.inputs:
        array = known_array(new, value)
        if array is None:
            return None
        arrays.append(array)
    return constant(new, evaluate_node(node, arrays)[0])


def constant(new: Rebuilder, array: np.ndarray) -> Value:
    """A constant; one number repeated is a broadcast scalar."""
    flat = np.ascontiguousarray(array).reshape(-1)
    data = flat.tobytes()
    if flat.size > 1 and data == data[: flat.itemsize] * flat.size:
        return new.op("broadcast", new.constant(flat[0]), shape=array.shape, dimensions=())
    return new.constant(array)


def _broadcast_later(new: Rebuilder, node: Node) -> Value | None:
    """op(broadcast(x), broadcast(y)) is broadcast(op(x, y)) if both are broadcast alike."""
    if node.op not in ELEMENTWISE:
        return None
    sources, alike = [], set()
    for value in node.inputs:
        producer = new.producer(value)
        if producer is None or producer.op != "broadcast":
            return None
        (source,) = producer.inputs
        sources.append(source)
        if source.shape:
            alike.add((source.shape, tuple(producer.params["dimensions"])))
    if len(alike) > 1:
        return None
    shape, dimensions = alike.pop() if alike else ((), ())
    if Type("bool", shape).size >= node.output.type.size:
        return None
    small = [
        s if s.shape == shape else new.op("broadcast", s, shape=shape, dimensions=())
        for s in sources
    ]
    result = new.op(node.op, *small, **node.params)
    return new.op("broadcast", result, shape=node.output.shape, dimensions=dimensions)


_COMMON: tuple[Rule, ...] = (_fold, _broadcast_later)


# Control flow.


def _constants_inside(new: Rebuilder, node: Node) -> Node:
    """Constants that bodies read become nodes of theirs."""
    first, count = _constant_operands(node)
    known = {}
    for i in range(first, first + count):
        producer = new.producer(node.inputs[i])
        if repeated(new, node.inputs[i]) is not None or (producer and producer.op == "constant"):
            known[i] = node.inputs[i]
    if not known:
        return node
    bodies = tuple(_with_constants(new, body, known, first) for body in node.bodies)
    inputs = tuple(v for i, v in enumerate(node.inputs) if i not in known)
    params = dict(node.params)
    if node.op != "branch":
        params["consts"] -= len(known)
    return replace(node, inputs=inputs, params=params, bodies=bodies)


def _constant_operands(node: Node) -> tuple[int, int]:
    """Which operands all bodies see unchanged: the first, and how many."""
    if node.op == "branch":
        return 1, len(node.inputs) - 1
    return 0, node.params["consts"] if node.op in ("loop", "scan", "map") else 0


def _with_constants(new: Rebuilder, body: Graph, known: dict[int, Value], first: int) -> Graph:
    inside = Rebuilder(v for i, v in enumerate(body.inputs, first) if i not in known)
    for i, value in known.items():
        number = repeated(new, value)
        producer = new.producer(value)
        if number is not None:
            copy = inside.constant(number)
            if value.shape:
                copy = inside.op("broadcast", copy, shape=value.shape, dimensions=())
        else:
            assert producer is not None
            copy = inside.constant(producer.params["value"])
        inside.replace([body.inputs[i - first]], [copy])
    for node in body.nodes:
        inside.keep(inside.renamed(node))
    return inside.finish(body.outputs)


def _opened(new: _Simplifier, node: Node) -> Sequence[Value] | None:
    """The results of a branch or scan that needs no control flow."""
    if node.op == "branch":
        index = known_array(new, node.inputs[0])
        if index is None and len(node.bodies) > 1:
            return None
        case = 0 if index is None else min(max(int(index), 0), len(node.bodies) - 1)
        return _inlined(new, node.bodies[case], node.inputs[1:])
    if node.op == "scan" and (node.params["length"] == 1 or _is_little(node)):
        return _all_trips(new, node)
    return None


def _is_little(node: Node) -> bool:
    """Whether a scan's trips are a few operations on long arrays, and all that is kept of them is
    what the last one carries."""
    (body,), carry = node.bodies, node.params["carry"]
    made = [inner for inner in body.nodes if inner.op not in ("constant", "broadcast")]
    return (
        carry == len(node.outputs)
        and max(1, len(made)) * node.params["length"] <= LITTLE
        and all(inner.op in ELEMENTWISE and inner.op not in _FUNCTIONS for inner in made)
        and min((value.type.size for value in body.outputs), default=0) >= LONG
    )


def _all_trips(new: _Simplifier, node: Node) -> Sequence[Value]:
    """A scan's results without a loop; it stacks something in a single trip at most."""
    carry, length = node.params["carry"], node.params["length"]
    fixed = node.params["consts"] + carry
    consts, carried = node.inputs[: fixed - carry], node.inputs[fixed - carry : fixed]
    trips, stacked = range(length), ()
    for trip in reversed(trips) if node.params["reverse"] else trips:
        xs = [_of_trip(new, x, trip) for x in node.inputs[fixed:]]
        results = _inlined(new, node.bodies[0], [*consts, *carried, *xs])
        carried, stacked = results[:carry], results[carry:]
    return [*carried, *(new.op("reshape", y, shape=(1, *y.shape)) for y in stacked)]


def _of_trip(new: _Simplifier, x: Value, trip: int) -> Value:
    """What a trip reads of an array with something for each."""
    start, limit = (trip, *(0 for _ in x.shape[1:])), (trip + 1, *x.shape[1:])
    one = new.op("slice", x, start=start, limit=limit, stride=tuple(1 for _ in x.shape))
    return new.op("reshape", one, shape=x.shape[1:])


def _inlined(new: _Simplifier, body: Graph, arguments: Sequence[Value]) -> Sequence[Value]:
    """A copy of a body, simplified once more now that its inputs are known."""
    table = dict(zip(body.inputs, arguments, strict=True))
    for node in body.nodes:
        inputs = tuple(table[v] for v in node.inputs)
        outputs = tuple(Value(v.type) for v in node.outputs)
        copy = replace(node, inputs=inputs, outputs=outputs, bodies=tuple(map(fresh, node.bodies)))
        table.update(zip(node.outputs, _added(new, copy), strict=True))
    return [table[v] for v in body.outputs]
