"""A function on a machine that is not here: how long it would take there, and its values from here.

In: a plan for tiles that share no memory, and how to compile the same function for this host. Out:
cycles, bytes, a page. Always: values are those of the same graph run here, which the law of sums
makes equal to the bit; nothing is run on the machine itself. What does not fit it raises
`CapacityError` before anything else is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError, CapacityError
from tilewright.files import write_text
from tilewright.frozen import frozen
from tilewright.machine.catalogue import machine as named
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Pipeline, Program, Replicas
from tilewright.plan.text import program_to_text
from tilewright.report.beside import Side, beside_page
from tilewright.report.html import folded
from tilewright.report.page import Modelling, compared, page, superstep_rows, verdict
from tilewright.report.profile import Profile
from tilewright.report.tree import tree
from tilewright.runtime.executable import Executable
from tilewright.simulate.cycles import Known, run
from tilewright.simulate.levers import Lever, levers
from tilewright.simulate.occupancy import Occupancy, occupancy, too_much
from tilewright.simulate.outcome import Run
from tilewright.simulate.tenants import tensors
from tilewright.simulate.trips import Trips
from tilewright.simulate.ways import Way, best


@frozen
class Simulated:
    """What one run would take: `run` has a row for each superstep, `held` bytes by tile."""

    run: Run
    held: Occupancy
    ways: Mapping[str, Run | str] = field(default_factory=dict)
    """Of a map an instance a tile, or a chip; of several chips one alone: timed, or why not."""

    law: str = ""
    """The order of sums, by name."""

    instances: int = 1
    """Of a `tile_map` that was planned by chips, or in stages; else the whole is one."""

    share: float = 1.0
    """Of a run, what one instance takes from its start to its end."""

    @property
    def cycles(self) -> float:
        return self.run.cycles

    @property
    def seconds(self) -> float:
        """Of one run."""
        return self.run.seconds

    @property
    def latency(self) -> float:
        """Seconds from an instance's start to its end."""
        return self.seconds * self.share

    @property
    def throughput(self) -> float:
        """Instances a second, runs following each other."""
        return self.instances / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        text = verdict(self.run, self.held, self.law)
        return f"{text} {compared(self.ways)}" if self.ways else text

    def to_json(self) -> str:
        """Supersteps, totals, bytes by tile; parses with any JSON reader."""
        rows = [asdict(row) for row in self.run.supersteps]
        kinds = ("compute", "exchange", "sync", "passed", "host")
        return json.dumps({
            "machine": self.run.machine.name,
            "law": self.law,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "latency": self.latency,
            "throughput": self.throughput,
            "limit": self.run.limit,
            "busy": self.run.busy,
            "totals": {kind: self.run.total(kind) for kind in kinds},
            "bytes_by_tile": self.held.by_tile.astype(int).tolist(),
            "bytes_always_by_tile": self.held.stays.astype(int).tolist(),
            "bytes_by_kind": {k: v.astype(int).tolist() for k, v in self.held.kinds.items()},
            "supersteps": rows,
        })  # fmt: skip

    def to_perfetto(self) -> str:
        """A trace for ui.perfetto.dev: one turn of each loop, a microsecond a thousand cycles."""
        at, events = 0.0, []
        for number, row in enumerate(self.run.supersteps):
            for lane, kind in enumerate(("compute", "sync", "exchange")):
                cycles = getattr(row, kind)
                if cycles:
                    name = row.names[0] if kind == "compute" and row.names else kind
                    events.append({
                        "name": name, "ph": "X", "pid": 1, "tid": lane + 1, "ts": at / 1e3,
                        "dur": cycles / 1e3, "args": {"superstep": number, "times": row.times},
                    })  # fmt: skip
                    at += cycles
        return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})


class Modelled:
    """Call it for values; `simulate`, `levers` and `report` for what it would take."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        ways: Callable[[], Mapping[str, Way]],
        native: Callable[[], Executable],
        law: str,
    ):
        self.name, self.machine, self.law = name, machine, law
        self._native = native
        self.ways = ways()
        """What was planned, by how it uses the machine: "tiles", "chips", "chip"."""
        chosen = best(self.ways)
        if chosen.fault:
            raise CapacityError(chosen.fault)
        self.plan: Program = chosen.plan()[0]
        """The program with homes; `program` is its text."""
        self._flows: Known = {}

    @cached_property
    def native(self) -> Executable:
        """The same function for this host."""
        return self._native()

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.native(*args, **named)

    def trips(self, *args: Any, **named: Any) -> dict[str, Any]:
        """As `Executable.trips`, from a run here."""
        return self.native.trips(*args, **named)

    @cached_property
    def program(self) -> str:
        return program_to_text(self.plan)

    def simulate(
        self, trips: Trips | None = None, machine: str | Path | Machine | None = None
    ) -> Simulated:
        """Without data; `trips` says how often loops of unknown length turn. On another `machine`
        of as many tiles and chips, such as `exe.machine.with_(clock="1.5 GHz")`, the plan is this
        one: what other figures alone would change.

        Raises `ArgumentError` where such a loop is in none of `trips`, or `machine` is of another
        shape or has too little memory for the plan.
        """
        if machine is not None:
            other = self._alike(named(machine))
            found = run(self.plan, other, trips, known=self._flows)
            return Simulated(found, occupancy(self.plan), {}, self.law, *self._each)
        timed = {name: way for name, way in self.ways.items() if way.fits}
        others = {
            name: way.run(trips) if name in timed else way.fault
            for name, way in self.ways.items()
            if len(self.ways) > 1
        }
        found = run(self.plan, self.machine, trips, known=self._flows)
        return Simulated(found, occupancy(self.plan), others, self.law, *self._each)

    @property
    def _each(self) -> tuple[int, float]:
        """Instances of a run, and the share of it that one takes."""
        for step in self.plan.steps:
            if isinstance(step, Replicas):
                return step.count, 1 / step.turns
            if isinstance(step, Pipeline):
                return step.count, len(step.parts) / step.turns
        return 1, 1.0

    def _alike(self, other: Machine) -> Machine:
        def shape(machine: Machine) -> tuple[object, ...]:
            exchange = machine.chip.exchange
            grid = (exchange.mesh.columns, exchange.mesh.rows) if exchange.mesh else None
            return exchange.kind, grid, machine.chip.tiles, machine.chips

        if shape(other) != shape(self.machine):
            raise ArgumentError(
                f"{other.name} is of another shape than {self.machine.name}: compile for it, as "
                "plans hang on numbers of tiles and chips."
            )
        if fault := too_much(self.plan, other):
            raise ArgumentError(f"The plan for {self.machine.name} does not fit: {fault}")
        return other

    def side(self, trips: Trips | None = None) -> Side:
        """For a page on which it stands beside another."""
        found, clock = self.simulate(trips), self.machine.chip.clock
        kinds = {kind: found.run.total(kind) / clock for kind in ("compute", "exchange", "sync")}
        more = {
            "tiles at work": f"{found.run.busy:.0%}",
            "bytes of the fullest tile": f"{found.held.needed:,}",
            "bytes passed": f"{found.run.total('passed'):,.0f}",
        }
        steps = found.run.supersteps
        rows = tree(steps) + folded("all supersteps as a table", superstep_rows(steps))
        name = f"{self.name} on {self.machine.name}, modelled"
        said = verdict(found.run, found.held, self.law)
        return Side(name, said, found.seconds, kinds, more, rows)

    def levers(self, trips: Trips | None = None) -> tuple[Lever, ...]:
        """What halving or doubling each figure of the machine would do, the strongest first."""
        return levers(self.plan, self.machine, trips)

    def report(
        self,
        path: str | Path,
        trips: Trips | None = None,
        beside: Modelled | Profile | None = None,
    ) -> Path:
        """One self-contained page. With `beside`, another modelled program or a profile of a run
        here (`Executable.profile`), the two side by side: their times by kind and supersteps.

        Raises `ArgumentError` where `path` cannot be written.
        """
        if beside is not None:
            text = beside_page(self.side(trips), beside.side())
        else:
            found = self.simulate(trips)
            said = verdict(found.run, found.held, self.law)
            ways = compared(found.ways) if found.ways else ""
            shown = Modelling(found.run, found.held, tensors(self.plan, trips), ways)
            text = page(self.name, said, shown, self.levers(trips), self.program)
        try:
            write_text(Path(path), text)
        except OSError as error:
            raise ArgumentError(f"The report {str(path)!r} cannot be written: {error}.") from None
        return Path(path)
