"""This host as a `Machine`: what plans see of it. Compiling measures nothing.

In: what the system says (`cpu.py`), TILEWRIGHT_FEATURES, and the host's own figures (`figures.py`)
or those stated for its level (`levels.py`). Out: a `Machine`. A tile is a core with its private
caches; it also reads a cache and a memory that all share. `tiles` are the host's CPUs, however few
of them this process may use: tiles share out whatever work there is, so plans are the same for any
number of them.
"""

from __future__ import annotations

import platform
from dataclasses import replace
from functools import cache
from os import cpu_count

from tilewright.env import ENVIRONMENT
from tilewright.errors import UnsupportedError
from tilewright.machine.cpu import (
    allowed_cpus,
    cache_bytes,
    cache_sharers,
    cpu_limit,
    instructions,
    memory_bytes,
    model_name,
)
from tilewright.machine.figures import Figures, read
from tilewright.machine.levels import LEVELS, level_of, stated, stated_barrier, units
from tilewright.machine.machine import Chip, Exchange, Features, Machine, Memory, Tile, Unit
from tilewright.machine.meetings import messages

_NAMES = {
    "fma": "fma",
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512bf16",
    "avx512_vnni": "avx512vnni",
    "avx_vnni": "avxvnni",
}
"""Names of /proc/cpuinfo to LLVM's, of what our code asks for."""


def is_allowed(name: str) -> bool:
    """Whether TILEWRIGHT_FEATURES leaves an extension (by LLVM's name) in use."""
    past = name.startswith(("avx512", "avx10", "amx", "avxvnni")) or name == "avxifma"
    return not past or ENVIRONMENT.features != "avx2"


def host_names() -> tuple[str, ...]:
    """The extensions of this host's instruction set that are in use, by LLVM's names."""
    names = sorted(name for word, name in _NAMES.items() if word in instructions())
    return tuple(filter(is_allowed, names))


def check_able() -> None:
    """Raises `UnsupportedError` on an x86 processor that lacks what all programs there use."""
    known = instructions()  # none, where the system does not say
    missing = [word.upper() for word in ("avx2", "fma") if known and word not in known]
    if missing and platform.machine().lower() in ("x86_64", "amd64"):
        raise UnsupportedError(
            f"This processor, {model_name()}, has no {' and no '.join(missing)}: programs need an "
            "x86-64 with AVX2 (Haswell of 2013, Zen, and later ones) or an aarch64."
        )


@cache
def host_machine() -> Machine:
    """The machine that programs of this process are compiled for."""
    names = host_names()
    return described(names, read(ENVIRONMENT.cache, names))


def with_memory(machine: Machine, nbytes: int, tiles: int) -> Machine:
    """The same host with no more main memory than so many bytes, and no fewer tiles than so many:
    each has memory of its own to work in."""
    *caches, main = machine.tile.memories
    main = replace(main, size=min(main.size, nbytes))
    tile = replace(machine.tile, memories=(*caches, main))
    chip = replace(machine.chip, tile=tile, tiles=max(machine.chip.tiles, tiles))
    return replace(machine, chip=chip)


def described(names: tuple[str, ...], figures: Figures | None = None) -> Machine:
    """This host with no more than those extensions, as measured or as stated for their level."""
    kind = level_of(names)
    level = LEVELS[kind]
    source = f"/proc and /sys; figures {'measured' if figures else f'stated for {kind}'}"
    tiles = cpu_count() or 1
    figures = figures or stated(level, cpu_limit())
    tile = Tile(
        _memories(figures),
        Features(level.vector_bits, level.registers, names),
        tuple(_measured(unit, figures) for unit in units(level) if unit.feature in ("", *names)),
        operations=_operations(figures),
        simple=level.simple,
        call=figures.call,
    )
    chip = Chip(
        tile,
        tiles=tiles,
        clock=figures.clock,
        exchange=Exchange(bytes_per_cycle_per_tile=figures.reads["L3"][0], overhead_cycles=0),
        sync_cycles=_barrier(figures, tiles),
    )
    return Machine(model_name(), chip, source=source, launch=figures.launch)


def _barrier(figures: Figures, tiles: int) -> int:
    """Of all; it is measured among the CPUs that the process may use, and one alone has none."""
    measured = figures.barrier * messages(tiles) / max(messages(cpu_limit()), 1)
    return round(measured) or stated_barrier(tiles)


def _measured(unit: Unit, figures: Figures) -> Unit:
    return replace(unit, rate=figures.rates.get(unit.operands[1], unit.rate))


def _operations(figures: Figures) -> tuple[tuple[str, str, float], ...]:
    rows = ((*key.split(), cycles) for key, cycles in sorted(figures.operations.items()))
    return tuple((name, dtype, cycles) for name, dtype, cycles in rows)


def _memories(figures: Figures) -> tuple[Memory, ...]:
    cpu, jumps = min(allowed_cpus()), figures.jumps
    own = [("L1", cache_bytes(1, cpu)), ("L2", cache_bytes(2, cpu))]
    some = cache_sharers(3, cpu)
    last = ("L3", cache_bytes(3, cpu), some if some < (cpu_count() or 1) else 0)
    shared = [last, ("memory", memory_bytes(), 0)]
    return (
        *(Memory(name, size, *figures.reads[name], jump=jumps.get(name, 0)) for name, size in own),
        *(
            Memory(n, size, *figures.reads[n], shared=True, sharers=m, jump=jumps.get(n, 0))
            for n, size, m in shared
        ),
    )
