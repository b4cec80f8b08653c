"""What a trip makes of its elements alone, as trips of their own that run ahead of the others.

In: a scan whose operands have their places. Out: two, the products of elements with constants and
what hangs on those alone, and the rest, which reads their results as elements. Of those results
there are two at a time (`RING`), by turns: the one that is read, and the one that is being made.
Always: the same bits, as either does what the one did.
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.graph.rewrite import cone, fresh
from tilewright.plan import views
from tilewright.plan.control import Trips

RING = 2


def in_front(trips: Trips) -> tuple[Trips, Trips] | None:
    """None if a trip has no such products."""
    node, scope = trips.node, trips.scope
    (body,) = node.bodies
    crossing = _crossing(node, body)
    if not crossing:
        return None
    first = len(trips.fixed)
    own = (*body.inputs[:first], *body.inputs[first + len(trips.kept) :])
    made, _ = cone(body.producers(), crossing)
    ahead = Graph(own, tuple(n for n in body.nodes if n in made), tuple(crossing))
    left, _ = cone(body.producers(), set(body.outputs) - set(crossing), crossing)
    kept = tuple(n for n in body.nodes if n in left)
    rest = Graph((*body.inputs, *crossing), kept, body.outputs)
    between = [scope.new(Type(v.dtype, (RING, *v.shape))) for v in crossing]
    one = replace(node, bodies=(fresh(ahead),), params=dict(node.params) | {"carry": 0})
    other = replace(node, bodies=(fresh(rest),))
    return (
        Trips(scope, one, trips.fixed, [], trips.xs, between, between),
        replace(trips, node=other, xs=[*trips.xs, *between], rings=between),
    )


def _crossing(node: Node, body: Graph) -> list[Value]:
    """What hangs on products of elements, and on no carry, and is read by what does."""
    consts, carry = node.params["consts"], node.params["carry"]
    early, heavy = set(body.inputs) - set(body.inputs[consts : consts + carry]), set()
    for inner in body.nodes:
        if inner.bodies or not early.issuperset(inner.inputs):
            continue
        early.update(inner.outputs)
        moved = inner.op in views.MOVEMENT  # of no cost in the rest
        if inner.op == "dot_packed" or not (moved or heavy.isdisjoint(inner.inputs)):
            heavy.update(inner.outputs)
    late = [n for n in body.nodes if heavy.isdisjoint(n.outputs) and n.op != "dot_packed"]
    read = {value for n in late for value in n.inputs} | set(body.outputs)
    return [value for n in body.nodes for value in n.outputs if value in heavy & read]
