"""What halving or doubling a figure of a machine would do to a program, at a fixed plan.

In: a program with homes, its machine. Out: for each figure the run's cycles, or seconds where the
clock itself changes, as a share of the present ones. Nothing is planned again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tilewright.frozen import frozen
from tilewright.machine.machine import Chip, Machine
from tilewright.plan.ir import Program
from tilewright.simulate.cycles import Known, run
from tilewright.simulate.trips import Trips


@frozen
class Lever:
    """Time with the figure halved, and doubled; 1 is the present time."""

    figure: str
    halved: float
    doubled: float


def levers(program: Program, machine: Machine, trips: Trips | None = None) -> tuple[Lever, ...]:
    """The one that would save most first."""
    known: Known = {}
    now = run(program, machine, trips, known=known).seconds

    def time(change: Callable[[Chip, float], Chip], factor: float) -> float:
        other = replace(machine, chip=change(machine.chip, factor))
        return run(program, other, trips, known=known).seconds / now if now else 1.0

    changes = _CHANGES | (_OF_A_MESH if machine.chip.exchange.mesh else {})
    found = [Lever(name, time(c, 0.5), time(c, 2.0)) for name, c in changes.items()]
    return tuple(sorted(found, key=lambda lever: min(lever.halved, lever.doubled)))


def _tile(chip: Chip, **figures: Any) -> Chip:
    return replace(chip, tile=replace(chip.tile, **figures))


def _exchange(chip: Chip, **figures: Any) -> Chip:
    return replace(chip, exchange=replace(chip.exchange, **figures))


_CHANGES: dict[str, Callable[[Chip, float], Chip]] = {
    "clock": lambda chip, f: replace(chip, clock=chip.clock * f),
    "multiply-adds of the matrix unit": lambda chip, f: _tile(
        chip, units=tuple(replace(unit, rate=unit.rate * f) for unit in chip.tile.units)
    ),
    "loads a cycle": lambda chip, f: _tile(
        chip,
        memories=tuple(replace(m, read=m.read * f, write=m.write * f) for m in chip.tile.memories),
    ),
    "functions a cycle": lambda chip, f: _tile(
        chip, operations=tuple((n, d, cycles / f) for n, d, cycles in chip.tile.operations)
    ),
    "exchange, bytes a cycle": lambda chip, f: _exchange(
        chip, bytes_per_cycle_per_tile=chip.exchange.bytes_per_cycle_per_tile * f
    ),
    "exchange, cycles to begin": lambda chip, f: _exchange(
        chip, overhead_cycles=round(chip.exchange.overhead_cycles * f)
    ),
    "exchange between chips, cycles to begin": lambda chip, f: _exchange(
        chip, overhead_between_chips=round(chip.exchange.overhead_between_chips * f)
    ),
    "links between chips": lambda chip, f: _exchange(
        chip, bytes_per_second_between_chips=chip.exchange.bytes_per_second_between_chips * f
    ),
    "cycles of a sync": lambda chip, f: replace(chip, sync_cycles=round(chip.sync_cycles * f)),
    "cycles to begin a vertex": lambda chip, f: _tile(chip, call=chip.tile.call * f),
}


def _mesh(chip: Chip, **figures: float) -> Chip:
    """Figures of its mesh, so many times as large."""
    mesh = chip.exchange.mesh
    assert mesh is not None
    times = {name: getattr(mesh, name) * factor for name, factor in figures.items()}
    return _exchange(chip, mesh=replace(mesh, **times))


def _card(chip: Chip, factor: float) -> Chip:
    *near, far = chip.tile.memories
    far = replace(far, read=far.read * factor, read_all=far.read_all * factor)
    return _mesh(_tile(chip, memories=(*near, far)), card=factor)


_OF_A_MESH: dict[str, Callable[[Chip, float], Chip]] = {
    "mesh, one to many and many to one": lambda chip, f: _mesh(chip, gather=f, spread=f),
    "the card's memory, bytes a second": _card,
}
