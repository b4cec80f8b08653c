"""When the values of one graph body are read: by which unit, and whether for the last time.

In: a graph. Out: its units in running order, and for each value who reads it and which unit is the
last to read its memory. Nothing here knows of memory: a value that is a view of another counts as
that one, its `root`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tilewright.graph.ir import Graph, Node, Value
from tilewright.plan.recompute import recomputed
from tilewright.plan.schedule import CHEAP, FOREVER, Unit, alias_root, schedule

__all__ = ["FOREVER", "Lives"]


class Lives:
    """`now` is the number of the unit that is being lowered."""

    def __init__(self, graph: Graph, far: int = FOREVER, sparing: bool = False):
        """Values of `far` bytes and more are recomputed rather than stored, where that is easy; all
        such values where memory is to be spared."""
        self.graph = graph
        self.producers = graph.producers()
        self.units = schedule(graph, far)
        self.recomputed = recomputed(self.units, graph, 1 if sparing else far, CHEAP)
        self.now = 0
        self.last_read = self._last_reads()
        self.consumers = self._consumers()

    def root(self, value: Value) -> Value:
        return alias_root(value, self.producers)

    def read_by(self, node: Node) -> Iterator[Value]:
        """What a node reads of memory: of values that are not stored, what they are made of."""
        for value in node.inputs:
            yield from self.recomputed.get(value, (value,))

    def _last_reads(self) -> dict[Value, int]:
        """The last unit that reads a value's memory, seen through views; outputs live forever."""
        last: dict[Value, int] = {}
        for number, unit in enumerate(self.units):
            for node in unit.nodes:
                for value in self.read_by(node):
                    last[self.root(value)] = number
        for value in self.graph.outputs:
            last[self.root(value)] = FOREVER
        return last

    def _consumers(self) -> dict[Value, list[Node | None]]:
        """Who reads each value; None stands for the graph's outputs."""
        consumers: dict[Value, list[Node | None]] = {}
        for node in self.graph.nodes:
            for value in node.inputs:
                consumers.setdefault(value, []).append(node)
        for value in self.graph.outputs:
            consumers.setdefault(value, []).append(None)
        return consumers

    def leaves_unit(self, value: Value, unit: Unit) -> bool:
        """Whether the value is stored for anything outside of the unit."""
        if value in self.recomputed:
            return False
        return any(reader not in unit.nodes for reader in self.consumers.get(value, ()))
