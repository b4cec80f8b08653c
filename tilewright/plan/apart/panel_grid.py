"""Products that skip zero blocks, over tiles that share no memory: a grid of rows and of panels.

In: a codelet that knows how many blocks each panel of 16 columns has left, its views; the machine.
Out: families: of each panel, blocks of rows. Always: whole sums, so that no cut changes a bit.

Panels (those side by side in a granule, together) are dealt out in groups, the thickest first, so
that each group has about as many blocks; a tile has a group, and some rows of all that all groups
read. How many groups, is a matter of cost. A tile holds its panels whole, zeros included: they take
memory, and no time. Of a matrix that changes, only what is left comes there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.contract import ContractBlocks
from tilewright.machine.granules import beside
from tilewright.machine.machine import Machine
from tilewright.machine.panels import turns_of, ways_of
from tilewright.plan.apart.grid import Run, block, runs
from tilewright.plan.apart.slots import vertex
from tilewright.plan.basic import operand
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Call, Family, Loop, Step, Var, View, new_var
from tilewright.plan.views import window


def panel_grid(
    codelet: ContractBlocks, arguments: Sequence[View], machine: Machine
) -> Iterator[Step]:
    """In turns, each with a part of the rows, where not all fit at once."""
    turns = turns_of(codelet.m, codelet.k, len(codelet.counts), machine) or 1
    rows = codelet.m // turns
    if turns == 1:
        yield from _grid(codelet, arguments, machine)
        return
    turn, (lhs, *others) = new_var(), arguments
    part = Run(0, turns, rows, 0)
    tables, sides = others[:3], others[3:]
    inside = [block(lhs, 0, part, turn), *tables, *(block(v, 0, part, turn) for v in sides)]
    one = codelet.on([operand(view) for view in inside])
    yield Loop(turn, turns, tuple(_grid(replace(one, whole=codelet.whole), inside, machine)))


def _grid(codelet: ContractBlocks, arguments: Sequence[View], machine: Machine) -> Iterator[Family]:
    wide = beside(machine.tile, codelet.lhs.dtype)
    counts = _counts(codelet, wide)
    groups, rows = _best(codelet, counts, wide, machine)
    dealt = _dealt(counts, groups)
    for run in runs(codelet.m, rows):
        vars = [new_var() for _ in range(groups)]  # of a group one, so that rows come once
        for number, group in enumerate(dealt):
            panels = range(number * wide, min((number + 1) * wide, len(codelet.counts)))
            homes = Homes(group + run.block * groups, (Axis(run.count, 1, groups),))
            yield _family(codelet, arguments, panels, run, vars[group], homes)


def _counts(codelet: ContractBlocks, wide: int) -> list[int]:
    """Blocks of panels that lie side by side."""
    return [sum(codelet.counts[i : i + wide]) for i in range(0, len(codelet.counts), wide)]


def _best(
    codelet: ContractBlocks, counts: Sequence[int], wide: int, machine: Machine
) -> tuple[int, int]:
    """How many groups of panels, and how many rows a tile."""
    found: list[tuple[float, int, int]] = []
    exchange, k, tiles = machine.chip.exchange, codelet.k, machine.chip.tiles
    rate = exchange.bytes_per_cycle_per_tile or 1.0
    least = {1: (ceil(codelet.m / tiles), wide * LANES * len(counts))}
    ways = ways_of(codelet.m, k, len(counts), machine) or least
    for groups, (rows, columns) in ways.items():
        most = np.bincount(_dealt(counts, groups), counts, groups).max()
        bus = exchange.bus if groups % exchange.bus == 0 else 1
        passed = 4 * rows * (k / bus + columns) / rate
        if codelet.anew:
            passed += 4 * most * codelet.height * LANES / rate
        found.append((_cycles(codelet, int(most), rows, machine) + passed, groups, rows))
    return min(found)[1:]


def _cycles(codelet: ContractBlocks, count: int, rows: int, machine: Machine) -> float:
    def piece(side: Operand) -> Operand:
        return replace(side, shape=(rows, LANES))

    one = replace(
        codelet,
        lhs=replace(codelet.lhs, shape=(rows, codelet.k)),
        out=piece(codelet.out),
        beside=tuple(map(piece, codelet.beside)),
        more=tuple(map(piece, codelet.more)),
        counts=(count,),
    )
    return vertex(one, machine.tile)


def _dealt(counts: Sequence[int], groups: int) -> list[int]:
    """A group for each panel: the thickest first, to that which has least."""
    least, found = [(0, group) for group in range(groups)], [0] * len(counts)
    for panel in sorted(range(len(counts)), key=lambda panel: -counts[panel]):
        held, found[panel] = least[0]
        heapq.heapreplace(least, (held + 1 + counts[panel], found[panel]))
    return found


def _family(
    codelet: ContractBlocks,
    arguments: Sequence[View],
    panels: range,
    run: Run,
    var: Var,
    homes: Homes,
) -> Family:
    lhs, matrix, places, starts, *sides = arguments
    column, columns = panels.start * LANES, len(panels) * LANES
    matrix = window(matrix, (0, column), (matrix.shape[0], columns))
    starts = window(starts, (panels.start, 0, 0), (len(panels), *starts.shape[1:]))
    sides = [block(window(v, (0, column), (v.shape[0], columns)), 0, run, var) for v in sides]
    found = (block(lhs, 0, run, var), matrix, places, starts, *sides)
    one = codelet.on([operand(view) for view in found])
    one = replace(one, counts=codelet.counts[panels.start : panels.stop])
    return Family((var,), (run.count,), homes, (Call(one, found),))
