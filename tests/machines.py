"""Machines that tests compile for."""

from dataclasses import replace

from tilewright.machine import machine
from tilewright.machine.host import described, host_names
from tilewright.machine.machine import Machine

STATED = described(host_names())
"""This host with the figures stated for its level, whatever was measured."""


def eager(machine: Machine = STATED) -> Machine:
    """The same with barriers that take no time: however little work it is, it is dealt out."""
    return replace(machine, chip=replace(machine.chip, sync_cycles=0))


def scaled(machine: Machine, size: float, rate: float, tiles: int, barrier: int) -> Machine:
    """The same with memories `size` times as large and `rate` times as fast, units as slow."""
    tile = machine.tile
    memories = tuple(
        replace(m, size=int(m.size * size), read=m.read * rate, read_all=m.read_all * rate)
        for m in tile.memories
    )
    units = tuple(replace(unit, rate=unit.rate / rate) for unit in tile.units)
    operations = tuple((name, dtype, n / rate) for name, dtype, n in tile.operations)
    chip = replace(
        machine.chip,
        tile=replace(tile, memories=memories, units=units, operations=operations),
        tiles=tiles,
        sync_cycles=barrier,
    )
    return replace(machine, chip=chip)


SMALL = scaled(STATED, 1 / 16, 1 / 20, 128, 0)
"""128 tiles with little memory, far from fast units, and barriers that take no time."""
LARGE = scaled(STATED, 16, 20, 1, 10**9)
"""One tile with all memory at hand, on which functions are cheap and nothing is ever dealt out."""


def tiny(tiles: int, memory: int = 32 << 10) -> Machine:
    """Tiles of a GC200, few and small, that pass data on at no cost: all work is dealt out."""
    gc200 = machine("ipu:gc200")
    memories = tuple(replace(m, size=memory) for m in gc200.tile.memories)
    tile = replace(gc200.tile, memories=memories)
    return replace(gc200, chip=replace(gc200.chip, tile=tile, tiles=tiles, sync_cycles=0))
