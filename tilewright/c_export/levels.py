"""The levels of the instruction set that an exported library holds, least first.

At its start it takes the last one that the processor and the system allow. Which bits of `cpuid`
say so: Intel's manual, volume 2A; the registers that a system saves: volume 1, chapter 13.
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.codegen.target import Target
from tilewright.frozen import frozen
from tilewright.machine.host import described
from tilewright.machine.levels import stated_barrier
from tilewright.machine.machine import Machine

SIZES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20, "memory": 16 << 30}
"""Bytes."""


@frozen
class Level:
    """`names` are what plans see; bits must be set in ecx of leaf 1, in ebx and ecx of leaf 7, in
    ecx of leaf 0x80000001, in the word of saved registers, and in eax of leaf 7's second part.

    Only a library of numbers of `dtype`, if there is one, holds the level."""

    name: str
    names: tuple[str, ...]
    target: Target
    one: int
    seven_b: int
    seven_c: int
    extended: int
    saved: int
    seven_a: int = 0
    dtype: str = ""

    def machine(self, tiles: int) -> Machine:
        """A host of this level with so many cores, stated figures and usual memories: an export is
        the same wherever it is made."""
        host = described(self.names)
        memories = tuple(replace(m, size=SIZES[m.name], sharers=0) for m in host.tile.memories)
        tile, barrier = replace(host.tile, memories=memories), stated_barrier(tiles)
        return replace(host, chip=replace(host.chip, tile=tile, tiles=tiles, sync_cycles=barrier))


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


_ONE = _bits(12, 20, 22, 23, 27, 28, 29)  # fma, sse4.2, movbe, popcnt, osxsave, avx, f16c
_TWO = _bits(3, 5, 8)  # bmi1, avx2, bmi2
_FOUR = _TWO | _bits(16, 17, 28, 30, 31)  # avx512 f, dq, cd, bw, vl
_LZCNT = _bits(5)
_YMM, _ZMM = _bits(1, 2), _bits(1, 2, 5, 6, 7)
_WIDE = "-prefer-256-bit"

LEVELS = (
    Level("AVX2", ("avx2", "fma"), Target("haswell", ""), _ONE, _TWO, 0, _LZCNT, _YMM),
    Level(
        "AVX-512",
        ("avx2", "avx512f", "fma"),
        Target("skylake-avx512", _WIDE),
        _ONE,
        _FOUR,
        0,
        _LZCNT,
        _ZMM,
    ),
    Level(
        "AVX-512 VNNI",
        ("avx2", "avx512f", "avx512vnni", "fma"),
        Target("cascadelake", _WIDE),
        _ONE,
        _FOUR,
        _bits(11),
        _LZCNT,
        _ZMM,
    ),
    Level(
        "AVX-512 BF16",
        ("avx2", "avx512bf16", "avx512f", "avx512vnni", "fma"),
        Target("cooperlake", _WIDE),
        _ONE,
        _FOUR,
        _bits(11),
        _LZCNT,
        _ZMM,
        _bits(5),
        "bfloat16",
    ),
)
