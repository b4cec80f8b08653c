"""How long a program takes on a machine whose tiles share memory: without running it.

In: a program, a machine, and how often loops of unknown length turn. Out: `Timing`.

A vertex takes the larger of its operations and its operands' way from where they are
(`residence.py`), and a call. A loop's body is priced once, times its turns. A spread ends with its
busiest tile, a map as its queue deals: each instance to whoever is free first. Memories that tiles
share give each of those at work its part. Tiles wait for each other at a barrier.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.contract.reading import Reread, left_loads, rereads
from tilewright.codelets.small import is_small
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.cost import NOTHING, Count, work
from tilewright.machine.machine import Machine, Memory
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
from tilewright.simulate.residence import Distance, Residence
from tilewright.simulate.trips import Trips, whiles

LEAST_REGISTERS = 8
LINE, WAYS, PAGE = 64, 8, 4096
"""Bytes that memories pass on together; lines that a nearest cache keeps of those whose addresses
are equal within a page, with all of today's makers; bytes of a page."""

Cycles = dict[str, np.ndarray | float]
"""By cause. In a map whose instances differ, an array with one number for each of them."""


@dataclass(frozen=True)
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
    _add(by, {"the call": machine.launch * machine.chip.clock})
    total = sum(by.values())
    busy = clock.worked / (total * taking) if total else 0.0
    return Timing({k: float(v) for k, v in by.items()}, float(busy), clock.counts, taking)


class _Clock:
    def __init__(self, program: Program, machine: Machine, tiles: int, trips: Trips):
        self.machine, self.tile, self.tiles = machine, machine.tile, tiles
        self.residence = Residence(program, tiles)
        self.turns = whiles(program, trips)
        self.families = dict(machine.tile.families)
        self.work: dict[Codelet, Cycles] = {}
        self.worked = 0.0
        self.counts = NOTHING
        self.dealt: set[Var] = set()
        """Variables whose instances other tiles have, too."""

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
            _add(total, self._dealt(pool, times))
            pool = []
            _add(total, self._shared(step, times))
        _add(total, self._dealt(pool, times))
        return total

    def _shared(self, step: Step, times: float) -> Cycles:
        if not isinstance(step, Sync) and not is_shared_work(step):  # tile 0's own
            found = self.alone((step,), 1, times)
            self.worked += times * _mean(found)
            return found
        match step:
            case Loop(_, count, body):
                return _times(self.together(body, times * count), count)
            case Map(_, count, body):
                busy = min(self.tiles, count)
                return self._queued(self.alone(body, busy, times * count), count, times)
            case While(condition, _, body):
                turns = float(np.mean(self.turns[id(step)]))
                inside = self.together((*condition, *body), times * turns)
                return _times(inside, turns)
            case Branch(_, cases):
                return max((self.together(case, times) for case in cases), key=_mean, default={})
            case Sync():
                return {"barrier": self._barrier()}
            case _:
                raise AssertionError(step)

    def _barrier(self) -> float:
        """Each of those who take part adds one to the same number."""
        all_tiles = max(self.machine.chip.tiles, 1)
        return self.machine.chip.sync_cycles * self.tiles / all_tiles if self.tiles > 1 else 0.0

    def _dealt(self, pool: Sequence[tuple[Cycles, int]], times: float) -> Cycles:
        """Neighbours' shares, and help for those who are late: as even as pieces allow."""
        pieces = [(_mean(cycles), count) for cycles, count in pool if count]
        whole = sum(cycles * count for cycles, count in pieces)
        if not whole:
            return {}
        self.worked += times * whole
        elapsed = _elapsed(pieces, self.tiles)
        total: Cycles = {}
        for cycles, count in pool:
            _add(total, _times(cycles, count * elapsed / whole))
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
            _add(total, self._alone(step, busy, times, inside))
        return total

    def _alone(self, step: Step, busy: int, times: float, inside: bool) -> Cycles:
        match step:
            case Call():
                self.counts += _as_given(step.codelet) * times
                vertex = self._vertex(step, busy)
                called = not (inside and is_small(step.codelet))
                return vertex | ({"calls": self.tile.call} if called else {})
            case Loop(_, count, body):
                turn = self.alone(body, busy, times * count, True)
                _add(turn, {"loops": self.tile.turn})
                return _times(turn, count)
            case While(condition, _, body):
                turns = self.turns[id(step)]
                mean = float(np.mean(turns))
                total = _times(self.alone((*condition, *body), busy, times * mean, True), turns)
                _add(total, self.alone(condition, busy, times, True))
                return total
            case Branch(_, cases):
                found = (self.alone(case, busy, times, True) for case in cases)
                return max(found, key=_mean, default={})
            case _:
                raise AssertionError(f"{step} inside one tile's share")

    def _vertex(self, call: Call, busy: int) -> Cycles:
        computed, moved = self._computed(call.codelet), self._moved(call, busy)
        foreseen, waited = self._panels(call.codelet, busy)
        _add(moved, foreseen)
        dearer = dict(computed if _mean(computed) >= _mean(moved) else moved)
        _add(dearer, waited)
        if busy > 1:
            _add(dearer, self._contended(call))
        return dearer

    def _computed(self, codelet: Codelet) -> Cycles:
        if codelet not in self.work:
            factor = self.families.get(type(codelet).__name__, 1.0)
            by = work(codelet.work, self.tile).by
            self.work[codelet] = {name: cycles * factor for name, cycles in by.items()}
        return self.work[codelet]

    def _moved(self, call: Call, busy: int) -> Cycles:
        codelet, found = call.codelet, {}
        inputs = len(codelet.inputs)
        for position, operand in enumerate((*codelet.inputs, *codelet.outputs)):
            distance = self.residence.of(call, position)
            size, writes = operand.nbytes, position >= inputs
            before = 0.0
            for memory, held in self._held(distance, busy):
                share, before = held - before, held
                if share > 0 and memory.read:
                    inner = memory is self.tile.memories[0]
                    # A line is read before it is written, and goes back.
                    way = 1.0 if inner else _lines(operand) * (2 if writes else 1)
                    cycles = size * way / self._rate(memory, busy) + _runs(operand) * memory.jump
                    if not inner and _collides(codelet, operand):
                        cycles += size / (self.tile.memories[1].read or memory.read)
                    found[memory.name] = found.get(memory.name, 0.0) + share * cycles
        return found

    def _contended(self, call: Call) -> Cycles:
        """Results of neighbouring instances in one line: it goes from tile to tile as they write.

        A barrier is such a line, which every tile touches twice.
        """
        chip, found = self.machine.chip, 0.0
        for view in call.views[len(call.codelet.inputs) :]:
            item = numpy_dtype(view.dtype).itemsize
            steps = [abs(step) * item for var, step in view.moves if var in self.dealt]
            if view.buffer.space in ("output", "shared") and steps and max(steps) < LINE:
                found += chip.sync_cycles / (2 * chip.tiles)
        return {"lines that tiles share": found} if found else {}

    def _panels(self, codelet: Codelet, busy: int) -> tuple[Cycles, Cycles]:
        """Panels of a product that are read again from where they still are: those that are asked
        for in advance, and those that the product waits for, as nothing foresees lines so far
        apart."""
        foreseen: Cycles = {}
        waited: Cycles = {}
        features = self.tile.features
        if not isinstance(codelet, ContractOuter) or features.registers < LEAST_REGISTERS:
            return foreseen, waited
        for panel in rereads(codelet, features, self.tile.memories[0].size):
            found, jumps = foreseen if panel.foreseen else waited, panel.step >= PAGE // 2
            lines, before = -(-panel.size // LINE) * LINE, 0.0
            for number, memory in enumerate(self.tile.memories):
                size = memory.size * (1.0 if memory.shared else _sets(memory, number, panel))
                held = max(before, _kept(size, panel.rows * lines))
                share, before = held - before, held
                near = number == 0 or (number == 1 and not jumps)  # hardware foresees that itself
                if share > 0 and memory.read and not near:
                    cycles = lines / self._rate(memory, busy)
                    cycles += memory.jump if jumps and not panel.foreseen else 0.0
                    found[memory.name] = found.get(memory.name, 0.0) + panel.runs * share * cycles
        left = left_loads(codelet, features)
        if left.rows > WAYS and left.step and left.step % PAGE == 0:  # see `_collides`
            second = self.tile.memories[min(1, len(self.tile.memories) - 1)]
            waited[second.name] = waited.get(second.name, 0.0) + left.loads * LINE / second.read
        return foreseen, waited

    def _held(self, distance: Distance, busy: int) -> list[tuple[Memory, float]]:
        """How much of it each memory, or one nearer, still has."""
        held, rows = 0.0, []
        for memory in self.tile.memories:
            users = self._users(memory, busy)
            since = distance.own * users + distance.common
            if not (distance.foreign and not memory.shared):
                held = max(held, _kept(memory.size, since))
            rows.append((memory, held))
        rows[-1] = (rows[-1][0], 1.0)
        return rows

    def _users(self, memory: Memory, busy: int) -> int:
        """Tiles at work that share it."""
        if not memory.shared:
            return 1
        sharers = memory.sharers or self.machine.chip.tiles
        groups = max(1, self.machine.chip.tiles // sharers)
        return max(1, -(-busy // groups))

    def _rate(self, memory: Memory, busy: int) -> float:
        """Bytes a cycle for each of those at work."""
        if not memory.shared:
            return memory.read
        sharers = memory.sharers or self.machine.chip.tiles
        return min(memory.read, memory.read_all * sharers / self._users(memory, busy))


def _kept(size: float, since: float) -> float:
    """What a cache of some size still has of what was touched when so many bytes were not yet.

    All that fits; of a round of twice as much nothing, as the oldest goes first; in between, caches
    that are not quite so simple keep part of it.
    """
    return min(1.0, max(0.0, 2 - since / size))


def _sets(memory: Memory, number: int, panel: Reread) -> float:
    """The share of a cache that lines can use whose addresses are multiples of a step apart.

    A line's place is its address modulo the size of one way: a page in the nearest cache.
    """
    way = PAGE if number == 0 else max(memory.size // WAYS, LINE)
    return min(1.0, max(panel.size, LINE) / gcd(panel.step, way)) if panel.step else 1.0


def _as_given(codelet: Codelet) -> Count:
    """The work, multiply-adds by the dtype of operands: other machines have units for those."""
    count, given = codelet.work, {operand.dtype for operand in codelet.inputs[:2]}
    if len(count.macs) == 1 and len(given) == 1:
        return replace(count, macs={given.pop(): sum(count.macs.values())})
    return count


def _lines(operand: Operand) -> float:
    """Bytes that pass for each that is wanted: a stride takes only part of a line."""
    item = numpy_dtype(operand.dtype).itemsize
    steps = [abs(s) for n, s in zip(operand.shape, operand.strides, strict=True) if n > 1 and s]
    return min(max(LINE / item, 1.0), float(min(steps))) if steps else 1.0


def _collides(codelet: Codelet, operand: Operand) -> bool:
    """Whether lines of an operand drive each other out of the nearest cache, and come twice.

    Rows whose addresses differ by whole pages meet in one set of it, and more of them are read side
    by side than the set has ways.
    """
    if not isinstance(codelet, ContractVector) or len(operand.shape) < 2:
        return False
    step = operand.strides[-2] * numpy_dtype(operand.dtype).itemsize
    return operand.shape[-2] > WAYS and step != 0 and step % PAGE == 0


def _runs(operand: Operand) -> float:
    """How often reading goes on a page away or further."""
    item, runs = numpy_dtype(operand.dtype).itemsize, 1.0
    for n, step in zip(operand.shape, operand.strides, strict=True):
        if abs(step) * item >= PAGE // 2:
            runs *= n
    return runs if runs > 1 else 0.0


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


def _mean(cycles: Cycles) -> float:
    return float(np.mean(sum(cycles.values(), 0.0)))


def _add(total: Cycles, more: Cycles) -> None:
    for name, cycles in more.items():
        total[name] = total.get(name, 0.0) + cycles


def _times(cycles: Cycles, times: np.ndarray | float) -> Cycles:
    return {name: value * times for name, value in cycles.items()}


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
