"""Where a program's time went: what its clocks counted, in tables.

In: a program and its counters after a run with clocks in it (`runtime/timed.py`). Out: the time of
each superstep, under the numbers of `report`'s parts, and of each codelet; beside it the limit, by
the same price as in `report`, and how much of the time that explains.

Threads wait for each other at the end of a superstep, so its time is that of the thread that worked
longest in it, over all its runs; the barrier's time is what that same thread waited there. The two,
summed over all supersteps, are the time from the program's start to its end. The clocks themselves
are part of it: a call of a vertex costs some 20 ns more than it does without them, and small ones
are called one by one, that are otherwise one function (`codegen/regions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult

from tilewright.codelets.base import Codelet
from tilewright.errors import ArgumentError
from tilewright.files import write_text
from tilewright.frozen import frozen
from tilewright.machine.cost import price
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Program
from tilewright.plan.price import price_of
from tilewright.plan.supersteps import Superstep, supersteps
from tilewright.report.beside import Side, beside_page
from tilewright.report.html import table
from tilewright.report.limit import Limit
from tilewright.report.page import MOST_ROWS
from tilewright.report.table import Report

Turns = Mapping[str, tuple[int, ...]]
"""Counters of the program by name, for each thread: see `codegen/clocks.py`."""


@frozen
class SuperstepTime:
    """One superstep over all its `runs`, in seconds; see above for what is whose time."""

    superstep: Superstep
    runs: int
    work: float
    barrier: float
    imbalance: float | None
    """The slowest thread's time over the mean of all threads'; None where only tile 0 works."""

    @property
    def seconds(self) -> float:
        return self.work + self.barrier


@frozen
class Profile:
    """Two tables, which print through rich and show as HTML in notebooks; and their numbers.

    `seconds` is the whole run as its caller sees it, `threads` how many took part.
    """

    seconds: float
    threads: int
    supersteps: tuple[SuperstepTime, ...]
    codelets: Report
    machine: Machine
    name: str = "program"
    modelled: Side | None = None
    """What the model of this host makes of the same run."""
    limit: Limit | None = None
    """What no plan can beat; None where the graph is not known."""

    @property
    def reached(self) -> float | None:
        """Share of the limit: its time over that of the run."""
        return self.limit.seconds / self.seconds if self.limit and self.seconds else None

    def side(self) -> Side:
        """For a page on which it stands beside another: threads that wait are in `sync`."""
        rows, inside = [], sum(row.seconds for row in self.supersteps)
        for row in sorted(self.supersteps, key=lambda row: -row.seconds)[:MOST_ROWS]:
            limit = price_of(row.superstep.steps, self.machine, self.threads)
            least = limit.cycles * row.runs / self.machine.chip.clock
            rows.append([
                f"{row.superstep.label} {row.superstep.kind}", f"{row.runs:,}",
                f"{row.work * 1e6:,.1f}", f"{row.barrier * 1e6:,.1f}", f"{least * 1e6:,.1f}",
                escape(row.superstep.mostly(self.machine)),
            ])  # fmt: skip
        head = ["superstep", "times", "work µs", "barrier µs", "at its limit µs", "mostly"]
        kinds = {
            "compute": sum(row.work for row in self.supersteps),
            "sync": sum(row.barrier for row in self.supersteps),
            "outside of supersteps": max(self.seconds - inside, 0.0),
        }
        said = (
            f"Measured: {self.seconds * 1e6:,.1f} µs on {self.threads} threads, "
            f"{inside * 1e6:,.1f} of them in supersteps, with clocks around each."
        )
        name = f"{self.name} on {self.machine.name}, measured"
        more = {"threads": str(self.threads)}
        return Side(name, said, self.seconds, kinds, more, table(head, rows, names_last=True))

    def report(self, path: str | Path) -> Path:
        """One page: measured beside modelled. Raises `ArgumentError` where `path` cannot be
        written."""
        mine = self.side()
        try:
            write_text(Path(path), beside_page(mine, self.modelled or mine))
        except OSError as error:
            raise ArgumentError(f"The report {str(path)!r} cannot be written: {error}.") from None
        return Path(path)

    @property
    def table(self) -> Report:
        """The first table: supersteps in the order of the program."""
        inside = sum(row.seconds for row in self.supersteps)
        notes = (
            f"{self.seconds * 1e3:,.2f} ms in all, {inside * 1e3:,.2f} in supersteps; "
            f"{self.threads} threads, slowest over mean; share with barrier; "
            f"of time: what the limit alone takes ({self.machine.source})",
        )
        if self.reached is not None:
            notes += (f"{self.reached:.0%} of the limit of any plan: {self.limit}",)
        waits = ("barrier µs", "barrier ms")
        columns = ("superstep", "times", "µs", "ms", "share", *waits, "imbalance")
        rows = tuple(self._row(row, inside or 1.0) for row in self.supersteps)
        return Report("Supersteps", (*columns, "limit", "of time", "mostly"), rows, notes)

    def _row(self, row: SuperstepTime, total: float) -> tuple[str, ...]:
        runs, machine, work = max(row.runs, 1), self.machine, row.work
        limit = price_of(row.superstep.steps, machine, self.threads)
        least = limit.cycles * row.runs / machine.chip.clock
        return (
            f"{row.superstep.label} {row.superstep.kind}",
            f"{row.runs:,}",
            f"{work / runs * 1e6:,.2f}",
            f"{work * 1e3:,.3f}",
            f"{100 * row.seconds / total:.1f} %",
            f"{row.barrier / runs * 1e6:,.2f}",
            f"{row.barrier * 1e3:,.3f}",
            "" if row.imbalance is None else f"{row.imbalance:.2f}",
            limit.limit,
            f"{100 * least / work:.0f} %" if work else "",
            row.superstep.mostly(machine),
        )

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Of the first table."""
        return self.table.rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table
        yield self.codelets

    def __str__(self) -> str:
        return f"{self.table}\n{self.codelets}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_() + self.codelets._repr_html_()


def profile(
    program: Program,
    machine: Machine,
    turns: Turns,
    symbols: Mapping[str, Codelet],
    seconds: float,
    second: float,
) -> Profile:
    """The tables of one run of a program with clocks in it, which took its caller `seconds`.

    `turns` are its counters, `symbols` its codelets by the names in them; a tick lasts `second`.
    """
    found = _superstep_times(supersteps(program), turns, second)
    codelets = _codelets(turns, symbols, machine, second)
    return Profile(seconds, _threads(turns), found, codelets, machine)


def _threads(turns: Turns) -> int:
    """Who took part: a program whose turn it is not runs on one thread."""
    ran = zip(*(counts for name, counts in turns.items() if name.startswith("runs ")), strict=True)
    return sum(map(any, ran))


def _superstep_times(
    found: Sequence[Superstep], turns: Turns, second: float
) -> tuple[SuperstepTime, ...]:
    """`second` is the length of a tick."""
    threads, none, rows = _threads(turns), (0,), []
    for number, superstep in enumerate(found):
        work, wait = turns[f"work {number}"], turns.get(f"wait {number}", none)
        slowest = max(range(len(work)), key=work.__getitem__)
        shared = superstep.kind in ("spread", "map") and sum(work)
        rows.append(
            SuperstepTime(
                superstep,
                runs=max(turns[f"runs {number}"]),
                work=work[slowest] * second,
                barrier=wait[min(slowest, len(wait) - 1)] * second,
                imbalance=work[slowest] * threads / sum(work) if shared else None,
            )
        )
    return tuple(rows)


def _codelets(
    turns: Turns, symbols: Mapping[str, Codelet], machine: Machine, second: float
) -> Report:
    """The second table: ticks of all threads are added up, the costliest first."""
    ticks = {n.removeprefix("ticks "): sum(t) for n, t in turns.items() if n.startswith("ticks ")}
    calls = {name: sum(turns[f"calls {name}"]) for name in ticks}
    waits = {n: sum(t) for n, t in turns.items() if n.startswith("wait ")}
    if waits:
        ticks["barrier"] = sum(waits.values())
        calls["barrier"] = sum(sum(turns[n.replace("wait", "runs")]) for n in waits)
    total = sum(ticks.values()) or 1
    rows = []
    for name, spent in sorted(ticks.items(), key=lambda row: -row[1]):
        once = spent / max(calls[name], 1)
        limit = _limit(symbols[name], machine, once * second) if name in symbols else ("", "")
        rows.append(
            (name, f"{calls[name]:,}", f"{100 * spent / total:.1f} %", f"{once:,.0f}", *limit)
        )
    columns = ("codelet", "calls", "share", "ticks", "limit", "of time")
    notes = ("ticks are those of one call, by the time stamp counter, summed over threads",)
    return Report("Codelets", columns, tuple(rows), notes)


def _limit(codelet: Codelet, machine: Machine, seconds: float) -> tuple[str, str]:
    """Of a codelet whose operands lie beside each other, and its share of the time of a call."""
    work = codelet.work
    limit = price(work, machine.tile, work.bytes)
    least = limit.cycles / machine.chip.clock
    return limit.limit, f"{100 * least / seconds:.0f} %" if seconds else ""
