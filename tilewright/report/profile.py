"""Where an Executable's time goes: the same program with clocks in it, run once.

In: an Executable and arguments. Out: the time of each superstep, under the numbers of `report`'s
parts, and of each codelet.

Threads wait for each other at the end of a superstep, so its time is that of the thread that worked
longest in it, over all its runs; the barrier's time is what that same thread waited there. The two,
summed over all supersteps, are the time from the program's start to its end. The clocks themselves
are part of it: a call of a vertex costs some 20 ns more than it does without them.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.clocks import clock_text
from tilewright.codegen.host import load
from tilewright.codegen.program import program_text
from tilewright.codelets.base import Codelet
from tilewright.machine.host import host_machine
from tilewright.plan.supersteps import Superstep, supersteps
from tilewright.report.table import Report
from tilewright.runtime.executable import Executable

Turns = Mapping[str, tuple[int, ...]]
"""Counters of the program by name, for each thread: see `codegen/clocks.py`."""


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Profile:
    """Two tables, which print through rich and show as HTML in notebooks; and their numbers.

    `seconds` is the whole run as its caller sees it, `threads` how many took part.
    """

    seconds: float
    threads: int
    supersteps: tuple[SuperstepTime, ...]
    codelets: Report

    @property
    def table(self) -> Report:
        """The first table: supersteps in the order of the program."""
        inside = sum(row.seconds for row in self.supersteps)
        notes = (
            f"{self.seconds * 1e3:,.2f} ms in all, {inside * 1e3:,.2f} in supersteps; "
            f"{self.threads} threads, slowest over mean; share with barrier",
        )
        waits = ("barrier µs", "barrier ms")
        columns = ("superstep", "times", "µs", "ms", "share", *waits, "imbalance")
        rows = tuple(_superstep_row(row, inside or 1.0) for row in self.supersteps)
        return Report("Supersteps", (*columns, "mostly"), rows, notes)

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


def profile(executable: Executable, *args: Any) -> Profile:
    """Run once with clocks around every superstep and vertex; `args` are those of a plain call.

    Where TILEWRIGHT_DUMP is set, the tables are the next file in the program's folder.
    """
    compiled = executable.compiled
    text = program_text(compiled.program, host_machine(), profile=True)
    timed = Executable(
        replace(
            compiled,
            object=compile_cached(text.text),
            loops=tuple(text.loops),
            maps=text.maps,
            short=False,
        ),
        signature=executable.signature,
    )
    clock = _clock()
    start, first = time.perf_counter(), clock()
    run = timed.start(*args)
    run.result()
    seconds, ticks = time.perf_counter() - start, clock() - first
    turns = run.progress().by_worker
    found = _superstep_times(supersteps(compiled.program), turns, seconds / max(ticks, 1))
    result = Profile(seconds, _threads(turns), found, _codelets(turns, text.symbols))
    dump = getattr(compiled.stages, "dump", None)  # a program made by hand has no folder
    if dump is not None:
        dump("profile", lambda: str(result))
    return result


@cache
def _clock() -> Any:
    """The clock that programs read, as a function without arguments."""
    loaded = load(compile_cached(clock_text(host_machine())), ("tilewright_clock",))
    clock = ctypes.CFUNCTYPE(ctypes.c_int64)(loaded["tilewright_clock"])
    clock.loaded = loaded  # type: ignore[attr-defined]
    return clock


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


def _superstep_row(row: SuperstepTime, total: float) -> tuple[str, ...]:
    runs = max(row.runs, 1)
    return (
        f"{row.superstep.label} {row.superstep.kind}",
        f"{row.runs:,}",
        f"{row.work / runs * 1e6:,.2f}",
        f"{row.work * 1e3:,.3f}",
        f"{100 * row.seconds / total:.1f} %",
        f"{row.barrier / runs * 1e6:,.2f}",
        f"{row.barrier * 1e3:,.3f}",
        "" if row.imbalance is None else f"{row.imbalance:.2f}",
        row.superstep.mostly,
    )


def _codelets(turns: Turns, symbols: Mapping[str, Codelet]) -> Report:
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
        cost = symbols[name].cost if name in symbols else None
        rate = cost.flops * calls[name] / spent if cost and spent else 0.0
        rows.append(
            (
                name,
                f"{calls[name]:,}",
                f"{100 * spent / total:.1f} %",
                f"{spent / max(calls[name], 1):,.0f}",
                f"{rate:.2f}" if cost else "",
            )
        )
    columns = ("codelet", "calls", "share", "ticks", "flop/tick")
    notes = ("ticks are those of one call, by the time stamp counter, summed over threads",)
    return Report("Codelets", columns, tuple(rows), notes)
