"""A program once more with clocks in it: run to warm up, and run again to see where time goes.

In: an Executable and arguments. Out: the tables of `report/profile.py`.

Threads wait for each other at the end of a superstep, so its time is that of the thread that worked
longest in it, over all its runs; the barrier's time is what that same thread waited there. The two,
summed over all supersteps, are the time from the program's start to its end. The clocks themselves
are part of it: a call of a vertex costs some 20 ns more than it does without them.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace
from functools import cache
from html import escape
from typing import Any

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.clocks import clock_text
from tilewright.codegen.link import load
from tilewright.codegen.program import emit
from tilewright.machine.host import host_machine
from tilewright.report import Profile, profile
from tilewright.report.beside import Side
from tilewright.report.html import table
from tilewright.report.limit import limit
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.simulate.cpu import timing
from tilewright.simulate.trips import named as loops


def timed(executable: Executable, *args: Any, **named: Any) -> Profile:
    """Run with clocks around every superstep and vertex; arguments are those of a plain call.

    The first of two runs finds memory and caches cold, and is not counted. Where TILEWRIGHT_DUMP is
    set, the tables are the next file in the program's folder.
    """
    compiled, machine = executable.compiled, host_machine()
    emitted = emit(compiled.program, machine, profile=True)
    image = replace(
        executable.image,
        object=compile_cached(emitted.module),
        loops=emitted.image.loops,
        maps=emitted.image.maps,
    )
    clocked = Executable(Made(image), signature=executable.signature)
    clock = _clock()
    clocked.start(*args, **named).result()
    start, first = time.perf_counter(), clock()
    run = clocked.start(*args, **named)
    run.result()
    seconds, ticks = time.perf_counter() - start, clock() - first
    turns = run.progress().by_worker
    second = seconds / max(ticks, 1)
    result = profile(compiled.program, machine, turns, emitted.symbols, seconds, second)
    name = executable.image.interface.name
    modelled = _modelled(executable, name, result.threads, args, named)
    graph = compiled.graph  # a program made by hand has none
    least = limit(graph, machine, result.threads) if graph is not None else None
    result = replace(result, name=name, modelled=modelled, limit=least)
    dump = getattr(compiled.stages, "dump", None)  # a program made by hand has no folder
    if dump is not None:
        dump("profile", lambda: str(result))
    return result


def _modelled(
    executable: Executable, name: str, threads: int, args: tuple, named: dict[str, Any]
) -> Side:
    """What the model of this host makes of the same run."""
    program, host = executable.compiled.program, host_machine()
    trips = executable.trips(*args, **named) if loops(program) else None
    found = timing(program, host, threads, trips)
    clock = host.chip.clock
    barrier = found.by.get("barrier", 0.0) / clock
    order = sorted(found.by.items(), key=lambda row: -row[1])
    rows = [
        [escape(n), f"{c / clock * 1e6:,.1f}", f"{c / found.cycles:.0%}"] for n, c in order if c
    ]
    seconds = found.cycles / clock
    said = f"Modelled: {seconds * 1e6:,.1f} µs, most of them {found.limit}. {host.source}"
    return Side(
        f"{name} on {host.name}, modelled", said, seconds,
        {"compute": seconds - barrier, "sync": barrier}, {"tiles at work": f"{found.busy:.0%}"},
        table(["spent on", "µs", "of all"], rows),
    )  # fmt: skip


@cache
def _clock() -> Any:
    """The clock that programs read, as a function without arguments."""
    loaded = load(compile_cached(clock_text(host_machine())), ("tilewright_clock",))
    clock = ctypes.CFUNCTYPE(ctypes.c_int64)(loaded["tilewright_clock"])
    clock.loaded = loaded  # type: ignore[attr-defined]
    return clock
