"""What a program is made of: a row for each part, and what limits it.

In: a program and a machine. Out: supersteps, vertices, operations, bytes a tile and where they fit,
what most of the time must go to, and that time, by the price of `machine/cost.py`; and the limit
of the graph, which no plan can beat (`limit.py`). Nothing is measured here: `tilewright/calibrate`
does, and what it found is the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.graph.ir import Graph
from tilewright.machine.cost import home, late
from tilewright.machine.machine import Machine
from tilewright.plan.capacity import needed
from tilewright.plan.ir import Loop, Map, Program, Step
from tilewright.plan.price import price_of
from tilewright.plan.stages import LATE
from tilewright.plan.summary import Part, part_numbers, parts, syncs_of
from tilewright.plan.synchronise import is_shared_work
from tilewright.report.limit import limit
from tilewright.report.table import Report

COLUMNS = ("part", "times", "vertices", "Mflop", "MB", "KB held", "fits", "limit", "µs")


def report(program: Program, machine: Machine, tiles: int, graph: Graph | None = None) -> Report:
    """One row for each part, run by so many tiles; see `plan/summary.py` for what a part is.

    `graph` is what the program was made of.
    """
    found = parts(program)
    rows = tuple(_row(number, part, machine, tiles) for number, part in enumerate(found))
    sizes = ", ".join(f"{m.name} {m.size >> 10:,} KiB" for m in machine.tile.memories[:2])
    notes = (
        f"{tiles} tiles, a thread each, "
        f"{sum(part.syncs for part in found)} barriers inside loops; "
        f"{program.shared_bytes:,} bytes shared, {program.tile_bytes:,} bytes a tile ({sizes}); "
        f"{needed(program, tiles):,} bytes in a call, with arguments and results",
        "+ counts loops of unknown length once; µs: the part if only its limits hold it up "
        f"({machine.source})",
        *([_limited(found, graph, machine, tiles)] if graph is not None else []),
        *(way + _planned_for(machine, tiles) for way in _ways(program.steps, machine)),
    )
    return Report("Program", COLUMNS, rows, notes)


def _limited(found: Sequence[Part], graph: Graph, machine: Machine, tiles: int) -> str:
    """What the graph takes at least, beside what the plan moves."""
    planned = sum(part.work.count.bytes for part in found)
    return f"limit of any plan: {limit(graph, machine, tiles)}, {planned / 1e6:,.3f} planned"


def _ways(steps: Sequence[Step], machine: Machine) -> Iterator[str]:
    """What was chosen where there were several ways, and what the others would take."""
    for number, step in zip(part_numbers(steps), steps, strict=True):
        if isinstance(step, Loop | Map) and step.ways:
            yield f"{number} {type(step).__name__.lower()}: {step.ways}"
        elif isinstance(step, Loop) and machine.chip.tiles > 1 and is_shared_work(step):
            yield f"{number} loop: {_dealt(step, machine)}"


def _planned_for(machine: Machine, tiles: int) -> str:
    """Plans are made for all tiles of a machine; fewer may run them."""
    planned = machine.chip.tiles
    return "" if tiles == planned else f" (as planned, for {planned} tiles)"


def _dealt(loop: Loop, machine: Machine) -> str:
    """Of a loop whose trips all tiles share: beside one that does it all, and waits for nobody."""
    tiles = machine.chip.tiles
    waits = late(machine, LATE) * syncs_of([loop])
    shared, alone = (
        f"{cycles / machine.chip.clock * 1e6:,.0f} µs"
        for cycles in (
            price_of([loop], machine, tiles).cycles + waits,
            price_of([loop], machine).cycles,
        )
    )
    return f"each trip dealt out over {tiles} tiles: {shared}; all of it on one: {alone}"


def _row(number: int, part: Part, machine: Machine, tiles: int) -> tuple[str, ...]:
    work, held = part.work, part.bytes_per_tile() or part.bytes_shared()
    more = "+" if work.open_ended else ""
    price = price_of(part.steps, machine, tiles)
    return (
        f"{number} {part.kind}",
        f"{part.count:,}",
        f"{work.vertices:,}{more}",
        f"{work.count.flops / 1e6:,.3f}{more}",
        f"{work.count.bytes / 1e6:,.3f}{more}",
        f"{held / 1e3:,.0f}",
        home(machine.tile, held).name,
        price.limit,
        f"{price.cycles / machine.chip.clock * 1e6:,.1f}",
    )
