"""`compare`: what other machines would make of a function, without running it on them.

In: a JAX function, example arguments, machines. Out: a `Comparison`, a row a machine. The function
is planned for each machine as it is for this host, and timed by `simulate/cpu.py`, on tiles that
share no memory by `simulate/cycles.py`; on a GPU it is a bound. Nothing becomes machine code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from tilewright.dump import Dump
from tilewright.errors import ArgumentError, CapacityError
from tilewright.frozen import frozen
from tilewright.graph.by_law import by_law
from tilewright.graph.widen import widen
from tilewright.machine.catalogue import machine as named
from tilewright.machine.host import host_machine
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Program
from tilewright.report.table import Report
from tilewright.runtime.parameters import parameters
from tilewright.simulate.result import Estimate, estimate, ranks, unfit
from tilewright.simulate.trips import Trips
from tilewright.stages import WHOLE, Stages
from tilewright.trace import trace

WIDE = 120
"""Characters from which on a terminal shows all columns."""
AS_TYPED = tuple(rewrite for rewrite in WHOLE if rewrite is not widen)
"""For a bound: what is bfloat16 is counted as such."""
COLUMNS: tuple[str, ...] = ("machine", "rank", "time", "limit", "busy", "memory", "energy", "price")


@frozen
class Comparison:
    """`rows` in the order of the machines given; prints as a table, the fastest first."""

    name: str
    rows: tuple[Estimate, ...]
    law: str | None = None

    @property
    def ranks(self) -> tuple[int | None, ...]:
        return tuple(ranks(self.rows))

    @property
    def table(self) -> Report:
        return self._table(COLUMNS)

    def _table(self, columns: tuple[str, ...]) -> Report:
        """Without those that would be empty."""
        order = sorted(zip(self.rows, self.ranks, strict=True), key=lambda row: row[0].seconds)
        cells: list[dict[str, str]] = [
            dict(zip(COLUMNS, _cells(*row), strict=True)) for row in order
        ]
        kept = tuple(name for name in columns if any(row[name] for row in cells))
        rows = tuple(tuple(row[name] for name in kept) for row in cells)
        by = f", sums by the law {self.law!r}" if self.law else ""
        return Report(f"{self.name}, modelled{by}", kept, rows, tuple(self._notes()))

    def _notes(self) -> list[str]:
        notes = [
            "ranges: what clock all cores hold is not published; those that overlap share a rank",
            "busy: cores at work, on average; energy: at the power that a machine is sold for",
        ]
        if any(row.bound for row in self.rows):
            notes.append("≥ is a bound: no program can be faster there, and ours was not planned")
        notes += [
            row.fault or f"{row.machine.name}: {row.bytes:,} bytes do not fit its memory"
            for row in self.rows
            if not row.fits
        ]
        assumed: dict[str, list[str]] = {}
        for row in self.rows:
            tables = {figure.rpartition(".")[0] or figure for figure in row.machine.assumed}
            if tables:
                assumed.setdefault(", ".join(sorted(tables)), []).append(row.machine.name)
        return notes + [f"assumed: {t} of {', '.join(who)}" for t, who in assumed.items()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A narrow terminal has fewer columns, and names of machines on several lines."""
        wide = options.max_width >= WIDE
        table = self._table(COLUMNS if wide else COLUMNS[:5]).table()
        table.columns[0].no_wrap = wide
        yield table

    def __str__(self) -> str:
        return str(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def compare(
    fn: Callable[..., Any],
    *specs: Any,
    machines: Sequence[str | Path | Machine],
    trips: Trips | None = None,
    tiles: int | None = None,
    law: str | None = None,
    **named_specs: Any,
) -> Comparison:
    """What each machine would take for `fn` on arguments like `specs` (arrays or shapes).

    Machines are names ("cpu", "cpu:epyc-9755"; `tilewright machine show` has all), TOML files, or
    `machine(...).with_(...)`. `trips` says how often loops of unknown length turn, by name, as
    `tilewright.compile(fn, *args).trips(*args)` records them. `tiles` is how many cores at most,
    `law` the order of sums, as `tilewright.compile` takes it.

    Raises `ArgumentError` for no machines, one twice, one that cannot be planned for, or trips that
    are missing; `CapacityError` where it fits none of them. What fits some has a row for each, and
    a note that says why it does not fit the others.
    """
    found = _machines(machines)
    called = parameters(fn, specs, named_specs)
    traced = trace(called.fn, *called.values)
    graph = by_law(traced.graph, law)
    name = getattr(fn, "__name__", "program")
    hidden = len(traced.constants)

    def planned(machine: Machine) -> Program:
        if machine.chip.exchange.kind != "bound":
            return Stages(graph, Dump(name), hidden=hidden, machine=machine).program
        stages = Stages(graph, Dump(name), AS_TYPED, hidden=hidden, machine=host_machine())
        return stages.program

    rows = [_row(planned, machine, tiles, trips) for machine in found]
    if all(row.fault for row in rows):
        raise CapacityError(_nowhere(rows))
    return Comparison(name, tuple(rows), law)


def _row(
    planned: Callable[[Machine], Program], machine: Machine, tiles: int | None, trips: Trips | None
) -> Estimate:
    try:
        return estimate(planned(machine), machine, tiles, trips)
    except CapacityError as error:
        return unfit(machine, str(error))


def _nowhere(rows: Sequence[Estimate]) -> str:
    """Of the last machine in words: it stands for all."""
    *others, last = rows
    names = ", ".join(row.machine.name for row in others)
    return f"{last.fault}{f' Nor does it fit {names}.' if others else ''}"


def _machines(given: Sequence[str | Path | Machine]) -> list[Machine]:
    if isinstance(given, str | Path | Machine) or not isinstance(given, Sequence):
        raise ArgumentError(f"machines must be a list of them, not {given!r}.")
    if not given:
        raise ArgumentError("machines is empty: name one at least, such as 'cpu'.")
    found = [named(one) for one in given]
    for number, one in enumerate(found):
        if one in found[:number]:
            raise ArgumentError(f"machines has {one.name!r} twice.")
    return found


def _cells(row: Estimate, rank: int | None) -> tuple[str, ...]:
    if row.fault:
        return (row.machine.name, "", "does not fit", row.limit, "", "", "", "")
    return (
        row.machine.name,
        "bound" if rank is None else str(rank),
        ("≥ " if row.bound else "") + _range(row.seconds, TIMES),
        row.limit,
        "" if row.bound else f"{row.busy:,.1f} / {row.machine.tiles}",
        f"{row.bytes / 1e6:,.1f} MB" + ("" if row.fits else ", too much"),
        _range(row.watt_hours, ENERGIES) if row.machine.watts else "",
        _range(row.price, MONEY) if row.machine.price else "",
    )


Units = tuple[tuple[float, str], ...]

TIMES: Units = ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
ENERGIES: Units = ((1e3, "kWh"), (1, "Wh"), (1e-3, "mWh"), (1e-6, "µWh"))
MONEY: Units = ((1, ""), (1e-6, "millionths"))


def _range(pair: tuple[float, float], units: Units) -> str:
    """In the unit that suits the larger one: "3.25–4 ms"."""
    low, high = pair
    size, unit = next(((s, u) for s, u in units if high >= s), units[-1])
    figures = dict.fromkeys(f"{figure / size:.3g}" for figure in (low, high))
    return f"{'–'.join(figures)} {unit}".strip()
