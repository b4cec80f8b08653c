"""The one notion of cost: what is done, whatever does it, and what that takes on a machine.

    Count    multiply-adds and operations by dtype, bytes loaded and stored, loops started
    Price    cycles of one tile, by what they are spent on

    price(count, tile, held)    the price on a tile of what works on `held` bytes

Everything that chooses by speed, and every report on it, counts and prices here. A tile computes
and transfers at the same time, so that the larger of the two bounds it: only that is in a price.
How long a user's program takes depends on more; a price ranks ways to do the same thing, and says
what to look at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from types import MappingProxyType

from tilewright.frozen import frozen
from tilewright.machine.machine import Machine, Memory, Tile
from tilewright.machine.meetings import messages

LIKELY_TRIPS = 8
"""How many trips a loop without a known number is taken to run."""

BARRIERS, LATE = 2, 2750
"""What dealing work out should save at least, where tiles share memory: so many barriers, and
cycles for fetching what another tile wrote and waiting for the slower, which do not grow with the
barrier (two tiles of Zen 4, whose barrier takes 500)."""
APART = 15
"""Barriers' time of work that is worth dealing out to tiles that share no memory."""

_NONE: Mapping = MappingProxyType({})
_BITS = {"float64": 64, "int64": 64, "uint64": 64}
_MOST_LANES = 16
"""Vectors are cut to so many elements, whatever fits a register: see `codelets/emit/lanes.py`."""


@frozen
class Count:
    """What is done: `macs` by dtype, `operations` by (name, dtype), bytes, inner loops begun.

    Multiply-adds of narrow operands that some machines have units for go by both (`narrow`). Names
    are those of the graph's operations; "move" is an element that is only copied.
    """

    macs: Mapping[str, float] = field(default_factory=lambda: _NONE)
    operations: Mapping[tuple[str, str], float] = field(default_factory=lambda: _NONE)
    loads: float = 0
    stores: float = 0
    iterations: float = 0

    @property
    def flops(self) -> float:
        """Operations of any kind; a multiply-add is two, moves are none."""
        moves = sum(n for (name, _), n in self.operations.items() if name == "move")
        return 2 * sum(self.macs.values()) + sum(self.operations.values()) - moves

    @property
    def bytes(self) -> float:
        return self.loads + self.stores

    def __add__(self, other: Count) -> Count:
        return Count(
            added(self.macs, other.macs),
            added(self.operations, other.operations),
            self.loads + other.loads,
            self.stores + other.stores,
            self.iterations + other.iterations,
        )

    def __mul__(self, times: float) -> Count:
        return Count(
            {name: n * times for name, n in self.macs.items()},
            {name: n * times for name, n in self.operations.items()},
            self.loads * times,
            self.stores * times,
            self.iterations * times,
        )


NOTHING = Count()


def total(counts: Iterable[Count]) -> Count:
    """The sum of many, in one pass."""
    macs: dict[str, float] = {}
    operations: dict[tuple[str, str], float] = {}
    loads = stores = iterations = 0.0
    for count in counts:
        for dtype, n in count.macs.items():
            macs[dtype] = macs.get(dtype, 0) + n
        for key, n in count.operations.items():
            operations[key] = operations.get(key, 0) + n
        loads += count.loads
        stores += count.stores
        iterations += count.iterations
    return Count(macs, operations, loads, stores, iterations)


@frozen
class Price:
    """Cycles by cause: "multiply-adds", a function's or operation's name, a memory's, "calls"."""

    by: Mapping[str, float] = field(default_factory=lambda: _NONE)

    @property
    def cycles(self) -> float:
        return sum(self.by.values())

    @property
    def limit(self) -> str:
        """What most cycles are spent on."""
        return max(self.by, key=lambda name: self.by[name], default="nothing")

    def __add__(self, other: Price) -> Price:
        return Price(added(self.by, other.by))

    def __mul__(self, times: float) -> Price:
        return Price({name: cycles * times for name, cycles in self.by.items()})


FREE = Price()


def added(one: Mapping, other: Mapping) -> Mapping:
    """Sums by key."""
    if not one or not other:
        return one or other
    return dict(one) | {key: one.get(key, 0) + n for key, n in other.items()}


def price(count: Count, tile: Tile, held: float = 0) -> Price:
    """Of work on `held` bytes, which lie in the nearest memory that holds so many."""
    memory = home(tile, held)
    return bounded(work(count, tile), Price({memory.name: count.bytes / (memory.read or 1e9)}))


def bounded(computed: Price, moved: Price) -> Price:
    """Of work and transfers that go on at the same time."""
    return computed if computed.cycles >= moved.cycles else moved


def work(count: Count, tile: Tile) -> Price:
    """Of arithmetic alone, with operands at hand."""
    by: dict[str, float] = {}
    for dtype, macs in count.macs.items():
        by["multiply-adds"] = by.get("multiply-adds", 0.0) + macs / mac_rate(tile, dtype)
    known = _table(tile.operations)
    for (name, dtype), n in count.operations.items():
        key = (name, computed(dtype))
        cycles = known.get(key, tile.simple) * n / lanes(tile, dtype)
        cause = name if key in known else "arithmetic"
        by[cause] = by.get(cause, 0.0) + cycles
    by["loops"] = count.iterations * tile.turn
    return Price({name: cycles for name, cycles in by.items() if cycles})


@lru_cache
def _table(operations: tuple[tuple[str, str, float], ...]) -> dict[tuple[str, str], float]:
    return {(name, dtype): cycles for name, dtype, cycles in operations}


def is_worth_dealing(count: Count, machine: Machine, held: float = 0) -> bool:
    """Whether what one tile would do is better done by several."""
    chip, cycles = machine.chip, price(count, machine.tile, held).cycles
    if chip.exchange.apart:
        return cycles >= APART * chip.sync_cycles
    saved = cycles * (1 - 1 / max(chip.tiles, 2))
    return saved >= BARRIERS * chip.sync_cycles + late(machine, LATE)


def late(machine: Machine, cycles: float) -> float:
    """What is lost at a barrier besides: so many cycles, or in proportion if it takes below 500."""
    return cycles * min(1.0, machine.chip.sync_cycles / 500)


def drawing(machine: Machine) -> float:
    """Cycles of drawing a piece's number from another tile's queue: as a barrier of two tiles."""
    chip = machine.chip
    if chip.exchange.apart:
        return chip.sync_cycles
    return chip.sync_cycles * messages(2) / messages(max(chip.tiles, 2))


def home(tile: Tile, size: float) -> Memory:
    """The nearest memory that holds `size` bytes; the furthest there is, if none does."""
    return next((m for m in tile.memories if size <= m.size), tile.memories[-1])


def computed(dtype: str) -> str:
    """What arithmetic on a dtype is done in: 16-bit floats in float32."""
    return "float32" if dtype in ("bfloat16", "float16") else dtype


def lanes(tile: Tile, dtype: str) -> int:
    """Elements that one vector operation does."""
    return max(1, min(_MOST_LANES, tile.features.vector_bits // _BITS.get(dtype, 32)))


_NARROW: Mapping[tuple[str, ...], tuple] = {
    ("int8", "int8"): ("int32", ("uint8", "int8"), ("int16", "int16")),
    ("uint8", "int8"): ("int32", ("uint8", "int8"), ("int16", "int16")),
    ("int16", "int8"): ("int32", ("int16", "int16")),
    ("uint16", "int8"): ("int32", ("int16", "int16")),
    ("bfloat16", "bfloat16"): ("float32", ("bfloat16", "bfloat16")),
}
"""Operands that products take as they are (of bfloat16: in pairs), what their sums are in, and the
units that can, by what they multiply: the best first. Where there is none, sums' own unit does."""


def narrow(lhs: str, rhs: str, sums: str, pairs: object = False) -> str:
    """What `Count.macs` has multiply-adds of such operands under. Bfloat16 but for `pairs` is
    widened first."""
    known = _NARROW.get((lhs, rhs))
    taken = known and known[0] == sums and (pairs or lhs != "bfloat16")
    return f"{lhs} {rhs}" if taken else sums


def operand_dtypes(key: str) -> tuple[str, ...]:
    """Those of a key of `Count.macs`."""
    return tuple(key.split())


def mac_rate(tile: Tile, key: str) -> float:
    """Multiply-adds a cycle of a key of `Count.macs`; else by products and sums."""
    operands = operand_dtypes(key)
    if len(operands) == 1:
        return _own_rate(tile, key)
    sums, *wanted = _NARROW[operands]
    for pair in wanted:
        units = [unit.macs for unit in tile.units if (unit.operands, unit.sums) == (pair, sums)]
        if units:
            return max(units)
    return _own_rate(tile, sums)


def _own_rate(tile: Tile, dtype: str) -> float:
    """In the dtype that they are computed in."""
    same = computed(dtype)
    units = [unit.macs for unit in tile.units if unit.operands == (same, same) == (unit.sums,) * 2]
    return max(units, default=lanes(tile, dtype) / (2 * tile.simple))
