"""Rewrite: a transpose of an elementwise result becomes elementwise work on transposed operands.

There it is often for nothing (of a broadcast, of another transpose), and what follows the transpose
fuses with what came before it: the sum of outer products `c + (x[:, None] * y).T` is one vertex.
A product of two matrices is turned by swapping them: `(w @ x + u @ h).T` has rows of x and h again.
Done where at most one operand is then read through a transpose, as the result was before, and where
nobody else reads what would be computed twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.products import is_swappable, swap
from tilewright.graph.rewrite import Rebuilder, with_bodies

MOST = 40
"""Nodes that are looked through: as many as fuse."""


def raise_transposes(graph: Graph) -> Graph:
    """The same graph, in all bodies too."""
    uses = Counter(v for node in graph.nodes for v in node.inputs) + Counter(graph.outputs)
    new = Rebuilder(graph.inputs)
    for node in graph.nodes:
        node = with_bodies(new.renamed(node), raise_transposes)
        if node.op == "transpose" and _pays(new, node.inputs[0], uses):
            turn = _Turn(new, tuple(node.params["permutation"]), uses)
            new.source = node.source
            new.replace(node.outputs, [turn.of(node.inputs[0])])
        else:
            new.keep(node)
    return new.finish(graph.outputs)


def _chain(new: Rebuilder, value: Value, uses: Counter[Value]) -> Node | None:
    """The elementwise node that makes a value for a single reader."""
    node = new.producer(value)
    return node if node is not None and node.op in ELEMENTWISE and uses[value] == 1 else None


def _pays(new: Rebuilder, value: Value, uses: Counter[Value]) -> bool:
    if _chain(new, value, uses) is None:
        return False
    seen, pending, costly = 0, [value], set()
    while pending:
        value = pending.pop()
        node = _chain(new, value, uses)
        if node is not None:
            pending += node.inputs
            seen += 1
        elif not (_is_free(node := new.producer(value)) or _is_product(node, uses)):
            costly.add(value)
    return len(costly) <= 1 and seen <= MOST


def _is_free(node: Node | None) -> bool:
    return node is not None and node.op in ("broadcast", "transpose", "iota", "constant")


def _is_product(node: Node | None, uses: Counter[Value]) -> bool:
    return node is not None and is_swappable(node) and uses[node.output] == 1


class _Turn:
    """Values with their dimensions in another order, each made once."""

    def __init__(self, new: Rebuilder, permutation: tuple[int, ...], uses: Counter[Value]):
        self.new, self.permutation, self.uses = new, permutation, uses
        self.known: dict[Value, Value] = {}

    def of(self, value: Value) -> Value:
        if value not in self.known:
            self.known[value] = self._made(value)
        return self.known[value]

    def _made(self, value: Value) -> Value:
        new, permutation = self.new, self.permutation
        shape = tuple(value.shape[i] for i in permutation)
        node = new.producer(value)
        chain = _chain(new, value, self.uses)
        if chain is not None:
            output = Value(replace(value.type, shape=shape))
            inputs = tuple(map(self.of, chain.inputs))
            new.keep(replace(chain, inputs=inputs, outputs=(output,)))
            return output
        if node is not None and node.op == "broadcast":
            places = tuple(permutation.index(d) for d in node.params["dimensions"])
            return new.op("broadcast", node.inputs[0], shape=shape, dimensions=places)
        if node is not None and node.op == "constant":
            return new.constant(np.transpose(node.params["value"], permutation))
        if node is not None and node.op == "iota":
            place = permutation.index(node.params["dimension"])
            return new.op("iota", **dict(node.params) | {"shape": shape, "dimension": place})
        if _is_product(node, self.uses):
            assert node is not None
            return swap(new, node)
        if node is not None and node.op == "transpose":
            value = node.inputs[0]
            permutation = tuple(node.params["permutation"][i] for i in permutation)
            if permutation == tuple(range(len(permutation))):
                return value
        return new.op("transpose", value, permutation=permutation)
