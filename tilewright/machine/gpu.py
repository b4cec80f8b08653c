"""GPUs that the published comparisons name; constants for reports, nothing is planned for them.

Sources: NVIDIA's V100 and A100 data sheets and architecture papers. A "tile" is a streaming
multiprocessor with its shared memory. `macs` are those of the plain float32 units and of the tensor
cores at float16; 2 x macs x tiles x clock is the published peak.
"""

from __future__ import annotations

from tilewright.machine.machine import Chip, Exchange, Features, Machine, Memory, Tile, Unit

KIB, GIB = 1 << 10, 1 << 30

_UNKNOWN = Exchange(bytes_per_cycle_per_tile=0, overhead_cycles=0)


def _tile(memory: int, far: int, float16: int) -> Tile:
    """A multiprocessor; `float16` multiply-adds a cycle of its tensor cores."""
    memories = (Memory("shared", memory), Memory("device", far, shared=True))
    units = (
        Unit(("float16", "float16"), "float32", (1, 1, float16), 1.0),
        Unit(("float32", "float32"), "float32", (1, 64, 1), 1.0),
    )
    return Tile(memories, Features(vector_bits=1024, registers=0), units, threads=64)


V100 = Machine(
    "NVIDIA V100 SXM2",
    Chip(
        _tile(96 * KIB, 32 * GIB, 512),
        tiles=80,
        clock=1.53e9,
        exchange=_UNKNOWN,
        sync_cycles=0,
    ),
    watts=300,
    source="NVIDIA Tesla V100 GPU architecture, WP-08608-001",
)

A100 = Machine(
    "NVIDIA A100 SXM4",
    Chip(
        _tile(164 * KIB, 40 * GIB, 1024),
        tiles=108,
        clock=1.41e9,
        exchange=_UNKNOWN,
        sync_cycles=0,
    ),
    watts=400,
    source="NVIDIA A100 Tensor Core GPU architecture",
)

MACHINES = {"v100": V100, "a100": A100}
