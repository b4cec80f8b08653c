"""Rewrite: a scan of which a part hangs on the rest, but the rest not on it, becomes two scans.

In: a graph. Out: the same function, bit for bit. Carries that are made of each other belong
together; where others, or what is stacked, hang on them and not they on those, the first part may
run before the second, which takes what it reads of it as elements:

    scan(a, b: a' = f(a, x), b' = g(b, a'))  becomes  scan(a: stacks a'), then scan(b: takes a')

Done where products with constants then meet elements, not carries, and so leave the second scan
for many trips at once (see `ahead.py`): the second of two recurrent layers that were written as one
cell, or what is answered at each step. The two are chained scans like any others, which tiles may
run at once. Always: what is stacked in between takes `MOST` bytes at most: one scan may be written
to save them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from tilewright.frozen import frozen
from tilewright.graph.ahead import leaving_of, pays
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.rewrite import Rebuilder, cone, fresh, with_bodies
from tilewright.machine.machine import Machine, Tile

MOST = 64 << 20

Carries = frozenset[int]
"""Some of a scan's carries, by number."""


def separate(graph: Graph, machine: Machine) -> Graph:
    """The same function with such scans in parts, in bodies too."""
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), partial(separate, machine=machine))
        _append(new, node, machine.tile)
    return new.finish(graph.outputs)


def _append(new: Rebuilder, node: Node, tile: Tile) -> None:
    """The node, or its parts, each of which may have parts again."""
    parts = _parts(node, tile) if node.op == "scan" else None
    if parts is None:
        new.keep(node)
        return
    first, second, outputs = parts
    _append(new, first, tile)
    _append(new, new.renamed(second), tile)
    new.replace(node.outputs, outputs)


Parts = tuple[Node, Node, Sequence[Value]]
"""Two scans, and what stands for the results of the one that they were."""


def _parts(node: Node, tile: Tile) -> Parts | None:
    """Of the smallest first part that lets more products leave; None if there is none."""
    body = _Body(node)
    candidates = sorted(body.candidates(tile), key=lambda first: (len(first), *sorted(first)))
    leaving = _leaving(node, tile) if candidates else 0
    for first in candidates:
        parts = _split(body, first)
        if parts and sum(_leaving(part, tile) for part in parts[:2]) > leaving:
            return parts
    return None


def _leaving(node: Node, tile: Tile) -> int:
    """How many products leave a scan."""
    leaving = leaving_of(node, tile)
    return sum(inner.op == "dot" for inner in leaving.nodes) if leaving else 0


class _Body:
    """What of a scan's body hangs on which carries."""

    def __init__(self, node: Node):
        self.node, (self.graph,) = node, node.bodies
        self.consts, self.carry = node.params["consts"], node.params["carry"]
        self.producers = self.graph.producers()
        self.hangs: dict[Value, Carries] = dict.fromkeys(self.graph.inputs, frozenset())
        self.hangs |= {value: frozenset({i}) for i, value in enumerate(self.carries)}
        self.fixed = set(self.graph.inputs[: self.consts])
        """What is the same in every trip: either part makes it for itself."""
        for inner in self.graph.nodes:
            found = frozenset().union(*(self.hangs[value] for value in inner.inputs))
            self.hangs.update(dict.fromkeys(inner.outputs, found))
            if self.fixed.issuperset(inner.inputs):
                self.fixed.update(inner.outputs)

    @property
    def carries(self) -> tuple[Value, ...]:
        return self.graph.inputs[self.consts : self.consts + self.carry]

    def candidates(self, tile: Tile) -> set[Carries]:
        """Carries that a product with a constant hangs on, and that do not hang on it.

        Of products that would leave if they hung on elements alone.
        """
        products: dict[Carries, list[Node]] = {}
        held = sum(value.type.nbytes for value in self.node.inputs[: self.consts])
        before = {n.output: n.inputs[0] for n in self.graph.nodes if n.op == "convert"}
        for inner in self.graph.nodes:
            other = set(inner.inputs) - self.fixed
            if inner.op == "dot" and pays(inner, before, other, tile, held):
                products.setdefault(self.hangs[inner.output], []).append(inner)
        found = set()
        for hangs, nodes in products.items():
            first = self.closed(hangs)
            if first and not self.makers(first).issuperset(nodes):
                found.add(first)
        return found

    def closed(self, some: Carries) -> Carries:
        """With all that they hang on from trip to trip."""
        while True:
            more = some.union(*(self.hangs[self.graph.outputs[i]] for i in some))
            if more == some:
                return some
            some = more

    def makers(self, first: Carries) -> set[Node]:
        """The nodes that make the next values of these carries."""
        return cone(self.producers, [self.graph.outputs[i] for i in first])[0]


@frozen
class _Part:
    """Nodes of a body and what they start from; numbers of the results that they make."""

    nodes: set[Node]
    leaves: set[Value]
    results: Sequence[int]


def _split(body: _Body, first: Carries) -> Parts | None:
    """With these carries in the first scan; None if more than `MOST` would lie between the two."""
    outputs, carries = body.graph.outputs, body.carries
    makers = body.makers(first)
    known = {value for inner in makers for value in inner.outputs}
    known |= {carries[i] for i in first}
    known -= body.fixed
    stacked = range(body.carry, len(outputs))
    early = [*sorted(first), *(i for i in stacked if outputs[i] in known)]
    late = [i for i in range(len(outputs)) if i not in set(early)]
    nodes, leaves = _cone(body, [outputs[i] for i in late], known)
    crossing = sorted(leaves & known, key=lambda value: value.id)
    length = body.node.params["length"]
    if length * sum(value.type.nbytes for value in crossing) > MOST:
        return None
    leaves_early = _cone(body, [outputs[i] for i in early], set())[1] | set(crossing)
    answers = [outputs[i] for i in early[len(first) :]]
    between = [value for value in crossing if value not in answers]
    one = _scan(body, _Part(makers, leaves_early, early), between, [])
    stacks = dict(zip([*answers, *between], one.outputs[len(first) :], strict=True))
    taking = [(value, stacks[value]) for value in crossing]
    other = _scan(body, _Part(nodes, leaves, late), [], taking)
    results = dict(zip([*early, *late], [*one.outputs[: len(early)], *other.outputs], strict=True))
    return one, other, [results[i] for i in range(len(outputs))]


def _cone(body: _Body, targets: Iterable[Value], known: set[Value]) -> tuple[set[Node], set[Value]]:
    """As `cone`, where targets may be known themselves."""
    targets = set(targets)
    nodes, leaves = cone(body.producers, targets - known, known)
    return nodes, leaves | (targets & known)


def _scan(
    body: _Body,
    part: _Part,
    stacking: Sequence[Value],
    taking: Sequence[tuple[Value, Value]],
) -> Node:
    """Of one part: stacks some values besides its results, takes others from what was stacked."""
    node, graph = body.node, body.graph
    end = body.consts + body.carry
    kept = [i for i in part.results if i < body.carry]
    consts, xs = (
        [i for i in places if graph.inputs[i] in part.leaves]
        for places in (range(body.consts), range(end, len(graph.inputs)))
    )
    places = [*consts, *(body.consts + i for i in kept), *xs]
    inputs = [node.inputs[i] for i in places] + [stack for _, stack in taking]
    inside = Graph(
        tuple(graph.inputs[i] for i in places) + tuple(value for value, _ in taking),
        tuple(inner for inner in graph.nodes if inner in part.nodes),
        tuple(graph.outputs[i] for i in part.results) + tuple(stacking),
    )
    types = [node.outputs[i].type for i in part.results]
    length = node.params["length"]
    types += [Type(value.dtype, (length, *value.shape)) for value in stacking]
    builder = Builder()
    builder.source = node.source
    params = dict(node.params) | {"consts": len(consts), "carry": len(kept)}
    builder.add("scan", inputs, types, bodies=[fresh(inside)], **params)
    (scan,) = builder.nodes
    return scan
