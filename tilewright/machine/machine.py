"""What a machine is, to the planner and to the simulator: replicas of chips of tiles.

Pure data, no behaviour: figures that follow from others are properties. Rates are per second or per
cycle as named; sizes are bytes. A figure of 0 means that nobody has published it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Tile:
    """One core and its private memory.

    `macs` gives multiply-adds a cycle by dtype, at most; `lanes` is the vector's width in float32.
    On a CPU `memory` is the L2 cache and `near_memory` the L1 data cache.
    """

    memory: int
    near_memory: int
    lanes: int
    threads: int
    macs: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Exchange:
    """How tiles of a chip, and chips, pass data on. Cycles are the chip's own."""

    bytes_per_cycle_per_tile: float
    overhead_cycles: int
    bytes_per_second_between_chips: float = 0.0
    link_efficiency: float = 1.0
    seconds_per_hop: float = 0.0


@dataclass(frozen=True)
class Chip:
    """Tiles that share a clock and an exchange; `far_memory` is further off, for all of them."""

    tile: Tile
    tiles: int
    clock: float
    exchange: Exchange
    sync_cycles: int
    far_memory: int = 0

    @property
    def memory(self) -> int:
        """All tiles' memory together."""
        return self.tile.memory * self.tiles

    def peak_flops(self, dtype: str) -> float:
        """Operations a second; a multiply-add counts two."""
        return 2.0 * self.tile.macs[dtype] * self.tiles * self.clock


@dataclass(frozen=True)
class Machine:
    """`replicas` independent groups of `chips_per_replica` chips; `watts` is of the whole.

    `source` says where the figures come from: "measured", or a publication for each.
    """

    name: str
    chip: Chip
    chips_per_replica: int = 1
    replicas: int = 1
    sync_cycles_between_chips: int = 0
    watts: float = 0.0
    source: str = ""

    @property
    def chips(self) -> int:
        return self.chips_per_replica * self.replicas

    @property
    def tiles(self) -> int:
        return self.chip.tiles * self.chips

    def peak_flops(self, dtype: str) -> float:
        return self.chip.peak_flops(dtype) * self.chips
