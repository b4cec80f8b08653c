"""What this host does at most, for the record: operations and bytes a second, all cores at work.

In: the machine that plans see. Out: plain numbers by name. They are not part of what a machine is:
two records of one machine may differ in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilewright.calibrate.kept import is_measured
from tilewright.machine.machine import Machine

PEAKS = "peaks"
"""Under which name a record's machine has them."""
DTYPES = ("float32", "bfloat16", "int8")


def peaks(machine: Machine) -> dict[str, Any]:
    """`measured` says whether it is this host's own figures, or what is stated for its level."""
    chip, tile = machine.chip, machine.tile
    rates = {memory.name: memory.read_all * machine.tiles * chip.clock for memory in tile.memories}
    return {
        "measured": is_measured(machine),
        "GHz": round(chip.clock / 1e9, 2),
        "barrier_cycles": int(chip.sync_cycles),
        "Gop/s": {dtype: round(machine.peak_flops(dtype) / 1e9, 1) for dtype in DTYPES},
        "read_GB/s": {name: round(rate / 1e9, 1) for name, rate in rates.items()},
    }


def without_peaks(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What a machine is."""
    return {name: value for name, value in machine.items() if name != PEAKS}


def in_words(machine: Mapping[str, Any]) -> str:
    """A sentence; none for a record that has no peaks."""
    found = machine.get(PEAKS)
    if not found:
        return ""
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in found["read_GB/s"].items())
    return (
        f" {'Measured' if found['measured'] else 'Stated for its level, not measured'}, all cores: "
        f"{found['Gop/s']['float32']:,.0f} GFLOP/s in float32; reading {rates} GB/s."
    )
