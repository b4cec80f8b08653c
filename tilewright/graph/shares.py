"""Rewrite: rows that never meet are done in shares, each from the first scan to the last.

In: a graph with scans over a batch, each sequence of it a row. Out: the same, with the scans, and
what stands around them and keeps rows apart as they do, as one `map` over shares of the rows. Else
tiles would wait for each other several times a trip, and the outputs of all rows at all trips would
fill the memory between two scans; so a tile stays with its rows, and waits for nobody. What the
loops read in every trip is read once more a share: shares have rows enough for that to be little
beside multiplying (see `share_ways.py`).

Always: not a bit changes, as no sum runs over rows (see `law.py`). Shares have equal numbers of
rows; the last is filled up with zeros, whose results are left out.
"""

from __future__ import annotations

from math import ceil

from tilewright.graph.apart import classes_of, keeps_apart
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.law import LANES
from tilewright.graph.narrow import Cut, narrowed, resized
from tilewright.graph.ops.operation import Rows
from tilewright.graph.share_ways import Ways, ways_of
from tilewright.graph.strips import in_order
from tilewright.machine.machine import Machine


def by_shares(graph: Graph, machine: Machine) -> Graph:
    """The same graph (not its bodies) with a `map` over shares of rows where that pays.

    Not for tiles that share no memory: rows lie in all of them at once, and stay.
    """
    scans = any(node.op == "scan" for node in graph.nodes)
    if not scans or machine.chip.exchange.apart:
        return graph
    chains = [chain for rows in classes_of(graph) if (chain := _Chain(graph, rows)).scans]
    ways = [chain.ways(machine) for chain in chains]
    chosen = min(range(len(ways)), key=lambda i: ways[i].gain, default=None)
    if chosen is None or ways[chosen].gain >= 1:
        return graph
    chain, way = chains[chosen], ways[chosen]
    return by_shares(chain.mapped(way.each, way.told(chain.length, machine)), machine)


class _Chain:
    """The nodes that keep one class of rows apart, from scans on; and before, for them alone."""

    def __init__(self, graph: Graph, rows: Rows):
        self.graph, self.rows = graph, rows
        self.producers = graph.producers()
        value, dimension = next(iter(rows.items()))
        self.length = value.shape[dimension]
        apart = {node for node in graph.nodes if keeps_apart(node, rows)}
        self.members = self._before(apart, self._behind(apart))
        scans = [node for node in graph.nodes if node in self.members and node.op == "scan"]
        self.scans = scans if self.length > 1 else []

    def _behind(self, apart: set[Node]) -> set[Node]:
        """Scans and what hangs on them, but for what hangs on both them and something else."""
        found: set[Node] = set()
        inside: set[Value] = set()
        later: set[Value] = set()
        for node in self.graph.nodes:
            begins = node.op == "scan" or not inside.isdisjoint(node.inputs)
            if node in apart and begins and later.isdisjoint(node.inputs):
                found.add(node)
                inside.update(node.outputs)
            elif not (inside | later).isdisjoint(node.inputs):
                later.update(node.outputs)
        return found

    def _before(self, apart: set[Node], found: set[Node]) -> set[Node]:
        """With what only they read."""
        if not found:
            return found
        readers, found = self.graph.readers(), set(found)
        for node in reversed(self.graph.nodes):
            reads = [r for v in node.outputs for r in readers.get(v, ())]
            if node in apart and reads and found.issuperset(reads):
                found.add(node)
        return found

    def ways(self, machine: Machine) -> Ways:
        left = sum(v.type.nbytes for v in self._left())
        moved = sum(v.type.nbytes for v in self.results() if self.rows.get(v))
        return ways_of(self.scans, self.rows, left, moved, self._grain(), machine)

    def _grain(self) -> int:
        """Rows that lie in the lanes of a vector."""
        inside = {v for node in self.scans for v in node.bodies[0].outputs}
        return LANES if any(self.rows.get(v) == len(v.shape) - 1 for v in inside) else 1

    def _left(self) -> set[Value]:
        """What scans stack and other nodes of the chain read."""
        stacked = {v for n in self.scans for v in n.outputs[n.params["carry"] :] if v in self.rows}
        return stacked & {v for node in self.members for v in node.inputs}

    def mapped(self, each: int, ways: str) -> Graph:
        """The graph with the chain as one node, for shares of `each` row."""
        rest = [node for node in self.graph.nodes if node not in self.members]
        mine = [node for node in self.graph.nodes if node in self.members]
        results = self.results()
        made = {v for node in mine for v in node.outputs}
        given = list(dict.fromkeys(v for n in mine for v in n.inputs if v not in made))
        literals = [v for v in given if v not in self.rows and self._is_number(v)]
        consts = [v for v in given if v not in self.rows and v not in literals]
        xs = [v for v in given if v in self.rows]
        shares, outer = ceil(self.length / each), Builder()
        cut = [Cut(self.length, shares, each, self.rows[v]) for v in xs]
        types = [v.type for v in consts] + [resized(v, self.rows, each) for v in xs]
        inside = Builder(types)
        here = dict(zip([*consts, *xs], inside.inputs, strict=True))
        for value in literals:
            here[value] = inside.constant(self.producers[value].params["value"])
        narrowed(inside, mine, here, self.rows, each)
        stacked = outer.add(
            "map",
            [*consts, *(c.shares(outer, v) for c, v in zip(cut, xs, strict=True))],
            [Type(v.dtype, (shares, *here[v].shape)) for v in results],
            bodies=[inside.graph([here[v] for v in results])],
            consts=len(consts),
            length=shares,
            ways=ways,
        )
        renamed = {
            value: self._joined(outer, value, many, shares, each)
            for value, many in zip(results, stacked, strict=True)
        }
        nodes = [
            Node(n.op, tuple(renamed.get(v, v) for v in n.inputs), n.outputs, n.params, n.bodies,
                 n.source)
            for n in [*rest, *outer.nodes]
        ]  # fmt: skip
        outputs = tuple(renamed.get(v, v) for v in self.graph.outputs)
        return Graph(self.graph.inputs, in_order(nodes), outputs, self.graph.law)

    def results(self) -> list[Value]:
        """What others read of it, in order."""
        read = {v for n in self.graph.nodes if n not in self.members for v in n.inputs}
        read.update(self.graph.outputs)
        nodes = [node for node in self.graph.nodes if node in self.members]
        return [v for node in nodes for v in node.outputs if v in read]

    def _is_number(self, value: Value) -> bool:
        """A constant that the body writes into itself."""
        node = self.producers.get(value)
        return node is not None and node.op == "constant" and value.type.size == 1

    def _joined(self, outer: Builder, value: Value, many: Value, shares: int, each: int) -> Value:
        """A result of all shares; what has no rows is the same of each."""
        if value in self.rows:
            return Cut(self.length, shares, each, self.rows[value]).joined(outer, many)
        begin, limit = (0,) * len(many.shape), (1, *value.shape)
        first = outer.op("slice", many, start=begin, limit=limit, stride=(1,) * len(many.shape))
        return outer.op("reshape", first, shape=value.shape)
