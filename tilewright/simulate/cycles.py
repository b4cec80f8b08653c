"""How long a program with homes takes: superstep by superstep, without running it.

In: a program, a machine whose tiles share no memory, how often loops of unknown length turn. Out:
`Run`: a row for each place where tiles wait for each other. Always: the work grows with families
and with rows of messages, never with vertices or turns.

    compute     the busiest tile, of all families since the sync before; each tile by itself
    sync        of the tiles of a chip, or of all chips where something passes between them
    exchange    what it takes to begin, then the most that one tile sends or receives, at so many
                bytes a cycle; or the most that leaves or enters a chip, over its links
    host        bytes that come from there or go there: counted, not timed, as nobody waits for them
                while a program runs again and again; on a mesh they are the card's memory's, and
                timed (`mesh.py`)

The body of a loop is gone through once; a branch is its dearest case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.machine.cost import NOTHING, Count
from tilewright.machine.machine import Machine, Tile
from tilewright.plan.apart.replicas import one_chip
from tilewright.plan.apart.slots import vertex
from tilewright.plan.ir import (
    Branch,
    Call,
    Exchange,
    Family,
    Loop,
    Move,
    Pipeline,
    Program,
    Replicas,
    Step,
    Sync,
    While,
)
from tilewright.plan.sources import calls_of
from tilewright.simulate.flows import Flows, flows
from tilewright.simulate.mesh import mesh_cycles, mesh_flows
from tilewright.simulate.outcome import Run, Superstep
from tilewright.simulate.trips import Trips, whiles

Known = dict[tuple[int, ...], Flows]
"""Flows of a program's exchanges, found before: of other figures of speed they are the same."""


def run(
    program: Program,
    machine: Machine,
    trips: Trips | None = None,
    price: Callable[[Codelet, Tile], float] = vertex,
    known: Known | None = None,
) -> Run:
    """`price`: cycles of a vertex on a tile, by default as written by hand (`plan/apart/slots.py`).
    `known` is filled, and spares whoever times the same program again most of the work.

    Raises `ArgumentError` where a loop of unknown length is in none of `trips`.
    """
    walk = _Walk(machine, whiles(program, trips or {}), price, {} if known is None else known)
    walk.steps(program.steps, 1.0, 0)
    walk.close(1.0, 0)
    lines: dict[str, dict[str, None]] = {}
    for call in calls_of(program.steps):
        lines.setdefault(call.codelet.name, {}).setdefault(call.source)
    written = {name: tuple(filter(None, some)) for name, some in lines.items()}
    return Run(machine, tuple(walk.found), walk.counts, walk.parts, written)


Cycles = float | np.ndarray
"""Of any instance of a family, or of each."""


def _mean(pair: tuple[Cycles, Count]) -> float:
    return float(np.mean(pair[0]))


@dataclass
class _Open:
    """A superstep under way: cycles by tile, and of each codelet on its busiest tile."""

    tiles: np.ndarray
    names: dict[str, float] = field(default_factory=dict)


class _Walk:
    def __init__(
        self,
        machine: Machine,
        turns: dict,
        price: Callable[[Codelet, Tile], float],
        flows: Known,
    ):
        self.machine, self.turns, self.price, self.flows = machine, turns, price, flows
        self.found: list[Superstep] = []
        self.counts = NOTHING
        self.open = _Open(np.zeros(machine.tiles))
        self.sync = 0.0
        self.parts: tuple[float, ...] = ()
        self.known: dict[Codelet, float] = {}
        self.chips: Replicas | None = None
        """Around the present step."""
        self.instances = 1
        """Of the family at hand."""
        self.inside: tuple[str, ...] = ()
        self.loops = 0

    @contextmanager
    def within(self, label: str, turns: float) -> Iterator[None]:
        """Around the steps of a loop, or of what is done by chips of their own."""
        outside, self.loops = self.inside, self.loops + 1
        often = f"{turns:,.0f}" if turns >= 1000 or turns == int(turns) else f"{turns:.3g}"
        self.inside = (*outside, f"{self.loops}: {label}, {often} turn{'s' * (turns != 1)}")
        yield
        self.inside = outside

    def steps(self, steps: Sequence[Step], times: float, depth: int) -> None:
        for step in steps:
            match step:
                case Family():
                    self.family(step, times)
                case Sync(scope):
                    self.sync += self.waiting(scope)
                case Exchange(moves):
                    self.exchange(moves, times, depth)
                case Loop(_, count, body):
                    self.turned(body, times, count, depth)
                case While(condition, _, body):
                    self.turned((*condition, *body), times, self.length(step), depth)
                case Replicas():
                    self.replicas(step, times, depth)
                case Pipeline():
                    self.pipeline(step, times, depth)
                case Branch(_, cases):
                    self.dearest(cases, times, depth)
                case _:
                    raise AssertionError(f"{type(step).__name__} has no home")

    def length(self, step: While) -> float:
        """Of a loop of all tiles, or of the busiest chip, where instances have their own."""
        turns = np.atleast_1d(self.turns[id(step)])
        chips = self.chips.chips if self.chips else 1
        if turns.size == 1 or chips == 1:
            return float(turns.mean())
        rows = np.zeros(-(-turns.size // chips) * chips)
        rows[: turns.size] = turns
        return float(rows.reshape(-1, chips).sum(0).max() / (rows.size // chips))

    def replicas(self, step: Replicas, times: float, depth: int) -> None:
        """One chip's, as often as the busiest turns; all that is done, by each that takes part."""
        self.close(times, depth)
        counts, before, whole = self.counts, len(self.found), self.machine
        self.counts, self.chips = NOTHING, step
        self.machine = one_chip(whole)
        self.open = _Open(np.zeros(self.machine.tiles))
        with self.within(f"each of {step.chips} chips", step.turns):
            self.steps(step.steps, times * step.turns, depth + 1)
            self.close(times * step.turns, depth + 1)
        self.machine, self.chips = whole, None
        self.counts = counts + self.counts * (step.count / step.turns)
        at_work = step.count / step.turns
        self.found[before:] = [
            replace(
                row, passed=row.passed * at_work, host=row.host * at_work,
                busy=row.busy * at_work / whole.chips,
            )
            for row in self.found[before:]
        ]  # fmt: skip
        self.open = _Open(np.zeros(whole.tiles))

    def pipeline(self, step: Pipeline, times: float, depth: int) -> None:
        """Each turn takes as long as the dearest part at work; then all pass on what they have."""
        self.close(times, depth)
        before, counts, known = len(self.found), self.counts, []
        for number, part in enumerate(step.parts):
            self.counts = NOTHING
            with self.within(f"part {number} of {len(step.parts)}, where dearest", step.turns):
                self.steps(part, 1.0, depth + 1)
                self.close(1.0, depth + 1)
            known.append((self.found[before:], self.counts))
            del self.found[before:]
        self.parts = cycles = tuple(sum(r.cycles * r.times for r in rows) for rows, _ in known)
        dearest = [
            max((part for part, _ in step.working(turn)), key=lambda part: cycles[part])
            for turn in range(step.turns)
        ]
        work = [sum(row.busy * row.compute * row.times for row in rows) for rows, _ in known]
        shown = sum(work[part] for part in dearest) or 1.0
        at_work = step.count * sum(work) / shown
        for part, (rows, _) in enumerate(known):
            often = times * dearest.count(part)
            self.found += [
                replace(row, times=row.times * often, busy=row.busy * at_work)
                for row in rows
                if often
            ]
        self.counts = sum((done * (times * step.count) for _, done in known), counts)
        self.sync += self.waiting("chips")
        moves = [move for part in step.passed for move in part]
        self.exchange(moves, times * step.turns, depth + 1)

    def waiting(self, scope: str) -> float:
        between = self.machine.sync_cycles_between_chips
        return between if scope != "tiles" and between else self.machine.chip.sync_cycles

    def turned(self, body: Sequence[Step], times: float, count: float, depth: int) -> None:
        self.close(times, depth)
        with self.within("loop", count):
            self.steps(body, times * count, depth + 1)
            self.close(times * count, depth + 1)

    def dearest(self, cases: Sequence[Sequence[Step]], times: float, depth: int) -> None:
        """Tiles wait for whoever decides, then all go the same way."""
        self.sync += self.machine.chip.sync_cycles
        self.close(times, depth)
        before, counts = len(self.found), self.counts
        best: tuple[float, list[Superstep], Count] = (-1.0, [], counts)
        for case in cases:
            self.counts = counts
            self.steps(case, times, depth)
            self.close(times, depth)
            mine = self.found[before:]
            del self.found[before:]
            best = max(best, (sum(s.cycles for s in mine), mine, self.counts), key=lambda b: b[0])
        self.found += best[1]
        self.counts = best[2]

    def close(self, times: float, depth: int, flow: Flows | None = None) -> None:
        """End the superstep; none if nothing happened in it."""
        compute = float(self.open.tiles.max(initial=0.0))
        if not (compute or self.sync or flow):
            return
        exchange, sync = self.passing(flow) if flow else 0.0, self.sync
        if flow is not None and sync and flow.links.any():
            sync = self.waiting("chips")
        names = tuple(sorted(self.open.names, key=lambda n: -self.open.names[n]))
        busy = float(self.open.tiles.mean() / compute) if compute else 0.0
        passed, host = (flow.passed, flow.host) if flow else (0.0, 0.0)
        links = float(flow.links.max()) if flow else 0.0
        self.found.append(
            Superstep(
                compute, sync, exchange, times, names, passed, links, host, depth, busy,
                self.inside,
            )
        )  # fmt: skip
        self.open = _Open(np.zeros(self.machine.tiles))
        self.sync = 0.0

    def exchange(self, moves: Sequence[Move], times: float, depth: int) -> None:
        chip, mesh = self.machine.chip, self.machine.chip.exchange.mesh
        ways = (mesh.columns, mesh.rows) if mesh else (chip.exchange.bus,)
        key = (*map(id, moves), self.machine.tiles, chip.tiles, *ways)
        if key not in self.flows:
            self.flows[key] = (
                mesh_flows(moves, self.machine)
                if mesh
                else flows(moves, self.machine.tiles, chip.tiles, chip.exchange.bus)
            )
        self.close(times, depth, self.flows[key])

    def passing(self, flow: Flows) -> float:
        """Cycles of an exchange."""
        exchange = self.machine.chip.exchange
        if exchange.mesh is not None:
            most = mesh_cycles(flow, self.machine)
            begun = exchange.overhead_cycles + most if most else 0.0
            return max(begun, self.through_links(flow))
        rate = exchange.bytes_per_cycle_per_tile or 1.0
        received = flow.received + flow.shared / exchange.bus
        most = float(max(flow.sent.max(initial=0), received.max(initial=0))) / rate
        copied = float(flow.local.max(initial=0)) / (self.machine.tile.memories[0].write or 8)
        if not most:
            return copied
        cycles = exchange.overhead_cycles + max(most, copied)
        return max(cycles, self.through_links(flow))

    def through_links(self, flow: Flows) -> float:
        """Cycles of what passes between chips, from its beginning."""
        exchange, clock = self.machine.chip.exchange, self.machine.chip.clock
        if not flow.links.any():
            return 0.0
        a_second = exchange.bytes_per_second_between_chips * exchange.link_efficiency
        begun = max(exchange.overhead_cycles, exchange.overhead_between_chips)
        way = max(flow.hops, 1) * exchange.seconds_per_hop
        return float(begun + (flow.links.max() / a_second + way) * clock)

    # Vertices.

    def family(self, family: Family, times: float) -> None:
        homes = family.homes
        self.instances = homes.blocks
        cycles, count = self.alone(family.steps, homes.slots)
        weights = np.broadcast_to(cycles, homes.blocks)
        tiles = homes.tile(np.arange(homes.blocks))
        self.open.tiles += np.bincount(tiles, weights, self.machine.tiles)
        self.counts += count * (times * homes.blocks)

    def turns_of_each(self, step: While) -> Cycles:
        """Of a loop inside an instance: one number, or one for each of them."""
        turns = np.atleast_1d(self.turns[id(step)])
        return turns if turns.size == self.instances > 1 else self.length(step)

    def alone(self, steps: Sequence[Step], slots: float) -> tuple[Cycles, Count]:
        """Cycles of an instance, of each where they differ, and what it does; names get the time
        of `slots` instances."""
        total: Cycles = 0.0
        count = NOTHING
        for step in steps:
            match step:
                case Call(codelet, _):
                    cycles, done = self.vertex(codelet), codelet.work
                    names = self.open.names
                    names[codelet.name] = names.get(codelet.name, 0.0) + slots * cycles
                case Loop(_, times, body):
                    cycles, done = self.alone(body, slots * times)
                    cycles, done = times * cycles, done * times
                case While(condition, _, body):
                    turns = self.turns_of_each(step)
                    often = float(np.mean(turns))
                    cycles, done = self.alone((*condition, *body), slots * often)
                    cycles, done = turns * cycles, done * often
                case Branch(_, cases):
                    found = [self.alone(case, slots) for case in cases]
                    cycles, done = max(found, key=_mean, default=(0.0, NOTHING))
                case _:
                    raise AssertionError(step)
            total, count = total + cycles, count + done
        return total, count

    def vertex(self, codelet: Codelet) -> float:
        if codelet not in self.known:
            self.known[codelet] = self.price(codelet, self.machine.tile)
        return self.known[codelet]
