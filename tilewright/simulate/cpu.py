"""How long a program takes on a machine whose tiles share memory: without running it.

In: a program, a machine, and how often loops of unknown length turn. Out: `Timing`.

A vertex (`vertex.py`) takes the larger of its operations and its operands' way, and a call. The
body of a loop is priced once, times its turns. A spread ends with its busiest tile, a map as its
queue deals: each instance to whoever is free first. Memories that tiles share give each of those at
work its part. Tiles wait for each other at a barrier.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.codelets.small import is_small
from tilewright.frozen import frozen
from tilewright.machine.cost import NOTHING, Count, operand_dtypes
from tilewright.machine.machine import Machine
from tilewright.machine.meetings import messages
from tilewright.plan.ir import (
    Branch,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Step,
    Sync,
    Var,
    While,
)
from tilewright.plan.synchronise import is_shared_work
from tilewright.simulate.residence import Residence
from tilewright.simulate.trips import Trips, whiles
from tilewright.simulate.vertex import Cycles, Vertices, add, average, scaled


@frozen
class Timing:
    """Cycles from start to end, by cause; `busy` is the share of all tiles' time that is work.

    `counts` is all that is done, by all tiles, multiply-adds by the dtype of what is multiplied;
    `tiles` take part.
    """

    by: Mapping[str, float]
    busy: float
    counts: Count
    tiles: int

    @property
    def cycles(self) -> float:
        return sum(self.by.values())

    @property
    def limit(self) -> str:
        """What most cycles are spent on."""
        return max(self.by, key=lambda name: self.by[name], default="nothing")


def timing(
    program: Program, machine: Machine, tiles: int | None = None, trips: Trips | None = None
) -> Timing:
    """Of one run, the one before it just over. `tiles` take part at most: all, if not given.

    The call of the program is part of it. Raises `ArgumentError` where a loop of unknown length is
    in none of `trips`.
    """
    taking = min(tiles or machine.tiles, machine.tiles)
    clock = _Clock(program, machine, taking, trips or {})
    by = clock.together(program.steps)
    add(by, {"the call": machine.launch * machine.chip.clock})
    total = sum(by.values())
    busy = clock.worked / (total * taking) if total else 0.0
    return Timing({k: float(v) for k, v in by.items()}, float(busy), clock.counts, taking)


class _Clock:
    def __init__(self, program: Program, machine: Machine, tiles: int, trips: Trips):
        self.machine, self.tile, self.tiles = machine, machine.tile, tiles
        self.turns = whiles(program, trips)
        self.worked = 0.0
        self.counts = NOTHING
        self.dealt: set[Var] = set()
        """Variables whose instances other tiles have, too."""
        self.vertices = Vertices(machine, Residence(program, tiles), self.dealt)

    # Steps of all tiles together.

    def together(self, steps: Sequence[Step], times: float = 1.0) -> Cycles:
        """From the first step to the last; spreads without a barrier between them are dealt out
        as one."""
        total: Cycles = {}
        pool: list[tuple[Cycles, int]] = []
        for step in steps:
            if isinstance(step, Spread | Map):
                self.dealt.add(step.var)
            if isinstance(step, Spread):
                busy = min(self.tiles, step.count)
                pool.append((self.alone(step.steps, busy, times * step.count), step.count))
                continue
            add(total, self._dealt(pool, times))
            pool = []
            add(total, self._shared(step, times))
        add(total, self._dealt(pool, times))
        return total

    def _shared(self, step: Step, times: float) -> Cycles:
        if not isinstance(step, Sync) and not is_shared_work(step):  # tile 0's own
            found = self.alone((step,), 1, times)
            self.worked += times * average(found)
            return found
        match step:
            case Loop(_, count, body):
                return scaled(self.together(body, times * count), count)
            case Map(_, count, body):
                busy = min(self.tiles, count)
                return self._queued(self.alone(body, busy, times * count), count, times)
            case While(condition, _, body):
                turns = float(np.mean(self.turns[id(step)]))
                inside = self.together((*condition, *body), times * turns)
                return scaled(inside, turns)
            case Branch(_, cases):
                return max((self.together(case, times) for case in cases), key=average, default={})
            case Sync():
                return {"barrier": self._barrier()}
            case _:
                raise AssertionError(step)

    def _barrier(self) -> float:
        """That of all tiles, but for messages between those who do not take part."""
        chip = self.machine.chip
        return chip.sync_cycles * messages(self.tiles) / max(messages(chip.tiles), 1)

    def _dealt(self, pool: Sequence[tuple[Cycles, int]], times: float) -> Cycles:
        """Neighbours' shares, and help for those who are late: as even as pieces allow."""
        pieces = [(average(cycles), count) for cycles, count in pool if count]
        whole = sum(cycles * count for cycles, count in pieces)
        if not whole:
            return {}
        self.worked += times * whole
        elapsed = _elapsed(pieces, self.tiles)
        total: Cycles = {}
        for cycles, count in pool:
            add(total, scaled(cycles, count * elapsed / whole))
        return total

    def _queued(self, cycles: Cycles, count: int, times: float) -> Cycles:
        """A map: in order, each instance to the tile that is free first."""
        each = np.broadcast_to(np.asarray(sum(cycles.values(), 0.0)), (count,))
        whole = float(each.sum())
        if not whole:
            return {}
        self.worked += times * whole
        free = [0.0] * min(self.tiles, count)
        for instance in each.tolist():
            heapq.heapreplace(free, free[0] + instance)
        part = max(free) / whole
        return {k: float(np.broadcast_to(v, (count,)).sum()) * part for k, v in cycles.items()}

    # Steps of one tile.

    def alone(self, steps: Sequence[Step], busy: int, times: float, inside: bool = False) -> Cycles:
        """While `busy` tiles work; `times` is how often it happens in a run, for the counts.

        Small vertices `inside` of a loop or branch are written in place rather than called.
        """
        total: Cycles = {}
        for step in steps:
            add(total, self._alone(step, busy, times, inside))
        return total

    def _alone(self, step: Step, busy: int, times: float, inside: bool) -> Cycles:
        match step:
            case Call():
                self.counts += _as_given(step.codelet) * times
                vertex = self.vertices.of(step, busy)
                called = not (inside and is_small(step.codelet))
                return vertex | ({"calls": self.tile.call} if called else {})
            case Loop(_, count, body):
                turn = self.alone(body, busy, times * count, True)
                add(turn, {"loops": self.tile.turn})
                return scaled(turn, count)
            case While(condition, _, body):
                turns = self.turns[id(step)]
                mean = float(np.mean(turns))
                total = scaled(self.alone((*condition, *body), busy, times * mean, True), turns)
                add(total, self.alone(condition, busy, times, True))
                return total
            case Branch(_, cases):
                found = (self.alone(case, busy, times, True) for case in cases)
                return max(found, key=average, default={})
            case _:
                raise AssertionError(f"{step} inside one tile's share")


def _as_given(codelet: Codelet) -> Count:
    """The work, multiply-adds by the dtype of operands: other machines have units for those."""
    count, given = codelet.work, {operand.dtype for operand in codelet.inputs[:2]}
    known = any(len(operand_dtypes(key)) > 1 for key in count.macs)
    if len(count.macs) == 1 and len(given) == 1 and not known:
        return replace(count, macs={given.pop(): sum(count.macs.values())})
    return count


def _elapsed(pieces: Sequence[tuple[float, int]], tiles: int) -> float:
    """Equal pieces in runs, dealt out: each to whoever is free first."""
    free = [0.0] * tiles
    for cycles, count in pieces:
        rounds, rest = divmod(count, tiles)
        free = [time + rounds * cycles for time in free]
        heapq.heapify(free)
        for _ in range(rest):
            heapq.heapreplace(free, free[0] + cycles)
    return max(free)


def at_clock(machine: Machine, clock: float) -> Machine:
    """The machine with its tiles at another clock: what has one of its own takes more cycles."""
    faster, chip = clock / machine.chip.clock, machine.chip
    memories = tuple(
        replace(m, read=m.read / faster, read_all=m.read_all / faster) if m.apart else m
        for m in machine.tile.memories
    )
    return replace(
        machine,
        chip=replace(
            chip,
            tile=replace(chip.tile, memories=memories),
            clock=clock,
            boost=0.0,
            sync_cycles=round(chip.sync_cycles * faster),
        ),
    )
