"""Machines in words: one with every figure and its source, or all beside each other.

In: machines. Out: a `Report`. The columns of `overview` are those by which processors for machine
learning are told apart: how much works at once, where model and data lie, and how fast they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tilewright.machine.catalogue import machine as named
from tilewright.machine.machine import Machine, Memory
from tilewright.machine.quantities import shown_clock, shown_rate, shown_size, shown_time
from tilewright.machine.schema import FREE, NAMED
from tilewright.machine.written import content_of
from tilewright.report.table import Report

OVERVIEW = (
    "machine", "works at once", "TFLOP/s fp32", "near memory", "near TB/s", "far memory",
    "far GB/s", "near : far", "× a server", "W", "assumed",
)  # fmt: skip
SERVER = "cpu:epyc-9654"
"""What bandwidths are told as multiples of: a server of 12 channels of memory."""
_KINDS = {
    "cpu": "cores, each its own program",
    "ipu": "tiles, each its own program",
    "tt": "tiles, each its own program",
    "gpu": "multiprocessors in lockstep",
}


def overview(machines: Mapping[str, Machine]) -> Report:
    """A row a machine, by the name it is asked for."""
    server = _bandwidth(named(SERVER))
    rows = tuple(_overview_row(name, machine, server) for name, machine in machines.items())
    notes = (
        "near memory: what the tiles have to themselves; near and far: bytes a second of all tiles",
        f"× a server: the memory in which models lie (far, or near where there is none), bytes a "
        f"second beside {named(SERVER).name}'s",
        "TFLOP/s and near rates at the least clock; assumed: figures nobody published or measured",
    )
    return Report("Machines", OVERVIEW, rows, notes)


def _bandwidth(machine: Machine) -> float:
    """Bytes a second of the memory in which models lie."""
    return _total(machine.tile.memories[-1], machine)


def _overview_row(name: str, machine: Machine, server: float) -> tuple[str, ...]:
    tile = machine.tile
    near = [m for m in tile.memories if not m.shared]
    far = [m for m in tile.memories if m.shared]
    own = _total(near[-1], machine) if near else 0.0
    outside = _total(far[-1], machine) if far else 0.0
    return (
        f"{name} ({machine.name})",
        f"{machine.tiles:,} {_KINDS[machine.kind]}",
        _short(machine.peak_flops("float32") / 1e12),
        shown_size(machine.tile.memory * machine.tiles),
        _short(own / 1e12),
        shown_size(far[-1].size * machine.chips) if far else "",
        f"{outside / 1e9:,.0f}" if outside else "",
        f"{own / outside:,.0f}" if own and outside else "",
        _short(_bandwidth(machine) / server),
        f"{machine.watts:,.0f}" if machine.watts else "",
        str(len(machine.assumed)),
    )


def _short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value else ""


def _total(memory: Memory, machine: Machine) -> float:
    """Bytes a second, all tiles reading."""
    return memory.read_all * machine.tiles * machine.chip.clock


def figures(machine: Machine) -> Report:
    """Every figure of one machine, with its source."""
    rows: list[tuple[str, ...]] = []
    for name, table in content_of(machine).items():
        if isinstance(table, dict):
            for key, row in table.items() if name in NAMED else [("", table)]:
                rows += _figure_rows(f"{name}.{key}" if key else name, row)
    notes = (
        machine.source,
        *(["times are ranges: its clock is one"] if machine.chip.boost else []),
    )
    return Report(machine.name, ("figure", "value", "source"), tuple(rows), notes)


def _figure_rows(where: str, table: Mapping[str, Any]) -> Sequence[tuple[str, ...]]:
    sources = table.get("source", "")
    rows = []
    for name, value in table.items():
        if name != "source":
            source = sources if isinstance(sources, str) else sources.get(name, "")
            rows.append(
                (f"{where}.{name}" if where not in FREE else name, _shown(name, value), source)
            )
    return rows


def _shown(name: str, value: Any) -> str:
    if name == "size":
        return shown_size(value)
    if name in ("base", "boost"):
        return shown_clock(value)
    if name == "links":
        return shown_rate(value)
    if name in ("hop", "time"):
        return shown_time(value)
    if name == "watts":
        return f"{value:,.0f} W"
    if isinstance(value, str) and value.endswith(" GB/s"):
        return shown_rate(float(value.split()[0]) * 1e9)
    if name in ("read", "all", "write"):
        return f"{value:.4g} B a cycle"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
