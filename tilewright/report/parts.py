"""What an Executable is made of: a row for each part, and what limits it.

In: an Executable. Out: supersteps, vertices, operations, bytes a tile against L1 and L2, the limit.
"""

from __future__ import annotations

from tilewright.calibrate import Peaks, measure
from tilewright.machine.cpu import cache_bytes
from tilewright.plan.summary import Part, parts
from tilewright.report.table import Report
from tilewright.runtime.executable import Executable


def report(executable: Executable) -> Report:
    """One row for each part of the program; see `plan/summary.py` for what a part is."""
    peaks, compiled = measure(), executable.compiled
    found = parts(compiled.program)
    rows = [_row(number, part, peaks) for number, part in enumerate(found)]
    l1, l2 = cache_bytes(1), cache_bytes(2)
    notes = (
        f"{executable.workers} tiles, a thread each, "
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


def _row(number: int, part: Part, peaks: Peaks) -> tuple[str, ...]:
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
