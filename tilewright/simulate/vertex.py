"""How many cycles one vertex takes on a tile: its operations, or its operands' way to it.

In: a call, and how many tiles work beside it. Out: cycles by cause. Where operands still are comes
from `residence.py`. Always: the dearer of operations and ways counts, waiting comes on top.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.contract.reading import Reread, left_loads, rereads
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.cost import drawing, work
from tilewright.machine.machine import Machine, Memory
from tilewright.plan.ir import Call, Var
from tilewright.simulate.residence import Distance, Residence

LEAST_REGISTERS = 8
LINE, WAYS, PAGE = 64, 8, 4096
"""Bytes that memories pass on together; lines that a nearest cache keeps of those whose addresses
are equal within a page, with all of today's makers; bytes of a page."""

Cycles = dict[str, np.ndarray | float]
"""By cause. In a map whose instances differ, an array with one number for each of them."""


def average(cycles: Cycles) -> float:
    return float(np.mean(sum(cycles.values(), 0.0)))


def add(total: Cycles, more: Cycles) -> None:
    for name, cycles in more.items():
        total[name] = total.get(name, 0.0) + cycles


def scaled(cycles: Cycles, factor: np.ndarray | float) -> Cycles:
    return {name: value * factor for name, value in cycles.items()}


class Vertices:
    """Of one program on a machine; `dealt` are variables whose instances other tiles have, too."""

    def __init__(self, machine: Machine, residence: Residence, dealt: set[Var]):
        self.machine, self.tile, self.residence = machine, machine.tile, residence
        self.dealt = dealt
        self.families = dict(machine.tile.families)
        self.work: dict[Codelet, Cycles] = {}

    def of(self, call: Call, busy: int) -> Cycles:
        """While `busy` tiles work."""
        computed, moved = self._computed(call.codelet), self._moved(call, busy)
        foreseen, waited = self._panels(call.codelet, busy)
        add(moved, foreseen)
        dearer = dict(computed if average(computed) >= average(moved) else moved)
        add(dearer, waited)
        if busy > 1:
            add(dearer, self._contended(call))
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

        A barrier of two is such a line, which both touch twice.
        """
        found = 0.0
        for view in call.views[len(call.codelet.inputs) :]:
            item = numpy_dtype(view.dtype).itemsize
            steps = [abs(step) * item for var, step in view.moves if var in self.dealt]
            if view.buffer.space in ("output", "shared") and steps and max(steps) < LINE:
                found += drawing(self.machine) / 4
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
            if _drives_out(panel):
                second = self.tile.memories[1]
                again = panel.runs * lines / self._rate(second, busy)
                found[second.name] = found.get(second.name, 0.0) + again
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


def _drives_out(panel: Reread) -> bool:
    """Whether lines asked for in advance are gone from the nearest cache when they are used.

    Rows that lie whole pages apart meet in one set of it: then each line comes twice, the second
    time from the next memory. Measured on Zen 4 (AVX2): 32 rows by 24 columns, 1,024 terms; lines
    4096 bytes apart, asked for 2, 4, 6, 8 and 16 rows in advance, took 1.7, 1.9, 2.2, 2.4 and 2.6
    times as long as lines 4160 bytes apart.
    """
    sets = PAGE / gcd(panel.step, PAGE) if panel.step else PAGE
    return panel.ahead > 0 and (panel.ahead + 1) / sets > WAYS


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
