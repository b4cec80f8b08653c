"""Products that skip zero blocks, over tiles that share no memory: a grid of rows and of panels.

In: a codelet that knows how many blocks each panel of 16 columns has left, its views; the machine.
Out: families: of each panel, blocks of rows. Always: whole sums, so that no cut changes a bit.

Panels are dealt out in groups, the thickest first, so that each group has about as many blocks; a
tile has a group, and some rows of all that all groups read. How many groups, is a matter of cost. A
tile holds its panels whole, zeros included: they take memory, and no time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.contract import ContractBlocks
from tilewright.machine.machine import Machine
from tilewright.plan.basic import operand
from tilewright.plan.grid import Run, block, runs
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Call, Family, Var, View, new_var
from tilewright.plan.slots import vertex
from tilewright.plan.views import window


def panel_grid(
    codelet: ContractBlocks, arguments: Sequence[View], machine: Machine
) -> Iterator[Family]:
    groups, rows = _best(codelet, machine)
    dealt = _dealt(codelet.counts, groups)
    for run in runs(codelet.m, rows):
        vars = [new_var() for _ in range(groups)]  # of a group one, so that rows come once
        for panel, group in enumerate(dealt):
            homes = Homes(group + run.block * groups, (Axis(run.count, 1, groups),))
            yield _family(codelet, arguments, panel, run, vars[group], homes)


def _best(codelet: ContractBlocks, machine: Machine) -> tuple[int, int]:
    """How many groups of panels, and how many rows a tile."""
    found: list[tuple[float, int, int]] = []
    exchange, k = machine.chip.exchange, codelet.k
    rate = exchange.bytes_per_cycle_per_tile or 1.0
    for groups in range(1, min(len(codelet.counts), machine.chip.tiles) + 1):
        rows = ceil(codelet.m / (machine.chip.tiles // groups))
        panels = ceil(len(codelet.counts) / groups)
        if 4 * k * (panels * LANES + rows) > machine.tile.memory // 2 and found:
            continue
        most = np.bincount(_dealt(codelet.counts, groups), codelet.counts, groups).max()
        bus = exchange.bus if groups % exchange.bus == 0 else 1
        passed = 4 * rows * (k / bus + panels * LANES) / rate
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
    panel: int,
    run: Run,
    var: Var,
    homes: Homes,
) -> Family:
    lhs, matrix, places, starts, *sides = arguments
    column = panel * LANES
    matrix = window(matrix, (0, column), (matrix.shape[0], LANES))
    starts = window(starts, (panel, 0, 0), (1, *starts.shape[1:]))
    sides = [block(window(v, (0, column), (v.shape[0], LANES)), 0, run, var) for v in sides]
    found = (block(lhs, 0, run, var), matrix, places, starts, *sides)
    one = codelet.on([operand(view) for view in found])
    one = replace(one, counts=(codelet.counts[panel],))
    return Family((var,), (run.count,), homes, (Call(one, found),))
