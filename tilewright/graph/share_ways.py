"""Two ways to do scans over many rows, and what each takes.

    shares      a tile does some of the rows, from the first trip to the last, and waits for nobody
    together    all tiles do each trip, of all rows

In: scans, how many rows, bytes that go in and out. Out: `Ways`, in cycles. Counted are arithmetic,
bytes by the memory that they lie in, calls of vertices, and what it takes to deal a trip out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from tilewright.frozen import frozen
from tilewright.graph.count import nodes_count, widened
from tilewright.graph.ir import Node, Value
from tilewright.graph.ops import VIEWS
from tilewright.graph.ops.operation import Rows
from tilewright.machine.cost import home, late, work
from tilewright.machine.machine import Machine

ENOUGH = 6
"""How much longer multiplying should take than reading what every trip reads."""
FEWEST, MOST = 16, 64
"""Rows of a share, where there are so many: fewer fill no tile of registers, more bring nothing
(the talk's net: 104 GFLOP/s a core of Zen 4 from 16 rows to 64, 101 at 8 and at 128)."""
PIECES, BARRIERS, LATE = 1.25, 10, 25_000
"""What a trip that is dealt out takes over an even share of it, and what it loses besides: so many
barriers' time, and cycles of drawing pieces, fetching operands that another tile wrote, waiting for
the slower. (The talk's net on two tiles of Zen 4, a trip: 14 µs more than half of one tile's time
for batch 4, 23 for 16, 57 for 64.)"""


@frozen
class Ways:
    """To do the scans of a chain: cycles of shares of `each` row, and of all tiles at each trip."""

    each: int
    shares: float
    together: float

    @property
    def gain(self) -> float:
        """What shares take over what all tiles together do; below 1 they pay."""
        return self.shares / max(self.together, 1.0)

    def told(self, rows: int, machine: Machine) -> str:
        """For a report."""
        first, second = (
            f"{cycles / machine.chip.clock * 1e6:,.0f} µs"
            for cycles in (self.shares, self.together)
        )
        return (
            f"{rows:,} rows in shares of {self.each}, each on one tile: {first}; "
            f"all tiles at each trip: {second}"
        )


def ways_of(
    scans: Sequence[Node], rows: Rows, left: int, moved: int, grain: int, machine: Machine
) -> Ways:
    """Of scans that keep rows apart, leave bytes to each other, and results to be moved.

    Shares have a multiple of `grain` rows.
    """
    tiles, trips = machine.chip.tiles, [_Trip.of(node, rows, machine) for node in scans]
    value, dimension = next(iter(rows.items()))
    length = value.shape[dimension]
    own = sum(trip.count * trip.own for trip in trips)
    again = sum(trip.count * max(trip.again, trip.reading) for trip in trips)
    wanted = ceil(ENOUGH * again * length / max(own, 1.0))
    each = _even(length, max(FEWEST, wanted), tiles, grain)
    part, rounds = each / length, ceil(ceil(length / each) / tiles)
    one = sum(trip.alone(part) for trip in trips) + _passed(left * part, machine)
    shares = rounds * one + _passed(moved, machine) + _lost(machine)
    together = sum(trip.together(machine) for trip in trips) + _passed(left, machine)
    return Ways(each, shares, together)


@frozen
class _Trip:
    """Of a scan with so many: cycles of what is done for all rows, of what is done once for any
    number of them, and of reading what rows have in common."""

    count: int
    own: float
    again: float
    reading: float

    @classmethod
    def of(cls, node: Node, rows: Rows, machine: Machine) -> _Trip:
        (body,), tile = node.bodies, machine.tile
        before = widened(body)
        nodes = [n for n in body.nodes if before.keys().isdisjoint(n.outputs)]
        mine = [n for n in nodes if any(v in rows for v in n.outputs)]
        others = [n for n in nodes if n not in mine]
        calls = sum(inner.op not in VIEWS and inner.op != "constant" for inner in nodes)
        held = sum(v.type.nbytes for v in _read_each_trip(node) if v not in rows)
        return cls(
            node.params["length"],
            work(nodes_count(mine, before), tile).cycles,
            work(nodes_count(others, before), tile).cycles + calls * tile.call,
            held / (home(tile, held).read_all or 1e9),
        )

    def alone(self, part: float) -> float:
        """Cycles of all trips, of a part of the rows on one tile."""
        return self.count * self.one(part)

    def one(self, part: float) -> float:
        """Of one trip."""
        return max(self.own * part + self.again, self.reading)

    def together(self, machine: Machine) -> float:
        """Of all rows, each trip by all tiles, or by one where dealing it out is not worth it."""
        one = self.one(1.0)
        dealt = one / machine.chip.tiles * PIECES + _lost(machine)
        return self.count * min(one, dealt)


def _read_each_trip(node: Node) -> set[Value]:
    """Inputs of a scan's body that every trip reads. Those that only meet what is known of all
    trips beforehand leave the loop where reading them is dear (`ahead.py`): multiplying counts."""
    (body,), consts = node.bodies, node.params["consts"]
    carried = set(body.inputs[consts : consts + node.params["carry"]])
    fixed, waits = set(body.inputs[:consts]), set(body.inputs[:consts]) & set(body.outputs)
    now = set(carried)
    for inner in body.nodes:
        if fixed.issuperset(inner.inputs):
            fixed.update(inner.outputs)
        elif not now.isdisjoint(inner.inputs):
            now.update(inner.outputs)
            waits.update(fixed.intersection(inner.inputs))
    for inner in reversed(body.nodes):
        if not waits.isdisjoint(inner.outputs):
            waits.update(inner.inputs)
    return (waits & fixed & set(body.inputs)) | carried


def _passed(size: float, machine: Machine) -> float:
    """Cycles of writing so many bytes, and of reading them again when all are there."""
    return 2 * size / (home(machine.tile, size).read_all or 1e9)


def _lost(machine: Machine) -> float:
    """Cycles of a trip that is dealt out, beside its work."""
    return BARRIERS * machine.chip.sync_cycles + late(machine, LATE)


def _even(length: int, wanted: int, tiles: int, grain: int) -> int:
    """Rows of a share, about as many as wanted or more, so that tiles get equal numbers of shares
    and few rows are filled up."""
    most = max(1, length // (tiles * wanted))
    least = min(most, max(1, ceil(length / (tiles * max(MOST, wanted)))))
    found = []
    for rounds in range(least, most + 1):
        size = ceil(length / (tiles * rounds * grain)) * grain
        found.append((size * tiles * rounds - length, size))
    return min(found)[1]
