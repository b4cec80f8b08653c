"""Graphcore's IPUs, as published. Nothing here is measured by us.

Sources, by letter:
 [a] Graphcore product briefs and documentation: tiles, memory, clock, peaks, links, power
 [b] poplibs: lib/popnn/CTCLossPlan.cpp, lib/poplibs_test/Util.cpp,
     lib/poplin/PerformanceEstimation.hpp: exchange and sync cycles, hops, link efficiency
 [c] computed: tiles x MACs x 2 x clock is the published peak
 [d] second-hand: Hot Chips 33 notes
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.machine.machine import Chip, Exchange, Features, Machine, Memory, Tile, Unit

KIB = 1 << 10
SOURCE = "Graphcore product briefs; poplibs; Hot Chips 33 notes (see tilewright/machine/ipu.py)"

_FEATURES = Features(vector_bits=64, registers=0)


def _tile(memory: int, float16: int, float32: int) -> Tile:
    """Multiply-adds a cycle by dtype [c]; how they lie in m, n and k is not published.

    Threads [a]; reads are those of interleaved memory [b].
    """
    units = (
        Unit(("float16", "float16"), "float16", (1, 1, float16), 1.0),
        Unit(("float32", "float32"), "float32", (1, 1, float32), 1.0),
    )
    return Tile((Memory("tile", memory, 16, 16),), _FEATURES, units, threads=6)


_EXCHANGE = Exchange(
    bytes_per_cycle_per_tile=4,  # [b] each way
    overhead_cycles=100,  # [b]
    bytes_per_second_between_chips=320e9,  # [a]
    link_efficiency=0.85,  # [b]
    seconds_per_hop=15e-9,  # [b]
)

GC2 = Chip(
    _tile(256 * KIB, 32, 8),  # memory [a]
    tiles=1216,  # [a]
    clock=1.6e9,  # [c]
    exchange=_EXCHANGE,
    sync_cycles=120,  # [b, d] 90 to 150
)

GC200 = Chip(
    _tile(624 * KIB, 64, 16),  # memory [a]
    tiles=1472,  # [a]
    clock=1.325e9,  # [a]
    exchange=_EXCHANGE,
    sync_cycles=120,  # [b, d] 90 to 150
)

BOW = replace(GC200, clock=1.85e9)  # [d]

SYNC_BETWEEN_CHIPS = 600
"""Cycles [d]."""

C2 = Machine(
    "IPU C2", GC2, chips_per_replica=2, sync_cycles_between_chips=SYNC_BETWEEN_CHIPS,
    watts=300, source=SOURCE,
)  # fmt: skip
MK2 = Machine("IPU GC200", GC200, source=SOURCE)
M2000 = Machine(
    "IPU M2000", GC200, chips_per_replica=4, sync_cycles_between_chips=SYNC_BETWEEN_CHIPS,
    watts=1500, source=SOURCE,
)  # fmt: skip
POD64 = Machine(
    "IPU POD64", GC200, chips_per_replica=64, sync_cycles_between_chips=SYNC_BETWEEN_CHIPS,
    watts=16 * 1500, source=SOURCE,
)  # fmt: skip

MACHINES = {"c2": C2, "gc200": MK2, "m2000": M2000, "pod64": POD64}
