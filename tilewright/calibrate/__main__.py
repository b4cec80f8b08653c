"""`python -m tilewright.calibrate`: measure this host and say what was found."""

from __future__ import annotations

import sys

from tilewright.calibrate import DisturbedError, calibrate
from tilewright.machine.machine import Machine


def lines(machine: Machine) -> list[str]:
    """A machine in words."""
    tile, chip = machine.tile, machine.chip
    found = [f"{machine.name}: {chip.clock / 1e9:.2g} GHz, a barrier {chip.sync_cycles:,} cycles"]
    for unit in tile.units:
        found.append(f"  {unit.operands[1]:9} {unit.macs:6.1f} multiply-adds a cycle")
    for memory in tile.memories:
        rates = f"{memory.read:5.1f} bytes a cycle, {memory.read_all:5.1f} if all read"
        found.append(f"  {memory.name:9} {memory.size >> 10:12,} KiB {rates}")
    return found


if __name__ == "__main__":
    try:
        print("\n".join(lines(calibrate())))
    except DisturbedError as error:
        sys.exit(str(error))
