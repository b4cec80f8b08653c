"""What a program would take on a machine, as numbers: `Estimate`, and who is ahead of whom.

In: a program, a machine, turns of its loops. Out: seconds, a range where the clock is one, what
limits it, tiles at work, bytes, energy, price. For a GPU it is a bound: the least that what must be
computed, and what must be read and written, can take there.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.frozen import frozen
from tilewright.machine.cost import NOTHING, Count, computed, lanes, operand_dtypes
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Program
from tilewright.simulate.cpu import Timing, at_clock, timing
from tilewright.simulate.cycles import run
from tilewright.simulate.trips import Trips


@frozen
class Estimate:
    """`seconds` are (least, most) of one run; `busy` tiles work on average; `bytes` are held.

    With `bound` the machine cannot be faster, and may be slower. A `fault` says why the program
    does not fit the machine: then there is no time, and all else is of nothing.
    """

    machine: Machine
    seconds: tuple[float, float]
    limit: str
    busy: float
    bytes: int
    counts: Count
    bound: bool = False
    timing: Timing | None = None
    fault: str = ""

    @property
    def fits(self) -> bool:
        if self.fault:
            return False
        if self.machine.chip.exchange.apart:
            return self.bytes <= self.machine.tile.memory * self.machine.tiles
        return self.bytes <= max(memory.size for memory in self.machine.tile.memories)

    @property
    def watt_hours(self) -> tuple[float, float]:
        """At the power that the machine is sold for; 0 where that is not published."""
        low, high = (seconds / 3600 * self.machine.watts for seconds in self.seconds)
        return low, high

    @property
    def price(self) -> tuple[float, float]:
        """In the currency of the machine's file; 0 without a price."""
        low, high = (seconds / 3600 * self.machine.price for seconds in self.seconds)
        return low, high


def estimate(
    program: Program, machine: Machine, tiles: int | None = None, trips: Trips | None = None
) -> Estimate:
    """Of a program that was planned for the machine (for a GPU, for any other)."""
    kind = machine.chip.exchange.kind
    if machine.chip.exchange.apart:
        return _on_tiles(program, machine, trips)
    held = _held(program, tiles or machine.tiles)
    if kind == "bound":
        return _bound(program, machine, trips, held)
    clocks = sorted({machine.chip.clock, machine.chip.boost or machine.chip.clock})
    times = [timing(program, at_clock(machine, c), tiles, trips) for c in clocks]
    seconds = sorted(t.cycles / c for t, c in zip(times, clocks, strict=True))
    slow = times[0]
    return Estimate(
        machine, (seconds[0], seconds[-1]), slow.limit, slow.busy * slow.tiles, held, slow.counts,
        timing=slow,
    )  # fmt: skip


def _on_tiles(program: Program, machine: Machine, trips: Trips | None) -> Estimate:
    """Of tiles that share no memory; `bytes` are what the fullest has, on each of them."""
    found = run(program, machine, trips)
    held = program.tile_bytes * machine.tiles
    seconds = (found.seconds, found.seconds)
    return Estimate(machine, seconds, found.limit, found.busy * machine.tiles, held, found.counts)


def unfit(machine: Machine, fault: str) -> Estimate:
    """Of what does not fit the machine, for the reason given."""
    never = (float("inf"), float("inf"))
    return Estimate(machine, never, "memory", 0.0, 0, NOTHING, fault=fault)


def _held(program: Program, tiles: int) -> int:
    """Arguments, results, both kinds of arenas."""
    passed = sum(buffer.nbytes for buffer in {*program.inputs, *program.outputs})
    return passed + program.shared_bytes + tiles * program.tile_bytes


def _bound(program: Program, machine: Machine, trips: Trips | None, held: int) -> Estimate:
    """All units busy all the time; every argument read once, every result written once."""
    counts = timing(program, machine, 1, trips).counts
    passed = sum(buffer.nbytes for buffer in (*program.inputs, *program.outputs))
    far = machine.tile.memories[-1]
    second = machine.tiles * machine.chip.clock
    by = {
        "multiply-adds": sum(n / _most_macs(machine, d) for d, n in counts.macs.items()) / second,
        "arithmetic": _plain(counts, machine) / second,
        far.name: passed / (far.read_all * second),
    }
    limit = max(by, key=lambda name: by[name])
    least = machine.launch + by[limit]
    return Estimate(machine, (least, least), limit, machine.tiles, held, counts, bound=True)


def _most_macs(machine: Machine, key: str) -> float:
    """The fastest unit that a product of the dtype may use, whatever it rounds to."""
    names = {*operand_dtypes(key)} | ({"tf32"} if key == "float32" else set())
    return max(machine.tile.macs(name) for name in names) or machine.tile.macs("float32")


def _plain(counts: Count, machine: Machine) -> float:
    """Cycles of one tile for all that is no product, as if nothing took longer than an addition."""
    tile, total = machine.tile, 0.0
    for (name, dtype), n in counts.operations.items():
        if name != "move":
            total += n * tile.simple / lanes(tile, computed(dtype))
    return total


def ranks(estimates: Sequence[Estimate]) -> list[int | None]:
    """1 for the fastest; those whose ranges overlap share a rank; a bound has none, nor has what
    does not fit."""
    rows = [e for e in estimates if not (e.bound or e.fault)]
    return [
        None if e.bound or e.fault else 1 + sum(other.seconds[1] < e.seconds[0] for other in rows)
        for e in estimates
    ]
