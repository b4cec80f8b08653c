"""What an Executable is made of and where its time goes: tables for terminal and notebook.

report(exe)           supersteps, vertices, operations, bytes a tile against L1 and L2, the limit
profile(exe, *args)   the same program with clocks in it, run once: time of each codelet
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from tilewright.calibrate import Peaks, measure
from tilewright.codegen.cache import compile_cached
from tilewright.codegen.host import host_features
from tilewright.codegen.program import program_text
from tilewright.machine.cpu import cache_bytes
from tilewright.plan.summary import Part, parts
from tilewright.runtime.executable import Executable


@dataclass(frozen=True)
class Report:
    """Rows under headings; prints through rich, shows as HTML in notebooks, `rows` are the data."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        table = Table(
            title=self.title, caption="\n".join(self.notes), box=SIMPLE_HEAD, padding=(0, 1)
        )
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table()

    def __str__(self) -> str:
        console = Console(width=120, record=True, quiet=True)
        console.print(self.table())
        return console.export_text()

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{column}</th>" for column in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return f"<table><caption>{self.title}</caption><tr>{head}</tr>{body}</table>{notes}"


def report(executable: Executable) -> Report:
    """One row for each part of the program; see `plan/summary.py` for what a part is."""
    peaks, compiled = measure(), executable.compiled
    found = parts(compiled.program)
    rows = [_row(number, part, compiled.tiles, peaks) for number, part in enumerate(found)]
    l1, l2 = cache_bytes(1), cache_bytes(2)
    notes = (
        f"{executable.workers} threads play {compiled.tiles} tiles, "
        f"{sum(part.syncs for part in found)} barriers inside loops; "
        f"{compiled.shared_bytes:,} bytes shared, {compiled.tile_bytes:,} bytes a tile "
        f"(L1 {l1 >> 10} KiB, L2 {l2 >> 10} KiB)",
        "+ counts loops of unknown length once; µs is what the limit allows one core",
    )
    columns = (
        "part",
        "times",
        "vertices",
        "Mflop",
        "MB",
        "KB held",
        "fits",
        "limit",
        "µs",
    )
    return Report("Program", columns, tuple(rows), notes)


def _row(number: int, part: Part, tiles: int, peaks: Peaks) -> tuple[str, ...]:
    work, held = part.work, part.bytes_per_tile() or part.bytes_shared()
    more = "+" if work.open_ended else ""
    return (
        f"{number} {part.kind}",
        f"{part.count:,}",
        f"{work.vertices:,}{more}",
        f"{work.flops / 1e6:,.3f}{more}",
        f"{work.moved / 1e6:,.3f}{more}",
        f"{held / 1e3:,.0f}",
        _level(held),
        *_limit(part, held, peaks),
    )


def _level(held: int) -> str:
    for level in (1, 2, 3):
        if held <= cache_bytes(level):
            return f"L{level}"
    return "memory"


def _limit(part: Part, held: int, peaks: Peaks) -> tuple[str, str]:
    """What would bound the part if every vertex ran at its best, and the time that it takes."""
    bandwidth = {"L1": peaks.l1, "L2": peaks.l2}.get(_level(held), peaks.l3)
    compute, traffic = part.work.flops / peaks.flops, part.work.moved / bandwidth
    calls = part.work.vertices * CALL_SECONDS
    limits = {"arithmetic": compute, "bytes": traffic, "calls": calls}
    name, seconds = max(limits.items(), key=lambda row: row[1])
    return name, f"{seconds * 1e6:,.1f}"


CALL_SECONDS = 4e-9
"""Calling one vertex and coming back, about."""


def profile(executable: Executable, *args: Any) -> Report:
    """Run once with clocks around every vertex; ticks of all threads are added up."""
    compiled = executable.compiled
    text = program_text(compiled.program, host_features(), profile=True)
    timed = Executable(
        replace(
            compiled,
            object=compile_cached(text.text),
            loops=tuple(text.loops),
            maps=text.maps,
            short=False,
        )
    )
    start = time.perf_counter()
    run = timed.start(*args)
    run.result()
    seconds = time.perf_counter() - start
    return _profile_report(run.progress().trips, text.symbols, seconds, timed.workers)


def _profile_report(
    trips: dict[str, int], codelets: dict[str, Any], seconds: float, workers: int
) -> Report:
    ticks = {n.removeprefix("ticks "): t for n, t in trips.items() if n.startswith("ticks ")}
    total = sum(ticks.values()) or 1
    rows = []
    for name, spent in sorted(ticks.items(), key=lambda row: -row[1]):
        calls = trips[f"calls {name}"]
        cost = codelets[name].cost if name in codelets else None
        rate = cost.flops * calls / spent if cost and spent else 0.0
        rows.append(
            (
                name,
                f"{calls:,}",
                f"{100 * spent / total:.1f} %",
                f"{spent / max(calls, 1):,.0f}",
                f"{rate:.2f}" if cost else "",
            )
        )
    columns = ("codelet", "calls", "share", "ticks", "flop/tick")
    notes = (
        f"{seconds * 1e3:,.2f} ms in all, {workers} threads; "
        "ticks are those of one call, by the time stamp counter",
    )
    return Report("Profile", columns, tuple(rows), notes)
