"""What rewrites share: rebuilding a graph node by node, and copying one graph into another.

A rewrite is a pure function from graph to graph. Nodes that stay keep their output values, so a
rebuilt graph may share values with the old one, but no graph holds a value twice. The usual shape:

    def rewrite(graph: Graph) -> Graph:
        new = Rebuilder(graph.inputs)
        for node in graph.nodes:
            node = with_bodies(new.renamed(node), rewrite)
            new.keep(node)  # or: new.replace(node.outputs, other values)
        return new.finish(graph.outputs)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps

from tilewright.graph.ir import Builder, Graph, Node, Value
from tilewright.machine.machine import Machine


class Rebuilder(Builder):
    """A builder on existing inputs that knows what stands for what, and who makes a value."""

    def __init__(self, inputs: Iterable[Value]):
        super().__init__()
        self.inputs = tuple(inputs)
        self._renamed: dict[Value, Value] = {}
        self._producer: dict[Value, Node] = {}
        self._known = 0

    def read(self, value: Value) -> Value:
        """What stands for an old value now."""
        return self._renamed.get(value, value)

    def read_all(self, values: Iterable[Value]) -> tuple[Value, ...]:
        renamed = self._renamed
        return tuple([renamed.get(value, value) for value in values])

    def renamed(self, node: Node) -> Node:
        """The node, reading what now stands for its inputs."""
        if not self._renamed or self._renamed.keys().isdisjoint(node.inputs):
            return node
        return replace(node, inputs=self.read_all(node.inputs))

    def keep(self, node: Node) -> None:
        """Append a node as it is, outputs and all."""
        self.nodes.append(node)

    def replace(self, old: Sequence[Value], new: Sequence[Value]) -> None:
        """From here on, `new` stands for `old`."""
        for value, other in zip(old, self.read_all(new), strict=True):
            if other is not value:
                self._renamed[value] = other

    def producer(self, value: Value) -> Node | None:
        """The node that defines a value of the new graph; None for an input."""
        found = self._producer.get(value)
        if found is None and self._known < len(self.nodes):
            for node in self.nodes[self._known :]:
                self._producer.update(dict.fromkeys(node.outputs, node))
            self._known = len(self.nodes)
            found = self._producer.get(value)
        return found

    def finish(self, outputs: Iterable[Value]) -> Graph:
        """The new graph, given the old outputs."""
        return Graph(self.inputs, tuple(self.nodes), self.read_all(outputs))


def anywhere(rewrite: Callable[[Graph], Graph]) -> Callable[[Graph, Machine], Graph]:
    """A rewrite that is right on every machine, for a list of those that are given one."""

    @wraps(rewrite)
    def on(graph: Graph, machine: Machine) -> Graph:
        return rewrite(graph)

    return on


def with_bodies(node: Node, rewrite: Callable[[Graph], Graph]) -> Node:
    """The node with every body rewritten."""
    if not node.bodies:
        return node
    bodies = tuple(map(rewrite, node.bodies))
    same = all(a is b for a, b in zip(bodies, node.bodies, strict=True))
    return node if same else replace(node, bodies=bodies)


def copy_nodes(
    builder: Builder, nodes: Iterable[Node], table: dict[Value, Value]
) -> dict[Value, Value]:
    """Append copies of `nodes` with fresh outputs; `table`, which grows, says what they read."""
    for node in nodes:
        outputs = tuple(Value(v.type) for v in node.outputs)
        inputs = tuple(table[v] for v in node.inputs)
        bodies = tuple(map(fresh, node.bodies))
        builder.nodes.append(replace(node, inputs=inputs, outputs=outputs, bodies=bodies))
        table.update(zip(node.outputs, outputs, strict=True))
    return table


def inline(builder: Builder, body: Graph, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Append a copy of a body, given its inputs; return its outputs."""
    table = dict(zip(body.inputs, arguments, strict=True))
    copy_nodes(builder, body.nodes, table)
    return tuple(table[v] for v in body.outputs)


def fresh(graph: Graph) -> Graph:
    """A copy that shares no value with the original."""
    builder = Builder(v.type for v in graph.inputs)
    return builder.graph(inline(builder, graph, builder.inputs))


def users(graph: Graph) -> dict[Value, list[Node]]:
    """The nodes that read each value, once for each operand."""
    result: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            result.setdefault(value, []).append(node)
    return result


def cone(
    producers: Mapping[Value, Node], targets: Iterable[Value], stop: Collection[Value] = ()
) -> tuple[set[Node], set[Value]]:
    """The nodes that `targets` hang on, and the values they start from.

    Those are inputs of the graph, and values in `stop` (unless they are targets themselves).
    """
    nodes: set[Node] = set()
    leaves: set[Value] = set()
    pending = [(value, True) for value in targets]
    while pending:
        value, is_target = pending.pop()
        node = producers.get(value)
        if node is None or (value in stop and not is_target):
            leaves.add(value)
        elif node not in nodes:
            nodes.add(node)
            pending.extend((v, False) for v in node.inputs)
    return nodes, leaves
