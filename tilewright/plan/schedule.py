"""Which nodes run together, and in what order.

In: a graph. Out: a list of `Unit`s in an order that respects every dependence. A unit is one
vertex: either elementwise nodes over one shape, fused; or a single other node, a reduction together
with the elementwise nodes that only it reads, or with all that make what it sums (see `totals.py`),
a product of matrices or a convolution with such as follow it (see `epilogues.py`). Movement that
`views.py` can express belongs to no unit.

Every unit has a *level*: units of a lower level come first, and nothing in a level depends on
another unit of it. A node joins a unit of its own shape at the lowest level its operands allow, so
chains fuse downwards and equals fuse sideways (the many scalars of a sampler become a few
vertices).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE, OPERATIONS, VIEWS
from tilewright.graph.widened import widens_again
from tilewright.plan.at_once import at_once
from tilewright.plan.cells import with_cells
from tilewright.plan.epilogues import with_epilogues
from tilewright.plan.late import late
from tilewright.plan.totals import with_totals

UPDATES = frozenset(op for op, row in OPERATIONS.items() if row.updates)
"""Nodes that can work in place on their first operand, so they are put off until it is free."""

CHEAP = frozenset("neg abs add sub mul max min select convert not and or xor".split())
"""Operations that cost less than storing and loading their result."""

ALIASES = VIEWS | {"masked"}
"""What is read where its operand lies; of what is `masked`, part as zeros (`masked.py`)."""

SCALAR_LIMIT, VECTOR_LIMIT = 120, 40
FOREVER = 1 << 60
SIDEWAYS_SIZE = 1024


@dataclass(eq=False)
class Unit:
    """Nodes that become one vertex; `nodes` are in the graph's order, the last one is the root.

    The first `elementwise` of a reduction's could be a vertex of their own; the last `totals` are
    its sums.
    """

    kind: str
    shape: tuple[int, ...]
    level: int
    order: int
    nodes: list[Node] = field(default_factory=list)
    elementwise: int = 0
    totals: int = 1

    @property
    def limit(self) -> int:
        return SCALAR_LIMIT if self.shape == () else VECTOR_LIMIT


def schedule(graph: Graph, far: int = FOREVER) -> list[Unit]:
    """The units of a graph, in running order; sums share passes over arrays of `far` bytes."""
    return _Scheduler(graph, far).run()


def alias_root(value: Value, producers: dict[Value, Node]) -> Value:
    """The value whose memory `value` is a view of."""
    node = producers.get(value)
    while node is not None and node.op in ALIASES:
        value = node.inputs[0]
        node = producers.get(value)
    return value


class _Scheduler:
    def __init__(self, graph: Graph, far: int):
        self.graph, self.far = graph, far
        self.producers = graph.producers()
        self.unit_of: dict[Value, Unit] = {}
        self.units: list[Unit] = []
        self.open: dict[tuple[int, tuple[int, ...]], list[Unit]] = defaultdict(list)
        self.readers: dict[Value, int] = defaultdict(int)
        self.absorbed = self._absorbed_by_reductions()

    def run(self) -> list[Unit]:
        for order, node in enumerate(self._ordered()):
            if node.op in ALIASES or node.op == "constant" or node in self.absorbed:
                continue
            if node.op in ELEMENTWISE or node.op == "iota":
                unit = self._place_elementwise(node, order)
            else:
                unit = self._place_alone(node, order)
            for value in node.outputs:
                self.unit_of[value] = unit
        units = [unit for unit in self.units if unit.nodes]
        units.sort(key=lambda unit: (unit.level, unit.order))
        self._postpone(units)
        units = [unit for unit in units if unit.nodes]
        units = with_epilogues(units, self.graph, CHEAP, self._root)
        units = at_once(with_cells(units, self.graph), self.far, self._root)
        return late(with_totals(units, VECTOR_LIMIT, self._root), self._root)

    def _root(self, value: Value) -> Value:
        return alias_root(value, self.producers)

    def _postpone(self, units: list[Unit]) -> None:
        """Move cheap nodes that one later unit reads to that unit, if this spares memory traffic.

        It does when all that the node reads is in memory anyway: its own result then never is. Or
        made for it alone of what the graph is given, by cheap nodes, which then follow it.
        """
        readers: dict[Value, set[Node | None]] = defaultdict(set)
        for node in self.graph.nodes:
            for value in node.inputs:
                readers[value].add(node)
        for value in self.graph.outputs:
            readers[value].add(None)
        home = {node: unit for unit in units for node in unit.nodes}
        following, updated = self._following(readers), self._updated(units)
        for unit in units:
            if unit.kind != "fused" or unit.shape == ():
                continue
            for node in reversed(list(unit.nodes)):
                homes = {home.get(reader) if reader else None for reader in readers[node.output]}
                later = homes.pop() if len(homes) == 1 else None
                if later is None or later is unit or not self._may_take(later, node):
                    continue
                if any(reader and self._reads_kept(reader) for reader in readers[node.output]):
                    continue
                roots = (alias_root(v, self.producers) for v in node.inputs)
                if any(updated.get(root, later.level) < later.level for root in roots):
                    continue  # it would keep an update from working in place
                rest = set(node.inputs) - following
                if all(self._is_stored(v, unit, node, readers, home) for v in rest):
                    unit.nodes.remove(node)
                    later.nodes.insert(0, node)
                    home[node] = later
                    self.unit_of[node.output] = later

    def _updated(self, units: list[Unit]) -> dict[Value, int]:
        """The level at which the memory of a value is first updated."""
        levels: dict[Value, int] = {}
        for unit in units:
            for node in unit.nodes:
                if node.op in UPDATES:
                    levels.setdefault(alias_root(node.inputs[0], self.producers), unit.level)
        return levels

    @staticmethod
    def _may_take(later: Unit, node: Node) -> bool:
        return (
            later.kind == "fused"
            and later.shape == node.output.shape
            and node.op in CHEAP
            and len(later.nodes) < later.limit
        )

    def _is_stored(
        self,
        value: Value,
        unit: Unit,
        reader: Node,
        readers: dict[Value, set[Node | None]],
        home: dict[Node, Unit],
    ) -> bool:
        """Whether a value is in memory whoever computes `reader`."""
        maker = self.producers.get(value)
        if maker is None or home.get(maker) is not unit:
            return True
        return any(
            other is None or home.get(other) is not unit
            for other in readers[value]
            if other is not reader
        )

    def _following(self, readers: dict[Value, set[Node | None]]) -> set[Value]:
        """What is given, and what cheap nodes make of such for one reader that is as large."""

        def given(value: Value) -> bool:
            maker = self.producers.get(self._root(value))
            return maker is None or maker.op == "constant"

        found = {value for value in readers if given(value)}
        for node in self.graph.nodes:
            if node.op in CHEAP and found.issuperset(node.inputs):
                asking = list(readers[node.output])
                only = asking[0] if len(asking) == 1 else None
                if only is not None and only.outputs[0].shape == node.output.shape:
                    found.add(node.output)
        return found

    def _absorbed_by_reductions(self) -> set[Node]:
        """Elementwise nodes that only one reduction reads, directly or through each other."""
        uses: dict[Value, int] = defaultdict(int)
        for node in self.graph.nodes:
            for value in node.inputs:
                uses[value] += 1
        for value in self.graph.outputs:
            uses[value] += 1
        absorbed: set[Node] = set()

        def absorb(value: Value) -> None:
            node = self.producers.get(value)
            if node is None or node.op not in ELEMENTWISE or uses[value] != 1:
                return
            if len(absorbed) - before >= VECTOR_LIMIT:
                return
            absorbed.add(node)
            for operand in node.inputs:
                absorb(operand)

        for node in self.graph.nodes:
            if node.op == "reduce" and node.inputs[0].shape:
                before = len(absorbed)
                absorb(node.inputs[0])
        return absorbed

    def _ordered(self) -> list[Node]:
        """The nodes in dependence order, updates as late as they can be, else as given."""
        if not any(node.op in UPDATES for node in self.graph.nodes):
            return list(self.graph.nodes)
        waiting: dict[Node, int] = {}
        consumers: dict[Node, list[Node]] = defaultdict(list)
        position = {node: i for i, node in enumerate(self.graph.nodes)}
        ready: list[tuple[bool, int, Node]] = []
        for node in self.graph.nodes:
            makers = {self.producers[v] for v in node.inputs if v in self.producers}
            waiting[node] = len(makers)
            for maker in makers:
                consumers[maker].append(node)
            if not makers:
                heapq.heappush(ready, (node.op in UPDATES, position[node], node))
        ordered = []
        while ready:
            node = heapq.heappop(ready)[2]
            ordered.append(node)
            for consumer in consumers[node]:
                waiting[consumer] -= 1
                if not waiting[consumer]:
                    late = consumer.op in UPDATES
                    heapq.heappush(ready, (late, position[consumer], consumer))
        return ordered

    def _leaves(self, node: Node) -> list[Value]:
        """What the node's vertex reads: its operands, seen through absorbed nodes."""
        leaves = []
        for value in node.inputs:
            maker = self.producers.get(value)
            leaves += self._leaves(maker) if maker in self.absorbed else [value]
        return leaves

    def _level_after(self, value: Value) -> int:
        unit = self.unit_of.get(alias_root(value, self.producers))
        return 0 if unit is None else unit.level + 1

    def _read(self, values: list[Value], level: int) -> None:
        for value in values:
            root = alias_root(value, self.producers)
            self.readers[root] = max(self.readers[root], level)

    def _place_alone(self, node: Node, order: int) -> Unit:
        leaves = self._leaves(node)
        level = max([self._level_after(v) for v in leaves], default=0)
        if node.op in UPDATES:
            level = max(level, self.readers[alias_root(node.inputs[0], self.producers)] + 1)
        self._read(leaves, level)
        unit = Unit(node.op, node.outputs[0].shape if node.outputs else (), level, order)
        unit.nodes = [*self._absorbed_chain(node), node]
        self.units.append(unit)
        return unit

    def _absorbed_chain(self, node: Node) -> list[Node]:
        chain: list[Node] = []
        for value in node.inputs:
            maker = self.producers.get(value)
            if maker in self.absorbed and maker not in chain:
                chain += [n for n in self._absorbed_chain(maker) if n not in chain] + [maker]
        return chain

    def _place_elementwise(self, node: Node, order: int) -> Unit:
        shape = node.output.shape
        level, joinable = 0, []
        for value in node.inputs:
            unit = self.unit_of.get(value)
            joins = unit is not None and unit.kind == "fused" and unit.shape == shape
            if unit is not None and joins and not self._reads_kept(node):
                level = max(level, unit.level)
                joinable.append(unit)
            else:
                level = max(level, self._level_after(value))
        candidates = list(dict.fromkeys(u for u in joinable if u.level == level))
        if candidates:
            unit = self._join(candidates)
            if unit is None:
                level += 1
                unit = self._sideways(level, shape, order)
        else:
            unit = self._sideways(level, shape, order)
        unit.nodes.append(node)
        self._read(list(node.inputs), level)
        return unit

    def _reads_kept(self, node: Node) -> bool:
        """Whether it widens what a large array was narrowed to, which then is stored."""
        return widens_again(node, self.producers) and node.output.type.nbytes >= self.far

    def _join(self, candidates: list[Unit]) -> Unit | None:
        """One unit out of the candidates (all of one level), if it does not grow too large."""
        first = min(candidates, key=lambda unit: unit.order)
        if sum(len(unit.nodes) for unit in candidates) >= first.limit:
            return None
        for other in candidates:
            if other is not first:
                first.nodes += other.nodes
                for node in other.nodes:
                    self.unit_of[node.output] = first
                other.nodes = []
        return first

    def _sideways(self, level: int, shape: tuple[int, ...], order: int) -> Unit:
        size = 1
        for n in shape:
            size *= n
        if size <= SIDEWAYS_SIZE:
            for unit in self.open[level, shape]:
                if unit.nodes and len(unit.nodes) < unit.limit:
                    return unit
        unit = Unit("fused", shape, level, order)
        self.units.append(unit)
        self.open[level, shape].append(unit)
        return unit
