"""GPUs that the published comparisons name; constants for reports, nothing is planned for them.

Sources: NVIDIA's V100 and A100 data sheets and architecture papers. A "tile" is a streaming
multiprocessor with its shared memory. `macs` are those of the plain float32 units and of the tensor
cores at float16; 2 x macs x tiles x clock is the published peak.
"""

from __future__ import annotations

from types import MappingProxyType

from tilewright.machine.machine import Chip, Exchange, Machine, Tile

KIB, GIB = 1 << 10, 1 << 30

_UNKNOWN = Exchange(bytes_per_cycle_per_tile=0, overhead_cycles=0)

V100 = Machine(
    "NVIDIA V100 SXM2",
    Chip(
        Tile(
            memory=96 * KIB,
            near_memory=0,
            lanes=32,
            threads=64,
            macs=MappingProxyType({"float16": 512, "float32": 64}),
        ),
        tiles=80,
        clock=1.53e9,
        exchange=_UNKNOWN,
        sync_cycles=0,
        far_memory=32 * GIB,
    ),
    watts=300,
    source="NVIDIA Tesla V100 GPU architecture, WP-08608-001",
)

A100 = Machine(
    "NVIDIA A100 SXM4",
    Chip(
        Tile(
            memory=164 * KIB,
            near_memory=0,
            lanes=32,
            threads=64,
            macs=MappingProxyType({"float16": 1024, "float32": 64}),
        ),
        tiles=108,
        clock=1.41e9,
        exchange=_UNKNOWN,
        sync_cycles=0,
        far_memory=40 * GIB,
    ),
    watts=400,
    source="NVIDIA A100 Tensor Core GPU architecture",
)

MACHINES = {"v100": V100, "a100": A100}
