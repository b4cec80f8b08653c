"""How many rows a tile takes of a chain over rows, where tiles share no memory.

In: the nodes of a chain, those that sum over the rows, how many rows, the machine. Out: a strip, of
2^j leaves of the law or all rows; or None, where each node by itself is better cut over all tiles.

As strips, a tile does all of the chain for its rows, and passes on its sums, once. Node by node no
tile need wait for whole leaves, but all do for each other, after each. Both are priced here, in
cycles; a plan has them exactly, but a graph is rewritten before there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from tilewright.frozen import frozen
from tilewright.graph.count import node_count
from tilewright.graph.ir import Node, Value
from tilewright.machine.cost import computed, price
from tilewright.machine.granules import matrix_unit, product
from tilewright.machine.machine import Machine

VERTEX = 50
"""Cycles of a short vertex beside those that it takes to begin."""
UNEVEN = 1.2
"""Node by node: what shares that end anywhere, and are cut anew for each node, take beside work."""


@frozen
class Chain:
    """`rows` says which dimension of each value is the rows, `length` of them."""

    nodes: Sequence[Node]
    sums: Sequence[Node]
    rows: Mapping[Value, int]
    length: int
    machine: Machine

    def strip(self, leaf: int) -> int | None:
        """`leaf` is how many rows a leaf of the law has."""
        sizes = [leaf]
        while sizes[-1] < self.length:
            sizes.append(2 * sizes[-1])
        best = min(sizes, key=self.as_strips)
        if self.as_strips(best) >= self.node_by_node():
            return None
        return min(best, self.length)

    def as_strips(self, size: int) -> float:
        """Cycles, where a tile takes `size` rows at a time."""
        machine, tiles = self.machine, self.machine.tiles
        strips = -(-self.length // size)
        turns = -(-strips // tiles)
        totals = sum(node.output.type.size for node in self.sums)
        passed = 4 * totals * max(turns, strips / min(tiles, max(totals, 1)))
        share = -(-totals // tiles) * strips
        return (
            turns * self._work(min(size, self.length))
            + passed / (machine.chip.exchange.bytes_per_cycle_per_tile or 1)
            + machine.tile.call + share / 2
            + self._round()
        )  # fmt: skip

    def node_by_node(self) -> float:
        """Cycles, where all tiles share each node's rows evenly."""
        rounds = len(self.sums) + sum(2 for node in self.nodes if node.op == "dot")
        totals = sum(node.output.type.size for node in self.sums)
        products = [node for node in self.sums if node.op == "dot"]
        moved = sum(v.type.nbytes for node in products for v in node.inputs)  # to other blocks
        passed = 4 * totals + moved / self.machine.tiles
        passed /= self.machine.chip.exchange.bytes_per_cycle_per_tile or 1
        share = -(-self.length // self.machine.tiles)
        return UNEVEN * self._work(share) + rounds * self._round() + passed

    def _round(self) -> float:
        chip = self.machine.chip
        return 2 * (chip.sync_cycles + chip.exchange.overhead_cycles) + self.machine.tile.call

    def _work(self, rows: int) -> float:
        """Of one tile, for so many rows."""
        return sum(self._node(node, rows) for node in self.nodes)

    def _node(self, node: Node, rows: int) -> float:
        tile = self.machine.tile
        plain = price(node_count(node), tile).cycles * rows / self.length + VERTEX
        if node.op != "dot":
            return plain
        unit = matrix_unit(tile, computed(node.inputs[0].dtype))
        m, n, k = self._sizes(node, rows)
        if unit is None or min(m, n) == 1:
            return plain + tile.call
        return float(product(m, n, k, tile, unit, computed(node.inputs[0].dtype)))

    def _sizes(self, node: Node, rows: int) -> tuple[int, int, int]:
        def extent(value: Value, axes: Sequence[int]) -> int:
            row = self.rows.get(value)
            return prod(rows if axis == row else value.shape[axis] for axis in axes)

        contract, batch = node.params["contract"], node.params["batch"]
        free = [
            extent(v, [i for i in range(len(v.shape)) if i not in (*c, *b)])
            for v, c, b in zip(node.inputs, contract, batch, strict=True)
        ]
        return free[0], free[1], extent(node.inputs[0], contract[0])
