"""What a machine is, to every pass that chooses by speed: replicas of chips of tiles.

    Machine   replicas of so many chips
    Chip      tiles that share a clock, an exchange and a barrier
    Tile      memories, nearest first; registers and what the instruction set has; units

Pure data, no behaviour: figures that follow from others are properties. Rates are per cycle of the
chip's clock, sizes are bytes. A figure of 0 means that nobody has published or measured it. Equal
machines have equal `repr`s, which name them in the cache; where a figure comes from is no part of
that. `machine/files.py` reads machines and writes them.

A machine decides how fast a program is, never what it computes: no bit depends on it.
"""

from __future__ import annotations

from dataclasses import field

from tilewright.frozen import frozen


@frozen
class Memory:
    """Where data can lie: `read` bytes a cycle go to a tile alone, `read_all` to each of all.

    A `shared` memory is one for so many tiles (0: all of the chip), and so is its `size`. One with
    a clock of its own (`apart`) gives as many bytes a second whatever the tiles' clock. `jump`
    cycles pass where reading goes on a page or more away. `write` bytes a cycle go to it beside
    what is read; 0: writing takes reading's place.
    """

    name: str
    size: int
    read: float = 0.0
    read_all: float = 0.0
    shared: bool = False
    sharers: int = 0
    apart: bool = False
    jump: float = 0.0
    write: float = 0.0


@frozen
class Unit:
    """Multiply-adds that one instruction does: (m, k) times (k, n), `shape` is (m, n, k).

    Products of `operands` are summed in `sums`. `rate` instructions start in a cycle; a sum waits
    `latency` cycles for the one before. `feature` is what the instruction set must have.
    """

    operands: tuple[str, str]
    sums: str
    shape: tuple[int, int, int]
    rate: float
    latency: float = 4.0
    feature: str = ""

    @property
    def macs(self) -> float:
        """Multiply-adds a cycle, at most."""
        m, n, k = self.shape
        return m * n * k * self.rate


@frozen
class Features:
    """Vectors, how many registers hold one, and extensions of the instruction set by LLVM's names.

    They decide *how* a codelet is emitted, never its bits.
    """

    vector_bits: int = 512
    registers: int = 32
    names: tuple[str, ...] = ()


@frozen
class Tile:
    """One core and the memories that it reads. `threads` take turns on its units.

    `operations` are (name, dtype, cycles for a vector), `simple` those of any other. `turn` cycles
    go to beginning an inner loop, `call` to beginning a vertex. `families` are (kind of codelet,
    how much longer it takes than its operations, once they are at hand).
    """

    memories: tuple[Memory, ...]
    features: Features
    units: tuple[Unit, ...]
    threads: int = 1
    operations: tuple[tuple[str, str, float], ...] = ()
    simple: float = 1.0
    turn: float = 4.0
    call: float = 12.0
    families: tuple[tuple[str, float], ...] = ()

    @property
    def memory(self) -> int:
        """The tile's own memory: the largest that it shares with none."""
        return max((memory.size for memory in self.memories if not memory.shared), default=0)

    def macs(self, dtype: str) -> float:
        """Multiply-adds a cycle of operands of a dtype, on the best unit for them."""
        return max((unit.macs for unit in self.units if dtype in unit.operands), default=0.0)


@frozen
class Mesh:
    """Tiles in `rows` of `columns`, whose links a message shares on its way: along its row, then
    along a column. Bytes a cycle, at most: what one tile gets from many, what each of many gets
    from one, and what one tile reads of the card's memory.
    """

    columns: int
    rows: int
    gather: float
    spread: float
    card: float


@frozen
class Exchange:
    """How tiles of a chip, and chips, pass data on. Cycles are the chip's own.

    `kind` is "coherent" (any tile reads what another wrote), "scheduled" (messages at times fixed
    beforehand), "mesh" (messages that share links), or "bound" (we only know what it cannot beat).
    `bus` neighbouring tiles share a way in: what all of them get, each gets so many times as fast.
    On a `mesh` a program's inputs and results lie in the card's memory.
    """

    bytes_per_cycle_per_tile: float
    overhead_cycles: int
    kind: str = "coherent"
    bytes_per_second_between_chips: float = 0.0
    link_efficiency: float = 1.0
    seconds_per_hop: float = 0.0
    bus: int = 1
    mesh: Mesh | None = None
    overhead_between_chips: int = 0
    """Cycles before anything passes over links; 0: as on the chip."""

    @property
    def apart(self) -> bool:
        """Whether tiles share no memory, and are planned for."""
        return self.kind in ("scheduled", "mesh")


@frozen
class Chip:
    """`sync_cycles` is what a barrier of all tiles takes.

    `clock` is what it holds with all tiles busy; where that is not known, it is the least, `boost`
    the most, and times are ranges.
    """

    tile: Tile
    tiles: int
    clock: float
    exchange: Exchange
    sync_cycles: int
    boost: float = 0.0

    @property
    def memory(self) -> int:
        """All tiles' memory together."""
        return self.tile.memory * self.tiles

    def peak_flops(self, dtype: str) -> float:
        """Operations a second; a multiply-add counts two."""
        return 2.0 * self.tile.macs(dtype) * self.tiles * self.clock


@frozen
class Machine:
    """`replicas` independent groups of `chips_per_replica` chips; `watts` is of the whole.

    `source` says in a line where the figures come from. `sources` has (figure, source) for each, a
    figure by its place in the file; sources begin with "measured" or "assumed", or name what was
    published. `launch` seconds pass before a program begins; `price` is of an hour.
    """

    name: str
    chip: Chip
    chips_per_replica: int = 1
    replicas: int = 1
    sync_cycles_between_chips: int = 0
    watts: float = 0.0
    source: str = ""
    kind: str = "cpu"
    launch: float = 0.0
    price: float = 0.0
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    @property
    def tile(self) -> Tile:
        return self.chip.tile

    @property
    def chips(self) -> int:
        return self.chips_per_replica * self.replicas

    @property
    def tiles(self) -> int:
        return self.chip.tiles * self.chips

    def peak_flops(self, dtype: str) -> float:
        return self.chip.peak_flops(dtype) * self.chips

    @property
    def assumed(self) -> tuple[str, ...]:
        """Figures that nobody published and nobody measured."""
        return tuple(figure for figure, source in self.sources if source.startswith("assumed"))

    def with_(self, **figures: object) -> Machine:
        """The same machine with other figures: `cores=64, l2="2 MiB", clock="3 GHz"`.

        Raises `ArgumentError` for an unknown name or an absurd figure; see `machine/what_if.py`.
        """
        from tilewright.machine.what_if import changed

        return changed(self, figures)
