"""How long what passes takes, of many cuts of one product at once: on chips, and over their links.

In: columns of candidates (`candidates.py`), the machine. Out: cycles of exchanges, and of syncs.
Always: what is the cheapest of those that fit has its links counted. They are looked at only where
they may decide: without links, or by three chips alone, no candidate takes longer than it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.frozen import frozen
from tilewright.machine.machine import Machine
from tilewright.plan.apart.over_links import Grid, Links, begun, links, no_links
from tilewright.plan.apart.problem import Problem

MANY, FEW = 8192, 256
"""Candidates looked at together: by three chips, and by all."""


@frozen
class Passing:
    """Columns of candidates: bytes `moved` by the busiest tile, and how often, before the product,
    between its parts, and after it; `compute` is cycles."""

    problem: Problem
    grid: Grid
    serial: np.ndarray
    moved: Sequence[np.ndarray]
    rounds: Sequence[np.ndarray]
    compute: np.ndarray
    machine: Machine

    def all(self, fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of exchanges and of syncs; links of those that fit, until no other can be best."""
        passed, sync = _cycles(self.moved, self.rounds, no_links(self.serial), self.machine)
        if self.machine.chips > 1:
            self._put(passed, sync, fits)
        return passed, sync

    def _put(self, passed: np.ndarray, sync: np.ndarray, fits: np.ndarray) -> None:
        low, least = (self.compute + passed + sync)[fits], np.inf
        order, every = fits[np.argsort(low)], range(self.machine.chips)
        low, ends = np.sort(low), sorted({0, self.machine.chips // 2, self.machine.chips - 1})
        for begin in range(0, order.size, MANY):
            rows = order[begin : begin + MANY][low[begin : begin + MANY] < least]
            if not rows.size:
                return
            cycles = self._of(rows, ends, passed, sync)
            rows, cycles = rows[np.argsort(cycles)], np.sort(cycles)
            for first in range(0, rows.size, FEW):
                some = rows[first : first + FEW][cycles[first : first + FEW] < least]
                if not some.size:
                    break
                least = min(least, float(self._of(some, every, passed, sync).min()))

    def _of(
        self, rows: np.ndarray, chips: Sequence[int], passed: np.ndarray, sync: np.ndarray
    ) -> np.ndarray:
        """Of some candidates, by the busiest of some chips."""
        far = links(self.problem, self.grid.of(rows), self.serial[rows], self.machine, chips)
        moved, rounds = ([column[rows] for column in some] for some in (self.moved, self.rounds))
        passed[rows], sync[rows] = _cycles(moved, rounds, far, self.machine)
        return self.compute[rows] + passed[rows] + sync[rows]


def _cycles(
    moved: Sequence[np.ndarray], rounds: Sequence[np.ndarray], far: Links, machine: Machine
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles of exchanges and of syncs: before the product, between its parts, and after it, by the
    busiest tile's bytes or by the links."""
    exchange, rate = machine.chip.exchange, machine.chip.exchange.bytes_per_cycle_per_tile
    wait, between = machine.chip.sync_cycles, machine.sync_cycles_between_chips
    passed, sync = np.zeros(moved[0].shape), np.zeros(moved[0].shape)
    for nbytes, often, over, linked in zip(
        moved, rounds, (far.before, far.between, far.after), far.used, strict=True
    ):
        inside = nbytes / rate + often * exchange.overhead_cycles
        passed = passed + np.maximum(inside, linked * (over + often * begun(machine)))
        sync = sync + often * np.where(linked, between or wait, wait)
    return passed, sync
