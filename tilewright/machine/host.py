"""This host as a `Machine`: what plans see of it, which is never measured while compiling.

In: what the system says (`cpu.py`), TILEWRIGHT_FEATURES. Out: a `Machine` with figures stated for
its level of the instruction set. A tile is a core with its private caches; it also reads a cache
and a memory that all share. `tiles` are the host's CPUs, however few of them this process may use:
tiles share out whatever work there is, so plans are the same for any number of them.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache

from tilewright.env import ENVIRONMENT
from tilewright.machine.cpu import (
    allowed_cpus,
    cache_bytes,
    instructions,
    memory_bytes,
    model_name,
)
from tilewright.machine.machine import Chip, Exchange, Features, Machine, Memory, Tile, Unit

_NAMES = {
    "fma": "fma",
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512bf16",
    "avx512_vnni": "avx512vnni",
    "avx_vnni": "avxvnni",
}
"""Names of /proc/cpuinfo to LLVM's, of what our code asks for."""


@dataclass(frozen=True)
class Level:
    """What hosts of one level have at least: figures where nobody has measured, see `LEVELS`.

    `reads` are bytes a cycle out of L1, L2, L3 and memory, alone; `all` of those the last two share
    what there is. `rate` is of multiply-adds of whole vectors.
    """

    vector_bits: int
    registers: int
    rate: float
    reads: tuple[float, float, float, float]
    all: tuple[float, float]


LEVELS = {
    # Zen 4 does one vector of 512 bits a cycle and reads L1 at one; servers of Intel's do two.
    "avx512": Level(512, 32, 1.0, (64, 32, 25, 6), (25, 4)),
    # Zen 3, measured: 100 GB/s out of L2, 50 to 57 out of L3, 15 to 21 out of memory, at 3.4 GHz.
    "avx2": Level(256, 16, 2.0, (64, 29, 15, 5), (15, 3)),
    # Two pipes of 128 bits: the least of what is sold as a server or a laptop.
    "neon": Level(128, 32, 2.0, (32, 24, 12, 5), (12, 3)),
    "plain": Level(128, 16, 1.0, (16, 12, 8, 4), (8, 2)),
}

CLOCK = 3e9
"""Cycles a second where nobody has measured: what servers hold with all cores busy."""
BARRIER = 3000
"""Cycles: 0.8 to 1.0 µs between two cores, measured on Zen 3 and Zen 4."""


def is_allowed(name: str) -> bool:
    """Whether TILEWRIGHT_FEATURES leaves an extension (by LLVM's name) in use."""
    past = name.startswith(("avx512", "avx10", "amx", "avxvnni")) or name == "avxifma"
    return not past or ENVIRONMENT.features != "avx2"


@cache
def host_machine() -> Machine:
    """The machine that programs of this process are compiled for."""
    names = tuple(sorted(name for word, name in _NAMES.items() if word in instructions()))
    return described(tuple(filter(is_allowed, names)))


def described(names: tuple[str, ...]) -> Machine:
    """This host with no more than those extensions of its instruction set, by LLVM's names."""
    level = LEVELS[level_of(names)]
    features = Features(level.vector_bits, level.registers, names)
    units = tuple(u for u in _units(level) if not u.feature or u.feature in names)
    chip = Chip(
        Tile(_memories(level), features, units),
        tiles=os.cpu_count() or 1,
        clock=CLOCK,
        exchange=Exchange(bytes_per_cycle_per_tile=level.reads[2], overhead_cycles=0),
        sync_cycles=BARRIER,
    )
    return Machine(model_name(), chip, source="/proc and /sys; figures assumed for its level")


def level_of(names: tuple[str, ...]) -> str:
    """The level of an instruction set: a key of `LEVELS`."""
    if "avx512f" in names:
        return "avx512"
    if "avx2" in names:
        return "avx2"
    return "neon" if platform.machine().lower() in ("aarch64", "arm64") else "plain"


def _memories(level: Level) -> tuple[Memory, ...]:
    cpu = min(allowed_cpus())
    l1, l2, l3, far = level.reads
    return (
        Memory("L1", cache_bytes(1, cpu), l1, l1),
        Memory("L2", cache_bytes(2, cpu), l2, l2),
        Memory("L3", cache_bytes(3, cpu), l3, level.all[0], shared=True),
        Memory("memory", memory_bytes(), far, level.all[1], shared=True),
    )


def _units(level: Level) -> tuple[Unit, ...]:
    """Multiply-adds of whole vectors; those of low precision take k in pairs or fours."""
    lanes, rate = level.vector_bits // 32, level.rate
    fma, pairs, fours = {
        512: ("avx512f", "avx512f", "avx512vnni"),
        256: ("fma", "avx2", "avxvnni"),
        128: ("", "never", "never"),
    }[level.vector_bits]
    return (
        Unit(("float32", "float32"), "float32", (1, lanes, 1), rate, feature=fma),
        Unit(("float64", "float64"), "float64", (1, lanes // 2, 1), rate, feature=fma),
        Unit(("bfloat16", "bfloat16"), "float32", (1, lanes, 2), rate, feature="avx512bf16"),
        Unit(("int16", "int16"), "int32", (1, lanes, 2), rate, feature=pairs),
        Unit(("uint8", "int8"), "int32", (1, lanes, 4), rate, feature=fours),
    )
