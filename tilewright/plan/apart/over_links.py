"""What passes between chips where one product is cut over all their tiles, for many cuts at once.

In: a problem, blocks of it and how tiles go through them (`candidates.py`); the machine. Out:
`Links`: cycles of what comes over the busiest chip's links before the product, between its parts,
and after it. Always: 0 on one chip.

Tiles go along an inner dimension, then an outer one, then k; a chip is so many neighbours. It gets
each block once, whichever of its tiles want it (`simulate/flows.py`). Of what lies evenly over all
tiles a chip has the part that it is in order with, or of what it wants its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tilewright.frozen import frozen
from tilewright.machine.links import farthest
from tilewright.machine.machine import Machine
from tilewright.plan.apart.problem import Problem

Columns = np.ndarray
"""A number for each cut."""


@frozen
class Grid:
    """Sizes of blocks and parts along each of m, n and k; whether n is the inner dimension, else
    m."""

    sizes: dict[str, Columns]
    parts: dict[str, Columns]
    n_inner: Columns

    def of(self, rows: np.ndarray) -> Grid:
        """Some of the cuts."""
        sizes, parts = ({n: c[rows] for n, c in d.items()} for d in (self.sizes, self.parts))
        return Grid(sizes, parts, self.n_inner[rows])

    def size(self, side: str) -> Columns:
        """Elements of a block of an operand."""
        return prod((self.sizes[name] for name in side), start=np.ones(self.n_inner.shape))

    def on_chip(self, number: int, tiles: int) -> Chip:
        inner = np.where(self.n_inner, self.parts["n"], self.parts["m"])
        layer = self.parts["m"] * self.parts["n"]
        every = layer * self.parts["k"]
        first, end = (np.minimum(c * tiles, every) for c in (number, number + 1))
        return Chip(self, first, end - first, inner, layer)


@frozen
class Chip:
    """`count` tiles with work, from the one of number `first` on."""

    grid: Grid
    first: Columns
    count: Columns
    inner: Columns
    layer: Columns

    @property
    def last(self) -> Columns:
        return np.maximum(self.first + self.count - 1, self.first)

    @property
    def layers(self) -> Columns:
        """Parts of k that it has something of."""
        return self.last // self.layer - self.first // self.layer + 1

    @property
    def lines(self) -> Columns:
        """The same of pairs of k and the outer dimension."""
        return self.last // self.inner - self.first // self.inner + 1

    def blocks(self, side: str) -> Columns:
        """How many blocks of a side it has."""
        found = np.where(
            self.grid.n_inner, self._blocks(side, "n", "m"), self._blocks(side, "m", "n")
        )
        return np.where(self.count > 0, found, 0)

    def _blocks(self, side: str, inner: str, outer: str) -> Columns:
        """Of a side where that is the inner dimension."""
        along, across, k = inner in side, outer in side, "k" in side
        if along and across:
            return self.count if k else np.minimum(self.count, self.layer)
        if across:
            return self.lines if k else np.minimum(self.lines, self.layer / self.inner)
        if along:
            return self._pairs() if k else np.minimum(self.count, self.inner)
        return self.layers if k else np.ones(self.count.shape)

    def _pairs(self) -> Columns:
        """Of k and the inner dimension."""
        begun = np.minimum(self.layer - self.first % self.layer, self.count)
        ended = np.where(self.layers > 1, self.last % self.layer + 1, 0)
        ends = np.minimum(begun, self.inner) + np.minimum(ended, self.inner)
        return ends + np.maximum(self.layers - 2, 0) * self.inner

    def range(self, name: str) -> tuple[Columns, Columns]:
        """From which block along a dimension to which it has some."""
        if name == "k":
            return self.first // self.layer, self.last // self.layer + 1
        is_inner = self.grid.n_inner == (name == "n")
        outer = self.first // self.inner % (self.layer / self.inner)
        low = np.where(is_inner, self.first % self.inner, outer)
        whole = np.where(is_inner, self.lines > 1, self.layers > 1)
        several = np.where(is_inner, self.count, self.lines)
        return np.where(whole, 0, low), np.where(whole, self.grid.parts[name], low + several)


@frozen
class Links:
    """Cycles before the product, between its parts, and after; without what it takes to begin."""

    before: Columns
    between: Columns
    after: Columns

    @property
    def used(self) -> tuple[Columns, ...]:
        return tuple(some > 0 for some in (self.before, self.between, self.after))


def no_links(serial: Columns) -> Links:
    """As if nothing passed over any."""
    return Links(*(np.zeros(serial.shape) for _ in range(3)))


def links(
    problem: Problem, grid: Grid, serial: Columns, machine: Machine, chips: Sequence[int]
) -> Links:
    """Of the busiest of some `chips`: of no more than all of them take."""
    before, between, after = (np.zeros(serial.shape) for _ in range(3))
    several = grid.parts["k"]
    for number in chips:
        chip, come = grid.on_chip(number, machine.chip.tiles), np.zeros(serial.shape)
        for side in problem.sides:
            turns = serial if "n" in side else 1
            wanted = chip.blocks(side) * grid.size(side) * turns
            come += wanted - np.minimum(wanted, _there(problem, chip, side, number, machine))
        before = np.maximum(before, come)
        sums = chip.count * grid.size("mn") * (1 - chip.layers / several)
        between = np.maximum(between, serial * sums)
        made = _there(problem, chip, "mn", number, machine) * chip.layers / several
        after = np.maximum(after, problem.m * problem.n / machine.chips - made)
    rate = bytes_a_cycle(machine) / problem.item
    return Links(before / rate, between / rate, np.maximum(after, 0) / rate)


def _there(problem: Problem, chip: Chip, side: str, number: int, machine: Machine) -> Columns:
    """Elements of a side that a chip has blocks of, and that lie on it evenly: its share of rows
    is as far along as it is among the chips."""
    name, grid = side[0], chip.grid
    length, chips = problem.sizes[name], machine.chips
    low, high = (block * grid.sizes[name] for block in chip.range(name))
    begin, end = number * length / chips, (number + 1) * length / chips
    rows = np.clip(np.minimum(high, end) - np.maximum(low, begin), 0, None) * chips / length
    others = prod((grid.parts[other] for other in side[1:]), start=np.ones(low.shape))
    beside = np.minimum(chip.blocks(side) / np.maximum(chip.blocks(name) * others, 1), 1)
    share = prod(problem.sizes[other] for other in side) / chips
    return share * rows * beside


def bytes_a_cycle(machine: Machine) -> float:
    """Over the links of a chip."""
    exchange = machine.chip.exchange
    rate = exchange.bytes_per_second_between_chips * exchange.link_efficiency
    return rate / machine.chip.clock or 1.0


def begun(machine: Machine) -> float:
    """Cycles before anything passes over links, and of the longest way."""
    exchange = machine.chip.exchange
    least = max(exchange.overhead_cycles, exchange.overhead_between_chips)
    return least + farthest(machine.chips) * exchange.seconds_per_hop * machine.chip.clock
