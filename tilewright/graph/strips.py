"""Rewrite: chains over the rows of a data set become `strips`.

A *row dimension* runs through a chain of operations (a matrix product with the rows free,
elementwise work, a product that contracts the rows again). Run whole, its intermediates outgrow a
tile's memory; so the chain becomes one node whose body does a strip of rows, from inputs to sums,
in L1 and L2:

    strips  (consts, xs) -> (ys, sums)      params consts, ys, rows, axes, first,
                                            strip, strips
        bodies: (consts, x) -> (y, partial sums), for `strip` rows; if rows % strip, another for the
        rest

There is at least one x; `axes` says which dimension of each is the rows: the first or the last. In
ys and in the body the row dimension comes `first` (layers' units lie in vector lanes) or last (rows
do, whatever the widths of the layers): see `strip_order.py`. With rows last, an x that a product
sums over the rows is given again with its rows first: there lanes run along its other dimension. ys
are put together along their rows. Sums: several strips have 2^j leaves of the law each, so that
their sums are nodes of its tree (`graph/law.py`): strips, and any grouping of them, change no bit.
Sums of 16-bit floats leave the strips in float32.

Where one strip has all rows, and they come first as they are, it would be the graph as it stands,
of which nothing could go with what is around it: there is none.

Rows whose values depend on a sum over the same rows (a normaliser) fall in a later phase: a
`strips` node of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

from tilewright.graph.by_law import leaf_of
from tilewright.graph.ir import Builder, Graph, Node, Value
from tilewright.graph.law import LEAF
from tilewright.graph.ops import VIEWS
from tilewright.graph.ops.in_strip import row_back, row_order
from tilewright.graph.rows import is_member, is_sum, row_classes
from tilewright.graph.strip_body import StripBody
from tilewright.graph.strip_order import is_product_of_matrices, rows_first
from tilewright.graph.tile_rows import Chain
from tilewright.machine.machine import Machine

SHARE = 5 / 32
"""Of a tile's memory, for the rows that a strip's products read and write: beside them lie weights,
what is elementwise, and the next strip on its way (160 KiB of 1 MiB did best on Zen 4)."""
BETWEEN = 1 / 4
"""What lies between products that read all arrays once must take more than so much of those, or of
the tile's memory. Weights that meet few rows are such a chain over units, too; where they are bound
they are better read packed (six layers of 1,000 units, 8 rows: 1.1 ms for 2.6 on Zen 4), else not
(2.7 for 2.2)."""
MAX_STRIP = 1024
"""Rows beyond which vertices are so long that calling them costs nothing."""


def make_strips(graph: Graph, machine: Machine, *, bound: bool = False) -> Graph:
    """The same graph with every worthwhile chain over rows, in all bodies, made a `strips` node.

    `bound`: weights will be fixed, so chains over their units are none (see `BETWEEN`).
    """
    nodes = tuple(_with_bodies(node, machine, bound) for node in graph.nodes)
    graph = Graph(graph.inputs, nodes, graph.outputs)
    for rows in row_classes(graph):
        graph = _Chain(graph, rows, machine, bound).rewritten()
    return graph


def make_strips_of_data(graph: Graph, machine: Machine) -> Graph:
    """The same, where weights will be bound."""
    return make_strips(graph, machine, bound=True)


def _with_bodies(node: Node, machine: Machine, bound: bool) -> Node:
    if not node.bodies or node.op == "strips":
        return node
    if node.op == "map" and _is_apart(machine):  # an instance has a tile, and no more
        chip = replace(machine.chip, tiles=1)
        machine = replace(machine, chip=chip, chips_per_replica=1, replicas=1)
    bodies = tuple(make_strips(body, machine, bound=bound) for body in node.bodies)
    return Node(node.op, node.inputs, node.outputs, node.params, bodies, node.source)


@dataclass
class _Phase:
    members: list[Node]
    sums: list[Node]


class _Chain:
    """One class of rows in one graph, cut into phases and rewritten."""

    def __init__(self, graph: Graph, rows: dict[Value, int], machine: Machine, bound: bool):
        self.graph, self.machine, self.bound = graph, machine, bound
        self.rows = rows
        self.producers = graph.producers()
        value, dimension = next(iter(rows.items()))
        self.length = value.shape[dimension]
        self.phases = self._phases()

    def _phases(self) -> dict[int, _Phase]:
        """Members and sums by phase: what depends on a phase's results comes later."""
        inside: dict[Value, int] = {}
        outside: dict[Value, int] = defaultdict(int)
        phases: dict[int, _Phase] = defaultdict(lambda: _Phase([], []))
        for node in self.graph.nodes:
            member, total = is_member(node, self.rows), is_sum(node, self.rows)
            if member or total:
                phase = max(
                    (inside[v] if v in inside else outside[v] for v in node.inputs), default=0
                )
                (phases[phase].members if member else phases[phase].sums).append(node)
                if member:
                    inside[node.output] = phase
                outside[node.output] = phase + 1
            else:
                phase = max((outside[v] for v in node.inputs), default=0)
                for value in node.outputs:
                    outside[value] = phase
        return {
            p: phase
            for p, phase in phases.items()
            if self._is_chain(phase) and self._saves(phase) and self._strip_rows(phase)
        }

    def _is_chain(self, phase: _Phase) -> bool:
        """Whether there is a product to save memory for, and rows that come from outside."""
        made = {node.output for node in phase.members}
        read = {v for node in (*phase.members, *phase.sums) for v in node.inputs}
        has_product = any(node.op == "dot" for node in phase.members)
        return has_product and any(v in self.rows for v in read - made)

    def _saves(self, phase: _Phase) -> bool:
        """Whether an array is read twice, or much lies between the products; of what is bound."""
        if not self.bound or _is_apart(self.machine):
            return True
        made = {node.output for node in phase.members}
        products = [node for node in (*phase.members, *phase.sums) if node.op == "dot"]
        given = [v for node in products for v in node.inputs if v in self.rows]
        read = [v for v in given if self._source(v, VIEWS) not in made]
        arrays = {self._source(v, ("transpose", "copy")) for v in read}
        between = sum(v.type.nbytes for node in products for v in node.outputs if v in made)
        all_read = sum(value.type.nbytes for value in arrays)
        wide = between > BETWEEN * min(all_read, self.machine.tile.memory)
        return wide or len(arrays) < len(read)

    def _source(self, value: Value, views: Collection[str]) -> Value:
        """What an array is seen of, through such operations."""
        while (node := self.producers.get(value)) and node.op in views:
            value = node.inputs[0]
        return value

    def rewritten(self) -> Graph:
        gone = {n for phase in self.phases.values() for n in (*phase.members, *phase.sums)}
        builder = Builder()
        renamed: dict[Value, Value] = {}
        for phase in self.phases.values():
            self._add_phase(builder, phase, renamed)
        kept = [node for node in self.graph.nodes if node not in gone]
        nodes = [*kept, *builder.nodes]
        renamed_nodes = [
            Node(
                n.op,
                tuple(renamed.get(v, v) for v in n.inputs),
                n.outputs,
                n.params,
                n.bodies,
                n.source,
            )
            for n in nodes
        ]
        outputs = tuple(renamed.get(v, v) for v in self.graph.outputs)
        return Graph(self.graph.inputs, in_order(renamed_nodes), outputs)

    def _add_phase(self, builder: Builder, phase: _Phase, renamed: dict[Value, Value]) -> None:
        """Append one `strips` node, with the layout changes before and after it."""
        made = {node.output for node in phase.members}
        nodes = [n for n in self.graph.nodes if n in set(phase.members) | set(phase.sums)]
        read = list(dict.fromkeys(v for node in nodes for v in node.inputs if v not in made))
        xs = [v for v in read if v in self.rows]
        consts = [v for v in read if v not in self.rows and not self._is_literal(v)]
        literals = [v for v in read if v not in self.rows and self._is_literal(v)]
        used = {v for n in self.graph.nodes if n not in nodes for v in n.inputs}
        used |= set(self.graph.outputs)
        ys = [node.output for node in phase.members if node.output in used]
        sums = [node.output for node in phase.sums]
        strip = self._strip_rows(phase)
        assert strip is not None
        # A tile is brought neighbouring rows, not the same columns of all.
        first = _is_apart(self.machine) or rows_first(nodes, self.rows, self.machine)
        twice = [] if first else self._summed(phase.sums, xs)
        plan = StripBody(
            self.rows, self.producers, nodes, consts, literals, xs, twice, ys, sums, first
        )
        sizes = [strip] + ([self.length % strip] if self.length % strip else [])
        inputs = consts + [self._moved(builder, v, first) for v in xs]
        inputs += [self._moved(builder, v, True) for v in twice]
        results = builder.add(
            "strips",
            inputs,
            [*(plan.type_of(v, self.length) for v in ys), *map(plan.sum_type, sums)],
            bodies=[plan.body(size) for size in sizes],
            consts=len(consts),
            ys=len(ys),
            rows=self.length,
            axes=tuple(0 if first else len(v.shape) - 1 for v in xs) + (0,) * len(twice),
            first=first,
            strip=strip,
            strips=-(-self.length // strip),
            **({} if (rows := self._leaf(phase)) == LEAF else {"leaf": rows}),
        )
        for value, result in zip(ys, results, strict=False):
            renamed[value] = row_back(builder, result, self.rows[value], plan.first)
        for value, result in zip(sums, results[len(ys) :], strict=True):
            if plan.is_turned(self.producers[value]):
                result = builder.op("transpose", result, permutation=(1, 0))
            same = value.dtype == result.dtype
            renamed[value] = result if same else builder.op("convert", result, dtype=value.dtype)

    def _is_literal(self, value: Value) -> bool:
        """A scalar constant: written into the body itself."""
        node = self.producers.get(value)
        return node is not None and node.op == "constant" and value.type.size == 1

    def _moved(self, builder: Builder, value: Value, first: bool) -> Value:
        """A dense copy with the rows at an end (none needed for a vector); loops hoist it."""
        order = row_order(len(value.shape), self.rows[value], first)
        if order == tuple(range(len(order))):
            return value
        return builder.op("copy", builder.op("transpose", value, permutation=order))

    def _summed(self, sums: list[Node], xs: list[Value]) -> list[Value]:
        """Matrices that products of matrices sum over the rows."""
        products = [node for node in sums if node.op == "dot"]
        read = [v for node in products if is_product_of_matrices(node) for v in node.inputs]
        return list(dict.fromkeys(v for v in read if v in xs))

    def _strip_rows(self, phase: _Phase) -> int | None:
        """Rows of a strip: what products read and write should stay in a share of the memory.

        Of many tiles that share none, each takes its rows; None: better without strips.
        """
        nodes = [*phase.members, *phase.sums]
        if _is_apart(self.machine) and self.machine.tiles > 1:
            chain = Chain(nodes, phase.sums, self.rows, self.length, self.machine)
            return chain.strip(self._leaf(phase))
        made = {node.output for node in phase.members}
        held = {v for node in nodes for v in node.inputs if v in self.rows and v not in made}
        for node in nodes:
            if node.op == "dot":
                held |= {v for v in (*node.inputs, *node.outputs) if v in self.rows}
        width = sum(v.type.nbytes // self.length for v in held)
        held_by = int(SHARE * self.machine.tile.memory)
        if self._reads_again(phase):
            held_by = min(held_by, self.machine.tile.memories[0].size)
        fitting = held_by // max(width, 1)
        rows = self._leaf(phase)
        strip = _strip(self.length, max(rows, min(MAX_STRIP, fitting)), rows)
        return None if strip == self.length and self._rows_first(phase) else strip

    def _rows_first(self, phase: _Phase) -> bool:
        inside = {*phase.members, *phase.sums}
        nodes = [node for node in self.graph.nodes if node in inside]
        return rows_first(nodes, self.rows, self.machine)

    def _reads_again(self, phase: _Phase) -> bool:
        """Whether matrices meet vectors alone, and one of them twice: it should stay near between.

        Such products take as long as reading does (500 to 5,000 rows of 8 or 20 numbers, the
        gradient of a logistic regression: 4 to 14 % less time, Zen 4).
        """
        products = [node for node in (*phase.members, *phase.sums) if node.op == "dot"]
        matrices = [v for node in products for v in node.inputs if len(v.shape) > 1]
        read = [tuple(sorted(v.shape)) for v in matrices if v in self.rows]  # one may be turned
        return len(set(read)) < len(read) and not any(map(is_product_of_matrices, products))

    def _leaf(self, phase: _Phase) -> int:
        """Rows that are whole leaves of every sum, or several where it sums columns, too."""
        return max(map(leaf_of, phase.sums), default=LEAF)


def _is_apart(machine: Machine) -> bool:
    """Whether tiles share no memory."""
    return machine.chip.exchange.apart


def _strip(length: int, most: int, leaf: int) -> int:
    """All rows, if they are no more; else a node of the law's tree."""
    if length <= most:
        return length
    leaves = max(1, most // leaf)
    return leaf << (leaves.bit_length() - 1)


def in_order(nodes: list[Node]) -> tuple[Node, ...]:
    """The nodes so that each comes after those it reads, otherwise as given."""
    producers = {v: node for node in nodes for v in node.outputs}
    done: set[Node] = set()
    result: list[Node] = []
    for first in nodes:
        stack = [first]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [
                producers[v] for v in node.inputs if v in producers and producers[v] not in done
            ]
            if waiting:
                stack += waiting
            else:
                stack.pop()
                done.add(node)
                result.append(node)
    return tuple(result)
