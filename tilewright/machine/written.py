"""A machine as the text of its file. In: a `Machine`. Out: tables, or TOML, with every figure.

Always: `files.py` reads what is written as an equal machine, so that a what-if is an edit of the
tables, and a measured host is a file like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tilewright.machine.machine import Exchange, Machine, Memory, Unit
from tilewright.machine.schema import FREE, NAMED, Content


def content_of(machine: Machine) -> Content:
    """The tables, with sources where they are known; those of figures that the reader filled in
    follow from the machine's `source`."""
    chip, tile, exchange = machine.chip, machine.tile, machine.chip.exchange
    features = tile.features
    tables: Content = {
        "name": machine.name,
        "kind": machine.kind,
        "tiles": {
            "count": chip.tiles,
            "threads": tile.threads,
            "call": tile.call,
            "turn": tile.turn,
        },
        "clock": {"base": chip.clock},
        "vectors": {
            "level": "none",
            "bits": features.vector_bits,
            "registers": features.registers,
            "features": list(features.names),
            "simple": tile.simple,
        },
        "memory": {memory.name: _memory(memory, chip.clock) for memory in tile.memories},
        "units": {unit.operands[1]: _unit(unit) for unit in tile.units},
        "operations": {f"{name} {dtype}": cycles for name, dtype, cycles in tile.operations},
        "families": dict(tile.families),
        "barrier": {"cycles": chip.sync_cycles},
        "exchange": {"kind": exchange.kind} | _exchange(exchange),
    }
    if machine.chips > 1:
        tables["chips"] = {"count": machine.chips_per_replica, "replicas": machine.replicas}
        tables["chips"] |= {"sync": machine.sync_cycles_between_chips}
        tables["chips"] |= {"begin": exchange.overhead_between_chips}
    if machine.watts:
        tables["tiles"]["watts"] = machine.watts
    if chip.boost:
        tables["clock"]["boost"] = chip.boost
    if machine.launch:
        tables["launch"] = {"time": machine.launch}
    if machine.price:
        tables["price"] = {"hour": machine.price}
    tables = {name: table for name, table in tables.items() if table}
    _add_sources(tables, machine)
    return tables


def _exchange(exchange: Exchange) -> Content:
    """What is known of it."""
    figures = {
        "bytes": exchange.bytes_per_cycle_per_tile,
        "overhead": exchange.overhead_cycles,
        "bus": exchange.bus if exchange.bus > 1 else 0,
        "links": exchange.bytes_per_second_between_chips,
        "efficiency": exchange.link_efficiency if exchange.link_efficiency != 1 else 0,
        "hop": exchange.seconds_per_hop,
    }
    if (mesh := exchange.mesh) is not None:
        figures |= {"gather": mesh.gather, "spread": mesh.spread, "card": mesh.card}
    found: Content = {name: figure for name, figure in figures.items() if figure}
    return found | ({"grid": [mesh.columns, mesh.rows]} if mesh else {})


def _memory(memory: Memory, clock: float) -> Content:
    def rate(cycles: float) -> float | str:
        return f"{cycles * clock / 1e9!r} GB/s" if memory.apart else cycles

    table: Content = {"size": memory.size}
    if memory.read:
        table |= {"read": rate(memory.read), "all": rate(memory.read_all)}
    table |= {"sharers": memory.sharers if memory.shared else 1}
    more = {"jump": memory.jump, "write": memory.write}
    return table | {name: figure for name, figure in more.items() if figure}


def _unit(unit: Unit) -> Content:
    table: Content = {"operands": list(unit.operands), "sums": unit.sums}
    table |= {"shape": list(unit.shape), "rate": unit.rate, "latency": unit.latency}
    return table | ({"feature": unit.feature} if unit.feature else {})


def _add_sources(tables: Content, machine: Machine) -> None:
    """What the reader filled in from the level of the instruction set was stated by nobody."""
    known = dict(machine.sources)
    measured = not known and machine.source.endswith("measured")
    rest = "measured" if measured else "assumed: stated for its kind"
    for name, table in tables.items():
        if isinstance(table, dict):
            for key, row in table.items() if name in NAMED else [("", table)]:
                where = f"{name}.{key}" if key else name
                near = [text for figure, text in known.items() if figure.startswith(f"{where}.")]
                default = near[0] if near else rest
                if f"{where}.total" in known:  # all together, of which each has its part
                    known.setdefault(f"{where}.all", known[f"{where}.total"])
                found = {figure: known.get(f"{where}.{figure}", default) for figure in row}
                same = where in FREE or len(set(found.values())) == 1
                first = known.get(where) or next(iter(found.values()), "")
                if found:
                    row["source"] = first if same else found


def to_toml(content: Mapping[str, Any]) -> str:
    """TOML of such tables, which are two deep but for sources."""
    lines = [f"{key} = {_value(v)}" for key, v in content.items() if not isinstance(v, dict)]
    for name, table in content.items():
        if isinstance(table, dict) and table:
            rows = table.items() if name in NAMED else [("", table)]
            for key, row in rows:
                lines += ["", f"[{name}.{_key(key)}]" if key else f"[{name}]"]
                lines += [f"{_key(field)} = {_value(value)}" for field, value in row.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {_value(v)}" for key, v in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
