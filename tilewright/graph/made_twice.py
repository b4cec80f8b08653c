"""Rewrite: what a layer reads, and long after that the gradient of its kernel, is made twice.

In: a graph with the backward pass of a net. Out: the same, where the gradients of kernels read
copies of the elementwise nodes that make their images: what follows a convolution, its norm and its
activation. Always: the same bits; a copy is made of one large array that is read later still, and
of what repeats along channels, by few nodes, at most one of them a function.

So a layer's raw output is all that is kept of it between the two passes. Otherwise the activated
images would be written to memory, and read back from there, when the raw ones are read there
anyway: a step of EfficientNet-B0 over 16 images needs a fifth less memory so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.widened import widens_again
from tilewright.machine.machine import Machine

MOST_NODES, MOST_FUNCTIONS = 12, 1
"""Of what is made twice."""
CHEAP = frozenset("neg abs add sub mul max min select convert not and or xor constant".split())
"""Operations that are no functions."""


def made_twice(graph: Graph, machine: Machine) -> Graph:
    """The same graph (not its bodies)."""
    late = [node for node in graph.nodes if kernel_gradient(node)]
    return _Copies(graph, machine.tile.memory).made() if late else graph


def kernel_gradient(node: Node) -> Sequence[int]:
    """Which operands are images, of a node that sums over all their places; of others: none."""
    if node.op == "conv_filter":
        return (0,)
    if node.op != "dot" or any(node.params["batch"]):
        return ()
    sides = zip(node.inputs, node.params["contract"], strict=True)
    whole = all(tuple(dims) == tuple(range(len(v.shape) - 1)) for v, dims in sides)
    return (0, 1) if whole and len(node.inputs[0].shape) == 4 else ()


class _Copies:
    """Of one graph."""

    def __init__(self, graph: Graph, far: int):
        """`far`: bytes from which on an array is worth it."""
        self.graph, self.far, self.producers = graph, far, graph.producers()
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.readers = graph.readers()

    def made(self) -> Graph:
        nodes: list[Node] = []
        for node in self.graph.nodes:
            inputs = list(node.inputs)
            for i in kernel_gradient(node):
                chain = self._chain(node.inputs[i], node)
                copies = _copied(chain)
                nodes += copies
                inputs[i] = copies[-1].output if copies else inputs[i]
            same = inputs == list(node.inputs)
            nodes.append(node if same else replace(node, inputs=tuple(inputs)))
        return replace(self.graph, nodes=tuple(nodes))

    def _chain(self, value: Value, late: Node) -> list[Node]:
        """What makes a value that a layer read before, in order; empty where it is kept."""
        if value.type.nbytes < self.far or not self._is_for_a_layer(value, late):
            return []
        chain, leaves = self._making(value)
        functions = sum(node.op not in CHEAP for node in chain)
        if not chain or len(chain) > MOST_NODES or functions > MOST_FUNCTIONS:
            return []
        large = [leaf for leaf in leaves if not self._repeats(leaf)]
        kept = {*large, *(node.output for node in chain[:-1])}
        return chain if len(large) == 1 and self._are_read_after(kept, late) else []

    def _is_for_a_layer(self, value: Value, late: Node) -> bool:
        others = [node for node in self.readers[value] if node is not late]
        layers = [n for n in others if n and n.op in ("conv", "dot") and not kernel_gradient(n)]
        return bool(layers) and len(layers) == len(others) == len(self.readers[value]) - 1

    def _making(self, value: Value) -> tuple[list[Node], set[Value]]:
        """Elementwise nodes, in the graph's order, and what they read of others."""
        found: set[Node] = set()
        leaves: set[Value] = set()
        waiting = [value]
        while waiting and len(found) <= MOST_NODES:
            one = waiting.pop()
            node = self.producers.get(one)
            if node is not None and widens_again(node, self.producers):
                found.add(node)
                leaves.update(node.inputs)
            elif node is not None and node.op in ELEMENTWISE:
                found.add(node)
                waiting += node.inputs
            else:
                leaves.add(one)
        return sorted(found, key=self.position.__getitem__), leaves

    def _repeats(self, value: Value) -> bool:
        """Whether it is a constant, or a line of channels at every place."""
        node = self.producers.get(value)
        if node is None or node.op != "broadcast":
            return node is not None and node.op == "constant"
        return set(node.params["dimensions"]) <= {len(value.shape) - 1}

    def _are_read_after(self, values: set[Value], late: Node) -> bool:
        """Whether something of what an array gives is."""
        readers = (node for value in values for node in self.readers[value])
        return any(
            node is not None and self.position[node] > self.position[late] for node in readers
        )


def _copied(chain: Sequence[Node]) -> list[Node]:
    renamed: dict[Value, Value] = {}
    copies = []
    for node in chain:
        inputs = tuple(renamed.get(value, value) for value in node.inputs)
        renamed[node.output] = Value(node.output.type)
        copies.append(replace(node, inputs=inputs, outputs=(renamed[node.output],)))
    return copies
